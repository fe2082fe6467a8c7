//! A rotation that was received and cannot be stored: it is served, kept together with the lock, and stored later.

mod scene;
#[cfg(target_os = "linux")]
mod support;

use kraube::TokenSource;
use kraube::core::credential::{Forgotten, Revoked};
use kraube::store::{FileStore, NotLocked, Store};
use kraube_testserver::Config;
use scene::{BOUND, Left, Scene, Spoil, Spoilt, disk_died, options, quick, until};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(50);

/// A disk that can die.
#[derive(Default)]
struct Disk {
    dead: AtomicBool,
    /// Failed writes so far.
    failed: AtomicU32,
    /// While it is set, a write that will fail does not return.
    stuck: Mutex<bool>,
    changed: Condvar,
}

impl Disk {
    fn spoil(self: Arc<Self>) -> Arc<Spoil> {
        let write = move |go| {
            if !self.dead.load(Ordering::SeqCst) {
                return go;
            }
            self.failed.fetch_add(1, Ordering::SeqCst);
            let stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.changed.wait_while(stuck, |stuck| *stuck).unwrap_or_else(PoisonError::into_inner));
            Err(disk_died())
        };
        Arc::new(Spoil { write: Box::new(write), ..Spoil::default() })
    }

    fn set_stuck(&self, stuck: bool) {
        *self.stuck.lock().unwrap_or_else(PoisonError::into_inner) = stuck;
        self.changed.notify_all();
    }

    fn set_dead(&self, dead: bool) {
        self.dead.store(dead, Ordering::SeqCst);
    }
}

/// A source whose disk died between the mark and the commit.
struct Kept {
    scene: Scene,
    disk: Arc<Disk>,
    source: TokenSource,
    /// The access token that is in memory alone.
    access: String,
}

impl Kept {
    fn new() -> Self {
        Self::through(|file| file.to_owned())
    }

    /// The source is given another path to the file.
    fn through(path: impl FnOnce(&Path) -> PathBuf) -> Self {
        let scene = Scene::new(Config::default());
        let disk = Arc::new(Disk::default());
        let inner = FileStore::open(path(&scene.file)).expect("a path to a file");
        let spoilt = Spoilt { inner, spoil: Arc::clone(&disk).spoil() };
        let source = TokenSource::from_store(spoilt, options(quick()));
        scene.gate.close();
        let access = std::thread::scope(|scope| {
            let asking = scope.spawn(|| source.blocking_token());
            scene.wait_for_rotation();
            disk.set_dead(true);
            scene.gate.open();
            asking.join().expect("it does not panic").expect("it is served from memory").expose().to_owned()
        });
        assert_ne!(access, scene.login.access_token);
        assert_eq!(scene.stored_refresh_token(), scene.login.refresh_token, "nothing was written");
        assert!(scene.member("/kraube/redeeming/run").is_string(), "the mark is there");
        Self { scene, disk, source, access }
    }

