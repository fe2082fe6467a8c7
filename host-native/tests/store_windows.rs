//! The file store, as far as it is a matter of Windows: files that other programs have open.
#![cfg(windows)]

mod support;

use kraube::store::{NotLocked, Store};
use kraube_core::machine::{StoreErrorKind, WriteError};
use std::fs::{self, File, OpenOptions};
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;
use support::{LOCK, LONG, TEMP, beside, blob, filled, names, text, write};

const READ: u32 = 1;
const READ_AND_WRITE: u32 = 3;

/// As a scanner, an indexer or a program in Go opens it: it cannot be removed or replaced meanwhile.
fn hold_open(path: &Path, share: u32) -> File {
    OpenOptions::new().read(true).share_mode(share).open(path).expect("it is there")
}

#[test]
fn a_file_that_somebody_has_open_is_replaced_when_it_is_closed() {
    let (place, one) = filled("one");
    let foreign = hold_open(&place.file, READ_AND_WRITE);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| place.store.write(Some(one), &blob("two"), 0));
        while !beside(&place.file, TEMP).exists() {
            std::thread::yield_now();
        }
        drop(foreign);
        assert_eq!(writer.join().expect("no panic"), Ok(()));
    });
    assert_eq!(text(&place.store).as_deref(), Some("two"));
    assert_eq!(names(place.dir.path()), ["credentials.json".to_owned()].into());
}

#[test]
fn a_file_that_stays_open_keeps_its_content_and_the_write_says_why() {
    let (place, one) = filled("one");
    let foreign = hold_open(&place.file, READ);
    match place.store.write(Some(one), &blob("two"), 4096) {
        Err(WriteError::Failed(error)) => assert_eq!(error.kind, StoreErrorKind::Denied, "{}", error.detail),
        other => panic!("{other:?}"),
    }
    assert_eq!(text(&place.store).as_deref(), Some("one"), "reading goes on");
    assert_eq!(names(place.dir.path()), ["credentials.json".to_owned()].into(), "the attempt leaves nothing behind");
    drop(foreign);
    write(&place.store, Some(one), "two");
}

#[test]
fn a_held_lock_file_cannot_be_taken_away() {
    let (place, one) = filled("one");
    let lock = beside(&place.file, LOCK);
    let guard = place.store.lock(LONG, None).expect("it is free");
    fs::remove_file(&lock).expect_err("it is open, and not shared for removal");
    fs::rename(&lock, beside(&place.file, "moved")).expect_err("nor for another name");
    assert!(place.store.holds(&guard, one));
    drop(guard);
    fs::remove_file(&lock).expect("nobody has it");
}

#[test]
fn a_lock_file_that_somebody_has_open_alone_is_waited_for() {
    let (place, one) = filled("one");
    let lock = beside(&place.file, LOCK);
    fs::write(&lock, "").expect("room");
    let foreign = hold_open(&lock, 0);
    assert_eq!(place.store.lock(support::SHORT, None).err(), Some(NotLocked::TimedOut));
    drop(foreign);
    let guard = place.store.lock(LONG, None).expect("it is free");
    assert!(place.store.holds(&guard, one));
}

#[test]
fn fault_35_a_hard_link_is_read_and_not_written() {
    let (place, one) = filled("one");
    let other = beside(&place.file, "other name");
    fs::hard_link(&place.file, &other).expect("room");
    assert_eq!(text(&place.store).as_deref(), Some("one"));
    match place.store.lock(LONG, None) {
        Err(NotLocked::Unsupported(error)) => assert_eq!(error.kind, StoreErrorKind::Irreplaceable, "{}", error.detail),
        other => panic!("{other:?}"),
    }
    fs::remove_file(&other).expect("ours");
    write(&place.store, Some(one), "two");
}
