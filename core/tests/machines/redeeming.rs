//! Spending the refresh token: marked first, sent once, sent again only where nothing is left to lose.

use super::*;
use kraube_core::credential::{Cause, LoginReason, Via};
use kraube_core::record::Refusal;
use kraube_core::secret::Secret;

/// To the request.
fn sending() -> Play<Obtain> {
    let mut run = obtain();
    run.reach_exchange(&expired());
    run
}

/// Over a record with the mark of another run.
fn sending_in_doubt() -> Play<Obtain> {
    let mut run = obtain();
    run.reach_mark(&expired().marked(OTHER_RUN));
    run.woke();
    run.wrote(Ok(()));
    run
}

fn status(status: u16, retry_after: Option<&str>) -> Result<Response, SendErrorKind> {
    Ok(common::response(status, Some("application/json"), retry_after, ""))
}

fn error_code(error: &str) -> Result<Response, SendErrorKind> {
    Ok(common::json(400, format!(r#"{{"error":"{error}","error_description":"because"}}"#)))
}

fn refused(refusal: Refusal) -> Failure {
    Failure::LoginRequired(LoginReason::Refused(refusal))
}

/// What is recorded of a refresh that did not succeed.
#[derive(Debug, PartialEq)]
struct Parked {
    pause: u64,
    retries: u64,
    marked: bool,
}

/// Answers the write that is outstanding.
fn parked(run: &mut Play<Obtain>) -> Parked {
    let now = run.now.wall.0;
    let written = run.wrote(Ok(()));
    assert_eq!((&written["refreshToken"], &written["accessToken"]), (&"r0".into(), &"a0".into()), "no token changes");
    let ours = &written["kraube"];
    Parked {
        pause: ours["retryAt"].as_u64().unwrap_or_else(|| panic!("it is not parked: {written}")) - now,
        retries: ours["retries"].as_u64().unwrap_or_default(),
        marked: ours["redeeming"].is_object(),
    }
}

#[test]
fn a_refresh_is_marked_sent_and_stored() {
    let record = expired().with(format!(r#""retryAt":{NOW}"#));
    let mut run = obtain();
    run.reach_mark(&record);
    assert!(matches!(run.action(), Action::Write { reserve: 32_768.., .. }), "there must be room for what comes back");
    let mark = run.wrote(Ok(()));
    assert_eq!((&mark["refreshToken"], &mark["accessToken"]), (&"r0".into(), &"a0".into()));
    assert_eq!(mark["kraube"]["redeeming"]["run"], RUN.to_string());
    assert_eq!(mark["kraube"]["redeeming"]["at"], NOW);
    assert!(mark["kraube"]["retryAt"].is_null(), "the time has come");
    assert!(matches!(run.action(), Action::Send { holds: Some(_), .. }), "it is only sent while the mark stands");
    run.pass(Millis::from_secs(5));
    assert!(run.replied(issued()).contains("refresh_token=r0"));
    assert!(matches!(run.action(), Action::Write { reserve: 0, .. }), "what was set aside is for this");
    let written = run.wrote(Ok(()));
    assert_eq!((&written["refreshToken"], &written["accessToken"]), (&"r1".into(), &"a1".into()));
    assert_eq!(written["expiresAt"], NOW + 3_600_000, "it lives from the moment that the request was sent");
    assert_eq!(written["kraube"]["obtainedAt"], NOW);
    assert_eq!(written["kraube"]["login"], "L0");
    assert!(written["kraube"]["redeeming"].is_null());
    let ready = run.ready();
    assert_eq!((ready.access_token.expose(), ready.via, ready.stale), ("a1", Via::Exchange, None));
}

#[test]
fn room_is_set_aside_for_tokens_that_are_much_larger() {
    let room = |length: usize| {
        let text = expired().with(format!(r#""theirs":"{}""#, "x".repeat(length))).text();
        let mut run = obtain();
        run.read_bytes(Ok(Some(&text)));
        run.locked(Locked::Held);
        run.read_bytes(Ok(Some(&text)));
        let Action::Write { reserve, .. } = *run.action() else { panic!("{:?}", run.action()) };
        reserve
    };
    assert!(room(20_000) > 3 * 20_000);
    assert_eq!(room(600_000), Blob::MAX, "no record is larger");
}

#[test]
fn nothing_is_sent_where_the_mark_cannot_be_written() {
    let mut run = obtain();
    run.reach_mark(&expired());
    run.wrote(failed());
    assert_eq!(run.failure(), Failure::Unavailable { retry_at: None, cause: Cause::Store(error()) });

    let mut run = obtain();
    run.reach_mark(&stored("r0", "a0", 30));
    run.wrote(failed());
    assert_eq!(run.ready().stale.map(|failure| failure.code()), Some("store"));
}

#[test]
fn what_changed_before_the_mark_is_read_anew_and_not_sent() {
    let mut run = obtain();
    run.reach_mark(&expired());
    run.wrote(Err(WriteError::Conflict));
    run.read(&stored("r5", "a5", HOUR));
    assert_eq!(run.ready().access_token.expose(), "a5");

    let mut run = obtain();
    run.reach_mark(&expired());
    run.wrote(Err(WriteError::Conflict));
    run.read(&stored("r5", "a5", -10));
    run.wrote(Ok(()));
    assert!(run.replied(issued()).contains("refresh_token=r5"), "the token that was just read is the one to spend");
}

#[test]
fn our_own_mark_is_no_doubt() {
    let mut run = obtain();
    run.reach_exchange(&expired().marked(RUN));
    run.replied(error_code("invalid_grant"));
    run.wrote(Ok(()));
    assert_eq!(run.failure(), refused(Refusal::Revoked));
}

#[test]
fn a_doubted_token_is_left_alone_for_two_seconds_of_the_lock() {
    let mut run = obtain();
    run.read(&expired());
    run.pass(Millis::from_secs(9));
    run.locked(Locked::Held);
    run.pass(Millis(700));
    run.read(&expired().marked(OTHER_RUN));
    assert_eq!(run.woke(), Millis(1300), "counted from the lock, not from the mark");
    run.wrote(Ok(()));
    run.replied(issued());
    run.wrote(Ok(()));
    assert_eq!(run.ready().access_token.expose(), "a1");
}

#[test]
fn a_refusal_is_recorded_with_its_reason() {
    for (mut run, refusal) in [(sending(), Refusal::Revoked), (sending_in_doubt(), Refusal::RotationLost)] {
        run.replied(error_code("invalid_grant"));
        let written = run.wrote(Ok(()));
        assert_eq!(written["kraube"]["refused"]["reason"], refusal.code());
        assert!(written["kraube"]["redeeming"].is_null(), "nothing is in doubt any more");
        assert_eq!((&written["refreshToken"], &written["accessToken"]), (&"r0".into(), &"a0".into()));
        assert_eq!(run.failure(), refused(refusal));
    }
}

#[test]
fn a_refusal_after_a_lost_answer_is_a_lost_rotation() {
    let mut run = sending();
    run.replied(Err(SendErrorKind::MaybeSent));
    run.replied(error_code("invalid_grant"));
    run.wrote(Ok(()));
    assert_eq!(run.failure(), refused(Refusal::RotationLost));
}

#[test]
fn a_refusal_counts_where_it_cannot_be_recorded() {
    let mut run = sending();
    run.replied(error_code("invalid_grant"));
    run.wrote(failed());
    assert_eq!(run.failure(), refused(Refusal::Revoked));

    let mut run = obtain();
    run.reach_exchange(&stored("r0", "a0", 30));
    run.replied(error_code("invalid_grant"));
    run.wrote(Ok(()));
    assert_eq!(run.ready().stale, Some(refused(Refusal::Revoked)), "the access token lives on");
}

#[test]
fn a_refusal_is_believed_of_the_token_that_was_sent_and_of_no_other() {
    let confirming = || {
        let mut run = sending();
        run.replied(error_code("invalid_grant"));
        run.wrote(Err(WriteError::Conflict));
        run
    };
    let mut run = confirming();
    run.read(&stored("r5", "a5", HOUR));
    run.read(&stored("r5", "a5", HOUR));
    assert_eq!(run.ready().access_token.expose(), "a5", "a peer has another one");

    let mut run = confirming();
    run.read(&expired().marked(OTHER_RUN));
    run.read(&expired().marked(OTHER_RUN));
    assert!(matches!(run.action(), Action::Wait { .. }), "a peer is spending it: {:?}", run.action());

    let mut run = confirming();
    run.read(&expired().refused("rotation_lost"));
    assert_eq!(run.failure(), refused(Refusal::RotationLost), "the reason that is there stands");

    let mut run = confirming();
    run.read_until_believed(Ok(None));
    assert_eq!(run.failure(), Failure::LoginRequired(LoginReason::LoggedOut));

    // Other members have changed: it is written over them, three times at most.
    let mut run = confirming();
    for n in 0..3 {
        run.read(&expired().with(format!(r#""other":{n},"retryAt":{}"#, NOW + 9)));
        let written = run.wrote(Err(WriteError::Conflict));
        assert_eq!(written["kraube"]["other"], n, "members of others are kept");
        assert!(written["kraube"]["retryAt"].is_null(), "there is nothing to wait for");
    }
    assert_eq!(run.failure(), refused(Refusal::Revoked));
}

#[test]
fn a_request_that_did_not_leave_is_sent_once_more_and_then_parked() {
    let mut run = sending();
    run.replied(Err(SendErrorKind::NotSent));
    assert!(run.replied(Err(SendErrorKind::NotSent)).contains("refresh_token=r0"));
    let until = run.now.wall.plus(Policy::default().unreachable_pause);
    assert_eq!(parked(&mut run), Parked { pause: 2000, retries: 0, marked: false }, "networks come back");
    let failure = run.failure();
    assert_eq!(failure, Failure::Unavailable { retry_at: Some(until), cause: Cause::NotSent("the wire".into()) });

    let mut run = obtain();
    run.reach_exchange(&expired().with(r#""retries":4"#));
    run.replied(Err(SendErrorKind::NotSent));
    run.replied(Err(SendErrorKind::NotSent));
    assert_eq!(parked(&mut run), Parked { pause: 2000, retries: 4, marked: false });
}

#[test]
fn a_lost_answer_means_the_same_token_again_twice_at_most() {
    for lost in [Err(SendErrorKind::MaybeSent), status(500, None), Ok(common::json(200, "{"))] {
        let mut run = sending();
        for _ in 0..3 {
            let answer = match &lost {
                Ok(response) => Ok(common::json(response.status, response.body.clone())),
                Err(kind) => Err(*kind),
            };
            assert!(run.replied(answer).contains("refresh_token=r0"));
        }
        assert_eq!(parked(&mut run), Parked { pause: 1000, retries: 1, marked: true }, "{lost:?}");
        assert!(matches!(run.failure(), Failure::Uncertain { retry_at: Some(_), .. }), "{lost:?}");
    }
}

#[test]
fn after_a_time_out_the_first_request_may_still_travel() {
    let mut run = sending();
    run.replied(Err(SendErrorKind::TimedOut));
    assert_eq!(run.woke(), Policy::default().resend_pause);
    run.replied(Err(SendErrorKind::TimedOut));
    assert_eq!(run.woke(), Policy::default().resend_pause);
    run.replied(Err(SendErrorKind::TimedOut));
    assert!(parked(&mut run).marked);
}

#[test]
fn the_second_repetition_leaves_within_five_seconds_of_the_first_lost_answer() {
    let after = |passed: u64, kind: SendErrorKind| {
        let mut run = sending();
        run.replied(Err(SendErrorKind::MaybeSent));
        run.pass(Millis(passed));
        run.replied(Err(kind));
        !matches!(run.action(), Action::Write { .. })
    };
    assert_eq!((after(5000, SendErrorKind::MaybeSent), after(5001, SendErrorKind::MaybeSent)), (true, false));
    assert_eq!((after(3000, SendErrorKind::TimedOut), after(3001, SendErrorKind::TimedOut)), (true, false));
    // The first one does not depend on it.
    let mut run = sending();
    run.pass(Millis::from_secs(15));
    run.replied(Err(SendErrorKind::TimedOut));
    assert_eq!(run.woke(), Policy::default().resend_pause);
}

#[test]
fn nothing_is_sent_again_after_the_deadline() {
    let after = |passed: u64| {
        let mut run = sending();
        run.pass(Millis(passed));
        run.replied(Err(SendErrorKind::MaybeSent));
        matches!(run.action(), Action::Send { .. })
    };
    assert_eq!((after(59_999), after(60_000)), (true, false));
}

#[test]
fn a_pause_that_the_server_asks_for_is_recorded() {
    let mut run = sending();
    run.replied(status(429, Some("60")));
    assert_eq!(parked(&mut run), Parked { pause: 60_000, retries: 1, marked: false });
    let until = Timestamp(NOW + 60_000);
    assert_eq!(run.failure(), Failure::Unavailable { retry_at: Some(until), cause: Cause::Throttled });

    let mut run = sending();
    run.replied(status(429, None));
    assert_eq!(parked(&mut run).pause, 1000);

    // With a 503 nobody knows what became of the token; it is not sent again before that time.
    let mut run = sending();
    run.replied(status(503, Some("60")));
    assert_eq!(parked(&mut run), Parked { pause: 60_000, retries: 1, marked: true });
    assert!(matches!(run.failure(), Failure::Uncertain { retry_at: Some(at), .. } if at == until));

    let mut run = sending_in_doubt();
    run.replied(status(429, Some("60")));
    assert!(parked(&mut run).marked, "the doubt is not settled by it");
    assert!(matches!(run.failure(), Failure::Uncertain { .. }));
}

#[test]
fn a_server_that_asks_for_less_does_not_switch_the_back_off_off() {
    for less in ["0", "3", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        let mut run = obtain();
        run.reach_exchange(&expired().with(r#""retries":3"#));
        run.replied(status(429, Some(less)));
        assert_eq!(parked(&mut run), Parked { pause: 8000, retries: 4, marked: false }, "{less}");
    }
}

#[test]
fn the_pause_doubles_up_to_five_minutes() {
    for (retries, pause) in [(0, 1000), (1, 2000), (2, 4000), (8, 256_000), (9, 300_000), (u32::MAX, 300_000)] {
        let mut run = obtain();
        run.reach_exchange(&expired().with(format!(r#""retries":{retries}"#)));
        run.replied(status(429, None));
        let retries = u64::from(retries.saturating_add(1));
        assert_eq!(parked(&mut run), Parked { pause, retries, marked: false });
    }
}

#[test]
fn a_client_that_is_not_accepted_is_named() {
    let mut run = sending();
    run.replied(error_code("invalid_client"));
    assert_eq!(parked(&mut run), Parked { pause: 1000, retries: 1, marked: false });
    let failure = run.failure();
    assert!(failure.to_string().contains("invalid_client: because"), "{failure}");
    assert_eq!(failure.code(), "client_rejected");
}

#[test]
fn a_status_by_which_the_server_may_refuse_counts_when_it_comes_again() {
    let answered = |record: &Stored| {
        let mut run = obtain();
        run.reach_exchange(record);
        run.replied(status(404, None));
        run.wrote(Ok(()))["kraube"].take()
    };
    let first = answered(&expired());
    assert_eq!((&first["lastStatus"], &first["retries"], &first["refused"]), (&404.into(), &1.into(), &Value::Null));
    for other in [r#""retries":1,"lastStatus":403"#, r#""retries":1"#, r#""retries":0,"lastStatus":404"#] {
        assert!(answered(&expired().with(other))["refused"].is_null(), "{other}");
    }
    let again = answered(&expired().with(r#""retries":1,"lastStatus":404"#));
    assert_eq!(again["refused"]["reason"], "revoked");

    let mut run = obtain();
    run.reach_exchange(&expired().with(r#""retries":1,"lastStatus":404"#));
    run.replied(status(429, None));
    assert!(run.wrote(Ok(()))["kraube"]["lastStatus"].is_null(), "another answer in between begins anew");
    let mut run = sending();
    run.replied(status(404, None));
    run.wrote(Ok(()));
    assert!(matches!(run.failure(), Failure::Unavailable { cause: Cause::Status(404), .. }));
}

#[test]
fn what_cannot_be_parked_is_said_all_the_same() {
    let mut run = sending();
    run.replied(status(429, Some("60")));
    run.wrote(failed());
    assert_eq!(run.failure().code(), "throttled");

    let mut run = obtain();
    run.reach_exchange(&stored("r0", "a0", 30));
    run.replied(status(429, Some("60")));
    run.wrote(Ok(()));
    assert_eq!(run.ready().stale.map(|failure| failure.code()), Some("throttled"));
}

#[test]
fn what_others_stored_before_it_was_parked_is_looked_at() {
    let mut run = sending();
    run.replied(status(429, None));
    run.wrote(Err(WriteError::Conflict));
    run.read(&stored("r5", "a5", HOUR));
    assert_eq!(run.ready().access_token.expose(), "a5");

    let mut run = sending();
    run.replied(status(429, None));
    run.wrote(Err(WriteError::Conflict));
    run.read(&expired());
    assert_eq!(run.failure(), Failure::Unavailable { retry_at: None, cause: Cause::Throttled });
}

#[test]
fn a_pause_that_could_not_be_recorded_is_kept_though_the_token_has_died_meanwhile() {
    let record = stored("r0", "a0", 30);
    let mut run = obtain();
    run.reach_exchange(&record);
    run.pass(Millis::from_secs(31));
    run.replied(status(429, None));
    run.wrote(Err(WriteError::Conflict));
    run.read(&record.with(r#""other":1"#));
    assert_eq!(run.failure(), Failure::Unavailable { retry_at: None, cause: Cause::Throttled });
}

#[test]
fn a_doubt_belongs_to_one_refresh_token() {
    let mut run = sending_in_doubt();
    run.replied(status(429, None));
    run.wrote(Err(WriteError::Conflict));
    run.read(&stored("r5", "a5", -10));
    assert_eq!(run.failure().code(), "throttled", "of the token that is stored now, nothing is in doubt");

    let mut run = sending_in_doubt();
    run.replied(status(429, None));
    run.wrote(Err(WriteError::Conflict));
    run.read(&expired().with(r#""other":1"#));
    assert_eq!(run.failure().code(), "in_doubt");
}

#[test]
fn a_lost_lock_is_taken_again_before_anything_is_sent() {
    let mut run = sending();
    run.replied(Err(SendErrorKind::LockLost));
    assert!(matches!(run.action(), Action::Lock { seen: None, .. }), "{:?}", run.action());
    run.pass(Millis::from_secs(10));
    run.locked(Locked::Held);
    run.read(&expired().marked(OTHER_RUN));
    assert_eq!(run.woke(), Policy::default().settle, "counted from the new lock");
    run.wrote(Ok(()));
    run.replied(issued());
    run.wrote(Ok(()));
    assert_eq!(run.ready().access_token.expose(), "a1");
}

#[test]
fn an_answer_is_taken_however_late_it_comes() {
    let mut run = sending();
    run.pass(Millis::from_secs(3000));
    run.replied(issued());
    run.wrote(Ok(()));
    let ready = run.ready();
    assert_eq!((ready.access_token.expose(), ready.expires_at), ("a1", Timestamp(NOW + 3_600_000)));
}

#[test]
fn tokens_that_are_of_no_use_on_arrival_are_stored_and_refreshed_again() {
    let mut run = sending();
    run.pass(Millis::from_secs(3700));
    run.replied(issued());
    run.wrote(Ok(()));
    let next = stored("r1", "a1", 3600);
    run.read(&next);
    run.wrote(Ok(()));
    assert!(run.replied(issued()).contains("refresh_token=r1"), "the machine slept while it waited");

    let rejected = Some(Secret::new("a1").fingerprint());
    let mut run = obtain_with(Wanted { rejected, ..Wanted::default() }, Policy::default());
    run.reach_exchange(&expired());
    run.replied(issued());
    run.wrote(Ok(()));
    run.read(&next.obtained_at(NOW - 40_000));
    run.wrote(Ok(()));
    assert!(run.replied(issued()).contains("refresh_token=r1"), "the server gave the rejected token once more");
}

#[test]
fn the_scope_is_the_granted_one_where_the_server_names_it() {
    for (answer, scope) in [(r#","scope":"narrow""#, "narrow"), ("", "wide")] {
        let mut run = obtain();
        run.reach_exchange(&expired().with(r#""scope":"wide""#));
        run.replied(Ok(common::json(200, ISSUED.replace("}", &format!("{answer}}}")))));
        assert_eq!(run.wrote(Ok(()))["kraube"]["scope"], scope);
        assert_eq!(run.ready().scope.as_deref(), Some(scope));
    }
}

#[test]
fn a_server_that_does_not_rotate_leaves_the_refresh_token_as_it_is() {
    let mut run = sending();
    run.replied(Ok(common::json(200, r#"{"access_token":"a1","expires_in":3600}"#)));
    let written = run.wrote(Ok(()));
    assert_eq!((&written["refreshToken"], &written["accessToken"]), (&"r0".into(), &"a1".into()));
    assert_eq!(run.ready().access_token.expose(), "a1");
}

#[test]
fn new_tokens_make_what_was_recorded_of_the_old_ones_void() {
    let record = expired().marked(OTHER_RUN).with(r#""retries":3,"lastStatus":404"#);
    let mut run = obtain();
    run.reach_mark(&record);
    run.woke();
    run.wrote(Ok(()));
    run.replied(issued());
    let written = run.wrote(Ok(()));
    let names: Vec<&String> = written["kraube"].as_object().expect("ours").keys().collect();
    assert_eq!(names, ["for", "login", "obtainedAt", "provider"]);
    assert_eq!(run.ready().access_token.expose(), "a1");
}