    fn is_locked(&self) -> bool {
        match store(&self.scene).lock(SHORT, None) {
            Err(NotLocked::TimedOut) => true,
            Ok(_) => false,
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Waits until a run of the source is in the middle of a write that is going to fail.
    fn wait_for_a_try(&self) {
        self.disk.set_stuck(true);
        let before = self.disk.failed.load(Ordering::SeqCst);
        until("the source tries again", || self.disk.failed.load(Ordering::SeqCst) > before);
    }
}

fn store(scene: &Scene) -> FileStore {
    FileStore::open(&scene.file).expect("a path to a file")
}

/// What another thread gives, if it ends at all.
fn bounded<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> mpsc::Receiver<T> {
    let (done, waiting) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    waiting
}

#[test]
fn fault_33_what_cannot_be_stored_is_served_and_nobody_else_gets_the_lock() {
    let kept = Kept::new();
    assert_eq!(kept.source.blocking_token().expect("it is in memory").expose(), kept.access);
    assert!(kept.is_locked());
    let seen = kept.disk.failed.load(Ordering::SeqCst);
    until("it tries again though nobody asks", || kept.disk.failed.load(Ordering::SeqCst) > seen);
    assert!(kept.is_locked());
    assert_eq!(kept.scene.requests(), 1);
    kept.disk.set_dead(false);
    until("it is stored", || kept.scene.stored_access_token() == kept.access);
    until("the lock is free", || !kept.is_locked());
    assert_eq!(kept.scene.requests(), 1);
    kept.scene.assert_alive();
}

#[test]
fn fault_33_the_next_run_stores_first_and_only_then_refreshes() {
    let kept = Kept::new();
    kept.disk.set_dead(false);
    kept.source.reject_secret(&kraube::core::secret::Secret::new(kept.access.clone()));
    let token = kept.source.blocking_token().expect("the server rotates");
    assert_ne!(token.expose(), kept.access);
    assert_eq!(kept.scene.requests(), 2);
    kept.scene.assert_alive();
}

#[test]
fn fault_33_another_source_of_the_process_uses_the_same_lock() {
    let kept = Kept::new();
    let other = kept.scene.source();
    // Its own store writes well, and it finds the kept tokens as soon as no other run has them.
    until("the other source stores them", || {
        other.blocking_token().is_ok_and(|token| token.expose() == kept.access && token.stale().is_none())
    });
    assert_eq!(kept.scene.stored_access_token(), kept.access);
    assert_eq!(kept.scene.requests(), 1);
    kept.scene.assert_alive();
}

#[test]
fn fault_33_dropping_the_source_tries_again() {
    let Kept { scene, disk, source, access } = Kept::new();
    disk.set_dead(false);
    drop(source);
    assert_eq!(scene.stored_access_token(), access);
    scene.assert_alive();
}

#[test]
fn fault_33_dropping_the_source_gives_up_in_the_end_and_keeps_the_tokens_for_the_process() {
    let Kept { scene, disk, source, access } = Kept::new();
    bounded(move || drop(source)).recv_timeout(BOUND).expect("it gives up");
    assert!(matches!(store(&scene).lock(SHORT, None), Err(NotLocked::TimedOut)), "the token that it replaces is spent");
    disk.set_dead(false);
    assert_eq!(scene.source().blocking_token().expect("they are still kept").expose(), access);
    assert_eq!((scene.stored_access_token(), scene.requests()), (access, 1));
    scene.assert_alive();
}

#[test]
fn a_new_login_takes_the_place_of_kept_tokens() {
    for in_the_middle in [false, true] {
        let kept = Kept::new();
        let next = kept.scene.server.issue_login();
        let credentials = kept.scene.credentials(&next, Left::Much, Default::default());
        if in_the_middle {
            kept.wait_for_a_try();
        }
        let file = kept.scene.file.clone();
        let done = bounded(move || kraube::save_credentials(Some(&file), &credentials));
        if in_the_middle {
            // It must be waiting for the run by now or later; both are well.
            kept.disk.set_stuck(false);
        }
        done.recv_timeout(BOUND).expect("the process has the lock already").expect("its own store writes well");
        kept.disk.set_dead(false);
        assert!(!kept.is_locked());
        drop(kept.source);
        assert_eq!(kept.scene.stored_refresh_token(), next.refresh_token, "the old login has come back");
        kept.scene.assert_alive();
    }
}

#[test]
fn a_logout_revokes_kept_tokens_and_they_stay_away() {
    for in_the_middle in [false, true] {
        let kept = Kept::new();
        if in_the_middle {
            kept.wait_for_a_try();
        }
        let file = kept.scene.file.clone();
        let done = bounded(move || kraube::logout(Some(&file), true));
        if in_the_middle {
            kept.disk.set_stuck(false);
        }
        let forgotten = done.recv_timeout(BOUND).expect("the process has the lock already").expect("a path");
        // The mark in the file is of the refresh that brought what is kept.
        assert!(matches!(forgotten, Forgotten::Deleted { revoked: Revoked::Yes }), "{forgotten:?}");
        let counters = kept.scene.server.counters();
        assert_eq!((counters.revocations, counters.families_revoked), (1, 1), "the newest token is the one to revoke");
        kept.disk.set_dead(false);
        assert!(!kept.is_locked());
        drop(kept.source);
        assert!(!kept.scene.file.exists(), "written back after the logout");
    }
}

#[test]
fn fault_33_a_disk_that_is_dead_from_the_start_spends_nothing() {
    let scene = Scene::with(Config::default(), Left::Little);
    let disk = Arc::new(Disk::default());
    disk.set_dead(true);
    let spoilt = Spoilt { inner: store(&scene), spoil: Arc::clone(&disk).spoil() };
    let source = TokenSource::from_store(spoilt, options(quick()));
    let before = scene.tokens();
    let token = source.blocking_token().expect("it lives");
    assert_eq!(token.stale().map(kraube::core::credential::Failure::code), Some("store"));
    source.reject(&token);
    assert_eq!(scene::code(source.blocking_token()), "store");
    assert_eq!((scene.requests(), scene.tokens()), (0, before));
}

#[cfg(unix)]
mod links {
    use super::*;
    use kraube_testserver::Login;
    use scene::source_at;
    use serde_json::Value;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// As `ln -sfn` does it.
    fn lead(link: &Path, to: &Path) {
        let new = link.with_extension("new");
        symlink(to, &new).expect("room");
        fs::rename(new, link).expect("the same directory");
    }

    fn linked(file: &Path) -> PathBuf {
        let link = file.with_file_name("link.json");
        lead(&link, file);
        link
    }

    fn json(file: &Path) -> Value {
        serde_json::from_str(&fs::read_to_string(file).expect("it is there")).expect("it is JSON")
    }

    /// Another login of the same server, in a file beside the first.
    fn another(scene: &Scene, left: Left) -> (PathBuf, Login) {
        let file = scene.file.with_file_name("other.json");
        let login = scene.server.issue_login();
        let credentials = scene.credentials(&login, left, Default::default());
        kraube::save_credentials(Some(&file), &credentials).expect("room");
        (file, login)
    }

    #[test]
    fn fault_35_a_link_that_is_switched_during_the_exchange_loses_nothing() {
        let scene = Scene::new(Config::default());
        let (other, login) = another(&scene, Left::Much);
        let link = linked(&scene.file);
        let source = source_at(&link, quick());
        scene.gate.close();
        let token = std::thread::scope(|scope| {
            let asking = scope.spawn(|| source.blocking_token());
            scene.wait_for_rotation();
            lead(&link, &other);
            scene.gate.open();
            asking.join().expect("it does not panic").expect("the answer has arrived")
        });
        assert_eq!((token.expose(), token.stale()), (scene.stored_access_token().as_str(), None));
        let after = source_at(&link, quick()).blocking_token().expect("it lives");
        assert_eq!(after.expose(), login.access_token, "the link counts from now on");
        assert_eq!(json(&other)["refreshToken"], login.refresh_token.as_str());
        assert_eq!(scene.requests(), 1);
        scene.assert_alive();
    }

    #[test]
    fn fault_35_kept_tokens_are_stored_where_they_belong_when_the_link_leads_elsewhere() {
        let kept = Kept::through(linked);
        let (other, login) = another(&kept.scene, Left::Much);
        lead(&kept.scene.file.with_file_name("link.json"), &other);
        let seen = kept.disk.failed.load(Ordering::SeqCst);
        until("it tries again", || kept.disk.failed.load(Ordering::SeqCst) > seen + 1);
        assert!(kept.is_locked());
        kept.disk.set_dead(false);
        until("it is stored", || kept.scene.stored_access_token() == kept.access);
        until("the lock is free", || !kept.is_locked());
        assert_eq!(json(&other)["accessToken"], login.access_token.as_str());
        // From now on the link counts.
        kept.source.reject_secret(&kraube::core::secret::Secret::new(kept.access.clone()));
        let token = kept.source.blocking_token().expect("another login is there");
        assert_eq!(token.expose(), login.access_token);
        assert_eq!(kept.scene.requests(), 1);
        kept.scene.assert_alive();
    }

    #[test]
    fn fault_35_kept_tokens_are_found_when_the_file_is_moved_behind_a_link() {
        let kept = Kept::new();
        let moved = kept.scene.file.with_file_name("moved.json");
        fs::rename(&kept.scene.file, &moved).expect("the same directory");
        lead(&kept.scene.file, &moved);
        kept.disk.set_dead(false);
        until("it is stored", || json(&moved)["accessToken"] == kept.access.as_str());
        assert!(kept.scene.file.is_symlink());
        assert_eq!(kept.scene.requests(), 1);
        kept.scene.assert_alive();
    }

    #[test]
    fn fault_35_another_source_puts_kept_tokens_back_where_it_found_them() {
        let kept = Kept::new();
        let (other, _) = another(&kept.scene, Left::Nothing);
        let link = linked(&kept.scene.file);
        let at = link.clone();
        let spoil = Spoil {
            write: Box::new(move |_| {
                lead(&at, &other);
                Err(disk_died())
            }),
            ..Spoil::default()
        };
        let inner = FileStore::open(&link).expect("a path to a file");
        let beside = TokenSource::from_store(Spoilt { inner, spoil: Arc::new(spoil) }, options(quick()));
        assert_eq!(beside.blocking_token().expect("it is kept").expose(), kept.access);
        kept.disk.set_dead(false);
        until("it is stored", || kept.scene.stored_access_token() == kept.access);
        assert_eq!(kept.scene.requests(), 1);
        kept.scene.assert_alive();
    }

    #[test]
    fn fault_35_tokens_are_kept_for_the_file_that_was_locked_and_not_for_the_one_that_was_looked_at() {
        let scene = Scene::new(Config::default());
        let (other, login) = another(&scene, Left::Nothing);
        // Logins without an id, as other programs write them, cannot be told apart.
        for file in [&scene.file, &other] {
            let mut record = json(file);
            record["kraube"].as_object_mut().expect("an object").remove("login");
            fs::write(file, record.to_string()).expect("it is ours");
        }
        let link = linked(&scene.file);
        let (to, at, caller) = (other.clone(), link.clone(), std::thread::current().id());
        let switched = AtomicBool::new(false);
        // After the first look of the thread that refreshes, which is not the one that asks.
        let read = move |blob| {
            if std::thread::current().id() != caller && !switched.swap(true, Ordering::SeqCst) {
                lead(&at, &to);
            }
            blob
        };
        let writes = AtomicU32::new(0);
        let only_the_mark = move |go| if writes.fetch_add(1, Ordering::SeqCst) == 0 { go } else { Err(disk_died()) };
        let spoil = Arc::new(Spoil { write: Box::new(only_the_mark), read: Box::new(read) });
        let inner = FileStore::open(&link).expect("a path to a file");
        let source = TokenSource::from_store(Spoilt { inner, spoil }, options(quick()));
        let access = source.blocking_token().expect("it is served from memory").expose().to_owned();
        assert_eq!(json(&other)["refreshToken"], login.refresh_token.as_str());
        assert!(json(&other).pointer("/kraube/redeeming").is_some(), "the mark is there");
        let beside = source_at(&other, quick());
        until("the other source stores them", || {
            beside.blocking_token().is_ok_and(|token| token.expose() == access && token.stale().is_none())
        });
        assert_eq!(json(&other)["accessToken"], access.as_str());
        assert_eq!((scene.requests(), scene.stored_refresh_token()), (1, scene.login.refresh_token.clone()));
    }
}

#[cfg(target_os = "linux")]
mod full {
    use super::*;
    use std::fs::File;
    use std::io::Write;
    use support::in_namespace;

    const SMALL_DISK: &str = "mount -t tmpfs -o size=1m,mode=700 tmpfs \"$(dirname \"$1\")\"";

    #[test]
    fn fault_33_a_disk_that_fills_up_in_mid_refresh_costs_nothing() {
        let place = support::place();
        in_namespace(SMALL_DISK, "full", &place.file);
    }

    /// Nothing more can be written there.
    pub(crate) fn fill_up(dir: &Path) {
        let mut filler = File::create(dir.join("filler")).expect("there is an inode left");
        for size in [4096, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn helper() {
    support::play(|role, path| {
        assert_eq!(role, "full");
        let dir = path.parent().expect("it is in a directory");
        let scene = Scene::in_directory(Config::default(), Left::Little, dir);
        let source = scene.source();
        scene.gate.close();
        source.keep_fresh().expect("there is a thread");
        scene.wait_for_rotation();
        full::fill_up(dir);
        scene.gate.open();
        until("the rotation is stored", || scene.stored_access_token() != scene.login.access_token);
        let token = source.blocking_token().expect("it is fresh");
        assert_eq!((token.expose(), token.stale()), (scene.stored_access_token().as_str(), None));
        // From now on there is no room for a mark, so nothing is spent.
        let before = scene.tokens();
        source.reject(&token);
        let error = source.blocking_token().expect_err("there is no room");
        assert_eq!(error.code(), "store", "{error:?}");
        assert_eq!((scene.requests(), scene.tokens()), (1, before));
        std::fs::remove_file(dir.join("filler")).expect("it is ours");
        source.blocking_token().expect("there is room again");
        scene.assert_alive();
        support::tell("done");
    });
}
