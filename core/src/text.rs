//! Text that others wrote, made fit for a terminal, a log and a page.

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

/// `code: description`, each made displayable; `fallback` where the code is missing or nothing of it is left.
pub(crate) fn error_detail(code: Option<&str>, description: Option<&str>, fallback: &str) -> String {
    let mut detail = code.map(said).unwrap_or_default();
    if detail.is_empty() {
        detail.push_str(fallback);
    }
    let description = description.map(said).unwrap_or_default();
    if !description.trim_ascii().is_empty() {
        detail.push_str(": ");
        detail.push_str(description.trim_ascii());
    }
    detail
}

/// What a server said of an error, displayable. It may repeat what it was sent, or what it wanted to send: words that could
/// be a credential are not shown.
pub(crate) fn said(text: &str) -> String {
    displayable(&without_credentials(text))
}

/// Credentials are no words of a language: long, without spaces, and with digits. An address without a query is none.
fn without_credentials(text: &str) -> String {
    const SHORTEST: usize = 16;
    let mut shown = String::new();
    let ends = |c: char| {
        let mark = matches!(c, '"' | '\'' | '`' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';');
        mark || c.is_whitespace()
    };
    for word in text.split_inclusive(ends) {
        let address = (word.starts_with("https://") || word.starts_with("http://")) && !word.contains(['?', '#']);
        let hidden = !address && word.len() >= SHORTEST && word.bytes().any(|byte| byte.is_ascii_digit());
        shown.push_str(if hidden { "*** " } else { word });
    }
    shown
}
