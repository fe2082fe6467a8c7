//! Rotations that were received and could not be stored, kept for the whole process, each with the lock of its store.

use crate::store::Guard;
use kraube_core::credential::Unsaved;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// One rotation and the lock that keeps everybody else from spending the token that it replaces.
pub(crate) struct Entry {
    pub(crate) unsaved: Unsaved,
    pub(crate) guard: Guard,
}

static KEPT: Mutex<BTreeMap<String, Entry>> = Mutex::new(BTreeMap::new());

/// Takes the entry of a store out; whoever takes it settles it, or puts it back.
pub(crate) fn take(key: &str) -> Option<Entry> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).remove(key)
}

pub(crate) fn put(key: &str, entry: Entry) {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), entry);
}

pub(crate) fn any(key: &str) -> bool {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).contains_key(key)
}

/// Whether no store of this process has one.
pub(crate) fn none() -> bool {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
}
