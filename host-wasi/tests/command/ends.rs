//! How a run ends, and what a person is told: of what cannot be run, of a component that fails, of an interrupt. No secret is
//! in it.

use crate::scene::{Left, Scene};
use crate::{command, component};
use kraube_testserver::{Canary, Config, Fault, FaultKind};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// The exit code, standard output, standard error.
fn ended(command: &mut Command) -> (Option<i32>, String, String) {
    // Whoever looks for a fault turns these on.
    let Output { status, stdout, stderr } =
        command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full").output().expect("the command was built");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn what_cannot_be_run_says_what_to_do() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let written = |name: &str, bytes: &[u8]| {
        let file = dir.path().join(name);
        fs::write(&file, bytes).expect("room");
        file
    };
    let credentials = dir.path().join("credentials.json");
    for (file, error, hint) in [
        (dir.path().join("none.wasm"), "none.wasm: No such file", None),
        (written("text.wasm", b"(component)"), "text.wasm: this is not WebAssembly", None),
        (
            written("core.wasm", b"\0asm\x01\0\0\0"),
            "core.wasm: this is a core module",
            Some("wasm-tools component new"),
        ),
        (written("cut.wasm", b"\0asm\x0d\0\x01\0\x07"), "cut.wasm: ", None),
        (component("app-composed"), "kraube:auth/store", Some("--lend-store")),
        (component("sans-io"), "wasi:cli/run", Some("components that export `wasi:cli/run`")),
        (component("app"), "(logged_out)\nhint: ", None),
    ] {
        let (code, stdout, stderr) = ended(command(&[], &credentials, &file).arg("http://127.0.0.1:9/"));
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{}: {stderr}", file.display());
        assert!(stderr.starts_with("error: ") && stderr.contains(error), "{}: {stderr}", file.display());
        let hinted = stderr.split_once("\nhint: ").map(|(_, hint)| hint);
        assert!(hint.is_none_or(|hint| hinted.is_some_and(|told| told.contains(hint))), "{}: {stderr}", file.display());
    }
    assert!(!credentials.exists(), "nothing is created");
}

#[test]
fn an_interrupt_in_mid_refresh_waits_until_the_rotation_is_stored() {
    for (options, name) in [(&[][..], "app"), (&["--lend-store"], "app-composed")] {
        let scene = Scene::new(Config::default());
        scene.gate.close();
        let mut command = command(options, &scene.file, &component(name));
        command.arg(scene.server.resource_url()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command was built");
        scene.wait_for_rotation();
        kill_process(Pid::from_child(&child), Signal::INT).expect("it is our child");
        let mut said = BufReader::new(child.stderr.take().expect("it is a pipe"));
        let mut line = String::new();
        said.read_line(&mut line).expect("text");
        assert!(line.contains("under way"), "{line}");
        scene.gate.open();
        // Where the component ends first, its own exit code is the one.
        let code = child.wait().expect("it is our child").code();
        assert!(matches!(code, Some(0 | 130)), "{name}: {code:?}");
        said.read_to_string(&mut line).expect("text");
        assert_ne!(scene.stored_refresh_token(), scene.login.refresh_token, "{name}: {line}");
        scene.assert_alive();
    }
}

#[test]
fn what_the_store_said_is_for_the_person_and_not_for_the_component() {
    let scene = Scene::new(Config::default());
    fs::hard_link(&scene.file, scene.file.with_extension("second")).expect("room");
    let mut command = command(&["--lend-store"], &scene.file, &component("app-composed"));
    let (code, _, stderr) = ended(command.arg(scene.server.resource_url()));
    assert_eq!((code, scene.requests()), (Some(1), 0), "{stderr}");
    let (host, component): (Vec<&str>, Vec<&str>) = stderr.lines().partition(|line| line.contains("WARN"));
    assert!(host.iter().any(|line| line.contains("hard link")), "{stderr}");
    assert!(!component.concat().contains("hard link"), "{stderr}");
}

/// What becomes of the requests of a scene.
type Injected = dyn Fn(&Scene) -> Option<Fault>;

#[test]
fn nothing_that_is_written_holds_a_secret() {
    let faults: [&Injected; 5] = [
        &|_| None,
        &|scene| {
            let description = format!("of {}", scene.login.refresh_token);
            let body = json!({ "error": "invalid_request", "error_description": description }).to_string();
            Some(Fault::before(FaultKind::body(400, "application/json", body)).times(3))
        },
        &|_| Some(Fault::after(FaultKind::Reset).times(3)),
        &|scene| Some(Fault::after(FaultKind::body(200, "text/html", scene.login.refresh_token.clone())).times(3)),
        &|_| Some(Fault::before(FaultKind::status(503)).times(3)),
    ];
    for (options, name) in [(&[][..], "app"), (&["--lend-store"], "app-composed")] {
        for fault in faults {
            let config = Config { grace: Some(Duration::from_secs(60)), ..Config::default() };
            let scene = Scene::with(config, Left::Nothing);
            fault(&scene).into_iter().for_each(|fault| scene.server.inject(fault));
            let (code, stdout, stderr) =
                ended(command(options, &scene.file, &component(name)).arg(scene.server.resource_url()));
            assert!(matches!(code, Some(0 | 1)), "{stderr}");
            assert_eq!(found(&scene, &[&stdout, &stderr]), [].into(), "{name}: {stdout}{stderr}");
            search_files(&scene);
        }
    }
}

fn found(scene: &Scene, texts: &[&str]) -> BTreeSet<Canary> {
    texts.iter().flat_map(|text| scene.server.canaries_in(text.as_bytes())).collect()
}

/// All but the one that holds the login.
fn search_files(scene: &Scene) {
    let is_ours = |file: &Path| file == scene.file || file.ends_with(".credentials.json.next");
    for entry in fs::read_dir(scene.file.parent().expect("a directory")).expect("ours").flatten() {
        if !is_ours(&entry.path()) {
            let content = fs::read(entry.path()).expect("ours");
            assert_eq!(scene.server.canaries_in(&content), [].into(), "in {}", entry.path().display());
        }
    }
}
