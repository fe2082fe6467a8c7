//! The authorization request and its response: normative lines A1 to B12 and C3, C4; faults 1 to 9, 14, 15.

#![allow(clippy::wildcard_enum_match_arm, reason = "any other variant fails the test")]

mod pasted;
mod properties;
mod saved;

use crate::common::{self, CANARY, ISSUER, parameters};
use kraube_core::login::{
    AuthorizationUrl, BeginError, Callback, Exchange, Ignored, Login, Pending, Redirect, RestoreError, Verdict,
};
use kraube_core::pkce::Entropy;
use kraube_core::provider::{Provider, TokenBody};
use kraube_core::time::Timestamp;

const LOOPBACK: &str = "http://127.0.0.1:4711/callback";
const ISS: &str = "https%3A%2F%2Fauth.example";

fn entropy(seed: u8) -> Entropy {
    Entropy::new(core::array::from_fn(|index| seed.wrapping_add(index as u8)))
}

fn demo() -> Provider {
    Provider::demo(ISSUER).expect("the issuer is valid")
}

fn claude() -> Provider {
    Provider { client_id: Some("mine".into()), ..Provider::claude() }
}

fn begin(provider: &Provider) -> (Pending, AuthorizationUrl) {
    Login::begin(provider, Redirect::Loopback { uri: LOOPBACK.into() }, entropy(1)).expect("a valid login")
}

fn begin_manual() -> (Pending, AuthorizationUrl) {
    Login::begin(&claude(), Redirect::Manual, entropy(1)).expect("a valid login")
}

fn refused(provider: &Provider, redirect: Redirect) -> BeginError {
    Login::begin(provider, redirect, entropy(1)).expect_err("it must not begin")
}

fn sent(url: &AuthorizationUrl) -> std::collections::BTreeMap<String, String> {
    parameters(url.as_str().split_once('?').expect("it has a query").1)
}

fn state(url: &AuthorizationUrl) -> String {
    sent(url)["state"].clone()
}

fn ignored(pending: &mut Pending, callback: Callback<'_>) -> Ignored {
    match pending.receive(callback) {
        Verdict::Ignored(reason) => reason,
        other => panic!("{callback:?} was not ignored: {other:?}"),
    }
}

fn exchange(pending: &mut Pending, callback: Callback<'_>) -> Exchange {
    match pending.receive(callback) {
        Verdict::Code(exchange) => exchange,
        other => panic!("{callback:?} gave no code: {other:?}"),
    }
}

/// The code that the token request sends.
fn code(exchange: Exchange) -> String {
    let (client, request) = exchange.request();
    match client.body {
        TokenBody::Form => parameters(request.body.expose())["code"].clone(),
        TokenBody::Json => {
            let body: serde_json::Value = serde_json::from_str(request.body.expose()).expect("valid JSON");
            body["code"].as_str().expect("a string").to_owned()
        }
    }
}

#[test]
fn a1_a6_the_request_asks_for_a_code_with_an_s256_challenge() {
    let sent = sent(&begin(&demo()).1);
    assert_eq!(sent["response_type"], "code");
    assert_eq!(sent["code_challenge_method"], "S256");
    assert_eq!(sent["code_challenge"].len(), 43);
    assert_eq!(sent["redirect_uri"], LOOPBACK);
    assert_eq!(sent["client_id"], "kraube-demo");
    assert_eq!(sent["state"].len(), 43);
}

#[test]
fn a1_no_profile_can_weaken_the_challenge_or_double_a_parameter() {
    for name in ["code_challenge_method", "code_challenge", "response_type", "state", "redirect_uri", "client_id"] {
        let mut provider = demo();
        provider.authorization_parameters.insert(name.into(), "plain".into());
        let error = refused(&provider, Redirect::Loopback { uri: LOOPBACK.into() });
        assert_eq!(error, BeginError::RepeatedParameter { name: name.into() });
    }
}

#[test]
fn a3_another_attempt_has_another_verifier_challenge_and_state() {
    let attempt = |seed| {
        let redirect = Redirect::Loopback { uri: LOOPBACK.into() };
        let (pending, url) = Login::begin(&demo(), redirect, entropy(seed)).expect("a valid login");
        (sent(&url)["code_challenge"].clone(), state(&url), pending.state_fingerprint())
    };
    let (first, second) = (attempt(1), attempt(2));
    assert_ne!(first.0, second.0);
    assert_ne!(first.1, second.1);
    assert_ne!(first.2, second.2);
}

