//! Real processes on one file, which ask at once and are killed in mid-refresh: what holds on every system.

mod roles;
mod scene;
mod support;

use kraube::core::policy::Policy;
use kraube::core::time::Millis;
use kraube_testserver::{Config, Event};
use roles::{ROTATIONS, ask, force, refresh_that_hangs};
use scene::{Scene, code, now, quick, source_at};
use std::time::Duration;
use support::{Helper, play, start, tell};

const PROCESSES: usize = 8;

#[test]
fn processes_at_once_share_one_request() {
    let scene = Scene::new(Config::default());
    let mut helpers: Vec<Helper> = (0..PROCESSES).map(|_| start("ask", &scene.file)).collect();
    helpers.iter_mut().for_each(|helper| helper.expect("ready"));
    helpers.iter_mut().for_each(Helper::go_on);
    helpers.iter_mut().for_each(|helper| helper.expect("token"));
    helpers.into_iter().for_each(Helper::finish);
    assert_eq!(scene.requests(), 1);
    scene.assert_alive();
}

#[test]
fn processes_that_force_refreshes_never_present_a_spent_token() {
    let scene = Scene::new(Config { latency: Duration::from_millis(1), ..Config::default() });
    let helpers: Vec<Helper> = (0..PROCESSES).map(|_| start("force", &scene.file)).collect();
    helpers.into_iter().for_each(Helper::finish);
    let counters = scene.server.counters();
    assert!(counters.rotations >= ROTATIONS as u64, "{counters:?}");
    assert_eq!((counters.refresh_requests, counters.in_flight_max), (counters.rotations, 1), "{counters:?}");
    scene.assert_alive();
}

#[test]
fn fault_31_the_next_process_recovers_what_a_killed_one_had_spent() {
    let scene = Scene::new(Config { grace: Some(Duration::from_secs(10)), ..Config::default() });
    for round in 1..=5 {
        kill_in_mid_refresh(&scene);
        assert_eq!(kraube::status(Some(&scene.file)).expect("a path").state.code(), "in_doubt");
        let source = scene.source();
        let token = source.blocking_token().expect("the server forgives");
        assert_eq!((token.expose(), token.stale()), (scene.stored_access_token().as_str(), None));
        let counters = scene.server.counters();
        assert_eq!((counters.rotations, counters.grace_retries), (round, round));
        scene.assert_alive();
        expire(&scene);
    }
}

#[test]
fn fault_31_without_grace_a_kill_in_mid_refresh_is_reported_as_what_it_is() {
    let scene = Scene::new(Config::default());
    let before = scene.tokens();
    kill_in_mid_refresh(&scene);
    for _ in 0..2 {
        assert_eq!(code(scene.source().blocking_token()), "rotation_lost");
    }
    assert_eq!((scene.requests(), scene.server.counters().replays), (2, 1), "refused once, and never asked again");
    assert_eq!(scene.tokens(), before);
}

#[test]
fn fault_31_a_request_of_a_killed_process_that_still_travels_is_waited_for() {
    let config = Config {
        grace: Some(Duration::from_secs(10)),
        latency: Duration::from_millis(300),
        commit_after_latency: true,
        ..Config::default()
    };
    let scene = Scene::new(config);
    let mut helper = start("ask", &scene.file);
    helper.go_on();
    scene.wait_for(|event| matches!(event, Event::TokenRequest { .. }));
    helper.kill();
    // The default pause: a token that is sent before the late request takes effect is replaced by it.
    let policy = Policy { settle: Policy::default().settle, ..quick() };
    scene.source_by(policy).blocking_token().expect("the server forgives");
    assert_eq!(scene.server.counters().grace_retries, 1);
    assert!(scene.server.family_alive(&scene.stored_refresh_token()));
}

#[test]
fn fault_31_processes_killed_at_any_moment_leave_a_living_login() {
    let scene = Scene::new(Config {
        grace: Some(Duration::from_secs(60)),
        latency: Duration::from_millis(1),
        ..Config::default()
    });
    let policy = Policy { settle: Millis::from_secs(2), ..quick() };
    for moment in 0..12 {
        let mut helper = start("force patiently", &scene.file);
        // Not the same number of events after the start each time, and not at the same distance from one.
        for _ in 0..=moment {
            scene.wait_for(|event| matches!(event, Event::TokenRequest { .. }));
        }
        for _ in 0..moment * 40 {
            std::thread::yield_now();
        }
        helper.kill();
    }
    scene.source_by(policy).blocking_token().expect("whatever the last one left is settled");
    let counters = scene.server.counters();
    assert_eq!((counters.replays, counters.families_revoked), (0, 0), "{counters:?}");
    assert!(scene.server.family_alive(&scene.stored_refresh_token()));
    let left = support::names(scene.file.parent().expect("a directory"));
    assert!(left.iter().all(|name| name == "credentials.json" || name == support::LOCK), "{left:?}");
}

/// Starts a helper and kills it when the server has rotated and the answer has not arrived.
fn kill_in_mid_refresh(scene: &Scene) {
    let mut helper = refresh_that_hangs(scene);
    helper.kill();
    scene.gate.open();
}

/// Makes the stored access token an expired one.
fn expire(scene: &Scene) {
    let (refresh, access) = (scene.stored_refresh_token(), scene.stored_access_token());
    scene.replace_without_lock(&refresh, &access, |json| json["expiresAt"] = (now() - 1000).into());
}

#[test]
fn helper() {
    play(|role, path| {
        match role {
            "ask" => ask(path),
            "force" => force(&source_at(path, quick())),
            "force patiently" => force(&source_at(path, Policy { settle: Millis(300), ..quick() })),
            other => panic!("no role {other:?}"),
        }
        tell("done");
    });
}
