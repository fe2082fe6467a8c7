//! The token source against a real server and a real file: how often it asks, what it serves, and what it survives.

mod scene;

use kraube::core::policy::Policy;
use kraube::core::time::Millis;
use kraube::store::{FileStore, Store};
use kraube::{Token, TokenSource};
use kraube_testserver::{Config, Event, Fault, FaultKind};
use scene::{HOUR, Left, Scene, Spoil, Spoilt, client, code, impatient, now, options, quick, until};
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

const MANY: usize = 64;

#[test]
fn an_expired_token_means_one_request_and_a_rotated_file() {
    let scene = Scene::new(Config::default());
    let id = scene.login_id();
    let token = scene.source().blocking_token().expect("the server rotates");
    assert_eq!(scene.requests(), 1);
    assert_eq!(token.expose(), scene.stored_access_token());
    assert_ne!(token.expose(), scene.login.access_token);
    assert_eq!(token.authorization(), format!("Bearer {}", token.expose()));
    assert_eq!((token.login(), token.stale().is_none(), token.is_short()), (id.as_str(), true, false));
    assert!(id.is_string() && scene.login_id() == id, "the login is the same one");
    assert_eq!((scene.member("/kraube/redeeming"), scene.member("/kraube/later/0")), (Value::Null, true.into()));
    scene.assert_alive();
}

#[test]
fn a_fresh_token_means_no_request_and_no_lock() {
    let scene = Scene::with(Config::default(), Left::Much);
    let _busy = FileStore::open(&scene.file).expect("a path").lock(scene::BOUND, None).expect("it is free");
    assert_eq!(scene.source().blocking_token().expect("it lives").expose(), scene.login.access_token);
    assert_eq!(scene.requests(), 0);
}

#[test]
fn threads_at_once_share_one_request() {
    let scene = Scene::new(Config::default());
    let source = scene.source();
    let barrier = Barrier::new(MANY);
    let tokens: Vec<Token> = std::thread::scope(|scope| {
        let one = || {
            barrier.wait();
            source.blocking_token().expect("the server rotates")
        };
        let threads: Vec<_> = (0..MANY).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    });
    assert!(tokens.iter().all(|token| token.expose() == scene.stored_access_token()));
    assert_eq!(scene.requests(), 1);
    scene.assert_alive();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_at_once_share_one_request() {
    let scene = Scene::new(Config::default());
    let source = scene.source();
    let tasks: Vec<_> = (0..MANY)
        .map(|_| {
            let source = source.clone();
            tokio::spawn(async move { source.token().await.expect("the server rotates").expose().to_owned() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("it does not panic"), scene.stored_access_token());
    }
    assert_eq!(scene.requests(), 1);
    scene.assert_alive();
}

#[test]
fn sources_that_know_nothing_of_each_other_share_one_request() {
    let scene = Scene::new(Config::default());
    let barrier = Barrier::new(16);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let source = scene.source();
                barrier.wait();
                source.blocking_token().expect("one of them refreshes")
            });
        }
    });
    assert_eq!(scene.requests(), 1);
    scene.assert_alive();
}

#[test]
fn clones_share_the_token_and_outlive_each_other() {
    let scene = Scene::new(Config::default());
    let first = scene.source();
    let second = first.clone();
    let token = first.blocking_token().expect("the server rotates");
    drop(first);
    std::fs::remove_file(&scene.file).expect("it is ours");
    assert_eq!(second.blocking_token().expect("it is in memory").expose(), token.expose());
    assert_eq!(scene.requests(), 1);
}