#[test]
fn a7_the_query_of_the_endpoint_is_kept() {
    for (endpoint, start) in [
        ("https://auth.example/a?tenant=1", "https://auth.example/a?tenant=1&response_type="),
        ("https://auth.example/a?tenant=1&", "https://auth.example/a?tenant=1&response_type="),
        ("https://auth.example/a?", "https://auth.example/a?response_type="),
        ("https://auth.example", "https://auth.example?response_type="),
    ] {
        let provider = Provider { authorization_endpoint: endpoint.parse_endpoint(), ..demo() };
        let url = begin(&provider).1;
        assert!(url.as_str().starts_with(start), "{url}");
    }
}

trait ParseEndpoint {
    fn parse_endpoint(&self) -> kraube_core::http::Endpoint;
}

impl ParseEndpoint for str {
    fn parse_endpoint(&self) -> kraube_core::http::Endpoint {
        kraube_core::http::Endpoint::parse(self).expect("a valid endpoint")
    }
}

#[test]
fn a8_no_parameter_is_sent_twice_and_none_is_empty() {
    let mut provider = demo();
    provider.authorization_parameters.insert("prompt".into(), String::new());
    assert!(!sent(&begin(&provider).1).contains_key("prompt"));
    assert!(!sent(&begin(&provider).1).contains_key("scope"), "no scope was asked for");
    for endpoint in ["https://auth.example/a?state=1", "https://auth.example/a?x=1&x=2"] {
        let provider = Provider { authorization_endpoint: endpoint.parse_endpoint(), ..demo() };
        let error = refused(&provider, Redirect::Loopback { uri: LOOPBACK.into() });
        assert_eq!(error.code(), "repeated_parameter");
    }
}

#[test]
fn offline_access_is_asked_for_with_consent_unless_the_profile_says_otherwise() {
    let prompt = |provider: &Provider| sent(&begin(provider).1).remove("prompt");
    let offline = Provider { scopes: vec!["openid".into(), "offline_access".into()], ..demo() };
    assert_eq!(prompt(&offline).as_deref(), Some("consent"));
    assert_eq!(prompt(&Provider { scopes: vec!["openid".into()], ..demo() }), None);
    let mut own = offline.clone();
    own.authorization_parameters.insert("prompt".into(), "select_account".into());
    assert_eq!(prompt(&own).as_deref(), Some("select_account"));
    own.authorization_parameters.insert("prompt".into(), String::new());
    assert_eq!(prompt(&own), None, "a server that gives refresh tokens without it");
    let endpoint = "https://auth.example/a?prompt=login".parse_endpoint();
    let fixed = Provider { authorization_endpoint: endpoint, ..offline };
    assert_eq!(prompt(&fixed).as_deref(), Some("login"), "a parameter is not sent twice");
}

#[test]
fn a10_the_redirect_uri_is_one_of_the_loopback_interface_without_a_fragment() {
    for uri in [
        "http://127.0.0.1:1/callback#x",
        "https://127.0.0.1:1/callback",
        "http://evil.example/callback",
        "http://127.0.0.1.evil.example/",
        "http://127.0.0.1:1callback",
        "callback",
        "",
    ] {
        assert_eq!(refused(&demo(), Redirect::Loopback { uri: uri.into() }), BeginError::InvalidRedirect, "{uri}");
    }
    for uri in ["http://evil.example/", "javascript:alert(1)", "https://app.example/#x"] {
        assert_eq!(refused(&demo(), Redirect::Page { uri: uri.into() }), BeginError::InvalidRedirect, "{uri}");
    }
    let page = Redirect::Page { uri: "https://app.example/back".into() };
    assert!(Login::begin(&demo(), page, entropy(1)).is_ok());
    assert_eq!(refused(&demo(), Redirect::Manual), BeginError::NoManualRedirect);
}

#[test]
fn a_login_without_a_client_id_fails_at_once_and_says_so() {
    for client_id in [None, Some(String::new()), Some(" ".into())] {
        let error = refused(&Provider { client_id, ..Provider::claude() }, Redirect::Manual);
        assert_eq!(error.code(), "missing_client_id");
        assert!(error.to_string().contains("--client-id"), "{error}");
    }
}

#[test]
fn a_profile_that_expects_iss_needs_an_issuer() {
    let provider = Provider { issuer: None, ..demo() };
    assert_eq!(refused(&provider, Redirect::Loopback { uri: LOOPBACK.into() }), BeginError::IssuerUnknown);
}

#[test]
fn claude_asks_with_its_scopes_and_its_extra_parameter() {
    let (pending, url) = begin_manual();
    assert!(url.as_str().starts_with("https://claude.com/cai/oauth/authorize?code=true&"), "{url}");
    let sent = sent(&url);
    assert_eq!(sent["scope"], "user:profile user:inference");
    assert_eq!(sent["client_id"], "mine");
    assert_eq!(sent["redirect_uri"], "https://platform.claude.com/oauth/code/callback");
    assert_eq!(pending.redirect_uri(), "https://platform.claude.com/oauth/code/callback");
}

