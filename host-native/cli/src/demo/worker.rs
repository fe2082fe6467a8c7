//! One of the many processes: a program that needs a living access token every now and then, and has kraube see to it.
//! It ends when its standard input does.

use super::report::Report;
use kraube::core::machine::{Blob, Revision, StoreError, WriteError};
use kraube::core::policy::Policy;
use kraube::core::status::{State, status};
use kraube::core::time::{Millis, Timestamp};
use kraube::store::{FileStore, Guard, NotLocked, Store};
use kraube::{Options, TokenSource, default_credentials_path};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

/// Asks for a token, uses it, and pauses, until the demo closes the pipe. Where the credentials are it knows as every
/// process does: from `KRAUBE_CREDENTIALS_PATH`.
pub(super) fn run(resource: &str, reject: Option<u32>) -> ExitCode {
    let store = default_credentials_path().map_err(|error| error.to_string());
    let store = match store.and_then(|path: PathBuf| FileStore::open(path).map_err(|error| error.detail)) {
        Ok(store) => store,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "error: {problem}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(times) = reject {
        return force(store, times);
    }
    let source = TokenSource::from_store(Telling(store), Options::from_env());
    let agent = ureq::Agent::from(ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build());
    let pipe = until_closed();
    // They do not all ask at the same moment.
    let pause = Duration::from_millis(150 + u64::from(std::process::id()) * 37 % 100);
    loop {
        ASKED_FOR_LOCK.store(false, Ordering::Relaxed);
        let begun = Instant::now();
        match source.blocking_token() {
            Ok(token) => {
                let waited = ASKED_FOR_LOCK.load(Ordering::Relaxed).then(|| begun.elapsed());
                tell(&Report::Token(waited));
                let answer = agent.get(resource).header("authorization", token.authorization()).call();
                let status = answer.map_or(0, |response| response.status().as_u16());
                if status == 401 {
                    source.reject(&token);
                }
                tell(&Report::Resource(status));
            }
            Err(error) => tell(&Report::Failed(error.code().to_owned())),
        }
        if pipe.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return ExitCode::SUCCESS;
        }
    }
}

/// Rejects one token after the other, with no pause: each call adopts what another process has stored since, or rotates.
fn force(store: FileStore, times: u32) -> ExitCode {
    let mut options = Options::from_env();
    options.policy.reject_floor = Millis::ZERO;
    let source = TokenSource::from_store(store, options);
    for _ in 0..times {
        match source.blocking_token() {
            Ok(token) => source.reject(&token),
            Err(error) => {
                tell(&Report::Failed(error.code().to_owned()));
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Disconnected when standard input ends.
fn until_closed() -> mpsc::Receiver<()> {
    let (open, pipe) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(open);
    });
    pipe
}

fn tell(report: &Report) {
    // Where the demo has gone, standard input ends too.
    let _ = writeln!(io::stdout(), "{report}");
}

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// Whether the present call for a token had to go beyond reading.
static ASKED_FOR_LOCK: AtomicBool = AtomicBool::new(false);

/// The credentials file, and word of each step towards a rotation, so that the demo knows whom to kill.
struct Telling(FileStore);

impl Store for Telling {
    fn lock(&self, wait: Duration, seen: Option<Revision>) -> Result<Guard, NotLocked> {
        ASKED_FOR_LOCK.store(true, Ordering::Relaxed);
        tell(&Report::Waiting);
        let guard = self.0.lock(wait, seen)?;
        tell(&Report::Locked);
        Ok(guard)
    }

    fn read(&self) -> Result<Option<Blob>, StoreError> {
        self.0.read()
    }

    /// Only the mark sets room aside, for the tokens that come after it; of the other records, new tokens alone are
    /// valid.
    fn write(&self, replaces: Option<Revision>, blob: &Blob, reserve: usize) -> Result<(), WriteError> {
        self.0.write(replaces, blob, reserve)?;
        if reserve > 0 {
            tell(&Report::Redeeming);
        } else if status(Ok(Some(blob.clone())), &Policy::default(), now()).state == State::Valid {
            tell(&Report::Stored);
        }
        Ok(())
    }

    fn delete(&self, replaces: Revision) -> Result<(), WriteError> {
        self.0.delete(replaces)
    }

    fn holds(&self, guard: &Guard, revision: Revision) -> bool {
        self.0.holds(guard, revision)
    }

    fn key(&self) -> String {
        self.0.key()
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.0.probe()
    }
}
