//! Which client an application is: normative lines K1 and K2.

use crate::common::{CANARY, ISSUER, json};
use kraube_core::http::{Endpoint, EndpointError, Request, SendError, SendErrorKind};
use kraube_core::provider::{Client, LoopbackHost, Provider};
use kraube_core::register::{Identity, MetadataUrl, Registration, RegistrationError, identify};
use kraube_core::registrations::Registrations;
use kraube_core::time::Timestamp;
use serde_json::Value;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn provider() -> Provider {
    Provider {
        client_id: None,
        registration_endpoint: Some(Endpoint::parse("https://auth.example/register").expect("a URL")),
        client_id_metadata_document_supported: true,
        ..Provider::demo(ISSUER).expect("the issuer is valid")
    }
}

fn document() -> MetadataUrl {
    metadata_url("https://me.example/kraube.json").expect("a URL")
}

fn metadata_url(url: &str) -> Result<MetadataUrl, EndpointError> {
    url.to_owned().try_into()
}

fn stored(issuer: &str) -> Client {
    let stored = Provider { client_id: Some("of before".into()), ..Provider::demo(issuer).expect("a valid issuer") };
    stored.client().expect("it has an id")
}

fn settled(provider: Provider, stored: Option<&Client>, document: Option<&MetadataUrl>) -> Option<String> {
    match identify(provider, stored, document, &mut Registrations::default(), NOW) {
        Identity::Settled(provider) => provider.client_id,
        Identity::Register(..) => panic!("it registers"),
    }
}

fn register(provider: Provider) -> (Registration, Request) {
    match identify(provider, None, None, &mut Registrations::default(), NOW) {
        Identity::Register(registration, request) => (registration, request),
        Identity::Settled(provider) => panic!("it does not register: {:?}", provider.client_id),
    }
}

fn registers(provider: Provider, stored: Option<&Client>, document: Option<&MetadataUrl>) -> bool {
    let identity = identify(provider, stored, document, &mut Registrations::default(), NOW);
    matches!(identity, Identity::Register(..))
}

/// A login that begins with these registrations: the client, or `None` where it is registered anew as `new`.
fn begun(kept: &mut Registrations, provider: Provider, stored: Option<&Client>, new: &str) -> Option<String> {
    match identify(provider, stored, None, kept, NOW) {
        Identity::Settled(provider) => provider.client_id,
        Identity::Register(registration, _) => {
            let (_, registered) = registration.read(Ok(json(201, new))).expect("it is registered");
            kept.keep(registered.expect("it has an issuer"));
            // As it is read by the next process.
            *kept = Registrations::parse(kept.to_blob().bytes()).expect("what was written");
            None
        }
    }
}

fn asked(provider: Provider) -> Value {
    serde_json::from_str(register(provider).1.body.expose()).expect("JSON")
}

