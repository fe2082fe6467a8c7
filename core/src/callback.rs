//! The authorization response (RFC 6749 section 4.1.2) as it reaches us: the query of a request to the redirect URI, or
//! what a person pasted. Everything in it is hostile until the state is found to be ours.

use crate::secret::{Fingerprint, Secret};
use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;
use zeroize::Zeroizing;

/// Longer responses are not looked at.
const LONGEST: usize = 8 * 1024;

/// A possible authorization response.
#[derive(Clone, Copy)]
pub enum Callback<'a> {
    /// The query of a `GET` request to the redirect URI: what is behind the `?`, undecoded.
    Query(&'a str),
    /// What a person pasted: the whole URL that the browser ended on, `code#state`, or the code. Line breaks of a
    /// terminal, quotes around it and the marks of bracketed paste do no harm.
    Pasted(&'a str),
}

impl fmt::Debug for Callback<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(text) => write!(f, "Query({} bytes)", text.len()),
            Self::Pasted(text) => write!(f, "Pasted({} bytes)", text.len()),
        }
    }
}

/// Why a callback was not the awaited one. The login goes on: anybody may send requests to a listener, so none of these
/// may end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ignored {
    /// It is longer than 8 KiB.
    TooLong,
    /// Nothing was pasted.
    Empty,
    /// It has control characters, or others that no response can have.
    Characters,
    /// The pasted URL is not the redirect URI.
    OtherAddress,
    /// A parameter is there twice (RFC 6749 section 3.1).
    Repeated,
    /// It has no `state`.
    StateMissing,
    /// Its `state` is not that of this login (RFC 6749 section 10.12).
    StateMismatch,
    /// This login had its one answer already.
    Answered,
    /// Its `iss` is missing, and the server always sends one (RFC 9207 section 2.4).
    IssuerMissing,
    /// Its `iss` is another server (RFC 9207 section 2.4).
    IssuerMismatch,
    /// It has neither a code nor an error.
    NoCode,
    /// It has both a code and an error.
    Contradictory,
}

impl Ignored {
    /// A stable identifier.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Empty => "empty",
            Self::Characters => "invalid_characters",
            Self::OtherAddress => "other_address",
            Self::Repeated => "repeated_parameter",
            Self::StateMissing => "state_missing",
            Self::StateMismatch => "state_mismatch",
            Self::Answered => "already_answered",
            Self::IssuerMissing => "issuer_missing",
            Self::IssuerMismatch => "issuer_mismatch",
            Self::NoCode => "no_code",
            Self::Contradictory => "contradictory",
        }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the answer is longer than 8 KiB; copy only the code, or the address of the page",
            Self::Empty => "nothing was pasted; copy the code, or the address of the page that the browser ended on",
            Self::Characters => "the answer has control or non-ASCII characters; copy it again",
            Self::OtherAddress => {
                "this is the address of another page; copy the address of the page that the browser ended on after you \
                 agreed"
            }
            Self::Repeated => "the answer has a parameter twice; open the login page again",
            Self::StateMissing => "the answer has no state; copy all of it, or open the login page again",
            Self::StateMismatch => "the answer belongs to another login; use the newest login page",
            Self::Answered => "this login was answered before; start a new one",
            Self::IssuerMissing => "the answer does not name the authorization server, as this server always does",
            Self::IssuerMismatch => "the answer comes from another authorization server; it was not used",
            Self::NoCode => "the answer has neither a code nor an error; open the login page again",
            Self::Contradictory => "the answer has both a code and an error; open the login page again",
        })
    }
}

/// The fingerprint of the state in a pasted text, to find the login that it belongs to; `None` where it has none.
pub fn state_in_pasted(text: &str) -> Option<Fingerprint> {
    let text = clean(text).ok()?;
    let state = match split(&text) {
        Pasted::Url { query, .. } => parse_query(query).ok()?.state,
        Pasted::CodeAndState { state, .. } => Some(Secret::new(state)),
        Pasted::Code(_) => None,
    };
    state.filter(|state| !state.is_empty()).map(|state| state.fingerprint())
}

/// The parameters that have a meaning here. One without a value counts as absent (RFC 6749 section 3.1).
#[derive(Default)]
pub(crate) struct Parameters {
    pub(crate) code: Option<Secret>,
    pub(crate) state: Option<Secret>,
    pub(crate) iss: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) error_description: Option<String>,
}

