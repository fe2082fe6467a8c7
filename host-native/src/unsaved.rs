//! Rotations that were received and could not be stored, kept for the whole process, each with the lock of its store.

use crate::store::{Guard, Store};
use kraube_core::credential::{Settle, Unsaved};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What one run does with the entry of its store: it takes it out, and settles it or puts it back when it ends.
/// Meanwhile nobody else of this process finds it, and nobody at all gets the lock.
pub(crate) struct Turn {
    key: String,
    /// Whether there was an entry.
    out: bool,
}

/// One rotation and the lock that keeps everybody else from spending the token that it replaces.
struct Entry {
    unsaved: Unsaved,
    guard: Guard,
}

#[derive(Default)]
struct Kept {
    entries: BTreeMap<String, Entry>,
    /// Those that a run has taken out.
    out: BTreeSet<String>,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept { entries: BTreeMap::new(), out: BTreeSet::new() });
static PUT_BACK: Condvar = Condvar::new();

/// Takes the entry out, if it is there.
pub(crate) fn take(key: String) -> (Option<Guard>, Option<Unsaved>, Turn) {
    take_from(kept(), key)
}

/// The same, and waits for another run of this process that has it: that run may put it back together with the lock,
/// which then cannot be had in any other way.
pub(crate) fn take_in_turn(key: String) -> (Option<Guard>, Option<Unsaved>, Turn) {
    let kept = PUT_BACK.wait_while(kept(), |kept| kept.out.contains(&key)).unwrap_or_else(PoisonError::into_inner);
    take_from(kept, key)
}

pub(crate) fn any(key: &str) -> bool {
    kept().entries.contains_key(key)
}

/// Whether no store of this process has one.
pub(crate) fn none() -> bool {
    let kept = kept();
    kept.entries.is_empty() && kept.out.is_empty()
}

impl Turn {
    /// Keeps what an outcome leaves unsaved, with the lock. A run that had to take the lock itself may have locked another
    /// place than its store led to when the turn began: that place counts.
    pub(crate) fn end(self, store: &dyn Store, outcome: &impl Settle, before: Option<Unsaved>, guard: Option<Guard>) {
        if let (Some(unsaved), Some(guard)) = (outcome.keep(before), guard) {
            let key = if self.out { self.key.clone() } else { store.key() };
            kept().entries.insert(key, Entry { unsaved, guard });
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.out {
            kept().out.remove(&self.key);
            PUT_BACK.notify_all();
        }
    }
}

fn take_from(mut kept: MutexGuard<'_, Kept>, key: String) -> (Option<Guard>, Option<Unsaved>, Turn) {
    let (guard, unsaved) = kept.entries.remove(&key).map(|entry| (entry.guard, entry.unsaved)).unzip();
    let out = unsaved.is_some();
    if out {
        kept.out.insert(key.clone());
    }
    (guard, unsaved, Turn { key, out })
}

/// Whole after a panic too: every change of it is one insertion or removal.
fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}
