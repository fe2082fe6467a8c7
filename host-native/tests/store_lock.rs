//! The lock of the file store, as far as it is a matter of Linux: other programs, signals, links, deleted files.
#![cfg(target_os = "linux")]

mod support;

use kraube::store::{NotLocked, Store};
use kraube_core::machine::StoreErrorKind;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};
use support::{
    LOCK, LONG, SHORT, beside, blob, filled, mode, names, place, play, set_mode, sh, start, store, tell, text,
    wait_for_starter, write,
};

#[test]
fn fault_40_a_stopped_holder_means_an_end_of_the_wait() {
    let (place, one) = filled("one");
    let mut holder = start("hold", &place.file);
    holder.expect("held");
    let pid = Pid::from_raw(i32::try_from(holder.pid()).expect("a process id")).expect("a process id");
    kill_process(pid, Signal::STOP).expect("it is our child");
    assert_eq!(place.store.lock(SHORT, Some(one)).err(), Some(NotLocked::TimedOut));
    assert_eq!(place.store.lock(Duration::ZERO, Some(one)).err(), Some(NotLocked::TimedOut));
    kill_process(pid, Signal::CONT).expect("it is our child");
    holder.go_on();
    place.store.lock(LONG, Some(one)).expect("it went on and let go");
}

#[test]
fn flock_of_another_program_and_ours_exclude_each_other() {
    let place = place();
    drop(place.store.lock(LONG, None).expect("it is free"));
    let lock = beside(&place.file, LOCK);

    // `cat` ends with its standard input, and `flock` with `cat`.
    let mut foreign = Command::new("flock");
    foreign.arg(&lock).args(["sh", "-c", "echo held; exec cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut foreign = foreign.spawn().expect("flock is part of util-linux");
    let mut heard = [0; 5];
    std::io::Read::read_exact(foreign.stdout.as_mut().expect("a pipe"), &mut heard).expect("it says held");
    assert_eq!(place.store.lock(SHORT, None).err(), Some(NotLocked::TimedOut));
    drop(foreign.stdin.take());
    assert!(foreign.wait().expect("our child").success());

    let guard = place.store.lock(LONG, None).expect("it is free again");
    let busy = || Command::new("flock").arg("--nonblock").arg(&lock).arg("true").status().expect("it runs").code();
    assert_eq!(busy(), Some(1));
    drop(guard);
    sh("flock --timeout 60 \"$1\" true", &lock);
}

#[test]
fn fault_40_a_deleted_lock_file_is_noticed() {
    let (place, one) = filled("one");
    let first = place.store.lock(LONG, None).expect("it is free");
    assert!(place.store.holds(&first, one));
    fs::remove_file(beside(&place.file, LOCK)).expect("a cleaner may");
    assert!(!place.store.holds(&first, one), "nobody would lock this file any more");
    let second = place.store.lock(LONG, None).expect("there is a new file");
    assert!(place.store.holds(&second, one));
    assert!(!place.store.holds(&first, one), "the new file is not the one that we hold");
}

#[test]
fn fault_40_a_waiter_moves_on_to_the_new_lock_file() {
    let (place, one) = filled("one");
    let lock = beside(&place.file, LOCK);
    let mut holder = start("hold", &place.file);
    holder.expect("held");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| place.store.lock(LONG, None));
        wait_until_opened(&lock);
        fs::remove_file(&lock).expect("a cleaner may");
        fs::write(&lock, "").expect("somebody creates it anew");
        holder.go_on();
        let guard = waiter.join().expect("no panic").expect("the lock is free");
        assert!(place.store.holds(&guard, one), "it locked the file that nobody sees");
        assert_eq!(store(&place.file).lock(SHORT, None).err(), Some(NotLocked::TimedOut));
    });
}

