//! `kraube token`: what is printed, what is said, and with which code, in each outcome.

mod support;

use kraube_testserver::{Config, Event, Fault, FaultKind};
use std::process::Stdio;
use std::time::Duration;
use support::{MINUTE, World, ahead, start};

#[test]
fn a_living_token_is_printed_and_nothing_else() {
    let mut world = World::new();
    let login = world.log_in(50 * MINUTE);
    let run = world.run(&["token"]);
    run.prints(&format!("{}\n", login.access_token));
    assert_eq!(run.stderr, "");
    assert_eq!(world.server.counters().token_requests, 0);
}

#[test]
fn formats() {
    let mut world = World::new();
    let token = world.log_in(50 * MINUTE).access_token;
    let expires_at = world.stored("expiresAt");
    world.run(&["token", "--format", "raw"]).prints(&format!("{token}\n"));
    world.run(&["token", "--format", "header"]).prints(&format!("Authorization: Bearer {token}\n"));
    world.run(&["token", "--format", "env"]).prints(&format!("KRAUBE_ACCESS_TOKEN={token}\n"));
    let json = world.run(&["token", "--format", "json"]);
    let read: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    let wanted = serde_json::json!({
        "accessToken": token, "expiresAt": expires_at, "tokenType": "Bearer", "scope": "read write"
    });
    assert_eq!((json.code, read), (0, wanted));
}

#[test]
fn a_token_of_any_characters_is_one_word_for_a_shell() {
    let world = World::new();
    let token = "a'b$(touch gone) `x` \"\\ ;";
    store(&world, token);
    let env = world.run(&["token", "--format", "env"]);
    assert_eq!(env.code, 0, "{env:?}");
    #[cfg(unix)]
    {
        let mut shell = std::process::Command::new("/bin/sh");
        shell.arg("-c").arg(format!("{}printf %s \"$KRAUBE_ACCESS_TOKEN\"", env.stdout)).current_dir(world.home());
        let output = shell.output().expect("a shell");
        assert_eq!(String::from_utf8_lossy(&output.stdout), token);
        assert!(!world.home().join("gone").exists());
    }
}

fn store(world: &World, token: &str) {
    let record = serde_json::json!({ "accessToken": token, "expiresAt": ahead(50 * MINUTE).0 });
    std::fs::create_dir_all(world.path().parent().expect("a directory")).expect("it is made");
    std::fs::write(world.path(), record.to_string()).expect("it is written");
}

#[test]
fn a_stored_token_that_would_be_a_second_line_is_not_printed() {
    let world = World::new();
    store(&world, "x\nurl = file:///etc/hosts\noutput = /tmp/gone");
    for command in [
        &["token"][..],
        &["token", "--format", "header"],
        &["token", "--format", "curl"],
        &["token", "--format", "env"],
        &["helper", "git", "get"],
    ] {
        let run = world.run(command);
        assert_eq!(run.code, 7, "{run:?}");
        assert!(!format!("{run:?}").contains("file:///"), "{run:?}");
    }
}

#[test]
fn an_expired_token_is_refreshed_once_and_stored() {
    let mut world = World::new();
    let login = world.log_in(-MINUTE);
    let run = world.run(&["token"]);
    let stored = world.stored("accessToken");
    run.prints(&format!("{}\n", stored.as_str().expect("a token")));
    assert_ne!(stored, login.access_token.as_str());
    assert_eq!(world.server.counters().token_requests, 1);
    world.run(&["token"]).prints(&run.stdout);
    assert_eq!(world.server.counters().token_requests, 1);
}

#[test]
#[cfg(unix)]
fn a_directory_that_others_may_write_to_is_warned_of_once() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = World::new();
    world.log_in(-MINUTE);
    let directory = world.path().parent().expect("a directory").to_owned();
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o777)).expect("it is ours");
    let run = world.run(&["token"]);
    assert_eq!((run.code, world.server.counters().rotations), (0, 1), "{run:?}");
    assert_eq!(run.stderr.matches("other users can replace the credentials").count(), 1, "{run:?}");
}

#[test]
fn the_path_on_the_command_line_wins() {
    let mut world = World::new();
    let login = world.log_in(50 * MINUTE);
    std::fs::rename(world.path(), world.home().join("other.json")).expect("it is moved");
    let mut command = world.command(&["--credentials", "other.json", "token"]);
    command.env("KRAUBE_CREDENTIALS_PATH", "missing.json");
    world.run_with(command, "").prints(&format!("{}\n", login.access_token));
    let mut command = world.command(&["token"]);
    command.env("KRAUBE_CREDENTIALS_PATH", "other.json");
    world.run_with(command, "").prints(&format!("{}\n", login.access_token));
    world.run(&["token", "--credentials", ""]).fails(2, &["a value is required for '--credentials <PATH>'"]);
}

