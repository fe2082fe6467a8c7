//! Token requests and answers: normative lines C1 to C12 and D1 to D6, faults 18 to 30.

#![allow(clippy::wildcard_enum_match_arm, reason = "any other variant fails the test")]

use crate::common::{CANARY, client, json, now, parameters, read, response, secret};
use kraube_core::http::Response;
use kraube_core::provider::TokenBody;
use kraube_core::time::Millis;
use kraube_core::token::{Answer, DEFAULT_LIFE, Issued, LONGEST_LIFE, read_answer, refresh_request};
use proptest::prelude::*;

fn issued(body: &str) -> Issued {
    match read(&json(200, body)) {
        Answer::Issued(issued) => issued,
        other => panic!("not issued: {other:?}"),
    }
}

fn unknown(response: &Response) -> (Option<Millis>, String) {
    match read(response) {
        Answer::Unknown { retry_after, detail } => (retry_after, detail),
        other => panic!("not unknown: {other:?}"),
    }
}

fn with(member: &str) -> String {
    format!(r#"{{"access_token":"at","token_type":"Bearer"{member}}}"#)
}

#[test]
fn c1_refresh_is_a_form_post_with_the_client_id_and_nothing_secret_in_the_url() {
    let request = refresh_request(&client(TokenBody::Form), &secret("a b&c=d+%é"));
    assert_eq!(request.url.as_str(), "https://auth.example/token");
    assert_eq!(request.content_type, "application/x-www-form-urlencoded");
    assert!(request.body.expose().starts_with(|c: char| c.is_ascii_lowercase()), "no empty parameter in front");
    let sent: Vec<_> = parameters(request.body.expose()).into_iter().collect();
    let expected = [("client_id", "kraube-demo"), ("grant_type", "refresh_token"), ("refresh_token", "a b&c=d+%é")];
    assert_eq!(sent, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn f6_a_refresh_names_the_resource_again() {
    let mut client = client(TokenBody::Form);
    client.resource = Some("https://mcp.example/v1".into());
    let request = refresh_request(&client, &secret("rt"));
    assert_eq!(parameters(request.body.expose())["resource"], "https://mcp.example/v1");
}

#[test]
fn d3_a_refresh_sends_no_scope() {
    assert!(!refresh_request(&client(TokenBody::Form), &secret("rt")).body.expose().contains("scope"));
}

#[test]
fn a_json_body_has_the_same_members_and_survives_every_character() {
    let token = "q\" b\\ n\n nul\0 é \u{1f511}";
    let request = refresh_request(&client(TokenBody::Json), &secret(token));
    assert_eq!(request.content_type, "application/json");
    let body: serde_json::Value = serde_json::from_str(request.body.expose()).expect("valid JSON");
    let expected =
        serde_json::json!({"grant_type": "refresh_token", "refresh_token": token, "client_id": "kraube-demo"});
    assert_eq!(body, expected);
}

#[test]
fn c5_unknown_members_are_ignored() {
    let tokens = issued(&with(r#","refresh_token":"rt","expires_in":60,"account":{"x":[1]},"account":2"#));
    assert_eq!(tokens.access_token.expose(), "at");
    assert_eq!(tokens.refresh_token.expect("given").expose(), "rt");
    assert_eq!(tokens.life, Millis::from_secs(60));
}

#[test]
fn c6_fault_26_the_token_type_is_compared_without_case_and_others_are_refused() {
    for name in ["Bearer", "bearer", "bEaRer"] {
        issued(&format!(r#"{{"access_token":"at","token_type":"{name}"}}"#));
    }
    for name in [r#""mac""#, r#""DPoP""#, r#""""#, r#""Bearer ""#, "1"] {
        let (_, detail) = unknown(&json(200, format!(r#"{{"access_token":"at","token_type":{name}}}"#)));
        assert!(!detail.contains("mac"), "{detail}");
    }
}

#[test]
fn an_absent_token_type_costs_no_rotation() {
    issued(r#"{"access_token":"at"}"#);
    issued(r#"{"access_token":"at","token_type":null}"#);
}

#[test]
fn a_success_without_an_access_token_is_unknown() {
    for body in ["{}", r#"{"access_token":""}"#, r#"{"access_token":null}"#, r#"{"access_token":7}"#, "[]", "null", ""]
    {
        unknown(&json(200, body));
    }
}

#[test]
fn an_access_token_that_would_break_a_header_is_unknown() {
    for token in ["a\\nb", "a\\u0000", "é", "\\ud83d\\udd11"] {
        unknown(&json(200, format!(r#"{{"access_token":"{token}"}}"#)));
    }
}

#[test]
fn d2_fault_24_without_a_refresh_token_the_old_one_is_kept() {
    for member in ["", r#","refresh_token":"""#, r#","refresh_token":null"#] {
        assert!(issued(&with(member)).refresh_token.is_none(), "{member}");
    }
}

#[test]
fn c7_fault_25_expires_in_forms() {
    let life = |value: &str| issued(&with(&format!(r#","expires_in":{value}"#))).life;
    for hour in ["3600", r#""3600""#, "3600.0", "3.6e3", r#""3600.0""#] {
        assert_eq!(life(hour), Millis::from_secs(3600), "{hour}");
    }
    assert_eq!(life("0.5"), Millis(500));
    assert_eq!(life("315359999"), Millis(315_359_999_000), "ten years are believed, and no more");
    assert_eq!(LONGEST_LIFE, Millis(315_360_000_000));
    for absurd in ["1e30", "1e400", "315360001", "99999999999999999999999999", r#""1e400""#] {
        assert_eq!(life(absurd), LONGEST_LIFE, "{absurd}");
    }
    for useless in
        ["0", "-1", "-1e400", "1e-400", "null", r#""""#, r#""NaN""#, r#""inf""#, r#""soon""#, "true", "{}", "[3600]"]
    {
        assert_eq!(life(useless), DEFAULT_LIFE, "{useless}");
    }
    assert_eq!(issued(&with("")).life, DEFAULT_LIFE);
}

#[test]
fn c9_tokens_of_64_kib_work() {
    let long = "x".repeat(64 * 1024);
    assert_eq!(issued(&format!(r#"{{"access_token":"{long}"}}"#)).access_token.expose(), long);
}

#[test]
fn c10_the_granted_scope_is_reported_and_an_unusable_one_costs_nothing() {
    assert_eq!(issued(&with(r#","scope":"a b""#)).scope.as_deref(), Some("a b"));
    for value in [r#""""#, "null", "7", r#"["a"]"#, r#""\u001b[2J""#] {
        assert_eq!(issued(&with(&format!(r#","scope":{value}"#))).scope, None, "{value}");
    }
}

#[test]
fn c12_fault_18_redirects_are_unknown_and_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let (_, detail) = unknown(&json(status, with("")));
        assert!(detail.contains("not followed"), "{detail}");
    }
}

#[test]
fn fault_21_truncated_json_is_unknown_at_every_length() {
    let whole = with(r#","refresh_token":"rt","expires_in":3600"#);
    for end in 0..whole.len() {
        unknown(&json(200, &whole[..end]));
    }
}

#[test]
fn fault_22_another_content_type_is_unknown() {
    for name in ["text/html", "application/jsonx", "application/json-seq", "text/json", "", "json"] {
        unknown(&response(200, Some(name), None, with("")));
    }
    unknown(&response(200, None, None, with("")));
    for name in ["application/json", "Application/JSON", "application/json;charset=utf-8", "application/json ; x=y"] {
        assert!(matches!(read(&response(200, Some(name), None, with(""))), Answer::Issued(_)), "{name}");
    }
}

#[test]
fn fault_23_a_body_over_the_limit_is_unknown_and_one_at_it_is_read() {
    let padded = |length: usize| {
        let body = with("");
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    unknown(&json(200, padded(Response::MAX_BODY + 1)));
    assert!(matches!(read(&json(200, padded(Response::MAX_BODY))), Answer::Issued(_)));
    let refusal = format!(r#"{{"error":"invalid_grant"}}{}"#, " ".repeat(Response::MAX_BODY));
    assert!(matches!(read(&json(400, refusal)), Answer::ClientRejected { .. }));
}

#[test]
fn repeated_known_members_make_a_success_unknown() {
    for member in [
        r#","access_token":"at""#,
        r#","token_type":"Bearer""#,
        r#","refresh_token":"a","refresh_token":"b""#,
        r#","expires_in":1,"expires_in":2"#,
        r#","scope":"a","scope":"b""#,
    ] {
        unknown(&json(200, with(member)));
    }
}

#[test]
fn fault_28_invalid_grant_is_refused_with_the_description() {
    for status in [400, 401, 403, 404] {
        let body = r#"{"error":"invalid_grant","error_description":"It \"expired\"\u001b]0;x\u0007 today\n"}"#;
        match read(&json(status, body)) {
            Answer::Refused { detail } => assert_eq!(detail, "invalid_grant: It expired]0;x today"),
            other => panic!("{status}: {other:?}"),
        }
    }
}

/// GitHub answers so.
#[test]
fn a_refusal_with_the_status_of_a_success_is_one_where_it_brings_no_token() {
    for code in ["bad_refresh_token", "invalid_grant"] {
        let error = format!(r#"{{"error":"{code}","error_description":"incorrect or expired"}}"#);
        match read(&json(200, error.clone())) {
            Answer::Refused { detail } => assert_eq!(detail, format!("{code}: incorrect or expired")),
            other => panic!("{code}: {other:?}"),
        }
        assert!(matches!(read(&json(400, error)), Answer::Refused { .. }));
        assert!(matches!(read(&json(200, with(&format!(r#","error":"{code}""#)))), Answer::Issued(_)), "{code}");
        // The token may be one that was issued.
        unknown(&json(200, format!(r#"{{"error":"{code}","access_token":"é"}}"#)));
        unknown(&json(200, format!(r#"{{"error":"{code}","access_token":"t","token_type":"mac"}}"#)));
    }
    unknown(&json(200, r#"{"error":"invalid_request"}"#));
    unknown(&json(200, r#"{"error":"invalid_grant","error":"invalid_grant"}"#));
    unknown(&response(200, Some("text/html"), None, r#"{"error":"invalid_grant"}"#));
}

#[test]
fn other_errors_of_the_client_name_the_code_or_the_status() {
    for (status, body, expected) in [
        (401, r#"{"error":"invalid_client"}"#, "invalid_client"),
        (400, r#"{"error":"invalid_grant","error":"invalid_grant"}"#, "HTTP status 400"),
        (400, r#"["invalid_grant","an array is no error document"]"#, "HTTP status 400"),
        (400, r#"{"error":{"type":"invalid_grant","message":"CANARYp7x1vQ"}}"#, "HTTP status 400"),
        (400, r#""CANARYp7x1vQ""#, "HTTP status 400"),
        (400, "<p>CANARYp7x1vQ</p>", "HTTP status 400"),
        (400, r#"{"error":"\u001b","error_description":"why"}"#, "HTTP status 400: why"),
        (400, r#"{"error":"INVALID_GRANT"}"#, "INVALID_GRANT"),
        (404, "", "HTTP status 404"),
        (499, "", "HTTP status 499"),
    ] {
        match read(&json(status, body)) {
            Answer::ClientRejected { detail } => assert_eq!(detail, expected),
            other => panic!("{body}: {other:?}"),
        }
    }
}

#[test]
fn b12_a_long_error_text_is_cut() {
    let long = "x_".repeat(10_000);
    match read(&json(400, format!(r#"{{"error":"{long}","error_description":"{long}"}}"#))) {
        Answer::ClientRejected { detail } => assert_eq!(detail.len(), 402),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_status_of_the_profile_is_refused_by_status_unless_the_error_says_more() {
    let mut client = client(TokenBody::Json);
    client.refused_statuses = vec![404, 500, 200];
    let status = |status, body: &str| read_answer(&client, &json(status, body), now());
    assert!(matches!(status(404, "not found"), Answer::RefusedByStatus(404)));
    assert!(matches!(status(500, ""), Answer::RefusedByStatus(500)));
    assert!(matches!(status(404, r#"{"error":"invalid_grant"}"#), Answer::Refused { .. }));
    assert!(matches!(status(400, "not found"), Answer::ClientRejected { .. }));
    assert!(matches!(status(200, &with("")), Answer::Issued(_)), "a success is never refused");
}

#[test]
fn fault_30_server_errors_are_unknown_even_with_a_readable_error() {
    for status in [0, 100, 199, 408, 500, 502, 503, 504, 599, 600, u16::MAX] {
        let response = response(status, None, Some("7"), r#"{"error":"invalid_grant"}"#);
        assert_eq!(unknown(&response).0, Some(Millis::from_secs(7)), "{status}");
    }
}

fn retry_after(header: &str) -> Option<Millis> {
    match read(&response(429, None, Some(header), r#"{"error":"invalid_grant"}"#)) {
        Answer::Throttled { retry_after } => retry_after,
        other => panic!("not throttled: {other:?}"),
    }
}

#[test]
fn fault_29_retry_after_in_seconds_is_capped_at_an_hour() {
    assert_eq!(retry_after("120"), Some(Millis::from_secs(120)));
    assert_eq!(retry_after(" 0\t"), Some(Millis::ZERO));
    for long in ["3601", "315360000", "99999999999999999999999999"] {
        assert_eq!(retry_after(long), Some(Millis::from_secs(3600)), "{long}");
    }
}

#[test]
fn fault_29_retry_after_as_a_date() {
    assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:30 GMT"), Some(Millis::from_secs(30)));
    assert_eq!(retry_after("Sun, 06 Nov 1994 07:59:59 GMT"), Some(Millis::ZERO), "it has passed");
    assert_eq!(retry_after("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Millis::ZERO));
    assert_eq!(retry_after("Mon, 06 Nov 2034 08:00:00 GMT"), Some(Millis::from_secs(3600)));
    assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:60 GMT"), Some(Millis::from_secs(60)), "a leap second");
}

#[test]
fn dates_are_counted_over_leap_years() {
    for (date, wall) in [
        ("Tue, 29 Feb 2000 00:00:10 GMT", 951_782_400),
        ("Wed, 01 Mar 2000 00:00:10 GMT", 951_868_800),
        ("Thu, 29 Feb 2024 12:00:10 GMT", 1_709_208_000),
        ("Mon, 01 Mar 2100 00:00:10 GMT", 4_107_542_400),
        ("Thu, 31 Dec 2026 23:59:59 GMT", 1_798_761_589),
    ] {
        let mut then = now();
        then.wall.0 = wall * 1000;
        let response = response(429, None, Some(date), "");
        match read_answer(&client(TokenBody::Form), &response, then) {
            Answer::Throttled { retry_after } => assert_eq!(retry_after, Some(Millis::from_secs(10)), "{date}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_retry_after_that_is_neither_form_is_none() {
    for header in [
        "",
        " ",
        "-1",
        "+1",
        "1.5",
        "1e3",
        "soon",
        "Mon, 06 Nov 1994 08:00:30 GMT",
        "Sun, 06 Nov 1994 08:00:30 UTC",
        "Sun, 06 Nov 1994 24:00:30 GMT",
        "Sun, 06 Nov 1994 08:60:30 GMT",
        "Sun, 06 Nov 1994 08:00:61 GMT",
        "Sun, 6 Nov 1994 08:00:30 GMT",
        "sun, 06 nov 1994 08:00:30 gmt",
        "Thu, 29 Feb 1900 00:00:00 GMT",
        "Mon, 29 Feb 2100 00:00:00 GMT",
        "Thu, 31 Nov 1994 08:00:30 GMT",
        "Wed, 00 Nov 1994 08:00:30 GMT",
        "Wed, 31 Dec 1969 23:59:59 GMT",
        "Sun, 06 Nov 1994 08:00:3é GM",
        "Sunday, 06-Nov-94 08:00:30 GMT",
    ] {
        assert_eq!(retry_after(header), None, "{header}");
    }
}

proptest! {
    #[test]
    fn any_answer_is_read_without_a_panic(
        status: u16,
        content_type in proptest::option::of("application/json|.{0,20}"),
        header in proptest::option::of("[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT|.{0,40}|[0-9]{0,30}"),
        body: Vec<u8>,
    ) {
        let response = Response { status, content_type, retry_after: header, dpop_nonce: None, body };
        match read(&response) {
            Answer::Throttled { retry_after } | Answer::Unknown { retry_after, .. } =>
                prop_assert!(retry_after.is_none_or(|wait| wait <= Millis::from_secs(3600))),
            Answer::Issued(tokens) => prop_assert!(tokens.life > Millis::ZERO && tokens.life <= LONGEST_LIFE),
            Answer::Refused { .. } | Answer::RefusedByStatus(_) | Answer::ClientRejected { .. } => {}
        }
    }

    /// A token document, cut and damaged anywhere, under any status: no part of a token is ever shown.
    #[test]
    fn no_answer_shows_a_token(
        status in prop_oneof![Just(200_u16), Just(400), Just(404), Just(429), Just(500), any::<u16>()],
        shape in 0_usize..7,
        cut in 0_usize..200,
        damage in proptest::option::of((0_usize..200, any::<u8>())),
    ) {
        let mut body = match shape {
            0 => format!(r#"{{"access_token":"{CANARY}","refresh_token":"{CANARY}","expires_in":3600}}"#),
            1 => format!(r#"{{"access_token":"{CANARY}","token_type":"{CANARY}"}}"#),
            2 => format!(r#"{{"access_token":"at","expires_in":"{CANARY}","scope":["{CANARY}"]}}"#),
            3 => format!(r#"{{"access_token":["{CANARY}"]}}"#),
            4 => format!(r#"{{"error":{{"message":"{CANARY}"}},"error_description":["{CANARY}"]}}"#),
            5 => format!(r#"{{"{CANARY}":"{CANARY}","error":"x"}}"#),
            _ => format!(r#""{CANARY}""#),
        }.into_bytes();
        if let Some((at, byte)) = damage && at < body.len() {
            body[at] = byte;
        }
        if cut > 20 {
            body.truncate(cut);
        }
        let response = json(status, body);
        let shown = format!("{response:?} {:?}", read(&response));
        prop_assert!(!shown.contains(&CANARY[..8]), "{}", shown);
    }

    #[test]
    fn a_readable_success_gives_back_what_was_issued(access in "[ -~]{1,80}", refresh in ".{1,80}") {
        let body = serde_json::json!({"access_token": access, "refresh_token": refresh, "token_type": "bearer"});
        let tokens = issued(&body.to_string());
        prop_assert_eq!(tokens.access_token.expose(), access);
        prop_assert_eq!(tokens.refresh_token.as_ref().map(|token| token.expose()), Some(refresh.as_str()));
    }

    #[test]
    fn any_refresh_token_is_sent_as_it_is(token in ".{1,80}") {
        let form = refresh_request(&client(TokenBody::Form), &secret(&token));
        prop_assert_eq!(&parameters(form.body.expose())["refresh_token"], &token);
        let json = refresh_request(&client(TokenBody::Json), &secret(&token));
        let json: serde_json::Value = serde_json::from_str(json.body.expose()).expect("valid JSON");
        prop_assert_eq!(json["refresh_token"].as_str(), Some(token.as_str()));
    }
}

#[test]
fn what_an_error_repeats_of_what_was_sent_is_not_shown() {
    let uuid = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    let letters = "QkxhSGJsYWhCbGFoQmxhaEJsYWg";
    for token in [CANARY.repeat(2).as_str(), uuid, "1//0gFdk7x-L9Ir_q2", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln", letters] {
        for description in [
            format!("the token {token} is unknown"),
            format!("refresh_token={token}"),
            format!("\"{token}\""),
            format!("{} {token}", "a".repeat(190)),
            format!("see https://auth.example/?token={token}"),
            format!("see http://auth.example/?a=b&token={token}&c=d"),
            format!("see https://auth.example/#{token}"),
            format!("see https://auth.example/grants/v1-{}/errors", token.replace('/', "")),
            format!("see https://me:{token}@auth.example/"),
        ] {
            for error in ["invalid_request", "invalid_grant", token] {
                let body = serde_json::json!({ "error": error, "error_description": description });
                let shown = format!("{:?}", read(&json(400, body.to_string())));
                let words = shown.split(|c: char| !c.is_ascii_alphanumeric());
                let told = words.filter(|word| word.len() > 5 && token.contains(word)).collect::<Vec<_>>();
                assert!(told.is_empty(), "{description}: {shown}");
            }
        }
    }
}

/// What is shown of the description of an error.
fn shown(description: &str) -> String {
    let body = serde_json::json!({ "error": "invalid_client", "error_description": description });
    match read(&json(400, body.to_string())) {
        Answer::ClientRejected { detail } => {
            detail.strip_prefix("invalid_client: ").expect("the code first").to_owned()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_person_can_use_of_an_error_is_shown() {
    for useful in [
        "redirect_uri http://127.0.0.1:4711/callback is not registered, error code 7000218",
        "AADSTS700082: the refresh token has expired, see https://login.server-2026.example/error?code=700082&lang=en#why",
        "invalid_grant: see https://help.example/errors/invalid_grant, or https://server-2026.example",
        "the authorization_code is expired (unsupported_token_endpoint_auth_method) https://@",
        "UPPERCASEUPPERCASE InvalidToken capitalisedWord",
        "abcdefghijklmnopqrstuvwx is 24 letters",
    ] {
        assert_eq!(shown(useful), useful);
    }
}

#[test]
fn a_word_is_hidden_by_its_length_with_a_digit_a_capital_inside_or_no_break() {
    for (word, hidden) in [
        ("abcdefghijklmno", false),
        ("abcdefghijklmn1", false),
        ("abcdefghijklmnopqrstuvwx", false),
        ("abcdefghijklmnopqrstuvwxy", true),
        ("abcdefghijklmno1", true),
        ("abcdefghijklmnO", false),
        ("abcdefghijklmnoP", true),
        ("Abcdefghijklmnop", false),
        ("ABCDEFGHIJKLMNOp", false),
        ("-ABCDEFGHIJKLMNOp", false),
        ("abcdefghijklmno-P", false),
        ("abcdefghijklmnopqrstuvwx-abcdefghijklmnopqrstuvwx", false),
        ("https://a.example/abcdefghijklmn1", false),
        ("https://a.example/abcdefghijklmno1", true),
        ("https://a.example?abcdefghijklmno1", true),
        ("https://a.example/?x=abcdefghijklmn1&y=abcdefghijklmn1", false),
        ("https://abcdefghijklmno1.example", false),
        ("https://abcdefghijklmno1@a.example", true),
        ("ftp://abcdefghijklmno1", true),
    ] {
        // The end of the text is where a word ends, too.
        assert_eq!(shown(&format!("see {word}")), if hidden { "see ***".to_owned() } else { format!("see {word}") });
    }
}
