//! Where the file lies and what it is: links, modes, owners, mounts, and things that are no file.
#![cfg(target_os = "linux")]

mod support;

use kraube::core::credential::Forgotten;
use kraube::store::{FileStore, NotLocked, Store};
use kraube_core::machine::{Blob, StoreError, StoreErrorKind, WriteError};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{
    LOCK, LONG, as_plain_user, beside, blob, filled, in_namespace, is_root, mode, names, place, play, set_mode, sh,
    start_under, store, tell, text, write,
};

#[test]
fn fault_35_a_link_is_followed_and_stays() {
    let place = place();
    let dir = place.dir.path().canonicalize().expect("it exists");
    fs::create_dir(dir.join("real")).expect("room");
    fs::create_dir(dir.join("links")).expect("room");
    symlink("links/second", &place.file).expect("room");
    symlink("../real/target.json", dir.join("links/second")).expect("room");
    let target = dir.join("real/target.json");

    assert_eq!(text(&place.store), None, "a dangling link is nothing stored");
    let one = write(&place.store, None, "one");
    drop(place.store.lock(LONG, None).expect("it is free"));
    let two = write(&place.store, Some(one), "two");
    assert_eq!(fs::read_to_string(&target).expect("the target was written"), "two");
    assert_eq!(fs::read_link(&place.file).expect("still a link"), Path::new("links/second"));
    assert_eq!(fs::read_link(dir.join("links/second")).expect("still a link"), Path::new("../real/target.json"));
    assert_eq!(names(&dir.join("real")).len(), 2, "the target and its lock");
    assert_eq!(names(&dir.join("links")).len(), 1);
    assert_eq!(place.store.key(), target.to_str().expect("plain"));

    place.store.delete(two).expect("it is stored");
    assert!(!target.exists() && place.file.is_symlink(), "the target goes, the link stays");
    write(&place.store, None, "again");
    assert_eq!(fs::read_to_string(&target).expect("the target is back"), "again");
}

#[test]
fn the_key_outlives_a_link_that_cannot_be_followed_for_a_moment() {
    let place = place();
    let link = place.dir.path().join("link.json");
    symlink("credentials.json", &link).expect("room");
    let linked = store(&link);
    assert_eq!(linked.key(), place.store.key());
    // What could not be stored is kept under the key: it would be lost where a disk that fails changed the key.
    fs::remove_file(&link).expect("ours");
    symlink("link.json", &link).expect("room");
    assert_eq!(linked.key(), place.store.key());
    fs::remove_file(&link).expect("ours");
    symlink("other.json", &link).expect("room");
    assert_ne!(linked.key(), place.store.key(), "it leads elsewhere for good");
}

#[test]
fn fault_35_a_link_may_lead_to_a_directory_that_does_not_exist_yet() {
    let place = place();
    symlink("not/yet/there.json", &place.file).expect("room");
    assert_eq!(text(&place.store), None);
    assert_eq!(names(place.dir.path()).len(), 1, "reading creates nothing");
    let key = place.store.key();
    write(&place.store, None, "one");
    let dir = place.dir.path().join("not/yet");
    assert_eq!(fs::read_to_string(dir.join("there.json")).expect("it was written"), "one");
    assert_eq!((mode(&dir), mode(&place.dir.path().join("not"))), (0o700, 0o700));
    assert_eq!(place.store.key(), key, "the key is the same before and after");
}

#[test]
fn fault_35_a_link_to_a_directory_that_does_not_exist_is_none_to_a_file() {
    let place = place();
    symlink("there/", &place.file).expect("room");
    assert_eq!(text(&place.store), None);
    refused(&place.store, StoreErrorKind::Irreplaceable);
    assert_eq!(names(place.dir.path()).len(), 1, "it would be written, and not be read");
}

#[test]
fn fault_35_links_in_a_circle_end_in_an_error() {
    let place = place();
    symlink("other.json", &place.file).expect("room");
    symlink("credentials.json", beside(&place.file, "other.json")).expect("room");
    refused(&place.store, StoreErrorKind::Irreplaceable);
    assert_eq!(place.store.read().expect_err("a circle").kind, StoreErrorKind::Irreplaceable);
    assert_eq!(names(place.dir.path()).len(), 2);
}

