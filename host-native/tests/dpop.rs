//! Logins whose tokens are bound to a key (DPoP, RFC 9449), at the strict server, which verifies each proof: from the
//! login to the resource, by several processes, with nonces that change.

mod scene;
mod support;

use kraube::core::http::Endpoint;
use kraube::core::provider::Provider;
use kraube::{Answered, TokenSource};
use kraube_testserver::{Canary, Config, FaultKind, Server};
use scene::{code, directory, quick, source_at};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use support::{play, start, tell, wait_for_starter};
use tempfile::TempDir;

/// How often each of the processes refreshes.
const ROTATIONS: usize = 40;

/// A server that binds tokens, and a login of it in a file.
struct Bound {
    server: Server,
    _dir: TempDir,
    file: PathBuf,
}

fn strict() -> Config {
    Config { dpop: true, dpop_nonce_uses: Some(3), device_interval: Duration::from_secs(1), ..Config::default() }
}

fn provider(server: &Server) -> Provider {
    let demo = Provider::demo(&server.issuer()).expect("a loopback URL");
    Provider { dpop: kraube::core::dpop::Demand::BOUND, ..demo }
}

fn bound(config: Config) -> Bound {
    let server = Server::spawn(config).expect("a free port");
    let dir = directory();
    let file = dir.path().canonicalize().expect("it exists").join("credentials.json");
    kraube::login::device(&provider(&server), Some(&file), &mut |_: kraube::login::Event<'_>| {}).expect("a login");
    Bound { server, _dir: dir, file }
}

impl Bound {
    fn member(&self, pointer: &str) -> Value {
        let json: Value = serde_json::from_str(&fs::read_to_string(&self.file).expect("it is there")).expect("JSON");
        json.pointer(pointer).cloned().unwrap_or(Value::Null)
    }

    fn source(&self) -> TokenSource {
        source_at(&self.file, quick())
    }

    /// One call of the resource, repeated as the library says. The status, and how many requests it took.
    fn call(&self, source: &TokenSource) -> (u16, u32) {
        call(source, &self.server.resource_url())
    }
}

fn call(source: &TokenSource, url: &str) -> (u16, u32) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut authorized = source.blocking_authorize("GET", url).unwrap_or_else(|error| panic!("{error:?}"));
    let mut requests = 0;
    loop {
        requests += 1;
        let mut request = agent.get(url).header("authorization", authorized.authorization());
        if let Some(proof) = authorized.proof() {
            request = request.header("dpop", proof);
        }
        let response = request.call().expect("an answer");
        let text = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned).unwrap_or_default()
        };
        let (asked, nonce) = (text("www-authenticate"), text("dpop-nonce"));
        let status = response.status().as_u16();
        let dpop_nonce = Some(nonce.as_str()).filter(|nonce| !nonce.is_empty());
        let answered = Answered { status, www_authenticate: &[&asked], dpop_nonce };
        match source.blocking_again(authorized, answered).expect("another one") {
            Some(next) => authorized = next,
            None => return (status, requests),
        }
    }
}

#[test]
fn l1_a_login_is_bound_and_the_resource_is_called_with_proofs() {
    let bound = bound(strict());
    let source = bound.source();
    assert_eq!(bound.call(&source).0, 200);
    bound.server.expire_access_tokens();
    assert_eq!(bound.call(&source).0, 200, "a token that was not accepted is replaced");
    let counters = bound.server.counters();
    assert_eq!((counters.rotations, counters.replays, counters.proofs_refused), (1, 0, 0), "{counters:?}");
    assert!(counters.proofs >= 4, "{counters:?}");
}

#[test]
fn l2_a_new_nonce_costs_one_request_and_is_remembered_in_the_record() {
    let bound = bound(Config { dpop_nonce_uses: Some(1000), ..strict() });
    let source = bound.source();
    let refresh = || {
        let before = bound.server.counters().token_requests;
        source.reject_secret(&kraube::core::secret::Secret::new(
            bound.member("/kraube/dpop/accessToken").as_str().expect("a string"),
        ));
        source.blocking_authorize("GET", &bound.server.resource_url()).expect("a token");
        bound.server.counters().token_requests - before
    };
    assert_eq!(refresh(), 1, "the nonce of the login is known");
    let before = bound.member("/kraube/dpop/nonce");
    bound.server.change_nonce();
    assert_eq!(refresh(), 2, "once more with the nonce");
    assert_ne!(bound.member("/kraube/dpop/nonce"), before);
    assert_eq!(refresh(), 1, "the newest one is remembered");
    let counters = bound.server.counters();
    assert_eq!((counters.rotations, counters.replays, counters.in_flight_max), (3, 0, 1), "{counters:?}");
}