#[test]
fn f6_the_resource_is_named_in_the_authorization_and_in_the_token_request() {
    let resource = "https://mcp.example/v1?a=b";
    let (mut pending, url) = begin(&Provider { resource: Some(resource.into()), ..demo() });
    assert_eq!(sent(&url)["resource"], resource);
    let query = format!("code=c&state={}&iss={ISS}", state(&url));
    let (client, request) = exchange(&mut pending, Callback::Query(&query)).request();
    assert_eq!(parameters(request.body.expose())["resource"], resource);
    assert_eq!(client.resource.as_deref(), Some(resource), "it is kept for refreshes");
    for bad in ["mcp.example", "https://mcp.example/#part"] {
        let provider = Provider { resource: Some(bad.into()), ..demo() };
        let redirect = Redirect::Loopback { uri: LOOPBACK.into() };
        assert_eq!(refused(&provider, redirect), BeginError::InvalidResource, "{bad}");
    }
}

#[test]
fn c3_c4_the_exchange_sends_the_verifier_and_the_same_redirect_uri() {
    let (mut pending, url) = begin(&demo());
    let query = format!("code=the%20c%2Bode&state={}&iss={ISS}", state(&url));
    let (client, request) = exchange(&mut pending, Callback::Query(&query)).request();
    assert_eq!(client, demo().client().expect("the demo has a client id"));
    assert_eq!(request.url, client.token_endpoint);
    assert_eq!(request.content_type, "application/x-www-form-urlencoded");
    let body = parameters(request.body.expose());
    let names: Vec<_> = body.keys().map(String::as_str).collect();
    assert_eq!(names, ["client_id", "code", "code_verifier", "grant_type", "redirect_uri"], "no state in a form");
    assert_eq!(body["grant_type"], "authorization_code");
    assert_eq!(body["code"], "the c+ode");
    assert_eq!(body["redirect_uri"], LOOPBACK);
    let verifier = kraube_core::pkce::Verifier::restore(common::secret(&body["code_verifier"])).expect("a verifier");
    assert_eq!(verifier.challenge(), sent(&url)["code_challenge"]);
    assert_ne!(body["code_verifier"], state(&url));
}

#[test]
fn a_json_exchange_repeats_the_state() {
    let (mut pending, url) = begin_manual();
    let (client, request) = exchange(&mut pending, Callback::Pasted(&format!("co-de#{}", state(&url)))).request();
    assert_eq!(client.refused_statuses, [404]);
    assert_eq!(request.content_type, "application/json");
    let body: serde_json::Value = serde_json::from_str(request.body.expose()).expect("valid JSON");
    assert_eq!(body["state"], state(&url));
    assert_eq!(body["code"], "co-de");
    assert_eq!(body["grant_type"], "authorization_code");
    assert_eq!(body["client_id"], "mine");
    assert_eq!(body["redirect_uri"], "https://platform.claude.com/oauth/code/callback");
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(6));
}

#[test]
fn b1_faults_1_and_2_a_missing_or_wrong_state_is_ignored_and_the_login_still_completes() {
    let (mut pending, url) = begin(&demo());
    let state = state(&url);
    for (query, reason) in [
        (format!("code=c&iss={ISS}"), Ignored::StateMissing),
        (format!("code=c&state=&iss={ISS}"), Ignored::StateMissing),
        (format!("code=c&state={}&iss={ISS}", &state[1..]), Ignored::StateMismatch),
        (format!("code=c&state={state}x&iss={ISS}"), Ignored::StateMismatch),
        (format!("code=c&state={}&iss={ISS}", state.to_lowercase()), Ignored::StateMismatch),
        (format!("code=c&State={state}&iss={ISS}"), Ignored::StateMissing),
        (String::new(), Ignored::StateMissing),
    ] {
        assert_eq!(ignored(&mut pending, Callback::Query(&query)), reason, "{query}");
    }
    let query = format!("code=c&state={state}&iss={ISS}");
    assert_eq!(code(exchange(&mut pending, Callback::Query(&query))), "c");
}

#[test]
fn b2_fault_5_the_state_is_good_for_one_response() {
    let (mut pending, url) = begin(&demo());
    let query = format!("code=c&state={}&iss={ISS}", state(&url));
    exchange(&mut pending, Callback::Query(&query));
    assert_eq!(ignored(&mut pending, Callback::Query(&query)), Ignored::Answered);
    assert_eq!(ignored(&mut pending, Callback::Pasted("c")), Ignored::Answered);
    assert!(pending.save(Timestamp(0)).is_none(), "an answered login cannot be saved");
}

