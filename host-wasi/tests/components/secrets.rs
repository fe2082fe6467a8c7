//! No refresh token, code or verifier comes to where a component can see it, and no secret at all into what a host says: its
//! log, its errors, its panics, what it shows with `Debug`. What the command writes is searched in `tests/command/ends.rs`.
//!
//! Each of these is a process of its own: it hears all that wasmtime, the HTTP client and kraube log at the finest level, from
//! when the components are compiled.

use crate::canaries::{assert_clean, assert_debug_clean, assert_quiet, heard, listen, redirect_of};
use crate::processes::{start, tell};
use crate::scene::{Scene, Spoil, Spoilt, quick, source_at};
use crate::support::provider::exports::kraube::auth::login::{Callback, Redirect, Verdict};
use crate::support::{GUEST, Granted, PROVIDER, component, engine, guest, provider, run};
use kraube::store::FileStore;
use kraube_testserver::{Canary, Config, Fault, FaultKind};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

#[test]
fn components_see_access_tokens_and_nothing_else_of_a_login() {
    quiet("what a component sees");
}

#[test]
fn a_host_that_serves_tokens_says_nothing_of_them() {
    quiet("serve");
}

#[test]
fn a_host_that_lends_its_store_says_nothing_of_what_is_in_it() {
    quiet("lend");
}

#[test]
fn a_login_by_the_provider_leaves_no_trace() {
    quiet("log in");
}

#[test]
fn a_store_that_panics_leaves_no_trace() {
    quiet("panic");
}

fn quiet(role: &str) {
    start(role, Path::new("")).finish();
}

/// In a helper process; false where this is none of the roles.
pub(crate) fn role(role: &str) -> bool {
    match role {
        "what a component sees" => sees(),
        "serve" => serve(),
        "lend" => lend(),
        "log in" => log_in(),
        "panic" => panic(),
        _ => return false,
    }
    tell("done");
    true
}

/// Both ways of refreshing: by the host, and by a provider in the same composition.
fn sees() {
    let engine = engine();
    let compiled = ["guest", "guest-composed"].map(|name| (name, component(&engine, name)));
    listen();
    for (name, component) in compiled {
        let scene = Scene::new(Config::default());
        let seen = run(async {
            let (mut store, it) = guest(Granted::file(&scene.file), &component).await;
            let token = it.call_run(&mut store, "token", 0).await.expect("no trap").expect("the server rotates");
            assert_eq!(token, scene.stored_access_token());
            let mut seen = BTreeSet::new();
            for from in (0..).step_by(64 * 1024) {
                match it.call_run(&mut store, "memory", from).await.expect("no trap") {
                    Ok(page) => seen.extend(scene.server.canaries_in(page.as_bytes())),
                    Err(_) => break,
                }
            }
            seen
        });
        assert_eq!(scene.requests(), 1);
        assert_eq!(seen, [Canary::AccessToken].into(), "in the memory of {name}");
        assert_quiet(&scene);
    }
}

/// What a server may answer that repeats what it was sent, and what ends without an answer.
fn faults(scene: &Scene) -> Vec<Fault> {
    let token = &scene.login.refresh_token;
    let told = |body: String| FaultKind::body(400, "application/json", body);
    vec![
        Fault::after(FaultKind::Reset),
        Fault::after(FaultKind::Truncated),
        Fault::after(FaultKind::body(200, "text/html", format!("<p>{token}</p>"))).times(3),
        Fault::after(FaultKind::body(200, "application/json", format!("{{\"access_token\":[{token:?}]}}"))).times(3),
        Fault::before(FaultKind::retry_after(429, "0")),
        Fault::before(told(json!({"error": "invalid_request", "error_description": "no"}).to_string())),
    ]
}

fn graceful() -> Config {
    Config { grace: Some(Duration::from_secs(60)), ..Config::default() }
}

fn serve() {
    LazyLock::force(&GUEST);
    listen();
    let scene = Scene::new(graceful());
    let faults = faults(&scene);
    let mut failed = 0;
    run(async {
        for fault in faults {
            scene.server.inject(fault);
            let (mut store, it) = guest(Granted::file(&scene.file), &GUEST).await;
            // The second time meets the back-off.
            for _ in 0..2 {
                match it.call_run(&mut store, "reject", 0).await.expect("no trap") {
                    Ok(token) => assert_eq!(scene.server.canaries_in(token.as_bytes()), [Canary::AccessToken].into()),
                    Err(told) => {
                        failed += 1;
                        assert_said_clean(&scene, &told);
                    }
                }
            }
            assert_debug_clean(&store.data().lent);
            assert_debug_clean(&store.data().login);
            for deed in ["token, trap", "write without lock", "lock, trap"] {
                let (mut store, it) = guest(Granted::file(&scene.file), &GUEST).await;
                let trap = it.call_run(&mut store, deed, 0).await.expect_err("it traps");
                assert_said_clean(&scene, &format!("{trap}\n{trap:?}\n{trap:#}"));
            }
            drop(crate::scene::after_back_off(&scene.source()));
            assert_quiet(&scene);
        }
    });
    assert!(failed >= 3, "the faults did not show");
}

