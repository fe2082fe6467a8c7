//! A store in the memory of one process: for sources without a file, and the shortest example of a [`Store`].

use crate::store::{Guard, NotLocked, Store};
use kraube_core::machine::{Blob, Revision, StoreError, StoreErrorKind, WriteError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Keeps the credentials in memory. Clones share what is stored; with the last of them it is gone.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Shared>);

impl MemoryStore {
    /// A new place, with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new place with these bytes in it.
    pub fn holding(blob: Blob) -> Self {
        let state = State { blob: Some(blob), locked: false };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }))
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    blob: Option<Blob>,
    locked: bool,
}

impl Shared {
    /// Every change of the state is one assignment, so that it is whole even after a panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn revision(&self) -> Option<Revision> {
        self.blob.as_ref().map(Blob::revision)
    }
}

struct Held(Arc<Shared>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.state().locked = false;
        self.0.changed.notify_all();
    }
}

impl Store for MemoryStore {
    fn lock(&self, wait: Duration, seen: Option<Revision>) -> Result<Guard, NotLocked> {
        let start = Instant::now();
        let mut state = self.0.state();
        while state.locked {
            if seen.is_some() && state.revision() != seen {
                return Err(NotLocked::Changed);
            }
            let left = wait.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(NotLocked::TimedOut);
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.locked = true;
        drop(state);
        Ok(Guard::new(Held(Arc::clone(&self.0))))
    }

    fn read(&self) -> Result<Option<Blob>, StoreError> {
        Ok(self.0.state().blob.clone())
    }

    fn write(&self, replaces: Option<Revision>, blob: &Blob, _reserve: usize) -> Result<(), WriteError> {
        if blob.bytes().len() > Blob::MAX {
            let detail = format!("the credentials are larger than {} bytes", Blob::MAX);
            return Err(WriteError::Failed(StoreError { kind: StoreErrorKind::TooLarge, detail }));
        }
        let mut state = self.0.state();
        if state.revision() != replaces {
            return Err(WriteError::Conflict);
        }
        state.blob = Some(blob.clone());
        self.0.changed.notify_all();
        Ok(())
    }

    fn delete(&self, replaces: Revision) -> Result<(), WriteError> {
        let mut state = self.0.state();
        if state.revision() != Some(replaces) {
            return Err(WriteError::Conflict);
        }
        state.blob = None;
        self.0.changed.notify_all();
        Ok(())
    }

    fn holds(&self, guard: &Guard, revision: Revision) -> bool {
        guard.get::<Held>().is_some_and(|held| Arc::ptr_eq(&held.0, &self.0))
            && self.0.state().revision() == Some(revision)
    }

    fn key(&self) -> String {
        format!("memory:{:p}", Arc::as_ptr(&self.0))
    }

    fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
