//! The components under jco on Node: what is said of them in `tests/jco` happens.

use crate::support::folder;
use kraube_testserver::{Config, Server};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// jco and what its output imports; `cargo xtask wasi` installs them.
fn packages() -> PathBuf {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/js/node_modules");
    assert!(packages.join(".bin/jco").exists(), "there is no jco: run `cargo xtask wasi`");
    packages
}

/// A folder with what jco makes of a component.
fn transpiled(name: &str, options: &[&str]) -> TempDir {
    let to = tempfile::tempdir().expect("a temporary directory");
    std::os::unix::fs::symlink(packages(), to.path().join("node_modules")).expect("the directory is ours");
    std::fs::write(to.path().join("package.json"), r#"{"type":"module"}"#).expect("room");
    let component = folder().join(name).with_extension("wasm");
    let mut jco = Command::new(packages().join(".bin/jco"));
    said(
        jco.arg("transpile")
            .arg(component)
            .arg("--quiet")
            .arg("-o")
            .arg(to.path())
            .args(["--name", name])
            .args(options),
    );
    to
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jco").join(name)
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

#[test]
fn the_component_does_what_is_recorded() {
    let made = transpiled("sans-io", &[]);
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let files = ["machines.json", "calls.json"].map(|file| vectors.join(file));
    let count = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).expect("it is there");
        serde_json::from_str::<Vec<Value>>(&text).expect("it is an array").len()
    };
    let told = said(Command::new("node").arg(script("vectors.js")).arg(made.path()).args(&files));
    let told: Value = serde_json::from_str(&told).expect("it is JSON");
    assert_eq!(told["failures"], Value::Array(Vec::new()), "{told:#}");
    assert_eq!(told["passed"], files.iter().map(count).sum::<usize>());
}

#[test]
fn the_provider_keeps_a_login_alive() {
    let store = format!("kraube:auth/store={}", script("store.js").display());
    let made = transpiled("token-provider", &["--map", &store]);
    let server = Server::spawn(Config::default()).expect("a free port");
    said(Command::new("node").arg(script("provider.js")).arg(made.path()).arg(server.issuer()));
    let counters = server.counters();
    assert_eq!((counters.codes_redeemed, counters.rotations, counters.refresh_requests), (1, 1, 1), "{counters:?}");
    assert_eq!((counters.replays, counters.revocations), (0, 1), "{counters:?}");
}
