//! Text that others wrote, made fit for a terminal, a log and a page.

use crate::secret::Secret;
use alloc::string::String;
use core::fmt;

/// Writes the parts of a sentence one after the other. (`write!` would bring the machinery of formats into modules for the
/// web.)
pub(crate) fn say(f: &mut fmt::Formatter<'_>, parts: &[&str]) -> fmt::Result {
    parts.iter().try_for_each(|part| f.write_str(part))
}

/// Two digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Longer text is cut here, in characters.
const LONGEST: usize = 200;

/// Keeps the characters that RFC 6749 section 4.1.2.1 allows in `error` and `error_description`
/// (`%x20-21 / %x23-5B / %x5D-7E`) and drops all others: control characters, quotes, the backslash, non-ASCII.
pub(crate) fn displayable(text: &str) -> String {
    text.chars().filter(|&c| matches!(c, ' '..='!' | '#'..='[' | ']'..='~')).take(LONGEST).collect()
}

/// `code: description`, each as it may be [`said`]; `fallback` where the code is missing or nothing of it is left.
pub(crate) fn error_detail(code: Option<&str>, description: Option<&str>, fallback: &str, sent: &[Secret]) -> String {
    let mut detail = code.map(|text| said(text, sent)).unwrap_or_default();
    if detail.is_empty() {
        detail.push_str(fallback);
    }
    let description = description.map(|text| said(text, sent)).unwrap_or_default();
    if !description.trim_ascii().is_empty() {
        detail.push_str(": ");
        detail.push_str(description.trim_ascii());
    }
    detail
}

/// What a server said of an error, displayable: nothing where it repeats a secret that was sent to it. It may also repeat what
/// it wanted to send, or sent before: words that could be a credential are not shown.
pub(crate) fn said(text: &str, sent: &[Secret]) -> String {
    let repeats = |secret: &Secret| {
        let secret = secret.expose().as_bytes();
        text.as_bytes().windows(secret.len().max(1)).any(|part| part == secret)
    };
    if sent.iter().any(repeats) {
        return String::new();
    }
    displayable(&without_credentials(text))
}

fn without_credentials(text: &str) -> String {
    let mut shown = String::new();
    let ends = |c: char| {
        let mark = matches!(c, '"' | '\'' | '`' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';');
        mark || c.is_whitespace()
    };
    for word in text.split_inclusive(ends) {
        let address = word.strip_prefix("https://").or_else(|| word.strip_prefix("http://"));
        let hidden = match address.map(str::as_bytes).filter(|address| !address.contains(&b'@')) {
            Some(address) => leads_to_a_credential(address),
            None => is_credential(word.as_bytes()),
        };
        shown.push_str(if hidden { "*** " } else { word });
    }
    shown
}

/// An address has a host, which is no credential, and parts of a path and a query, each of which may be one.
fn leads_to_a_credential(address: &[u8]) -> bool {
    let mut query = false;
    let mut parts = address.split(|byte| {
        query |= matches!(byte, b'?' | b'#');
        if query { matches!(byte, b'?' | b'#' | b'&' | b'=') } else { *byte == b'/' }
    });
    parts.next();
    parts.any(is_credential)
}

/// Credentials are no words of a language: long, and with digits, or with capitals behind small letters, or with a part that is
/// longer than words are.
fn is_credential(word: &[u8]) -> bool {
    const SHORTEST: usize = 16;
    const LONGEST_WORD: usize = 24;
    let digits = word.iter().any(u8::is_ascii_digit);
    let capitals = word.windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    let endless = word.split(|byte| !byte.is_ascii_alphanumeric()).any(|part| part.len() > LONGEST_WORD);
    word.len() >= SHORTEST && (digits || capitals || endless)
}
