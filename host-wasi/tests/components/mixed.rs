//! Hosts of components, native processes and Deno on one file: all force refreshes, and some are killed.

use crate::processes::{Helper, start, tell, wait_for_starter};
use crate::scene::{Left, Scene, quick, source_at};
use crate::support::{GUEST, Granted, PROVIDER, assert_unlocked, guest, provider, run};
use kraube_testserver::{Config, Event};
use serde_json::json;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ROTATIONS: u64 = 200;
/// So many of them are left to the two hosts whose components have the provider inside: it cannot be told to refresh more
/// often than a resource may reject, and so would come too late for most.
const BY_PROVIDERS: u64 = 40;

#[test]
fn components_native_processes_and_deno_share_one_login() {
    // Half of this life is the margin, and bounds how often a provider refreshes.
    let members = vec![("expires_in".to_owned(), Some(json!(0.2)))];
    // Not in memory: Deno keeps away from all of `/dev`.
    let place = tempfile::tempdir().expect("a temporary directory");
    let config = Config { token_members: members, ..Config::default() };
    let scene = Scene::in_directory(config, Left::Nothing, place.path());
    let started = |role: &str| {
        let mut helper = start(role, &scene.file);
        helper.expect("ready");
        helper
    };
    let denos = [0; 2].map(|_| Deno::start(&scene));
    let providers = ["store", "store"].map(started);
    let others: Vec<Helper> = ["tokens"; 2].into_iter().chain(["native"; 8]).map(started).collect();
    let rotated = |count| {
        while scene.server.counters().rotations < count {
            scene.wait_for(|event| matches!(event, Event::RefreshCommitted { .. } | Event::Replay { .. }));
            assert_eq!(scene.server.counters().replays, 0);
        }
    };
    rotated(ROTATIONS - BY_PROVIDERS);
    others.into_iter().for_each(Helper::finish);
    denos.into_iter().for_each(Deno::finish);
    rotated(scene.server.counters().rotations + BY_PROVIDERS);
    providers.into_iter().for_each(Helper::finish);
    let counters = scene.server.counters();
    assert!(counters.rotations >= ROTATIONS, "{counters:?}");
    assert_eq!((counters.refresh_requests, counters.refused), (counters.rotations, 0), "{counters:?}");
    scene.assert_alive();
}

#[test]
fn a_host_that_is_killed_in_mid_refresh_loses_nothing_where_the_server_has_a_grace() {
    for role in ["tokens, once", "store, once"] {
        let scene = Scene::new(Config { grace: Some(Duration::from_secs(600)), ..Config::default() });
        scene.gate.close();
        let mut helper = start(role, &scene.file);
        helper.expect("ready");
        scene.wait_for_rotation();
        helper.kill();
        assert_unlocked(&scene.file);
        scene.gate.open();
        scene.source().blocking_token().expect("the server has a grace");
        assert_eq!(scene.server.counters().grace_retries, 1, "{role}");
        scene.assert_alive();
    }
}

/// A program of the npm package that rejects one token after the other. Dropping it kills it.
struct Deno {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Deno {
    /// It has had its first token.
    fn start(scene: &Scene) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let (deno, package) = (root.join("host-js/tests/node_modules/.bin/deno"), root.join("target/js/kraube/dist"));
        for needed in [&deno, &package] {
            assert!(needed.exists(), "there is no {}: run `cargo xtask wasi`", needed.display());
        }
        let folder = scene.file.parent().expect("it is in a directory").display().to_string();
        let host = scene.gate.issuer().replace("http://", "");
        let mut command = Command::new(deno);
        command.args([
            "run",
            "--no-prompt",
            "--allow-sys=uid",
            "--allow-env=KRAUBE_CREDENTIALS_PATH,XDG_CONFIG_HOME,HOME",
        ]);
        command.args(["read", "write"].map(|right| format!("--allow-{right}={folder}")));
        command.arg(format!("--allow-net={host}")).arg(root.join("host-js/tests/deno/worker.ts"));
        command.env("KRAUBE_CREDENTIALS_PATH", &scene.file).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let mut said = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut line = String::new();
        said.read_line(&mut line).expect("it is text");
        assert_eq!(line, "ready\n");
        Self { child, said }
    }

    fn finish(mut self) {
        drop(self.child.stdin.take());
        self.said.read_to_end(&mut Vec::new()).expect("it ends");
        let status = self.child.wait().expect("it is our child");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Deno {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In a helper process.
pub(crate) fn role(role: &str, path: &Path) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_for_starter();
            over.store(true, Ordering::Relaxed);
        });
        let over = || over.load(Ordering::Relaxed);
        match role {
            "native" => native(path, over),
            "tokens" => tokens(path, over),
            "store" => store(path, over),
            "tokens, once" => tokens(path, || false),
            "store, once" => store(path, || false),
            other => panic!("no such role: {other}"),
        }
    });
    tell("done");
}

/// A resource that rejects each token once.
fn native(path: &Path, over: impl Fn() -> bool) {
    let source = source_at(path, quick());
    tell("ready");
    let mut last = String::new();
    while !over() {
        let token = source.blocking_token().unwrap_or_else(|error| panic!("{}: {error:?}", error.code()));
        assert_ne!(token.expose(), last, "a rejected token came back");
        token.expose().clone_into(&mut last);
        source.reject(&token);
    }
}

/// The same, in a component that is given tokens.
fn tokens(path: &Path, over: impl Fn() -> bool) {
    run(async {
        let (mut store, it) = guest(Granted::file(path), &GUEST).await;
        tell("ready");
        let mut last = String::new();
        while !over() {
            let token = it.call_run(&mut store, "reject", 0).await.expect("no trap").expect("a token");
            assert_ne!(token, last, "a rejected token came back");
            last = token;
        }
    });
}

/// A component with the provider inside.
fn store(path: &Path, over: impl Fn() -> bool) {
    run(async {
        let (mut store, it) = provider(Granted::file(path), &PROVIDER).await;
        tell("ready");
        while !over() {
            let token = it.token(&mut store).await.expect("no trap");
            token.unwrap_or_else(|error| panic!("{error:?}"));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}
