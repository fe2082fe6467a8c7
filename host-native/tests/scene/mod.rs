//! What the suites of the token source share: a server, a file with a login, and a gate between them that holds answers
//! back for as long as a test wants.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use kraube::core::credential::Failure;
use kraube::core::machine::{Blob, Revision, StoreError, StoreErrorKind, WriteError};
use kraube::core::policy::Policy;
use kraube::core::provider::{Client, Provider};
use kraube::core::record::Credentials;
use kraube::core::secret::Secret;
use kraube::core::time::{Millis, Timestamp};
use kraube::store::{FileStore, Guard, NotLocked, Store};
use kraube::{Error, Options, Token, TokenSource};
use kraube_testserver::{Config, Event, Login, Server, Shape};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

/// Longer than anything takes that is going to happen at all.
pub const BOUND: Duration = Duration::from_secs(30);

/// An hour, in milliseconds.
pub const HOUR: u64 = 3_600_000;

/// A member of another program, which must outlive everything.
const THEIRS: &str = r#"{"keep": [1, 2.50, "ü"]}"#;

/// A server, and a login that it issued in a file.
pub struct Scene {
    pub server: Server,
    events: Mutex<Receiver<Event>>,
    pub gate: Gate,
    pub login: Login,
    dir: Option<TempDir>,
    pub file: PathBuf,
}

/// Which of the access token's life is left in the file.
#[derive(Clone, Copy)]
pub enum Left {
    Nothing,
    /// It lives, and is due to be refreshed.
    Little,
    Much,
}

impl Scene {
    /// The access token in the file has expired.
    pub fn new(config: Config) -> Self {
        Self::with(config, Left::Nothing)
    }

    pub fn with(config: Config, left: Left) -> Self {
        let dir = directory();
        let scene = Self::in_directory(config, left, dir.path());
        Self { dir: Some(dir), ..scene }
    }

    pub fn in_directory(config: Config, left: Left, dir: &Path) -> Self {
        let shape = config.shape;
        let server = Server::spawn(config).expect("a free port");
        let events = Mutex::new(server.events());
        let gate = Gate::before(&server);
        let login = server.issue_login();
        let file = dir.canonicalize().expect("it exists").join("credentials.json");
        let scene = Self { server, events, gate, login, dir: None, file };
        kraube::save_credentials(Some(&scene.file), &scene.credentials(&scene.login, left, shape)).expect("room");
        let text = fs::read_to_string(&scene.file).expect("it was just written");
        let text = text.replacen('{', &format!("{{\n  \"theirs\": {THEIRS},"), 1);
        let text = text.replacen("\"kraube\": {", "\"kraube\": {\n    \"later\": [true],", 1);
        fs::write(&scene.file, text).expect("it is ours");
        scene
    }

    pub fn credentials(&self, login: &Login, left: Left, shape: Shape) -> Credentials {
        let now = now();
        let (obtained, expires) = match left {
            Left::Nothing => (now - HOUR, now - 1000),
            Left::Little => (now - HOUR, now + 50_000),
            Left::Much => (now - 1000, now + HOUR),
        };
        Credentials {
            binding: None,
            access_token: Secret::new(login.access_token.clone()),
            refresh_token: Some(Secret::new(login.refresh_token.clone())),
            expires_at: Timestamp(expires),
            obtained_at: Some(Timestamp(obtained)),
            scope: None,
            client: Some(client(&self.gate.issuer(), shape)),
        }
    }

    pub fn source(&self) -> TokenSource {
        self.source_by(quick())
    }

