//! JSON objects that hold secrets: read member by member with the values untouched, written in one allocation of the
//! right size. (`serde_json` would grow its buffer and leave copies of the secrets behind.)

use crate::http::Response;
use crate::secret::Secret;
use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

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
    exactly(|json| {
        json.push("{");
        for (index, (name, value)) in members.clone().enumerate() {
            if index > 0 {
                json.push(",");
            }
            push_string(json, name);
            json.push(":");
            match value {
                Value::Text(text) => push_string(json, text),
                Value::Json(value) => json.push(value),
            }
        }
        json.push("}");
    })
}

/// What is written, in one allocation of just its size.
pub(crate) fn exactly(write: impl Fn(&mut dyn Sink)) -> String {
    let mut size = 0_usize;
    write(&mut size);
    let mut text = String::with_capacity(size);
    write(&mut text);
    text
}

/// Where text is written to, or counted.
pub(crate) trait Sink {
    fn push(&mut self, text: &str);
}

impl Sink for String {
    fn push(&mut self, text: &str) {
        self.push_str(text);
    }
}

impl Sink for usize {
    fn push(&mut self, text: &str) {
        *self += text.len();
    }
}

/// Why bytes are no JSON object that can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// No JSON object, or cut off.
    NotJson,
    /// The same member twice: which one counts would be a guess.
    Repeated,
}

/// A JSON object, member by member, values untouched.
#[derive(Default)]
pub(crate) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let members: Self = serde_json::from_slice(bytes).map_err(|_| Malformed::NotJson)?;
        let mut names = BTreeSet::new();
        if !members.0.iter().all(|(name, _)| names.insert(name.as_str())) {
            return Err(Malformed::Repeated);
        }
        Ok(members)
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.remove(at).1)
    }

    /// The value, where it has the type. What has not is as good as absent: it is ours, and nobody else's to keep.
    pub(crate) fn value<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        serde_json::from_slice(self.take(name)?.get().as_bytes()).ok()
    }

    pub(crate) fn rest(self) -> Vec<(String, Secret)> {
        self.0.into_iter().map(|(name, raw)| (name, Secret::new(raw.get()))).collect()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                    members.push((name.into_owned(), value));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Visit).map(Self).map_err(de::Error::custom)
    }
}

/// Writes one JSON object with a member a line.
pub(crate) struct Writer<'t> {
    pub(crate) sink: &'t mut dyn Sink,
    indent: &'static str,
    empty: bool,
}

impl<'t> Writer<'t> {
    pub(crate) fn open(sink: &'t mut dyn Sink, indent: &'static str) -> Self {
        sink.push("{");
        Self { sink, indent, empty: true }
    }

    pub(crate) fn name(&mut self, name: &str) {
        self.sink.push(if self.empty { "\n" } else { ",\n" });
        self.empty = false;
        self.sink.push(self.indent);
        push_string(self.sink, name);
        self.sink.push(": ");
    }

    pub(crate) fn string(&mut self, name: &str, value: &str) {
        self.name(name);
        push_string(self.sink, value);
    }

    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.raw(name, &value.to_string());
    }

    pub(crate) fn raw(&mut self, name: &str, value: &str) {
        self.name(name);
        self.sink.push(value);
    }

    pub(crate) fn close(self, end: &str) {
        self.sink.push(end);
    }
}

/// Reads an object into a struct; `None` where it does not fit. `serde` alone would take an array for one too, value by
/// value.
pub(crate) fn document<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let is_object = bytes.trim_ascii_start().starts_with(b"{");
    // The error of the parser is dropped: it would quote the value that it failed on, which may be a token.
    if is_object { serde_json::from_slice(bytes).ok() } else { None }
}

/// The same of the body of an answer, where it is not too long to be one.
pub(crate) fn answer<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    if body.len() <= Response::MAX_BODY { document(body) } else { None }
}

/// Reads a string, or null, into a [`Secret`]; for `#[serde(deserialize_with)]`.
pub(crate) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|value| value.map(Secret::new))
}

/// A string as RFC 8259 section 7 writes it.
fn push_string(json: &mut dyn Sink, text: &str) {
    json.push("\"");
    for c in text.chars() {
        match c {
            '"' => json.push("\\\""),
            '\\' => json.push("\\\\"),
            '\0'..='\x1f' => json.push(&format!("\\u{:04x}", u32::from(c))),
            _ => json.push(c.encode_utf8(&mut [0; 4])),
        }
    }
    json.push("\"");
}

#[cfg(test)]
mod tests {
    use super::{Value, object};

    #[test]
    fn an_object_has_just_the_room_that_it_needs() {
        for text in ["\u{1}\u{2}\0", "\"\\\"", "plain", "\u{1f511}é", ""] {
            let json = object([("\u{1}", Value::Text(text)), (text, Value::Json("null"))].into_iter());
            assert_eq!(json.capacity(), json.len(), "a buffer that grows leaves copies of secrets behind: {json}");
        }
    }
}
