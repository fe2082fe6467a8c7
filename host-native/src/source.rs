//! What a Rust program uses: [`TokenSource`] and [`Token`].

use crate::authorize::Nonces;
use crate::drive::{Io, timestamp};
use crate::error::Error;
use crate::http::Http;
use crate::paths;
use crate::store::{FileStore, MemoryStore, Store};
use crate::token::{Memory, Token};
use crate::worker::{Ask, Job, Reply, Worker, peek};
use kraube_core::credential::{Baseline, Failure, Wanted};
use kraube_core::policy::Policy;
use kraube_core::provider::Client;
use kraube_core::record::Credentials;
use kraube_core::secret::Secret;
use kraube_core::time::Millis;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// Gives living access tokens. Cheap to clone; clones share the token in memory and the thread that refreshes.
///
/// While the token in memory is fresh, [`token`](Self::token) takes no lock, reads no file and allocates nothing. When it
/// is not, one run on kraube's own thread serves all callers: it looks at the store, takes the lock, looks again, and
/// only then spends the refresh token. Dropping the returned future, or the runtime, does not stop that run. Dropping the
/// last clone waits for it.
#[derive(Clone)]
pub struct TokenSource {
    shared: Arc<Shared>,
    min_valid: Millis,
    pin: Option<Arc<OnceLock<Baseline>>>,
    /// Whether tokens that are bound to a key are of use: the caller makes a proof for each request.
    bound: bool,
}

/// What a source goes by, beside its store.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// The figures of the machines.
    pub policy: Policy,
    /// Where to refresh a record that does not say so itself, because another program wrote it.
    pub default_client: Option<Client>,
}

struct Shared {
    memory: Arc<Memory>,
    policy: Policy,
    thread: Mutex<Thread>,
    nonces: Nonces,
}

/// The thread is started by the first caller who does not find a fresh token in memory.
enum Thread {
    Idle(Box<Worker>),
    Running { jobs: mpsc::Sender<Job>, handle: JoinHandle<()> },
    Gone,
}

impl TokenSource {
    /// The credentials file at `path`, or where [`default_credentials_path`](crate::default_credentials_path) says:
    /// the same file that the command uses. Nothing is read yet; a missing file is found by the first call.
    ///
    /// # Errors
    /// The path cannot be told or used.
    pub fn from_file(path: Option<&Path>) -> Result<Self, Error> {
        let store = FileStore::open(paths::credentials_path(path)?).map_err(Error::Store)?;
        Ok(Self::from_store(store, Options::from_env()))
    }

    /// A store of the program's own. The promise is as good as the store's lock and write.
    pub fn from_store(store: impl Store, options: Options) -> Self {
        let memory = Arc::new(Memory::new());
        let worker = Worker {
            io: Io { store: Arc::new(store), http: Http::default() },
            memory: Arc::clone(&memory),
            policy: options.policy.clone(),
            default_client: options.default_client,
            keep_fresh: None,
        };
        let thread = Mutex::new(Thread::Idle(Box::new(worker)));
        let shared = Shared { memory, policy: options.policy, thread, nonces: Nonces::default() };
        Self { shared: Arc::new(shared), min_valid: Millis::ZERO, pin: None, bound: false }
    }

    /// A refresh token in the memory of this process alone.
    ///
    /// There is no file, so there is no lock either: another process with the same one-use refresh token ends the
    /// login for both, and a rotation ends with this process. For a login that is shared or outlives the process, use
    /// [`from_file`](Self::from_file).
    pub fn from_refresh_token(refresh_token: impl Into<String>, client: Client) -> Self {
        Self::in_memory(&Credentials::from_refresh_token(Secret::new(refresh_token), client))
    }

    /// An access token that the program was given, in an environment variable say. It is served until it is
    /// [rejected](Self::reject) and never refreshed.
    pub fn from_access_token(access_token: impl Into<String>) -> Self {
        Self::in_memory(&Credentials::from_access_token(Secret::new(access_token)))
    }

