//! Where a caller's first look at the store happens: a process that finds a living token there needs no thread.

use kraube::core::machine::{Blob, Revision, StoreError, StoreErrorKind, WriteError};
use kraube::core::record::Credentials;
use kraube::core::secret::Secret;
use kraube::core::time::Timestamp;
use kraube::store::{Guard, MemoryStore, NotLocked, Store};
use kraube::{Options, TokenSource};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// Notes on which thread it is read, and cannot be locked.
struct Noted {
    inner: MemoryStore,
    readers: Arc<Mutex<Vec<ThreadId>>>,
}

impl Store for Noted {
    fn lock(&self, _: Duration, _: Option<Revision>) -> Result<Guard, NotLocked> {
        let detail = "this store has no lock".to_owned();
        Err(NotLocked::Unsupported(StoreError { kind: StoreErrorKind::ReadOnly, detail }))
    }

    fn read(&self) -> Result<Option<Blob>, StoreError> {
        self.readers.lock().expect("nobody panics").push(thread::current().id());
        self.inner.read()
    }

    fn write(&self, replaces: Option<Revision>, blob: &Blob, reserve: usize) -> Result<(), WriteError> {
        self.inner.write(replaces, blob, reserve)
    }

    fn delete(&self, replaces: Revision) -> Result<(), WriteError> {
        self.inner.delete(replaces)
    }

    fn holds(&self, guard: &Guard, revision: Revision) -> bool {
        self.inner.holds(guard, revision)
    }

    fn key(&self) -> String {
        self.inner.key()
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.inner.probe()
    }
}

fn source(expires_at: Timestamp) -> (TokenSource, Arc<Mutex<Vec<ThreadId>>>) {
    let credentials = Credentials { expires_at, ..Credentials::from_access_token(Secret::new("access")) };
    let readers = Arc::default();
    let store = Noted { inner: MemoryStore::holding(credentials.to_blob()), readers: Arc::clone(&readers) };
    (TokenSource::from_store(store, Options::default()), readers)
}

#[test]
fn a_living_token_is_read_once_and_by_the_caller_itself() {
    let (source, readers) = source(Timestamp(u64::MAX));
    for _ in 0..2 {
        assert_eq!(source.blocking_token().expect("it lives").expose(), "access");
    }
    assert_eq!(*readers.lock().expect("nobody panics"), [thread::current().id()]);
}

#[test]
fn within_a_runtime_only_the_thread_reads() {
    let (source, readers) = source(Timestamp(u64::MAX));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let token = runtime.block_on(async { source.blocking_token() });
    assert_eq!(token.expect("it lives").expose(), "access");
    assert!(!readers.lock().expect("nobody panics").contains(&thread::current().id()));
}

#[test]
fn a_look_that_does_not_suffice_leaves_the_rest_to_the_thread() {
    let (source, readers) = source(Timestamp(1));
    assert!(source.blocking_token().is_err());
    let readers = readers.lock().expect("nobody panics");
    assert_eq!(readers.first(), Some(&thread::current().id()));
    assert_ne!(readers.last(), Some(&thread::current().id()));
}

#[test]
fn the_first_look_pins_the_login() {
    let (source, readers) = source(Timestamp(u64::MAX));
    let pinned = source.pin_login();
    pinned.blocking_token().expect("it lives");
    pinned.blocking_token().expect("it is the same login");
    assert_eq!(readers.lock().expect("nobody panics").len(), 1);
}

#[test]
fn a_rejected_token_is_not_read_back() {
    let (source, _) = source(Timestamp(u64::MAX));
    let token = source.blocking_token().expect("it lives");
    source.reject(&token);
    assert!(source.blocking_token().is_err());
}