#[test]
fn fault_35_sixteen_links_are_followed_and_no_more() {
    let place = place();
    let link = |number: u32| beside(&place.file, &format!("link {number}"));
    symlink(&place.file, link(1)).expect("room");
    (2..=17).for_each(|number| symlink(link(number - 1), link(number)).expect("room"));
    write(&store(&link(16)), None, "one");
    assert_eq!(text(&place.store).as_deref(), Some("one"));
    refused(&store(&link(17)), StoreErrorKind::Irreplaceable);
}

#[test]
fn fault_35_a_link_of_another_user_is_read_and_not_written() {
    let (place, one) = filled("one");
    let link = beside(&place.file, "link.json");
    symlink(&place.file, &link).expect("room");
    give_away(&link);
    let linked = store(&link);
    assert_eq!(text(&linked).as_deref(), Some("one"));
    refused(&linked, StoreErrorKind::NotOurs);
    assert_eq!(failure(linked.delete(one)).kind, StoreErrorKind::NotOurs);
    assert_eq!(names(place.dir.path()).len(), 2, "no lock file, nothing");
}

#[test]
fn fault_36_a_file_of_another_user_is_read_and_not_written() {
    let (place, one) = filled("one");
    give_away(&place.file);
    assert_eq!(text(&place.store).as_deref(), Some("one"));
    refused(&place.store, StoreErrorKind::NotOurs);
    assert_eq!(failure(place.store.delete(one)).kind, StoreErrorKind::NotOurs);
    assert_eq!(names(place.dir.path()).len(), 1, "refused before the lock file is created");
}

#[test]
fn fault_35_a_hard_link_is_read_and_not_written() {
    let (place, one) = filled("one");
    let other = beside(&place.file, "other name");
    fs::hard_link(&place.file, &other).expect("room");
    assert_eq!(text(&place.store).as_deref(), Some("one"));
    refused(&place.store, StoreErrorKind::Irreplaceable);
    assert_eq!(names(place.dir.path()).len(), 2, "refused before the lock file is created");
    let error = failure(place.store.delete(one));
    assert_eq!(error.kind, StoreErrorKind::Irreplaceable, "the other name would keep them");
    assert!(error.detail.contains("hard link"), "{}", error.detail);
    assert_eq!(text(&place.store).as_deref(), Some("one"));
    fs::remove_file(&other).expect("ours");
    let two = write(&place.store, Some(one), "two");
    place.store.delete(two).expect("it has one name");
}

