//! Changes the core in one place after the other, and sees that one of its own tests fails each time (cargo-mutants). What no
//! test can tell apart is listed with its reason in `.cargo/mutants.toml`.

use crate::tools;
use std::process::Command;

const ARGUMENTS: &[&str] = &[
    "mutants",
    "--package",
    "kraube-core",
    "--features",
    "kraube-core/dpop",
    "--output",
    "target/mutants",
    "--profile",
    "mutants",
    "--cargo-test-arg=--tests",
    "--minimum-test-timeout",
    "60",
];

/// How cargo-mutants ends where all was noticed, some of it since a test did not end.
const WITH_TIME_OUTS: i32 = 3;

/// `rest` goes to cargo-mutants: `--file`, `--re`, `--shard 1/8`.
pub(crate) fn check(rest: &[String]) -> Result<(), String> {
    tools::cargo_install("cargo-mutants", "27.1.0")?;
    std::fs::create_dir_all("target/mutants").map_err(|error| format!("target/mutants: {error}"))?;
    let mut cargo = Command::new("cargo");
    // What is built anew is one function, hundreds of times: a third of the time, where the environment had forbidden it.
    cargo.args(ARGUMENTS).args(rest).env("CARGO_INCREMENTAL", "1");
    let status = cargo.status().map_err(|error| format!("cargo mutants: {error}"))?;
    match status.code() {
        Some(0 | WITH_TIME_OUTS) => Ok(()),
        _ => Err(format!("cargo mutants: {status}; see target/mutants/mutants.out")),
    }
}
