//! The device authorization grant: normative lines I1 to I3.

use crate::common::{CANARY, ISSUER, json, now, parameters, response};
use kraube_core::device::{Device, DeviceError, Instructions, Polled, Polling};
use kraube_core::http::{Response, SendError, SendErrorKind};
use kraube_core::provider::Provider;
use kraube_core::time::{Millis, Now, Timestamp};

const ISSUED: &str = r#"{"access_token":"at","refresh_token":"rt","token_type":"Bearer","expires_in":60}"#;

fn document(extra: &str) -> Response {
    let uri = "https://auth.example/device";
    json(
        200,
        format!(
            r#"{{"device_code":"{CANARY}","user_code":"AB-CD","verification_uri":"{uri}","expires_in":60{extra}}}"#
        ),
    )
}

fn begin(extra: &str) -> (Instructions, Polling) {
    let provider = Provider::demo(ISSUER).expect("a valid issuer");
    let (device, _) = Device::begin(&provider).expect("the demo offers it");
    device.read(Ok(document(extra)), now()).expect("a code")
}

fn later(seconds: u64) -> Now {
    Now { monotonic: Millis(now().monotonic.0 + seconds * 1000), ..now() }
}

fn error(code: &str) -> Result<Response, SendError> {
    Ok(json(400, format!(r#"{{"error":"{code}"}}"#)))
}

/// The wait after this answer to the first poll, in seconds.
fn wait_after(polling: Polling, answer: Result<Response, SendError>) -> (u64, Polling) {
    match polling.receive(answer, Timestamp(0), now()).expect("it goes on") {
        Polled::Pending(polling) => (polling.wait(now()).expect("the code is good").0 / 1000, polling),
        Polled::Done(_) => panic!("no tokens were issued"),
    }
}

#[test]
fn the_request_is_a_form_with_the_scope_and_the_resource() {
    let mut provider = Provider::demo(ISSUER).expect("a valid issuer");
    provider.scopes = vec!["a".into(), "b".into()];
    provider.resource = Some("https://mcp.example".into());
    let (_, request) = Device::begin(&provider).expect("the demo offers it");
    assert_eq!(request.url.as_str(), "https://auth.example/device_authorization");
    assert_eq!(request.content_type, "application/x-www-form-urlencoded");
    let sent: Vec<_> = parameters(request.body.expose()).into_iter().collect();
    let expected = [("client_id", "kraube-demo"), ("resource", "https://mcp.example"), ("scope", "a b")];
    assert_eq!(sent, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn no_error_repeats_the_device_code() {
    let said = |status, text: &str| {
        let body = format!(r#"{{"error":"invalid_request","error_description":"{text}"}}"#);
        begin("").1.receive(Ok(json(status, body)), Timestamp(0), now()).expect_err("it is over")
    };
    for status in [400, 200] {
        assert_eq!(said(status, &format!("no {CANARY} here")), DeviceError::Refused("invalid_request".into()));
        assert_eq!(said(status, "no such code"), DeviceError::Refused("invalid_request: no such code".into()));
    }
}

#[test]
fn what_cannot_begin_sends_nothing() {
    assert_eq!(Device::begin(&Provider::claude()).expect_err("it has none").code(), "no_device_flow");
    let provider = Provider { client_id: None, ..Provider::demo(ISSUER).expect("a valid issuer") };
    assert_eq!(Device::begin(&provider).expect_err("no client").code(), "missing_client_id");
}

#[test]
fn i1_polls_come_no_faster_than_the_interval_and_slow_down_holds_for_all_later_ones() {
    for (extra, seconds) in [("", 5), (r#","interval":7"#, 7), (r#","interval":0"#, 1)] {
        let (_, polling) = begin(extra);
        assert_eq!(polling.wait(now()), Ok(Millis::from_secs(seconds)), "{extra}");
    }
    // Not even where the code will have expired by then.
    assert_eq!(begin(r#","interval":9999"#).1.wait(now()), Err(DeviceError::Expired));
    let (_, polling) = begin("");
    let (wait, polling) = wait_after(polling, error("authorization_pending"));
    assert_eq!(wait, 5);
    let (wait, polling) = wait_after(polling, error("slow_down"));
    assert_eq!(wait, 10);
    let (wait, _) = wait_after(polling, error("authorization_pending"));
    assert_eq!(wait, 10);
}

#[test]
fn i2_a_server_that_does_not_answer_is_asked_less_often_and_any_other_error_ends_it() {
    let (_, polling) = begin("");
    let lost = || SendError { kind: SendErrorKind::TimedOut, detail: String::new() };
    let (wait, polling) = wait_after(polling, Err(lost()));
    assert_eq!(wait, 10);
    let (wait, polling) = wait_after(polling, Err(lost()));
    assert_eq!(wait, 20);
    let (wait, _) = wait_after(polling, Ok(json(503, "")));
    assert_eq!(wait, 40);
    let (wait, _) = wait_after(begin("").1, Ok(response(429, None, Some("30"), "")));
    assert_eq!(wait, 30);
    for (answer, code) in [
        (error("invalid_grant"), "device_refused"),
        (error("invalid_client"), "device_refused"),
        (error("access_denied"), "denied"),
        (error("expired_token"), "device_code_expired"),
        (Ok(json(404, "")), "device_refused"),
        (Ok(json(200, "{}")), "code_in_doubt"),
    ] {
        let error = begin("").1.receive(answer, Timestamp(0), now()).expect_err("it is over");
        assert_eq!(error.code(), code);
    }
}

#[test]
fn i3_after_the_life_of_the_code_nothing_is_sent() {
    let (instructions, polling) = begin("");
    assert_eq!(instructions.life, Millis(60_000));
    assert!(polling.wait(later(59)).is_ok());
    assert_eq!(polling.wait(later(60)), Err(DeviceError::Expired));
    // A wait that would end too late is not begun.
    let (_, polling) = begin(r#","interval":50"#);
    let Ok(Polled::Pending(polling)) = polling.receive(error("slow_down"), Timestamp(0), later(50)) else {
        panic!("it goes on");
    };
    assert_eq!(polling.wait(later(50)), Err(DeviceError::Expired));
}

#[test]
fn a_code_that_expires_while_the_server_is_silent_is_not_called_unused() {
    let lost = SendError { kind: SendErrorKind::NotSent, detail: "refused".into() };
    let (_, polling) = wait_after(begin("").1, Err(lost));
    assert_eq!(polling.wait(later(60)), Err(DeviceError::Unreachable("refused".into())));
    let (_, polling) = wait_after(polling, error("authorization_pending"));
    assert_eq!(polling.wait(later(60)), Err(DeviceError::Expired));
}

#[test]
fn the_tokens_live_from_the_moment_the_poll_was_sent() {
    let (_, polling) = begin("");
    let sent = parameters(polling.request().body.expose());
    assert_eq!(sent["grant_type"], "urn:ietf:params:oauth:grant-type:device_code");
    assert_eq!((sent["device_code"].as_str(), sent["client_id"].as_str()), (CANARY, "kraube-demo"));
    let Ok(Polled::Done(credentials)) = polling.receive(Ok(json(200, ISSUED)), Timestamp(1000), later(9)) else {
        panic!("tokens were issued");
    };
    assert_eq!((credentials.access_token.expose(), credentials.expires_at), ("at", Timestamp(61_000)));
    assert_eq!(credentials.refresh_token.expect("one was issued").expose(), "rt");
    assert_eq!(credentials.client.expect("where to refresh it").client_id, "kraube-demo");
}

#[test]
fn an_answer_without_a_usable_code_is_an_error() {
    for (answer, code) in [
        (json(200, "{}"), "device_unreadable"),
        (json(200, "<html>"), "device_unreadable"),
        (json(200, r#"["device code", "AB-CD", "https://auth.example/device", null, 60, 5]"#), "device_unreadable"),
        (json(400, r#"{"error":"invalid_client"}"#), "device_refused"),
        (json(302, ""), "device_refused"),
        (document(r#","device_code":"twice""#), "device_unreadable"),
    ] {
        let (device, _) = Device::begin(&Provider::demo(ISSUER).expect("valid")).expect("it is offered");
        assert_eq!(device.read(Ok(answer), now()).expect_err("no code").code(), code);
    }
    for uri in ["javascript:alert(1)", "http://evil.example", "auth.example/device"] {
        let body = format!(r#"{{"device_code":"d","user_code":"c","verification_uri":"{uri}","expires_in":60}}"#);
        let (device, _) = Device::begin(&Provider::demo(ISSUER).expect("valid")).expect("it is offered");
        assert_eq!(device.read(Ok(json(200, body)), now()).expect_err(uri), DeviceError::Unreadable);
    }
    // Of a bad second address the first one is enough.
    let (instructions, _) = begin(r#","verification_uri_complete":"file:///etc""#);
    assert_eq!(instructions.verification_uri_complete, None);
}

#[test]
fn codes_of_others_are_fit_for_a_terminal_and_ours_is_not_shown() {
    let body = r#"{"device_code":"d","user_code":"A\u001b[2J","verification_uri":"https://a.example","expires_in":60}"#;
    let (device, _) = Device::begin(&Provider::demo(ISSUER).expect("valid")).expect("it is offered");
    let (instructions, _) = device.read(Ok(json(200, body)), now()).expect("a code");
    assert_eq!(instructions.user_code, "A[2J");
    let (instructions, polling) = begin("");
    let shown = format!("{instructions:?}");
    assert!(
        shown.contains(ISSUER) && !shown.contains("AB-CD"),
        "the address, and no code that somebody else could use"
    );
    assert!(!format!("{shown}{polling:?}{:?}", polling.request()).contains(CANARY));
}

#[test]
fn an_answer_of_a_mebibyte_is_read_and_a_longer_one_is_not() {
    let read = |length: usize| {
        let (device, _) = Device::begin(&Provider::demo(ISSUER).expect("valid")).expect("it is offered");
        let mut response = document("");
        response.body.resize(length, b' ');
        device.read(Ok(response), now())
    };
    assert!(read(Response::MAX_BODY).is_ok());
    assert!(read(Response::MAX_BODY + 1).is_err());
}

#[test]
fn a_code_that_cannot_be_shown_or_sent_is_none() {
    let unusable = |body: String| {
        let (device, _) = Device::begin(&Provider::demo(ISSUER).expect("valid")).expect("it is offered");
        device.read(Ok(json(200, body)), now()).expect_err("no code")
    };
    for (device_code, user_code) in [("", "AB"), ("d", ""), ("d", "\\u001b\\u00e9")] {
        let codes = format!(r#""device_code":"{device_code}","user_code":"{user_code}""#);
        let body = format!(r#"{{{codes},"verification_uri":"https://a.example","expires_in":60}}"#);
        assert_eq!(unusable(body), DeviceError::Unreadable, "{codes}");
    }
    assert_eq!(unusable(" ".repeat(Response::MAX_BODY + 1)).code(), "device_refused");
    let (device, _) = Device::begin(&Provider::demo(ISSUER).expect("valid")).expect("it is offered");
    let lost = SendError { kind: SendErrorKind::NotSent, detail: "the wire".into() };
    assert_eq!(device.read(Err(lost), now()).expect_err("no code"), DeviceError::Unreachable("the wire".into()));
}

/// GitHub answers each poll with 200.
#[test]
fn an_error_with_the_status_of_a_success_is_one_where_it_brings_no_tokens() {
    let said = |code: &str| Ok(json(200, format!(r#"{{"error":"{code}","error_description":"d","interval":10}}"#)));
    let (wait, polling) = wait_after(begin("").1, said("authorization_pending"));
    assert_eq!(wait, 5);
    let (wait, _) = wait_after(polling, said("slow_down"));
    assert_eq!(wait, 10);
    for (code, expected) in [
        ("access_denied", DeviceError::Denied),
        ("expired_token", DeviceError::Expired),
        ("device_flow_disabled", DeviceError::Refused("device_flow_disabled: d".into())),
    ] {
        assert_eq!(begin("").1.receive(said(code), Timestamp(0), now()).expect_err("no tokens"), expected);
    }
    let redirected = begin("").1.receive(Ok(json(300, r#"{"error":"device_flow_disabled"}"#)), Timestamp(0), now());
    assert_eq!(redirected.expect_err("no tokens").code(), "code_in_doubt");
    let (device, _) = Device::begin(&Provider::demo(ISSUER).expect("valid")).expect("it is offered");
    let refused = device.read(said("device_flow_disabled"), now()).expect_err("no code");
    assert_eq!(refused, DeviceError::Refused("device_flow_disabled: d".into()));
    for code in ["", "authorization_pending"] {
        let tokens = ISSUED.replacen('{', &format!(r#"{{"error":"{code}","#), 1);
        let polled = begin("").1.receive(Ok(json(200, tokens)), Timestamp(0), now());
        assert!(matches!(polled, Ok(Polled::Done(_))), "{code}");
    }
}

#[test]
fn a_status_by_which_the_server_refuses_ends_it() {
    let mut provider = Provider::demo(ISSUER).expect("a valid issuer");
    provider.refused_statuses = vec![404];
    let (device, _) = Device::begin(&provider).expect("it is offered");
    let (_, polling) = device.read(Ok(document("")), now()).expect("a code");
    assert_eq!(
        polling.receive(Ok(json(404, "")), Timestamp(0), now()).expect_err("no tokens"),
        DeviceError::Refused("HTTP status 404".into())
    );
}

#[test]
fn the_pause_of_a_silent_server_doubles_up_to_a_minute() {
    let (_, mut polling) = begin(r#","interval":1"#);
    let lost = || SendError { kind: SendErrorKind::TimedOut, detail: String::new() };
    for expected in [2, 4, 8, 16, 32] {
        let wait;
        (wait, polling) = wait_after(polling, Err(lost()));
        assert_eq!(wait, expected);
    }
    assert_eq!(format!("{polling:?}"), "Polling(demo, every 32000 ms)");
    let Ok(Polled::Pending(polling)) = polling.receive(Err(lost()), Timestamp(0), now()) else { panic!("it goes on") };
    assert_eq!(format!("{polling:?}"), "Polling(demo, every 60000 ms)");
    assert_eq!(polling.wait(now()), Err(DeviceError::Unreachable(String::new())), "the code will have expired");
    // A pause that the server asks for is kept where it is longer.
    let (wait, _) = wait_after(begin("").1, Ok(response(503, None, Some("3"), "")));
    assert_eq!(wait, 10);
}

#[test]
fn every_error_has_a_name_a_text_and_a_hint() {
    let missing = Provider { client_id: None, ..Provider::demo(ISSUER).expect("a valid issuer") };
    for (error, code, text, hint) in [
        (DeviceError::NotOffered, "no_device_flow", "device_authorization_endpoint", Some("with a browser")),
        (Device::begin(&missing).expect_err("no client"), "missing_client_id", "--client-id", None),
        (DeviceError::Unreachable("why".into()), "unreachable", "reached: why", Some("the network")),
        (DeviceError::Refused("why".into()), "device_refused", "this login: why", Some("client id")),
        (DeviceError::Unreadable, "device_unreadable", "no code", None),
        (DeviceError::Denied, "denied", "denied", Some("agree")),
        (DeviceError::Expired, "device_code_expired", "in time", Some("again")),
        (DeviceError::InDoubt("why".into()), "code_in_doubt", "to the code: why", Some("again")),
    ] {
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(error.hint().map(|said| hint.is_some_and(|hint| said.contains(hint))), hint.map(|_| true), "{code}");
    }
}