fn answered(status: u16, body: &str) -> Result<String, RegistrationError> {
    let (provider, _) = register(provider()).0.read(Ok(json(status, body)))?;
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
fn k2_the_address_of_a_document_is_https_with_a_path() {
    for good in ["https://me.example/kraube.json", "https://me.example:8443/a/b?v=1", "https://me.example/a..b/.c"] {
        assert!(metadata_url(good).is_ok(), "{good}");
    }
    for bad in [
        "http://127.0.0.1/kraube.json",
        "https://me.example",
        "https://me.example/",
        "https://me.example?a=/kraube.json",
        "https://me.example/./kraube.json",
        "https://me.example/a/..",
    ] {
        assert_eq!(metadata_url(bad), Err(EndpointError::NoDocument), "{bad}");
    }
    assert_eq!(metadata_url("https://me.example/kraube.json#a"), Err(EndpointError::Fragment));
    assert_eq!(metadata_url("https://me@me.example/kraube.json"), Err(EndpointError::UserInfo));
}

#[test]
fn k2_a_document_is_not_named_to_a_server_that_does_not_take_one() {
    let provider = Provider { client_id_metadata_document_supported: false, ..provider() };
    assert!(registers(provider, None, Some(&document())));
}

#[test]
fn f7_the_client_of_another_server_is_never_used() {
    for other in ["https://other.example", "https://auth.example/"] {
        assert!(registers(provider(), Some(&stored(other)), None), "{other}");
    }
    let nameless = Client { issuer: None, ..stored(ISSUER) };
    let provider = Provider { issuer: None, ..provider() };
    assert!(registers(provider, Some(&nameless), None), "no issuer is no match");
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
    let null = r#"{"client_id": "new", "token_endpoint_auth_method": null, "dpop_bound_access_tokens": null}"#;
    assert_eq!(answered(201, null).as_deref(), Ok("new"), "as good as absent");
    for body in [
        "",
        "{}",
        "[]",
        r#"{"client_id": ""}"#,
        r#"{"client_id": 7}"#,
        r#"{"client_id": "\u0007"}"#,
        r#"{"client_id": "a", "client_id": "b"}"#,
        r#"{"client_id": "a", "token_endpoint_auth_method": 7}"#,
    ] {
        assert_eq!(answered(201, body), Err(RegistrationError::Unreadable), "{body}");
    }
    let error = SendError { kind: SendErrorKind::NotSent, detail: "no route".into() };
    let lost = register(provider()).0.read(Err(error)).expect_err("nothing came");
    assert_eq!(lost, RegistrationError::Unreachable("no route".into()));
}

#[test]
fn k1_a_registration_outlives_its_login_and_is_used_for_the_same_alone() {
    let mut kept = Registrations::default();
    let first = r#"{"client_id": "first"}"#;
    assert_eq!(begun(&mut kept, provider(), None, first), None);
    // The stored login may be gone, or still be there.
    let client = Client { client_id: "first".into(), ..stored(ISSUER) };
    for stored in [None, Some(&client)] {
        assert_eq!(begun(&mut kept, provider(), stored, "").as_deref(), Some("first"));
        kept.proved(&client);
    }
    let wider = Provider { scopes: vec!["more".into()], ..provider() };
    assert_eq!(begun(&mut kept, wider.clone(), Some(&client), r#"{"client_id": "wider"}"#), None);
    assert_eq!(begun(&mut kept, wider, None, "").as_deref(), Some("wider"));
    assert_eq!(begun(&mut kept, provider(), None, "").as_deref(), Some("first"));
    let other = Provider { issuer: Some("https://other.example".into()), ..provider() };
    assert_eq!(begun(&mut kept, other, None, r#"{"client_id": "other"}"#), None);
}

#[test]
fn k1_a_login_that_is_done_drops_what_its_registration_replaced_and_nothing_else() {
    let mut kept = Registrations::default();
    let other = Provider { issuer: Some("https://other.example".into()), ..provider() };
    let wider = Provider { scopes: vec!["more".into()], ..provider() };
    for (provider, client_id) in [(other, "other"), (wider, "wider"), (provider(), "first")] {
        assert_eq!(begun(&mut kept, provider, None, &format!(r#"{{"client_id": "{client_id}"}}"#)), None);
    }
    assert_eq!(begun(&mut kept, provider(), None, "").as_deref(), Some("first"));
    assert_eq!(begun(&mut kept, provider(), None, r#"{"client_id": "second"}"#), None);
    let ids = |kept: &Registrations| {
        let document: Value = serde_json::from_slice(kept.to_blob().bytes()).expect("JSON");
        let all = document["registrations"].as_array().expect("a list").clone();
        let mut ids: Vec<_> = all.iter().map(|one| one["clientId"].as_str().expect("a string").to_owned()).collect();
        ids.sort();
        ids
    };
    // A client of another server, and one that is not known.
    kept.proved(&Client { client_id: "second".into(), ..stored("https://elsewhere.example") });
    kept.proved(&stored(ISSUER));
    assert_eq!(ids(&kept), ["first", "other", "second", "wider"]);
    kept.proved(&Client { client_id: "second".into(), ..stored(ISSUER) });
    assert_eq!(ids(&kept), ["other", "second", "wider"]);
}

#[cfg(feature = "dpop")]
#[test]
fn l1_a_server_that_registers_a_client_for_bound_tokens_gets_a_login_that_is_bound() {
    for (member, bound) in [(r#","dpop_bound_access_tokens":true"#, true), ("", false)] {
        let body = format!(r#"{{"client_id":"new"{member}}}"#);
        let (provider, _) = register(provider()).0.read(Ok(json(201, body))).expect("it is registered");
        assert_eq!(provider.dpop.is_made(), bound);
    }
}

#[test]
fn k1_a_registration_that_may_be_void_is_made_anew() {
    let mut kept = Registrations::default();
    assert_eq!(begun(&mut kept, provider(), None, r#"{"client_id": "first"}"#), None);
    assert_eq!(begun(&mut kept, provider(), None, "").as_deref(), Some("first"));
    // That login came to no end: the server may not know the client any more, whatever is stored.
    let client = Client { client_id: "first".into(), ..stored(ISSUER) };
    assert_eq!(begun(&mut kept, provider(), Some(&client), r#"{"client_id": "second"}"#), None);
    assert_eq!(begun(&mut kept, provider(), Some(&client), "").as_deref(), Some("second"));

    let seconds = NOW.0 / 1000;
    for (expires, good) in [(seconds, false), (seconds + 1, true), (0, true), (u64::MAX, true)] {
        let mut kept = Registrations::default();
        let answer = format!(r#"{{"client_id": "first", "client_secret_expires_at": {expires}}}"#);
        assert_eq!(begun(&mut kept, provider(), None, &answer), None);
        assert_eq!(begun(&mut kept, provider(), None, &answer).is_some(), good, "{expires}");
    }
    let kept = |one: &str| Registrations::parse(format!(r#"{{"registrations": [{one}]}}"#).as_bytes());
    let one = r#"{"issuer": "i", "asked": "a", "clientId": "c"}"#;
    assert!(kept(one).is_some() && kept("").is_some());
    for part in [r#""issuer": "i", "#, r#""asked": "a", "#, r#", "clientId": "c""#] {
        assert_eq!(kept(&one.replace(part, "")), None, "without {part}");
    }
    for more in [r#""underWay": 1"#, r#""expiresAt": "soon""#, r#""issuer": "i""#] {
        assert_eq!(kept(&one.replace('}', &format!(", {more}}}"))), None, "{more}");
    }
    for bad in [&b"{"[..], b"{}", b"[]", br#"{"registrations": 1}"#, br#"{"registrations": [], "registrations": []}"#] {
        assert_eq!(Registrations::parse(bad), None);
    }
}

#[test]
fn a_registration_keeps_no_secret() {
    let answer = format!(
        r#"{{"client_id": "first", "registration_access_token": "{CANARY}", "token_endpoint_auth_method": "none",
            "client_secret": "{CANARY}"}}"#
    );
    let mut kept = Registrations::default();
    begun(&mut kept, provider(), None, &answer);
    assert!(!String::from_utf8_lossy(kept.to_blob().bytes()).contains(CANARY) && !format!("{kept:?}").contains(CANARY));
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
