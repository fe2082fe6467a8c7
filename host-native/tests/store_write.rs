//! What the file store leaves on disk, as far as it is a matter of Linux: modes, links, and where there is no room.
#![cfg(target_os = "linux")]

mod support;

use kraube::store::Store;
use kraube_core::machine::{Blob, StoreError, StoreErrorKind, WriteError};
use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::iter::repeat;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{
    LONG, NEXT, PROBE, TEMP, beside, blob, filled, in_namespace, mode, names, place, play, set_mode, store, tell, text,
    write,
};

const RESERVE: usize = 16 * 1024;

#[test]
fn a_write_makes_a_new_private_file_and_leaves_nothing_else() {
    let (place, one) = filled("one");
    let before = fs::metadata(&place.file).expect("it exists").ino();
    let keep = fs::File::open(&place.file).expect("a reader has it open, so that its inode is not used again");
    write(&place.store, Some(one), "two");
    drop(keep);
    assert_ne!(fs::metadata(&place.file).expect("it exists").ino(), before, "written in place");
    assert_eq!(mode(&place.file), 0o600);
    assert_eq!(names(place.dir.path()), only(&["credentials.json"]));
}

#[test]
fn the_room_that_was_set_aside_is_what_the_next_write_uses() {
    let (place, one) = filled("one");
    let next = beside(&place.file, NEXT);
    place.store.write(Some(one), &blob("two"), RESERVE).expect("there is room");
    assert_eq!(text(&place.store).as_deref(), Some("two"));
    let room = fs::metadata(&next).expect("it is kept");
    assert!(room.blocks() * 512 >= RESERVE as u64, "only {} blocks", room.blocks());
    assert_eq!(mode(&next), 0o600);
    assert_eq!(names(place.dir.path()), only(&["credentials.json", NEXT]));

    write(&place.store, Some(blob("two").revision()), "three");
    assert_eq!(fs::metadata(&place.file).expect("it exists").ino(), room.ino(), "it took other blocks");
    assert_eq!(text(&place.store).as_deref(), Some("three"), "cut to its length");
    assert_eq!(names(place.dir.path()), only(&["credentials.json"]));
}

#[test]
fn room_that_we_did_not_make_is_not_used() {
    let (place, mut now) = filled("one");
    let next = beside(&place.file, NEXT);
    let victim = beside(&place.file, "victim");
    let plant: [&dyn Fn(); 4] = [
        &|| symlink(&victim, &next).expect("room"),
        &|| fs::hard_link(&victim, &next).expect("room"),
        &|| fs::write(&next, "wide").map(|()| set_mode(&next, 0o644)).expect("room"),
        &|| support::sh("mkfifo -m 600 \"$1\"", &next),
    ];
    for (index, plant) in plant.iter().enumerate() {
        fs::write(&victim, "untouched").expect("room");
        set_mode(&victim, 0o600);
        plant();
        now = write(&place.store, Some(now), &format!("content {index}"));
        assert_eq!(fs::read(&victim).expect("it exists"), b"untouched", "{index}");
        fs::remove_file(&victim).expect("ours");
        assert_eq!(names(place.dir.path()), only(&["credentials.json"]), "{index}");
        assert_eq!(mode(&place.file), 0o600, "{index}");
    }
}

#[test]
fn a_planted_temporary_file_is_never_written_through() {
    let (place, one) = filled("one");
    let victim = beside(&place.file, "victim");
    fs::write(&victim, "untouched").expect("room");
    for name in [TEMP, NEXT, PROBE] {
        symlink(&victim, beside(&place.file, name)).expect("room");
    }
    place.store.probe().expect("it removes the link");
    place.store.write(Some(one), &blob("two"), RESERVE).expect("it removes the links");
    assert_eq!(fs::read(&victim).expect("it exists"), b"untouched");
}

#[test]
fn a_conflict_keeps_the_room_for_the_write_that_follows() {
    let (place, one) = filled("one");
    place.store.write(Some(one), &blob("two"), RESERVE).expect("there is room");
    let room = fs::metadata(beside(&place.file, NEXT)).expect("it is kept").ino();
    fs::write(&place.file, "foreign").expect("another program writes in place");
    assert_eq!(place.store.write(Some(blob("two").revision()), &blob("three"), 0), Err(WriteError::Conflict));
    write(&place.store, Some(blob("foreign").revision()), "three");
    assert_eq!(fs::metadata(&place.file).expect("it exists").ino(), room);
}

#[test]
fn fault_33_a_full_disk_leaves_the_old_content() {
    on_a_small_disk("full");
}

fn full(file: &Path) {
    let store = store(file);
    let one = write(&store, None, "one");
    drop(store.lock(LONG, None).expect("it is free"));
    fill_the_disk(file);
    assert_eq!(failure(store.write(Some(one), &long(), 0)).kind, StoreErrorKind::Full);
    assert_eq!(failure(store.write(Some(one), &blob("short"), RESERVE)).kind, StoreErrorKind::Full);
    assert_eq!(store.probe().expect_err("a login would be lost").kind, StoreErrorKind::Full);
    assert_eq!(text(&store).as_deref(), Some("one"));
    let strays: Vec<String> =
        names(file.parent().expect("a directory")).into_iter().filter(|name| is_stray(name)).collect();
    assert_eq!(strays, [""; 0], "the failed attempts give their room back");
    store.delete(one).expect("it needs no room");
}

