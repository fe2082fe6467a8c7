//! Components and stores that behave badly: typed errors, or a trap in the component; never a panic of the host, never a
//! lock that stays.

use crate::scene::{HOUR, Left, Scene, disk_died, quick};
use crate::support::pure::exports::kraube::auth::credentials::{Action, Baseline, Input, ObtainStep, Obtained, Wanted};
use crate::support::pure::exports::kraube::auth::login::{Callback, Redirect, Verdict};
use crate::support::pure::exports::kraube::auth::types::{Error, Now};
use crate::support::{GUEST, Granted, PROVIDER, SansIo, assert_unlocked, code, component, guest, provider, run};
use kraube::core::machine::{Blob, Revision, StoreError, StoreErrorKind, WriteError};
use kraube::store::{FileStore, Guard, MemoryStore, NotLocked, Store};
use kraube_testserver::Config;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;
use wasmtime::component::Linker;
use wasmtime::{Engine, Trap};

/// More than a store takes.
const HUGE: u64 = 8 * 1024 * 1024;

/// What a fresh component's deed comes to; a trap is the outer error. The lock is free afterwards.
fn deed(file: &Path, deed: &str, size: u64) -> wasmtime::Result<Result<String, String>> {
    let answer = run(async {
        let (mut store, it) = guest(Granted::file(file), &GUEST).await;
        store.set_fuel(100_000_000).expect("the engine counts it");
        it.call_run(&mut store, deed, size).await
    });
    assert_unlocked(file);
    answer
}

#[test]
fn a_lock_never_outlives_the_component() {
    let scene = Scene::new(Config::default());
    let trap = |name| deed(&scene.file, name, 0).expect_err("it traps");
    assert_eq!(trap("lock, trap").downcast_ref(), Some(&Trap::UnreachableCodeReached));
    assert_eq!(trap("lock, spin").downcast_ref(), Some(&Trap::OutOfFuel));
    assert_eq!(deed(&scene.file, "lock, forget", 0).expect("no trap"), Ok(String::new()));
    assert_eq!(deed(&scene.file, "lock twice", 0).expect("no trap"), Err("timed out".into()));
    assert_eq!(deed(&scene.file, "lock", 0).expect("no trap"), Ok(String::new()));
}

#[test]
fn a_component_that_forgets_its_lock_holds_it_until_the_host_takes_it_back() {
    let scene = Scene::new(Config::default());
    run(async {
        let (mut store, it) = guest(Granted::file(&scene.file), &GUEST).await;
        it.call_run(&mut store, "lock, forget", 0).await.expect("no trap").expect("the lock is free");
        let other = FileStore::open(&scene.file).expect("a path to a file");
        assert_eq!(other.lock(Duration::ZERO, None).err(), Some(NotLocked::TimedOut));
        store.data_mut().lent.release();
        assert_unlocked(&scene.file);
    });
}

#[test]
fn a_wait_for_the_lock_that_was_given_up_takes_nothing() {
    let scene = Scene::new(Config::default());
    let holder = FileStore::open(&scene.file).expect("a path to a file");
    let held = holder.lock(Duration::ZERO, None).expect("it is free");
    run(async {
        let (mut store, it) = guest(Granted::file(&scene.file), &GUEST).await;
        let call = it.call_run(&mut store, "lock for ever", 0);
        assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err(), "somebody holds it");
    });
    drop(held);
    assert_unlocked(&scene.file);
}

/// The host lends its store to another component.
#[test]
fn a_wait_for_the_lock_that_was_given_up_keeps_nobody_waiting() {
    let scene = Scene::new(Config::default());
    let holder = FileStore::open(&scene.file).expect("a path to a file");
    let held = holder.lock(Duration::ZERO, None).expect("it is free");
    let (waits, mut waiting) = mpsc::unbounded_channel();
    let lent = Watched { it: FileStore::open(&scene.file).expect("a path to a file"), waits };
    run(async {
        let (mut store, it) = guest(Granted::login(scene.source(), lent), &GUEST).await;
        tokio::select! {
            answer = it.call_run(&mut store, "lock for ever", 0) => panic!("somebody holds it: {answer:?}"),
            wait = waiting.recv() => wait.expect("the store is lent"),
        }
        let (mut store, it) = guest(store.into_data(), &GUEST).await;
        // The given-up wait would go on for a minute.
        let locked = tokio::time::timeout(Duration::from_secs(30), it.call_run(&mut store, "lock", 0)).await;
        assert_eq!(locked.expect("it is one try").expect("no trap"), Err("timed out".into()));
    });
    drop(held);
    assert_unlocked(&scene.file);
}