#[test]
fn fault_35_a_logout_does_not_say_that_a_hard_link_is_gone() {
    let (place, _) = filled(r#"{"refreshToken": "one", "accessToken": "two", "expiresAt": 0}"#);
    let other = beside(&place.file, "other name");
    fs::hard_link(&place.file, &other).expect("room");
    let forgotten = kraube::logout(Some(&place.file), true).expect("a path");
    let Forgotten::StillStored { cause: Some(error), .. } = forgotten else { panic!("{forgotten:?}") };
    assert_eq!(error.kind, StoreErrorKind::Irreplaceable, "{}", error.detail);
    fs::remove_file(&other).expect("ours");
    let forgotten = kraube::logout(Some(&place.file), true).expect("a path");
    assert!(matches!(forgotten, Forgotten::Deleted { .. }), "{forgotten:?}");
}

#[test]
fn fault_35_what_is_no_file_is_refused_without_opening_it() {
    let kinds = ["mkfifo \"$1\"", "mkdir \"$1\"", "ln -s /dev/zero \"$1\""];
    for script in kinds {
        let place = place();
        sh(script, &place.file);
        let error = place.store.read().expect_err(script);
        assert_eq!(error.kind, StoreErrorKind::Irreplaceable, "{script}");
        assert_eq!(error.detail.contains("remove it"), !place.file.is_dir(), "{}", error.detail);
        match place.store.lock(LONG, None) {
            // A device belongs to root.
            Err(NotLocked::Unsupported(error)) => assert!(
                matches!(error.kind, StoreErrorKind::Irreplaceable | StoreErrorKind::NotOurs),
                "{script}: {}",
                error.detail
            ),
            other => panic!("{script}: {other:?}"),
        }
    }
}

#[test]
fn fault_37_a_file_that_is_too_large_is_not_read() {
    let place = place();
    let file = fs::File::create(&place.file).expect("room");
    file.set_len(Blob::MAX as u64 + 1).expect("it is sparse");
    assert_eq!(place.store.read().expect_err("too large").kind, StoreErrorKind::TooLarge);
    assert_eq!(failure(place.store.write(None, &blob("one"), 0)).kind, StoreErrorKind::TooLarge);
    file.set_len(100 * 1024 * 1024).expect("it is sparse");
    assert_eq!(place.store.read().expect_err("too large").kind, StoreErrorKind::TooLarge);
    file.set_len(Blob::MAX as u64).expect("it is sparse");
    assert!(place.store.read().expect("just fits").is_some());
}

#[test]
fn fault_36_a_wide_file_is_served_and_closed_by_the_next_write() {
    for wide in [0o644, 0o666, 0o777, 0o4755, 0o400] {
        let (place, one) = filled("one");
        set_mode(&place.file, wide);
        assert_eq!(text(&place.store).as_deref(), Some("one"));
        assert_eq!(mode(&place.file), wide, "reading changes nothing");
        place.store.write(Some(one), &blob("two"), 4096).expect("there is room");
        assert_eq!(mode(&place.file), 0o600, "after {wide:o}");
        set_mode(&place.file, wide);
        write(&place.store, Some(blob("two").revision()), "three");
        assert_eq!(mode(&place.file), 0o600, "after {wide:o}");
    }
}

#[test]
fn fault_36_no_umask_changes_what_is_created() {
    for umask in ["000", "022", "0777"] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("new/deep/credentials.json");
        start_under(&["sh", "-c", &format!("umask {umask}; exec \"$@\""), "sh"], "create", &file).finish();
    }
}

#[test]
fn fault_36_a_umask_of_0777_does_not_lock_a_plain_user_out() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    as_plain_user(dir.path(), "create under 0777", &dir.path().join("new/deep/credentials.json"));
}

fn create(file: &Path) {
    let store = store(file);
    let guard = store.lock(LONG, None).expect("it is free");
    store.write(None, &blob("one"), 4096).expect("there is room");
    let dir = file.parent().expect("it has one");
    let files: Vec<(String, u32)> = names(dir).into_iter().map(|name| (name.clone(), mode(&dir.join(name)))).collect();
    assert_eq!(files.len(), 3, "credentials, lock and room: {files:?}");
    assert!(files.iter().all(|(_, mode)| *mode == 0o600), "{files:?}");
    assert_eq!(mode(dir), 0o700);
    assert_eq!(mode(dir.parent().expect("it has one")), 0o700);
    drop(guard);
    store.lock(LONG, None).expect("the lock file can be opened again");
}

#[test]
fn a_lock_file_that_a_killed_process_left_closed_is_opened() {
    let (place, _) = filled("one");
    as_plain_user(place.dir.path(), "closed lock", &place.file);
}

fn closed_lock(file: &Path) {
    let lock = beside(file, LOCK);
    fs::write(&lock, "").expect("room");
    set_mode(&lock, 0);
    assert!(fs::File::open(&lock).is_err(), "permission bits do not stop this user, so this tests nothing");
    store(file).lock(LONG, None).expect("it is ours to open");
    assert_eq!(mode(&lock), 0o600);
}

#[test]
fn fault_36_an_open_directory_is_left_as_it_is() {
    let (place, one) = filled("one");
    set_mode(place.dir.path(), 0o777);
    drop(place.store.lock(LONG, None).expect("it is free"));
    write(&place.store, Some(one), "two");
    assert_eq!(mode(place.dir.path()), 0o777);
    assert_eq!(mode(&place.file), 0o600);
}

