//! Components that end in mid-refresh. With tokens that the host serves nothing is lost, whatever becomes of the component;
//! with the provider inside, an end after the request has left is an unknown outcome: marked, retried, reported.

use crate::scene::{self, Left, Scene};
use crate::support::{GUEST, Granted, PROVIDER, assert_unlocked, component, engine, guest, provider, run};
use kraube::core::credential::Failure;
use kraube::store::FileStore;
use kraube_testserver::Config;
use std::pin::{Pin, pin};
use std::time::Duration;
use wasmtime::Trap;

/// Longer than anything here takes.
const GRACE: Duration = Duration::from_secs(600);

#[test]
fn a_call_that_is_dropped_loses_nothing() {
    let scene = Scene::new(Config::default());
    scene.gate.close();
    run(async {
        let (mut store, it) = guest(Granted::file(&scene.file), &GUEST).await;
        {
            let mut call = pin!(it.call_run(&mut store, "token", 0));
            until_rotated(&scene, call.as_mut()).await;
        }
        scene.gate.open();
    });
    assert_nothing_lost(&scene);
}

#[test]
fn a_trap_in_mid_refresh_loses_nothing() {
    let scene = Scene::with(Config::default(), Left::Little);
    scene.gate.close();
    run(async {
        let (mut store, it) = guest(impatient(&scene), &GUEST).await;
        let trap = it.call_run(&mut store, "token, trap", 0).await.expect_err("it traps");
        assert_eq!(trap.downcast_ref(), Some(&Trap::UnreachableCodeReached));
        scene.wait_for_rotation();
        scene.gate.open();
    });
    assert_nothing_lost(&scene);
}

#[test]
fn fuel_that_runs_out_in_mid_refresh_loses_nothing() {
    let scene = Scene::with(Config::default(), Left::Little);
    scene.gate.close();
    run(async {
        let (mut store, it) = guest(impatient(&scene), &GUEST).await;
        store.set_fuel(10_000_000).expect("the engine counts it");
        let trap = it.call_run(&mut store, "token, spin", 0).await.expect_err("it runs out");
        assert_eq!(trap.downcast_ref(), Some(&Trap::OutOfFuel));
        scene.wait_for_rotation();
        scene.gate.open();
    });
    assert_nothing_lost(&scene);
}

#[test]
fn a_deadline_in_mid_refresh_loses_nothing() {
    let scene = Scene::with(Config::default(), Left::Little);
    scene.gate.close();
    let engine = engine();
    run(async {
        let (mut store, it) = guest(impatient(&scene), &component(&engine, "guest")).await;
        store.set_epoch_deadline(1);
        let mut call = pin!(it.call_run(&mut store, "token, spin", 0));
        // The component runs on this thread once it spins, so the deadline comes from another one.
        let server = &scene.server;
        let trap = std::thread::scope(|scope| {
            scope.spawn(|| {
                crate::scene::until("the refresh", || server.counters().rotations > 0);
                engine.increment_epoch();
            });
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(call.as_mut()))
        });
        assert_eq!(trap.expect_err("the deadline passes").downcast_ref(), Some(&Trap::Interrupt));
        scene.gate.open();
    });
    assert_nothing_lost(&scene);
}

#[test]
fn the_provider_that_is_stopped_after_its_request_leaves_a_mark_that_a_grace_makes_good() {
    let scene = Scene::new(Config { grace: Some(GRACE), ..Config::default() });
    stop_after_request(&scene);
    let token = scene.source().blocking_token().expect("the server has a grace");
    assert_eq!(token.stale().map(Failure::code), None);
    let counters = scene.server.counters();
    assert_eq!((counters.grace_retries, counters.rotations), (1, 1), "the same token, once more: {counters:?}");
    scene.assert_alive();
}

#[test]
fn the_provider_that_is_stopped_after_its_request_is_reported_where_there_is_no_grace() {
    let scene = Scene::new(Config::default());
    stop_after_request(&scene);
    let error = scene.source().blocking_token().expect_err("the server accepts each token once");
    assert_eq!(error.code(), "rotation_lost");
    // Said by a provider too, and without a further request.
    let requests = scene.requests();
    run(async {
        let (mut store, it) = provider(Granted::file(&scene.file), &PROVIDER).await;
        let answer = it.token(&mut store).await.expect("no trap");
        assert_eq!(crate::support::code(&answer.expect_err("it is lost")), "rotation_lost");
    });
    assert_eq!(scene.requests(), requests);
}

