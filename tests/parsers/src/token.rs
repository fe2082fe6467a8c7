//! Answers of the token endpoint. An input is the status, the media type and `Retry-After`, each on a line, then the body.

use crate::{NOW, fit_for_display, is_telling, members, text};
use kraube_core::http::Response;
use kraube_core::provider::{Client, Provider};
use kraube_core::time::{Millis, Now, Timestamp};
use kraube_core::token::{Answer, LONGEST_LIFE, read_answer};
use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) const WORDS: &[&str] = &[
    "200\napplication/json\n\n",
    "400\napplication/json\n\n",
    "429\n\n7\n",
    "503\ntext/html\nSun, 06 Nov 1994 08:49:37 GMT\n",
    "{",
    "}",
    ",",
    ":",
    "\"access_token\":",
    "\"an~access-token-of-the-server\"",
    "\"refresh_token\":",
    "\"a~refresh-token-of-the-server\"",
    "\"token_type\":\"Bearer\"",
    "\"expires_in\":",
    "3600",
    "-1",
    "1e400",
    "\"60.5\"",
    "\"scope\":\"a b\"",
    "\"error\":\"invalid_grant\"",
    "\"error\":\"invalid_client\"",
    "\"error_description\":\"\\u001b[2J\"",
    "null",
    "[]",
];

pub(crate) fn check(input: &[u8]) {
    let mut parts = input.splitn(4, |&byte| byte == b'\n');
    let mut line = || parts.next().and_then(|part| str::from_utf8(part).ok());
    let (Some(status), Some(media_type), Some(retry_after)) = (line(), line(), line()) else { return };
    let Ok(status) = status.parse() else { return };
    let body = parts.next().unwrap_or_default();
    let header = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let response = |media_type, body: &[u8]| Response {
        status,
        content_type: media_type,
        retry_after: header(retry_after),
        dpop_nonce: None,
        body: body.to_vec(),
    };
    let client = Client {
        refused_statuses: vec![404],
        ..Provider::demo("https://auth.example").expect("valid").client().expect("it has an id")
    };
    let now = Now { wall: Timestamp(NOW), monotonic: Millis::ZERO };
    // Bytes that are no text cost nothing in a member that nobody looks at.
    let document = members(String::from_utf8_lossy(body).as_bytes());
    let answer = read_answer(&client, &response(header(media_type), body), now);
    judge(&answer, status, &document);

    // The same document as a careful server would write it.
    let tokens = ["access_token", "refresh_token"].map(|name| text(&document, name));
    let careful = tokens.iter().all(|token| !token.is_empty() && fit_for_display(token));
    if careful && text(&document, "token_type") == "Bearer" && (200..300).contains(&status) {
        let pairs: Vec<_> =
            document.iter().map(|(name, raw)| format!("{}:{raw}", Value::from(name.as_str()))).collect();
        let body = format!("{{{}}}", pairs.join(",")).into_bytes();
        if body.len() <= Response::MAX_BODY {
            let answer = read_answer(&client, &response(Some("application/json".to_owned()), &body), now);
            assert!(matches!(answer, Answer::Issued(_)), "a rotation would be lost: {answer:?}");
        }
    }
}

fn judge(answer: &Answer, status: u16, document: &BTreeMap<String, String>) {
    let shown = format!("{answer:?}");
    let told = |name: &str| text(document, name);
    for name in ["access_token", "refresh_token"] {
        let token = told(name);
        assert!(!is_telling(document, name) || !shown.contains(&token), "{name} is shown: {shown}");
    }
    match answer {
        Answer::Issued(issued) => {
            assert!((200..300).contains(&status));
            assert_eq!(issued.access_token.expose(), told("access_token"));
            assert!(!issued.access_token.is_empty() && fit_for_display(issued.access_token.expose()));
            let refresh_token = issued.refresh_token.as_ref().map(|token| token.expose());
            assert_eq!(refresh_token.unwrap_or_default(), told("refresh_token"));
            assert!(
                document.get("token_type").is_none_or(|raw| raw == "null")
                    || told("token_type").eq_ignore_ascii_case("bearer")
            );
            assert!(issued.life > Millis::ZERO && issued.life <= LONGEST_LIFE);
            assert!(issued.scope.as_ref().is_none_or(|scope| fit_for_display(scope) && *scope == told("scope")));
        }
        Answer::Refused { detail } => {
            assert!((400..500).contains(&status) && ![408, 429].contains(&status));
            assert_eq!(told("error"), "invalid_grant");
            assert!(fit_for_display(detail));
        }
        Answer::RefusedByStatus(refused) => assert_eq!((*refused, status), (404, 404)),
        Answer::Throttled { retry_after } => {
            assert_eq!(status, 429);
            assert!(retry_after.is_none_or(|wait| wait <= Millis::from_secs(3600)));
        }
        Answer::ClientRejected { detail } => {
            assert!((400..500).contains(&status) && ![404, 408, 429].contains(&status));
            assert!(fit_for_display(detail) && !detail.is_empty());
        }
        Answer::Unknown { retry_after, detail } => {
            assert!(!(400..500).contains(&status) || status == 408);
            assert!(retry_after.is_none_or(|wait| wait <= Millis::from_secs(3600)));
            assert!(fit_for_display(detail) && !detail.is_empty());
        }
    }
}