#[test]
fn nothing_is_created_to_read() {
    let place = place();
    let deep = store(&place.dir.path().join("not/there/credentials.json"));
    assert_eq!(text(&deep), None);
    assert_eq!(deep.delete(blob("one").revision()), Err(WriteError::Conflict));
    assert_eq!(names(place.dir.path()).len(), 0);
}

#[test]
fn fault_33_a_directory_without_permission() {
    let (place, _) = filled("one");
    as_plain_user(place.dir.path(), "without permission", &place.file);
}

fn without_permission(file: &Path) {
    let (store, dir) = (store(file), file.parent().expect("it has one"));
    let one = blob("one").revision();
    set_mode(dir, 0o500);
    assert!(fs::write(dir.join("x"), "").is_err(), "permission bits do not stop this user, so this tests nothing");
    assert_eq!(text(&store).as_deref(), Some("one"), "a live token is served");
    refused(&store, StoreErrorKind::Denied);
    assert_eq!(failure(store.delete(one)).kind, StoreErrorKind::Denied);
    // With the lock file there already, the lock is had, and the first write says it: nothing is spent by then.
    set_mode(dir, 0o700);
    drop(store.lock(LONG, None).expect("it is free"));
    set_mode(dir, 0o500);
    let _guard = store.lock(LONG, None).expect("the lock file is there");
    assert_eq!(failure(store.write(Some(one), &blob("two"), 0)).kind, StoreErrorKind::Denied);
    assert_eq!(store.probe().expect_err("a login would be lost").kind, StoreErrorKind::Denied);
    assert_eq!(text(&store).as_deref(), Some("one"));
    set_mode(dir, 0);
    assert_eq!(store.read().expect_err("not even that").kind, StoreErrorKind::Denied);
    set_mode(dir, 0o700);
    set_mode(file, 0);
    assert_eq!(store.read().expect_err("not even that").kind, StoreErrorKind::Denied);
}

#[test]
fn fault_33_a_read_only_mount() {
    let (place, _) = filled("one");
    let setup = "d=$(dirname \"$1\"); mount --bind \"$d\" \"$d\"; mount -o remount,bind,ro \"$d\"";
    in_namespace(setup, "read only", &place.file);
    assert_eq!(names(place.dir.path()).len(), 1);
}

fn read_only(file: &Path) {
    assert_eq!(text(&store(file)).as_deref(), Some("one"), "a live token is served");
    refused(&store(file), StoreErrorKind::ReadOnly);
    refused(&store(&beside(file, "new/credentials.json")), StoreErrorKind::ReadOnly);
    assert_eq!(failure(store(file).delete(blob("one").revision())).kind, StoreErrorKind::ReadOnly);
    assert_eq!(text(&store(file)).as_deref(), Some("one"));
}

#[test]
fn fault_35_a_file_that_is_mounted_by_itself() {
    let (place, _) = filled("outside");
    // From the same file system, so that no device number tells.
    let setup =
        "d=$(dirname \"$1\"); printf one > \"$d/inner\"; chmod 600 \"$d/inner\"; mount --bind \"$d/inner\" \"$1\"";
    in_namespace(setup, "mounted", &place.file);
    assert_eq!(text(&place.store).as_deref(), Some("outside"));
    assert_eq!(names(place.dir.path()).len(), 2, "no lock file: it would exclude nobody");
}

fn mounted(file: &Path) {
    assert_eq!(text(&store(file)).as_deref(), Some("one"), "a live token is served");
    let error = refused(&store(file), StoreErrorKind::Irreplaceable);
    assert!(error.detail.contains("mount its directory"), "{}", error.detail);
    assert_eq!(failure(store(file).delete(blob("one").revision())).kind, StoreErrorKind::Irreplaceable);
    assert_eq!(text(&store(file)).as_deref(), Some("one"));
}

#[test]
fn a_directory_that_is_a_mount_point_is_no_obstacle() {
    let place = place();
    in_namespace("mount -t tmpfs tmpfs \"$(dirname \"$1\")\"", "on a mount", &place.file);
}

fn on_a_mount(file: &Path) {
    let one = write(&store(file), None, "one");
    drop(store(file).lock(LONG, None).expect("it is free"));
    write(&store(file), Some(one), "two");
}

