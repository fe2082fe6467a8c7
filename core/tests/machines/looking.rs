//! Looking and locking: what is served without a lock, and what is said where the lock is not to be had.

use super::*;
use kraube_core::credential::{Baseline, Cause, LoginReason, Via};
use kraube_core::record::{Credentials, LoginId, RecordError, Refusal};
use kraube_core::secret::Secret;

#[test]
fn a_refusal_that_a_peer_recorded_while_we_waited_for_the_lock_is_told() {
    let mut run = obtain();
    run.read(&expired());
    run.locked(Locked::TimedOut);
    run.read(&expired().refused("rotation_lost"));
    assert_eq!(run.failure(), Failure::LoginRequired(LoginReason::Refused(Refusal::RotationLost)));

    let mut run = obtain();
    run.read(&stored("r0", "a0", 30));
    run.locked(Locked::TimedOut);
    run.read(&stored("r0", "a0", 30).refused("revoked"));
    assert_eq!(run.ready().stale.map(|failure| failure.code()), Some("revoked"), "the token lives, and is served");
}

#[test]
fn a_host_that_tells_of_changes_for_ever_is_believed_until_the_deadline() {
    let mut run = obtain();
    run.read(&expired());
    for _ in 0..3 {
        run.locked(Locked::Changed);
        run.read(&expired());
    }
    run.pass(Policy::default().deadline);
    run.locked(Locked::Changed);
    run.read(&expired());
    assert_eq!(run.failure(), unavailable(Cause::Busy));
}

#[test]
fn who_will_not_wait_hears_whether_it_is_the_lock_or_our_own_refresh() {
    let living = |run: &Play<Obtain>| run.machine().living(run.now).and_then(|ready| ready.stale);
    let unavailable = |cause: Cause| Some(Failure::Unavailable { retry_at: None, cause });
    let mut run = obtain();
    assert_eq!(living(&run), None, "nothing was read yet");
    let record = stored("r0", "a0", 30);
    run.read(&record);
    assert_eq!(living(&run), unavailable(Cause::Busy));
    run.locked(Locked::Held);
    run.read(&record);
    run.wrote(Ok(()));
    assert_eq!(living(&run), unavailable(Cause::UnderWay));
    run.replied(Err(SendErrorKind::TimedOut));
    assert_eq!(living(&run), Some(Failure::Uncertain { retry_at: None, cause: Cause::UnderWay }), "it may be spent");
    run.woke();
    run.replied(Err(SendErrorKind::LockLost));
    assert_eq!(living(&run), Some(Failure::Uncertain { retry_at: None, cause: Cause::Busy }));
    run.pass(Millis::from_secs(30));
    assert_eq!(living(&run), None, "it has expired");
}

#[test]
fn a_token_with_a_mark_is_served_after_one_try_to_settle_the_doubt() {
    let record = stored("r0", "a0", HOUR).marked(OTHER_RUN);
    for locked in [Locked::TimedOut, Locked::Changed, Locked::Unsupported(error())] {
        let mut run = obtain();
        run.read(&record);
        assert_eq!(run.locked(locked), Millis::ZERO, "nobody waits while the token is good");
        run.read(&record);
        let ready = run.ready();
        assert_eq!((ready.access_token.expose(), ready.stale), ("a0", None));
    }
}

#[test]
fn who_has_a_good_token_and_settles_a_doubt_sends_once() {
    for lost in [SendErrorKind::MaybeSent, SendErrorKind::TimedOut] {
        let record = stored("r0", "a0", HOUR).marked(OTHER_RUN);
        let mut run = obtain();
        run.read(&record);
        run.locked(Locked::Held);
        run.read(&record);
        assert_eq!(run.woke(), Policy::default().settle, "the request of a killed process may still be travelling");
        run.wrote(Ok(()));
        run.replied(Err(lost));
        let parked = run.wrote(Ok(()));
        assert!(parked["kraube"]["retryAt"].is_u64() && parked["kraube"]["redeeming"].is_object(), "{parked}");
        let ready = run.ready();
        assert_eq!((ready.access_token.expose(), ready.stale.map(|failure| failure.code())), ("a0", Some("in_doubt")));
    }
}

