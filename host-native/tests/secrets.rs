//! No token, code or verifier in a log, an error, a panic, a `Debug`, another file, an argument or an environment.
//!
//! Every test of this file collects the secrets that it meets, and searches everything that anybody has said for them.
//! The server of the scene searches as well, for all that it has ever issued. Standard output and error of the command,
//! the programs that it starts, and what strace sees of files are searched in `cli/tests/secrets.rs`.

mod canaries;
mod scene;
#[cfg(target_os = "linux")]
mod support;

use canaries::{
    assert_clean, assert_debug_clean, assert_error_clean, assert_quiet, heard, leak, listen, note, note_stored,
    redirect_of,
};
use kraube::TokenSource;
use kraube::core::credential::{Obtain, Outcome, Wanted};
use kraube::core::http::Response;
use kraube::core::machine::{Action, Blob, Input, Locked, Machine, Step};
use kraube::core::provider::Provider;
use kraube::core::record::{Record, RunId};
use kraube::core::secret::Secret;
use kraube::core::time::{Millis, Now, Timestamp};
use kraube::store::{FileStore, MemoryStore, Store};
use kraube_testserver::{Config, Fault, FaultKind, Shape};
use scene::{HOUR, Left, Scene, Spoil, Spoilt, disk_died, now, options, quick};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn the_search_finds_what_it_searches_for() {
    listen();
    note("kr_at_abcdefghijkl-0123456789-mnopqrstuvwx");
    for leaking in ["so kr_rt_ it is", "kr_code_", "abcdefghijkl", "x=mnopqrstuvwx&"] {
        assert!(leak(leaking).is_some(), "{leaking}");
    }
    assert_eq!(leak("abcdefghijk"), None);
    tracing::trace!("heard by tracing");
    log::trace!("heard by log");
    let heard = heard();
    assert!(heard.contains("heard by tracing") && heard.contains("heard by log"));
}

#[test]
fn a_refresh_leaves_no_trace_however_it_ends() {
    listen();
    let echo = |description: &str| {
        let body = json!({"error": "invalid_request", "error_description": description});
        FaultKind::body(400, "application/json", body.to_string())
    };
    let scene = Scene::new(Config { grace: Some(std::time::Duration::from_secs(60)), ..Config::default() });
    let token_in_html = format!("<p>{}</p>", scene.login.refresh_token);
    let faults = [
        None,
        Some(Fault::after(FaultKind::Reset)),
        Some(Fault::after(FaultKind::Truncated)),
        Some(Fault::after(FaultKind::HugeBody(2 << 20))),
        Some(Fault::after(FaultKind::body(200, "text/html", token_in_html.clone())).times(3)),
        Some(
            Fault::after(FaultKind::body(200, "application/json", format!("\"{}\"", scene.login.refresh_token)))
                .times(3),
        ),
        Some(
            Fault::after(FaultKind::body(
                200,
                "application/json",
                format!("{{\"access_token\":[{:?}]}}", scene.login.access_token),
            ))
            .times(3),
        ),
        Some(Fault::before(FaultKind::retry_after(429, "0"))),
        Some(Fault::before(FaultKind::redirect(format!("http://127.0.0.1:9/?code={}", "a".repeat(20))))),
        Some(Fault::before(echo("the client is unknown"))),
    ];
    let mut failed = 0;
    for fault in faults {
        fault.into_iter().for_each(|fault| scene.server.inject(fault));
        let source = scene.source();
        source.reject_secret(&Secret::new(scene.stored_access_token()));
        match scene::after_back_off(&source) {
            Ok(token) => assert_debug_clean(&token),
            Err(error) => {
                failed += 1;
                assert_error_clean(&error);
            }
        }
        assert_debug_clean(&source);
        assert_debug_clean(&kraube::status(Some(&scene.file)));
        assert_quiet(&scene);
    }
    assert!(failed >= 4, "the faults did not show");
    assert!(std::fs::read_to_string(&scene.file).expect("it is there").contains("kr_rt_"), "the canaries are alive");
}