    /// The access token in the environment variable `name`, on the terms of [`from_access_token`](Self::from_access_token).
    ///
    /// # Errors
    /// The variable is not set, or empty.
    pub fn from_env(name: &str) -> Result<Self, Error> {
        match std::env::var(name) {
            Ok(token) if !token.is_empty() => Ok(Self::from_access_token(token)),
            _ => Err(Error::System(format!("the environment variable {name} holds no access token"))),
        }
    }

    /// A handle on the same source whose tokens live at least this long, wherever the server issues such.
    #[must_use]
    pub fn min_valid(&self, min_valid: Duration) -> Self {
        let min_valid = Millis(u64::try_from(min_valid.as_millis()).unwrap_or(u64::MAX));
        Self { min_valid, ..self.clone() }
    }

    /// A handle on the same source that stays with the login it meets first. Where somebody logs in anew, it fails
    /// with [`AccountChanged`](kraube_core::credential::Failure::AccountChanged) for good, instead of going on with the new login.
    #[must_use]
    pub fn pin_login(&self) -> Self {
        Self { pin: Some(Arc::default()), ..self.clone() }
    }

    /// A living access token. Dropping the future loses nothing. Of a login that is bound to a key
    /// (DPoP) there is none to be had this way, since it would be taken for one that needs no proof:
    /// [`authorize`](Self::authorize) serves both.
    ///
    /// # Errors
    /// [`Error`], sorted by what may be done next.
    pub async fn token(&self) -> Result<Token, Error> {
        if let Some(token) = self.fresh() {
            return Ok(token);
        }
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.ask(Box::new(move |result| drop(answer.send(result))))?;
        answered.await.unwrap_or_else(|_| Err(thread_gone())).map(|token| token.asked(self.min_valid))
    }

    /// The same, for programs without a runtime; it may be called within one too, but blocks its thread.
    ///
    /// # Errors
    /// As for [`token`](Self::token).
    pub fn blocking_token(&self) -> Result<Token, Error> {
        if let Some(token) = self.fresh().or_else(|| self.stored_token()) {
            return Ok(token);
        }
        let (answer, answered) = mpsc::sync_channel(1);
        self.ask(Box::new(move |result| drop(answer.send(result))))?;
        answered.recv().unwrap_or_else(|_| Err(thread_gone())).map(|token| token.asked(self.min_valid))
    }

    /// The stored token, if it is all that is asked for, and nobody has needed kraube's thread yet: one look at the store
    /// by the calling thread, which takes no lock, starts no thread and asks nobody. [`blocking_token`](Self::blocking_token)
    /// begins with it; it stands alone for programs that prepare for a refresh only where one is due. Within a runtime
    /// it is `None`: a store may use a runtime of its own.
    pub fn stored_token(&self) -> Option<Token> {
        if tokio::runtime::Handle::try_current().is_ok() {
            return None;
        }
        // Not read under the mutex: whoever needs the thread meanwhile may be what the store waits for.
        let store = match &*self.shared.thread() {
            Thread::Idle(worker) => Arc::clone(&worker.io.store),
            Thread::Running { .. } | Thread::Gone => return None,
        };
        let (rejected, baseline) = (self.shared.memory.rejected(), self.baseline());
        let (min_valid, bound) = (self.min_valid, self.bound);
        let wanted = Wanted { min_valid, rejected, baseline, default_client: None, bound };
        let ready = peek(&*store, self.shared.policy.clone(), wanted)?;
        let thread = self.shared.thread();
        let Thread::Idle(worker) = &*thread else { return None };
        let token = worker.remember(ready).asked(self.min_valid);
        self.pin.as_ref().map_or(Ok(()), |pin| stay(pin, &token)).is_ok().then_some(token)
    }

    /// A resource answered 401 to this token. The next call adopts what another process has stored since, or
    /// refreshes once. A token that is not the newest one any more is passed over.
    pub fn reject(&self, token: &Token) {
        self.reject_secret(&token.live().access_token);
    }

    /// The same for a token that came from elsewhere, another process of the same login say.
    pub fn reject_secret(&self, token: &Secret) {
        self.shared.memory.reject(token);
    }

