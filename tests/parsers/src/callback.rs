//! Authorization responses: the query of a callback, and what a person pasted.

use crate::fit_for_display;
use kraube_core::login::{AuthorizationUrl, Callback, Ignored, Login, Pending, Redirect, Verdict, state_in_pasted};
use kraube_core::pkce::Entropy;
use kraube_core::provider::Provider;
use kraube_core::secret::Secret;
use std::borrow::Cow;

pub(crate) const WORDS: &[&str] = &[
    "code=",
    "state=",
    "STATE",
    "iss=",
    "ISSUER",
    "error=access_denied",
    "error_description=",
    "&",
    "=",
    "#",
    "?",
    "%",
    "%00",
    "%ff",
    "+",
    "c0de-of-the-server",
    "https://platform.claude.com/oauth/code/callback",
    "\u{1b}[200~",
    "\u{1b}[201~",
    "\"",
    "<",
    ">",
    "\r\n",
    " ",
    "\u{202e}",
    "é",
];

const ISSUER: &str = "https://auth.example";
const LOOPBACK: &str = "http://127.0.0.1:1/callback";

fn begin(provider: &Provider, redirect: Redirect) -> (Pending, String) {
    let (pending, url) = Login::begin(provider, redirect, Entropy::new([7; Entropy::LEN])).expect("a usable provider");
    let state = parameter(&url, "state");
    (pending, state)
}

fn parameter(url: &AuthorizationUrl, name: &str) -> String {
    let (_, query) = url.as_str().split_once('?').expect("it has a query");
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).expect("it is sent")
}

/// Inputs name the state and the issuer by these words: they cannot know the state.
fn text(input: &[u8], state: &str) -> Option<String> {
    let text = str::from_utf8(input).ok()?;
    Some(text.replace("STATE", state).replace("ISSUER", "https%3A%2F%2Fauth.example"))
}

/// The value of a parameter that is there once and not empty; `Err` where it is there twice.
fn only<'a>(pairs: &'a [(Cow<'a, str>, Cow<'a, str>)], name: &str) -> Result<Option<&'a str>, ()> {
    let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| &**value);
    match (values.next(), values.next()) {
        (value, None) => Ok(value.filter(|value| !value.is_empty())),
        _ => Err(()),
    }
}

/// RFC 6749 section 4.1.2 and RFC 9207 section 2.4, written down a second time.
fn expected(query: &str, state: &str) -> Option<Result<String, String>> {
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let once = |name| only(&pairs, name).ok();
    let (code, given, iss, error) = (once("code")?, once("state")?, once("iss")?, once("error")?);
    once("error_description")?;
    if query.len() > 8192 || given != Some(state) || iss.is_some_and(|iss| iss != ISSUER) {
        return None;
    }
    match (code, error) {
        (Some(code), None) if fit_for_display(code) => Some(Ok(code.to_owned())),
        (None, Some(error)) => Some(Err(error.to_owned())),
        _ => None,
    }
}

pub(crate) fn query(input: &[u8]) {
    let provider = Provider { expects_iss: false, ..Provider::demo(ISSUER).expect("a valid issuer") };
    let (mut pending, state) = begin(&provider, Redirect::Loopback { uri: LOOPBACK.to_owned() });
    let Some(query) = text(input, &state) else { return };
    let verdict = pending.receive(Callback::Query(&query));
    let shown = format!("{verdict:?}");
    match (verdict, expected(&query, &state)) {
        (Verdict::Code(exchange), Some(Ok(code))) => {
            let (mut another, state) = begin(&provider, Redirect::Loopback { uri: LOOPBACK.to_owned() });
            let another = another.receive(Callback::Query(&format!("code=another&state={state}")));
            assert_eq!(shown, format!("{another:?}"), "the code is shown");
            let (_, request) = exchange.request();
            assert_eq!(request.url.as_str(), "https://auth.example/token");
            let sent: Vec<_> = form_urlencoded::parse(request.body.expose().as_bytes()).collect();
            assert_eq!(only(&sent, "code"), Ok(Some(code.as_str())), "another code is sent");
            assert_eq!(only(&sent, "grant_type"), Ok(Some("authorization_code")));
            assert!(only(&sent, "code_verifier").is_ok_and(|verifier| verifier.is_some()));
        }
        (Verdict::Denied { code, description }, Some(Err(_))) => {
            let description = description.unwrap_or_default();
            assert!(!code.is_empty() && fit_for_display(&code) && fit_for_display(&description), "{shown}");
            assert!(code.len() <= 200 && description.len() <= 200, "{shown}");
        }
        (Verdict::Ignored(_), None) => {
            assert!(!shown.contains(&state));
            return;
        }
        (verdict, expected) => panic!("{verdict:?}, where {expected:?} was expected for {query:?}"),
    }
    let again = pending.receive(Callback::Query(&query));
    assert!(matches!(again, Verdict::Ignored(Ignored::Answered)), "an answer counts once: {again:?}");
}

pub(crate) fn pasted(input: &[u8]) {
    let provider = Provider { client_id: Some("client".to_owned()), ..Provider::claude() };
    let judge = |text: &str| {
        let (mut pending, _) = begin(&provider, Redirect::Manual);
        let verdict = pending.receive(Callback::Pasted(text));
        let shown = format!("{verdict:?}");
        match verdict {
            Verdict::Code(exchange) => (shown, Some(exchange.request().1.body)),
            Verdict::Denied { .. } | Verdict::Ignored(_) => (shown, None),
        }
    };
    let (pending, state) = begin(&provider, Redirect::Manual);
    let Some(text) = text(input, &state) else { return };
    let (shown, body) = judge(&text);
    let named = state_in_pasted(&text);
    if let Some(body) = &body {
        let sent: serde_json::Value = serde_json::from_str(body.expose()).expect("the body is JSON");
        let code = sent["code"].as_str().expect("a code is sent");
        assert!(!code.is_empty() && fit_for_display(code), "{code:?}");
        assert_eq!(shown, judge("another").0, "the code is shown");
        assert_eq!(sent["state"].as_str(), Some(state.as_str()));
        assert!(named.is_none_or(|named| named == pending.state_fingerprint()), "it belongs to another login");
    }
    if shown.contains("StateMismatch") {
        assert!(named.is_some_and(|named| named != pending.state_fingerprint()), "it names no other state");
    }
    // A terminal may break the line anywhere; it does not break its own marks.
    if !text.contains('\u{1b}') && text.len() < 8000 {
        let middle = (text.len() / 2..).find(|&at| text.is_char_boundary(at)).unwrap_or_default();
        let (shown_broken, body_broken) = judge(&format!(" {}\r\n{}\n", &text[..middle], &text[middle..]));
        let expose = |body: &Option<Secret>| body.as_ref().map(|body| body.expose().to_owned());
        assert_eq!((shown, expose(&body)), (shown_broken, expose(&body_broken)), "a line break changes the meaning");
    }
}
