//! Reading JSON that JavaScript hands over, member by member, with an error that names the member and never its value.

use kraube_core::http::Endpoint;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What is wrong with a value that crossed. Never holds a part of the value.
pub(crate) struct Wrong(pub(crate) String);

pub(crate) type Read<T> = Result<T, Wrong>;

/// An object whose members are taken one by one; what is left at the end is a mistake of the caller.
pub(crate) struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
    /// How errors call it.
    path: String,
}

impl<'a> Object<'a> {
    pub(crate) fn parse(json: &'a str, path: &str) -> Read<Self> {
        match serde_json::from_slice(json.as_bytes()) {
            Ok(Members(members)) => Ok(Self { members, path: path.into() }),
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

    pub(crate) fn text(&mut self, name: &str) -> Read<Option<String>> {
        self.parsed(name, "a string")
    }

    pub(crate) fn flag(&mut self, name: &str) -> Read<Option<bool>> {
        self.parsed(name, "true or false")
    }

    /// A number that is not negative. Fractions are cut off, what is too large is the largest.
    pub(crate) fn number(&mut self, name: &str) -> Read<Option<u64>> {
        let Some(json) = self.json(name) else { return Ok(None) };
        let digits = json.split('.').next().unwrap_or_default();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.wrong(name, "a number that is not negative"));
        }
        Ok(Some(digits.parse().unwrap_or(u64::MAX)))
    }

    pub(crate) fn object(&mut self, name: &str) -> Read<Option<Self>> {
        let path = self.path_of(name);
        self.json(name).map(|json| Self::parse(json, &path)).transpose()
    }

    pub(crate) fn endpoint(&mut self, name: &str) -> Read<Option<Endpoint>> {
        let Some(url) = self.text(name)? else { return Ok(None) };
        match Endpoint::parse(&url) {
            Ok(endpoint) => Ok(Some(endpoint)),
            Err(error) => Err(Wrong([&self.path_of(name), ": ", &error.to_string()].concat())),
        }
    }

    /// A document of the core. Its own error says what is wrong with it.
    pub(crate) fn document<T: DeserializeOwned>(&mut self, name: &str) -> Read<Option<T>> {
        let Some(json) = self.json(name) else { return Ok(None) };
        match serde_json::from_slice(json.as_bytes()) {
            Ok(document) => Ok(Some(document)),
            Err(error) => Err(Wrong([&self.path_of(name), ": ", &error.to_string()].concat())),
        }
    }

    /// Takes the last member, whose value must be a string.
    pub(crate) fn next_text(&mut self) -> Read<Option<(String, String)>> {
        let Some((name, _)) = self.members.last() else { return Ok(None) };
        let name = name.clone().into_owned();
        let text = self.text(&name)?;
        let text = text.ok_or_else(|| self.wrong(&name, "a string"))?;
        Ok(Some((name, text)))
    }

    /// The value of a member that must be there.
    pub(crate) fn need<T>(&self, name: &str, value: Option<T>) -> Read<T> {
        value.ok_or_else(|| Wrong([&self.path_of(name), " is missing"].concat()))
    }

    pub(crate) fn wrong(&self, name: &str, wanted: &str) -> Wrong {
        Wrong([&self.path_of(name), " must be ", wanted].concat())
    }

    /// Nothing may be left.
    pub(crate) fn end(mut self) -> Read<()> {
        match self.members.pop() {
            None => Ok(()),
            Some((name, _)) => Err(Wrong([&self.path_of(&name), " is not known"].concat())),
        }
    }

    fn parsed<T: DeserializeOwned>(&mut self, name: &str, wanted: &str) -> Read<Option<T>> {
        let Some(json) = self.json(name) else { return Ok(None) };
        serde_json::from_slice(json.as_bytes()).map(Some).map_err(|_| self.wrong(name, wanted))
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