    pub fn source_by(&self, policy: Policy) -> TokenSource {
        source_at(&self.file, policy)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(&self.file).expect("it is there")).expect("it is JSON")
    }

    pub fn member(&self, pointer: &str) -> Value {
        self.json().pointer(pointer).cloned().unwrap_or(Value::Null)
    }

    pub fn stored_refresh_token(&self) -> String {
        self.member("/refreshToken").as_str().expect("it is a string").to_owned()
    }

    pub fn stored_access_token(&self) -> String {
        self.member("/accessToken").as_str().expect("it is a string").to_owned()
    }

    pub fn login_id(&self) -> Value {
        self.member("/kraube/login")
    }

    /// What must stay equal when a refresh fails.
    pub fn tokens(&self) -> [Value; 5] {
        ["/refreshToken", "/accessToken", "/expiresAt", "/theirs", "/kraube/later"].map(|name| self.member(name))
    }

    /// Waits until this has happened.
    pub fn wait_for(&self, what: impl Fn(&Event) -> bool) {
        let end = Instant::now() + BOUND;
        let events = self.events.lock().expect("one test, one thread that waits");
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match events.recv_timeout(left) {
                Ok(event) if what(&event) => return,
                Ok(_) => {}
                Err(_) => panic!("the server never saw it: {:?}", self.server.counters()),
            }
        }
    }

    /// Waits until the server has rotated.
    pub fn wait_for_rotation(&self) {
        self.wait_for(|event| matches!(event, Event::RefreshCommitted { .. }));
    }

    pub fn requests(&self) -> u64 {
        self.server.counters().refresh_requests
    }

    /// The stored login goes on, nobody presented a spent token, and no two requests met.
    pub fn assert_alive(&self) {
        let counters = self.server.counters();
        assert!(self.server.family_alive(&self.stored_refresh_token()), "the stored login is dead: {counters:?}");
        assert_eq!(counters.replays, 0, "{counters:?}");
        assert!(counters.in_flight_max <= 1, "{counters:?}");
        assert_eq!(self.member("/theirs"), serde_json::from_str::<Value>(THEIRS).expect("it is JSON"));
    }

    /// Other tokens of the same login, stored by somebody who does not take the lock.
    pub fn replace_without_lock(&self, refresh_token: &str, access_token: &str, change: impl FnOnce(&mut Value)) {
        let mut json = self.json();
        json["refreshToken"] = refresh_token.into();
        json["accessToken"] = access_token.into();
        json["expiresAt"] = (now() + HOUR).into();
        change(&mut json);
        let foreign = self.file.with_extension("foreign");
        fs::write(&foreign, json.to_string()).expect("room");
        // On Windows a file cannot be replaced while somebody reads it.
        while let Err(error) = fs::rename(&foreign, &self.file) {
            assert!(cfg!(windows) && error.kind() == std::io::ErrorKind::PermissionDenied, "{error}");
            std::thread::yield_now();
        }
    }
}

/// In memory where there is such a place: many durable writes, and how long a disk takes does not matter here.
pub fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    dir.expect("a temporary directory")
}

pub fn client(issuer: &str, shape: Shape) -> Client {
    let provider = match shape {
        Shape::Standard => Provider::demo(issuer),
        Shape::Claude => Provider::demo_claude(issuer),
    };
    provider.expect("an issuer on the loopback interface").client().expect("it has a client id")
}

pub fn source_at(file: &Path, policy: Policy) -> TokenSource {
    TokenSource::from_store(FileStore::open(file).expect("a path to a file"), options(policy))
}

pub fn options(policy: Policy) -> Options {
    let mut options = Options::default();
    options.policy = policy;
    options
}

/// Who has a living token is given it while the refresh goes on.
pub fn impatient() -> Policy {
    Policy { patience: Millis(100), ..quick() }
}

/// Figures that do not keep a test waiting, and a patience that outlasts any answer, so that it is the answer that counts.
pub fn quick() -> Policy {
    Policy {
        patience: Millis::from_secs(BOUND.as_secs()),
        settle: Millis(50),
        torn_pause: Millis(5),
        reject_floor: Millis::ZERO,
        resend_pause: Millis(20),
        save_pause: Millis(5),
        save_time: Millis(100),
        unreachable_pause: Millis(20),
        backoff_first: Millis(20),
        ..Policy::default()
    }
}

pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_millis()).expect("before the end of time")
}

