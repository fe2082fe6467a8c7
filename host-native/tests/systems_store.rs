//! The file store, its lock and its files, between real processes: what holds on every system.

mod support;

use kraube::store::{NotLocked, Store};
use kraube_core::machine::WriteError;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::{
    Helper, LOCK, LONG, NEXT, PROBE, SHORT, TEMP, beside, blob, filled, names, place, play, quick_place, start, store,
    tell, text, wait_for_starter, write,
};

const PROCESSES: usize = 8;
const INCREMENTS: usize = if cfg!(windows) { 20 } else { 100 };
const RESERVE: usize = 16 * 1024;
/// Under Wine processes start slowly, and take longer for a write.
const KILLS: u32 = if cfg!(windows) { 60 } else { 300 };
const LATEST_KILL: u64 = if cfg!(windows) { 20_000 } else { 1500 };
/// Wine cannot replace a file that anybody has open at that very moment, so readers must close it now and then.
const PAUSE: Duration = Duration::from_millis(if cfg!(windows) { 20 } else { 0 });
const WRITES: usize = if cfg!(windows) { 50 } else { 1000 };

#[test]
fn processes_and_threads_exclude_each_other() {
    let place = quick_place();
    let counter = beside(&place.file, "counter");
    fs::write(&counter, "0").expect("room");
    let helpers: Vec<Helper> = (0..PROCESSES).map(|_| start("count", &place.file)).collect();
    helpers.into_iter().for_each(Helper::finish);
    let total = (PROCESSES * INCREMENTS).to_string();
    assert_eq!(fs::read_to_string(&counter).expect("it is there"), total, "two processes were in at once");
    assert_eq!(text(&place.store), Some(total), "a write was lost");
}

fn count(path: &Path) {
    let counter = beside(path, "counter");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // Each thread has a store of its own, as two libraries in one process would.
                let store = store(path);
                for _ in 0..INCREMENTS / 2 {
                    let _guard = store.lock(LONG, None).expect("everybody gets a turn");
                    let value: usize = fs::read_to_string(&counter).expect("it is there").parse().expect("a number");
                    let stored = store.read().expect("it can be read").map(|blob| blob.revision());
                    store.write(stored, &blob(&(value + 1).to_string()), 0).expect("nobody else writes");
                    fs::write(&counter, (value + 1).to_string()).expect("room");
                }
            });
        }
    });
}

#[test]
fn fault_31_a_killed_holder_frees_the_lock() {
    let place = place();
    let mut holder = start("hold", &place.file);
    holder.expect("held");
    assert_eq!(place.store.lock(SHORT, None).err(), Some(NotLocked::TimedOut));
    holder.kill();
    place.store.lock(LONG, None).expect("the kernel released it");
}

#[test]
fn fault_40_a_child_does_not_keep_the_lock() {
    let place = place();
    let guard = place.store.lock(LONG, None).expect("it is free");
    let mut child = start("live", &place.file);
    child.expect("alive");
    drop(guard);
    place.store.lock(LONG, None).expect("the child has no part in it");
    child.finish();
}

#[test]
fn the_same_content_in_a_new_file_is_no_change() {
    let (place, one) = filled("same");
    let mut holder = start("hold", &place.file);
    holder.expect("held");
    write(&place.store, Some(one), "same");
    assert_eq!(place.store.lock(SHORT, Some(one)).err(), Some(NotLocked::TimedOut));
}

#[test]
fn the_next_holder_sweeps_what_a_killed_one_left() {
    let (place, _) = filled("one");
    for stray in [TEMP, NEXT, PROBE] {
        fs::write(beside(&place.file, stray), "half a token").expect("room");
    }
    drop(place.store.lock(LONG, None).expect("it is free"));
    assert_eq!(names(place.dir.path()), ["credentials.json".to_owned(), LOCK.to_owned()].into());
}

#[test]
fn a_write_without_the_lock_still_compares() {
    let (place, one) = filled("one");
    let mut writer = start("replace", &place.file);
    writer.expect("replaced");
    assert_eq!(place.store.write(Some(one), &blob("mine"), 0), Err(WriteError::Conflict));
    writer.finish();
}

