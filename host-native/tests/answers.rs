//! What the token endpoint can answer, or fail to answer, and what becomes of the login then.

mod scene;

use kraube::core::credential::{Cause, Failure, LoginReason};
use kraube::core::record::Refusal;
use kraube::{Error, Token};
use kraube_testserver::{Config, Fault, FaultKind, Server, Shape};
use scene::{HOUR, Left, Scene, after_back_off, client, code, now};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

/// A server that forgives the repetition of a refresh.
fn forgiving() -> Config {
    Config { grace: Some(Duration::from_secs(60)), ..Config::default() }
}

fn stale(token: &Token) -> Option<&'static str> {
    token.stale().map(Failure::code)
}

fn set(scene: &Scene, name: &str, value: Option<Value>) {
    scene.server.set_config(|config| config.token_members = vec![(name.to_owned(), value)]);
}

#[test]
fn fault_18_a_redirect_is_not_followed() {
    let scene = Scene::new(Config::default());
    let elsewhere = Server::spawn(Config::default()).expect("a free port");
    let before = scene.tokens();
    scene.server.inject(Fault::before(FaultKind::redirect(elsewhere.token_url())).times(3));
    let source = scene.source();
    assert_eq!(code(source.blocking_token()), "in_doubt");
    assert_eq!((scene.requests(), elsewhere.counters().token_requests), (3, 0));
    assert_eq!(scene.tokens(), before);
    after_back_off(&source).expect("the same token is sent again");
    scene.assert_alive();
}

#[test]
fn fault_19_a_refused_connection_changes_nothing() {
    let scene = Scene::new(Config::default());
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let nobody = format!("http://{}/token", closed.local_addr().expect("it is bound"));
    drop(closed);
    let there = scene.member("/kraube/provider/tokenEndpoint");
    let point_at = |url: Value| {
        let (refresh, access) = (scene.stored_refresh_token(), scene.stored_access_token());
        scene.replace_without_lock(&refresh, &access, |json| {
            json["kraube"]["provider"]["tokenEndpoint"] = url;
            json["expiresAt"] = (now() - 1000).into();
            json["kraube"]["retryAt"] = Value::Null;
        });
    };
    point_at(nobody.into());
    let before = scene.tokens();
    let source = scene.source();
    let error = source.blocking_token().expect_err("nobody is there");
    assert_eq!(error.code(), "unreachable");
    let Some(Failure::Unavailable { retry_at: Some(at), .. }) = error.failure() else { panic!("{error:?}") };
    assert!(at.0 <= now() + 5000, "networks come back");
    assert_eq!((scene.tokens(), scene.member("/kraube/redeeming")), (before, Value::Null));
    point_at(there);
    source.blocking_token().expect("the server is back");
    assert_eq!(scene.requests(), 1);
    scene.assert_alive();
}

