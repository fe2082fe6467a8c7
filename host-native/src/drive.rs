//! The loop that performs what a machine asks for. It decides nothing.

use crate::http::{Http, Meanwhile};
use crate::store::{Guard, NotLocked, Store};
use kraube_core::http::{SendError, SendErrorKind};
use kraube_core::machine::{Action, Input, Locked, Machine, Step};
use kraube_core::time::{Millis, Now, Timestamp};
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

/// Where a machine's actions go.
pub(crate) struct Io {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) http: Http,
}

/// What is to be told of a run while it is under way.
pub(crate) trait Watch<M> {
    /// Sees the machine before each of its actions.
    fn before(&mut self, machine: &M, now: Now);
    /// When [`fire`](Watch::fire) wants to be called during a long action; asked again after each call.
    fn due(&self) -> Option<Instant>;
    /// It is due.
    fn fire(&mut self);
}

/// Nobody watches.
pub(crate) struct Unwatched;

impl<M> Watch<M> for Unwatched {
    fn before(&mut self, _machine: &M, _now: Now) {}

    fn due(&self) -> Option<Instant> {
        None
    }

    fn fire(&mut self) {}
}

impl Io {
    /// Drives a machine to its outcome. The lock lives in this frame, so every way out releases it; the caller gets it
    /// back to keep it with an unsaved rotation.
    pub(crate) fn drive<M: Machine>(
        &mut self,
        mut guard: Option<Guard>,
        mut step: Step<M, M::Outcome>,
        watch: &mut dyn Watch<M>,
    ) -> (M::Outcome, Option<Guard>) {
        loop {
            let (machine, action) = match step {
                Step::Continue(machine, action) => (machine, action),
                Step::Done(outcome) => return (outcome, guard),
            };
            watch.before(&machine, now());
            let input = self.perform(action, &mut guard, watch);
            step = machine.step(input, now());
        }
    }

    fn perform<M>(&mut self, action: Action, guard: &mut Option<Guard>, watch: &mut dyn Watch<M>) -> Input {
        match action {
            Action::Lock { .. } if guard.is_some() => Input::Locked(Locked::Held),
            Action::Lock { wait, seen } => match self.store.lock(duration(wait), seen) {
                Ok(taken) => {
                    *guard = Some(taken);
                    Input::Locked(Locked::Held)
                }
                Err(NotLocked::Changed) => Input::Locked(Locked::Changed),
                Err(NotLocked::TimedOut) => Input::Locked(Locked::TimedOut),
                Err(NotLocked::Unsupported(error)) => Input::Locked(Locked::Unsupported(error)),
            },
            Action::Read => Input::Read(self.store.read()),
            Action::Send { request, holds } => {
                let held = |revision| guard.as_ref().is_some_and(|guard| self.store.holds(guard, revision));
                if !holds.is_none_or(held) {
                    *guard = None;
                    let detail = "the lock was lost before the request was sent".to_owned();
                    return Input::Replied(Err(SendError { kind: SendErrorKind::LockLost, detail }));
                }
                let due = watch.due();
                let mut fire = || {
                    watch.fire();
                    watch.due()
                };
                let meanwhile = due.map(|at| Meanwhile { at, act: &mut fire });
                Input::Replied(self.http.send(request, meanwhile))
            }
            Action::Write { replaces, blob, reserve } => Input::Wrote(self.store.write(replaces, &blob, reserve)),
            Action::Delete { replaces } => Input::Deleted(self.store.delete(replaces)),
            Action::Wait { time } => {
                let end = Instant::now() + duration(time);
                while let Some(due) = watch.due().filter(|due| *due < end) {
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    watch.fire();
                }
                std::thread::sleep(end.saturating_duration_since(Instant::now()));
                Input::Woke
            }
        }
    }
}

/// Both clocks of this process.
pub(crate) fn now() -> Now {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let start = *START;
    let monotonic = Millis(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
    Now { wall: timestamp(SystemTime::now()), monotonic }
}

/// A moment before 1970 is 1970.
pub(crate) fn timestamp(time: SystemTime) -> Timestamp {
    let millis = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    Timestamp(u64::try_from(millis).unwrap_or(u64::MAX))
}

pub(crate) fn duration(time: Millis) -> Duration {
    Duration::from_millis(time.0)
}