#[test]
fn l2_the_nonce_of_the_resource_is_asked_for_once() {
    let bound = bound(Config { dpop_nonce_uses: Some(1000), ..strict() });
    let source = bound.source();
    assert_eq!(bound.call(&source), (200, 2), "the first answer names the nonce");
    assert_eq!(bound.call(&source), (200, 1), "which is known from then on");
    bound.server.change_nonce();
    assert_eq!(bound.call(&source), (200, 2));
}

#[test]
fn l3_a_bearer_token_where_one_bound_to_a_key_was_asked_for_is_not_stored() {
    let server = Server::spawn(Config::default()).expect("a free port");
    server.set_config(|config| {
        config.token_members = vec![("token_type".into(), Some("Bearer".into()))];
        config.device_interval = Duration::from_secs(1);
    });
    let dir = directory();
    let file = dir.path().join("credentials.json");
    let login = kraube::login::device(&provider(&server), Some(&file), &mut |_: kraube::login::Event<'_>| {});
    let error = login.expect_err("the token is no good");
    assert_eq!(error.code(), "not_bound");
    assert!(error.hint().is_some_and(|hint| hint.contains("without --dpop")), "{error}");
    assert!(!file.exists());
}

#[test]
fn l3_a_bearer_token_from_a_refresh_is_not_used_and_the_record_stays() {
    let bound = bound(strict());
    let stored = ["refreshToken", "accessToken", "key"].map(|name| bound.member(&format!("/kraube/dpop/{name}")));
    let body = r#"{"access_token":"unbound","refresh_token":"next","token_type":"Bearer","expires_in":3600}"#;
    bound.server.inject(kraube_testserver::Fault {
        kind: FaultKind::body(200, "application/json", body),
        when: kraube_testserver::When::Before,
        times: 1,
    });
    let source = bound.source();
    let token = source.blocking_authorize("GET", "https://a.example/").expect("it lives");
    source.reject(token.token());
    let error = source.blocking_authorize("GET", "https://a.example/").expect_err("it is not used");
    assert_eq!(error.code(), "in_doubt");
    assert!(error.to_string().contains("not bound"), "{error}");
    let after = ["refreshToken", "accessToken", "key"].map(|name| bound.member(&format!("/kraube/dpop/{name}")));
    assert_eq!(after, stored);
}

#[test]
fn l4_key_and_tokens_are_one_record_which_a_refresh_keeps_and_a_logout_removes() {
    let bound = bound(strict());
    let key = bound.member("/kraube/dpop/key");
    for member in ["kty", "crv", "x", "y", "d"] {
        assert!(key[member].is_string(), "{member}");
    }
    for shared in ["/refreshToken", "/accessToken", "/expiresAt"] {
        assert_eq!(bound.member(shared), Value::Null, "other programs would take it for a token without a key");
    }
    let source = bound.source();
    let first = bound.member("/kraube/dpop/refreshToken");
    let token = source.blocking_authorize("GET", "https://a.example/").expect("a token");
    source.reject(token.token());
    source.blocking_authorize("GET", "https://a.example/").expect("another one");
    assert_ne!(bound.member("/kraube/dpop/refreshToken"), first);
    assert_eq!(bound.member("/kraube/dpop/key"), key);
    kraube::logout(Some(&bound.file), true).expect("it goes");
    assert!(!bound.file.exists());
    assert_eq!(bound.server.counters().families_revoked, 1);
}

#[test]
fn l4_a_refresh_token_without_its_key_is_refused() {
    let bound = bound(strict());
    let text = fs::read_to_string(&bound.file).expect("it is there");
    // Another key in its place, as if the two had been stored apart.
    let other = bound_key();
    let mut json: Value = serde_json::from_str(&text).expect("JSON");
    json["kraube"]["dpop"]["key"] = other;
    json["kraube"]["dpop"]["expiresAt"] = 1_000_000_000_000_u64.into();
    fs::write(&bound.file, json.to_string()).expect("it is ours");
    let error = bound.source().blocking_authorize("GET", "https://a.example/").expect_err("the key is another one");
    assert_eq!(error.code(), "revoked");
}

/// The key of another login.
fn bound_key() -> Value {
    bound(strict()).member("/kraube/dpop/key")
}

#[test]
fn who_knows_nothing_of_keys_is_given_no_token_and_nothing_is_changed() {
    let bound = bound(strict());
    let before = fs::read(&bound.file).expect("it is there");
    let source = bound.source();
    assert_eq!(code(source.blocking_token()), "key_bound");
    let authorized = source.blocking_authorize("GET", "https://a.example/").expect("a token");
    assert!(authorized.authorization().starts_with("DPoP ") && authorized.proof().is_some());
    assert_eq!(code(source.blocking_token()), "key_bound", "the token in memory neither");
    assert_eq!(fs::read(&bound.file).expect("it is there"), before);
}

#[test]
fn a_login_without_a_key_is_authorized_as_a_bearer() {
    let scene = scene::Scene::with(Config::default(), scene::Left::Much);
    let source = scene.source();
    let authorized = source.blocking_authorize("GET", "https://a.example/").expect("a token");
    assert!(authorized.authorization().starts_with("Bearer ") && authorized.proof().is_none());
    assert_eq!(call(&source, &scene.server.resource_url()), (200, 1));
    for bad in ["http://a.example/", "file:///etc/passwd", "https://u:p@a.example/"] {
        assert_eq!(source.blocking_authorize("GET", bad).expect_err(bad).code(), "invalid_target_url");
    }
    assert_eq!(
        source.blocking_authorize("GE T", "https://a.example/").expect_err("no method").code(),
        "invalid_method"
    );
}

#[test]
fn processes_share_one_login_with_a_key_while_nonces_change() {
    let bound = bound(strict());
    let mut helpers: Vec<_> = (0..4).map(|_| start("force", &bound.file)).collect();
    helpers.iter_mut().for_each(|helper| helper.expect("ready"));
    helpers.iter_mut().for_each(|helper| helper.go_on());
    helpers.iter_mut().for_each(|helper| helper.expect("done"));
    let counters = bound.server.counters();
    assert_eq!((counters.replays, counters.proofs_refused, counters.families_revoked), (0, 0, 0), "{counters:?}");
    assert!(counters.in_flight_max <= 1 && counters.nonces_asked > 10, "{counters:?}");
    // Each of them saw so many tokens, and the first one may be that of the login.
    assert!(counters.rotations + 1 >= ROTATIONS as u64, "{counters:?}");
    let last = bound.member("/kraube/dpop/refreshToken");
    assert!(bound.server.family_alive(last.as_str().expect("a string")), "{counters:?}");
}

#[test]
fn no_part_of_the_key_is_shown() {
    let bound = bound(strict());
    let source = bound.source();
    let authorized = source.blocking_authorize("GET", "https://a.example/").expect("a token");
    let private = bound.member("/kraube/dpop/key/d");
    let private = private.as_str().expect("a string");
    let status = kraube::status(Some(&bound.file)).expect("it is there");
    assert!(status.bound);
    let shown = format!("{authorized:?} {:?} {source:?} {status:?}", authorized.token());
    for part in [&private[..12], &private[private.len() - 12..]] {
        assert!(!shown.contains(part), "{shown}");
    }
    let proof = authorized.proof().expect("there is one");
    let decoded: Vec<u8> = proof.split('.').take(2).flat_map(decode).collect();
    assert!(!String::from_utf8_lossy(&decoded).contains(&private[..12]), "the proof has the public key alone");
    assert_eq!(bound.server.canaries_in(proof.as_bytes()), [].into(), "a proof holds the hash of the token");
    assert!(bound.server.canaries_in(authorized.authorization().as_bytes()).contains(&Canary::AccessToken));
}

fn decode(part: &str) -> Vec<u8> {
    base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, part).expect("base64url")
}

