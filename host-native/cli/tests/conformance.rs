//! A server that does one thing wrong at a time, after the error modules for clients in the OpenID conformance suite, as
//! far as they apply to a public OAuth client without ID tokens: metadata, authorization responses and token responses with
//! missing, wrong and repeated parts. The command logs in at it; the test is the browser.
#![cfg(unix)]

mod support;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use support::{World, start};

/// Nothing of an answer may be seen, wherever it is wrong.
const CANARY: &str = "CANARYk3v9Zr";

#[derive(Clone)]
struct Answer {
    status: u16,
    content_type: &'static str,
    body: String,
}

/// The server: its metadata, its one token response, and how often that was asked for.
struct Fake {
    issuer: String,
    metadata: Mutex<Value>,
    token: Mutex<Answer>,
    asked: AtomicUsize,
}

impl Fake {
    fn start() -> Arc<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let issuer = format!("http://{}", listener.local_addr().expect("it is bound"));
        let metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        });
        let fake = Arc::new(Self {
            issuer,
            metadata: Mutex::new(metadata),
            token: Mutex::new(well(&tokens())),
            asked: AtomicUsize::new(0),
        });
        let serves = Arc::clone(&fake);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
            runtime.block_on(async {
                let app = axum::Router::new().fallback(move |request: Request| {
                    let serves = Arc::clone(&serves);
                    async move { serves.answer(request.uri().path()).into_response() }
                });
                let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
                axum::serve(listener, app).await.expect("it serves");
            });
        });
        fake
    }

    fn answer(&self, path: &str) -> impl IntoResponse + use<> {
        let answer = match path {
            "/token" => {
                self.asked.fetch_add(1, Ordering::SeqCst);
                lock(&self.token).clone()
            }
            "/.well-known/oauth-authorization-server" => well(&lock(&self.metadata)),
            _ => Answer { status: 404, ..well(&json!({})) },
        };
        let status = StatusCode::from_u16(answer.status).expect("a status");
        (status, [(header::CONTENT_TYPE, answer.content_type)], answer.body)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().expect("no thread panics with it")
}

fn well(document: &Value) -> Answer {
    Answer { status: 200, content_type: "application/json", body: document.to_string() }
}

fn tokens() -> Value {
    json!({
        "access_token": format!("{CANARY}-access"), "refresh_token": format!("{CANARY}-refresh"),
        "token_type": "Bearer", "expires_in": 3600,
    })
}

/// A member of the document set anew, or taken out.
fn with(mut document: Value, name: &str, value: Option<Value>) -> Value {
    let members = document.as_object_mut().expect("an object");
    match value {
        Some(value) => drop(members.insert(name.to_owned(), value)),
        None => drop(members.remove(name).expect("it is there")),
    }
    document
}

/// A login that waits for its browser.
struct Waiting {
    child: Child,
    stderr: BufReader<ChildStderr>,
    redirect_uri: String,
    state: String,
}

impl Waiting {
    fn new(world: &World, fake: &Fake) -> Self {
        let args = ["login", "--issuer", &fake.issuer, "--client-id", "me", "--no-browser"];
        let mut child = start(world.command(&args), "");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut url = String::new();
        while !url.starts_with("http") {
            url.clear();
            assert_ne!(stderr.read_line(&mut url).expect("a line"), 0, "it ends without an address");
        }
        let (_, query) = url.trim_end().split_once('?').expect("a query");
        let parameter = |name| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).expect("it is sent").1.into_owned()
        };
        Self { child, stderr, redirect_uri: parameter("redirect_uri"), state: parameter("state") }
    }

    /// The browser comes back with these parameters; `STATE` is that of the request.
    fn come_back(&self, query: &str) {
        let url = format!("{}?{}", self.redirect_uri, query.replace("STATE", &self.state));
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let _ = ureq::Agent::new_with_config(config).get(url).call().expect("it listens");
    }

    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).expect("text");
        let output = self.child.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
        assert!(!said.contains(CANARY) && !said.contains("CODE"), "{said}");
        (output.status.code(), said)
    }
}

fn right(fake: &Fake) -> String {
    format!("code=CODE&state=STATE&iss={}", encode(&fake.issuer))
}

fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[test]
fn metadata_that_are_wrong_end_the_login_before_it_begins() {
    let (world, fake) = (World::new(), Fake::start());
    let issuer = fake.issuer.clone();
    let wrong = [
        ("issuer", None),
        ("issuer", Some(json!(format!("{issuer}/")))),
        ("issuer", Some(json!(issuer.replace("127.0.0.1", "localhost")))),
        ("issuer", Some(json!([issuer]))),
        ("issuer", Some(json!("https://other.example"))),
        ("authorization_endpoint", None),
        ("authorization_endpoint", Some(json!("http://other.example/authorize"))),
        ("authorization_endpoint", Some(json!("javascript:alert(1)"))),
        ("token_endpoint", None),
        ("token_endpoint", Some(json!("http://other.example/token"))),
        ("token_endpoint", Some(json!(format!("{issuer}/token#fragment")))),
        ("code_challenge_methods_supported", Some(json!(["plain"]))),
        ("code_challenge_methods_supported", Some(json!([]))),
    ];
    let good = lock(&fake.metadata).clone();
    for (name, value) in wrong {
        let case = format!("{name}: {value:?}");
        *lock(&fake.metadata) = with(good.clone(), name, value);
        let run = world.run(&["login", "--issuer", &fake.issuer, "--client-id", "me", "--no-browser"]);
        assert_eq!(run.code, 1, "{case}: {run:?}");
        assert!(run.stderr.starts_with("error: ") && !run.stderr.contains("Log in at this address"), "{case}: {run:?}");
    }
    assert!(fake.asked() == 0 && !world.path().exists());
}

/// The login goes on waiting: who sent that need not be the server. No code is redeemed for it.
#[test]
fn an_authorization_response_that_is_wrong_is_ignored_and_the_right_one_still_counts() {
    let (world, fake) = (World::new(), Fake::start());
    let issuer = encode(&fake.issuer);
    let wrong = [
        // The issuer (RFC 9207).
        "code=CODE&state=STATE".to_owned(),
        "code=CODE&state=STATE&iss=".to_owned(),
        "code=CODE&state=STATE&iss=https%3A%2F%2Fother.example".to_owned(),
        format!("code=CODE&state=STATE&iss={issuer}%2F"),
        format!("code=CODE&state=STATE&iss={issuer}&iss={issuer}"),
        format!("error=access_denied&state=STATE&iss={issuer}%2F"),
        "error=access_denied&state=STATE".to_owned(),
        // The state.
        format!("code=CODE&iss={issuer}"),
        format!("code=CODE&state=&iss={issuer}"),
        format!("code=CODE&state=STATEx&iss={issuer}"),
        format!("code=CODE&state=other&iss={issuer}"),
        format!("code=CODE&state=STATE&state=STATE&iss={issuer}"),
        format!("error=access_denied&iss={issuer}"),
        // The code.
        format!("state=STATE&iss={issuer}"),
        format!("code=&state=STATE&iss={issuer}"),
        format!("code=CODE&code=CODE&state=STATE&iss={issuer}"),
        format!("code=CODE&code=other&state=STATE&iss={issuer}"),
        format!("code=CODE&error=access_denied&state=STATE&iss={issuer}"),
    ];
    let waiting = Waiting::new(&world, &fake);
    for query in &wrong {
        waiting.come_back(query);
        assert_eq!(fake.asked(), 0, "a code was redeemed for {query}");
    }
    waiting.come_back(&right(&fake));
    let (code, said) = waiting.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("ignored, and still waiting").count(), wrong.len(), "{said}");
    assert_eq!((fake.asked(), world.stored("accessToken")), (1, json!(format!("{CANARY}-access"))));
}

#[test]
fn an_error_of_the_server_ends_the_login_and_is_told() {
    let (world, fake) = (World::new(), Fake::start());
    let codes = [
        "invalid_request",
        "unauthorized_client",
        "access_denied",
        "unsupported_response_type",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
        "login_required",
        "an_error_that_nobody_knows",
    ];
    for error in codes {
        let waiting = Waiting::new(&world, &fake);
        waiting.come_back(&format!("error={error}&state=STATE&iss={}", encode(&fake.issuer)));
        let (code, said) = waiting.end();
        assert_eq!(code, Some(5), "{error}: {said}");
        assert!(said.contains(error), "{error}: {said}");
    }
    assert!(fake.asked() == 0 && !world.path().exists());
}

