//! The loop that performs what a machine asks for. It decides nothing.

use super::http;
use crate::bindings::kraube::auth::store::{self, Lock, NotLocked};
use crate::guest::convert;
use kraube_core::http::{SendError, SendErrorKind};
use kraube_core::machine::{Action, Blob, Input, Locked, Machine, Step};
use kraube_core::time::{Millis, Now, Timestamp};
use wasip2::clocks::{monotonic_clock, wall_clock};

const NANOS: u64 = 1_000_000;

/// Drives a machine to its outcome. The lock lives in this frame, so every way out releases it; a trap ends the
/// instance, and with it the handle. The caller gets it back to keep it with an unsaved rotation.
pub(super) fn drive<M: Machine>(mut guard: Option<Lock>, mut step: Step<M, M::Outcome>) -> (M::Outcome, Option<Lock>) {
    loop {
        let (machine, action) = match step {
            Step::Continue(machine, action) => (machine, action),
            Step::Done(outcome) => return (outcome, guard),
        };
        let input = perform(action, &mut guard);
        step = machine.step(input, now());
    }
}

/// Both clocks.
pub(super) fn now() -> Now {
    let wall = wall_clock::now();
    let millis = wall.seconds.saturating_mul(1000).saturating_add(u64::from(wall.nanoseconds) / NANOS);
    Now { wall: Timestamp(millis), monotonic: Millis(monotonic_clock::now() / NANOS) }
}

fn perform(action: Action, guard: &mut Option<Lock>) -> Input {
    match action {
        Action::Lock { .. } if guard.is_some() => Input::Locked(Locked::Held),
        Action::Lock { wait, seen } => {
            let seen = seen.map(|revision| revision.to_string());
            Input::Locked(match store::acquire(wait.0, seen.as_deref()) {
                Ok(lock) => {
                    *guard = Some(lock);
                    Locked::Held
                }
                Err(NotLocked::Changed) => Locked::Changed,
                Err(NotLocked::TimedOut) => Locked::TimedOut,
                Err(NotLocked::Unsupported(error)) => Locked::Unsupported(convert::store_error_in(error)),
            })
        }
        Action::Read => {
            let read = store::read().map(|blob| blob.map(Blob::new));
            Input::Read(read.map_err(convert::store_error_in))
        }
        Action::Send { request, holds } => {
            let held = |revision: String| guard.as_ref().is_some_and(|lock| lock.holds(&revision));
            if !holds.is_none_or(|revision| held(revision.to_string())) {
                *guard = None;
                let detail = "the lock was lost before the request was sent".to_owned();
                return Input::Replied(Err(SendError { kind: SendErrorKind::LockLost, detail }));
            }
            Input::Replied(http::send(&request))
        }
        Action::Write { replaces, blob, reserve } => {
            let replaces = replaces.map(|revision| revision.to_string());
            let wrote = store::write(replaces.as_deref(), blob.bytes(), reserve as u64);
            Input::Wrote(wrote.map_err(convert::write_error_in))
        }
        Action::Delete { replaces } => {
            Input::Deleted(store::delete(&replaces.to_string()).map_err(convert::write_error_in))
        }
        Action::Wait { time } => {
            monotonic_clock::subscribe_duration(time.0.saturating_mul(NANOS)).block();
            Input::Woke
        }
    }
}
