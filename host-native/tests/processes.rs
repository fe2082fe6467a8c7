//! Real processes on one file, as far as it is a matter of Linux: they are stopped and interrupted in mid-refresh, and
//! one of them is another program.
#![cfg(target_os = "linux")]

mod roles;
mod scene;
mod support;

use kraube::core::credential::{Failure, Forgotten};
use kraube::core::policy::Policy;
use kraube::core::time::Millis;
use kraube::store::FileStore;
use kraube::{Options, TokenSource};
use kraube_testserver::Config;
use roles::{ROTATIONS, ask, force, refresh_that_hangs};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use scene::{HOUR, Left, Scene, client, code, now, options, quick, source_at};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Helper, play, start, tell, wait_for_starter};

#[test]
fn fault_40_a_stopped_holder_holds_up_nobody_who_has_a_living_token() {
    let scene = Scene::with(Config::default(), Left::Little);
    scene.gate.close();
    let mut helper = start("ask", &scene.file);
    helper.go_on();
    scene.wait_for_rotation();
    signal(&helper, Signal::STOP);
    scene::until("all its threads have stopped", || is_stopped(&helper));
    scene.gate.open();
    let source = scene.source_by(Policy { deadline: Millis(300), ..quick() });
    let token = source.blocking_token().expect("it lives");
    assert_eq!(token.stale().map(Failure::code), Some("busy"));
    assert_eq!(token.expose(), scene.login.access_token);
    source.reject(&token);
    let error = source.blocking_token().expect_err("nothing lives, and the lock is held");
    assert_eq!((error.code(), scene.requests()), ("busy", 1));
    signal(&helper, Signal::CONT);
    helper.finish();
    assert_eq!(source.blocking_token().expect("it was stored").expose(), scene.stored_access_token());
    assert_eq!(scene.requests(), 1);
    scene.assert_alive();
}

#[test]
fn fault_32_an_interrupt_in_mid_refresh_costs_nothing() {
    for signal_ in [Signal::INT, Signal::TERM] {
        let scene = Scene::new(Config::default());
        scene.gate.close();
        let mut helper = start("interrupted", &scene.file);
        helper.expect("ready");
        scene.wait_for_rotation();
        signal(&helper, signal_);
        helper.expect("interrupted");
        scene.gate.open();
        helper.finish();
        assert_eq!(scene.requests(), 1);
        scene.assert_alive();
    }
}

#[test]
fn a_thread_that_could_not_be_started_is_started_by_the_next_call() {
    let scene = Scene::new(Config::default());
    start("no thread", &scene.file).finish();
    assert_eq!(scene.requests(), 1);
    scene.assert_alive();
}

#[test]
fn a_refresh_never_writes_back_what_a_logout_has_deleted() {
    // Through the lock: the logout waits for the refresh, and deletes what it has stored.
    let scene = Scene::new(Config::default());
    let mut helper = refresh_that_hangs(&scene);
    let forgotten = std::thread::scope(|scope| {
        let logout = scope.spawn(|| kraube::logout(Some(&scene.file), true).expect("a path"));
        scene.gate.open();
        logout.join().expect("it does not panic")
    });
    assert!(matches!(forgotten, Forgotten::Deleted { .. }), "{forgotten:?}");
    helper.expect("token");
    helper.finish();
    assert!(!scene.file.exists());
    assert_eq!(scene.server.counters().families_revoked, 1, "the newest token is the one to revoke");

    // Without it, as another program may.
    let scene = Scene::new(Config::default());
    let mut helper = refresh_that_hangs(&scene);
    std::fs::remove_file(&scene.file).expect("it is ours");
    scene.gate.open();
    helper.expect("logged_out");
    helper.finish();
    assert!(!scene.file.exists(), "written back");
}