/// The answer of a rotation is lost in each of these ways.
fn losses() -> Vec<(&'static str, FaultKind)> {
    vec![
        ("reset", FaultKind::Reset),
        ("truncated", FaultKind::Truncated),
        ("captive portal", FaultKind::html()),
        ("2 GiB", FaultKind::HugeBody(2 << 30)),
        ("503", FaultKind::status(503)),
        ("408", FaultKind::status(408)),
        ("redirect", FaultKind::redirect("http://127.0.0.1:9/")),
        ("not JSON", FaultKind::body(200, "application/json", "kr_rt_not_json")),
        ("no access token", FaultKind::body(200, "application/json", r#"{"token_type":"Bearer"}"#)),
    ]
}

#[test]
fn faults_20_to_23_and_30_a_lost_answer_is_recovered_within_the_grace() {
    let scene = Scene::new(forgiving());
    for (round, (name, kind)) in losses().into_iter().enumerate() {
        let source = scene.source();
        source.reject_secret(&kraube::core::secret::Secret::new(scene.stored_access_token()));
        scene.server.inject(Fault::after(kind));
        let token = source.blocking_token().unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!((stale(&token), token.expose()), (None, scene.stored_access_token().as_str()), "{name}");
        let counters = scene.server.counters();
        assert_eq!((counters.rotations, counters.grace_retries), (round as u64 + 1, round as u64 + 1), "{name}");
        scene.assert_alive();
    }
}

#[test]
fn faults_20_to_23_a_lost_answer_without_grace_is_reported_and_destroys_nothing() {
    for (name, kind) in losses() {
        let scene = Scene::new(Config::default());
        let before = scene.tokens();
        scene.server.inject(Fault::after(kind));
        let source = scene.source();
        let error = source.blocking_token().expect_err(name);
        assert_eq!(error.code(), "rotation_lost", "{name}: {error:?}");
        assert!(error.to_string().contains("may have been lost") && error.hint().is_some(), "{error}");
        assert_eq!(scene.tokens(), before, "{name}");
        assert_eq!(scene.server.counters().replays, 1, "{name}: the same token, once more");
        assert_eq!(code(source.blocking_token()), "rotation_lost", "{name}");
        assert_eq!(code(scene.source().blocking_token()), "rotation_lost", "{name}");
        assert_eq!(scene.requests(), 2, "{name}: what was refused is not asked again");
    }
}

#[test]
fn fault_20_a_request_that_never_took_effect_is_sent_again() {
    let scene = Scene::new(Config::default());
    for times in 1..=2 {
        let source = scene.source();
        source.reject_secret(&kraube::core::secret::Secret::new(scene.stored_access_token()));
        scene.server.inject(Fault::before(FaultKind::Reset).times(times));
        source.blocking_token().expect("it is sent again");
    }
    assert_eq!((scene.requests(), scene.server.counters().rotations), (5, 2));
    scene.assert_alive();
}

#[test]
fn fault_23_a_body_without_end_is_cut() {
    let scene = Scene::new(Config::default());
    scene.server.inject(Fault::before(FaultKind::HugeBody(u64::MAX)).times(3));
    let error = scene.source().blocking_token().expect_err("it is no token document");
    let Some(Failure::Uncertain { cause, .. }) = error.failure() else { panic!("{error:?}") };
    assert!(matches!(cause, Cause::Unreadable(detail) if detail.contains("too long")), "{cause:?}");
}

#[test]
fn fault_24_without_a_refresh_token_in_the_answer_the_old_one_stays() {
    let scene = Scene::new(Config { rotate: false, ..Config::default() });
    let source = scene.source();
    for _ in 0..2 {
        let token = source.blocking_token().expect("the server issues access tokens");
        assert_eq!(token.expose(), scene.stored_access_token());
        source.reject(&token);
    }
    assert_eq!((scene.requests(), scene.stored_refresh_token()), (2, scene.login.refresh_token.clone()));
    scene.assert_alive();
}

#[test]
fn fault_25_every_form_of_expires_in_is_survived_without_a_refresh_for_each_call() {
    let default = 300_000;
    let ten_years = 10 * 365 * 24 * HOUR;
    let forms = [
        (None, default),
        (Some(json!(3600)), HOUR),
        (Some(json!("3600")), HOUR),
        (Some(json!(3600.0)), HOUR),
        (Some(json!(90.5)), 90_500),
        (Some(json!(-1)), default),
        (Some(json!(0)), default),
        (Some(json!(1e30)), ten_years),
        (Some(json!("soon")), default),
        (Some(json!([3600])), default),
        (Some(Value::Null), default),
    ];
    let scene = Scene::new(Config::default());
    for (round, (form, life)) in forms.into_iter().enumerate() {
        set(&scene, "expires_in", form.clone());
        let source = scene.source();
        source.reject_secret(&kraube::core::secret::Secret::new(scene.stored_access_token()));
        let token = source.blocking_token().unwrap_or_else(|error| panic!("{form:?}: {error:?}"));
        let millis = |name| scene.member(name).as_u64().expect("a number");
        assert_eq!(millis("/expiresAt") - millis("/kraube/obtainedAt"), life, "{form:?}");
        assert_eq!(source.blocking_token().expect("it is fresh").expose(), token.expose(), "{form:?}");
        assert_eq!(scene.source().blocking_token().expect("it is fresh").expose(), token.expose(), "{form:?}");
        assert_eq!(scene.requests(), round as u64 + 1, "{form:?}");
    }
    scene.assert_alive();
}

#[test]
fn fault_26_only_a_bearer_token_is_a_token_in_whatever_case() {
    let scene = Scene::new(forgiving());
    set(&scene, "token_type", Some("bEaRer".into()));
    let source = scene.source();
    let token = source.blocking_token().expect("the case does not matter");
    source.reject(&token);
    let before = scene.tokens();
    set(&scene, "token_type", Some("mac".into()));
    assert_eq!(code(source.blocking_token()), "in_doubt");
    assert_eq!(scene.tokens(), before, "a token of another type is not even stored");
    scene.server.set_config(|config| config.token_members.clear());
    after_back_off(&source).expect("the grace has not ended");
    scene.assert_alive();
}

fn invalid_grant() -> FaultKind {
    FaultKind::body(400, "application/json", r#"{"error":"invalid_grant","error_description":"kr_rt_\u001b]0;x"}"#)
}

#[test]
fn fault_27_a_refusal_after_a_peer_has_rotated_adopts_what_the_peer_stored() {
    let scene = Scene::new(Config::default());
    let peer = scene.server.issue_login();
    scene.gate.close();
    scene.server.inject(Fault::before(invalid_grant()));
    let source = scene.source();
    let token = std::thread::scope(|scope| {
        let asking = scope.spawn(|| source.blocking_token());
        scene.wait_for(|event| matches!(event, kraube_testserver::Event::FaultInjected));
        scene.replace_without_lock(&peer.refresh_token, &peer.access_token, |_| {});
        scene.gate.open();
        asking.join().expect("it does not panic").expect("the peer's token lives")
    });
    assert_eq!((token.expose(), stale(&token)), (peer.access_token.as_str(), None));
    assert_eq!((scene.requests(), scene.member("/kraube/refused")), (1, Value::Null));
    scene.assert_alive();
}

#[test]
fn fault_28_a_refusal_is_final_and_changes_no_token() {
    let scene = Scene::new(Config::default());
    let before = scene.tokens();
    scene.server.revoke_all();
    let source = scene.source();
    for _ in 0..2 {
        let error = source.blocking_token().expect_err("it is revoked");
        assert_eq!(error.code(), "revoked");
        let reason = LoginReason::Refused(Refusal::Revoked);
        assert_eq!(error.failure(), Some(&Failure::LoginRequired(reason)));
        assert!(error.hint().is_some_and(|hint| hint.contains("kraube login")));
    }
    assert_eq!(code(scene.source().blocking_token()), "revoked");
    assert_eq!(scene.requests(), 1, "what was refused is not asked again");
    assert_eq!((scene.tokens(), scene.member("/kraube/redeeming")), (before, Value::Null));
    // A new login takes the refusal away.
    let next = scene.server.issue_login();
    kraube::save_credentials(Some(&scene.file), &scene.credentials(&next, Left::Nothing, Shape::Standard))
        .expect("the lock is free");
    source.blocking_token().expect("the new login is alive");
    scene.assert_alive();
}

#[test]
fn fault_28_a_refused_login_is_served_for_as_long_as_its_token_lives() {
    let scene = Scene::with(Config::default(), Left::Little);
    scene.server.revoke_all();
    for source in [scene.source(), scene.source()] {
        let token = source.blocking_token().expect("it lives");
        assert_eq!((token.expose(), stale(&token)), (scene.login.access_token.as_str(), Some("revoked")));
    }
    assert_eq!(scene.requests(), 1);
}

#[test]
fn fault_29_a_pause_that_the_server_asks_for_holds_for_everybody() {
    let forms = [
        ("120", 120_000),
        ("Fri, 31 Dec 2094 23:59:59 GMT", HOUR),
        ("315360000", HOUR),
        ("99999999999999999999999999", HOUR),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 20),
        ("soon", 20),
        ("-5", 20),
    ];
    for (form, pause) in forms {
        let scene = Scene::new(Config::default());
        let before = scene.tokens();
        scene.server.inject(Fault::before(FaultKind::retry_after(429, form)));
        let start = now();
        let error = scene.source().blocking_token().expect_err(form);
        assert_eq!(error.code(), "throttled", "{form}: {error:?}");
        let retry_at = scene.member("/kraube/retryAt").as_u64().unwrap_or_else(|| panic!("{form}: no pause is stored"));
        assert!((start + pause..=now() + pause).contains(&retry_at), "{form}: {} ms", retry_at - start);
        assert_eq!((scene.tokens(), scene.member("/kraube/redeeming")), (before, Value::Null), "{form}");
        if pause > 1000 {
            let Err(Error::Failed(Failure::Unavailable { retry_at: Some(at), .. })) = scene.source().blocking_token()
            else {
                panic!("{form}: a second source does not wait")
            };
            assert_eq!((at.0, scene.requests()), (retry_at, 1), "{form}");
        } else {
            after_back_off(&scene.source()).expect("it is over");
            scene.assert_alive();
        }
    }
}

#[test]
fn fault_29_the_old_token_is_served_meanwhile() {
    let scene = Scene::with(Config::default(), Left::Little);
    scene.server.inject(Fault::before(FaultKind::retry_after(429, "120")));
    for expected in ["throttled", "backing_off", "backing_off"] {
        let token = scene.source().blocking_token().expect("it lives");
        assert_eq!((token.expose(), stale(&token)), (scene.login.access_token.as_str(), Some(expected)));
    }
    assert_eq!(scene.requests(), 1);
}

#[test]
fn fault_30_a_server_that_is_down_for_a_while_ends_no_login() {
    let scene = Scene::new(Config::default());
    let source = scene.source();
    scene.server.inject(Fault::before(FaultKind::status(500)).times(2));
    source.blocking_token().expect("the third request is answered");
    assert_eq!(scene.requests(), 3);

    let scene = Scene::new(Config::default());
    let before = scene.tokens();
    let source = scene.source();
    scene.server.inject(Fault::before(FaultKind::status(500)).times(5));
    let error = source.blocking_token().expect_err("three answers of no use");
    assert_eq!((error.code(), scene.requests()), ("in_doubt", 3));
    assert_eq!(scene.tokens(), before);
    assert!(scene.member("/kraube/redeeming/run").is_string(), "the doubt is recorded");
    assert_eq!(kraube::status(Some(&scene.file)).expect("a path").state.code(), "in_doubt");
    after_back_off(&source).expect("the server is back");
    assert_eq!((scene.requests(), scene.member("/kraube/redeeming")), (6, Value::Null));
    scene.assert_alive();
}

#[test]
fn another_client_error_says_what_to_check_and_is_not_tried_again_at_once() {
    let scene = Scene::new(Config { client_ids: Some(vec!["another".into()]), ..Config::default() });
    let before = scene.tokens();
    let error = scene.source().blocking_token().expect_err("the client is unknown");
    assert_eq!(error.code(), "client_rejected");
    assert!(
        error.to_string().contains("invalid_client") && error.hint().is_some_and(|hint| hint.contains("client id"))
    );
    assert_eq!((scene.requests(), scene.tokens(), scene.member("/kraube/redeeming")), (1, before, Value::Null));
    scene.server.set_config(|config| config.client_ids = None);
    after_back_off(&scene.source()).expect("it is registered now");
    scene.assert_alive();
}

#[test]
fn a_passing_404_ends_no_login_and_a_lasting_one_does() {
    let claude = || Scene::new(Config { shape: Shape::Claude, ..Config::default() });
    let scene = claude();
    let before = scene.tokens();
    scene.server.inject(Fault::before(FaultKind::status(404)));
    let source = scene.source();
    assert_eq!(code(source.blocking_token()), "refused_by_status");
    assert_eq!((scene.tokens(), scene.requests()), (before, 1));
    after_back_off(&source).expect("it has passed");
    scene.assert_alive();

    let scene = claude();
    let before = scene.tokens();
    scene.server.revoke_all();
    let source = scene.source();
    assert_eq!(code(source.blocking_token()), "refused_by_status");
    assert_eq!(code(after_back_off(&source)), "revoked");
    assert_eq!(code(source.blocking_token()), "revoked");
    assert_eq!((scene.requests(), scene.tokens()), (2, before));
}

#[test]
fn tokens_of_64_kib_fit() {
    let scene = Scene::new(Config { token_size: 64 * 1024, ..Config::default() });
    let source = scene.source();
    for _ in 0..2 {
        let token = source.blocking_token().expect("the server rotates");
        assert_eq!(token.expose().len(), 64 * 1024);
        source.reject(&token);
    }
    scene.assert_alive();
}

#[test]
fn a_record_of_another_program_needs_a_client_and_is_served_without_one() {
    let scene = Scene::with(Config::default(), Left::Much);
    let theirs = |expires: u64| {
        let (refresh, access) = (scene.stored_refresh_token(), scene.stored_access_token());
        scene.replace_without_lock(&refresh, &access, |json| {
            *json = json!({"refreshToken": refresh, "accessToken": access, "expiresAt": expires});
        });
    };
    theirs(now() + HOUR);
    let token = scene.source().blocking_token().expect("it lives");
    assert_eq!((token.expose(), token.login()), (scene.login.access_token.as_str(), None));
    theirs(now() - 1000);
    let error = scene.source().blocking_token().expect_err("nobody says where to refresh it");
    assert_eq!((error.code(), scene.requests()), ("no_client", 0));
    assert!(error.hint().is_some_and(|hint| hint.contains("KRAUBE_CLIENT_ID")));
    let mut options = scene::options(scene::quick());
    options.default_client = Some(client(&scene.gate.issuer(), Shape::Standard));
    let store = kraube::store::FileStore::open(&scene.file).expect("a path");
    kraube::TokenSource::from_store(store, options).blocking_token().expect("the default client is used");
    assert!(scene.server.family_alive(&scene.stored_refresh_token()));
}
