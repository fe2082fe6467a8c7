//! JSON that holds secrets. It is written in one allocation (`serde_json` would grow its buffer and leave copies of the
//! secrets behind), and read into [`Secret`].

use crate::secret::Secret;
use alloc::format;
use alloc::string::String;
use serde::{Deserialize, Deserializer};

/// The value of a member.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    /// A string.
    Text(&'a str),
    /// A value that is JSON already.
    Json(&'a str),
}

/// An object with these members.
pub(crate) fn object<'a>(members: impl Iterator<Item = (&'a str, Value<'a>)> + Clone) -> String {
    // No character becomes longer than the six of `\u001b`; four quotes, a colon and a comma.
    let room = |(name, value): (&str, Value<'_>)| {
        let (Value::Text(value) | Value::Json(value)) = value;
        6 * (name.len() + value.len()) + 6
    };
    let mut json = String::with_capacity(members.clone().map(room).sum::<usize>() + 2);
    json.push('{');
    for (index, (name, value)) in members.enumerate() {
        if index > 0 {
            json.push(',');
        }
        push_string(&mut json, name);
        json.push(':');
        match value {
            Value::Text(text) => push_string(&mut json, text),
            Value::Json(value) => json.push_str(value),
        }
    }
    json.push('}');
    json
}

/// Reads a string, or null, into a [`Secret`]; for `#[serde(deserialize_with)]`.
pub(crate) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|value| value.map(Secret::new))
}

/// A string as RFC 8259 section 7 writes it.
fn push_string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                json.push('\\');
                json.push(c);
            }
            '\0'..='\x1f' => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => json.push(c),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::{Value, object};

    #[test]
    fn an_object_never_outgrows_its_first_allocation() {
        for text in ["\u{1}\u{2}\0", "\"\\\"", "plain", "\u{1f511}é", ""] {
            let json = object([("\u{1}", Value::Text(text)), (text, Value::Json("null"))].into_iter());
            let room = 2 + 6 * (1 + text.len()) + 6 + 6 * (text.len() + 4) + 6;
            assert_eq!(json.capacity(), room, "{json}");
        }
    }
}