#[test]
fn a_waiter_leaves_when_a_foreign_program_replaces_the_content() {
    let (place, _) = filled("one");
    let mut holder = start("hold", &place.file);
    holder.expect("held");
    for in_place in [true, false] {
        std::thread::scope(|scope| {
            let path = place.file.clone();
            let seen = place.store.read().expect("readable").expect("stored").revision();
            let waiter = scope.spawn(move || store(&path).lock(LONG, Some(seen)).map(drop));
            wait_until_opened(&beside(&place.file, LOCK));
            // Without the lock, as the other program logs in.
            if in_place {
                fs::write(&place.file, "two").expect("room");
            } else {
                fs::write(beside(&place.file, "new"), "three").expect("room");
                fs::rename(beside(&place.file, "new"), &place.file).expect("the same directory");
            }
            assert_eq!(waiter.join().expect("no panic"), Err(NotLocked::Changed));
        });
    }
}

#[test]
fn the_lock_file_is_private_touched_and_stays() {
    let place = place();
    let lock = beside(&place.file, LOCK);
    fs::write(&lock, "").expect("room");
    set_mode(&lock, 0o644);
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    fs::File::options().write(true).open(&lock).expect("ours").set_modified(old).expect("ours");
    let inode = fs::metadata(&lock).expect("it exists").ino();
    drop(place.store.lock(LONG, None).expect("it is free"));
    let meta = fs::metadata(&lock).expect("it is never removed");
    assert_eq!((mode(&lock), meta.ino()), (0o600, inode));
    assert!(meta.modified().expect("a time") > old + LONG, "a cleaner that goes by age would remove it");
    let one = write(&place.store, None, "one");
    place.store.delete(one).expect("it is stored");
    assert_eq!(names(place.dir.path()), [LOCK.to_owned()].into(), "logging out does not remove it either");
}

#[test]
fn what_is_no_lock_file_is_refused_and_cannot_block() {
    let kinds = [
        ("ln -s elsewhere \"$1\"", StoreErrorKind::Irreplaceable),
        ("mkdir \"$1\"", StoreErrorKind::Irreplaceable),
        ("mkfifo \"$1\"", StoreErrorKind::Irreplaceable),
    ];
    for (script, kind) in kinds {
        let place = place();
        sh(script, &beside(&place.file, LOCK));
        match place.store.lock(LONG, None) {
            Err(NotLocked::Unsupported(error)) => assert_eq!(error.kind, kind, "{script}: {}", error.detail),
            other => panic!("{script}: {other:?}"),
        }
        assert_eq!(place.store.probe().expect_err("a login would fail").kind, kind);
    }
}

#[test]
fn fault_35_a_link_and_its_target_have_one_lock_and_one_key() {
    let (place, one) = filled("one");
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let link = elsewhere.path().join("link.json");
    symlink(&place.file, &link).expect("room");
    let linked = store(&link);
    assert_eq!(linked.key(), place.store.key());
    let guard = linked.lock(LONG, None).expect("it is free");
    assert_eq!(place.store.lock(SHORT, None).err(), Some(NotLocked::TimedOut));
    assert!(place.store.holds(&guard, one));
    // Once the link leads elsewhere, the lock is one that nobody else would take.
    fs::remove_file(&link).expect("ours");
    fs::write(elsewhere.path().join("other.json"), "one").expect("room");
    symlink("other.json", &link).expect("room");
    assert!(!linked.holds(&guard, one));
}

