//! The command `kraube-wasi`, run as its users run it, with the components that `cargo xtask wasi` builds. It links no
//! wasmtime of its own.
#![cfg(unix)]

#[path = "../../../host-native/tests/scene/mod.rs"]
mod scene;

mod ends;
mod examples;

use std::path::{Path, PathBuf};
use std::process::Command;

/// `kraube-wasi run` of a component; its arguments are still to be added.
fn command(options: &[&str], credentials: &Path, component: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kraube-wasi"));
    command.arg("run").args(options).arg("--credentials").arg(credentials).arg(component);
    command
}

/// From the folder that `KRAUBE_WASI_COMPONENTS` names, else from `wasi` in the target folder.
fn component(name: &str) -> PathBuf {
    let named = std::env::var_os("KRAUBE_WASI_COMPONENTS").map(PathBuf::from);
    // The command is in `<target>/<profile>`.
    let beside = Path::new(env!("CARGO_BIN_EXE_kraube-wasi")).ancestors().nth(2).map(|target| target.join("wasi"));
    let file = named.or(beside).expect("a target folder").join(name).with_extension("wasm");
    assert!(file.is_file(), "{} is missing: run `cargo xtask wasi`", file.display());
    file
}
