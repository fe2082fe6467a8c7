//! Answers of the device flow. An input is the answers one after the other, each behind an empty line: the status on a
//! line, then the body. What is no status is a connection that failed.

use crate::{NOW, fit_for_display, is_telling, members, text};
use kraube_core::device::{Device, DeviceError, Polled, Polling};
use kraube_core::http::{Response, SendError, SendErrorKind};
use kraube_core::provider::Provider;
use kraube_core::time::{Millis, Now, Timestamp};
use std::collections::BTreeMap;

pub(crate) const WORDS: &[&str] = &[
    "200\n",
    "\n\n400\n",
    "\n\n200\n",
    "\n\n503\n",
    "\n\nlost\n",
    "{",
    "}",
    ",",
    "\"device_code\":\"a~device-code-of-the-server\"",
    "\"user_code\":\"AB-CD\"",
    "\"user_code\":\"\\u001b[2J\"",
    "\"verification_uri\":\"https://auth.example/device\"",
    "\"verification_uri\":\"javascript:alert(1)\"",
    "\"verification_uri_complete\":\"https://auth.example/device?user_code=AB-CD\"",
    "\"expires_in\":600",
    "\"expires_in\":18446744073709551615",
    "\"interval\":0",
    "\"interval\":5",
    "\"interval\":18446744073709551615",
    "{\"error\":\"authorization_pending\"}",
    "{\"error\":\"slow_down\"}",
    "{\"error\":\"access_denied\"}",
    "{\"error\":\"expired_token\"}",
    "{\"access_token\":\"an~access-token-of-the-server\",\"token_type\":\"Bearer\"}",
    "null",
    "[]",
];

/// No code is good for longer, whatever the server says; a poll takes a second at least.
const MOST_POLLS: usize = 3600;

pub(crate) fn check(input: &[u8]) {
    let Ok(input) = str::from_utf8(input) else { return };
    let mut parts = input.split("\n\n");
    let Some((first, body)) = parts.next().map(answer) else { return };
    let provider = Provider::demo("https://auth.example").expect("a valid issuer");
    let (device, _) = Device::begin(&provider).expect("the demo offers it");
    let mut now = Now { wall: Timestamp(NOW), monotonic: Millis::ZERO };
    let document = members(body.as_bytes());
    let code = text(&document, "device_code");
    let (instructions, mut polling) = match device.read(first, now) {
        Ok(read) => read,
        Err(error) => return told(&error, &document, &body),
    };
    assert!(!code.is_empty());
    assert!(!instructions.user_code.is_empty() && fit_for_display(&instructions.user_code));
    assert_eq!(instructions.verification_uri.as_str(), text(&document, "verification_uri"));
    let shown = format!("{instructions:?} {polling:?}");
    assert!(!is_telling(&document, "device_code") || !shown.contains(&code), "the code is shown: {shown}");
    let mut interval = Millis(1000);
    for _ in 0..=MOST_POLLS {
        let Ok(wait) = polling.wait(now) else { return };
        assert!(wait >= interval, "it asks after {wait:?}, and was told {interval:?}");
        now.monotonic = Millis(now.monotonic.0 + wait.0);
        sends(&polling, &code);
        let Some(part) = parts.next() else { return };
        let (answer, body) = answer(part);
        interval = match members(body.as_bytes()).get("error").map(String::as_str) {
            // RFC 8628 section 3.5: for all later ones.
            Some("\"slow_down\"") if answer.as_ref().is_ok_and(|answer| (400..408).contains(&answer.status)) => {
                Millis(wait.0.min(3_600_000) + 5000)
            }
            _ => interval,
        };
        polling = match polling.receive(answer, now.wall, now) {
            Ok(Polled::Pending(polling)) => polling,
            Ok(Polled::Done(credentials)) => {
                let document = members(body.as_bytes());
                let token = text(&document, "access_token");
                let shown = format!("{credentials:?}");
                assert!(!is_telling(&document, "access_token") || !shown.contains(&token), "it is shown: {shown}");
                return;
            }
            Err(error) => return told(&error, &document, &body),
        };
    }
    panic!("it asks for ever");
}

fn answer(part: &str) -> (Result<Response, SendError>, String) {
    let (status, body) = part.split_once('\n').unwrap_or((part, ""));
    let content_type = Some("application/json".to_owned());
    let answer = match status.parse() {
        Ok(status) => Ok(Response { status, content_type, retry_after: None, dpop_nonce: None, body: body.into() }),
        Err(_) => Err(SendError { kind: SendErrorKind::MaybeSent, detail: "the connection was cut".to_owned() }),
    };
    (answer, body.to_owned())
}

fn sends(polling: &Polling, code: &str) {
    let request = polling.request();
    assert_eq!(request.url.as_str(), "https://auth.example/token");
    let sent: Vec<_> = form_urlencoded::parse(request.body.expose().as_bytes()).collect();
    let codes: Vec<_> = sent.iter().filter(|(name, _)| name == "device_code").map(|(_, value)| &**value).collect();
    assert_eq!(codes, [code], "another code is sent");
}

fn told(error: &DeviceError, document: &BTreeMap<String, String>, body: &str) {
    let shown = format!("{error} {error:?}");
    assert!(fit_for_display(&error.to_string()) && !error.code().is_empty(), "{shown}");
    let (code, answer) = (text(document, "device_code"), members(body.as_bytes()));
    let elsewhere = ["error", "error_description"].iter().any(|name| text(&answer, name).contains(&code));
    assert!(!is_telling(document, "device_code") || elsewhere || !shown.contains(&code), "the code is shown: {shown}");
}