#[test]
fn a_longer_min_valid_refreshes_what_others_still_use() {
    let scene = Scene::with(Config::default(), Left::Much);
    let source = scene.source();
    let patient = source.min_valid(Duration::from_secs(600));
    assert_eq!(patient.blocking_token().expect("it lives").expose(), scene.login.access_token);
    assert_eq!(scene.requests(), 0);
    // Half of its life is the most that can be asked: the server issues no better ones.
    let greedy = source.min_valid(Duration::from_secs(2 * 3600));
    let token = greedy.blocking_token().expect("it lives");
    assert!(token.is_short() && !source.blocking_token().expect("it lives").is_short());
    let clone = token.clone();
    assert!(clone.is_short());
    assert_eq!(scene.requests(), 0);
    scene.server.set_config(|config| config.access_life = Duration::from_secs(100));
    source.reject(&token);
    source.blocking_token().expect("the server rotates");
    assert!(patient.blocking_token().expect("more than half of its life is left").is_short());
    assert_eq!(scene.requests(), 1, "a refresh for each call");
}

#[test]
fn a_rejected_token_gives_way_to_what_a_peer_stored() {
    let scene = Scene::with(Config::default(), Left::Much);
    let (one, other) = (scene.source(), scene.source());
    let rejected = one.blocking_token().expect("it lives");
    other.blocking_token().expect("it lives");
    one.reject(&rejected);
    let renewed = one.blocking_token().expect("the server rotates");
    assert_eq!((renewed.expose() == rejected.expose(), scene.requests()), (false, 1));
    other.reject(&rejected);
    assert_eq!(other.blocking_token().expect("the peer stored it").expose(), renewed.expose());
    assert_eq!(scene.requests(), 1, "the peer's token was there to be taken");
    // A late report about a token that nobody uses any more costs nothing.
    one.reject(&rejected);
    assert_eq!(one.blocking_token().expect("it lives").expose(), renewed.expose());
    one.reject(&renewed);
    assert_ne!(one.blocking_token().expect("the server rotates").expose(), renewed.expose());
    assert_eq!(scene.requests(), 2);
    scene.assert_alive();
}

#[test]
fn a_rejected_token_stays_rejected_when_an_older_one_is_rejected_late() {
    let scene = Scene::with(Config::default(), Left::Much);
    let source = scene.source();
    let old = source.blocking_token().expect("it lives");
    source.reject(&old);
    let last = source.blocking_token().expect("the server rotates");
    source.reject(&last);
    source.reject(&old);
    assert_ne!(source.blocking_token().expect("the server rotates").expose(), last.expose());
    assert_eq!(scene.requests(), 2);
    scene.assert_alive();
}

#[test]
fn a_resource_that_rejects_everything_does_not_rotate_without_end() {
    let scene = Scene::new(Config::default());
    let source = scene.source_by(Policy { reject_floor: Policy::default().reject_floor, ..quick() });
    let token = source.blocking_token().expect("the server rotates");
    source.reject(&token);
    assert_eq!(code(source.blocking_token()), "too_soon");
    assert_eq!(code(source.blocking_token()), "too_soon");
    assert_eq!(scene.requests(), 1);
}

#[test]
fn a_rejected_token_does_not_come_back_from_the_background() {
    let scene = Scene::with(Config::default(), Left::Much);
    let source = scene.source();
    let rejected = source.blocking_token().expect("it lives");
    source.reject(&rejected);
    source.keep_fresh().expect("there is a thread");
    scene.wait_for_rotation();
    assert_ne!(source.blocking_token().expect("it was refreshed").expose(), rejected.expose());
    assert_eq!(scene.requests(), 1);
}

#[test]
fn a_pinned_source_stays_with_its_login_and_others_go_on_with_the_new_one() {
    let scene = Scene::with(Config::default(), Left::Much);
    // Two handles on one token in memory.
    let free = scene.source();
    let pinned = free.pin_login();
    let old = pinned.blocking_token().expect("it lives");
    free.blocking_token().expect("it lives");
    let next = scene.server.issue_login();
    let credentials = scene.credentials(&next, Left::Much, Default::default());
    kraube::save_credentials(Some(&scene.file), &credentials).expect("the lock is free");
    assert_eq!(pinned.blocking_token().expect("it lives, in memory").expose(), old.expose());
    pinned.reject(&old);
    assert_eq!(free.blocking_token().expect("the new login").expose(), next.access_token);
    for _ in 0..2 {
        assert_eq!(code(pinned.blocking_token()), "account_changed");
        assert_eq!(code(pinned.clone().min_valid(Duration::from_secs(1)).blocking_token()), "account_changed");
    }
    assert_eq!(scene.requests(), 0);
}