/// A wait on a thread of the host may outlive the component; what the component held does not live as long.
#[test]
fn a_wait_for_the_lock_keeps_no_lock() {
    let scene = Scene::new(Config::default());
    let (waits, mut waiting) = mpsc::unbounded_channel();
    let lent = Watched { it: FileStore::open(&scene.file).expect("a path to a file"), waits };
    run(async {
        let (mut store, it) = guest(Granted::login(scene.source(), lent), &GUEST).await;
        {
            let mut call = pin!(it.call_run(&mut store, "lock, lock for ever", 0));
            for which in ["first", "second"] {
                tokio::select! {
                    answer = call.as_mut() => panic!("the {which} wait: {answer:?}"),
                    wait = waiting.recv() => wait.expect("the store is lent"),
                }
            }
        }
        drop(store);
        assert_unlocked(&scene.file);
    });
}

#[test]
fn nothing_is_changed_without_the_lock() {
    let scene = Scene::new(Config::default());
    let stored = std::fs::read(&scene.file).expect("it is there");
    for name in ["write without lock", "delete without lock"] {
        let trap = deed(&scene.file, name, 0).expect_err("the component does not hold the lock");
        assert!(format!("{trap:?}").contains("does not hold the lock"), "{trap:?}");
    }
    assert_eq!(std::fs::read(&scene.file).expect("it is there"), stored);
}

#[test]
fn made_up_revisions_and_huge_values_end_in_the_component() {
    let scene = Scene::new(Config::default());
    let stored = std::fs::read(&scene.file).expect("it is there");
    for name in ["delete filler", "seen filler", "holds filler"] {
        for size in [0, 63, 64, HUGE] {
            let trap = deed(&scene.file, name, size).expect_err("that is no revision");
            assert!(format!("{trap:?}").contains("64 lower-case hexadecimal digits"), "{trap:?}");
        }
    }
    let too_large = || Ok::<_, ()>(Err::<String, _>("StoreErrorKind::TooLarge".to_owned()));
    assert_eq!(deed(&scene.file, "write filler", HUGE).map_err(drop), too_large());
    assert_eq!(deed(&scene.file, "write, reserve", u64::MAX).map_err(drop), too_large());
    assert_eq!(std::fs::read(&scene.file).expect("it is there"), stored);
    // What was never a token of this login makes nobody refresh.
    assert_eq!(deed(&scene.file, "reject filler", HUGE).expect("no trap"), Ok(String::new()));
    assert_eq!(scene.requests(), 0);
    let short = deed(&scene.file, "token", u64::MAX).expect("no trap");
    assert_eq!(short, Ok(scene.stored_access_token()), "no token lives that long: the best there is");
    scene.assert_alive();
}