#[test]
fn a_refusal_leaves_no_trace() {
    listen();
    let scene = Scene::new(Config::default());
    scene.server.revoke_all();
    assert_error_clean(&scene.source().blocking_token().expect_err("it is revoked"));
    let credentials = scene.credentials(&scene.login, Left::Little, Shape::Standard);
    assert_debug_clean(&credentials);
    assert_debug_clean(&options(quick()));
    kraube::save_credentials(Some(&scene.file), &credentials).expect("the lock is free");
    assert_debug_clean(&scene.source().blocking_token().expect("it lives"));
    assert_quiet(&scene);
    assert_debug_clean(&kraube::logout(Some(&scene.file), true));
    assert_clean("a log", &heard());
}

#[test]
fn fault_37_a_broken_file_is_not_quoted() {
    listen();
    let scene = Scene::new(Config::default());
    note_stored(&scene);
    let (refresh, access) = (scene.stored_refresh_token(), scene.stored_access_token());
    let whole = std::fs::read(&scene.file).expect("it is there");
    let broken = [
        format!("\"{refresh}\""),
        format!("{{\"refreshToken\": \"{refresh}\", \"accessToken\": \"{access}"),
        format!("{{\"refreshToken\": [\"{refresh}\"]}}"),
        format!("{{\"refreshToken\": \"{refresh}\", \"refreshToken\": \"{access}\"}}"),
        format!("{{\"refreshToken\": {refresh}}}"),
        format!("{refresh}\n"),
    ];
    for text in broken {
        std::fs::write(&scene.file, &text).expect("it is ours");
        let error = scene.source().blocking_token().expect_err("it is no record");
        assert_eq!(error.code(), "corrupt");
        assert_error_clean(&error);
        assert_debug_clean(&Record::parse(text.as_bytes()).map(drop));
        assert_debug_clean(&kraube::status(Some(&scene.file)));
        assert_eq!(std::fs::read_to_string(&scene.file).expect("it is there"), text, "nothing is written over it");
    }
    // A token where something else belongs.
    let odd = json!({
        "refreshToken": refresh, "accessToken": access, "expiresAt": refresh,
        "kraube": {"login": [access], "provider": {"tokenEndpoint": refresh, "clientId": access}, "refused": access},
    });
    std::fs::write(&scene.file, odd.to_string()).expect("it is ours");
    assert_error_clean(&scene.source().blocking_token().expect_err("it names no client"));
    std::fs::write(&scene.file, whole).expect("it is ours");
    scene.source().blocking_token().expect("the server rotates");
    assert_quiet(&scene);
}

#[test]
fn kept_tokens_and_a_store_that_panics_leave_no_trace() {
    listen();
    let scene = Scene::new(Config::default());
    let dead = Arc::new(AtomicBool::new(false));
    let spoil = {
        let dead = Arc::clone(&dead);
        let write = move |go| if dead.load(Ordering::SeqCst) { Err(disk_died()) } else { go };
        Arc::new(Spoil { write: Box::new(write), ..Spoil::default() })
    };
    let source = TokenSource::from_store(Spoilt { inner: store(&scene.file), spoil }, options(quick()));
    scene.gate.close();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| source.blocking_token());
        scene.wait_for_rotation();
        dead.store(true, Ordering::SeqCst);
        scene.gate.open();
        let token = asking.join().expect("it does not panic").expect("it is served from memory");
        note(token.expose());
        assert_debug_clean(&token);
    });
    let heard = canaries::heard();
    assert!(heard.contains("cannot be stored") && heard.contains("the disk died"), "it is said: {heard}");
    dead.store(false, Ordering::SeqCst);
    drop(source);
    assert_quiet(&scene);

    let spoil = Arc::new(Spoil { read: Box::new(|_| panic!("the store is out of order")), ..Spoil::default() });
    let source = TokenSource::from_store(Spoilt { inner: store(&scene.file), spoil }, options(quick()));
    source.keep_fresh().expect("there is a thread");
    for _ in 0..2 {
        assert_error_clean(&source.blocking_token().expect_err("its thread is gone"));
    }
    let heard = canaries::heard();
    assert!(heard.contains("the store is out of order"), "panics are heard");
    drop(source);
    assert_quiet(&scene);
}