#[test]
fn a_pinned_source_has_the_token_of_a_record_that_lost_its_login_id_in_memory_too() {
    let scene = Scene::with(Config::default(), Left::Much);
    let pinned = scene.source().pin_login();
    let old = pinned.blocking_token().expect("it lives");
    let next = scene.server.issue_login();
    scene.replace_without_lock(&next.refresh_token, &next.access_token, |json| {
        json["kraube"].as_object_mut().expect("an object").remove("login");
    });
    pinned.reject(&old);
    assert_eq!(pinned.blocking_token().expect("it says nothing of another login").expose(), next.access_token);
    std::fs::remove_file(&scene.file).expect("it is ours");
    assert_eq!(pinned.blocking_token().expect("it is in memory").expose(), next.access_token);
}

/// Whether it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn calls_that_were_made_before_a_pinned_source_met_its_login_get_no_token_of_another() {
    let scene = Scene::with(Config::default(), Left::Little);
    let mut other = scene.json();
    other["kraube"]["login"] = "another".into();
    other["accessToken"] = "of another".into();
    other["expiresAt"] = (now() + HOUR).into();
    let other = other.to_string().into_bytes();
    // Somebody logs in anew as soon as the first call is answered.
    let first_answered = Arc::new(Woken::default());
    let answered = Arc::clone(&first_answered);
    let read = move |blob| match answered.0.load(Ordering::SeqCst) {
        true => Some(kraube::core::machine::Blob::new(other.clone())),
        false => blob,
    };
    let spoil = Arc::new(Spoil { read: Box::new(read), ..Spoil::default() });
    let store = Spoilt { inner: FileStore::open(&scene.file).expect("a path"), spoil };
    let source = TokenSource::from_store(store, options(quick())).pin_login();
    // It lives, and nothing better is to be had.
    scene.server.inject(Fault::before(FaultKind::retry_after(429, "60")));
    scene.gate.close();
    let mut first = Box::pin(source.token());
    let waker = Waker::from(Arc::clone(&first_answered));
    assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    scene.wait_for(|event| matches!(event, Event::FaultInjected));
    let mut second = Box::pin(source.token());
    assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    scene.gate.open();
    until("the first call is answered", || first_answered.0.load(Ordering::SeqCst));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (first, id) = (runtime.block_on(first).expect("it lives"), scene.login_id());
    assert_eq!(first.login(), id.as_str());
    assert_eq!(code(runtime.block_on(second)), "account_changed");
}

#[test]
fn fault_38_another_login_during_a_refresh_is_never_overwritten() {
    for pinned in [false, true] {
        let scene = Scene::new(Config::default());
        let next = scene.server.issue_login();
        scene.gate.close();
        let source = if pinned { scene.source().pin_login() } else { scene.source() };
        let answer = std::thread::scope(|scope| {
            let asking = scope.spawn(|| source.blocking_token());
            scene.wait_for_rotation();
            scene.replace_without_lock(&next.refresh_token, &next.access_token, |json| {
                json["kraube"]["login"] = "another".into();
            });
            scene.gate.open();
            asking.join().expect("it does not panic")
        });
        match (pinned, answer) {
            (true, answer) => assert_eq!(code(answer), "account_changed"),
            (false, answer) => {
                let token = answer.expect("it goes on with the new login");
                assert_eq!((token.expose(), token.login()), (next.access_token.as_str(), Some("another")));
            }
        }
        assert_eq!(scene.requests(), 1);
        assert_eq!(scene.stored_refresh_token(), next.refresh_token);
        scene.assert_alive();
    }
}