#[test]
fn a_volume_that_is_swapped_under_the_store_is_read_anew_after_the_lock() {
    // As Kubernetes does it: the directory of the file is a link, which is replaced.
    let place = place();
    let dir = place.dir.path();
    for version in ["one", "two"] {
        fs::create_dir(dir.join(version)).expect("room");
        fs::write(dir.join(version).join("credentials.json"), version).expect("room");
    }
    symlink("one", dir.join("data")).expect("room");
    let swapped = store(&dir.join("data/credentials.json"));
    assert_eq!(text(&swapped).as_deref(), Some("one"));
    let guard = swapped.lock(LONG, None).expect("it is free");
    symlink("two", dir.join("new")).expect("room");
    fs::rename(dir.join("new"), dir.join("data")).expect("the same directory");
    assert_eq!(text(&swapped).as_deref(), Some("one"), "what was locked is what is read");
    for version in ["one", "two"] {
        assert!(!swapped.holds(&guard, blob(version).revision()), "that lock is the old volume's");
    }
    let anew = store(&dir.join("data/credentials.json"));
    assert_eq!(text(&anew).as_deref(), Some("two"));
    drop(anew.lock(Duration::ZERO, None).expect("the new volume has a lock of its own"));
    drop(guard);
    assert_eq!(text(&swapped).as_deref(), Some("two"));
}

#[test]
fn odd_names_work_and_no_names_do_not() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for name in [&b"with space"[..], b"-rf", b"\xff\xfe.json", "schl\u{fc}ssel".as_bytes(), b".hidden"] {
        let odd = store(&dir.path().join(OsStr::from_bytes(name)));
        let one = write(&odd, None, "one");
        drop(odd.lock(LONG, Some(one)).expect("it is free"));
        assert_eq!(text(&odd).as_deref(), Some("one"));
    }
    for path in ["", "/", "..", "dir/..", "dir/", "dir/."] {
        let error = FileStore::open(path).expect_err(path);
        assert_eq!(error.kind, StoreErrorKind::Irreplaceable);
    }
}

#[test]
fn a_relative_path_stays_where_it_was_opened() {
    let store = FileStore::open("credentials.json").expect("a path to a file");
    let here = std::env::current_dir().expect("it exists");
    assert_eq!(store.path(), here.join("credentials.json"));
}

#[test]
fn a_missing_directory_cannot_be_made_below_a_file() {
    let place = place();
    fs::write(place.dir.path().join("file"), "").expect("room");
    let below: PathBuf = place.dir.path().join("file/credentials.json");
    refused(&store(&below), StoreErrorKind::Io);
    assert!(store(&below).read().is_err(), "that is not the same as nothing stored");
}

/// Lock, write and probe say this kind, and nothing is created or changed.
fn refused(store: &FileStore, kind: StoreErrorKind) -> StoreError {
    let locked = match store.lock(LONG, None) {
        Err(NotLocked::Unsupported(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(locked.kind, kind, "{}", locked.detail);
    let probed = store.probe().expect_err("a login would be lost");
    assert_eq!(probed.kind, kind, "{}", probed.detail);
    let stored = store.read().ok().flatten().map(|blob| blob.revision());
    let written = failure(store.write(stored, &blob("new"), 0));
    assert_eq!(written.kind, kind, "{}", written.detail);
    locked
}

fn failure(done: Result<(), WriteError>) -> StoreError {
    match done {
        Err(WriteError::Failed(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// Only root can.
fn give_away(path: &Path) {
    assert!(is_root(), "this test must run as root: it makes a file that belongs to somebody else");
    sh("chown -h 65534:65534 \"$1\"", path);
}

#[test]
fn helper() {
    play(|role, file| {
        match role {
            "create" => create(file),
            "create under 0777" => {
                rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o777));
                create(file);
            }
            "closed lock" => closed_lock(file),
            "without permission" => without_permission(file),
            "read only" => read_only(file),
            "mounted" => mounted(file),
            "on a mount" => on_a_mount(file),
            other => panic!("no role {other}"),
        }
        tell("done");
    });
}
