//! The `Retry-After` header (RFC 9110 section 10.2.3): seconds, or a date in the one form that may still be sent.

use crate::http::Response;
use crate::policy::Policy;
use crate::time::{Millis, Timestamp};

/// What an answer asks for; see [`parse`].
pub(crate) fn of(response: &Response, now: Timestamp) -> Option<Millis> {
    parse(response.retry_after.as_deref()?, now)
}

/// How long to wait from `now`; at most [`Policy::RETRY_MAX`], zero for a date that has passed, `None` for what is neither form.
fn parse(header: &str, now: Timestamp) -> Option<Millis> {
    let header = header.trim_ascii();
    let wait = if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        Millis::from_secs(header.parse().unwrap_or(u64::MAX))
    } else {
        Timestamp(imf_fixdate(header)?.saturating_mul(1000)).since(now)
    };
    Some(wait.min(Policy::RETRY_MAX))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` in seconds since the Unix epoch (RFC 9110 section 5.6.7).
pub(crate) fn imf_fixdate(text: &str) -> Option<u64> {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let bytes: &[u8; 29] = text.as_bytes().try_into().ok()?;
    let separators = [(3, b','), (4, b' '), (7, b' '), (11, b' '), (16, b' '), (19, b':'), (22, b':')];
    if separators.iter().any(|&(at, byte)| bytes[at] != byte) || !text.ends_with(" GMT") {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to]
            .iter()
            .try_fold(0_u64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
    };
    let (day, year) = (number(5, 7)?, number(12, 16)?);
    // The separators on both sides are ASCII, so the slices end between characters.
    let month = MONTHS.iter().position(|name| *name == &text[8..11])?;
    let (hour, minute, second) = (number(17, 19)?, number(20, 22)?, number(23, 25)?);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = |month: usize| match month {
        1 => 28 + u64::from(leap(year)),
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    };
    if year < 1970 || day == 0 || day > length(month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    let days =
        (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969) + (0..month).map(length).sum::<u64>() + day - 1;
    let weekday = usize::try_from(days % 7).ok()?;
    (DAYS[weekday] == &text[..3]).then_some(days * 86_400 + hour * 3600 + minute * 60 + second)
}
