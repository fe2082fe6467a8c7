//! Changes the core in one place after the other, and sees that a test fails each time (cargo-mutants). What no test can
//! tell apart is listed with its reason in `.cargo/mutants.toml`.
//!
//! The tests of the core judge first, since they take a moment; what they miss is judged by the table of transitions and
//! by the exhaustive check.

use crate::{run_command, tools};
use std::path::Path;
use std::process::Command;

const CORE: &[&str] =
    &["mutants", "--package", "kraube-core", "--features", "kraube-core/dpop", "--output", "target/mutants"];
const BY_THE_CORE: &[&str] = &["--profile", "mutants", "--cargo-test-arg=--tests", "--minimum-test-timeout", "60"];
const BY_THE_MACHINES: &[&str] = &[
    "--iterate",
    "--test-package",
    "kraube-tests",
    "--cargo-test-arg=--test=transitions",
    "--cargo-test-arg=--test=model",
    "--minimum-test-timeout",
    "300",
];
/// How cargo-mutants ends where tests were found wanting: a mutant was missed, or a test did not end.
const FOUND_WANTING: [i32; 2] = [2, 3];

/// `rest` goes to cargo-mutants: `--file`, `--re`, `--shard 1/8`.
pub(crate) fn check(rest: &[String]) -> Result<(), String> {
    tools::cargo_install("cargo-mutants", "27.1.0")?;
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    std::fs::create_dir_all("target/mutants").map_err(|error| format!("target/mutants: {error}"))?;
    let first = [CORE, BY_THE_CORE, &rest].concat();
    let status = cargo(&first).status().map_err(|error| format!("cargo mutants: {error}"))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) if FOUND_WANTING.contains(&code) => {
            println!("== what the tests of the core miss, judged by the machines' own suites");
            run_command(&mut cargo(&[CORE, BY_THE_MACHINES, &rest].concat()))
        }
        _ => Err(format!("`cargo {}` failed: {status}; see {}", first.join(" "), log().display())),
    }
}

/// What is built anew is one function, hundreds of times: a third of the time, where the environment had forbidden it.
fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(arguments).env("CARGO_INCREMENTAL", "1");
    cargo
}

fn log() -> &'static Path {
    Path::new("target/mutants/mutants.out/debug.log")
}
