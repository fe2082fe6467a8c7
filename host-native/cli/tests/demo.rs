//! `kraube demo` with real processes: what it prints for programs, and that it leaves nothing behind.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

fn demo(args: &[&str]) -> (Output, Value) {
    let place = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new(env!("CARGO_BIN_EXE_kraube"))
        .args(["demo", "--processes", "8", "--seconds", "3", "--json"])
        .args(args)
        .env("TMPDIR", place.path())
        .env("TMP", place.path())
        .output()
        .expect("the binary starts");
    let left: Vec<_> = place.path().read_dir().expect("the directory is there").collect();
    assert!(left.is_empty(), "{left:?}");
    let result = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output, result)
}

/// What holds whatever the server forgives.
fn keeps_the_promise(output: &Output, result: &Value) -> u64 {
    assert!(output.status.success(), "{output:?}");
    assert_eq!((&result["kept"], &result["broken"]), (&Value::Bool(true), &Value::Array(Vec::new())), "{result}");
    let count = |name: &str| result[name].as_u64().unwrap_or_else(|| panic!("{name} is a count in {result}"));
    assert_eq!(count("processes"), 8);
    assert_eq!(count("in_flight_max"), 1);
    assert!(count("tokens") > 8 && count("rotations") > 1 && count("kills") > 0, "{result}");
    let again = count("grace_retries") + count("replays");
    assert_eq!(again, count("kills_inside"), "{result}");
    assert_eq!(count("token_requests"), count("codes_redeemed") + count("rotations") + again, "{result}");
    assert_eq!(count("logins"), count("codes_redeemed"), "{result}");
    count("kills_inside")
}

#[test]
fn kills_cost_nothing_at_a_server_with_a_grace() {
    let (output, result) = demo(&[]);
    keeps_the_promise(&output, &result);
    assert_eq!((&result["replays"], &result["losses"], &result["logins"]), (&0.into(), &0.into(), &1.into()));
    assert_eq!(result["errors"], Value::Object(serde_json::Map::new()));
}

#[test]
fn a_strict_server_ends_a_login_for_a_kill_in_the_window_and_for_nothing_else() {
    let (output, result) = demo(&["--strict"]);
    let inside = keeps_the_promise(&output, &result);
    assert_eq!((&result["losses"], &result["logins"]), (&inside.into(), &(inside + 1).into()), "{result}");
    assert_eq!(result["errors"]["rotation_lost"].is_u64(), inside > 0, "{result}");
}

#[test]
#[cfg(unix)]
fn an_interrupt_ends_its_processes_and_removes_the_credentials() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let mut child = Command::new(env!("CARGO_BIN_EXE_kraube"))
        .args(["demo", "--processes", "4", "--seconds", "3600"])
        .env("TMPDIR", place.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut story = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(story.any(|line| line.contains("rotated the token")));
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(sent.success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert_eq!(place.path().read_dir().expect("the directory is there").count(), 0);
}

#[test]
fn a_process_ends_well_when_its_standard_input_does() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let mut child = Command::new(env!("CARGO_BIN_EXE_kraube"))
        .args(["demo", "--worker", "http://127.0.0.1:9/resource"])
        .env("KRAUBE_CREDENTIALS_PATH", place.path().join("credentials.json"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut reports = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    assert_eq!(reports.next().as_deref(), Some("failed logged_out"));
    drop(child.stdin.take());
    assert!(child.wait().expect("it ends").success());
}