#[test]
fn b3_unknown_parameters_are_ignored() {
    let (mut pending, url) = begin(&demo());
    let query = format!("x=1&x=2&session_state=%FF&code=c&&=&state={}&iss={ISS}&CODE=d", state(&url));
    assert_eq!(code(exchange(&mut pending, Callback::Query(&query))), "c");
}

#[test]
fn b4_fault_6_repeated_parameters_are_refused() {
    let (mut pending, url) = begin(&demo());
    let right = format!("code=c&state={}&iss={ISS}", state(&url));
    for repeated in ["code=c", "code=", "c%6fde=d", &format!("state={}", state(&url)), "state=", &format!("iss={ISS}")]
    {
        for query in [format!("{right}&{repeated}"), format!("{repeated}&{right}")] {
            assert_eq!(ignored(&mut pending, Callback::Query(&query)), Ignored::Repeated, "{query}");
        }
    }
    let errors = format!("error=a&error=b&state={}&iss={ISS}", state(&url));
    assert_eq!(ignored(&mut pending, Callback::Query(&errors)), Ignored::Repeated);
    exchange(&mut pending, Callback::Query(&right));
}

#[test]
fn b5_b7_fault_7_another_issuer_is_refused_also_for_errors_and_without_normalisation() {
    let (mut pending, url) = begin(&demo());
    for issuer in ["https://evil.example", "https://auth.example/", "https://AUTH.example", "https://auth.example:443"]
    {
        let iss: String = form_urlencoded::byte_serialize(issuer.as_bytes()).collect();
        for answer in ["code=c", "error=access_denied&error_description=CANARYp7x1vQ"] {
            let query = format!("{answer}&state={}&iss={iss}", state(&url));
            let verdict = pending.receive(Callback::Query(&query));
            assert!(matches!(verdict, Verdict::Ignored(Ignored::IssuerMismatch)), "{query}: {verdict:?}");
            assert!(!format!("{verdict:?} {}", Ignored::IssuerMismatch).contains(CANARY), "B8: the text is not shown");
        }
    }
    exchange(&mut pending, Callback::Query(&format!("code=c&state={}&iss={ISS}", state(&url))));
}

#[test]
fn b6_fault_8_a_missing_issuer_is_refused_where_one_is_promised() {
    let (mut pending, url) = begin(&demo());
    for answer in ["code=c", "error=access_denied", "code=c&iss="] {
        let query = format!("{answer}&state={}", state(&url));
        assert_eq!(ignored(&mut pending, Callback::Query(&query)), Ignored::IssuerMissing);
        let url = format!("{LOOPBACK}?{query}");
        assert_eq!(ignored(&mut pending, Callback::Pasted(&url)), Ignored::IssuerMissing);
    }
    let (mut pending, url) = begin(&Provider { expects_iss: false, ..demo() });
    exchange(&mut pending, Callback::Query(&format!("code=c&state={}", state(&url))));
}

#[test]
fn an_error_with_our_state_does_not_repeat_it() {
    let (mut pending, url) = begin(&demo());
    let state = state(&url);
    let query = format!("error=no+{state}&error_description=no+{state}&state={state}&iss={ISS}");
    let Verdict::Denied { code, description } = pending.receive(Callback::Query(&query)) else { panic!("an error") };
    assert_eq!((code.as_str(), description), ("unreadable_error", None));
}

#[test]
fn fault_3_an_error_without_our_state_is_ignored() {
    let (mut pending, url) = begin(&demo());
    for query in ["error=access_denied".to_owned(), format!("error=access_denied&state=x&iss={ISS}")] {
        ignored(&mut pending, Callback::Query(&query));
    }
    exchange(&mut pending, Callback::Query(&format!("code=c&state={}&iss={ISS}", state(&url))));
}

#[test]
fn b12_faults_4_and_9_an_error_with_our_state_ends_the_login_and_its_text_is_fit_for_display() {
    let (mut pending, url) = begin(&demo());
    let text = "%1B%5D0%3Bx%07%3Cscript%3E%22%5C%E2%80%AE%0A";
    let query = format!("error=access_denied%1B&error_description={text}&state={}&iss={ISS}", state(&url));
    match pending.receive(Callback::Query(&query)) {
        Verdict::Denied { code, description } => {
            assert_eq!(code, "access_denied");
            assert_eq!(description.as_deref(), Some("]0;x<script>"));
        }
        other => panic!("{other:?}"),
    }
    let query = format!("code=c&state={}&iss={ISS}", state(&url));
    assert_eq!(ignored(&mut pending, Callback::Query(&query)), Ignored::Answered);
}