#[test]
fn setting_room_aside_again_replaces_what_was_set_aside() {
    let (place, one) = filled("one");
    place.store.write(Some(one), &blob("two"), RESERVE).expect("there is room");
    place.store.write(Some(blob("two").revision()), &blob("three"), 2 * RESERVE).expect("there is room");
    assert_eq!(text(&place.store).as_deref(), Some("three"));
    assert_eq!(fs::metadata(beside(&place.file, NEXT)).expect("it is kept").len(), 2 * RESERVE as u64);
    place.store.delete(blob("three").revision()).expect("it is stored");
    assert_eq!(names(place.dir.path()), only(&[]));
}

#[test]
fn fault_31_a_writer_killed_at_any_moment_leaves_a_whole_file() {
    let place = quick_place();
    write(&place.store, None, &record(0));
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut with_stray = 0;
    for round in 0..KILLS {
        let mut writer = start("churn", &place.file);
        writer.expect("writing");
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment = Duration::from_micros((seed >> 33) % LATEST_KILL);
        let begin = Instant::now();
        while begin.elapsed() < moment {
            std::hint::spin_loop();
        }
        writer.kill();
        check_record(&text(&place.store).unwrap_or_else(|| panic!("round {round}: the file is gone")));
        let strays: Vec<String> = names(place.dir.path()).into_iter().filter(|name| is_stray(name)).collect();
        let secrets = strays.iter().filter(|name| fs::read(beside(&place.file, name)).expect("ours").contains(&b'.'));
        assert!(secrets.count() <= 1, "round {round}: {strays:?}");
        with_stray += u32::from(!strays.is_empty());
        drop(place.store.lock(LONG, None).expect("the kernel released it"));
        assert_eq!(names(place.dir.path()), only(&["credentials.json", LOCK]), "round {round}: not swept");
    }
    assert!(with_stray > 0, "no kill of {KILLS} hit a write: this test tests nothing");
}

/// Marks and commits, as a refresh does.
fn churn(file: &Path) {
    let store = store(file);
    for length in 1.. {
        let _guard = store.lock(LONG, None).expect("it is free");
        for (content, reserve) in [(record(length), RESERVE), (record(length + 1), 0)] {
            let stored = store.read().expect("readable").map(|blob| blob.revision());
            store.write(stored, &blob(&content), reserve).expect("there is room");
        }
        if length == 1 {
            tell("writing");
        }
    }
}

#[test]
fn readers_never_see_half_a_write() {
    let place = quick_place();
    let mut now = write(&place.store, None, &record(0));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers = [(); 3].map(|()| {
            scope.spawn(|| {
                let mut reads = 0_u32;
                while !done.load(Ordering::Relaxed) {
                    check_record(&text(&place.store).expect("it never goes away"));
                    reads += 1;
                    std::thread::sleep(PAUSE);
                }
                reads
            })
        });
        for length in 1..WRITES {
            now = write(&place.store, Some(now), &record(length * 37 % 211));
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().expect("no torn read") > 0);
        }
    });
}

/// `n` lines and then their number: torn, mixed and cut records do not fit.
fn record(lines: usize) -> String {
    format!("{}{lines}.", format!("{lines},").repeat(lines))
}

fn check_record(text: &str) {
    let number = text.strip_suffix('.').and_then(|rest| rest.rsplit(',').next()).and_then(|last| last.parse().ok());
    assert_eq!(number.map(record).as_deref(), Some(text), "torn");
}

fn is_stray(name: &str) -> bool {
    [TEMP, NEXT, PROBE].contains(&name)
}

fn only(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn helper() {
    play(|role, path| {
        match role {
            "count" => count(path),
            "churn" => churn(path),
            "hold" => {
                let _guard = store(path).lock(LONG, None).expect("it is free");
                tell("held");
                wait_for_starter();
            }
            "replace" => {
                let store = store(path);
                let stored = store.read().expect("readable").expect("stored").revision();
                write(&store, Some(stored), "theirs");
                tell("replaced");
                wait_for_starter();
            }
            "live" => {
                tell("alive");
                wait_for_starter();
            }
            other => panic!("no role {other}"),
        }
        tell("done");
    });
}