#[test]
fn resources_of_the_pure_component_are_used_once_and_in_order() {
    let engine = Engine::default();
    let component = component(&engine, "sans-io");
    let fresh = || {
        let mut store = wasmtime::Store::new(&engine, ());
        let it = SansIo::instantiate(&mut store, &component, &Linker::new(&engine)).expect("it imports nothing");
        (store, it)
    };
    let now = Now { wall: 1, monotonic: 1 };
    let wanted = Wanted { min_valid: 0, rejected: None, baseline: Baseline::FirstRead, default_client: None };
    let started = |store: &mut wasmtime::Store<()>, it: &SansIo| {
        let machines = it.kraube_auth_credentials();
        match machines.obtain().call_start(store, &wanted, &Vec::new(), 1, None, now).expect("no trap") {
            ObtainStep::Perform((machine, Action::Read)) => machine,
            other => panic!("it begins with a read: {other:?}"),
        }
    };

    // An answer to a question that was not asked.
    let (mut store, it) = fresh();
    let machine = started(&mut store, &it);
    let machines = it.kraube_auth_credentials();
    let step = machines.obtain().call_step(&mut store, machine, &Input::Woke, now).expect("no trap");
    assert!(matches!(step, ObtainStep::Done(Obtained { outcome: Err(Error::Misuse(_)), kept: None })), "{step:?}");
    // A machine that a step has consumed.
    machines.obtain().call_step(&mut store, machine, &Input::Woke, now).expect_err("it is consumed");

    // One that was dropped.
    let (mut store, it) = fresh();
    let machine = started(&mut store, &it);
    machine.resource_drop(&mut store).expect("it is ours");
    it.kraube_auth_credentials().obtain().call_awaits(&mut store, machine).expect_err("it is gone");

    // Entropy: of the wrong size, and twice.
    let (mut store, it) = fresh();
    let (pkce, login) = (it.kraube_auth_pkce(), it.kraube_auth_login());
    for size in [0, 63, 65, HUGE as usize] {
        let taken = pkce.entropy().call_take(&mut store, &vec![1; size]).expect("no trap");
        assert!(matches!(taken, Err(Error::Invalid(_))), "{taken:?}");
    }
    let entropy = pkce.entropy().call_take(&mut store, &[7; 64]).expect("no trap").expect("64 bytes");
    let provider = login.call_demo(&mut store, "http://127.0.0.1:1").expect("no trap").expect("on the loopback");
    let page = Redirect::Page("https://app.example/".into());
    let begun = login.pending().call_begin(&mut store, &provider, &page, entropy).expect("no trap").expect("begun");
    // A huge callback is not the awaited one, and ends nothing.
    let huge = "x".repeat(HUGE as usize);
    for callback in [Callback::Query(huge.clone()), Callback::Pasted(huge.clone())] {
        let verdict = login.pending().call_receive(&mut store, begun.pending, &callback).expect("no trap");
        assert!(matches!(verdict, Verdict::Ignored(_)), "{verdict:?}");
    }
    assert!(pkce.call_challenge(&mut store, &huge).expect("no trap").is_err());
    login.pending().call_begin(&mut store, &provider, &page, entropy).expect_err("it is consumed");
}

/// A file that tells when somebody begins to wait for its lock.
struct Watched {
    it: FileStore,
    waits: mpsc::UnboundedSender<()>,
}

impl Store for Watched {
    fn lock(&self, wait: Duration, seen: Option<Revision>) -> Result<Guard, NotLocked> {
        let _ = self.waits.send(());
        self.it.lock(wait, seen)
    }

    fn read(&self) -> Result<Option<Blob>, StoreError> {
        self.it.read()
    }

    fn write(&self, replaces: Option<Revision>, blob: &Blob, reserve: usize) -> Result<(), WriteError> {
        self.it.write(replaces, blob, reserve)
    }

    fn delete(&self, replaces: Revision) -> Result<(), WriteError> {
        self.it.delete(replaces)
    }

    fn holds(&self, guard: &Guard, revision: Revision) -> bool {
        self.it.holds(guard, revision)
    }

    fn key(&self) -> String {
        self.it.key()
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.it.probe()
    }
}

/// A store that does not do what it says.
struct Liar {
    it: MemoryStore,
    lie: Lie,
}

#[derive(Clone, Copy, Debug)]
enum Lie {
    Garbage,
    Huge,
    CannotRead,
    CannotLock,
    LosesTheLock,
    AlwaysConflicts,
    CannotWrite,
    ForgetsWrites,
}

impl Store for Liar {
    fn lock(&self, wait: Duration, seen: Option<Revision>) -> Result<Guard, NotLocked> {
        match self.lie {
            Lie::CannotLock => Err(NotLocked::Unsupported(disk_died())),
            _ => self.it.lock(wait, seen),
        }
    }

    fn read(&self) -> Result<Option<Blob>, StoreError> {
        match self.lie {
            Lie::Garbage => Ok(Some(Blob::new(vec![0xff; 100]))),
            Lie::Huge => Ok(Some(Blob::new(vec![b'['; 2 * Blob::MAX]))),
            Lie::CannotRead => Err(StoreError { kind: StoreErrorKind::Denied, detail: "/secret/path".into() }),
            _ => self.it.read(),
        }
    }