#[test]
fn a_login_leaves_no_trace_of_code_token_and_state() {
    listen();
    for shape in [Shape::Standard, Shape::Claude] {
        let scene = Scene::new(Config { shape, ..Config::default() });
        let provider = match shape {
            Shape::Standard => Provider::demo(&scene.server.issuer()),
            Shape::Claude => Provider::demo_claude(&scene.server.issuer()),
        }
        .expect("an issuer on the loopback interface");
        let approve = |url: &kraube::core::login::AuthorizationUrl| {
            assert_debug_clean(url);
            let shown = redirect_of(url.as_str());
            let query = shown.split_once('?').expect("a query").1;
            for (name, value) in form_urlencoded::parse(query.as_bytes()) {
                if matches!(&*name, "code" | "state") {
                    note(&value);
                }
            }
            shown
        };
        let credentials = kraube::login::login_manual(&provider, approve).expect("the code is accepted");
        note(credentials.access_token.expose());
        note(credentials.refresh_token.as_ref().expect("it was issued").expose());
        assert_debug_clean(&credentials);

        // Once more with a server that repeats the request in its answer.
        let mut sent = String::new();
        let error = kraube::login::login_manual(&provider, |url| {
            sent = approve(url);
            let repeated = json!({"error": "invalid_grant", "error_description": "no"}).to_string();
            scene.server.inject(Fault::before(FaultKind::body(400, "application/json", repeated)));
            sent.clone()
        })
        .expect_err("it is refused");
        assert_clean("an error", &format!("{error}\n{error:?}\n{error:#?}\n{:?}", error.hint()));
        let error = kraube::login::login_manual(&provider, |url| approve(url).replace("state=", "state=x"))
            .expect_err("it is another state");
        assert_clean("an error", &format!("{error}\n{error:?}\n{error:#?}\n{:?}", error.hint()));
        assert_quiet(&scene);
    }
}

#[test]
fn every_step_of_a_machine_can_be_printed() {
    listen();
    let scene = Scene::new(Config::default());
    note_stored(&scene);
    let issued = json!({"access_token": "kr_at_".to_owned() + &"n".repeat(40), "refresh_token": "kr_rt_".to_owned() + &"m".repeat(40), "token_type": "Bearer", "expires_in": 1800});
    note(issued["access_token"].as_str().expect("text"));
    note(issued["refresh_token"].as_str().expect("text"));
    let store = MemoryStore::holding(Blob::new(std::fs::read(&scene.file).expect("it is there")));
    assert_debug_clean(&store);
    let at = |monotonic| Now { wall: Timestamp(now()), monotonic: Millis(monotonic) };
    for answer in [json!({"error": "temporarily"}), issued] {
        let mut step = Obtain::start(Wanted::default(), quick(), RunId(1), at(0));
        let mut steps = 0;
        let outcome = loop {
            assert_debug_clean(&step);
            let (machine, action) = match step {
                Step::Continue(machine, action) => (machine, action),
                Step::Done(outcome) => break outcome,
            };
            let input = match action {
                Action::Lock { .. } => Input::Locked(Locked::Held),
                Action::Read => Input::Read(store.read()),
                Action::Send { request, .. } => {
                    assert_debug_clean(&request);
                    let status = if answer.get("error").is_some() { 500 } else { 200 };
                    let content_type = Some("application/json".to_owned());
                    Input::Replied(Ok(Response {
                        dpop_nonce: None,
                        status,
                        content_type,
                        retry_after: None,
                        body: answer.to_string().into(),
                    }))
                }
                Action::Write { replaces, blob, reserve } => Input::Wrote(store.write(replaces, &blob, reserve)),
                Action::Delete { replaces } => Input::Deleted(store.delete(replaces)),
                Action::Wait { .. } => Input::Woke,
            };
            assert_debug_clean(&input);
            steps += 1;
            step = machine.step(input, at(steps * HOUR));
        };
        assert!(steps >= 5, "{outcome:?}");
        let expected = answer.get("error").is_none();
        assert_eq!(matches!(outcome, Outcome::Ready(_)), expected, "{outcome:?}");
        // The back-off of the first round is over for the second one.
        let stored = store.read().expect("readable").expect("stored");
        let text = String::from_utf8(stored.bytes().to_vec()).expect("text").replace("\"retryAt\"", "\"was\"");
        store.write(Some(stored.revision()), &Blob::new(text.into_bytes()), 0).expect("nobody else writes");
    }
    assert_debug_clean(&store.lock(scene::BOUND, None));
    assert_debug_clean(&self::store(&scene.file));
}

