//! JSON objects that hold secrets, written in one allocation. (`serde_json` would grow its buffer and leave copies of
//! the secrets behind.)

use alloc::format;
use alloc::string::String;

/// An object whose members all are strings.
pub(crate) fn object<'a>(members: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> String {
    // No character becomes longer than the six of `\u001b`; four quotes, a colon and a comma.
    let room = members.clone().map(|(name, value)| 6 * (name.len() + value.len()) + 6).sum::<usize>() + 2;
    let mut json = String::with_capacity(room);
    json.push('{');
    for (index, (name, value)) in members.enumerate() {
        if index > 0 {
            json.push(',');
        }
        push_string(&mut json, name);
        json.push(':');
        push_string(&mut json, value);
    }
    json.push('}');
    json
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
