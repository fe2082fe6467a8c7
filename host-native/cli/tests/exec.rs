//! `kraube exec`: what the command that it starts is given, and what it gives back.
#![cfg(unix)]

mod support;

use support::{MINUTE, World};

#[test]
fn the_command_has_the_token_and_gives_the_exit_code() {
    let mut world = World::new();
    let login = world.log_in(50 * MINUTE);
    let script = r#"printf '%s|%s|%s' "$KRAUBE_ACCESS_TOKEN" "$1" "$(cat)"; exit 37"#;
    let command = world.command(&["exec", "--", "/bin/sh", "-c", script, "sh", "--version"]);
    let run = world.run_with(command, "input");
    assert_eq!((run.code, run.stderr.as_str()), (37, ""));
    assert_eq!(run.stdout, format!("{}|--version|input", login.access_token));
}

#[test]
fn the_variable_can_be_named() {
    let mut world = World::new();
    let login = world.log_in(50 * MINUTE);
    let run =
        world.run(&["exec", "--env", "MY_TOKEN", "--", "/bin/sh", "-c", "echo \"$MY_TOKEN$KRAUBE_ACCESS_TOKEN\""]);
    run.prints(&format!("{}\n", login.access_token));
    for name in ["", "A=B"] {
        world.run(&["exec", "--env", name, "--", "/bin/true"]).fails(2, &["invalid value"]);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn after_a_refresh_the_command_inherits_neither_the_lock_nor_anything_else() {
    let mut world = World::new();
    world.log_in(-MINUTE);
    let script = r#"for fd in /proc/self/fd/*; do readlink "$fd"; done;
        sed -n "s/^SigIgn:[[:space:]]*/ignored /p" /proc/self/status"#;
    let run = world.run(&["exec", "--min-valid", "10m", "--", "/bin/sh", "-c", script]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(world.server.counters().rotations, 1);
    let home = world.home().display().to_string();
    assert!(!run.stdout.contains(&home), "{run:?}");
    assert!(!run.stdout.contains("socket:"), "{run:?}");
    let ignored = run.stdout.lines().find_map(|line| line.strip_prefix("ignored ")).expect("a line");
    let ignored = u64::from_str_radix(ignored, 16).expect("a bit mask");
    assert_eq!(ignored & 1 << (13 - 1), 0, "SIGPIPE is ignored by Rust programs, not by what they start");
}

#[test]
fn without_a_token_the_command_is_not_run() {
    let world = World::new();
    world.run(&["exec", "--", "/bin/sh", "-c", "touch ran"]).fails(4, &["not logged in"]);
    assert!(!world.home().join("ran").exists());
}

#[test]
fn a_command_that_is_not_there_is_an_error() {
    let mut world = World::new();
    world.log_in(50 * MINUTE);
    world.run(&["exec", "--", "./missing"]).fails(1, &["error: ./missing cannot be run\n  caused by: "]);
    world.run(&["exec"]).fails(2, &["required arguments were not provided"]);
}

/// Signals that were waited for during the refresh are not withheld from the program.
#[test]
#[cfg(target_os = "linux")]
fn the_program_gets_the_signals_that_were_waited_for() {
    let mut world = World::new();
    world.log_in(-MINUTE);
    let plain = world.command(&["exec", "--", "/bin/grep", "^SigBlk:", "/proc/self/status"]);
    let mut command = std::process::Command::new("env");
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args(["--default-signal=INT,TERM", "--ignore-signal=HUP"]);
    command.arg(plain.get_program()).args(plain.get_args()).current_dir(world.home());
    world.run_with(command, "").prints("SigBlk:\t0000000000000000\n");
}
