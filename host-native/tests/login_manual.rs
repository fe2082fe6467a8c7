//! Logins without a listener: with a closure, and in two steps.
#![cfg(unix)]

mod browser;

use browser::{World, parameter, shown_code, split, with, world};
use kraube::login::{LoginError, finish, login_manual, start};
use kraube_testserver::{Config, Fault, FaultKind, Shape};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

fn standard() -> World {
    world(Config::default())
}

/// Begins a login, and returns where it waits and the address that the browser ends on.
fn begun(world: &World) -> (PathBuf, String) {
    let (url, pending) = start(&world.demo(), Some(&world.file)).expect("it begins");
    (pending, world.approve(url.as_str()))
}

fn end(world: &World, pasted: &str) -> Result<(), &'static str> {
    finish(Some(&world.file), pasted).map(drop).map_err(|error| error.code())
}

#[test]
fn a_manual_login_is_returned_and_stored_nowhere() {
    let world = standard();
    let mut callback = String::new();
    let credentials = login_manual(&world.demo(), |url| {
        callback = world.approve(url.as_str());
        assert!(TcpStream::connect(split(&callback).0).is_err(), "nothing listens");
        callback.clone()
    });
    assert!(credentials.expect("the login succeeds").refresh_token.is_some());
    assert_eq!(std::fs::read_dir(world.dir.path()).expect("it is ours").count(), 0);
}

#[test]
fn a_manual_login_in_the_shape_of_claude() {
    let world = world(Config { shape: Shape::Claude, ..Config::default() });
    login_manual(&world.claude(), |url| shown_code(&world.approve(url.as_str()))).expect("the login succeeds");
    assert_eq!(world.server.counters().codes_redeemed, 1);
}

#[test]
fn another_text_than_the_answer_is_said_and_not_sent() {
    let world = standard();
    let error = login_manual(&world.demo(), |url| with(&world.approve(url.as_str()), "state", Some("other")));
    let error = error.expect_err("the state is another one");
    assert_eq!(error.code(), "state_mismatch");
    assert_eq!(world.server.counters().token_requests, 0);
}

#[test]
fn a_login_in_two_steps() {
    let world = standard();
    let (pending, callback) = begun(&world);
    assert_eq!(pending.parent(), world.file.parent());
    assert_eq!(std::fs::metadata(&pending).expect("it is there").permissions().mode() & 0o7777, 0o600);
    let text = std::fs::read_to_string(&pending).expect("it is text");
    let state = parameter(&callback, "state").expect("sent");
    assert!(!pending.to_str().expect("a plain name").contains(&state), "the name does not tell the state");
    assert!(text.contains(&state));

    let logged_in = finish(Some(&world.file), &callback).expect("the login succeeds");
    assert_eq!(logged_in.path, world.file);
    assert!(world.is_stored() && !pending.exists());
    assert_eq!(end(&world, &callback), Err("nothing_pending"));
    assert_eq!(world.server.counters().token_requests, 1);
}

#[test]
fn a_login_that_another_process_began() {
    let world = world(Config { shape: Shape::Claude, ..Config::default() });
    let exe = std::env::current_exe().expect("tests know themselves");
    let child = Command::new(exe)
        .args(["--exact", "starter", "--nocapture", "--test-threads=1"])
        .env("STARTER_ISSUER", world.server.issuer())
        .env("STARTER_FILE", &world.file)
        .output()
        .expect("it is executable");
    let said = String::from_utf8(child.stderr).expect("it is text");
    let url = said.lines().find_map(|line| line.strip_prefix("@url ")).unwrap_or_else(|| panic!("no URL in:\n{said}"));
    let page = world.approve(url);
    assert_eq!(end(&world, &format!("{}\n", shown_code(&page))), Ok(()));
    assert!(world.is_stored());
}

/// Nothing to do in an ordinary run.
#[test]
fn starter() {
    let (Ok(issuer), Some(file)) = (std::env::var("STARTER_ISSUER"), std::env::var_os("STARTER_FILE")) else { return };
    let provider = kraube::provider::Provider::demo_claude(&issuer).expect("a loopback URL");
    let (url, _) = start(&provider, Some(Path::new(&file))).expect("it begins");
    use std::io::Write;
    writeln!(std::io::stderr(), "@url {url}").expect("the starter listens");
}

#[test]
fn of_two_logins_the_state_picks_one() {
    let world = standard();
    let (first, first_callback) = begun(&world);
    let (second, second_callback) = begun(&world);
    let code = parameter(&first_callback, "code").expect("sent");
    assert_eq!(end(&world, &code), Err("several_pending"));
    assert_eq!(end(&world, &with(&first_callback, "state", Some("other"))), Err("state_mismatch"));
    assert_eq!(world.server.counters().token_requests, 0);
    assert_eq!(end(&world, &shown_code(&first_callback)), Ok(()));
    assert!(!first.exists() && second.exists());
    let code = parameter(&second_callback, "code").expect("sent");
    assert_eq!(end(&world, &code), Ok(()), "a code alone goes to the only one");
    assert!(!second.exists());
}

