//! A new login: the code is sent once, under the lock, and what it brought is stored.

use super::*;
use kraube_core::credential::{Install, InstallError, NewLogin, Settle, Unsaved};
use kraube_core::http::Request;
use kraube_core::provider::{Client, TokenBody};
use kraube_core::record::{Credentials, LoginId};
use kraube_core::secret::Secret;
use std::error::Error;

/// With a code, to the moment that it is sent.
fn to_the_exchange() -> Play<Install> {
    to_the_exchange_of(common::client(TokenBody::Form))
}

fn to_the_exchange_of(client: Client) -> Play<Install> {
    let mut run = exchanging_with(client);
    run.locked(Locked::Held);
    run.read_bytes(Ok(None));
    run
}

fn answered(reply: Result<Response, SendErrorKind>) -> InstallError {
    let mut run = to_the_exchange();
    run.replied(reply);
    run.outcome().expect_err("it is not a token")
}

#[test]
fn a_code_may_be_sent_again_unless_it_was_spent_or_refused_for_certain() {
    let error = |status, body: &str| Ok(common::json(status, body));
    let pause = |header| Ok(common::response(429, None, header, ""));
    let mut client = common::client(TokenBody::Form);
    client.refused_statuses = vec![404];
    let mut run = to_the_exchange_of(client);
    run.replied(error(404, ""));
    let cases = [
        (run.outcome().expect_err("it is not a token"), "code_refused", false),
        (answered(pause(Some("7"))), "throttled", true),
        (answered(pause(None)), "throttled", true),
        (answered(error(500, "")), "code_in_doubt", true),
        (answered(Err(SendErrorKind::MaybeSent)), "code_in_doubt", true),
        (answered(Err(SendErrorKind::TimedOut)), "code_in_doubt", true),
        (answered(Err(SendErrorKind::NotSent)), "unreachable", true),
        (answered(Err(SendErrorKind::LockLost)), "busy", true),
        (answered(error(400, r#"{"error":"invalid_grant"}"#)), "code_refused", false),
        (answered(error(401, r#"{"error":"invalid_client"}"#)), "client_rejected", false),
    ];
    for (error, code, may_repeat) in cases {
        assert_eq!((error.code(), error.may_repeat()), (code, may_repeat), "{error}");
    }
    assert!(answered(pause(Some("7"))).to_string().contains("7 s"));
}

pub(crate) fn credentials() -> Credentials {
    Credentials {
        binding: None,
        access_token: Secret::new("a1"),
        refresh_token: Some(Secret::new("r1")),
        expires_at: Timestamp(NOW + 3_600_000),
        obtained_at: None,
        scope: Some("s".into()),
        client: None,
    }
}

/// With tokens, to the moment that the lock is asked for.
fn saving() -> Play<Install> {
    Play::new(|_| Install::start(NewLogin::Credentials(credentials()), LoginId("L1".into()), Policy::default()))
}

fn failed_with(run: &mut Play<Install>) -> &'static str {
    run.outcome().expect_err("it is not installed").code()
}

#[test]
fn a_code_is_exchanged_under_the_lock_and_stored_as_a_new_login() {
    let mut run = to_the_exchange();
    run.pass(Millis::from_secs(4));
    assert_eq!(run.replied(issued()), "code=c");
    let written = run.wrote(Ok(()));
    assert_eq!((&written["refreshToken"], &written["accessToken"]), (&"r1".into(), &"a1".into()));
    assert_eq!(written["expiresAt"], NOW + 3_600_000, "it lives from the moment that the request was sent");
    assert_eq!(written["kraube"]["login"], "L1");
    assert_eq!(written["kraube"]["provider"]["clientId"], "kraube-demo");
    let credentials = run.outcome().expect("it is stored");
    assert_eq!(credentials.access_token.expose(), "a1");
    assert_eq!(credentials.obtained_at, Some(Timestamp(NOW)));
}

/// With a code, to the moment that the lock is asked for.
fn exchanging_with(client: Client) -> Play<Install> {
    let (url, body) = (client.token_endpoint.clone(), Secret::new("code=c"));
    let request = Request::new(url, "application/x-www-form-urlencoded", body);
    let new = NewLogin::Code { request, client };
    Play::new(|_| Install::start(new, LoginId("L1".into()), Policy::default()))
}

#[test]
fn no_code_is_sent_without_the_lock_or_over_a_store_that_cannot_be_read() {
    let without = [(Locked::TimedOut, "busy"), (Locked::Changed, "busy"), (Locked::Unsupported(error()), "no_lock")];
    for (locked, code) in without {
        let mut run = exchanging_with(common::client(TokenBody::Form));
        assert_eq!(run.locked(locked), Policy::default().deadline);
        assert_eq!(failed_with(&mut run), code);
    }
    let mut run = exchanging_with(common::client(TokenBody::Form));
    run.locked(Locked::Held);
    run.read_bytes(Err(()));
    assert_eq!(failed_with(&mut run), "store");
    let mut run = exchanging_with(common::client(TokenBody::Form));
    run.answer(Input::Woke);
    assert_eq!(failed_with(&mut run), "misuse");
}

#[test]
fn tokens_that_are_here_wait_longer_than_a_code_and_outlive_a_store_that_cannot_be_read() {
    let mut run = saving();
    assert!(run.locked(Locked::Held).0 >= 5 * Policy::default().deadline.0);
    run.read_bytes(Err(()));
    let Err(InstallError::Unsaved(unsaved)) = run.outcome() else { panic!("they are kept") };
    assert_eq!(unsaved.cause, error());
    let mut run = Play::new(|now| Obtain::start_unsaved(Wanted::default(), Policy::default(), RUN, *unsaved, now));
    run.read_bytes(Ok(None));
    assert_eq!(run.wrote(Ok(()))["refreshToken"], "r1");
    assert_eq!(run.ready().access_token.expose(), "a1");
}

/// A login that was begun over what cannot be read, and not stored.
fn over_the_unreadable(read: Result<Option<&str>, ()>) -> Unsaved {
    let new = NewLogin::Credentials(Credentials { client: Some(common::client(TokenBody::Form)), ..credentials() });
    let mut run = Play::new(|_| Install::start(new, LoginId("L1".into()), Policy::default()));
    run.locked(Locked::Held);
    run.read_bytes(read);
    while !matches!(run.step, Some(Step::Done(_))) {
        run.wrote(failed());
        if matches!(run.step, Some(Step::Continue(..))) {
            run.woke();
        }
    }
    run.outcome().keep(None).expect("it is in memory alone")
}

#[test]
fn a_kept_login_takes_the_place_of_what_could_not_be_read_when_it_was_begun() {
    let (before, nothing) = (stored("r0", "a0", HOUR).with(r#""later":5"#).text(), None);
    let torn = Some("{\"refreshTok");
    for begun_over in [Err(()), Ok(torn)] {
        for there in [nothing, Some("{}"), torn, Some(&before)] {
            let kept = over_the_unreadable(begun_over);
            let mut run = Play::new(|now| Obtain::start_unsaved(Wanted::default(), Policy::default(), RUN, kept, now));
            run.read_until_believed(Ok(there));
            let written = run.wrote(Ok(()));
            assert_eq!((&written["refreshToken"], &written["kraube"]["login"]), (&"r1".into(), &"L1".into()));
            assert!(written["kraube"]["later"].is_null(), "that was of the login before: {written}");
            assert_eq!(run.ready().access_token.expose(), "a1", "{begun_over:?}, {there:?}");

            let mut run = Play::new(|_| Forget::start(true, Policy::default(), Some(over_the_unreadable(begun_over))));
            run.locked(Locked::Held);
            run.read_until_believed(Ok(there));
            assert!(run.replied(Ok(common::json(200, ""))).contains("token=r1"), "{begun_over:?}, {there:?}");
        }
        let kept = over_the_unreadable(begun_over);
        let mut run = Play::new(|now| Obtain::start_unsaved(Wanted::default(), Policy::default(), RUN, kept, now));
        run.read_until_believed(Err(()));
        assert_eq!(code(&run.outcome()), "unsaved", "{begun_over:?}");
    }
}

#[test]
fn a_new_login_takes_the_place_of_whatever_is_stored() {
    let refused = stored("r0", "a0", 9).refused("revoked").marked(OTHER_RUN).text();
    for there in [None, Some("{"), Some("{}"), Some(r#"{"theirs":7}"#), Some(refused.as_str())] {
        let mut run = saving();
        run.locked(Locked::Held);
        run.read_bytes(Ok(there));
        let written = run.wrote(Ok(()));
        assert_eq!(written["refreshToken"], "r1");
        assert_eq!(written["kraube"]["login"], "L1");
        let ours = written["kraube"].as_object().expect("ours");
        assert!(!ours.contains_key("refused") && !ours.contains_key("redeeming"), "{there:?}: {written}");
        assert_eq!(written["theirs"], there.filter(|text| text.contains("theirs")).map_or(Value::Null, |_| 7.into()));
        assert!(run.outcome().is_ok());
    }
}

#[test]
fn who_writes_in_between_is_read_and_written_over_three_times_at_most() {
    let mut run = to_the_exchange();
    run.replied(issued());
    for n in 0..3 {
        run.wrote(Err(WriteError::Conflict));
        run.read_bytes(Ok(Some(&format!(r#"{{"theirs":{n}}}"#))));
    }
    assert_eq!(run.wrote(Err(WriteError::Conflict))["theirs"], 2);
    assert_eq!(failed_with(&mut run), "unsaved");
}

#[test]
fn a_new_login_that_cannot_be_stored_is_kept_with_its_own_id() {
    let mut run = saving();
    run.locked(Locked::Held);
    run.read(&stored("r0", "a0", HOUR));
    let begun = run.now.monotonic;
    run.wrote(failed());
    while run.now.monotonic.minus(begun) < Millis::from_secs(2) {
        assert_eq!(run.woke(), Millis(50));
        run.wrote(failed());
    }
    let installed = run.outcome();
    let kept = installed.keep(None).expect("it is in memory alone");
    assert_eq!(kept.ready.as_ref().map(|ready| ready.access_token.expose()), Some("a1"));
    let error = installed.expect_err("it is not stored");
    assert!(error.source().is_some_and(|source| source.to_string() == "no space left"), "{error}");

    let start = |now| Obtain::start_unsaved(Wanted::default(), Policy::default(), RUN, kept.clone(), now);
    let mut run: Play<Obtain> = Play::new(start);
    run.read(&stored("r0", "a0", HOUR));
    let written = run.wrote(Ok(()));
    assert_eq!((&written["refreshToken"], &written["kraube"]["login"]), (&"r1".into(), &"L1".into()));
    assert_eq!(run.ready().access_token.expose(), "a1");

    // A login that went through makes an older kept one void, one that did not leaves it.
    let mut run = saving();
    run.locked(Locked::Held);
    run.read_bytes(Ok(None));
    run.wrote(Ok(()));
    assert!(run.outcome().keep(Some(kept.clone())).is_none());
    let mut run = saving();
    run.locked(Locked::TimedOut);
    assert!(run.outcome().keep(Some(kept)).is_some());
}

#[test]
fn a_kept_login_over_nothing_is_stored_where_there_still_is_nothing() {
    let mut run = saving();
    run.locked(Locked::Held);
    run.read_bytes(Ok(None));
    while !matches!(run.step, Some(Step::Done(_))) {
        run.wrote(failed());
        if matches!(run.step, Some(Step::Continue(..))) {
            run.woke();
        }
    }
    let kept = run.outcome().keep(None).expect("it is in memory alone");
    for nothing in [None, Some("{}")] {
        let kept = kept.clone();
        let mut run = Play::new(|now| Obtain::start_unsaved(Wanted::default(), Policy::default(), RUN, kept, now));
        run.read_bytes(Ok(nothing));
        assert_eq!(run.wrote(Ok(()))["kraube"]["login"], "L1");
        assert_eq!(run.ready().access_token.expose(), "a1");
    }
}

#[test]
fn tokens_that_were_received_outlive_a_store_that_can_no_longer_be_read() {
    let mut run = to_the_exchange();
    run.replied(issued());
    run.wrote(Err(WriteError::Conflict));
    run.read_bytes(Err(()));
    let kept = run.outcome().keep(None).expect("the code is spent, and what it brought is here alone");
    assert_eq!(kept.ready.as_ref().map(|ready| ready.access_token.expose()), Some("a1"));
}

#[test]
fn a_kept_login_takes_the_place_of_what_it_was_begun_over_even_if_that_was_torn_for_a_moment() {
    let before = stored("r0", "a0", HOUR);
    let mut run = saving();
    run.locked(Locked::Held);
    run.read(&before);
    for _ in 0..4 {
        run.wrote(Err(WriteError::Conflict));
        if matches!(run.step, Some(Step::Continue(..))) {
            run.read_bytes(Ok(Some("{\"refreshTok")));
        }
    }
    let kept = run.outcome().keep(None).expect("it is in memory alone");
    let mut run = Play::new(|now| Obtain::start_unsaved(Wanted::default(), Policy::default(), RUN, kept, now));
    run.read(&before);
    assert_eq!(run.wrote(Ok(()))["kraube"]["login"], "L1");
    assert_eq!(run.ready().access_token.expose(), "a1");
}
