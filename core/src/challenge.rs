//! The challenges of a `WWW-Authenticate` header (RFC 9110 section 11.6.1): what a resource says to a request without a
//! token, or with one that it does not accept (RFC 6750 section 3, RFC 9728 section 5.1).

use alloc::string::String;
use alloc::vec::Vec;

/// Longer headers are not looked at.
const LONGEST: usize = 8 * 1024;

/// One challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The authentication scheme, in lower case: `bearer`, `dpop`.
    pub scheme: String,
    /// The parameters, names in lower case, quotes and escapes undone, in their order. None is there twice. The values
    /// are as hostile as everything that a server sends.
    pub parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter; `name` is in lower case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The challenges of one header field. A challenge that has a parameter twice is left out, since which one counts would
/// be a guess; where the text stops making sense, what came before it stands.
pub fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    if header.len() > LONGEST {
        return challenges;
    }
    let mut rest = Cursor(header);
    while let Some(challenge) = rest.challenge() {
        if let Some(challenge) = challenge {
            challenges.push(challenge);
        }
    }
    challenges
}

/// What is still to be read.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    /// `None` at the end; `Some(None)` for a challenge that cannot be relied on.
    fn challenge(&mut self) -> Option<Option<Challenge>> {
        self.skip(|c| matches!(c, ' ' | '\t' | ','));
        let scheme = self.token()?.to_ascii_lowercase();
        let mut parameters = Vec::<(String, String)>::new();
        if !self.0.is_empty() && !self.0.starts_with([' ', '\t', ',']) {
            self.0 = "";
            return None;
        }
        self.skip(|c| matches!(c, ' ' | '\t'));
        self.token68();
        let mut repeated = false;
        loop {
            let before = self.0;
            self.skip(|c| matches!(c, ' ' | '\t' | ','));
            // A name without a value is the scheme of the next challenge.
            let Some((name, value)) = self.parameter() else {
                self.0 = before;
                break;
            };
            repeated |= parameters.iter().any(|(known, _)| *known == name);
            parameters.push((name, value));
        }
        Some((!repeated).then_some(Challenge { scheme, parameters }))
    }

    fn parameter(&mut self) -> Option<(String, String)> {
        let name = self.token()?.to_ascii_lowercase();
        self.skip(|c| matches!(c, ' ' | '\t'));
        self.0 = self.0.strip_prefix('=')?;
        self.skip(|c| matches!(c, ' ' | '\t'));
        let value = match self.0.strip_prefix('"') {
            Some(quoted) => self.quoted(quoted)?,
            None => self.token()?.into(),
        };
        Some((name, value))
    }

    /// A quoted string whose first quote is gone.
    fn quoted(&mut self, text: &'a str) -> Option<String> {
        let mut value = String::new();
        let mut chars = text.char_indices();
        loop {
            match chars.next()? {
                (at, '"') => {
                    self.0 = &text[at + 1..];
                    return Some(value);
                }
                (_, '\\') => value.push(chars.next()?.1),
                (_, c) => value.push(c),
            }
        }
    }

    /// Credentials without a name, as of `Negotiate`. They say nothing to us.
    fn token68(&mut self) {
        let end = self.0.find(|c: char| !(c.is_ascii_alphanumeric() || "-._~+/".contains(c))).unwrap_or(self.0.len());
        let after = self.0[end..].trim_start_matches('=').trim_start_matches([' ', '\t']);
        if end > 0 && (after.is_empty() || after.starts_with(',')) {
            self.0 = after;
        }
    }

    fn token(&mut self) -> Option<&'a str> {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self.0.find(|c| !is_token(c)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    fn skip(&mut self, unwanted: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(unwanted);
    }
}
