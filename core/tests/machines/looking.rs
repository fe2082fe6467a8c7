//! Looking and locking: what is served without a lock, and what is said where the lock is not to be had.

use super::*;
use kraube_core::credential::{Cause, LoginReason};
use kraube_core::record::Refusal;

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
        assert!(parked.contains("retryAt") && parked.contains("redeeming"), "{parked}");
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
