//! The questions of `calls.json`: what is asked, in JSON, beside what the native core answers to the same.

use crate::json;
use kraube_core::http::{Endpoint, Response};
use kraube_core::login::{Callback, Login, Pending, Redirect};
use kraube_core::machine::{Blob, StoreError, StoreErrorKind};
use kraube_core::pkce::Entropy;
use kraube_core::policy::Policy;
use kraube_core::provider::{Client, Provider};
use kraube_core::record::Credentials;
use kraube_core::revoke::{read_revocation, revocation_request};
use kraube_core::secret::Secret;
use kraube_core::status::status;
use kraube_core::time::{Millis, Now, Timestamp};
use kraube_core::token::{read_answer, refresh_request};
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000_000;

type Answer = Result<Value, Value>;

pub(crate) fn all() -> Vec<Value> {
    [beginning(), receiving(), providers(), tokens(), revoking(), records(), figures()].concat()
}

fn call(name: impl Into<String>, call: &str, arguments: Value, answer: Answer) -> Value {
    let name: String = name.into();
    match answer {
        Ok(returns) => json!({ "name": name, "call": call, "arguments": arguments, "returns": returns }),
        Err(throws) => json!({ "name": name, "call": call, "arguments": arguments, "throws": throws }),
    }
}

fn thrown(code: &str, error: &dyn std::fmt::Display) -> Value {
    json!({ "code": code, "message": error.to_string() })
}

fn beginning() -> Vec<Value> {
    let page = json!({ "type": "page", "uri": "https://app.example/callback" });
    let with = |member: &str, value: Value| {
        let mut provider = example();
        provider[member] = value;
        provider
    };
    let cases = [
        ("the standard", example(), page.clone()),
        ("other entropy", example(), page.clone()),
        ("no scopes", with("scopes", json!([])), page.clone()),
        ("scopes", with("scopes", json!(["a b", "c+d", "\u{e9}"])), page.clone()),
        (
            "an endpoint with a query",
            with("authorization_endpoint", json!("https://id.example/a?tenant=x&")),
            page.clone(),
        ),
        (
            "parameters of the provider",
            with("authorization_parameters", json!({ "prompt": "consent", "code": "true" })),
            page.clone(),
        ),
        ("a parameter twice", with("authorization_parameters", json!({ "state": "mine" })), page.clone()),
        (
            "a parameter twice, in the endpoint",
            with("authorization_endpoint", json!("https://id.example/a?scope=x")),
            page.clone(),
        ),
        ("no client id", with("client_id", Value::Null), page.clone()),
        ("a blank client id", with("client_id", json!(" ")), page.clone()),
        (
            "iss without an issuer",
            {
                let mut p = with("issuer", Value::Null);
                p["expects_iss"] = json!(true);
                p
            },
            page.clone(),
        ),
        ("a loopback redirect", example(), json!({ "type": "loopback", "uri": "http://127.0.0.1:8080/callback" })),
        ("a loopback redirect that is none", example(), json!({ "type": "loopback", "uri": "https://app.example/" })),
        ("a redirect to a plain page", example(), json!({ "type": "page", "uri": "http://app.example/" })),
        ("a redirect with a fragment", example(), json!({ "type": "page", "uri": "https://app.example/#x" })),
        ("no page that shows a code", example(), json!({ "type": "manual" })),
        (
            "a page that shows a code",
            with("manual_redirect", json!("https://id.example/code")),
            json!({ "type": "manual" }),
        ),
    ];
    let cases = cases.into_iter().enumerate().map(|(index, (name, provider, redirect))| {
        let seed = index as u8;
        let options = json!({ "provider": provider, "redirect": redirect, "entropy": hex(&entropy(seed)) });
        call(format!("begin: {name}"), "begin", json!([options, NOW]), begin(&provider, &redirect, seed))
    });
    cases.collect()
}

