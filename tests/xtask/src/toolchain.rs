//! A cargo for targets that the compiler in use may not have: rustup's, where it can add the target; else Debian's, which
//! compiles the standard library along. For what is downloaded both of them compile it, so that it is as small as can be.

use crate::tools;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's compiler for the web, and the source of the standard library.
const DEBIAN: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];
const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
const LIBRARY: &str = "/usr/lib/rustlib/src/rust/library/std";

/// Where the compiler comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// It brings the standard library for the target.
    Rustup,
    /// It is rustup's, with the sources of the standard library, which cargo builds.
    Sources,
    /// It has none: cargo builds it.
    Debian,
}

/// Finds a compiler for the target, or installs one.
pub(crate) fn source(target: &str) -> Result<Source, String> {
    if has(target) { Ok(Source::Rustup) } else { debian(target) }
}

/// The same, with the source of the standard library.
pub(crate) fn with_library(target: &str) -> Result<Source, String> {
    if has_source() { Ok(Source::Sources) } else { debian(target) }
}

fn debian(target: &str) -> Result<Source, String> {
    if ![RUSTC, CARGO, LIBRARY].iter().all(|path| Path::new(path).exists()) {
        tools::install(DEBIAN)
            .map_err(|error| format!("neither rustup nor this machine has the target {target}: {error}"))?;
    }
    Ok(Source::Debian)
}

impl Source {
    /// A cargo that builds with this compiler. `library` names the crates of the standard library that are needed.
    pub(crate) fn cargo(self, library: &str) -> Command {
        match self {
            Self::Rustup => Command::new("cargo"),
            Self::Sources => {
                let mut cargo = Command::new("cargo");
                cargo.env("RUSTC_BOOTSTRAP", "1").arg(format!("-Zbuild-std={library}"));
                cargo
            }
            Self::Debian => {
                let mut cargo = Command::new(CARGO);
                cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", RUSTC).env_remove("RUSTUP_TOOLCHAIN");
                cargo.arg(format!("-Zbuild-std={library}"));
                cargo
            }
        }
    }
}

/// A folder below the target folder.
pub(crate) fn folder(name: &str) -> Result<PathBuf, String> {
    let asked = Command::new("cargo").args(["metadata", "--format-version", "1", "--no-deps"]).output();
    let output = asked.map_err(|error| error.to_string())?.stdout;
    let text = String::from_utf8_lossy(&output);
    let (_, rest) = text.split_once("\"target_directory\":\"").ok_or("cargo metadata names no target directory")?;
    Ok(Path::new(rest.split('"').next().unwrap_or_default()).join(name))
}

/// Whether the compiler in use brings the target, or rustup can.
fn has(target: &str) -> bool {
    let there = || {
        let asked = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
        asked.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
    };
    let add = || Command::new("rustup").args(["target", "add", target]).output();
    there() || (tools::on_path("rustup").is_some() && add().is_ok_and(|output| output.status.success()) && there())
}

/// Whether the compiler in use has the source of the standard library, or rustup can add it.
fn has_source() -> bool {
    let there = || {
        let asked = Command::new("rustc").args(["--print", "sysroot"]).output();
        let sysroot = asked.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
        Path::new(&sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file()
    };
    let add = || Command::new("rustup").args(["component", "add", "rust-src"]).output();
    there() || (tools::on_path("rustup").is_some() && add().is_ok_and(|output| output.status.success()) && there())
}
