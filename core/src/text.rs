//! Text that others wrote, made fit for a terminal, a log and a page.

use alloc::string::String;

/// Longer text is cut here, in characters.
const LONGEST: usize = 200;

/// Keeps the characters that RFC 6749 section 4.1.2.1 allows in `error` and `error_description`
/// (`%x20-21 / %x23-5B / %x5D-7E`) and drops all others: control characters, quotes, the backslash, non-ASCII.
pub(crate) fn displayable(text: &str) -> String {
    text.chars().filter(|&c| matches!(c, ' '..='!' | '#'..='[' | ']'..='~')).take(LONGEST).collect()
}

/// `code: description`, each made displayable; `fallback` where the code is missing or nothing of it is left.
pub(crate) fn error_detail(code: Option<&str>, description: Option<&str>, fallback: &str) -> String {
    let mut detail = code.map(displayable).unwrap_or_default();
    if detail.is_empty() {
        detail.push_str(fallback);
    }
    let description = description.map(displayable).unwrap_or_default();
    if !description.trim().is_empty() {
        detail.push_str(": ");
        detail.push_str(description.trim());
    }
    detail
}