#[test]
fn a_kept_token_is_renewed_though_nobody_asks() {
    let scene = Scene::new(Config { access_life: Duration::from_secs(2), ..Config::default() });
    let source = scene.source();
    source.keep_fresh().expect("there is a thread");
    for generation in 1..=3 {
        scene.wait_for(|event| matches!(event, Event::RefreshCommitted { generation: now, .. } if *now == generation));
    }
    drop(source);
    assert_eq!(scene.requests(), scene.server.counters().rotations);
    scene.assert_alive();
}

#[test]
fn a_refresh_token_alone_is_enough() {
    let scene = Scene::new(Config::default());
    let client = client(&scene.gate.issuer(), Default::default());
    let source = TokenSource::from_refresh_token(scene.login.refresh_token.clone(), client);
    let token = source.blocking_token().expect("the server rotates");
    assert_eq!(source.blocking_token().expect("it is in memory").expose(), token.expose());
    source.min_valid(Duration::from_secs(60)).blocking_token().expect("it is fresh");
    assert_eq!((scene.requests(), scene.server.counters().replays), (1, 0));
}

#[test]
fn an_access_token_alone_is_served_until_it_is_rejected() {
    let source = TokenSource::from_access_token("given");
    let token = source.blocking_token().expect("it counts as living");
    assert_eq!((token.expose(), token.login()), ("given", None));
    assert!(token.expires_at() > std::time::SystemTime::now());
    source.reject(&token);
    assert_eq!(code(source.blocking_token()), "no_refresh_token");

    let set = TokenSource::from_env("PATH").expect("every process has one");
    let path = std::env::var("PATH").expect("every process has one");
    assert_eq!(set.blocking_token().expect("it counts as living").expose(), path);
    let error = TokenSource::from_env("KRAUBE_NO_SUCH_VARIABLE").expect_err("nobody sets it");
    assert!(error.to_string().contains("KRAUBE_NO_SUCH_VARIABLE"));
}

#[tokio::test]
async fn a_blocking_call_within_a_runtime_works() {
    let scene = Scene::new(Config::default());
    let source = scene.source();
    let blocking = source.blocking_token().expect("the server rotates");
    assert_eq!(source.token().await.expect("it is in memory").expose(), blocking.expose());
    kraube::logout(Some(&scene.file), true).expect("a path");
    assert_eq!(scene.server.counters().revocations, 1);
}

#[test]
fn a_torn_read_is_tried_again() {
    let scene = Scene::with(Config::default(), Left::Much);
    let torn = AtomicU32::new(0);
    let read = move |blob: Option<kraube::core::machine::Blob>| match torn.fetch_add(1, Ordering::Relaxed) {
        0 => Some(kraube::core::machine::Blob::new(Vec::new())),
        1 => blob.map(|blob| kraube::core::machine::Blob::new(blob.bytes()[..blob.bytes().len() / 2].to_vec())),
        _ => blob,
    };
    let spoil = Arc::new(Spoil { read: Box::new(read), ..Spoil::default() });
    let store = Spoilt { inner: FileStore::open(&scene.file).expect("a path"), spoil };
    let source = TokenSource::from_store(store, options(quick()));
    assert_eq!(source.blocking_token().expect("the third read is whole").expose(), scene.login.access_token);
    assert_eq!(scene.requests(), 0);
}

#[test]
fn fault_32_a_runtime_that_ends_in_mid_refresh_costs_nothing() {
    let scene = Scene::new(Config::default());
    let source = scene.source();
    scene.gate.close();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let asking = source.clone();
    runtime.spawn(async move { asking.token().await.map(drop) });
    scene.wait_for_rotation();
    drop(runtime);
    scene.gate.open();
    assert_eq!(source.blocking_token().expect("the run went on").expose(), scene.stored_access_token());
    assert_eq!(scene.requests(), 1);
    scene.assert_alive();
}