fn store(path: &Path) -> FileStore {
    FileStore::open(path).expect("a path to a file")
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_in_mid_refresh_shows_nothing_to_the_system() {
    listen();
    let scene = Scene::new(Config::default());
    scene.gate.close();
    let helper = support::start("ask", &scene.file);
    scene.wait_for_rotation();
    for file in ["cmdline", "environ", "comm"] {
        let shown = std::fs::read(format!("/proc/{}/{file}", helper.pid())).expect("it is our child");
        assert!(!shown.is_empty());
        note_stored(&scene);
        assert_clean(file, &String::from_utf8_lossy(&shown));
    }
    scene.gate.open();
    helper.finish();
    assert_quiet(&scene);
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_served_and_not_spent() {
    let place = support::place();
    support::in_namespace("", "read-only mount", &place.file);
    support::in_namespace("", "mounted file", &place.file);
    support::as_plain_user(place.dir.path(), "read-only directory", &place.file);
}

#[cfg(target_os = "linux")]
#[test]
fn helper() {
    support::play(|role, path| {
        let dir = path.parent().expect("it is in a directory");
        let script = match role {
            "ask" => {
                scene::source_at(path, quick()).blocking_token().expect("the server rotates");
                return support::tell("done");
            }
            "read-only mount" => "d=$(dirname \"$1\"); mount --bind \"$d\" \"$d\"; mount -o remount,bind,ro \"$d\"",
            "mounted file" => "mount --bind \"$1\" \"$1\"",
            "read-only directory" => "chmod 500 \"$(dirname \"$1\")\"",
            other => panic!("no role {other}"),
        };
        // The lock file is there already, and can be locked, where only the directory is closed.
        let expected = if role == "read-only directory" { "store" } else { "no_lock" };
        listen();
        for left in [Left::Much, Left::Little, Left::Nothing] {
            let inner = tempfile::tempdir_in(dir).expect("it can be written to");
            let scene = Scene::in_directory(Config::default(), left, inner.path());
            support::sh(script, &scene.file);
            let before = std::fs::read(&scene.file).expect("it is there");
            match (left, scene.source().blocking_token()) {
                (Left::Much, Ok(token)) => assert!(token.stale().is_none()),
                (Left::Little, Ok(token)) => {
                    assert_eq!(token.stale().map(kraube::core::credential::Failure::code), Some(expected));
                }
                (Left::Nothing, Err(error)) => {
                    assert_eq!(error.code(), expected);
                    assert!(error.hint().is_some_and(|hint| hint.contains("mount the directory")));
                    assert_error_clean(&error);
                }
                (_, other) => panic!("{role}: {other:?}"),
            }
            assert_eq!((scene.requests(), std::fs::read(&scene.file).expect("it is there")), (0, before));
            assert_quiet(&scene);
            let undo = match role {
                "read-only mount" => "umount \"$(dirname \"$1\")\"",
                "mounted file" => "umount \"$1\"",
                _ => "chmod 700 \"$(dirname \"$1\")\"",
            };
            support::sh(undo, &scene.file);
        }
        support::tell("done");
    });
}