fn receiving() -> Vec<Value> {
    let (pending, state) = pending(&example());
    let strict = {
        let mut provider = example();
        provider["expects_iss"] = json!(true);
        self::pending(&provider).0
    };
    let query = |text: String| json!({ "type": "query", "query": text });
    let pasted = |text: String| json!({ "type": "pasted", "text": text });
    let iss = "https%3A%2F%2Fid.example";
    let uri = "https://app.example/callback";
    let cases = [
        ("a code", &pending, query(format!("code=c1&state={state}"))),
        ("a code that is encoded", &pending, query(format!("state={state}&code=a%2Bb+c%2f&x=%zz"))),
        ("a code with its issuer", &strict, query(format!("code=c1&state={state}&iss={iss}"))),
        ("denied", &pending, query(format!("error=access_denied&state={state}"))),
        (
            "denied, with a description",
            &pending,
            query(format!("error=access_denied&error_description=not%0A+%22now%22&state={state}")),
        ),
        ("an error that nobody can read", &pending, query(format!("error=%1b%5d&state={state}"))),
        ("no state", &pending, query("code=c1".into())),
        ("another state", &pending, query("code=c1&state=other".into())),
        ("the issuer is missing", &strict, query(format!("code=c1&state={state}"))),
        ("another issuer", &pending, query(format!("code=c1&state={state}&iss={iss}%2F"))),
        (
            "a denial of another issuer",
            &pending,
            query(format!("error=access_denied&state={state}&iss=https%3A%2F%2Fevil.example")),
        ),
        ("a parameter twice", &pending, query(format!("code=c1&code=c2&state={state}"))),
        ("neither code nor error", &pending, query(format!("state={state}"))),
        ("both", &pending, query(format!("code=c1&error=x&state={state}"))),
        ("control characters", &pending, query(format!("code=c%001&state={state}"))),
        ("nothing", &pending, query(String::new())),
        ("too long", &pending, query(format!("code={}&state={state}", "c".repeat(9000)))),
        ("a pasted address", &pending, pasted(format!("{uri}?code=c1&state={state}#"))),
        ("a pasted address of another page", &pending, pasted(format!("https://evil.example/?code=c1&state={state}"))),
        ("a pasted address without the issuer", &strict, pasted(format!("{uri}?code=c1&state={state}"))),
        ("a pasted code and state", &strict, pasted(format!("c1#{state}"))),
        ("a pasted code and another state", &pending, pasted("c1#other".into())),
        ("a pasted code", &pending, pasted("  'c1'\r\n".into())),
        ("a pasted code in brackets of a terminal", &pending, pasted("\u{1b}[200~c1\u{1b}[201~".into())),
        ("nothing is pasted", &pending, pasted(" \n".into())),
        ("pasted text that is no code", &pending, pasted("c\u{e9}".into())),
    ];
    let mut calls: Vec<_> = cases
        .into_iter()
        .map(|(name, pending, callback)| {
            let answer = receive(pending, &callback, NOW + 5);
            call(format!("receive: {name}"), "receive", json!([pending, callback, NOW + 5]), answer)
        })
        .collect();
    let good = query(format!("code=c1&state={state}"));
    for (name, pending, at) in [
        ("after ten minutes", pending.clone(), NOW + 600_001),
        ("the last moment", pending.clone(), NOW + 600_000),
        ("what is no attempt", "{}".to_owned(), NOW),
        ("an attempt of another version", pending.replacen("\"version\":1", "\"version\":2", 1), NOW),
    ] {
        let answer = receive(&pending, &good, at);
        calls.push(call(format!("receive: {name}"), "receive", json!([pending, good, at]), answer));
    }
    calls
}

fn providers() -> Vec<Value> {
    let client = |provider: &Value| -> Answer {
        let provider: Provider = serde_json::from_value(provider.clone()).expect("it is a provider");
        provider.client().map(|client| json::client(&client)).map_err(|error| thrown(error.code(), &error))
    };
    let mut nameless = example();
    nameless["client_id"] = Value::Null;
    let mut all = example();
    all["revocation_endpoint"] = json!("https://id.example/revoke?x=1");
    all["body"] = json!("json");
    all["refused_statuses"] = json!([404, 410]);
    all["redirect"] = json!({ "host": "localhost", "path": "/cb", "ports": [8080] });
    let mut calls: Vec<_> = [("the least", example()), ("all members", all), ("no client id", nameless)]
        .into_iter()
        .map(|(name, provider)| call(format!("client: {name}"), "client", json!([provider]), client(&provider)))
        .collect();
    let claude = Provider { client_id: Some("mine".into()), ..Provider::claude() };
    let demo = Provider::demo("http://127.0.0.1:7777").expect("the issuer is valid");
    let shaped = Provider::demo_claude("http://127.0.0.1:7777").expect("the issuer is valid");
    let issuer = "http://127.0.0.1:7777";
    for (name, given, provider) in [
        ("claude", json!({ "builtin": "claude", "client_id": "mine" }), claude),
        ("demo", json!({ "builtin": "demo", "issuer": issuer }), demo),
        ("demo-claude", json!({ "builtin": "demo-claude", "issuer": issuer }), shaped),
    ] {
        let client = provider.client().expect("there is a client id");
        calls.push(call(format!("client: built in, {name}"), "client", json!([given]), Ok(json::client(&client))));
    }
    calls
}

