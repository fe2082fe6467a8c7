//! What people and programs are told: names that never change, texts that say what happened, hints that say what to do.

use super::*;
use kraube_core::credential::{Cause, Install, InstallError, LoginReason, NewLogin};
use kraube_core::http::Request;
use kraube_core::provider::TokenBody;
use kraube_core::record::{Credentials, LoginId, RecordError, Refusal};
use kraube_core::secret::Secret;
use std::collections::BTreeSet;
use std::error::Error;

/// Each cause, its name, and a part of its text.
fn causes() -> Vec<(Cause, &'static str, &'static str)> {
    vec![
        (Cause::Busy, "busy", "another process"),
        (Cause::UnderWay, "under_way", "under way"),
        (Cause::NoLock(error()), "no_lock", "cannot be locked"),
        (Cause::Store(error()), "store", "nothing was spent"),
        (Cause::Corrupt(RecordError::Empty), "corrupt", "empty"),
        (Cause::NoClient, "no_client", "which client"),
        (Cause::BackingOff, "backing_off", "an earlier refresh failed"),
        (Cause::TooSoon, "too_soon", "a moment ago"),
        (Cause::Contended, "contended", "other programs"),
        (Cause::NotSent("the wire".into()), "unreachable", "could not be reached: the wire"),
        (Cause::NoAnswer("the wire".into()), "no_answer", "no answer: the wire"),
        (Cause::Throttled, "throttled", "a pause"),
        (Cause::ClientRejected("why".into()), "client_rejected", "this client or request: why"),
        (Cause::Unreadable("why".into()), "unreadable_answer", "of no use: why"),
        (Cause::Status(404), "refused_by_status", "404"),
    ]
}

fn failures() -> Vec<(Failure, &'static str, &'static str)> {
    let refused = |refusal| Failure::LoginRequired(LoginReason::Refused(refusal));
    let mut failures = vec![
        (Failure::LoginRequired(LoginReason::LoggedOut), "logged_out", "not logged in"),
        (Failure::LoginRequired(LoginReason::NoRefreshToken), "no_refresh_token", "no refresh token"),
        (refused(Refusal::Revoked), "revoked", "expired or was revoked"),
        (refused(Refusal::RotationLost), "rotation_lost", "the rotation may have been lost"),
        (Failure::Uncertain { retry_at: None, cause: Cause::Throttled }, "in_doubt", "unknown, and recorded"),
        (Failure::AccountChanged { login: Some(LoginId("L".into())) }, "account_changed", "logged in anew"),
        (Failure::Misuse { awaited: "Peek: Read" }, "misuse", "Peek: Read"),
    ];
    let unavailable = |(cause, code, text)| (Failure::Unavailable { retry_at: None, cause }, code, text);
    failures.extend(causes().into_iter().map(unavailable));
    failures
}

#[test]
fn every_failure_has_a_name_of_its_own_a_text_and_a_hint() {
    let mut names = BTreeSet::new();
    for (failure, code, text) in failures() {
        assert_eq!(failure.code(), code);
        assert!(names.insert(code), "{code} is not unique");
        assert!(failure.to_string().contains(text), "{failure}");
        assert!(failure.hint().is_some_and(|hint| hint.len() > 10), "{code}: {:?}", failure.hint());
    }
    let hint = |failure: Failure| failure.hint().unwrap_or_default();
    assert!(hint(Failure::LoginRequired(LoginReason::LoggedOut)).contains("kraube login"));
    let cause = |cause| hint(Failure::Unavailable { retry_at: None, cause });
    assert!(cause(Cause::NoClient).contains("KRAUBE_CLIENT_ID"));
    assert!(cause(Cause::Store(error())).contains("mount the directory"));
    assert!(cause(Cause::ClientRejected(String::new())).contains("client id"));
}

#[test]
fn what_the_store_said_is_the_source_of_the_error() {
    for (failure, code, _) in failures() {
        let source = failure.source().map(ToString::to_string);
        let expected = ["no_lock", "store"].contains(&code).then(|| "no space left".to_owned());
        assert_eq!(source, expected, "{code}");
    }
}

#[test]
fn every_error_of_a_login_has_a_name_of_its_own_a_text_and_a_hint() {
    let errors = [
        (InstallError::NoLock { cause: None }, "busy", "another process", "when it is done"),
        (InstallError::NoLock { cause: Some(error()) }, "no_lock", "cannot be locked", "writable"),
        (InstallError::Store(error()), "store", "cannot be read", "writable"),
        (InstallError::Refused("why".into()), "code_refused", "the code: why", "start the login again"),
        (InstallError::ClientRejected("why".into()), "client_rejected", "request: why", "client id"),
        (InstallError::Throttled { retry_after: None }, "throttled", "a pause (429)", "wait"),
        (InstallError::NotSent("why".into()), "unreachable", "reached: why", "the network"),
        (InstallError::Unknown("why".into()), "code_in_doubt", "the code: why", "start the login again"),
        (InstallError::Unsaved(Box::new(keeping::unsaved())), "unsaved", "cannot be stored", "free the disk"),
        (InstallError::Misuse("Lock: Locked"), "misuse", "Lock: Locked", "bug"),
    ];
    for (error, code, text, hint) in errors {
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.hint().contains(hint), "{code}: {}", error.hint());
        let of_the_store = code == "no_lock" || code == "store" || code == "unsaved";
        assert_eq!(error.source().is_some(), of_the_store, "{code}");
    }
}

