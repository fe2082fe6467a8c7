//! What every store must do, checked on the two that come with kraube.

mod support;

use kraube::store::{Guard, MemoryStore, NotLocked, Store};
use kraube_core::machine::{Blob, Revision, StoreErrorKind, WriteError};
use std::time::Duration;
use support::{LONG, SHORT, blob, text, write};

fn each(check: impl Fn(&dyn Store)) {
    check(&MemoryStore::new());
    check(&support::place().store);
}

fn put(store: &dyn Store, replaces: Option<Revision>, content: &str) -> Revision {
    store.write(replaces, &blob(content), 0).expect("the write works");
    Revision::of(content.as_bytes())
}

fn content(store: &dyn Store) -> Option<Vec<u8>> {
    store.read().expect("the read works").map(|blob| blob.bytes().to_vec())
}

#[test]
fn what_was_written_is_read() {
    each(|store| {
        assert_eq!(content(store), None);
        let one = put(store, None, "one");
        assert_eq!(content(store), Some(b"one".to_vec()));
        put(store, Some(one), "");
        assert_eq!(content(store), Some(Vec::new()), "empty is not the same as nothing");
    });
}

#[test]
fn a_write_replaces_only_what_it_says() {
    each(|store| {
        let other = Revision::of(b"other");
        let failed = |replaces| store.write(replaces, &blob("new"), 0);
        assert_eq!(failed(Some(other)), Err(WriteError::Conflict), "nothing is stored");
        let one = put(store, None, "one");
        assert_eq!(failed(None), Err(WriteError::Conflict), "something is stored");
        assert_eq!(failed(Some(other)), Err(WriteError::Conflict), "something else is stored");
        assert_eq!(store.write(Some(other), &blob("new"), 4096), Err(WriteError::Conflict));
        assert_eq!(content(store), Some(b"one".to_vec()));
        put(store, Some(one), "two");
    });
}

#[test]
fn a_delete_removes_only_what_it_says() {
    each(|store| {
        let one = Revision::of(b"one");
        assert_eq!(store.delete(one), Err(WriteError::Conflict), "nothing is stored");
        put(store, None, "one");
        assert_eq!(store.delete(Revision::of(b"other")), Err(WriteError::Conflict));
        assert_eq!(content(store), Some(b"one".to_vec()));
        assert_eq!(store.delete(one), Ok(()));
        assert_eq!(content(store), None);
        put(store, None, "again");
    });
}

#[test]
fn the_longest_is_stored_and_one_byte_more_is_not() {
    each(|store| {
        let longest = Blob::new(vec![b'x'; Blob::MAX]);
        store.write(None, &longest, 0).expect("the limit itself is allowed");
        assert_eq!(content(store).map(|bytes| bytes.len()), Some(Blob::MAX));
        let longer = Blob::new(vec![b'x'; Blob::MAX + 1]);
        match store.write(Some(longest.revision()), &longer, 0) {
            Err(WriteError::Failed(error)) => assert_eq!(error.kind, StoreErrorKind::TooLarge),
            other => panic!("{other:?}"),
        }
        assert_eq!(content(store).map(|bytes| bytes.len()), Some(Blob::MAX));
    });
}

#[test]
fn one_guard_at_a_time() {
    each(|store| {
        let guard = store.lock(Duration::ZERO, None).expect("it is free");
        assert_eq!(store.lock(Duration::ZERO, None).err(), Some(NotLocked::TimedOut));
        assert_eq!(store.lock(SHORT, None).err(), Some(NotLocked::TimedOut));
        drop(guard);
        store.lock(LONG, None).expect("it is free again");
    });
}

#[test]
fn a_waiter_gets_the_lock_when_it_is_released() {
    each(|store| {
        let guard = store.lock(LONG, None).expect("it is free");
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| store.lock(LONG, None).map(drop));
            drop(guard);
            assert_eq!(waiter.join().expect("no panic"), Ok(()));
        });
    });
}

#[test]
fn a_busy_lock_is_left_when_something_else_is_stored() {
    each(|store| {
        let one = put(store, None, "one");
        let held = store.lock(LONG, Some(one)).expect("it is free");
        assert_eq!(store.lock(SHORT, Some(one)).err(), Some(NotLocked::TimedOut), "nothing changed");
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| store.lock(LONG, Some(one)).map(drop));
            let two = put(store, Some(one), "two");
            assert_eq!(waiter.join().expect("no panic"), Err(NotLocked::Changed));
            assert_eq!(store.lock(Duration::ZERO, Some(one)).err(), Some(NotLocked::Changed), "also at entry");
            assert_eq!(store.lock(SHORT, None).err(), Some(NotLocked::TimedOut), "without `seen` only the lock counts");
            let waiter = scope.spawn(move || store.lock(LONG, Some(two)).map(drop));
            store.delete(two).expect("it is stored");
            assert_eq!(waiter.join().expect("no panic"), Err(NotLocked::Changed), "gone is another content too");
        });
        drop(held);
        store.lock(LONG, Some(one)).expect("a free lock is taken, whatever is stored");
    });
}

#[test]
fn holds_asks_for_the_guard_and_for_the_content() {
    each(|store| {
        let one = put(store, None, "one");
        let guard = store.lock(LONG, None).expect("it is free");
        assert!(store.holds(&guard, one));
        assert!(!store.holds(&guard, Revision::of(b"other")));
        assert!(!store.holds(&Guard::new(()), one), "a guard of something else");
        put(store, Some(one), "two");
        assert!(!store.holds(&guard, one));
    });
    let (one, other) = (MemoryStore::new(), MemoryStore::new());
    let guard = one.lock(LONG, None).expect("it is free");
    let revision = write(&other, None, "x");
    assert!(!other.holds(&guard, revision), "the guard of another store");
}

#[test]
fn a_probe_changes_nothing_and_needs_no_free_lock() {
    each(|store| {
        store.probe().expect("all is well");
        assert_eq!(content(store), None);
        let _guard = store.lock(LONG, None).expect("the probe has let go of it");
        store.probe().expect("a busy lock is a lock");
    });
}

#[test]
fn keys_are_equal_where_the_content_is_shared() {
    let memory = MemoryStore::new();
    assert_eq!(memory.key(), memory.clone().key());
    assert_ne!(memory.key(), MemoryStore::new().key());
    write(&memory.clone(), None, "x");
    assert_eq!(text(&memory).as_deref(), Some("x"));
    let place = support::place();
    assert_eq!(place.store.key(), support::store(&place.file).key());
    assert_ne!(place.store.key(), support::place().store.key());
}
