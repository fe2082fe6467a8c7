//! `kraube keep-fresh`: real refreshes ahead of expiry, a health file, a clean end.
#![cfg(unix)]

mod support;

use kraube_testserver::{Config, Event, Fault, FaultKind};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Child;
use std::time::Duration;
use support::{MINUTE, World, start};

const LONG: Duration = Duration::from_secs(60);

struct Keeper(Child);

impl Keeper {
    fn start(world: &World) -> Self {
        Self(start(world.in_foreground(&["keep-fresh"]), ""))
    }

    fn kill(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("it lives");
    }
}

fn health(world: &World) -> Option<serde_json::Value> {
    let path = kraube::health_path(&world.path());
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Waits for a file that holds what is wanted; its writer says nothing.
fn wait_for(world: &World, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let end = std::time::Instant::now() + LONG;
    loop {
        match health(world) {
            Some(health) if wanted(&health) => return health,
            health => assert!(std::time::Instant::now() < end, "{health:?}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_token_is_refreshed_before_anybody_needs_it_and_the_end_is_clean() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut world = World::new();
        world.log_in(-MINUTE);
        let events = world.server.events();
        let keeper = Keeper::start(&world);
        let rotated = |event: Event| matches!(event, Event::RefreshCommitted { .. });
        assert!((0..20).filter_map(|_| events.recv_timeout(LONG).ok()).any(rotated), "it refreshes");
        let health = wait_for(&world, |health| health["healthy"] == true);
        assert_eq!((&health["state"], health["pid"].as_u64()), (&"valid".into(), Some(u64::from(keeper.0.id()))));
        let text = health.to_string();
        for secret in ["accessToken", "refreshToken"] {
            assert!(!text.contains(world.stored(secret).as_str().expect("a token")), "{text}");
        }
        let doctor = world.run(&["doctor"]);
        assert!(doctor.stdout.contains("ok       keep-fresh"), "{doctor:?}");

        keeper.kill(signal);
        let run = world.finish(keeper.0);
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run:?}");
        assert!(is_gone(&world), "the health file goes with its process");
        assert_eq!(world.server.counters().rotations, 1);
    }
}

fn is_gone(world: &World) -> bool {
    !kraube::health_path(&world.path()).exists()
}

#[test]
fn short_lived_tokens_are_refreshed_again_and_again() {
    let config = Config { access_life: Duration::from_secs(4), ..Config::default() };
    let mut world = World::with(config);
    world.log_in(-MINUTE);
    let events = world.server.events();
    let keeper = Keeper::start(&world);
    let mut rotations = 0;
    while rotations < 3 {
        let event = events.recv_timeout(LONG).expect("it goes on");
        rotations += u32::from(matches!(event, Event::RefreshCommitted { .. }));
    }
    keeper.kill(Signal::TERM);
    assert_eq!(world.finish(keeper.0).code, 0);
    assert_eq!(world.server.counters().replays, 0);
}

#[test]
fn an_end_in_mid_refresh_waits_for_the_answer() {
    let config = Config { latency: Duration::from_millis(500), commit_after_latency: false, ..Config::default() };
    let mut world = World::with(config);
    let login = world.log_in(-MINUTE);
    let events = world.server.events();
    let keeper = Keeper::start(&world);
    let committed = |event: Event| matches!(event, Event::RefreshCommitted { .. });
    assert!((0..20).filter_map(|_| events.recv_timeout(LONG).ok()).any(committed));
    keeper.kill(Signal::TERM);
    assert_eq!(world.finish(keeper.0).code, 0);
    assert_ne!(world.stored("refreshToken"), login.refresh_token.as_str(), "the rotation is stored");
}

/// As under `nohup`, where the system does not tell of its processes.
#[test]
#[cfg(target_os = "linux")]
fn an_ignored_signal_and_a_hidden_proc_do_not_end_it() {
    let mut world = World::new();
    world.log_in(-MINUTE);
    let plain = world.command(&["keep-fresh"]);
    let mut command = std::process::Command::new("unshare");
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "--propagation", "private", "sh", "-ec", "mount -t tmpfs none /proc; exec \"$@\"", "sh"]);
    command.args(["env", "--default-signal=INT,TERM", "--ignore-signal=HUP"]).arg(plain.get_program());
    command.args(plain.get_args()).current_dir(world.home());
    let keeper = Keeper(start(command, ""));
    wait_for(&world, |health| health["healthy"] == true);
    keeper.kill(Signal::HUP);
    keeper.kill(Signal::TERM);
    let run = world.finish(keeper.0);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run:?}");
    assert!(is_gone(&world), "it was asked to end");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
}

#[test]
fn without_a_login_and_after_a_failure_it_stays_and_says_so() {
    let mut world = World::new();
    std::fs::create_dir_all(world.path().parent().expect("a directory")).expect("made");
    let keeper = Keeper::start(&world);
    let health = wait_for(&world, |health| health["state"] == "logged_out");
    assert_eq!(health["healthy"], false);
    let doctor = world.run(&["doctor"]);
    assert!(doctor.stdout.contains("warning  keep-fresh"), "{doctor:?}");
    keeper.kill(Signal::TERM);
    let run = world.finish(keeper.0);
    assert_eq!(run.code, 0);
    run.says(&["warning: logged out: a person has to log in"]);

    std::fs::create_dir(world.path()).expect("made");
    let keeper = Keeper::start(&world);
    wait_for(&world, |health| health["state"] == "unreadable");
    keeper.kill(Signal::TERM);
    let run = world.finish(keeper.0);
    assert_eq!((run.code, run.stderr.as_str()), (0, "warning: unreadable: `kraube status` says why\n"));
    std::fs::remove_dir(world.path()).expect("it is empty");

    world.log_in(-MINUTE);
    world.server.inject(Fault::before(FaultKind::retry_after(429, "60")));
    let keeper = Keeper::start(&world);
    let health = wait_for(&world, |health| health["error"].is_string());
    assert_eq!((&health["healthy"], &health["state"]), (&false.into(), &"needs_refresh".into()));
    keeper.kill(Signal::TERM);
    assert_eq!(world.finish(keeper.0).code, 0);
}