#[test]
fn b11_a_response_without_a_usable_answer_is_ignored() {
    let (mut pending, url) = begin(&demo());
    let (state, long) = (state(&url), "x".repeat(9000));
    for (answer, reason) in [
        ("", Ignored::NoCode),
        ("code=", Ignored::NoCode),
        ("error=", Ignored::NoCode),
        ("code=c&error=e", Ignored::Contradictory),
        ("code=a%00b", Ignored::Characters),
        ("code=a%0D%0Ab", Ignored::Characters),
        ("code=%1B%5B2J", Ignored::Characters),
        ("code=%C3%A9", Ignored::Characters),
        ("code=%FF", Ignored::Characters),
        (&format!("code={long}"), Ignored::TooLong),
    ] {
        let query = format!("{answer}&state={state}&iss={ISS}");
        assert_eq!(ignored(&mut pending, Callback::Query(&query)), reason, "{answer}");
    }
    exchange(&mut pending, Callback::Query(&format!("code=c&state={state}&iss={ISS}")));
}

#[test]
fn nothing_secret_is_in_a_debug_or_the_verifier_in_the_url() {
    let (mut pending, url) = begin(&demo());
    let state = state(&url);
    let saved = pending.save(Timestamp(0)).expect("not answered yet");
    let document: serde_json::Value = serde_json::from_slice(saved.bytes()).expect("JSON");
    let verifier = document["verifier"].as_str().expect("a string").to_owned();
    assert!(!url.as_str().contains(&verifier));
    assert_eq!(format!("{url:?}"), "AuthorizationUrl(https://auth.example)");
    let query = format!("code={CANARY}&state={state}&iss={ISS}");
    let before = format!("{pending:?} {saved:?} {:?} {:?}", Callback::Query(&query), Callback::Pasted(&query));
    let exchange = exchange(&mut pending, Callback::Query(&query));
    let mut shown = format!("{before} {exchange:?} {pending:?}");
    assert!(before.contains("Pending(") && shown.contains("Exchange("), "one sees what it is: {shown}");
    assert!(!before.contains(", answered") && shown.contains(", answered"), "and where it stands: {shown}");
    let (_, request) = exchange.request();
    shown += &format!("{request:?} {:?}", entropy(1));
    assert!(shown.contains("Entropy("), "{shown}");
    for secret in [CANARY, &state, &verifier] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn reasons_have_distinct_codes_and_texts() {
    use Ignored::*;
    let all = [
        TooLong,
        Empty,
        Characters,
        OtherAddress,
        Repeated,
        StateMissing,
        StateMismatch,
        Answered,
        IssuerMissing,
        IssuerMismatch,
        NoCode,
        Contradictory,
    ];
    let codes: std::collections::BTreeSet<_> = all.iter().map(|reason| reason.code()).collect();
    let texts: std::collections::BTreeSet<_> = all.iter().map(ToString::to_string).collect();
    assert_eq!((codes.len(), texts.len()), (all.len(), all.len()));
}

#[test]
fn every_error_of_a_login_that_cannot_begin_or_go_on_has_a_name_and_says_what_to_do() {
    let repeated = BeginError::RepeatedParameter { name: "state".into() };
    for (error, code, advice) in [
        (BeginError::NoManualRedirect, "no_manual_redirect", "with the browser"),
        (BeginError::InvalidRedirect, "invalid_redirect", "redirect rules"),
        (BeginError::IssuerUnknown, "issuer_unknown", "add its issuer"),
        (BeginError::InvalidResource, "invalid_resource", "an absolute URI"),
        (repeated, "repeated_parameter", "the parameter state would be sent twice; remove it"),
    ] {
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains(advice), "{error}");
    }
    for (error, code, advice) in [
        (RestoreError::Unreadable, "pending_unreadable", "begin a new one"),
        (RestoreError::Version, "pending_version", "another version"),
        (RestoreError::Expired, "pending_expired", "ten minutes"),
    ] {
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains(advice), "{error}");
    }
}

#[test]
fn an_error_that_no_terminal_may_show_is_an_error_all_the_same() {
    let (mut pending, url) = begin(&demo());
    let query = format!("error=%1B%C3%A9&error_description=%22&state={}&iss={ISS}", state(&url));
    let Verdict::Denied { code, description } = pending.receive(Callback::Query(&query)) else {
        panic!("the server said no")
    };
    assert_eq!((code.as_str(), description), ("unreadable_error", None));
}
