//! Changes the core in one place after the other, and sees that one of its own tests fails each time (cargo-mutants). What no
//! test can tell apart is listed with its reason in `.cargo/mutants.toml`.

use crate::{run_command, tools};
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

/// `rest` goes to cargo-mutants: `--file`, `--re`, `--shard 1/8`.
pub(crate) fn check(rest: &[String]) -> Result<(), String> {
    tools::cargo_install("cargo-mutants", "27.1.0")?;
    std::fs::create_dir_all("target/mutants").map_err(|error| format!("target/mutants: {error}"))?;
    // What is built anew is one function, hundreds of times: a third of the time, where the environment had forbidden it.
    run_command(Command::new("cargo").args(ARGUMENTS).args(rest).env("CARGO_INCREMENTAL", "1"))
}