#[test]
fn fault_32_futures_dropped_at_any_point_cost_nothing() {
    let latency = Duration::from_millis(2);
    let scene = Scene::new(Config { latency, ..Config::default() });
    let source = scene.source();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut point: u64 = 0x9e37_79b9;
    let mut cut = 0;
    for _ in 0..200 {
        point = point.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let patience = Duration::from_micros((point >> 33) % 8000);
        let answer = runtime.block_on(async { tokio::time::timeout(patience, source.token()).await });
        match answer {
            Ok(token) => source.reject(&token.expect("the server rotates")),
            Err(_) => cut += 1,
        }
    }
    drop(source);
    assert!(cut > 0, "no future was dropped");
    assert_eq!(scene.requests(), scene.server.counters().rotations);
    scene.assert_alive();
}

#[test]
fn fault_32_a_future_that_was_polled_once_starts_what_nobody_waits_for() {
    let scene = Scene::new(Config::default());
    let source = scene.source();
    let mut future = Box::pin(source.token());
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(future);
    drop(source);
    assert_eq!(scene.requests(), 1);
    scene.assert_alive();
}

#[test]
fn a_source_dropped_in_mid_refresh_waits_for_the_answer_to_be_stored() {
    let scene = Scene::new(Config::default());
    scene.gate.close();
    let source = scene.source();
    let asking = source.clone();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut future = Box::pin(asking.token());
            assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        });
        scene.wait_for_rotation();
        let dropping = scope.spawn(|| {
            drop(source);
            scene.stored_refresh_token()
        });
        scene.gate.open();
        let stored = dropping.join().expect("it does not panic");
        assert!(scene.server.family_alive(&stored), "dropped before the answer was stored");
    });
    scene.assert_alive();
}

/// Drops what it holds when the future that it waits for is ready.
struct DropsOnWake {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    dropped: mpsc::Sender<()>,
}

impl Wake for DropsOnWake {
    fn wake(self: Arc<Self>) {
        drop(self.future.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.dropped.send(()).expect("the test waits");
    }
}

#[test]
fn the_last_source_may_be_dropped_by_a_waker() {
    let scene = Scene::new(Config::default());
    scene.gate.close();
    let source = scene.source();
    let (dropped, waiting) = mpsc::channel();
    let future = async move { drop(source.token().await) };
    let task = Arc::new(DropsOnWake { future: Mutex::new(Some(Box::pin(future))), dropped });
    let waker = Waker::from(Arc::clone(&task));
    if let Some(future) = task.future.lock().expect("nobody panicked").as_mut() {
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    scene.wait_for_rotation();
    scene.gate.open();
    waiting.recv_timeout(scene::BOUND).expect("the thread waited for itself");
    scene.assert_alive();
}

#[test]
fn who_has_a_living_token_does_not_wait_for_a_server_that_hangs() {
    let scene = Scene::with(Config::default(), Left::Little);
    let source = scene.source_by(impatient());
    scene.gate.close();
    let first = source.blocking_token().expect("it lives");
    scene.wait_for_rotation();
    // The run is still waiting for its answer when this one comes.
    let late = source.min_valid(Duration::from_secs(600)).blocking_token().expect("it lives");
    for token in [first, late] {
        assert_eq!(token.expose(), scene.login.access_token);
        assert_eq!(token.stale().map(kraube::core::credential::Failure::code), Some("under_way"));
    }
    scene.gate.open();
    until("the run goes on", || scene.stored_access_token() != scene.login.access_token);
    assert_eq!(source.blocking_token().expect("it was stored").expose(), scene.stored_access_token());
    assert_eq!(scene.requests(), 1);
    scene.assert_alive();
}

#[test]
fn who_has_a_living_token_does_not_wait_for_the_background_either() {
    let scene = Scene::with(Config::default(), Left::Little);
    let source = scene.source_by(impatient());
    scene.gate.close();
    source.keep_fresh().expect("there is a thread");
    scene.wait_for_rotation();
    assert_eq!(source.blocking_token().expect("it lives").expose(), scene.login.access_token);
    // A dead one is of no use, so this one waits.
    source.reject_secret(&kraube::core::secret::Secret::new(scene.login.access_token.clone()));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| source.blocking_token());
        scene.gate.open();
        let token = waiting.join().expect("it does not panic").expect("it was refreshed");
        assert_eq!(token.expose(), scene.stored_access_token());
    });
    assert_eq!(scene.requests(), 1);
    scene.assert_alive();
}