#[test]
fn a_token_response_that_is_wrong_stores_nothing() {
    let (world, fake) = (World::new(), Fake::start());
    let changed = |name, value| well(&with(tokens(), name, value));
    let error = |status, code: &str| Answer { status, ..well(&json!({ "error": code, "error_description": "so" })) };
    let twice = format!(r#"{{"access_token": "{CANARY}", "access_token": "{CANARY}", "token_type": "Bearer"}}"#);
    let wrong = [
        ("no access token", changed("access_token", None)),
        ("an empty access token", changed("access_token", Some(json!("")))),
        ("an access token that is null", changed("access_token", Some(Value::Null))),
        ("an access token that is a number", changed("access_token", Some(json!(17)))),
        ("an access token with a line break", changed("access_token", Some(json!(format!("{CANARY}\r\nx: y"))))),
        ("an access token twice", Answer { body: twice, ..well(&json!({})) }),
        ("a token of another type", changed("token_type", Some(json!("mac")))),
        ("a token that needs a proof", changed("token_type", Some(json!("DPoP")))),
        ("no token at all", changed("token_type", Some(json!("N_A")))),
        ("an array", well(&json!([tokens()]))),
        ("a string", well(&json!(CANARY))),
        ("half a document", Answer { body: tokens().to_string()[..40].to_owned(), ..well(&json!({})) }),
        ("nothing", Answer { body: String::new(), ..well(&json!({})) }),
        ("a page", Answer { content_type: "text/html", ..well(&tokens()) }),
        ("a form", Answer { content_type: "application/x-www-form-urlencoded", ..well(&tokens()) }),
        ("a redirect", Answer { status: 302, ..well(&tokens()) }),
        ("an error that looks like tokens", Answer { status: 400, ..well(&tokens()) }),
        ("a failure that looks like tokens", Answer { status: 500, ..well(&tokens()) }),
        ("invalid_grant", error(400, "invalid_grant")),
        ("invalid_client", error(401, "invalid_client")),
        ("invalid_request", error(400, "invalid_request")),
        ("unauthorized_client", error(400, "unauthorized_client")),
        ("unsupported_grant_type", error(400, "unsupported_grant_type")),
        ("an error without a code", Answer { status: 400, ..well(&json!({})) }),
    ];
    for (case, answer) in wrong {
        *lock(&fake.token) = answer;
        let waiting = Waiting::new(&world, &fake);
        waiting.come_back(&right(&fake));
        let (code, said) = waiting.end();
        assert!(matches!(code, Some(1 | 5 | 6 | 7)), "{case}: {code:?} {said}");
        assert!(said.contains("error: ") && !world.path().exists(), "{case}: {said}");
    }
}

#[test]
fn a_token_response_with_less_or_more_than_usual_is_taken() {
    let fake = Fake::start();
    let changed = |name, value| with(tokens(), name, value);
    let taken = [
        ("no expires_in", changed("expires_in", None)),
        ("expires_in as a string", changed("expires_in", Some(json!("3600")))),
        ("expires_in with a fraction", changed("expires_in", Some(json!(3599.5)))),
        ("expires_in that cannot be true", changed("expires_in", Some(json!(-1)))),
        ("expires_in of another type", changed("expires_in", Some(json!({})))),
        ("a type in small letters", changed("token_type", Some(json!("bearer")))),
        ("a type in capitals", changed("token_type", Some(json!("BEARER")))),
        ("no refresh token", changed("refresh_token", None)),
        ("a scope", changed("scope", Some(json!("narrower")))),
        ("members that nobody knows", changed("example_parameter", Some(json!({ "a": [1] })))),
        ("an ID token that is not looked at", changed("id_token", Some(json!("not.a.jwt")))),
    ];
    for (case, document) in taken {
        let world = World::new();
        *lock(&fake.token) = Answer { content_type: "application/JSON; charset=utf-8", ..well(&document) };
        let waiting = Waiting::new(&world, &fake);
        waiting.come_back(&right(&fake));
        let (code, said) = waiting.end();
        assert_eq!(code, Some(0), "{case}: {said}");
        assert_eq!(world.run(&["token"]).stdout, format!("{CANARY}-access\n"), "{case}");
    }
}
