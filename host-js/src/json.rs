//! Writing JSON for JavaScript.

use kraube_core::json;
use std::fmt;

/// One value that is being written.
#[derive(Default)]
pub(crate) struct Json(String);

impl Json {
    /// What `write` writes.
    pub(crate) fn of(write: &mut dyn FnMut(&mut Self)) -> String {
        let mut json = Self::default();
        write(&mut json);
        json.0
    }

    /// `{`, and at the end [`close`](Self::close).
    pub(crate) fn open(&mut self) {
        self.0.push('{');
    }

    pub(crate) fn close(&mut self) {
        self.0.push('}');
    }

    /// Begins a member; its value is to follow.
    pub(crate) fn name(&mut self, name: &str) {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        self.value(name);
        self.0.push(':');
    }

    /// Begins an object as a member.
    pub(crate) fn object(&mut self, name: &str) {
        self.name(name);
        self.open();
    }

    /// `{"type": case`
    pub(crate) fn case(&mut self, case: &str) {
        self.open();
        self.text("type", case);
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.value(value);
    }

    pub(crate) fn maybe(&mut self, name: &str, value: Option<&str>) {
        self.name(name);
        match value {
            Some(value) => self.value(value),
            None => self.null(),
        }
    }

    /// What it is to people.
    pub(crate) fn display(&mut self, name: &str, value: &dyn fmt::Display) {
        self.text(name, &value.to_string());
    }

    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.number_or_null(name, Some(value));
    }

    pub(crate) fn number_or_null(&mut self, name: &str, value: Option<u64>) {
        self.name(name);
        match value {
            Some(value) => self.0.push_str(&value.to_string()),
            None => self.null(),
        }
    }

    pub(crate) fn flag(&mut self, name: &str, value: bool) {
        self.name(name);
        self.0.push_str(if value { "true" } else { "false" });
    }

    /// A value that is JSON already.
    pub(crate) fn raw(&mut self, json: &str) {
        self.0.push_str(json);
    }

    pub(crate) fn null(&mut self) {
        self.raw("null");
    }

    /// A string (RFC 8259 section 7).
    pub(crate) fn value(&mut self, text: &str) {
        json::append(&mut self.0, text);
    }
}