    /// Refreshes ahead of expiry in the background, a few seconds earlier or later in each process, for as long as a
    /// clone of this source lives.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn keep_fresh(&self) -> Result<(), Error> {
        self.send(Job::KeepFresh)
    }

    /// A handle for callers that make proofs.
    pub(crate) fn with_proofs(&self) -> Self {
        Self { bound: true, ..self.clone() }
    }

    pub(crate) fn nonces(&self) -> &Nonces {
        &self.shared.nonces
    }

    fn in_memory(credentials: &Credentials) -> Self {
        Self::from_store(MemoryStore::holding(credentials.to_blob()), Options::default())
    }

    fn fresh(&self) -> Option<Token> {
        let live = self.shared.memory.load();
        let now = timestamp(SystemTime::now());
        let fresh = self.shared.policy.is_fresh(live.expires_at, live.obtained_at, self.min_valid, now);
        let stays = |baseline: &Baseline| baseline.admits(live.login.as_ref());
        let mine = self.pin.as_ref().is_none_or(|pin| pin.get().is_some_and(stays));
        let token = Token::from_guard(live);
        (fresh && mine && token.is_of_use(self.bound)).then(|| token.asked(self.min_valid))
    }

    fn baseline(&self) -> Baseline {
        self.pin.as_ref().and_then(|pin| pin.get().cloned()).unwrap_or_default()
    }

    fn ask(&self, reply: Reply) -> Result<(), Error> {
        let (min_valid, rejected, baseline) = (self.min_valid, self.shared.memory.rejected(), self.baseline());
        let reply: Reply = match self.pin.clone() {
            None => reply,
            Some(pin) => Box::new(move |result| reply(result.and_then(|token| stay(&pin, &token).map(|()| token)))),
        };
        self.send(Job::Obtain(Ask {
            min_valid,
            rejected,
            baseline,
            pinned: self.pin.is_some(),
            bound: self.bound,
            reply,
        }))
    }

    fn send(&self, job: Job) -> Result<(), Error> {
        let mut thread = self.shared.thread();
        if let Thread::Idle(_) = *thread {
            let (jobs, waiting) = mpsc::channel();
            // The worker goes to a thread that is there: where none can be started now, the next call may start one.
            let (hand, handed) = mpsc::channel::<Box<Worker>>();
            let run = move || handed.recv().map_or((), |worker| worker.run(&waiting));
            let handle = std::thread::Builder::new().name("kraube".into()).spawn(run);
            let handle = handle.map_err(|error| Error::System(format!("no thread can be started: {error}")))?;
            if let Thread::Idle(worker) = std::mem::replace(&mut *thread, Thread::Running { jobs, handle }) {
                let _ = hand.send(worker);
            }
        }
        match &*thread {
            Thread::Running { jobs, .. } => jobs.send(job).map_err(|_| thread_gone()),
            Thread::Idle(_) | Thread::Gone => Err(thread_gone()),
        }
    }
}

impl Shared {
    fn thread(&self) -> MutexGuard<'_, Thread> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    /// Waits for a run that is under way: what was sent must be answered, and what was answered must be stored.
    fn drop(&mut self) {
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Thread::Running { jobs, handle } = std::mem::replace(thread, Thread::Gone) {
            drop(jobs);
            // The waker of a future that held the last clone may drop it, on the very thread that answers.
            if handle.thread().id() != std::thread::current().id() {
                let _ = handle.join();
            }
        }
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").field("min_valid", &self.min_valid).finish_non_exhaustive()
    }
}

impl Options {
    /// The defaults, with the client id of `KRAUBE_CLIENT_ID` at the default provider for records that name none.
    pub fn from_env() -> Self {
        Self { policy: Policy::default(), default_client: crate::provider::default_client() }
    }
}

/// Pins the login of the first token. Calls that were made before there was one may have met another login since.
fn stay(pin: &OnceLock<Baseline>, token: &Token) -> Result<(), Error> {
    let login = &token.live().login;
    match pin.get_or_init(|| Baseline::Login(login.clone())).admits(login.as_ref()) {
        true => Ok(()),
        false => Err(Failure::AccountChanged { login: login.clone() }.into()),
    }
}

fn thread_gone() -> Error {
    Error::System("the thread that refreshes has ended".into())
}