#[test]
fn nobody_takes_the_lock_before_the_recorded_time() {
    let until = Timestamp(NOW + 5000);
    let failure = Failure::Unavailable { retry_at: Some(until), cause: Cause::BackingOff };
    let retry_at = format!(r#""retryAt":{}"#, until.0);
    let mut run = obtain();
    run.read(&expired().with(&retry_at));
    assert_eq!(run.failure(), failure);

    let mut run = obtain();
    run.read(&stored("r0", "a0", 30).with(&retry_at));
    assert_eq!(run.ready().stale, Some(failure), "it lives, so it is served");

    // With a good token, not even the doubt is looked into.
    let mut run = obtain();
    run.read(&stored("r0", "a0", HOUR).marked(OTHER_RUN).with(&retry_at));
    assert_eq!(run.ready().stale, None);

    let mut run = obtain();
    run.pass(Millis(5000));
    run.read(&expired().with(&retry_at));
    assert!(matches!(run.action(), Action::Lock { .. }), "the time has come: {:?}", run.action());
}

fn rejecting(access: &str) -> Wanted {
    Wanted { rejected: Some(Secret::new(access).fingerprint()), ..Wanted::default() }
}

fn run_with(wanted: Wanted) -> Play<Obtain> {
    obtain_with(wanted, Policy::default())
}

fn unavailable(cause: Cause) -> Failure {
    Failure::Unavailable { retry_at: None, cause }
}

/// The wait for the lock, and the revision whose change ends it.
fn waits_for_lock(run: &Play<Obtain>) -> (Millis, Option<Revision>) {
    let Action::Lock { wait, seen } = *run.action() else { panic!("{:?}", run.action()) };
    (wait, seen)
}

#[test]
fn a_good_token_costs_one_read() {
    let mut run = obtain();
    run.read(&stored("r0", "a0", HOUR));
    let ready = run.ready();
    assert_eq!((ready.access_token.expose(), ready.expires_at), ("a0", Timestamp(NOW + 3_600_000)));
    assert_eq!((ready.via, ready.short, ready.stale), (Via::Store, false, None));
    assert_eq!((ready.login, ready.obtained_at), (Some(LoginId("L0".into())), Some(Timestamp(NOW - 3_600_000))));
}

#[test]
fn an_empty_store_is_logged_out_at_once() {
    for nothing in [None, Some("{}")] {
        let mut run = obtain();
        run.read_bytes(Ok(nothing));
        assert_eq!(run.failure(), Failure::LoginRequired(LoginReason::LoggedOut));
    }
}

#[test]
fn what_was_there_and_is_gone_is_looked_for_again_before_it_is_believed() {
    let mut run = obtain();
    run.read(&expired());
    run.locked(Locked::Changed);
    for _ in 0..3 {
        run.read_bytes(Ok(None));
        assert_eq!(run.woke(), Millis(50), "another program may be in the middle of a write");
    }
    run.read_bytes(Ok(None));
    assert_eq!(run.failure(), Failure::LoginRequired(LoginReason::LoggedOut));

    let mut run = obtain();
    run.read(&stored("r0", "a0", 30));
    run.locked(Locked::Changed);
    run.read_bytes(Ok(None));
    run.woke();
    run.read(&stored("r1", "a1", HOUR));
    assert_eq!(run.ready().access_token.expose(), "a1");
}

#[test]
fn torn_bytes_are_read_again_and_then_need_the_lock() {
    let mut run = obtain();
    run.read_until_believed(Ok(Some(r#"{"refreshTo"#)));
    assert_eq!(waits_for_lock(&run), (Policy::default().deadline.minus(Millis(150)), run.known));
    run.locked(Locked::Held);
    run.read_until_believed(Ok(Some(r#"{"refreshTo"#)));
    assert_eq!(run.failure(), unavailable(Cause::Corrupt(RecordError::NotJson)), "nothing is written over them");

    let mut run = obtain();
    run.read_until_believed(Err(()));
    assert_eq!(waits_for_lock(&run).1, None, "there is no revision to see change");
    run.locked(Locked::TimedOut);
    run.read_until_believed(Err(()));
    assert_eq!(run.failure(), unavailable(Cause::Store(error())));
}

#[test]
fn another_login_is_told_and_one_without_an_id_is_adopted() {
    let changed = Failure::AccountChanged { login: Some(LoginId("L9".into())) };
    for locked in [Locked::Changed, Locked::TimedOut, Locked::Held] {
        let mut run = obtain();
        run.read(&expired());
        run.locked(locked.clone());
        run.read(&stored("r9", "a9", HOUR).login("L9"));
        assert_eq!(run.failure(), changed);

        let mut run = obtain();
        run.read(&expired());
        run.locked(locked);
        run.read_bytes(Ok(Some(&foreign("r9", "a9", HOUR))));
        assert_eq!(run.ready().access_token.expose(), "a9");
    }
    let pinned = |login: Option<&str>| Wanted {
        baseline: Baseline::Login(login.map(|id| LoginId(id.into()))),
        ..Wanted::default()
    };
    for (login, fits) in [(Some("L0"), true), (Some("L1"), false), (None, false)] {
        let mut run = run_with(pinned(login));
        run.read(&stored("r0", "a0", HOUR));
        assert_eq!(code(&run.outcome()), if fits { "ready" } else { "account_changed" }, "{login:?}");
    }
}

#[test]
fn a_token_is_refreshed_before_it_ends_and_earlier_where_more_is_asked_for() {
    let margin = |left: i64, min_valid: u64| {
        let mut run = run_with(Wanted { min_valid: Millis::from_secs(min_valid), ..Wanted::default() });
        run.read(&stored("r0", "a0", left));
        matches!(run.step, Some(Step::Done(Outcome::Ready(_))))
    };
    assert_eq!((margin(61, 0), margin(60, 0)), (true, false));
    assert_eq!((margin(601, 600), margin(600, 600)), (true, false));
    // Half of its life of two hours is the most that is ever asked of it.
    assert_eq!((margin(HOUR + 1, 7000), margin(HOUR, 7000)), (true, false));
    let mut run = run_with(Wanted { min_valid: Millis::from_secs(7000), ..Wanted::default() });
    run.read(&stored("r0", "a0", HOUR + 1));
    assert!(run.ready().short, "it is said that less is left than was asked for");
    let mut run = run_with(Wanted { min_valid: Millis::from_secs(7000), ..Wanted::default() });
    run.read(&stored("r0", "a0", 7000));
    assert!(!run.ready().short);
    let mut run = obtain();
    run.read(&stored("r0", "a0", 0));
    run.locked(Locked::TimedOut);
    run.read(&stored("r0", "a0", 0));
    assert_eq!(run.failure(), unavailable(Cause::Busy), "in the moment of its expiry it is dead");
}

#[test]
fn who_has_a_living_token_waits_two_seconds_for_a_fresher_one() {
    let record = stored("r0", "a0", 30);
    let mut run = obtain();
    run.pass(Millis(500));
    run.read(&record);
    assert_eq!(waits_for_lock(&run), (Millis(1500), run.known));
    run.pass(Millis(1500));
    run.locked(Locked::TimedOut);
    run.read(&record);
    assert_eq!(run.ready().stale, Some(unavailable(Cause::Busy)));

    let mut run = run_with(rejecting("a0"));
    run.read(&record);
    assert_eq!(waits_for_lock(&run).0, Policy::default().deadline, "a rejected token is none to live on");
}

#[test]
fn a_wait_without_time_left_is_one_try() {
    let mut run = obtain();
    run.pass(Millis::from_secs(3));
    run.read(&stored("r0", "a0", 30));
    assert_eq!(waits_for_lock(&run), (Millis::ZERO, None));
    let mut run = obtain();
    run.pass(Millis::from_secs(61));
    run.read(&expired());
    assert_eq!(waits_for_lock(&run), (Millis::ZERO, None), "the deadline is over");
}

#[test]
fn a_token_that_dies_while_its_holder_waits_is_worth_the_rest_of_the_deadline() {
    let record = stored("r0", "a0", 1);
    let mut run = obtain();
    run.read(&record);
    run.pass(Millis::from_secs(2));
    run.locked(Locked::TimedOut);
    run.read(&record);
    run.read(&record);
    assert_eq!(waits_for_lock(&run).0, Policy::default().deadline.minus(Millis::from_secs(2)));
    run.pass(Millis::from_secs(58));
    run.locked(Locked::TimedOut);
    run.read(&record);
    assert_eq!(run.failure(), unavailable(Cause::Busy), "once");
}

#[test]
fn what_a_peer_stored_while_we_waited_is_taken() {
    for locked in [Locked::TimedOut, Locked::Unsupported(error()), Locked::Changed, Locked::Held] {
        let mut run = run_with(rejecting("a0"));
        run.read(&stored("r0", "a0", HOUR));
        run.locked(locked.clone());
        // Short-lived tokens of a peer are news all the same.
        run.read(&stored("r1", "a1", 20));
        let ready = run.ready();
        assert_eq!((ready.access_token.expose(), ready.stale), ("a1", None), "{locked:?}");
    }
}

#[test]
fn where_there_can_be_no_lock_a_living_token_is_served_and_a_refresh_refused() {
    let cause = || unavailable(Cause::NoLock(error()));
    let mut run = obtain();
    run.read(&stored("r0", "a0", 30));
    run.locked(Locked::Unsupported(error()));
    run.read(&stored("r0", "a0", 30));
    assert_eq!(run.ready().stale, Some(cause()));
    let mut run = obtain();
    run.read(&expired());
    run.locked(Locked::Unsupported(error()));
    run.read(&expired());
    assert_eq!(run.failure(), cause());
}

#[test]
fn the_recorded_time_is_told_where_the_lock_is_not_to_be_had() {
    let until = Timestamp(NOW + 5000);
    let mut run = obtain();
    run.read(&expired());
    run.locked(Locked::TimedOut);
    run.read(&expired().with(format!(r#""retryAt":{}"#, until.0)));
    assert_eq!(run.failure(), Failure::Unavailable { retry_at: Some(until), cause: Cause::Busy });
}

#[test]
fn what_is_found_under_the_lock_counts() {
    let until = Timestamp(NOW + 5000);
    let retry_at = format!(r#""retryAt":{}"#, until.0);
    let backing_off = Failure::Unavailable { retry_at: Some(until), cause: Cause::BackingOff };
    let refused = Failure::LoginRequired(LoginReason::Refused(Refusal::Revoked));
    let nothing_left = Failure::LoginRequired(LoginReason::NoRefreshToken);
    let found = [
        (expired().refused("revoked"), refused.clone()),
        (expired().marked(OTHER_RUN).refused("revoked"), refused),
        (expired().with(&retry_at), backing_off.clone()),
        (expired().marked(OTHER_RUN).with(&retry_at), backing_off),
        (stored("", "a0", -10), nothing_left),
    ];
    for (record, failure) in found {
        let mut run = obtain();
        run.read(&expired());
        run.locked(Locked::Held);
        run.read(&record);
        assert_eq!(run.failure(), failure, "{}", record.text());
    }
    let mut run = obtain();
    run.read(&expired());
    run.locked(Locked::Held);
    run.read(&stored("r1", "a1", HOUR).marked(OTHER_RUN).with(&retry_at));
    assert_eq!(run.ready().access_token.expose(), "a1", "the doubt is left alone until then");
}

#[test]
fn a_record_that_does_not_say_where_to_refresh_it_goes_to_the_default() {
    let record = foreign("r0", "a0", -10);
    let mut run = obtain();
    run.read_bytes(Ok(Some(&record)));
    run.locked(Locked::Held);
    run.read_bytes(Ok(Some(&record)));
    assert_eq!(run.failure(), unavailable(Cause::NoClient));

    let client = common::client(kraube_core::provider::TokenBody::Form);
    let mut run = run_with(Wanted { default_client: Some(client), ..Wanted::default() });
    run.read_bytes(Ok(Some(&record)));
    run.locked(Locked::Held);
    run.read_bytes(Ok(Some(&record)));
    run.wrote(Ok(()));
    assert!(run.replied(issued()).contains("refresh_token=r0"));
}

#[test]
fn a_rejected_token_that_was_obtained_a_moment_ago_is_not_refreshed() {
    // Of a life of two hours, so 30 s count; of 40 s, so half of them do.
    for (life, floor) in [(2 * 3600, 30), (40, 20)] {
        let at = |age: u64| {
            let obtained = NOW - age * 1000;
            let mut record = stored("r0", "a0", 0).obtained_at(obtained);
            record.expires_at = obtained + life * 1000;
            (record, Timestamp(obtained + floor * 1000))
        };
        let (record, until) = at(floor - 1);
        let mut run = run_with(rejecting("a0"));
        run.reach_mark(&record);
        assert_eq!(run.failure(), Failure::Unavailable { retry_at: Some(until), cause: Cause::TooSoon }, "{life}");
        let (record, _) = at(floor);
        let mut run = run_with(rejecting("a0"));
        run.reach_mark(&record);
        assert!(matches!(run.action(), Action::Write { .. }), "{life}: {:?}", run.action());
    }
    // With a mark on it, the doubt comes first; without a known age, nobody can tell.
    let young = || stored("r0", "a0", HOUR * 2).obtained_at(NOW - 1000);
    let mut run = run_with(rejecting("a0"));
    run.reach_mark(&young().marked(OTHER_RUN));
    assert!(matches!(run.action(), Action::Wait { .. }), "{:?}", run.action());
    let mut run = run_with(rejecting("a0"));
    run.reach_mark(&young().obtained_at(NOW + 1000));
    assert!(matches!(run.action(), Action::Write { .. }), "a time that cannot be true: {:?}", run.action());
    let mut run = run_with(rejecting("other"));
    run.read(&young());
    assert_eq!(run.ready().access_token.expose(), "a0");
}

#[test]
fn others_who_never_stop_interfering_end_the_run() {
    let mut run = obtain();
    run.reach_mark(&expired());
    for _ in 0..3 {
        run.wrote(Err(WriteError::Conflict));
        run.read(&expired());
    }
    run.wrote(Err(WriteError::Conflict));
    assert_eq!(run.failure(), unavailable(Cause::Contended));
}

#[test]
fn an_answer_to_another_action_is_a_mistake_of_the_host() {
    let mut run = obtain();
    run.answer(Input::Woke);
    assert_eq!(run.failure(), Failure::Misuse { awaited: "Peek: Read" });
}

#[test]
fn a_recorded_refusal_needs_no_lock() {
    let mut run = obtain();
    run.read(&expired().refused("revoked"));
    assert_eq!(run.failure(), Failure::LoginRequired(LoginReason::Refused(Refusal::Revoked)));
    let mut run = obtain();
    run.read(&stored("r0", "a0", HOUR).refused("revoked"));
    assert_eq!(run.ready().stale, None, "a fresh token is served for as long as it is fresh");
}

#[test]
fn a_refresh_token_alone_is_redeemed_at_the_first_call() {
    let client = common::client(kraube_core::provider::TokenBody::Form);
    let blob = Credentials::from_refresh_token(Secret::new("r0"), client).to_blob();
    let text = std::str::from_utf8(blob.bytes()).expect("a record is text");
    assert!(!text.contains("accessToken") && !text.contains("expiresAt"), "there is none: {text}");
    for wanted in [Wanted::default(), rejecting("a0")] {
        let mut run = run_with(wanted);
        run.read_bytes(Ok(Some(text)));
        assert_eq!(waits_for_lock(&run).0, Policy::default().deadline, "there is nothing to live on");
        run.locked(Locked::Held);
        run.read_bytes(Ok(Some(text)));
        run.wrote(Ok(()));
        assert!(run.replied(issued()).contains("refresh_token=r0"));
        let written = run.wrote(Ok(()));
        assert_eq!((&written["refreshToken"], &written["kraube"]["login"]), (&"r1".into(), &serde_json::Value::Null));
        assert_eq!(run.ready().access_token.expose(), "a1");
    }
}

#[test]
fn an_access_token_alone_is_served_until_it_is_rejected() {
    let blob = Credentials::from_access_token(Secret::new("a0")).to_blob();
    let text = std::str::from_utf8(blob.bytes()).expect("a record is text");
    let mut run = obtain();
    run.read_bytes(Ok(Some(text)));
    assert_eq!(run.ready().expires_at, Timestamp(u64::MAX));
    let mut run = run_with(rejecting("a0"));
    run.read_bytes(Ok(Some(text)));
    run.locked(Locked::Held);
    run.read_bytes(Ok(Some(text)));
    assert_eq!(run.failure(), Failure::LoginRequired(LoginReason::NoRefreshToken));
}
