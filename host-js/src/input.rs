//! Reading JSON that JavaScript hands over, member by member, with an error that names the member and never its value.

use kraube_core::http::Endpoint;
use kraube_core::json::{self, Members};
use kraube_core::provider::Client;

/// What is wrong with a value that crossed. Never holds a part of the value.
#[derive(Clone)]
pub(crate) struct Wrong(pub(crate) String);

pub(crate) type Read<T> = Result<T, Wrong>;

/// An object whose members are taken one by one; what is left at the end is a mistake of the caller. A member of another
/// type reads as absent, and the first of them is the error of whatever fails next, the [`end`](Self::end) at the latest: to
/// leave at each one would need code everywhere for dropping what was read before.
pub(crate) struct Object<'a> {
    members: Members<'a>,
    /// How errors call it.
    path: String,
    wrong: Option<Wrong>,
}

impl<'a> Object<'a> {
    pub(crate) fn parse(json: &'a str, path: &str) -> Read<Self> {
        match Members::parse(json.as_bytes()) {
            Some(members) => Ok(Self { members, path: path.into(), wrong: None }),
            None => Err(Wrong([path, " must be an object"].concat())),
        }
    }

    /// The JSON of a member; `None` where it is absent.
    pub(crate) fn json(&mut self, name: &str) -> Option<&'a str> {
        self.members.take(name)
    }

    /// A member that is read as what it must be; `None` where it is absent or null.
    pub(crate) fn value<T>(&mut self, name: &str, what: &str, read: fn(&str) -> Option<T>) -> Option<T> {
        let value = read(self.json(name).filter(|json| *json != "null")?);
        if value.is_none() {
            self.wrong = Some(self.wrong(name, what));
        }
        value
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.value(name, "a string", json::text)
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

    pub(crate) fn object(&mut self, name: &str) -> Option<Self> {
        let json = self.json(name).filter(|json| *json != "null")?;
        match Self::parse(json, &self.path_of(name)) {
            Ok(object) => Some(object),
            Err(wrong) => self.mistake(wrong),
        }
    }

    pub(crate) fn endpoint(&mut self, name: &str) -> Option<Endpoint> {
        match Endpoint::parse(&self.text(name)?) {
            Ok(endpoint) => Some(endpoint),
            Err(error) => self.mistake(Wrong([&self.path_of(name), ": ", &error.to_string()].concat())),
        }
    }

    /// Takes the last member, whose value must be a string.
    pub(crate) fn next_text(&mut self) -> Option<(String, String)> {
        let (name, json) = self.members.pop()?;
        match json::text(json) {
            Some(text) => Some((name, text)),
            None => self.mistake(self.wrong(&name, "a string")),
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
    pub(crate) fn end(mut self) -> Read<()> {
        match (self.wrong.take(), self.members.pop()) {
            (None, None) => Ok(()),
            (Some(wrong), _) => Err(wrong),
            (None, Some((name, _))) => Err(Wrong([&self.path_of(&name), " is not known"].concat())),
        }
    }

    fn first(&self, message: String) -> Wrong {
        self.wrong.clone().unwrap_or(Wrong(message))
    }

    fn mistake<T>(&mut self, wrong: Wrong) -> Option<T> {
        self.wrong.get_or_insert(wrong);
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