#[test]
fn fault_38_a_refresh_never_overwrites_another_login() {
    // Through the lock.
    let scene = Scene::new(Config::default());
    let next = scene.server.issue_login();
    let credentials = scene.credentials(&next, Left::Much, Default::default());
    let mut helper = refresh_that_hangs(&scene);
    std::thread::scope(|scope| {
        let login = scope.spawn(|| kraube::save_credentials(Some(&scene.file), &credentials));
        scene.gate.open();
        login.join().expect("it does not panic").expect("the refresh ends");
    });
    helper.expect("token");
    helper.finish();
    assert_eq!(scene.stored_refresh_token(), next.refresh_token);

    // Without it.
    let scene = Scene::new(Config::default());
    let next = scene.server.issue_login();
    let mut helper = refresh_that_hangs(&scene);
    scene.replace_without_lock(&next.refresh_token, &next.access_token, |json| {
        json["kraube"]["login"] = "another".into();
    });
    let stored = std::fs::read(&scene.file).expect("it is there");
    scene.gate.open();
    helper.expect("token");
    helper.finish();
    assert_eq!(std::fs::read(&scene.file).expect("it is there"), stored, "not one byte is changed");
    assert_eq!(scene.requests(), 1);
}

#[test]
fn another_programs_flock_keeps_us_from_spending() {
    let scene = Scene::new(Config::default());
    let mut foreign = Command::new("flock");
    foreign.arg(support::beside(&scene.file, support::LOCK)).args(["sh", "-c", "echo held; exec cat"]);
    let mut foreign = foreign.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it is part of util-linux");
    foreign.stdout.as_mut().expect("a pipe").read_exact(&mut [0; 5]).expect("it says held");
    let source = scene.source_by(Policy { deadline: Millis(100), ..quick() });
    assert_eq!((code(source.blocking_token()), scene.requests()), ("busy", 0));
    drop(foreign.stdin.take());
    assert!(foreign.wait().expect("our child").success());
    source.blocking_token().expect("the lock is free");
    scene.assert_alive();
}

#[test]
fn the_go_program_and_ours_share_one_file() {
    let scene = Scene::new(Config::default());
    let issuer = scene.gate.issuer();
    let ours: Vec<Helper> = (0..2).map(|_| start(&format!("work with {issuer}"), &scene.file)).collect();
    start(&format!("go {issuer}"), &scene.file).finish();
    ours.into_iter().for_each(Helper::finish);
    let counters = scene.server.counters();
    assert!(counters.rotations >= 2 * ROTATIONS as u64, "each had its turns: {counters:?}");
    assert_eq!((counters.refresh_requests, counters.replays), (counters.rotations, 0), "{counters:?}");
    assert_eq!(counters.in_flight_max, 1);
    assert!(scene.server.family_alive(&scene.stored_refresh_token()));
}

#[test]
fn logins_without_the_lock_end_in_a_living_login() {
    let scene = Scene::new(Config::default());
    let issuer = scene.gate.issuer();
    let helper = start(&format!("force with {issuer}"), &scene.file);
    for _ in 0..20 {
        scene.wait_for_rotation();
        let next = scene.server.issue_login();
        let record = record(&next.refresh_token, &next.access_token, now() + HOUR);
        std::fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&scene.file)
            .expect("ours")
            .write_all(&record)
            .expect("room");
    }
    helper.finish();
    let counters = scene.server.counters();
    assert_eq!((counters.replays, counters.families_revoked), (0, 0), "{counters:?}");
    assert!(scene.server.family_alive(&scene.stored_refresh_token()));
}

fn signal(helper: &Helper, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(helper.pid()).expect("a process id")).expect("a process id");
    kill_process(pid, signal).expect("it is our child");
}

fn is_stopped(helper: &Helper) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{}/task", helper.pid())).expect("it is our child");
    threads.flatten().all(|thread| {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:\tT"))
    })
}

#[test]
fn helper() {
    play(|role, path| {
        let (role, issuer) =
            role.split_once(" http").map_or((role, None), |(role, rest)| (role, Some(format!("http{rest}"))));
        match (role, issuer) {
            ("ask", None) => ask(path),
            ("force with", Some(issuer)) => force(&source_of(path, &issuer)),
            ("work with", Some(issuer)) => work(&source_of(path, &issuer)),
            ("go", Some(issuer)) => go(path, &issuer),
            ("no thread", None) => no_thread(path),
            ("interrupted", None) => interrupted(path),
            other => panic!("no role {other:?}"),
        }
        tell("done");
    });
}