/// Reads a query. Parameters that are not known are ignored; known ones that are repeated make it void.
pub(crate) fn parse_query(query: &str) -> Result<Parameters, Ignored> {
    if query.len() > LONGEST {
        return Err(Ignored::TooLong);
    }
    const NAMES: [&str; 5] = ["code", "state", "iss", "error", "error_description"];
    let mut values: [Option<Cow<'_, str>>; 5] = Default::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if let Some(index) = NAMES.iter().position(|known| *known == name)
            && values[index].replace(value).is_some()
        {
            return Err(Ignored::Repeated);
        }
    }
    let [code, state, iss, error, error_description] =
        values.map(|value| value.filter(|value| !value.is_empty()).map(Cow::into_owned));
    // RFC 6749 appendix A.11: a code has visible characters and spaces.
    if code.as_ref().is_some_and(|code| !code.bytes().all(|byte| matches!(byte, b' '..=b'~'))) {
        return Err(Ignored::Characters);
    }
    Ok(Parameters { code: code.map(Secret::new), state: state.map(Secret::new), iss, error, error_description })
}

/// What was pasted, and whether it has to name the state: only a bare code does not.
pub(crate) struct PastedAnswer {
    pub(crate) parameters: Parameters,
    pub(crate) is_url: bool,
    pub(crate) has_state: bool,
}

/// Reads pasted text. A URL must be that of the redirect URI.
pub(crate) fn parse_pasted(text: &str, redirect_uri: &str) -> Result<PastedAnswer, Ignored> {
    let text = clean(text)?;
    let some = |value: &str| (!value.is_empty()).then(|| Secret::new(value));
    match split(&text) {
        Pasted::Url { address, query } => {
            if address != address_of(redirect_uri) {
                return Err(Ignored::OtherAddress);
            }
            Ok(PastedAnswer { parameters: parse_query(query)?, is_url: true, has_state: true })
        }
        Pasted::CodeAndState { state, .. } if state.as_bytes().contains(&b'#') => Err(Ignored::Repeated),
        Pasted::CodeAndState { code, state } => {
            let parameters = Parameters { code: some(code), state: some(state), ..Parameters::default() };
            Ok(PastedAnswer { parameters, is_url: false, has_state: true })
        }
        Pasted::Code(code) => {
            let parameters = Parameters { code: some(code), ..Parameters::default() };
            Ok(PastedAnswer { parameters, is_url: false, has_state: false })
        }
    }
}

/// Pasted text without what a terminal, a line break and quotation added to it: visible ASCII characters, at least one.
fn clean(text: &str) -> Result<Zeroizing<String>, Ignored> {
    if text.len() > LONGEST {
        return Err(Ignored::TooLong);
    }
    let mut clean = Zeroizing::new(String::with_capacity(text.len()));
    for (index, part) in text.split('\u{1b}').enumerate() {
        let bracketed = part.strip_prefix("[200~").or(part.strip_prefix("[201~"));
        let part = if index > 0 { bracketed.ok_or(Ignored::Characters)? } else { part };
        clean.extend(part.chars().filter(|c| !c.is_ascii_whitespace()));
    }
    if !clean.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Ignored::Characters);
    }
    for quotes in [['"', '"'], ['\'', '\''], ['`', '`'], ['<', '>']] {
        let inner = clean.strip_prefix(quotes[0]).and_then(|rest| rest.strip_suffix(quotes[1]));
        if let Some(inner) = inner {
            clean = Zeroizing::new(inner.into());
        }
    }
    if clean.is_empty() { Err(Ignored::Empty) } else { Ok(clean) }
}

/// The three forms of pasted text.
enum Pasted<'a> {
    Url { address: &'a str, query: &'a str },
    CodeAndState { code: &'a str, state: &'a str },
    Code(&'a str),
}

fn split(text: &str) -> Pasted<'_> {
    if text.split_once(':').is_some_and(|(_, rest)| rest.starts_with("//")) {
        let without_fragment = text.split('#').next().unwrap_or_default();
        let query = without_fragment.split_once('?').map_or("", |(_, query)| query);
        return Pasted::Url { address: address_of(text), query };
    }
    match text.split_once('#') {
        Some((code, state)) => Pasted::CodeAndState { code, state },
        None => Pasted::Code(text),
    }
}

/// Scheme, host, port and path of a URL. An empty path is the path `/`, as browsers write it.
fn address_of(url: &str) -> &str {
    let address = url.split(['?', '#']).next().unwrap_or_default();
    match address.strip_suffix('/') {
        Some(origin) if origin.matches('/').count() == 2 => origin,
        _ => address,
    }
}
