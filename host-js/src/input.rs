//! Reading JSON that JavaScript hands over, member by member, with an error that names the member and never its value.

use kraube_core::http::Endpoint;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What is wrong with a value that crossed. Never holds a part of the value.
#[derive(Clone)]
pub(crate) struct Wrong(pub(crate) String);

pub(crate) type Read<T> = Result<T, Wrong>;

/// An object whose members are taken one by one; what is left at the end is a mistake of the caller. A member of another
/// type reads as absent, and the first of them is the error of whatever fails next, the [`end`](Self::end) at the latest: to
/// leave at each one would need code everywhere for dropping what was read before.
pub(crate) struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
    /// How errors call it.
    path: String,
    wrong: Option<Wrong>,
}

impl<'a> Object<'a> {
    pub(crate) fn parse(json: &'a str, path: &str) -> Read<Self> {
        match serde_json::from_slice(json.as_bytes()) {
            Ok(Members(members)) => Ok(Self { members, path: path.into(), wrong: None }),
            Err(_) => Err(Wrong([path, " must be an object"].concat())),
        }
    }

    /// The JSON of a member; `None` where it is absent or null.
    pub(crate) fn json(&mut self, name: &str) -> Option<&'a str> {
        let at = self.members.iter().position(|(other, _)| other == name)?;
        let json = self.members.remove(at).1.get();
        (json != "null").then_some(json)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(other, _)| other == name)
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let json = self.json(name)?;
        match serde_json::from_slice(json.as_bytes()) {
            Ok(text) => Some(text),
            Err(_) => self.mistake([&self.path_of(name), " must be a string"].concat()),
        }
    }

    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.json(name)? {
            "true" => Some(true),
            "false" => Some(false),
            _ => self.mistake([&self.path_of(name), " must be true or false"].concat()),
        }
    }

    /// A number that is not negative. Fractions are cut off, what is too large is the largest.
    pub(crate) fn number(&mut self, name: &str) -> Option<u64> {
        let digits = self.json(name)?.split('.').next().unwrap_or_default();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.mistake([&self.path_of(name), " must be a number that is not negative"].concat());
        }
        Some(digits.parse().unwrap_or(u64::MAX))
    }

    pub(crate) fn object(&mut self, name: &str) -> Option<Self> {
        let path = self.path_of(name);
        match Self::parse(self.json(name)?, &path) {
            Ok(object) => Some(object),
            Err(Wrong(message)) => self.mistake(message),
        }
    }

    pub(crate) fn endpoint(&mut self, name: &str) -> Option<Endpoint> {
        match Endpoint::parse(&self.text(name)?) {
            Ok(endpoint) => Some(endpoint),
            Err(error) => self.mistake([&self.path_of(name), ": ", &error.to_string()].concat()),
        }
    }

    /// A document of the core. Its own error says what is wrong with it.
    pub(crate) fn document<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let json = self.json(name)?;
        match serde_json::from_slice(json.as_bytes()) {
            Ok(document) => Some(document),
            Err(error) => self.mistake([&self.path_of(name), ": ", &error.to_string()].concat()),
        }
    }

    /// Takes the last member, whose value must be a string.
    pub(crate) fn next_text(&mut self) -> Option<(String, String)> {
        let name = self.members.last()?.0.clone().into_owned();
        match self.text(&name) {
            Some(text) => Some((name, text)),
            None => self.mistake([&self.path_of(&name), " must be a string"].concat()),
        }
    }

    /// The value of a member that must be there.
    pub(crate) fn need<T>(&self, name: &str, value: Option<T>) -> Read<T> {
        value.ok_or_else(|| self.first([&self.path_of(name), " is missing"].concat()))
    }

    pub(crate) fn wrong(&self, name: &str, wanted: &str) -> Wrong {
        self.first([&self.path_of(name), " must be ", wanted].concat())
    }

    /// Nothing may be left, and nothing may have been wrong.
    pub(crate) fn end(self) -> Read<()> {
        match (&self.wrong, self.members.last()) {
            (None, None) => Ok(()),
            (Some(wrong), _) => Err(wrong.clone()),
            (None, Some((name, _))) => Err(Wrong([&self.path_of(name), " is not known"].concat())),
        }
    }

    fn first(&self, message: String) -> Wrong {
        self.wrong.clone().unwrap_or(Wrong(message))
    }

    fn mistake<T>(&mut self, message: String) -> Option<T> {
        self.wrong = Some(self.first(message));
        None
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.into() } else { [&self.path, ".", name].concat() }
    }
}

/// A number of JavaScript as a whole one; `None` where it is negative, infinite or none.
pub(crate) fn whole(number: f64) -> Option<u64> {
    (number >= 0.0 && number.is_finite()).then_some(number as u64)
}

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Visit).map(Self)
    }
}