/// A resource that rejects a token now and then, until the starter has seen enough.
fn work(source: &TokenSource) {
    let over = std::thread::spawn(wait_for_starter);
    while !over.is_finished() {
        let token = source.blocking_token().unwrap_or_else(|error| panic!("{}: {error:?}", error.code()));
        std::thread::sleep(Duration::from_millis(5));
        source.reject(&token);
    }
}

/// The Go program drops our members, so the records do not say where to refresh them.
fn source_of(path: &Path, issuer: &str) -> TokenSource {
    let mut options: Options = options(quick());
    options.default_client = Some(client(issuer, Default::default()));
    TokenSource::from_store(FileStore::open(path).expect("a path to a file"), options)
}

/// A program that ends its runtime when it is told to end, in the middle of whatever is going on.
fn interrupted(path: &Path) {
    use tokio::signal::unix::{SignalKind, signal};
    let source = source_at(path, quick());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).expect("there are signals");
        let mut terminate = signal(SignalKind::terminate()).expect("there are signals");
        tell("ready");
        tokio::select! {
            answer = source.token() => panic!("too early: {answer:?}"),
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    });
    drop(runtime);
    tell("interrupted");
    drop(source);
}

/// A program that has no room for another thread, and then has it again.
fn no_thread(path: &Path) {
    let source = source_at(path, quick());
    let before = getrlimit(Resource::As);
    let status = std::fs::read_to_string("/proc/self/status").expect("it is mounted");
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.strip_suffix("kB"));
    let size: u64 = size.and_then(|size| size.trim().parse().ok()).expect("a number");
    // The stack of a thread takes 2 MiB.
    let full = (size << 10) + (1 << 20);
    setrlimit(Resource::As, Rlimit { current: Some(full), ..before }).expect("less is always allowed");
    let (first, second) = (source.keep_fresh(), source.blocking_token());
    setrlimit(Resource::As, before).expect("as it was");
    for error in [first.expect_err("no room"), second.expect_err("no room")] {
        assert!(error.to_string().contains("no thread can be started"), "{error}");
    }
    source.blocking_token().expect("there is room again");
}

/// As the Go program of the same name does it: `flock`, asked for every 50 ms; read again under it; the rotation written
/// in place, without the members that it does not know. Each time it lets the others have a turn.
fn go(path: &Path, issuer: &str) {
    let lock =
        File::options().read(true).write(true).create(true).truncate(false).open(path.with_extension("json.lock"));
    let lock = lock.expect("ours");
    for _ in 0..ROTATIONS {
        while flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut file = File::options().read(true).write(true).open(path).expect("it is there");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("text");
        let stored: Value = serde_json::from_str(&text).expect("whoever holds the lock reads whole records");
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", "kraube-demo"),
            ("refresh_token", stored["refreshToken"].as_str().expect("a string")),
        ];
        let mut answer = ureq::post(&format!("{issuer}/token")).send_form(form).expect("the server rotates");
        let answer: Value =
            serde_json::from_str(&answer.body_mut().read_to_string().expect("text")).expect("a token document");
        let member = |name: &str| answer[name].as_str().expect("a string").to_owned();
        file.set_len(0).expect("ours");
        file.rewind().expect("a file");
        file.write_all(&record(&member("refresh_token"), &member("access_token"), now() + HOUR)).expect("room");
        flock(&lock, FlockOperation::Unlock).expect("held");
        let mine = member("refresh_token");
        scene::until("the others have a turn", || {
            std::fs::read_to_string(path).is_ok_and(|text| !text.contains(&mine))
        });
    }
}

fn record(refresh_token: &str, access_token: &str, expires_at: u64) -> Vec<u8> {
    let record =
        serde_json::json!({"refreshToken": refresh_token, "accessToken": access_token, "expiresAt": expires_at});
    record.to_string().into_bytes()
}
