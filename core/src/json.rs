//! JSON objects that may hold secrets: read member by member with the values untouched, written in one allocation of the
//! right size. (`serde_json` would grow its buffer and leave copies of the secrets behind.)

mod scan;

use crate::http::Response;
use crate::number;
use crate::secret::Secret;
use crate::text::hex;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The value of a member.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    /// A string.
    Text(&'a str),
    /// A value that is JSON already.
    Json(&'a str),
}

/// An object with these members, without those that have no value.
pub(crate) fn object(members: &[(&str, Option<Value<'_>>)]) -> String {
    exactly(&|json| {
        let mut before = "{";
        for (name, value) in members.iter().filter_map(|(name, value)| Some((name, (*value)?))) {
            json.push(before);
            before = ",";
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

/// A list of strings.
pub(crate) fn strings<T: AsRef<str>>(texts: &[T]) -> String {
    exactly(&|json| {
        let mut before = "";
        json.push("[");
        for text in texts {
            json.push(before);
            before = ",";
            push_string(json, text.as_ref());
        }
        json.push("]");
    })
}

/// What is written, in one allocation of just its size.
pub(crate) fn exactly(write: &dyn Fn(&mut dyn Sink)) -> String {
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
    /// No JSON object, cut off, or with a member whose name is no text.
    NotJson,
    /// The same member twice: which one counts would be a guess.
    Repeated,
}

/// A JSON object, member by member, values untouched. Where a member that is asked for has another type or is there twice,
/// it reads as absent, and the object does not fit: a record goes by the first, a document by the second.
#[derive(Default)]
pub struct Members<'a> {
    members: Vec<(Option<String>, &'a str)>,
    unfit: bool,
}

impl<'a> Members<'a> {
    /// Reads an object; `None` where it is none. What members there are twice is seen when they are taken.
    pub fn parse(json: &'a [u8]) -> Option<Self> {
        let members = scan::parts(str::from_utf8(json).ok()?, *b"{}")?;
        Some(Self { members, unfit: false })
    }

    /// Reads the body of an answer, where it is not too long to be one.
    pub(crate) fn answer(body: &'a [u8]) -> Option<Self> {
        if body.len() <= Response::MAX_BODY { Self::parse(body) } else { None }
    }

    /// Reads an object with no member twice, and none whose name is no text.
    pub(crate) fn each_once(json: &'a [u8]) -> Result<Self, Malformed> {
        let members = Self::parse(json).ok_or(Malformed::NotJson)?;
        let mut names: Vec<Option<&str>> = members.members.iter().map(|(name, _)| name.as_deref()).collect();
        names.sort_unstable();
        if names.first() == Some(&None) {
            return Err(Malformed::NotJson);
        }
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Malformed::Repeated);
        }
        Ok(members)
    }

    /// Takes a member: its value as it is written.
    pub fn take(&mut self, name: &str) -> Option<&'a str> {
        let is = |(other, _): &(Option<String>, &str)| other.as_deref() == Some(name);
        let at = self.members.iter().position(is)?;
        let (_, value) = self.members.remove(at);
        self.unfit |= self.members.iter().any(is);
        Some(value)
    }

    /// Takes the last member, with its name, which is empty where it is no text.
    pub fn pop(&mut self) -> Option<(String, &'a str)> {
        let (name, value) = self.members.pop()?;
        Some((name.unwrap_or_default(), value))
    }

    /// Takes a member, read as what it is to be.
    pub(crate) fn value<T>(&mut self, name: &str, read: fn(&str) -> Option<T>) -> Option<T> {
        let value = read(self.take(name)?);
        self.unfit |= value.is_none();
        value
    }

    /// The same, where `null` is as good as absent.
    pub(crate) fn nullable<T>(&mut self, name: &str, read: fn(&str) -> Option<T>) -> Option<T> {
        let value = read(self.take(name).filter(|value| *value != "null")?);
        self.unfit |= value.is_none();
        value
    }

    /// A string, or null.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.nullable(name, text)
    }

    /// A string, or null, that is a secret.
    pub(crate) fn secret(&mut self, name: &str) -> Option<Secret> {
        self.text(name).map(Secret::new)
    }

    /// Whether each member that was taken was there once, and of its type.
    pub(crate) fn fits(&self) -> bool {
        !self.unfit
    }

    pub(crate) fn rest(self) -> Vec<(String, Secret)> {
        self.members.into_iter().filter_map(|(name, raw)| Some((name?, Secret::new(raw)))).collect()
    }
}

/// The string that a value is.
pub fn text(value: &str) -> Option<String> {
    scan::string(value)
}

/// The whole number that a value is.
pub fn whole<T: TryFrom<u64>>(value: &str) -> Option<T> {
    value.parse::<u64>().ok()?.try_into().ok()
}

/// The number that a value is, cut to a whole one; the largest where it is too large. `None` where it is negative.
pub fn decimal(value: &str) -> Option<u64> {
    number::decimal(value, 0)
}

/// The flag that a value is.
pub fn flag(value: &str) -> Option<bool> {
    value.parse().ok()
}

/// The list of strings that a value is.
pub fn texts(value: &str) -> Option<Vec<String>> {
    let mut texts = Vec::new();
    for value in list(value)? {
        texts.push(text(value)?);
    }
    Some(texts)
}

/// The list of HTTP statuses that a value is.
pub fn statuses(value: &str) -> Option<Vec<u16>> {
    let mut statuses = Vec::new();
    for value in list(value)? {
        statuses.push(whole(value)?);
    }
    Some(statuses)
}

/// The values of a list, as they are written.
pub fn list(value: &str) -> Option<impl Iterator<Item = &str>> {
    Some(scan::parts(value, *b"[]")?.into_iter().map(|(_, value)| value))
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

    pub(crate) fn all(&mut self, members: &[(String, Secret)]) {
        for (name, value) in members {
            self.raw(name, value.expose());
        }
    }

    pub(crate) fn close(self, end: &str) {
        self.sink.push(end);
    }
}

/// Appends a string as RFC 8259 section 7 writes it.
pub fn append(json: &mut String, text: &str) {
    push_string(json, text);
}

fn push_string(json: &mut dyn Sink, text: &str) {
    json.push("\"");
    for c in text.chars() {
        match c {
            '"' => json.push("\\\""),
            '\\' => json.push("\\\\"),
            '\0'..='\x1f' => {
                json.push("\\u00");
                json.push(&hex(&[c as u8]));
            }
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
            let json = object(&[("\u{1}", Some(Value::Text(text))), (text, Some(Value::Json("null"))), ("", None)]);
            assert_eq!(json.capacity(), json.len(), "a buffer that grows leaves copies of secrets behind: {json}");
        }
    }
}