#[test]
fn fault_33_room_that_cannot_be_had_fails_the_write_before_the_rename() {
    on_a_small_disk("reserve too much");
}

fn reserve_too_much(file: &Path) {
    let store = store(file);
    let one = write(&store, None, "one");
    let error = failure(store.write(Some(one), &blob("mark"), 1024 * 1024));
    assert_eq!(error.kind, StoreErrorKind::Full, "{}", error.detail);
    assert_eq!(text(&store).as_deref(), Some("one"), "nothing may be spent after this");
    assert_eq!(names(file.parent().expect("a directory")), only(&["credentials.json"]));
}

#[test]
fn fault_33_a_disk_that_fills_up_after_the_room_was_set_aside_takes_the_next_write() {
    on_a_small_disk("fill after reserving");
}

fn fill_after_reserving(file: &Path) {
    let store = store(file);
    let one = write(&store, None, "one");
    let _guard = store.lock(LONG, None).expect("it is free");
    store.write(Some(one), &blob("mark"), RESERVE).expect("there is room");
    fill_the_disk(file);
    store.write(Some(blob("mark").revision()), &long(), 0).expect("the room was set aside");
    assert_eq!(text(&store).map(|text| text.len()), Some(RESERVE));
    // Only the room made it possible.
    assert_eq!(failure(store.write(Some(long().revision()), &long(), 0)).kind, StoreErrorKind::Full);
}

#[test]
fn a_foreign_write_during_ours_is_a_conflict() {
    let (place, mut now) = filled("one");
    // The moment is one of many milliseconds, but it cannot be forced.
    let noticed = (0..100).any(|_| {
        let done = meanwhile(
            &place.file,
            TEMP,
            || fs::write(&place.file, "foreign").expect("room"),
            |file| store(file).write(Some(now), &largest(), 0),
        );
        assert_eq!(text(&place.store).as_deref(), Some("foreign"), "it came during our write, or after");
        now = blob("foreign").revision();
        done == Err(WriteError::Conflict)
    });
    assert!(noticed);
    assert_eq!(names(place.dir.path()), only(&["credentials.json"]));
}

#[test]
fn fault_40_two_holders_never_mix_their_files() {
    let (place, one) = filled("one");
    let temp = beside(&place.file, TEMP);
    let noticed = (0..100).any(|_| {
        let other_holder = || {
            // Ours may have been renamed by now.
            let _ = fs::remove_file(&temp);
            fs::write(&temp, "half of ano").expect("room");
        };
        let done = meanwhile(&place.file, TEMP, other_holder, |file| store(file).write(Some(one), &largest(), 0));
        match done {
            Err(_) => assert_eq!(text(&place.store).as_deref(), Some("one")),
            Ok(()) => {
                assert_eq!(text(&place.store).map(|text| text.len()), Some(Blob::MAX));
                write(&place.store, Some(largest().revision()), "one");
            }
        }
        done.is_err()
    });
    assert!(noticed);
}

/// Does `write`, and `act` as soon as there is a file of this name beside `file`.
fn meanwhile<T>(file: &Path, name: &str, act: impl Fn() + Sync, write: impl FnOnce(&Path) -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !beside(file, name).exists() && !over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
            act();
        });
        let done = write(file);
        over.store(true, Ordering::Relaxed);
        done
    })
}

fn largest() -> Blob {
    Blob::new(vec![b'x'; Blob::MAX])
}

fn on_a_small_disk(role: &str) {
    let place = place();
    in_namespace("mount -t tmpfs -o size=128k,nr_inodes=64,mode=700 tmpfs \"$(dirname \"$1\")\"", role, &place.file);
    assert_eq!(names(place.dir.path()), only(&[]), "it was not on the small disk");
}

/// Takes every block, and then every inode.
fn fill_the_disk(file: &Path) {
    let mut filler = fs::File::create(beside(file, "filler")).expect("there is room yet");
    let blocks = repeat(()).map(|()| filler.write_all(&[1; 512])).find_map(Result::err);
    let inodes = (0..).map(|index| fs::File::create(beside(file, &format!("empty {index}")))).find_map(Result::err);
    for error in [blocks, inodes] {
        assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::StorageFull));
    }
}

fn long() -> Blob {
    Blob::new(vec![b'x'; RESERVE])
}

fn failure(done: Result<(), WriteError>) -> StoreError {
    match done {
        Err(WriteError::Failed(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn is_stray(name: &str) -> bool {
    [TEMP, NEXT, PROBE].contains(&name)
}

fn only(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn helper() {
    play(|role, file| {
        match role {
            "full" => full(file),
            "reserve too much" => reserve_too_much(file),
            "fill after reserving" => fill_after_reserving(file),
            other => panic!("no role {other}"),
        }
        tell("done");
    });
}
