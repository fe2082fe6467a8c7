//! The `Retry-After` header, against another reader of HTTP dates.

use crate::NOW;
use kraube_core::http::Response;
use kraube_core::provider::Provider;
use kraube_core::time::{Millis, Now, Timestamp};
use kraube_core::token::{Answer, read_answer};
use std::time::{Duration, SystemTime};

pub(crate) const WORDS: &[&str] = &[
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sun, ",
    "Tue, 29 Feb 2000 ",
    "06 Nov 1994 ",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "08:00:60",
    " GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "0",
    "120",
    "18446744073709551616",
    "-",
    "1.5",
    " ",
    "\t",
    "é",
];

const LONGEST: Millis = Millis::from_secs(3600);

pub(crate) fn check(input: &[u8]) {
    let Ok(header) = str::from_utf8(input) else { return };
    let client = Provider::demo("https://auth.example").expect("valid").client().expect("it has an id");
    let retry_after = Some(header.to_owned());
    let response = Response { status: 429, content_type: None, retry_after, dpop_nonce: None, body: Vec::new() };
    let now = Now { wall: Timestamp(NOW), monotonic: Millis::ZERO };
    let Answer::Throttled { retry_after } = read_answer(&client, &response, now) else { panic!("429 is 429") };
    let header = header.trim_ascii();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = header.parse().unwrap_or(u64::MAX);
        assert_eq!(retry_after, Some(Millis::from_secs(seconds).min(LONGEST)));
        return;
    }
    // Only the other reader knows the two old forms, only ours a leap second.
    let date = httpdate::parse_http_date(header).ok().filter(|date| httpdate::fmt_http_date(*date) == header);
    if let Some(date) = date {
        let wait = date.duration_since(SystemTime::UNIX_EPOCH + Duration::from_millis(NOW)).unwrap_or_default();
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        assert_eq!(retry_after, Some(Millis(millis).min(LONGEST)), "{header:?}");
    } else {
        assert!(retry_after.is_none() || header.contains(":60 "), "{header:?} is read as {retry_after:?}");
    }
}