#[test]
fn a_short_token_is_printed_with_a_hint() {
    let mut world = World::with(Config { access_life: Duration::from_secs(600), ..Config::default() });
    let old = world.log_in(-MINUTE);
    let run = world.run(&["token", "--min-valid", "1h"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(!run.stdout.contains(&old.access_token));
    run.says(&["hint: the token lives for ", " and not for 1h: the server issues no longer ones"]);
}

#[test]
fn min_valid_refreshes_earlier() {
    let mut world = World::new();
    world.log_in(10 * MINUTE);
    let run = world.run(&["token", "--min-valid", "1200"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert_eq!(world.server.counters().rotations, 1);
}

#[test]
fn a_throttled_refresh_leaves_the_living_token_and_says_so() {
    let mut world = World::new();
    let login = world.log_in(MINUTE / 2);
    world.server.inject(Fault::before(FaultKind::retry_after(429, "30")));
    let run = world.run(&["token"]);
    run.prints(&format!("{}\n", login.access_token));
    run.says(&[
        "hint: the token was not refreshed and lives for ",
        "the server asked for a pause",
        "hint: try again later",
    ]);
}

#[test]
fn a_throttled_refresh_of_an_expired_token_is_unavailable() {
    let mut world = World::new();
    world.log_in(-MINUTE);
    world.server.inject(Fault::before(FaultKind::retry_after(429, "30")));
    let hints = "\n\nhint: try again later\nhint: the next attempt is made in ";
    world.run(&["token"]).fails(7, &["error: the server asked for a pause (429)", hints]);
    // The pause is shared: the next process does not ask at all.
    world.run(&["token"]).fails(7, &["error: an earlier refresh failed"]);
    assert_eq!(world.server.counters().token_requests, 1);
}

#[test]
fn an_unreachable_server_is_unavailable() {
    let mut world = World::new();
    let login = world.log_in(-MINUTE);
    // A port that nothing listens on.
    let record = std::fs::read_to_string(world.path()).expect("stored");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    let record = record.replace(&world.server.issuer(), &format!("http://{closed}"));
    std::fs::write(world.path(), record).expect("written");
    world.run(&["token"]).fails(7, &["the server could not be reached", "hint: check the network"]);
    assert_eq!(world.stored("refreshToken"), login.refresh_token.as_str());
}

#[test]
fn no_login_is_logged_out() {
    let world = World::new();
    world.run(&["token"]).fails(4, &["error: not logged in\n\nhint: log in with `kraube login`\n"]);
    assert!(!world.path().exists());
}

#[test]
fn an_expired_login_without_a_refresh_token_has_ended() {
    let mut world = World::new();
    world.log_in(-MINUTE);
    std::fs::write(world.path(), format!(r#"{{"accessToken":"a","expiresAt":{}}}"#, ahead(-MINUTE).0))
        .expect("written");
    world.run(&["token"]).fails(4, &["there is no refresh token"]);
}

#[test]
fn a_corrupt_file_is_not_touched() {
    let mut world = World::new();
    world.log_in(-MINUTE);
    std::fs::write(world.path(), "{\"refreshToken\":\"canary").expect("written");
    let run = world.run(&["token"]);
    run.fails(7, &["hint: restore the credentials from a copy"]);
    assert!(!run.stderr.contains("canary"));
    assert_eq!(std::fs::read_to_string(world.path()).expect("still there"), "{\"refreshToken\":\"canary");
}

#[test]
fn a_refused_login_is_refused() {
    let mut world = World::new();
    world.log_in(-MINUTE);
    world.server.revoke_all();
    world.run(&["token"]).fails(5, &["the server refused the refresh token", "hint: log in again with `kraube login`"]);
    world.run(&["token"]).fails(5, &[]);
    assert_eq!(world.server.counters().token_requests, 1);
}

#[test]
fn a_lost_answer_is_in_doubt_and_then_told_for_what_it_is() {
    let mut world = World::new();
    let login = world.log_in(-MINUTE);
    // The first takes effect, the others are not even looked at.
    world.server.inject(Fault::after(FaultKind::Reset));
    world.server.inject(Fault::before(FaultKind::Reset).times(9));
    world.run(&["token"]).fails(6, &["the outcome of a refresh is unknown", "nothing was deleted"]);
    assert_eq!(world.stored("refreshToken"), login.refresh_token.as_str());
    assert_eq!(world.run(&["status"]).code, 6);
}

#[test]
fn a_lost_rotation_is_reported_as_such() {
    let mut world = World::new();
    world.log_in(-MINUTE);
    world.server.inject(Fault::after(FaultKind::Reset));
    let run = world.run(&["token"]);
    run.fails(5, &["after a refresh whose answer never arrived"]);
}

#[test]
fn a_rejected_token_is_replaced() {
    let mut world = World::new();
    let login = world.log_in(50 * MINUTE);
    let run = world.run_with(world.command(&["token", "--rejected"]), &format!("  {}\r\n", login.access_token));
    run.prints(&format!("{}\n", world.stored("accessToken").as_str().expect("a token")));
    assert_ne!(world.stored("accessToken"), login.access_token.as_str());
    assert_eq!(world.server.counters().rotations, 1);
    // A second process with the same complaint adopts what the first has stored.
    world.run_with(world.command(&["token", "--rejected"]), &login.access_token).prints(&run.stdout);
    assert_eq!(world.server.counters().rotations, 1);
}

#[test]
fn rejected_without_a_token_is_a_usage_error() {
    let mut world = World::new();
    world.log_in(50 * MINUTE);
    let run = world.run_with(world.command(&["token", "--rejected"]), " \n");
    run.fails(2, &["there is no token on standard input", "\n\nhint: "]);
}

/// It does not wait without a word. `script` gives it a terminal, and writes down what is on it.
#[test]
#[cfg(target_os = "linux")]
fn a_person_at_a_terminal_is_asked_for_the_rejected_token() {
    let mut world = World::new();
    let login = world.log_in(50 * MINUTE);
    let plain = world.command(&[]);
    let program = plain.get_program().to_str().expect("a plain path");
    let mut command = std::process::Command::new("script");
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args(["--quiet", "--return", "--echo", "never", "--command"]);
    command.arg(format!("{program} token --rejected")).arg("/dev/null");
    let run = world.run_with(command, &format!("{}\n", login.access_token));
    let renewed = world.stored("accessToken");
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.contains("Paste the token that was answered with 401:"), "{run:?}");
    assert!(run.stdout.contains(renewed.as_str().expect("a token")) && renewed != login.access_token, "{run:?}");
}

#[test]
fn a_new_login_in_mid_run_is_reported_and_not_adopted() {
    let mut world = World::new();
    world.log_in(-MINUTE);
    let old = std::fs::read_to_string(world.path()).expect("stored");
    world.log_in(50 * MINUTE);
    let new = std::fs::read_to_string(world.path()).expect("stored");
    std::fs::write(world.path(), old).expect("written");
    world.server.set_config(|config| config.latency = support::LATENCY);
    let events = world.server.events();
    let child = start(world.command(&["token"]), "");
    let sent = events.recv_timeout(Duration::from_secs(60)).expect("the refresh is sent");
    assert!(matches!(sent, Event::TokenRequest { .. }), "{sent:?}");
    // A program that logs in without the lock.
    std::fs::write(world.path(), &new).expect("written");
    world.finish(child).fails(8, &["somebody logged in anew", "hint: ask again to use the new login"]);
    assert_eq!(std::fs::read_to_string(world.path()).expect("stored"), new);
}

#[test]
fn a_reader_that_has_gone_is_no_panic() {
    let mut world = World::new();
    world.log_in(50 * MINUTE);
    let mut command = world.command(&["token"]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
    let output = command.spawn().and_then(std::process::Child::wait_with_output).expect("it runs");
    assert_eq!((output.status.code(), output.stderr), (Some(1), Vec::new()));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_standard_output_is_an_error() {
    let mut world = World::new();
    world.log_in(50 * MINUTE);
    let mut command = world.command(&["token"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("the full device");
    let output = command.stdout(full).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("error: standard output cannot be written\n  caused by: "), "{said}");
}

#[test]
fn the_log_is_on_standard_error_and_holds_no_secret() {
    let mut world = World::new();
    world.log_in(-MINUTE);
    let mut command = world.command(&["token"]);
    command.env("KRAUBE_LOG", "trace");
    let run = world.run_with(command, "");
    assert_eq!(run.code, 0);
    assert!(!run.stderr.contains(run.stdout.trim()));
    let mut command = world.command(&["token"]);
    command.env("KRAUBE_LOG", "loud");
    world.run_with(command, "").says(&["warning: KRAUBE_LOG is none of off, error, warn"]);
}

#[test]
#[cfg(unix)]
fn an_interrupted_refresh_is_completed_and_stored_first() {
    let mut world = World::new();
    let login = world.log_in(-MINUTE);
    world.server.set_config(|config| config.latency = support::LATENCY);
    let events = world.server.events();
    let child = start(world.in_foreground(&["token"]), "");
    let sent = events.recv_timeout(Duration::from_secs(60)).expect("the refresh is sent");
    assert!(matches!(sent, Event::TokenRequest { .. }), "{sent:?}");
    support::interrupt(&child);
    let run = world.finish(child);
    assert_eq!((run.code, run.stdout.as_str()), (130, ""), "{run:?}");
    run.says(&["Waiting for the answer that is under way."]);
    let stored = world.stored("refreshToken");
    assert_ne!(stored, login.refresh_token.as_str());
    assert!(world.server.family_alive(stored.as_str().expect("a token")));
}

/// As under `nohup`, and in the background of a script: what is ignored stays ignored, and the others are waited for.
#[test]
#[cfg(target_os = "linux")]
fn an_ignored_signal_does_not_keep_the_others_from_waiting_for_the_answer() {
    use rustix::process::{Pid, Signal, kill_process};
    for (ignored, first) in [("HUP", Some(Signal::HUP)), ("INT", Some(Signal::INT)), ("HUP,INT", None)] {
        let mut world = World::new();
        let login = world.log_in(-MINUTE);
        world.server.set_config(|config| config.latency = support::LATENCY);
        let events = world.server.events();
        let plain = world.command(&["token"]);
        let mut command = std::process::Command::new("env");
        command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.args(["--default-signal=HUP,INT,TERM", &format!("--ignore-signal={ignored}")]);
        command.arg(plain.get_program()).args(plain.get_args()).current_dir(world.home());
        let child = start(command, "");
        let sent = events.recv_timeout(Duration::from_secs(60)).expect("the refresh is sent");
        assert!(matches!(sent, Event::TokenRequest { .. }), "{sent:?}");
        for signal in first.into_iter().chain([Signal::TERM]) {
            kill_process(Pid::from_child(&child), signal).expect("it lives");
        }
        let run = world.finish(child);
        assert_eq!((run.code, run.stdout.as_str()), (130, ""), "{ignored}: {run:?}");
        run.says(&["Waiting for the answer that is under way."]);
        let stored = world.stored("refreshToken");
        assert_ne!(stored, login.refresh_token.as_str(), "{ignored}");
        assert!(world.server.family_alive(stored.as_str().expect("a token")), "{ignored}");
    }
}

#[test]
#[cfg(unix)]
fn a_second_interrupt_does_not_wait() {
    let mut world = World::new();
    let login = world.log_in(-MINUTE);
    world.server.inject(Fault::before(FaultKind::Hang));
    let events = world.server.events();
    let mut child = start(world.in_foreground(&["token"]), "");
    events.recv_timeout(Duration::from_secs(60)).expect("the refresh is sent");
    support::interrupt(&child);
    // The first one is known to be handled when the line is there: two at once would count as one.
    let mut said = String::new();
    let mut stderr = std::io::BufReader::new(child.stderr.take().expect("a pipe"));
    std::io::BufRead::read_line(&mut stderr, &mut said).expect("a line");
    assert!(said.starts_with("Waiting for the answer"), "{said}");
    support::interrupt(&child);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert_eq!(world.stored("refreshToken"), login.refresh_token.as_str());
    assert_eq!(world.run(&["status"]).code, 6);
}

/// Each system call of the lock, the read and the write is interrupted once, as by a signal without `SA_RESTART`.
#[test]
#[cfg(target_os = "linux")]
fn fault_34_interrupted_system_calls_are_made_again() {
    for call in ["flock", "read", "write", "fsync", "fallocate"] {
        let mut world = World::new();
        let login = world.log_in(-MINUTE);
        let plain = world.command(&["token"]);
        let mut command = std::process::Command::new("strace");
        command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        // The path leaves the pipes and sockets alone, whose calls are not ours.
        let inject = format!("inject={call}:error=EINTR:when=1");
        let folder = world.path().parent().expect("a directory").to_owned();
        let names = ["", ".lock"].map(|end| format!("{}{end}", world.path().display()));
        let hidden = [".tmp", ".next"].map(|end| folder.join(format!(".credentials.json{end}")).display().to_string());
        command.args(["-f", "-qq", "-o", "trace", "-e", &inject]).current_dir(world.home());
        for path in names.iter().chain(&hidden) {
            command.args(["-P", path]);
        }
        command.arg(plain.get_program()).args(plain.get_args());
        let run = world.run_with(command, "");
        assert_eq!(run.code, 0, "{call}: {run:?}");
        let trace = std::fs::read_to_string(world.home().join("trace")).expect("strace wrote it");
        assert!(trace.contains("EINTR"), "{call} was interrupted: {trace}");
        assert_eq!(world.server.counters().rotations, 1, "{call}");
        assert_ne!(world.stored("refreshToken"), login.refresh_token.as_str(), "{call}");
    }
}