#[test]
fn fault_35_a_link_that_is_switched_under_the_lock_counts_when_the_lock_is_released() {
    let (place, one) = filled("one");
    let other = beside(&place.file, "other.json");
    fs::write(&other, "other").expect("room");
    let link = beside(&place.file, "link.json");
    symlink(&place.file, &link).expect("room");
    let linked = store(&link);
    let key = linked.key();
    let guard = linked.lock(LONG, None).expect("it is free");
    linked.write(Some(one), &blob("mark"), 4096).expect("there is room");
    switch(&link, &other);
    assert_eq!((text(&linked).as_deref(), linked.key()), (Some("mark"), key), "what was locked is what is read");
    let commit = write(&linked, Some(blob("mark").revision()), "commit");
    assert_eq!(fs::read_to_string(&place.file).expect("it is there"), "commit");
    // Whoever comes now goes where the link leads, and is not kept by this lock.
    let next = store(&link);
    assert_eq!(text(&next).as_deref(), Some("other"));
    drop(next.lock(Duration::ZERO, None).expect("the other file has a lock of its own"));
    assert_eq!(place.store.lock(SHORT, None).err(), Some(NotLocked::TimedOut));
    assert_eq!(linked.lock(SHORT, Some(commit)).err(), Some(NotLocked::TimedOut), "one guard at a time");
    linked.delete(commit).expect("it is stored");
    assert_eq!((place.file.exists(), fs::read_to_string(&other).expect("not ours").as_str()), (false, "other"));
    drop(guard);
    assert_eq!(text(&linked).as_deref(), Some("other"));
    assert_eq!(linked.key(), next.key());
    let guard = linked.lock(LONG, None).expect("it is free");
    assert!(linked.holds(&guard, blob("other").revision()));
}

#[test]
fn fault_35_a_waiter_whose_link_is_switched_locks_what_it_leads_to_then() {
    let (place, one) = filled("one");
    let link = beside(&place.file, "link.json");
    symlink(&place.file, &link).expect("room");
    let other = beside(&place.file, "other.json");
    fs::write(&other, "other").expect("room");
    let mut holder = start("hold", &place.file);
    holder.expect("held");
    for seen in [Some(one), None] {
        std::thread::scope(|scope| {
            let linked = store(&link);
            let waiter = scope.spawn(move || (linked.lock(LONG, seen), linked));
            wait_until_opened(&beside(&place.file, LOCK));
            switch(&link, &other);
            if seen.is_some() {
                assert_eq!(waiter.join().expect("no panic").0.err(), Some(NotLocked::Changed));
                return switch(&link, &place.file);
            }
            holder.go_on();
            let (guard, linked) = waiter.join().expect("no panic");
            assert!(linked.holds(&guard.expect("it is free"), blob("other").revision()));
        });
    }
}

#[test]
fn fault_35_a_file_that_is_moved_under_the_lock_is_found_behind_its_link() {
    let (place, one) = filled("one");
    let moved = beside(&place.file, "moved.json");
    let key = place.store.key();
    let guard = place.store.lock(LONG, None).expect("it is free");
    fs::rename(&place.file, &moved).expect("the same directory");
    symlink(&moved, &place.file).expect("room");
    assert_eq!(place.store.key(), key, "what is kept with the lock is still found");
    let two = write(&place.store, Some(one), "two");
    assert!(place.file.is_symlink());
    drop(guard);
    assert_ne!(place.store.key(), key);

    // The same with a link that was there before, and leads to the new name.
    let link = beside(&place.file, "link.json");
    symlink(&moved, &link).expect("room");
    let linked = store(&link);
    let _guard = linked.lock(LONG, None).expect("it is free");
    let again = beside(&place.file, "again.json");
    fs::rename(&moved, &again).expect("the same directory");
    switch(&link, &again);
    write(&linked, Some(two), "three");
    assert_eq!(fs::read_to_string(&again).expect("it is there"), "three");
    assert!(!moved.exists());
}

/// As `ln -sfn` does it.
fn switch(link: &Path, to: &Path) {
    let new = beside(link, "new link");
    symlink(to, &new).expect("room");
    fs::rename(new, link).expect("the same directory");
}

fn wait_until_opened(path: &Path) {
    let opened = || {
        let entries = fs::read_dir("/proc/self/fd").expect("Linux has it");
        entries.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == path))
    };
    while !opened() {
        std::thread::yield_now();
    }
}

#[test]
fn helper() {
    play(|role, path| {
        let store = store(path);
        match role {
            "hold" => {
                let _guard = store.lock(LONG, None).expect("it is free");
                tell("held");
                wait_for_starter();
            }
            other => panic!("no role {other}"),
        }
        tell("done");
    });
}