#[test]
fn the_provider_whose_call_is_dropped_leaves_a_mark() {
    let scene = Scene::new(Config { grace: Some(GRACE), ..Config::default() });
    scene.gate.close();
    run(async {
        let (mut store, it) = provider(Granted::file(&scene.file), &PROVIDER).await;
        let mut call = pin!(it.token(&mut store));
        until_rotated(&scene, call.as_mut()).await;
    });
    assert_marked(&scene);
    scene.gate.open();
    scene.source().blocking_token().expect("the server has a grace");
    scene.assert_alive();
}

#[test]
fn fuel_that_runs_out_anywhere_in_the_provider_leaves_no_lock() {
    const PLACES: u64 = 12;
    let burn = |fuel: Option<u64>| {
        let scene = Scene::new(Config { grace: Some(GRACE), ..Config::default() });
        let burnt = run(async {
            let (mut store, it) = provider(Granted::file(&scene.file), &PROVIDER).await;
            store.set_fuel(fuel.unwrap_or(crate::support::PLENTY)).expect("the engine counts it");
            let before = store.get_fuel().expect("the engine counts it");
            match (it.token(&mut store).await, fuel) {
                (Ok(answer), None) => drop(answer.expect("there is fuel enough")),
                (Err(trap), Some(_)) => assert_eq!(trap.downcast_ref(), Some(&Trap::OutOfFuel)),
                (Ok(_), Some(fuel)) => panic!("{fuel} was enough"),
                (Err(trap), None) => panic!("{trap:?}"),
            }
            // A host may keep what it has given to a component that trapped.
            store.data_mut().lent.release();
            assert_unlocked(&scene.file);
            before - store.get_fuel().expect("the engine counts it")
        });
        crate::scene::after_back_off(&scene.source()).expect("the login lives");
        scene.assert_alive();
        burnt
    };
    let all = burn(None);
    for place in 0..PLACES {
        burn(Some(all * place / PLACES));
    }
}

/// The component is given the living token while the refresh goes on.
fn impatient(at: &Scene) -> Granted {
    let lent = FileStore::open(&at.file).expect("a path to a file");
    Granted::login(scene::source_at(&at.file, scene::impatient()), lent)
}

/// The request has left, its answer comes, and the component is stopped before it can store it.
fn stop_after_request(scene: &Scene) {
    scene.gate.close();
    let engine = engine();
    run(async {
        let (mut store, it) = provider(Granted::file(&scene.file), &component(&engine, "token-provider")).await;
        store.set_epoch_deadline(1);
        let mut call = pin!(it.token(&mut store));
        until_rotated(scene, call.as_mut()).await;
        engine.increment_epoch();
        scene.gate.open();
        let trap = call.await.expect_err("the deadline is over");
        assert_eq!(trap.downcast_ref(), Some(&Trap::Interrupt));
    });
    assert_marked(scene);
}

/// The lock is free, and the record says that the outcome is unknown.
fn assert_marked(scene: &Scene) {
    assert_unlocked(&scene.file);
    assert!(scene.member("/kraube/redeeming").is_object(), "{}", scene.json());
    assert_eq!(scene.stored_refresh_token(), scene.login.refresh_token);
    assert_eq!(scene.stored_access_token(), scene.login.access_token);
}

fn assert_nothing_lost(scene: &Scene) {
    assert_unlocked(&scene.file);
    assert_ne!(scene.stored_refresh_token(), scene.login.refresh_token, "the rotation is stored");
    assert!(scene.member("/kraube/redeeming").is_null());
    assert_eq!(scene.requests(), 1);
    scene.assert_alive();
}

async fn until_rotated<T>(scene: &Scene, mut call: Pin<&mut impl Future<Output = T>>) {
    while scene.server.counters().rotations == 0 {
        assert!(
            tokio::time::timeout(Duration::from_millis(2), call.as_mut()).await.is_err(),
            "the answer is held back"
        );
    }
}
