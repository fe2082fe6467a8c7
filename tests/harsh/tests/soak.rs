//! A short soak: some seconds of what `cargo xtask soak` does.
#![cfg(unix)]

use std::process::Command;

#[test]
fn processes_that_are_disturbed_and_killed_keep_the_promise() {
    // A grace that no load of the machine outlasts: how soon the next process comes is not what is tested here.
    let figures = ["--refreshes", "1500", "--drops", "200", "--kills", "64", "--grace", "600"];
    let done = Command::new(env!("CARGO_BIN_EXE_soak")).args(figures).output().expect("it is built");
    let (said, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}\n{errors}");
    assert_eq!(said.lines().filter(|line| line.trim() == "kept").count(), 3, "{said}\n{errors}");
}
