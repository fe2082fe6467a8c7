//! One of the processes: it has kraube refresh as fast as it can, and tells each step. It ends with its standard input.

use clap::{Args, ValueEnum};
use kraube::core::machine::{Blob, Revision, StoreError, WriteError};
use kraube::store::{FileStore, Guard, NotLocked, Store};
use kraube::{Error, Token, TokenSource};
use kraube_harsh::{Result, below, eager, options};
use rustix::process::{Signal, getpid, kill_process};
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What a process is told to be.
#[derive(Args, Clone, Debug)]
pub(crate) struct Orders {
    #[arg(value_enum)]
    pub(crate) mode: Mode,
    pub(crate) file: PathBuf,
    /// The longest pause between two tokens, and the longest patience of who drops futures, in milliseconds.
    #[arg(long, default_value_t = 0)]
    pub(crate) pause: u64,
    /// Kills itself at this step.
    #[arg(long, value_enum)]
    pub(crate) die_at: Option<Step>,
}

/// How it asks for tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// One after the other.
    Force,
    /// Under a time-out, in mid-refresh mostly.
    DropFutures,
    /// In a runtime that ends in mid-refresh mostly.
    DropRuntimes,
    /// Until it is interrupted, and then it ends at once.
    Interrupted,
}

/// The named steps of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Step {
    /// It asks for the lock.
    Lock,
    /// It has the lock.
    Locked,
    /// It reads again under the lock.
    Reread,
    /// It is about to write the mark.
    Mark,
    /// The mark is written.
    Marked,
    /// It is about to send the request.
    Send,
    /// The answer is there, it is about to write.
    Answered,
    /// What it had to write is written, and the lock is still held.
    Stored,
}

/// A line to the starter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    At(Step),
    Token,
    DroppedFuture,
    DroppedRuntime,
    /// It can be interrupted from now on.
    Ready,
    Interrupted,
    /// The code of an error.
    Failed(String),
    /// A promise that did not hold.
    Broken(String),
}

impl Orders {
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["worker".into(), name(self.mode).into(), self.file.clone().into()];
        arguments.extend(["--pause".into(), self.pause.to_string().into()]);
        arguments.extend(self.die_at.into_iter().flat_map(|step| ["--die-at".into(), name(step).into()]));
        arguments
    }

    pub(crate) fn run(&self) -> Result<()> {
        let store = FileStore::open(&self.file).map_err(|error| error.detail)?;
        let skip = AtomicU64::new(below(3));
        let store = Steps { inner: store, die_at: self.die_at, skip, held: AtomicBool::new(false) };
        let source = TokenSource::from_store(store, options(eager()));
        let over = until_closed();
        match self.mode {
            Mode::Force => force(&source, &over, self.pause),
            Mode::DropFutures => drop_futures(&source, &over, self.pause)?,
            Mode::DropRuntimes => drop_runtimes(&source, &over, self.pause)?,
            Mode::Interrupted => interrupted(source, &over)?,
        }
        Ok(())
    }
}

/// The name on the command line.
pub(crate) fn name<T: ValueEnum>(value: T) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn tell(said: &Said) {
    // Where the starter has gone, standard input ends too.
    let _ = writeln!(io::stdout(), "{said}");
}

/// Becomes true when standard input ends.
fn until_closed() -> Arc<AtomicBool> {
    let over = Arc::new(AtomicBool::new(false));
    let closed = Arc::clone(&over);
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        closed.store(true, Ordering::Relaxed);
    });
    over
}

