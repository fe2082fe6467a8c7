//! Pushed authorization requests (RFC 9126): what is pushed, and what is opened then.

use crate::common::{CANARY, ISSUER, json, parameters};
use kraube_core::http::{Endpoint, Request, SendError, SendErrorKind};
use kraube_core::login::{BeginError, Callback, Login, Push, Redirect, Started, Verdict};
use kraube_core::pkce::Entropy;
use kraube_core::provider::Provider;

const LOOPBACK: &str = "http://127.0.0.1:4711/callback";
const NAMED: &str = r#"{"request_uri": "urn:example:request&1", "expires_in": 60}"#;

fn provider() -> Provider {
    Provider {
        authorization_endpoint: Endpoint::parse("https://auth.example/authorize?tenant=1").expect("a URL"),
        pushed_authorization_request_endpoint: Some(Endpoint::parse("https://auth.example/par").expect("a URL")),
        require_pushed_authorization_requests: true,
        scopes: vec!["read".into()],
        resource: Some("https://api.example/".into()),
        ..Provider::demo(ISSUER).expect("the issuer is valid")
    }
}

fn redirect() -> Redirect {
    Redirect::Loopback { uri: LOOPBACK.into() }
}

fn entropy() -> Entropy {
    Entropy::new([7; Entropy::LEN])
}

fn push() -> (Push, Request) {
    match Login::start(&provider(), redirect(), entropy()).expect("a valid login") {
        Started::Push(push, request) => (push, request),
        Started::Ready(..) => panic!("the request is not pushed"),
    }
}

fn refused(status: u16, body: &str) -> BeginError {
    push().0.read(Ok(json(status, body))).expect_err("it must not be opened")
}

#[test]
fn what_a_browser_would_send_is_pushed_and_the_url_names_it() {
    let (push, request) = push();
    assert_eq!(request.url.as_str(), "https://auth.example/par");
    assert_eq!(request.content_type, "application/x-www-form-urlencoded");
    let direct = Provider { require_pushed_authorization_requests: false, ..provider() };
    let (_, url) = Login::begin(&direct, redirect(), entropy()).expect("a valid login");
    let mut in_browser = parameters(url.as_str().split_once('?').expect("a query").1);
    assert_eq!(in_browser.remove("tenant").as_deref(), Some("1"), "that is the endpoint's");
    let pushed = parameters(request.body.expose());
    assert_eq!(pushed, in_browser);
    assert!(pushed["code_challenge_method"] == "S256" && pushed["resource"] == "https://api.example/", "{pushed:?}");

    let (mut pending, url) = push.read(Ok(json(201, NAMED))).expect("it is named");
    assert_eq!(
        url.as_str(),
        "https://auth.example/authorize?tenant=1&client_id=kraube-demo&request_uri=urn%3Aexample%3Arequest%261"
    );
    let answer = format!("code=a&state={}&iss=https%3A%2F%2Fauth.example", pushed["state"]);
    assert!(matches!(pending.receive(Callback::Query(&answer)), Verdict::Code(_)), "it is the same attempt");
}

#[test]
fn a_host_that_pushes_nothing_opens_nothing() {
    let error = Login::begin(&provider(), redirect(), entropy()).expect_err("it must be pushed");
    assert_eq!(error, BeginError::PushRequired);
    let nowhere = Provider { pushed_authorization_request_endpoint: None, ..provider() };
    assert_eq!(Login::start(&nowhere, redirect(), entropy()).map(drop), Err(BeginError::PushRequired));
}

#[test]
fn an_endpoint_that_is_offered_is_not_used_unless_it_must_be() {
    let offered = Provider { require_pushed_authorization_requests: false, ..provider() };
    assert!(matches!(Login::start(&offered, redirect(), entropy()), Ok(Started::Ready(..))));
}

#[test]
fn no_error_repeats_the_state_that_was_pushed() {
    let (push, request) = push();
    let state = &parameters(request.body.expose())["state"];
    let body = format!(r#"{{"error": "invalid_request", "error_description": "no\t{state}"}}"#);
    let error = push.read(Ok(json(400, body))).expect_err("it must not be opened");
    assert_eq!(error, BeginError::PushRefused("invalid_request".into()));
}

#[test]
fn an_answer_that_names_no_request_ends_the_login() {
    assert_eq!(
        refused(400, r#"{"error": "invalid_client", "error_description": "no\u001b[0m such"}"#).code(),
        "push_refused"
    );
    let text = refused(400, r#"{"error": "invalid_client", "error_description": "no\u001b[0m such"}"#).to_string();
    assert!(text.contains("invalid_client") && !text.contains('\u{1b}'), "{text}");
    assert_eq!(refused(302, NAMED).code(), "push_refused");
    for body in
        ["", "{}", r#"{"request_uri": ""}"#, r#"{"request_uri": 1}"#, r#"{"request_uri": "a", "request_uri": "b"}"#]
    {
        assert_eq!(refused(201, body), BeginError::PushUnreadable, "{body}");
    }
    let lost = SendError { kind: SendErrorKind::MaybeSent, detail: "reset".into() };
    assert_eq!(push().0.read(Err(lost)).map(drop), Err(BeginError::PushUnreachable("reset".into())));
}

#[test]
fn no_secret_is_shown() {
    let (push, request) = push();
    let state = parameters(request.body.expose())["state"].clone();
    let shown = format!("{push:?} {request:?}");
    assert!(!shown.contains(&state), "{shown}");
    let body = format!(r#"{{"request_uri": ["{CANARY}"]}}"#);
    assert!(!format!("{:?}", refused(201, &body)).contains(CANARY));
}