fn tokens() -> Vec<Value> {
    let form = client(&example());
    let with_json =
        Client { body: kraube_core::provider::TokenBody::Json, refused_statuses: vec![404], ..form.clone() };
    let mut calls = Vec::new();
    for (name, client, token) in [
        ("a form", &form, "r1"),
        ("a form with characters that are escaped", &form, "a+b/c= \u{e9}&%"),
        ("JSON", &with_json, "r1"),
        ("JSON with characters that are escaped", &with_json, "\"\\\u{1}\u{1f511}"),
    ] {
        let request = refresh_request(client, &Secret::new(token));
        let answer = Ok(json::request(&request));
        calls.push(call(
            format!("refreshRequest: {name}"),
            "refreshRequest",
            json!([json::client(client), token]),
            answer,
        ));
    }
    let good = r#""access_token":"a1","token_type":"Bearer""#;
    let answers = [
        (
            "all members",
            200,
            Some("application/json"),
            None,
            format!(r#"{{{good},"refresh_token":"r2","expires_in":3600,"scope":"a b","more":[1]}}"#),
        ),
        ("the least", 200, Some("application/json"), None, r#"{"access_token":"a1"}"#.into()),
        ("201, a type with parameters", 201, Some("Application/JSON; charset=utf-8"), None, format!("{{{good}}}")),
        ("a life as a fraction", 200, Some("application/json"), None, format!(r#"{{{good},"expires_in":0.5}}"#)),
        ("a life as a text", 200, Some("application/json"), None, format!(r#"{{{good},"expires_in":"3.6e3"}}"#)),
        ("a life beyond belief", 200, Some("application/json"), None, format!(r#"{{{good},"expires_in":1e400}}"#)),
        ("a negative life", 200, Some("application/json"), None, format!(r#"{{{good},"expires_in":-1}}"#)),
        ("a life of another type", 200, Some("application/json"), None, format!(r#"{{{good},"expires_in":{{}}}}"#)),
        ("a scope of another type", 200, Some("application/json"), None, format!(r#"{{{good},"scope":["a"]}}"#)),
        ("no content type", 200, None, None, format!("{{{good}}}")),
        ("another content type", 200, Some("text/plain"), None, format!("{{{good}}}")),
        ("no access token", 200, Some("application/json"), None, r#"{"token_type":"bearer"}"#.into()),
        ("an empty access token", 200, Some("application/json"), None, r#"{"access_token":""}"#.into()),
        (
            "a token with control characters",
            200,
            Some("application/json"),
            None,
            r#"{"access_token":"a\u0000"}"#.into(),
        ),
        ("a member twice", 200, Some("application/json"), None, r#"{"access_token":"a","access_token":"b"}"#.into()),
        (
            "another token type",
            200,
            Some("application/json"),
            None,
            r#"{"access_token":"a","token_type":"DPoP"}"#.into(),
        ),
        ("cut off", 200, Some("application/json"), None, r#"{"access_token":"a"#.into()),
        ("no body", 200, Some("application/json"), None, String::new()),
        (
            "invalid_grant",
            400,
            Some("application/json"),
            None,
            r#"{"error":"invalid_grant","error_description":"spent\n"}"#.into(),
        ),
        ("invalid_grant by 401, of no type", 401, None, None, r#"{"error":"invalid_grant"}"#.into()),
        ("invalid_client", 401, Some("application/json"), None, r#"{"error":"invalid_client"}"#.into()),
        ("an error that is no JSON", 400, Some("text/html"), None, "<html>".into()),
        ("a status of the provider", 404, None, None, String::new()),
        ("408", 408, None, None, String::new()),
        ("429", 429, None, Some("30"), String::new()),
        ("429 with a date", 429, None, Some("Fri, 15 Jan 2027 08:00:09 GMT"), String::new()),
        ("429 with a pause of a day", 429, None, Some("86400"), String::new()),
        ("429 with nonsense", 429, None, Some("soon"), String::new()),
        ("503 with a pause", 503, None, Some(" 5"), String::new()),
        ("a redirect", 307, None, None, String::new()),
    ];
    let now = Now { wall: Timestamp(NOW), monotonic: Millis(0) };
    for (name, status, content_type, retry_after, body) in answers {
        let client = if status == 404 { &with_json } else { &form };
        let response = response(status, content_type, retry_after, body.as_bytes());
        let arguments = json!([json::client(client), json::response(&response), json::now(now)]);
        let answer = Ok(json::answer(&read_answer(client, &response, now)));
        calls.push(call(format!("readAnswer: {name}"), "readAnswer", arguments, answer));
    }
    let bytes = response(200, Some("application/json"), None, b"{\"access_token\":\"\xff\"}");
    let arguments = json!([json::client(&form), json::response(&bytes), json::now(now)]);
    let answer = Ok(json::answer(&read_answer(&form, &bytes, now)));
    calls.push(call("readAnswer: bytes that are no text", "readAnswer", arguments, answer));
    calls
}

fn revoking() -> Vec<Value> {
    let without = client(&example());
    let endpoint = Endpoint::parse("https://id.example/revoke").expect("it is an endpoint");
    let with = Client { revocation_endpoint: Some(endpoint), ..without.clone() };
    let mut calls = Vec::new();
    for (name, client) in [("with an endpoint", &with), ("without", &without)] {
        let request = revocation_request(client, &Secret::new("r 1"));
        let answer = Ok(request.as_ref().map_or(Value::Null, json::request));
        let arguments = json!([json::client(client), "r 1"]);
        calls.push(call(format!("revocationRequest: {name}"), "revocationRequest", arguments, answer));
    }
    for (name, status, body) in [
        ("done", 200, ""),
        ("busy", 503, ""),
        ("an error", 400, r#"{"error":"unsupported_token_type","error_description":"no"}"#),
        ("another status", 204, ""),
    ] {
        let response = response(status, None, None, body.as_bytes());
        let answer = Ok(json::revocation(&read_revocation(&response)));
        calls.push(call(
            format!("readRevocation: {name}"),
            "readRevocation",
            json!([json::response(&response)]),
            answer,
        ));
    }
    calls
}

fn records() -> Vec<Value> {
    let form = client(&example());
    let mut calls = Vec::new();
    let refreshable = Credentials::from_refresh_token(Secret::new("r1"), form.clone());
    let plain = Credentials::from_access_token(Secret::new("a1"));
    let both = Credentials {
        refresh_token: Some(Secret::new("r1")),
        expires_at: Timestamp(NOW + 3_600_000),
        obtained_at: Some(Timestamp(NOW)),
        scope: Some("a b".into()),
        client: Some(form.clone()),
        ..Credentials::from_access_token(Secret::new("a1"))
    };
    let both_json = json::credentials(&both);
    let given = [
        ("a refresh token", json!({ "refreshToken": "r1", "client": json::client(&form) }), &refreshable),
        ("an access token", json!({ "accessToken": "a1" }), &plain),
        ("all members", both_json, &both),
    ];
    for (name, given, credentials) in given {
        let blob = credentials.to_blob();
        calls.push(call(format!("record: {name}"), "record", json!([given]), Ok(json::bytes(blob.bytes()))));
        let revision = Ok(json::revision(&blob.revision()));
        calls.push(call(format!("revision: {name}"), "revision", json!([json::bytes(blob.bytes())]), revision));
    }
    calls.push(call(
        "revision: nothing",
        "revision",
        json!([""]),
        Ok(json::revision(&Blob::new(Vec::new()).revision())),
    ));
    let bytes = [0xff, 0, 0xfe];
    let revision = Blob::new(bytes.into()).revision();
    calls.push(call(
        "revision: bytes that are no text",
        "revision",
        json!([json::bytes(&bytes)]),
        Ok(json::revision(&revision)),
    ));
    let stored = String::from_utf8(both.to_blob().bytes().to_vec()).expect("it is text");
    let expired = stored.replacen("expiresAt\": 1800003600000", "expiresAt\": 1799999999999", 1);
    let ours = |member: &str| expired.replacen("\"scope\": \"a b\"", &format!("\"scope\": \"a b\", {member}"), 1);
    let cases: [(&str, Vec<u8>); 10] = [
        ("valid", stored.clone().into()),
        ("needs refresh", expired.clone().into()),
        ("in doubt", ours("\"redeeming\": {\"run\": \"00000000000000aa\", \"at\": 1799999999000}").into()),
        ("refused", ours("\"refused\": {\"reason\": \"rotation_lost\"}").into()),
        ("backing off", ours("\"retryAt\": 1800000005000").into()),
        ("expired", r#"{"accessToken":"a1","expiresAt":1799999999999}"#.into()),
        ("blank", "{}".into()),
        ("corrupt", "[]".into()),
        ("empty", " \n".into()),
        ("no text", vec![0xff]),
    ];
    let policy = Policy::default();
    for (name, bytes) in cases {
        let told = status(Ok(Some(Blob::new(bytes.clone()))), &policy, Timestamp(NOW));
        let arguments = json!([{ "blob": json::bytes(&bytes) }, NOW]);
        calls.push(call(format!("status: {name}"), "status", arguments, Ok(json::status(&told))));
    }
    let told = status(Ok(None), &policy, Timestamp(NOW));
    calls.push(call("status: nothing is stored", "status", json!([{ "blob": null }, NOW]), Ok(json::status(&told))));
    let error = StoreError { kind: StoreErrorKind::Denied, detail: "no".into() };
    let arguments = json!([{ "error": json::store_error(&error) }, NOW]);
    let told = status(Err(error), &policy, Timestamp(NOW));
    calls.push(call("status: the store cannot be read", "status", arguments, Ok(json::status(&told))));
    calls
}

fn figures() -> Vec<Value> {
    let policy = Policy::default();
    let mut calls = Vec::new();
    for (name, left, obtained, min_valid) in [
        ("an hour is left", 3_600_000, None, 0),
        ("the margin is left", 60_000, None, 0),
        ("a little more", 60_001, None, 0),
        ("more is asked for", 90_000, None, 90_000),
        ("half of a short life", 15_000, Some(15_000), 0),
        ("more than half of a short life", 15_001, Some(14_999), 0),
        ("a life that began in the future", 50_000, Some(-5), 0),
    ] {
        let expires = Timestamp(NOW + left);
        let obtained = obtained.map(|before: i64| Timestamp(NOW.saturating_add_signed(-before)));
        let arguments = json!([
            { "expiresAt": expires.0, "obtainedAt": obtained.map(|at| at.0) }, min_valid, NOW
        ]);
        let now = Timestamp(NOW);
        let fresh = policy.is_fresh(expires, obtained, Millis(min_valid), now);
        let margin = policy.margin_of(expires, obtained, Millis(min_valid), now);
        calls.push(call(format!("isFresh: {name}"), "isFresh", arguments.clone(), Ok(json!(fresh))));
        calls.push(call(format!("margin: {name}"), "margin", arguments, Ok(json!(margin.0))));
    }
    calls
}

fn begin(provider: &Value, redirect: &Value, seed: u8) -> Answer {
    let provider: Provider = serde_json::from_value(provider.clone()).expect("it is a provider");
    let uri = redirect["uri"].as_str().unwrap_or_default().to_owned();
    let redirect = match redirect["type"].as_str() {
        Some("page") => Redirect::Page { uri },
        Some("loopback") => Redirect::Loopback { uri },
        _ => Redirect::Manual,
    };
    match Login::begin(&provider, redirect, Entropy::new(entropy(seed))) {
        Ok((pending, url)) => {
            let saved = pending.save(Timestamp(NOW)).expect("it had no answer yet");
            let redirect_uri = pending.redirect_uri();
            Ok(json!({ "pending": json::bytes(saved.bytes()), "url": url.as_str(), "redirectUri": redirect_uri }))
        }
        Err(error) => Err(thrown(error.code(), &error)),
    }
}

fn receive(pending: &str, callback: &Value, at: u64) -> Answer {
    let mut restored =
        Pending::restore(pending.as_bytes(), Timestamp(at)).map_err(|error| thrown(error.code(), &error))?;
    let text = |member: &str| callback[member].as_str().expect("it is a text").to_owned();
    let verdict = match callback["type"].as_str() {
        Some("query") => restored.receive(Callback::Query(&text("query"))),
        _ => restored.receive(Callback::Pasted(&text("text"))),
    };
    Ok(json::verdict(verdict))
}

/// A saved attempt at this provider, and its state.
fn pending(provider: &Value) -> (String, String) {
    let page = json!({ "type": "page", "uri": "https://app.example/callback" });
    let begun = begin(provider, &page, 99).expect("it can begin");
    let saved = begun["pending"].as_str().expect("it is a text").to_owned();
    let parsed: Value = serde_json::from_str(&saved).expect("it is JSON");
    let state = parsed["state"].as_str().expect("there is a state").to_owned();
    (saved, state)
}

fn example() -> Value {
    json!({
        "name": "example",
        "issuer": "https://id.example",
        "authorization_endpoint": "https://id.example/authorize",
        "token_endpoint": "https://id.example/token",
        "client_id": "me",
    })
}

fn client(provider: &Value) -> Client {
    let provider: Provider = serde_json::from_value(provider.clone()).expect("it is a provider");
    provider.client().expect("there is a client id")
}

fn response(status: u16, content_type: Option<&str>, retry_after: Option<&str>, body: &[u8]) -> Response {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Response {
        status,
        content_type: owned(content_type),
        retry_after: owned(retry_after),
        dpop_nonce: None,
        body: body.to_vec(),
    }
}

fn entropy(seed: u8) -> [u8; Entropy::LEN] {
    std::array::from_fn(|index| (index as u8).wrapping_mul(37).wrapping_add(seed.wrapping_mul(11)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