/// What a resource does that answers 401 to everything, once to each token.
fn reject(source: &TokenSource, result: std::result::Result<Token, Error>, last: &mut String) {
    match result {
        Ok(token) => {
            if token.expose() == last {
                tell(&Said::Broken("a rejected token came back".into()));
            }
            token.expose().clone_into(last);
            source.reject(&token);
            tell(&Said::Token);
        }
        Err(error) => {
            tell(&Said::Failed(error.code().to_owned()));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn force(source: &TokenSource, over: &AtomicBool, pause: u64) {
    let mut last = String::new();
    while !over.load(Ordering::Relaxed) {
        reject(source, source.blocking_token(), &mut last);
        if pause > 0 {
            std::thread::sleep(Duration::from_millis(below(pause)));
        }
    }
}

fn drop_futures(source: &TokenSource, over: &AtomicBool, patience: u64) -> Result<()> {
    let mut last = String::new();
    one_thread()?.block_on(async {
        while !over.load(Ordering::Relaxed) {
            match timeout(Duration::from_micros(below(patience * 1000)), source.token()).await {
                Ok(result) => reject(source, result, &mut last),
                Err(_) => {
                    tell(&Said::DroppedFuture);
                    // What became of it is adopted, so that the next one to be dropped belongs to another refresh.
                    reject(source, source.token().await, &mut last);
                }
            }
        }
    });
    Ok(())
}

fn drop_runtimes(source: &TokenSource, over: &AtomicBool, patience: u64) -> Result<()> {
    let (mut asked, mut last) = (Vec::new(), String::new());
    while !over.load(Ordering::Relaxed) {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let clone = source.clone();
        let asking = runtime.spawn(async move {
            let mut last = String::new();
            loop {
                let result = clone.token().await;
                reject(&clone, result, &mut last);
            }
        });
        std::thread::sleep(Duration::from_micros(below(patience * 1000)));
        if asking.is_finished() {
            tell(&Said::Broken("a task ended by itself".into()));
        }
        match below(2) {
            0 => runtime.shutdown_background(),
            _ => drop(runtime),
        }
        asked.push(asking);
        asked.retain(|task| !task.is_finished());
        tell(&Said::DroppedRuntime);
        reject(source, source.blocking_token(), &mut last);
    }
    // Each holds a clone of the source. A process that ends before the last clone is dropped ends the refresh as well.
    while !asked.iter().all(JoinHandle::is_finished) {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The end of the process waits for nothing but the end of the source.
fn interrupted(source: TokenSource, over: &AtomicBool) -> Result<()> {
    let runtime = one_thread()?;
    let interrupted = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        tell(&Said::Ready);
        let mut last = String::new();
        loop {
            tokio::select! {
                result = source.token() => reject(&source, result, &mut last),
                _ = interrupt.recv() => return io::Result::Ok(true),
            }
            if over.load(Ordering::Relaxed) {
                return Ok(false);
            }
        }
    })?;
    drop(runtime);
    drop(source);
    if interrupted {
        tell(&Said::Interrupted);
    }
    Ok(())
}

fn one_thread() -> io::Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

/// The credentials file, and word of each step. The steps of a refresh are the calls of its store, so that no part of
/// kraube itself has to be made for this.
struct Steps {
    inner: FileStore,
    die_at: Option<Step>,
    /// How often it passes that step before: the first refresh of a process is not like the later ones.
    skip: AtomicU64,
    held: AtomicBool,
}

impl Steps {
    fn at(&self, step: Step) {
        tell(&Said::At(step));
        let passed = |left: u64| left.checked_sub(1);
        if self.die_at == Some(step) && self.skip.fetch_update(Ordering::Relaxed, Ordering::Relaxed, passed).is_err() {
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }
}

impl Store for Steps {
    fn lock(&self, wait: Duration, seen: Option<Revision>) -> std::result::Result<Guard, NotLocked> {
        self.held.store(false, Ordering::Relaxed);
        self.at(Step::Lock);
        let guard = self.inner.lock(wait, seen)?;
        self.held.store(true, Ordering::Relaxed);
        self.at(Step::Locked);
        Ok(guard)
    }

    fn read(&self) -> std::result::Result<Option<Blob>, StoreError> {
        if self.held.swap(false, Ordering::Relaxed) {
            self.at(Step::Reread);
        }
        self.inner.read()
    }

    /// Only the mark sets room aside, for what comes after it.
    fn write(&self, replaces: Option<Revision>, blob: &Blob, reserve: usize) -> std::result::Result<(), WriteError> {
        let (before, after) = if reserve > 0 { (Step::Mark, Step::Marked) } else { (Step::Answered, Step::Stored) };
        self.at(before);
        self.inner.write(replaces, blob, reserve)?;
        self.at(after);
        Ok(())
    }

    fn delete(&self, replaces: Revision) -> std::result::Result<(), WriteError> {
        self.inner.delete(replaces)
    }

    fn holds(&self, guard: &Guard, revision: Revision) -> bool {
        self.at(Step::Send);
        self.inner.holds(guard, revision)
    }

    fn key(&self) -> String {
        self.inner.key()
    }

    fn probe(&self) -> std::result::Result<(), StoreError> {
        self.inner.probe()
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(step) => write!(f, "at {}", name(*step)),
            Self::Token => f.write_str("token"),
            Self::DroppedFuture => f.write_str("future"),
            Self::DroppedRuntime => f.write_str("runtime"),
            Self::Ready => f.write_str("ready"),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Failed(code) => write!(f, "failed {code}"),
            Self::Broken(what) => write!(f, "broken {what}"),
        }
    }
}

impl FromStr for Said {
    type Err = String;

    fn from_str(line: &str) -> std::result::Result<Self, String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        Ok(match word {
            "at" => Self::At(Step::from_str(rest, false)?),
            "token" => Self::Token,
            "future" => Self::DroppedFuture,
            "runtime" => Self::DroppedRuntime,
            "ready" => Self::Ready,
            "interrupted" => Self::Interrupted,
            "failed" => Self::Failed(rest.to_owned()),
            // A line that no process of ours says is a panic, or worse.
            "broken" => Self::Broken(rest.to_owned()),
            _ => return Err(line.to_owned()),
        })
    }
}
