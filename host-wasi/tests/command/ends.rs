//! How a run ends, and what a person is told: of what cannot be run, of a component that fails, of an interrupt. No secret is
//! in it.

use crate::scene::{Left, Scene, until};
use crate::{command, component};
use kraube::store::{FileStore, Store as _};
use kraube_testserver::{Canary, Config, Fault, FaultKind};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
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
        let mut command = command(options, &scene.file, &component(name));
        assert_waits(&scene, command.arg(scene.server.resource_url()), &[Signal::INT], name);
    }
}

/// As under `nohup`, and in the background of a script: what is ignored stays ignored, and the others are waited for.
#[test]
#[cfg(target_os = "linux")]
fn an_ignored_signal_does_not_keep_the_others_from_waiting_for_the_answer() {
    for (ignored, signals) in [
        ("HUP", &[Signal::HUP, Signal::TERM][..]),
        ("INT", &[Signal::INT, Signal::TERM]),
        ("HUP,TERM", &[Signal::HUP, Signal::TERM, Signal::INT]),
    ] {
        let scene = Scene::new(Config::default());
        let plain = command(&[], &scene.file, &component("app"));
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP,INT,TERM", &format!("--ignore-signal={ignored}")]);
        command.arg(plain.get_program()).args(plain.get_args()).arg(scene.server.resource_url());
        assert_waits(&scene, &mut command, signals, ignored);
    }
}

/// The command is sent these signals while a refresh is under way, and ends when the rotation is stored.
fn assert_waits(scene: &Scene, command: &mut Command, signals: &[Signal], what: &str) {
    scene.gate.close();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the command was built");
    scene.wait_for_rotation();
    for signal in signals {
        kill_process(Pid::from_child(&child), *signal).expect("it is our child");
    }
    let mut said = BufReader::new(child.stderr.take().expect("it is a pipe"));
    let mut line = String::new();
    said.read_line(&mut line).expect("text");
    assert!(line.contains("under way"), "{what}: {line}");
    scene.gate.open();
    // Where the component ends first, its own exit code is the one.
    let code = child.wait().expect("it is our child").code();
    assert!(matches!(code, Some(0 | 130)), "{what}: {code:?}");
    said.read_to_string(&mut line).expect("text");
    assert_ne!(scene.stored_refresh_token(), scene.login.refresh_token, "{what}: {line}");
    scene.assert_alive();
}

#[test]
fn an_interrupt_waits_for_no_answer_where_the_login_is_in_doubt_and_nothing_is_under_way() {
    let scene = Scene::with(Config::default(), Left::Little);
    scene.server.inject(Fault::before(FaultKind::retry_after(503, "600")).times(3));
    let token = scene.source().blocking_token().expect("it lives");
    assert!(token.stale().is_some() && scene.member("/kraube/redeeming").is_object(), "{}", scene.json());
    for by_other in [false, true] {
        let resource = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let mut command = command(&[], &scene.file, &component("app"));
        command.arg(format!("http://{}/", resource.local_addr().expect("it is bound")));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the command was built");
        // The component has its token, and is never answered.
        let call = resource.accept().expect("it calls");
        let store = FileStore::open(&scene.file).expect("a path to a file");
        let lock = by_other.then(|| store.lock(Duration::ZERO, None).expect("nobody holds it"));
        kill_process(Pid::from_child(&child), Signal::TERM).expect("it is our child");
        let mut said = BufReader::new(child.stderr.take().expect("it is a pipe"));
        let mut line = String::new();
        if let Some(lock) = lock {
            // Somebody else redeems the token, as far as can be told, and gives up.
            said.read_line(&mut line).expect("text");
            assert!(line.contains("under way"), "{line}");
            assert_eq!(child.try_wait().expect("it is our child"), None);
            drop(lock);
        }
        until("the end", || child.try_wait().expect("it is our child").is_some());
        assert_eq!(child.wait().expect("it is our child").code(), Some(130));
        line.clear();
        said.read_to_string(&mut line).expect("text");
        assert_eq!(line, "");
        drop(call);
    }
    assert_eq!(scene.stored_refresh_token(), scene.login.refresh_token);
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
