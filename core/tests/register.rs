//! Which client an application is: normative lines K1 and K2.

use crate::common::{CANARY, ISSUER, json};
use kraube_core::http::{Endpoint, Request, SendError, SendErrorKind};
use kraube_core::provider::{Client, LoopbackHost, Provider};
use kraube_core::register::{Identity, Registration, RegistrationError, identify};
use serde_json::Value;

fn provider() -> Provider {
    Provider {
        client_id: None,
        registration_endpoint: Some(Endpoint::parse("https://auth.example/register").expect("a URL")),
        client_id_metadata_document_supported: true,
        ..Provider::demo(ISSUER).expect("the issuer is valid")
    }
}

fn document() -> Endpoint {
    Endpoint::parse("https://me.example/kraube.json").expect("a URL")
}

fn stored(issuer: &str) -> Client {
    let stored = Provider { client_id: Some("of before".into()), ..Provider::demo(issuer).expect("a valid issuer") };
    stored.client().expect("it has an id")
}

fn settled(provider: Provider, stored: Option<&Client>, document: Option<&Endpoint>) -> Option<String> {
    match identify(provider, stored, document) {
        Identity::Settled(provider) => provider.client_id,
        Identity::Register(..) => panic!("it registers"),
    }
}

fn register(provider: Provider) -> (Registration, Request) {
    match identify(provider, None, None) {
        Identity::Register(registration, request) => (registration, request),
        Identity::Settled(provider) => panic!("it does not register: {:?}", provider.client_id),
    }
}

fn asked(provider: Provider) -> Value {
    serde_json::from_str(register(provider).1.body.expose()).expect("JSON")
}

fn answered(status: u16, body: &str) -> Result<String, RegistrationError> {
    let provider = register(provider()).0.read(Ok(json(status, body)))?;
    Ok(provider.client_id.expect("it is there"))
}

#[test]
fn k2_registered_before_then_a_document_then_a_registration_then_the_person() {
    let (before, document) = (stored(ISSUER), document());
    let given = Provider { client_id: Some("given".into()), ..provider() };
    assert_eq!(settled(given, Some(&before), Some(&document)).as_deref(), Some("given"));
    assert_eq!(settled(provider(), Some(&before), Some(&document)).as_deref(), Some("of before"));
    assert_eq!(settled(provider(), None, Some(&document)).as_deref(), Some("https://me.example/kraube.json"));
    register(provider());
    let without = Provider { registration_endpoint: None, ..provider() };
    assert_eq!(settled(without, None, None), None, "its login asks for one");
}

#[test]
fn k2_a_document_is_not_named_to_a_server_that_does_not_take_one() {
    let provider = Provider { client_id_metadata_document_supported: false, ..provider() };
    assert!(matches!(identify(provider, None, Some(&document())), Identity::Register(..)));
}

#[test]
fn f7_the_client_of_another_server_is_never_used() {
    for other in ["https://other.example", "https://auth.example/"] {
        assert!(matches!(identify(provider(), Some(&stored(other)), None), Identity::Register(..)), "{other}");
    }
    let nameless = Client { issuer: None, ..stored(ISSUER) };
    let provider = Provider { issuer: None, ..provider() };
    assert!(matches!(identify(provider, Some(&nameless), None), Identity::Register(..)), "no issuer is no match");
}

#[test]
fn k1_a_native_public_client_is_registered() {
    let (_, request) = register(provider());
    assert_eq!((request.url.as_str(), request.content_type), ("https://auth.example/register", "application/json"));
    let body = asked(provider());
    assert_eq!(body["application_type"], "native");
    assert_eq!(body["token_endpoint_auth_method"], "none");
    assert_eq!(body["response_types"], serde_json::json!(["code"]));
    assert_eq!(body["redirect_uris"], serde_json::json!(["http://127.0.0.1/callback", "http://[::1]/callback"]));
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    assert_eq!(body["grant_types"], serde_json::json!(["authorization_code", "refresh_token", device]));
    assert_eq!(body.get("scope"), None, "an empty one is not sent");

    let mut other =
        Provider { device_authorization_endpoint: None, scopes: vec!["a".into(), "b".into()], ..provider() };
    other.redirect.host = LoopbackHost::Localhost;
    other.redirect.ports = vec![1455, 1457];
    let body = asked(other);
    assert_eq!(body["grant_types"], serde_json::json!(["authorization_code", "refresh_token"]));
    let uris = ["http://localhost:1455/callback", "http://localhost:1457/callback"];
    assert_eq!((&body["redirect_uris"], &body["scope"]), (&serde_json::json!(uris), &Value::from("a b")));
}

#[test]
fn k1_what_the_server_gives_is_taken_and_a_refusal_says_what_to_do() {
    assert_eq!(answered(201, r#"{"client_id": "new", "client_name": "other"}"#).as_deref(), Ok("new"));
    assert_eq!(answered(200, r#"{"client_id": "new", "token_endpoint_auth_method": "none"}"#).as_deref(), Ok("new"));
    let refused = answered(400, r#"{"error": "invalid_redirect_uri", "error_description": "no\u001b[1m"}"#);
    let refused = refused.expect_err("it is refused");
    let text = refused.to_string();
    assert_eq!(refused.code(), "registration_refused");
    assert!(
        text.contains("invalid_redirect_uri") && text.contains("--client-id") && !text.contains('\u{1b}'),
        "{text}"
    );
    for body in ["", "{}", "[]", r#"{"client_id": ""}"#, r#"{"client_id": 7}"#, r#"{"client_id": "\u0007"}"#] {
        assert_eq!(answered(201, body), Err(RegistrationError::Unreadable), "{body}");
    }
    let error = SendError { kind: SendErrorKind::NotSent, detail: "no route".into() };
    let lost = register(provider()).0.read(Err(error)).expect_err("nothing came");
    assert_eq!(lost, RegistrationError::Unreachable("no route".into()));
}

#[test]
fn a_client_with_a_secret_is_not_used_and_the_secret_not_shown() {
    let body = format!(
        r#"{{"client_id": "new", "client_secret": "{CANARY}", "token_endpoint_auth_method": "client_secret_basic"}}"#
    );
    let error = answered(201, &body).expect_err("a native client keeps no secret");
    assert_eq!(error, RegistrationError::NeedsSecret);
    assert!(!format!("{error:?} {error}").contains(CANARY));
}
