//! A share of the cases of `cargo xtask faults`, evenly chosen, and all real mounts.
#![cfg(target_os = "linux")]

use std::process::Command;

#[test]
fn failing_system_calls_leave_the_old_credentials_or_the_new_ones() {
    let done = Command::new(env!("CARGO_BIN_EXE_faults")).args(["--one-in", "7"]).output().expect("it is built");
    let (said, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}\n{errors}");
}
