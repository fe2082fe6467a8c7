//! What a person or a pipe sees: data on standard output, everything else on standard error, in color only where a
//! terminal shows it.

use crate::exit::{Code, Failed, Report};
use anstyle::{AnsiColor, Style};
use kraube::core::time::Timestamp;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, SystemTime};

/// Writes data to standard output, all of it or with an error.
pub(crate) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failed> {
    let mut out = io::stdout().lock();
    write(&mut out).and_then(|()| out.flush()).map_err(|error| {
        if error.kind() == io::ErrorKind::BrokenPipe {
            // Whoever was to read it has gone, and knows.
            return Failed { code: Code::Error, report: None };
        }
        Failed::new(Code::Error, "standard output cannot be written").caused_by(error)
    })
}

/// A line for the person, in one write, so that those of several processes do not mix.
pub(crate) fn say(text: impl Display) {
    // Where standard error is closed there is nobody to tell.
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

pub(crate) fn warn(text: &str) {
    labelled(AnsiColor::Yellow, "warning", text);
}

pub(crate) fn hint(text: &str) {
    labelled(AnsiColor::Cyan, "hint", text);
}

/// The lines of an error: what, why, and what to do after a blank line.
pub(crate) fn report(Report { error, causes, hints }: &Report) {
    labelled(AnsiColor::Red, "error", error);
    causes.iter().for_each(|cause| labelled(AnsiColor::Red, "  caused by", cause));
    if !hints.is_empty() {
        say("");
    }
    hints.iter().for_each(|text| hint(text));
}

/// `in 5m 10s`, `3h ago`, `now`.
pub(crate) fn relative(at: Timestamp) -> String {
    let now = SystemTime::now();
    let at = system_time(at);
    match (at.duration_since(now), now.duration_since(at)) {
        (Ok(ahead), _) if ahead.as_secs() > 0 => format!("in {}", span(ahead)),
        (_, Ok(past)) if past.as_secs() > 0 => format!("{} ago", span(past)),
        _ => "now".to_owned(),
    }
}

/// The two largest units of it: `5m 10s`.
pub(crate) fn span(time: Duration) -> String {
    let text = humantime::format_duration(Duration::from_secs(time.as_secs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// `2026-01-31T12:00:00Z`.
pub(crate) fn date(at: Timestamp) -> String {
    humantime::format_rfc3339_seconds(system_time(at)).to_string()
}

/// Text of others, fit for a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A span of time on the command line: `10m`, `90s`, `1h 30m`, or a number of seconds.
pub(crate) fn parse_span(text: &str) -> Result<Duration, &'static str> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).map_err(|_| "give it as 10m, 90s or 1h, or as a number of seconds"),
    }
}

/// A text that is to begin in this column of standard output, and goes on there in the next lines. Words stay whole, however
/// long they are.
pub(crate) fn indented(text: &str, column: usize) -> String {
    let width = columns().saturating_sub(column);
    let options = textwrap::Options::new(width).break_words(false).word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::wrap(text, options).join(&format!("\n{:column$}", ""))
}

/// How many columns standard output has; no end to them where it is no terminal.
fn columns() -> usize {
    console::Term::stdout()
        .size_checked()
        .filter(|_| io::stdout().is_terminal())
        .map_or(usize::MAX, |(_, columns)| columns.into())
}

/// The last moment that can be written as a date is as good as any later one.
fn system_time(at: Timestamp) -> SystemTime {
    const YEAR_9999: u64 = 253_402_300_799_000;
    SystemTime::UNIX_EPOCH + Duration::from_millis(at.0.min(YEAR_9999))
}

fn labelled(color: AnsiColor, label: &str, text: &str) {
    let style = if in_color(io::stderr().is_terminal()) { color.on_default().bold() } else { Style::new() };
    say(format_args!("{style}{label}:{style:#} {}", plain(text)));
}

/// How to begin a colored word on standard output.
pub(crate) fn output_style(color: AnsiColor) -> Style {
    if in_color(io::stdout().is_terminal()) { color.on_default().bold() } else { Style::new() }
}

/// <https://no-color.org>; consoles of Windows need more than escape sequences.
fn in_color(is_terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(unix) && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb") && is_terminal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_or_without_a_unit() {
        assert_eq!(parse_span("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_span("1h 30m"), Ok(Duration::from_secs(5400)));
        assert!(parse_span("soon").is_err());
        assert!(parse_span("-5").is_err());
    }

    #[test]
    fn spans_are_shown_in_two_units() {
        assert_eq!(span(Duration::from_millis(310_999)), "5m 10s");
        assert_eq!(span(Duration::from_secs(90_061)), "1day 1h");
    }

    #[test]
    fn moments_beyond_the_calendar_are_shown() {
        assert_eq!(date(Timestamp(u64::MAX)), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn escape_sequences_of_others_do_not_reach_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\u{9b}c"), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