#[test]
fn an_expired_login_is_said_and_swept() {
    let world = standard();
    let (pending, callback) = begun(&world);
    let age = |file: &Path, seconds: u64| {
        let text = std::fs::read_to_string(file).expect("it is text");
        let mut saved: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        saved["created"] = (saved["created"].as_u64().expect("a number") - seconds * 1000).into();
        std::fs::write(file, saved.to_string()).expect("it is ours");
    };
    age(&pending, 590);
    assert_eq!(end(&world, "wrong#state"), Err("state_mismatch"), "it still waits");
    age(&pending, 20);
    assert_eq!(end(&world, &callback), Err("pending_expired"));
    assert!(!pending.exists());
    assert_eq!(end(&world, &callback), Err("nothing_pending"));
    assert_eq!(world.server.counters().token_requests, 0);

    let (old, _) = begun(&world);
    age(&old, 601);
    let (new, callback) = begun(&world);
    assert!(!old.exists() && new.exists(), "the next login sweeps");
    assert_eq!(end(&world, &parameter(&callback, "code").expect("sent")), Ok(()));
}

#[test]
fn files_that_are_no_login_are_left_alone() {
    let world = standard();
    let (pending, callback) = begun(&world);
    let file = |name: &str| world.dir.path().join(name);
    let of_ours = |digit: &str| file(&format!("pending-{}.json", digit.repeat(24)));
    let two_days_ago = SystemTime::now() - Duration::from_secs(2 * 24 * 3600);
    let write_old = |file: &Path, text: &str| {
        std::fs::write(file, text).expect("it is ours");
        let file = std::fs::File::options().write(true).open(file).expect("it is ours");
        file.set_modified(two_days_ago).expect("it is ours");
    };
    let of_others = ["pending-x.json", "pending-orders.json", "pending-2026.json", "pending-.json", "pending-z.txt"];
    of_others.iter().for_each(|name| write_old(&file(name), r#"{"version":98}"#));
    std::fs::write(of_ours("0"), r#"{"version":99}"#).expect("it is ours");
    std::os::unix::fs::symlink("/dev/zero", of_ours("1")).expect("a link");
    // As a process leaves it that was killed while it wrote.
    write_old(&of_ours("2"), "{");
    assert_eq!(end(&world, &parameter(&callback, "code").expect("sent")), Ok(()));
    assert!(!pending.exists());
    assert_eq!(end(&world, "a#b"), Err("pending_version"), "what is there and cannot be used is said");
    assert!(of_others.iter().all(|name| file(name).exists()), "a file of others is gone");
    assert!(of_ours("0").exists() && of_ours("1").is_symlink() && !of_ours("2").exists());
}

#[test]
fn a_definite_refusal_uses_the_login_up() {
    let world = standard();
    let (pending, callback) = begun(&world);
    assert_eq!(end(&world, &with(&callback, "code", Some("other"))), Err("code_refused"));
    assert!(!pending.exists() && !world.is_stored());

    let (pending, callback) = begun(&world);
    let denied = with(&with(&callback, "code", None), "error", Some("access_denied"));
    assert_eq!(end(&world, &denied), Err("denied"));
    assert!(!pending.exists());
}

#[test]
fn a_server_that_cannot_be_reached_leaves_the_login_for_another_try() {
    let world = standard();
    let (pending, callback) = begun(&world);
    let World { server, dir: _dir, file } = world;
    drop(server);
    assert_eq!(finish(Some(&file), &callback).map(drop).map_err(|error| error.code()), Err("unreachable"));
    assert!(pending.exists());
    assert!(!file.exists());
}

#[test]
fn an_answer_that_was_lost_leaves_the_login_for_another_try() {
    let world = standard();
    let (pending, callback) = begun(&world);
    world.server.inject(Fault::before(FaultKind::Reset));
    assert_eq!(end(&world, &callback), Err("code_in_doubt"));
    assert!(pending.exists());
    assert_eq!(end(&world, &callback), Ok(()));
}

#[test]
fn a_server_that_asks_for_a_pause_leaves_the_login_for_another_try() {
    let world = standard();
    let (pending, callback) = begun(&world);
    world.server.inject(Fault::before(FaultKind::status(429)));
    assert_eq!(end(&world, &callback), Err("throttled"));
    assert!(pending.exists());
    assert_eq!(end(&world, &callback), Ok(()));
}

#[test]
fn a_code_is_sent_by_one_of_many_who_have_it() {
    let world = standard();
    let (_, callback) = begun(&world);
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| end(&world, &callback))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert!(results.iter().all(|result| matches!(result, Ok(()) | Err("nothing_pending"))), "{results:?}");
    assert_eq!(world.server.counters().token_requests, 1);
}

#[test]
fn nothing_begins_where_nothing_can_be_stored() {
    let world = standard();
    std::fs::write(world.dir.path().join("file"), "").expect("a file");
    let path = world.dir.path().join("file/credentials.json");
    let error = start(&world.demo(), Some(&path)).expect_err("the store is no store");
    assert!(matches!(error, LoginError::Failed(_)), "{error:?}");
    assert_eq!(end(&world, "a#b"), Err("nothing_pending"));
}