fn lend() {
    LazyLock::force(&PROVIDER);
    listen();
    let scene = Scene::new(graceful());
    let faults = faults(&scene);
    let mut failed = 0;
    run(async {
        for fault in faults {
            scene.server.inject(fault);
            expire(&scene);
            let (mut store, it) = provider(Granted::file(&scene.file), &PROVIDER).await;
            match it.token(&mut store).await.expect("no trap") {
                Ok(token) => drop(token),
                Err(error) => {
                    failed += 1;
                    assert_said_clean(&scene, &format!("{error:?}"));
                }
            }
            assert_debug_clean(&store.data().lent);
            drop(crate::scene::after_back_off(&scene.source()));
            assert_quiet(&scene);
        }
    });
    assert!(failed >= 3, "the faults did not show");
}

/// Another program has set the clock of the stored login forward.
fn expire(scene: &Scene) {
    let (refresh, access) = (scene.stored_refresh_token(), scene.stored_access_token());
    scene.replace_without_lock(&refresh, &access, |json| json["expiresAt"] = 1.into());
}

fn log_in() {
    LazyLock::force(&PROVIDER);
    listen();
    let scene = Scene::new(Config::default());
    run(async {
        let (mut store, it) = provider(Granted::file(&scene.file), &PROVIDER).await;
        let (login, account) = (it.kraube_auth_login(), it.kraube_auth_account());
        let demo =
            login.call_demo(&mut store, &scene.server.issuer()).await.expect("no trap").expect("on the loopback");
        let page = Redirect::Page("http://127.0.0.1:9/callback".into());
        // The second code is refused; what the server says of it is in the error.
        for refused in [false, true] {
            let begun = account.call_begin(&mut store, &demo, &page).await.expect("no trap").expect("it can be stored");
            let shown = redirect_of(&begun.url);
            let query = shown.split_once('?').expect("a query").1.to_owned();
            assert_eq!(scene.server.canaries_in(query.as_bytes()), [Canary::Code, Canary::State].into());
            let wrong = Callback::Query(query.replace("state=", "state=x"));
            let verdict = login.pending().call_receive(&mut store, begun.pending, &wrong).await.expect("no trap");
            let Verdict::Ignored(problem) = verdict else { panic!("it is another state: {verdict:?}") };
            assert_said_clean(&scene, &format!("{problem:?}"));
            let right = Callback::Query(query);
            let verdict = login.pending().call_receive(&mut store, begun.pending, &right).await.expect("no trap");
            assert_said_clean(&scene, &format!("{verdict:?}"));
            let Verdict::Code(exchange) = verdict else { panic!("it is the right one: {verdict:?}") };
            if refused {
                let told = json!({"error": "invalid_grant", "error_description": "no"}).to_string();
                scene.server.inject(Fault::before(FaultKind::body(400, "application/json", told)));
            }
            match account.call_install(&mut store, exchange).await.expect("no trap") {
                Ok(()) => assert!(!refused),
                Err(error) => {
                    assert!(refused, "{error:?}");
                    assert_said_clean(&scene, &format!("{error:?}"));
                }
            }
            assert_quiet(&scene);
        }
    });
    assert_eq!(scene.server.counters().codes_redeemed, 1);
}

/// The thread of a lent store is gone then, and the host goes on.
fn panic() {
    LazyLock::force(&PROVIDER);
    listen();
    let scene = Scene::new(Config::default());
    let spoil = Arc::new(Spoil { read: Box::new(|_| panic!("the store is out of order")), ..Spoil::default() });
    let lent = Spoilt { inner: FileStore::open(&scene.file).expect("a path to a file"), spoil };
    run(async {
        let (mut store, it) = provider(Granted::login(source_at(&scene.file, quick()), lent), &PROVIDER).await;
        for _ in 0..2 {
            let trap = it.token(&mut store).await.expect_err("its thread is gone");
            assert_said_clean(&scene, &format!("{trap}\n{trap:?}\n{trap:#}"));
        }
    });
    assert!(heard().contains("the store is out of order"), "panics are heard");
    assert_quiet(&scene);
}

fn assert_said_clean(scene: &Scene, said: &str) {
    assert_clean("what is said", said);
    assert_eq!(scene.server.canaries_in(said.as_bytes()), [].into(), "{said}");
}