/// Waits for what no event tells.
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + BOUND;
    while !is() {
        assert!(Instant::now() < end, "it never happened: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Asks again for as long as only the back-off answers.
pub fn after_back_off(source: &TokenSource) -> Result<Token, Error> {
    let mut last = None;
    until("the end of the back-off", || {
        let answer = source.blocking_token();
        let failure = match &answer {
            Ok(token) => token.stale().map(Failure::code),
            Err(error) => Some(error.code()),
        };
        let over = failure != Some("backing_off");
        last = Some(answer);
        over
    });
    last.expect("it was asked")
}

pub fn code(result: Result<Token, Error>) -> &'static str {
    match result {
        Ok(token) => panic!("there is a token: {token:?}"),
        Err(error) => error.code(),
    }
}

/// Stands between the clients and the server. While it is closed, requests go through and answers do not.
pub struct Gate {
    shared: Arc<Shared>,
    port: u16,
}

struct Shared {
    open: Mutex<bool>,
    changed: Condvar,
    over: AtomicBool,
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, bool> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass(&self) {
        let open = self.open();
        drop(self.changed.wait_while(open, |open| !*open).unwrap_or_else(PoisonError::into_inner));
    }
}

impl Gate {
    pub fn before(server: &Server) -> Self {
        let port: u16 = server.issuer().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let shared = Arc::new(Shared { open: Mutex::new(true), changed: Condvar::new(), over: AtomicBool::new(false) });
        let gate = Self { shared: Arc::clone(&shared), port: listener.local_addr().expect("it is bound").port() };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.over.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let shared = Arc::clone(&shared);
                let (from, to) = (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
                std::thread::spawn(move || carry(from, to, || {}));
                std::thread::spawn(move || carry(server, client, || shared.pass()));
            }
        });
        gate
    }

    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn close(&self) {
        *self.shared.open() = false;
    }

    pub fn open(&self) {
        *self.shared.open() = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
        self.shared.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, pass: impl Fn()) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        match from.read(&mut bytes) {
            Ok(0) => break drop(to.shutdown(Shutdown::Write)),
            Ok(count) => {
                pass();
                if to.write_all(&bytes[..count]).is_err() {
                    break drop(from.shutdown(Shutdown::Both));
                }
            }
            Err(_) => {
                // A reset is passed on as the end of both directions.
                pass();
                break drop((to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both)));
            }
        }
    }
}

/// A file store whose operations a test can spoil.
pub struct Spoilt {
    pub inner: FileStore,
    pub spoil: Arc<Spoil>,
}

type Hook<T> = Box<dyn Fn(T) -> T + Send + Sync>;

/// What becomes of a write before it happens, and of a read after it did.
pub struct Spoil {
    pub write: Hook<Result<(), StoreError>>,
    pub read: Hook<Option<Blob>>,
}

impl Default for Spoil {
    fn default() -> Self {
        Self { write: Box::new(|go| go), read: Box::new(|blob| blob) }
    }
}

pub fn disk_died() -> StoreError {
    StoreError { kind: StoreErrorKind::Io, detail: "the disk died".to_owned() }
}

impl Store for Spoilt {
    fn lock(&self, wait: Duration, seen: Option<Revision>) -> Result<Guard, NotLocked> {
        self.inner.lock(wait, seen)
    }

    fn read(&self) -> Result<Option<Blob>, StoreError> {
        self.inner.read().map(&self.spoil.read)
    }

    fn write(&self, replaces: Option<Revision>, blob: &Blob, reserve: usize) -> Result<(), WriteError> {
        (self.spoil.write)(Ok(())).map_err(WriteError::Failed)?;
        self.inner.write(replaces, blob, reserve)
    }

    fn delete(&self, replaces: Revision) -> Result<(), WriteError> {
        self.inner.delete(replaces)
    }

    fn holds(&self, guard: &Guard, revision: Revision) -> bool {
        self.inner.holds(guard, revision)
    }

    fn key(&self) -> String {
        self.inner.key()
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.inner.probe()
    }
}
