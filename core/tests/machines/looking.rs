//! Looking and locking: what is served without a lock, and what is said where the lock is not to be had.

use super::*;
use kraube_core::credential::LoginReason;
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