#[test]
fn a_key_that_cannot_be_read_is_said_and_nothing_is_sent() {
    let bound = bound(strict());
    let text = fs::read_to_string(&bound.file).expect("it is there").replace("\"P-256\"", "\"P-257\"");
    fs::write(&bound.file, text).expect("it is ours");
    let before = bound.server.counters().token_requests;
    let error = bound.source().blocking_authorize("GET", "https://a.example/").expect_err("no key");
    assert_eq!((error.code(), bound.server.counters().token_requests), ("corrupt", before));
    assert!(error.to_string().contains("key"), "{error}");
}

#[test]
fn a_proof_says_when_it_was_made() {
    let bound = bound(strict());
    let authorized = bound.source().blocking_authorize("PUT", "https://a.example/b?c=d#e").expect("a token");
    let claims = authorized.proof().and_then(|proof| proof.split('.').nth(1)).map(decode).expect("three parts");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    assert!(claims["iat"].as_u64().is_some_and(|iat| now.abs_diff(iat) < 60), "{claims}");
    assert_eq!((&claims["htm"], &claims["htu"]), (&"PUT".into(), &"https://a.example/b".into()));
    Endpoint::parse(claims["htu"].as_str().expect("a string")).expect("a URL");
}

#[test]
fn helper() {
    play(|role, path| match role {
        "force" => force(path),
        _ => panic!("there is no role {role}"),
    });
}

/// A resource that rejects each token once.
fn force(path: &Path) {
    let source = source_at(path, quick());
    tell("ready");
    wait_for_starter();
    let mut last = String::new();
    for _ in 0..ROTATIONS {
        let authorized = source.blocking_authorize("GET", "https://a.example/");
        let authorized = authorized.unwrap_or_else(|error| panic!("{}: {error:?}", error.code()));
        assert_ne!(authorized.token().expose(), last, "a rejected token came back");
        authorized.token().expose().clone_into(&mut last);
        source.reject(authorized.token());
    }
    tell("done");
}
