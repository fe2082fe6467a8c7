//! How much of the core its own tests run: lines, regions and branches, counted by the compiler (cargo-llvm-cov).
//!
//! Branches are counted by an option that the stable compiler has only for itself, hence `RUSTC_BOOTSTRAP`. They are the
//! two ways of each condition; the arms of a `match` are regions.

use crate::tools;
use std::path::PathBuf;
use std::process::Command;

/// The tests of the core, then the table; `rest` goes to cargo-llvm-cov: `--html`, `--show-missing-lines`, `--json`.
pub(crate) fn report(rest: &[String]) -> Result<(), String> {
    tools::cargo_install("cargo-llvm-cov", "0.9.1")?;
    let [cov, profdata] = llvm()?;
    let status = Command::new("cargo")
        .args(["llvm-cov", "--package", "kraube-core", "--features", "dpop", "--tests", "--branch"])
        .args(rest)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("LLVM_COV", cov)
        .env("LLVM_PROFDATA", profdata)
        .status()
        .map_err(|error| format!("cargo llvm-cov: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("cargo llvm-cov failed: {status}")) }
}

/// `llvm-cov` and `llvm-profdata` that read what this compiler writes: rustup's, or Debian's of the same major version.
fn llvm() -> Result<[PathBuf; 2], String> {
    let names = ["llvm-cov", "llvm-profdata"];
    let rustc = |argument: &[&str]| {
        let output = Command::new("rustc").args(argument).output().map_err(|error| format!("rustc: {error}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let libraries = PathBuf::from(rustc(&["--print", "target-libdir"])?.trim());
    let beside = names.map(|name| libraries.with_file_name("bin").join(name));
    if beside.iter().all(|file| file.is_file()) {
        return Ok(beside);
    }
    let version = rustc(&["-vV"])?;
    let llvm = version.lines().find_map(|line| line.strip_prefix("LLVM version: "));
    let major = llvm.and_then(|llvm| llvm.split('.').next()).ok_or("rustc does not name its LLVM")?;
    let debian = names.map(|name| format!("{name}-{major}"));
    let there = || debian.each_ref().map(|name| tools::on_path(name));
    if there().iter().any(Option::is_none) {
        tools::install(&[&format!("llvm-{major}")]).map_err(|error| {
            format!("coverage needs `llvm-cov` {major}: rustup component add llvm-tools, or {error}")
        })?;
    }
    match there() {
        [Some(cov), Some(profdata)] => Ok([cov, profdata]),
        _ => Err(format!("`{}` was installed and is not there", debian.join("`, `"))),
    }
}