    fn write(&self, replaces: Option<Revision>, blob: &Blob, reserve: usize) -> Result<(), WriteError> {
        match self.lie {
            Lie::AlwaysConflicts => Err(WriteError::Conflict),
            Lie::CannotWrite => Err(WriteError::Failed(disk_died())),
            Lie::ForgetsWrites => Ok(()),
            _ => self.it.write(replaces, blob, reserve),
        }
    }

    fn delete(&self, replaces: Revision) -> Result<(), WriteError> {
        self.it.delete(replaces)
    }

    fn holds(&self, guard: &Guard, revision: Revision) -> bool {
        !matches!(self.lie, Lie::LosesTheLock) && self.it.holds(guard, revision)
    }

    fn key(&self) -> String {
        self.it.key()
    }

    fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Two requests, with the first token and with the second, both get a 401; what is heard last is the older one.
#[test]
fn a_late_rejection_does_not_bring_back_the_token_that_was_rejected_before() {
    let scene = Scene::with(Config::default(), Left::Much);
    run(async {
        let (mut store, it) = provider(Granted::file(&scene.file), &PROVIDER).await;
        let first = it.token(&mut store).await.expect("no trap").expect("it lives");
        scene.replace_without_lock(&scene.login.refresh_token, "second", |json| {
            json["kraube"]["obtainedAt"] = (crate::scene::now() - HOUR).into();
        });
        it.reject(&mut store, &first.value).await;
        let second = it.token(&mut store).await.expect("no trap").expect("it lives");
        assert_eq!((second.value.as_str(), scene.requests()), ("second", 0));
        it.reject(&mut store, &second.value).await;
        it.reject(&mut store, &first.value).await;
        let third = it.token(&mut store).await.expect("no trap").expect("it is refreshed");
        assert_eq!((third.value, scene.requests()), (scene.stored_access_token(), 1));
        assert_ne!(scene.stored_access_token(), "second");
        // The newest one is rejected as ever.
        it.reject(&mut store, &scene.stored_access_token()).await;
        assert_eq!(code(&it.token(&mut store).await.expect("no trap").expect_err("it is too young")), "too_soon");
    });
    scene.assert_alive();
}

#[test]
fn a_token_from_elsewhere_can_be_rejected_whatever_was_rejected_before() {
    let scene = Scene::with(Config::default(), Left::Much);
    scene.replace_without_lock(&scene.login.refresh_token, "given elsewhere", |json| {
        json["kraube"]["obtainedAt"] = (crate::scene::now() - HOUR).into();
    });
    run(async {
        let (mut store, it) = provider(Granted::file(&scene.file), &PROVIDER).await;
        for token in ["older", "given elsewhere"] {
            it.reject(&mut store, token).await;
        }
        let token = it.token(&mut store).await.expect("no trap").expect("it is refreshed");
        assert_eq!((token.value, scene.requests()), (scene.stored_access_token(), 1));
    });
    scene.assert_alive();
}

#[test]
fn a_store_that_lies_makes_the_provider_fail_with_a_typed_error() {
    let scene = Scene::new(Config::default());
    let stored = Blob::new(std::fs::read(&scene.file).expect("it is there"));
    for (lie, expected, spent) in [
        (Lie::Garbage, "corrupt", 0),
        (Lie::Huge, "corrupt", 0),
        (Lie::CannotRead, "store", 0),
        (Lie::CannotLock, "no_lock", 0),
        (Lie::LosesTheLock, "contended", 0),
        (Lie::AlwaysConflicts, "contended", 0),
        (Lie::CannotWrite, "store", 0),
        // The mark is not there when it is looked for, before the request.
        (Lie::ForgetsWrites, "contended", 0),
    ] {
        let lent = Liar { it: MemoryStore::holding(stored.clone()), lie };
        let answer = asked(&scene, lent);
        let error = answer.expect_err("it cannot refresh");
        assert_eq!((code(&error), scene.requests()), (expected, spent), "{lie:?}");
        assert!(!format!("{error:?}").contains("/secret/path"), "a path of the host: {error:?}");
    }
}

fn asked(scene: &Scene, lent: impl Store) -> crate::support::Answer {
    run(async {
        let granted = Granted::login(crate::scene::source_at(&scene.file, quick()), lent);
        let (mut store, it) = provider(granted, &PROVIDER).await;
        it.token(&mut store).await.expect("no trap")
    })
}