/// Short and without a digit: nothing but the request itself tells that these are secrets.
const WORDS: [&str; 3] = ["abcdefghijkl", "mnopqrstuvwx", "yzabcdefghij"];

#[test]
fn a_refresh_shows_no_text_that_repeats_the_token() {
    for (token, expected) in [("abcdefghijkl", "invalid_request"), ("other", "invalid_request: no abcdefghijkl here")] {
        let mut run = obtain();
        run.reach_exchange(&stored(token, "a0", -10));
        run.replied(Ok(common::json(400, said("no abcdefghijkl here"))));
        run.wrote(Ok(()));
        let Failure::Unavailable { cause: Cause::ClientRejected(detail), .. } = run.failure() else {
            panic!("rejected")
        };
        assert_eq!(detail, expected);
    }
}

#[test]
fn a_code_exchange_shows_no_text_that_repeats_a_secret_of_its_request() {
    let [code, verifier, state] = WORDS;
    let form = format!("grant_type=authorization_code&code={code}&client_id=me&code_verifier={verifier}&state={state}");
    let json = format!(
        r#"{{"grant_type":"authorization_code","code":"{code}","code_verifier":"{verifier}","state":"{state}"}}"#
    );
    let failed = |body: &str, answer: String| {
        let client = common::client(TokenBody::Form);
        let request = Request::new(client.token_endpoint.clone(), "", Secret::new(body));
        let new = NewLogin::Code { request, client };
        let mut install = Play::new(|_| Install::start(new, LoginId("L1".into()), Policy::default()));
        install.locked(Locked::Held);
        install.read_bytes(Ok(None));
        install.replied(Ok(common::json(400, answer)));
        install.outcome().expect_err("it is an error").to_string()
    };
    for body in [form, json] {
        for word in WORDS {
            let shown = failed(&body, said(&format!("no {word} here")));
            assert!(shown.ends_with(": invalid_request"), "{word}: {shown}");
            let shown = failed(&body, format!(r#"{{"error":"bad {word}","error_description":"this is why"}}"#));
            assert!(shown.ends_with(": HTTP status 400: this is why"), "{word}: {shown}");
        }
        let shown = failed(&body, said("the authorization_code is unknown"));
        assert!(shown.ends_with(": invalid_request: the authorization_code is unknown"), "{shown}");
    }
}

#[test]
fn no_machine_shows_a_token_while_it_runs() {
    let mut run = obtain();
    let record = stored("CANARY-r", "CANARY-a", -10).marked(OTHER_RUN);
    let mut shown = String::new();
    let mut show = |run: &Play<Obtain>| shown.push_str(&format!("{:?} {:?}\n", run.machine(), run.action()));
    run.read(&record);
    show(&run);
    run.locked(Locked::Held);
    run.read(&record);
    show(&run);
    run.woke();
    show(&run);
    run.wrote(Ok(()));
    show(&run);
    run.replied(Ok(common::json(200, ISSUED.replace("a1", "CANARY-a1").replace("r1", "CANARY-r1"))));
    show(&run);
    run.wrote(failed());
    show(&run);
    run.woke();
    run.wrote(Err(WriteError::Conflict));
    show(&run);
    assert!(!shown.contains("CANARY"), "{shown}");
    let states = ["Look", "Lock", "Settle", "Mark", "Exchange", "Commit", "SavePause", "Merge"];
    let particulars = ["doubt: Some(", "Redeem { token: ", "Commit { record: Record"];
    for part in states.iter().chain(&particulars) {
        assert!(shown.contains(part), "{part} is not among {shown}");
    }
}

#[test]
fn no_login_or_logout_shows_a_token_while_it_runs() {
    let credentials = Credentials {
        binding: None,
        access_token: Secret::new("CANARY-a1"),
        refresh_token: Some(Secret::new("CANARY-r1")),
        expires_at: Timestamp(NOW),
        obtained_at: None,
        scope: None,
        client: None,
    };
    let record = stored("CANARY-r", "CANARY-a", -10);
    let login = LoginId("L1".into());
    let mut install = Play::new(|_| Install::start(NewLogin::Credentials(credentials), login, Policy::default()));
    let mut shown = format!("{:?} {:?}\n", install.machine(), install.action());
    install.locked(Locked::Held);
    install.read(&record);
    shown += &format!("{:?} {:?}\n", install.machine(), install.action());
    install.wrote(failed());
    shown += &format!("{:?}\n", install.machine());
    let mut forget = Play::new(|_| Forget::start(true, Policy::default(), Some(keeping::unsaved())));
    forget.locked(Locked::Held);
    forget.read(&record);
    shown += &format!("{:?} {:?}\n", forget.machine(), forget.action());
    forget.replied(Err(SendErrorKind::TimedOut));
    shown += &format!("{:?}\n", forget.machine());
    assert!(!shown.contains("CANARY"), "{shown}");
    for part in ["Write", "revision: Some(", "SavePause", "Revoke", "Delete", "locked: true", "the wire"] {
        assert!(shown.contains(part), "{part} is not among {shown}");
    }
}

#[test]
fn what_is_not_stored_says_so_and_what_to_do_while_the_process_lives() {
    let unsaved = keeping::unsaved();
    assert!(unsaved.to_string().contains("cannot be stored") && unsaved.hint().contains("free the disk"));
}
