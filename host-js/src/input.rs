//! Reading JSON that JavaScript hands over, member by member, with an error that names the member and never its value.

use crate::write::threw;
use kraube_core::http::Endpoint;
use kraube_core::json::{self, Members};
use kraube_core::provider::Client;

/// What JavaScript throws.
pub(crate) type Read<T> = Result<T, String>;

/// An object whose members are taken one by one, those of the objects in it as `object.member`. One that is missing or of
/// another type reads as `None`. The first mistake is the error at the [`end`](Self::end), as is a member that nobody has
/// taken: to leave at each one would need code everywhere for dropping what was read before.
pub(crate) struct Given<'a> {
    members: Vec<(String, &'a str)>,
    mistake: Option<String>,
}

impl<'a> Given<'a> {
    pub(crate) fn parse(json: &'a str) -> Self {
        let mut given = Self { members: Vec::new(), mistake: None };
        given.add("", json);
        given
    }

    /// Makes the members of an object in this one known, and says whether it is there.
    pub(crate) fn open(&mut self, name: &str) -> bool {
        let object = self.json(name).filter(|json| *json != "null");
        if let Some(json) = object {
            self.add(name.split_once('.').map_or(name, |(_, name)| name), json);
        }
        object.is_some()
    }

    fn add(&mut self, object: &str, json: &'a str) {
        let Some(mut members) = Members::parse(json.as_bytes()) else {
            return self.wrong(object, "an object");
        };
        let dot = if object.is_empty() { "" } else { "." };
        while let Some((name, value)) = members.pop() {
            self.members.push(([object, dot, &name].concat(), value));
        }
    }

    /// The JSON of a member; `None` where it is absent.
    pub(crate) fn json(&mut self, name: &str) -> Option<&'a str> {
        let at = self.members.iter().position(|(other, _)| other == name)?;
        Some(self.members.swap_remove(at).1)
    }

    /// A member that is read as what it must be; `None` where it is absent or null, too.
    pub(crate) fn value<T>(&mut self, name: &str, what: &str, read: fn(&str) -> Option<T>) -> Option<T> {
        let value = read(self.json(name).filter(|json| *json != "null")?);
        if value.is_none() {
            self.wrong(name, what);
        }
        value
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.value(name, "a string", json::text)
    }

    /// A string that must be there. It is empty where it is not.
    pub(crate) fn needed(&mut self, name: &str) -> String {
        let text = self.text(name);
        if text.is_none() {
            self.wrong(name, "there");
        }
        text.unwrap_or_default()
    }

    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        self.value(name, "true or false", json::flag)
    }

    /// Fractions are cut off, what is too large is the largest.
    pub(crate) fn number(&mut self, name: &str) -> Option<u64> {
        self.value(name, "a number that is not negative", json::decimal)
    }

    pub(crate) fn client(&mut self, name: &str) -> Option<Client> {
        self.value(name, "a client", Client::from_json)
    }

    pub(crate) fn endpoint(&mut self, name: &str) -> Option<Endpoint> {
        let endpoint = Endpoint::parse(&self.text(name)?);
        if let Err(error) = &endpoint {
            self.mistake(&[name, ": ", &error.to_string()]);
        }
        endpoint.ok()
    }

    /// One of the strings in an object of any members, with its name.
    pub(crate) fn next_text(&mut self, prefix: &str) -> Option<(String, String)> {
        let name = self.members.iter().find_map(|(name, _)| name.strip_prefix(prefix))?.to_owned();
        let text = self.needed(&[prefix, &name].concat());
        Some((name, text))
    }

    pub(crate) fn wrong(&mut self, name: &str, wanted: &str) {
        self.mistake(&[name, " must be ", wanted]);
    }

    fn mistake(&mut self, message: &[&str]) {
        self.mistake.get_or_insert_with(|| message.concat());
    }

    /// What was read, where all of it was there, nothing was wrong, and nothing is left.
    pub(crate) fn end<T>(&mut self, read: Option<T>) -> Read<T> {
        if read.is_none() {
            self.mistake(&["something is missing"]);
        }
        self.judge()?;
        read.ok_or_else(String::new)
    }

    fn judge(&mut self) -> Read<()> {
        if let Some((name, _)) = self.members.pop() {
            self.mistake(&[&name, " is not known"]);
        }
        self.mistake.as_deref().map_or(Ok(()), |mistake| Err(misuse(mistake)))
    }
}

pub(crate) fn misuse(message: &str) -> String {
    threw("misuse", message)
}

/// A number of JavaScript as a whole one; `None` where it is negative, infinite or none.
pub(crate) fn whole(number: f64) -> Option<u64> {
    (number >= 0.0 && number.is_finite()).then_some(number as u64)
}
