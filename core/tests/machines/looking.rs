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