#[test]
fn fault_39_an_expiry_counts_from_the_request_and_a_clock_set_back_asks_once_at_most() {
    let scene = Scene::new(Config::default());
    let before = now();
    scene.source().blocking_token().expect("the server rotates");
    let expires = scene.member("/expiresAt").as_u64().expect("milliseconds");
    assert!((before + HOUR..=now() + HOUR).contains(&expires));
    // As if the clock had been two days ahead when the token was obtained.
    let ahead = 48 * HOUR;
    scene.replace_without_lock(&scene.stored_refresh_token(), &scene.stored_access_token(), |json| {
        json["expiresAt"] = (expires + ahead).into();
        json["kraube"]["obtainedAt"] = (before + ahead).into();
    });
    let source = scene.source_by(Policy { reject_floor: Millis::from_secs(30), ..quick() });
    let token = source.blocking_token().expect("it counts as living");
    source.reject(&token);
    assert_ne!(source.blocking_token().expect("the server rotates").expose(), token.expose());
    assert_eq!(scene.requests(), 2);
    scene.assert_alive();
}

#[test]
fn a_stored_token_is_had_by_the_caller_alone() {
    let scene = Scene::with(Config::default(), Left::Much);
    let busy = FileStore::open(&scene.file).expect("a path").lock(scene::BOUND, None).expect("it is free");
    let source = scene.source();
    let token = source.stored_token().expect("it lives");
    assert_eq!(token.expose(), scene.login.access_token);
    assert!(source.min_valid(Duration::from_secs(24 * 3600)).stored_token().is_some_and(|token| token.is_short()));
    source.reject(&token);
    assert!(source.stored_token().is_none(), "it was rejected");
    drop(busy);
    assert_ne!(source.blocking_token().expect("the server rotates").expose(), token.expose());
    assert_eq!(scene.requests(), 1);
}

#[test]
fn a_look_at_the_store_holds_up_no_task() {
    let scene = Scene::with(Config::default(), Left::Much);
    let (looks, looking) = mpsc::channel();
    let (go_on, waiting) = mpsc::channel();
    let first = Mutex::new(Some((looks, waiting)));
    let read = move |blob| {
        if let Some((looks, waiting)) = first.lock().expect("nobody panicked").take() {
            looks.send(()).expect("the test waits");
            waiting.recv_timeout(scene::BOUND).expect("the task waits for this look");
        }
        blob
    };
    let spoil = Arc::new(Spoil { read: Box::new(read), ..Spoil::default() });
    let store = Spoilt { inner: FileStore::open(&scene.file).expect("a path"), spoil };
    let source = TokenSource::from_store(store, options(quick()));
    std::thread::scope(|scope| {
        let look = scope.spawn(|| source.stored_token());
        looking.recv_timeout(scene::BOUND).expect("it looks");
        let mut task = Box::pin(source.token());
        let _ = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        go_on.send(()).expect("it still looks");
        assert!(look.join().expect("it does not panic").is_none(), "the thread is needed by now");
    });
    assert_eq!(source.blocking_token().expect("it lives").expose(), scene.login.access_token);
    assert_eq!(scene.requests(), 0);
}

#[test]
fn an_expired_stored_token_is_none_and_nothing_happens() {
    let scene = Scene::new(Config::default());
    let before = std::fs::read(&scene.file).expect("it is stored");
    assert!(scene.source().stored_token().is_none());
    assert_eq!(std::fs::read(&scene.file).expect("it is stored"), before);
    assert_eq!(scene.requests(), 0);
}
