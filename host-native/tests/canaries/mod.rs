//! The search for secrets that the suites share: it hears all that a process logs and panics with, takes note of the
//! secrets that a test meets, and looks for them in whatever anybody has said.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use crate::scene::Scene;
use kraube::Error;
use kraube_testserver::Canary;
use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// What was logged or panicked in this process, by whomever.
static HEARD: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// Parts of the secrets that were met.
static SECRETS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// What the server's tokens and codes begin with.
const PREFIXES: [&str; 3] = ["kr_at_", "kr_rt_", "kr_code_"];

fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes down what is said.
#[derive(Clone, Copy)]
struct Ear;

impl Write for Ear {
    fn write(&mut self, said: &[u8]) -> std::io::Result<usize> {
        lock(&HEARD).extend_from_slice(said);
        Ok(said.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl log::Log for Ear {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let _ = writeln!(lock(&HEARD), "{} {} {}", record.level(), record.target(), record.args());
    }

    fn flush(&self) {}
}

/// Hears everything from now on: `tracing` and `log` at the finest level, of all crates, and panics.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(|| Ear).finish();
        tracing::subscriber::set_global_default(subscriber).expect("it is the only one");
        log::set_logger(&Ear).expect("it is the only one");
        log::set_max_level(log::LevelFilter::Trace);
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let _ = writeln!(lock(&HEARD), "{panic}");
            usual(panic);
        }));
    });
}

/// All that was logged or panicked so far.
pub fn heard() -> String {
    String::from_utf8_lossy(&lock(&HEARD)).into_owned()
}

/// Takes note of a secret: neither its beginning, behind the prefix, nor its end may be found anywhere.
pub fn note(secret: &str) {
    let random = PREFIXES.iter().find_map(|prefix| secret.strip_prefix(prefix)).unwrap_or(secret);
    assert!(random.len() >= 24 && random.is_ascii(), "too short to be told from other text");
    lock(&SECRETS).extend([random[..12].to_owned(), random[random.len() - 12..].to_owned()]);
}

pub fn note_stored(scene: &Scene) {
    for token in [&scene.login.refresh_token, &scene.login.access_token] {
        note(token);
    }
    note(&scene.stored_refresh_token());
    note(&scene.stored_access_token());
}

/// A part of a secret that is in the text.
pub fn leak(text: &str) -> Option<String> {
    let known = lock(&SECRETS);
    let mut parts = PREFIXES.into_iter().chain(known.iter().map(String::as_str));
    parts.find(|part| text.contains(part)).map(str::to_owned)
}

pub fn assert_clean(what: &str, text: &str) {
    if let Some(part) = leak(text) {
        panic!("{what} holds {}...:\n{}", &part[..4], text.replace(&part, "<SECRET>"));
    }
}

pub fn assert_debug_clean(value: &impl Debug) {
    assert_clean(std::any::type_name_of_val(value), &format!("{value:?}\n{value:#?}"));
}

pub fn assert_error_clean(error: &Error) {
    let mut text = format!("{error}\n{error:?}\n{error:#?}\n{:?} {}", error.hint(), error.code());
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        write!(text, "\n{error}\n{error:?}").expect("room");
        source = error.source();
    }
    assert_clean("an error", &text);
}

/// The logs so far, and every file but the two that hold the tokens.
pub fn assert_quiet(scene: &Scene) {
    note_stored(scene);
    let heard = lock(&HEARD).clone();
    assert_clean("a log", &String::from_utf8_lossy(&heard));
    // The server knows more secrets than the test has met: those that were lost on their way, and the verifiers.
    let leaked = |text: &[u8]| scene.server.canaries_in(text);
    assert_eq!(leaked(&heard), [].into(), "in a log");
    for target in scene.server.targets_with_query() {
        // A code and its state are in the address of the page that shows them to be copied, and nowhere else.
        let copied = target.starts_with("/oauth/code/callback?");
        let fit = |kind: &Canary| *kind == Canary::State || (copied && *kind == Canary::Code);
        assert!(leaked(target.as_bytes()).iter().all(fit), "in a URL");
    }
    for entry in std::fs::read_dir(scene.file.parent().expect("a directory")).expect("readable").flatten() {
        assert_clean("a file's name", &entry.file_name().to_string_lossy());
        let room = Path::new(".credentials.json.next");
        if entry.path() != scene.file && entry.file_name() != room {
            let content = std::fs::read(entry.path()).unwrap_or_default();
            assert_clean("a file", &String::from_utf8_lossy(&content));
            assert_eq!(leaked(&content), [].into(), "in a file");
        }
    }
}

/// Where a browser is sent to from this URL. By hand, since HTTP clients log what they do.
pub fn redirect_of(url: &str) -> String {
    let rest = url.strip_prefix("http://").expect("it is on this machine");
    let (host, path) = rest.split_once('/').expect("it has a path");
    let mut browser = std::net::TcpStream::connect(host).expect("the server is there");
    write!(browser, "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    browser.read_to_string(&mut answer).expect("it answers in ASCII");
    let location = answer.lines().find_map(|line| line.strip_prefix("location: "));
    location.expect("it is approved at once").to_owned()
}
