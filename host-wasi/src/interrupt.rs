//! Requests to end, by Ctrl-C or a signal: how the command answers them.

use crate::run::say;
use kraube::core::policy::Policy;
use kraube::core::status::{State, Status};
use kraube::store::{FileStore, NotLocked, Store as _};
#[cfg(any(target_os = "linux", target_os = "android"))]
use nix::sys::signal::{SigSet, Signal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// From now on a request to end waits for a refresh that is under way, whose answer would be lost with the process; for no
/// longer than a run takes. A second request does not wait.
pub(crate) fn end_when_settled(path: PathBuf, store: FileStore) {
    static ASKED: AtomicBool = AtomicBool::new(false);
    let login = Arc::new((path, store));
    on_request(move || {
        let (path, store) = &*login;
        if ASKED.swap(true, Ordering::SeqCst) || settles(path, store, Duration::ZERO) {
            end();
        }
        say("Waiting for the answer that is under way. Once more ends it at once.");
        let login = Arc::clone(&login);
        let waiting = std::thread::Builder::new().spawn(move || {
            let (path, store) = &*login;
            settles(path, store, Duration::from_millis(Policy::default().deadline.0));
            end();
        });
        if waiting.is_err() {
            end();
        }
    });
}

/// Waits until no refresh is under way, for so long at most. Whoever spends a refresh token has marked the record, and holds
/// the lock: a mark without a lock was left by a request whose answer nobody awaits any more.
fn settles(path: &Path, store: &FileStore, wait: Duration) -> bool {
    let start = Instant::now();
    loop {
        let seen = store.read().ok().flatten().map(|blob| blob.revision());
        if !matches!(kraube::status(Some(path)), Ok(Status { state: State::InDoubt, .. })) {
            return true;
        }
        match store.lock(wait.saturating_sub(start.elapsed()), seen) {
            Ok(lock) => {
                // Kept until the process has ended, so that it begins no refresh on its way.
                std::mem::forget(lock);
                return true;
            }
            Err(NotLocked::Changed) => {}
            Err(_) => return false,
        }
    }
}

fn on_request(asked: impl Fn() + Clone + Send + 'static) {
    // Where signals are ignored, as under `nohup`, they stay ignored; and this handles all of them or none.
    let handler = asked.clone();
    if ctrlc::try_set_handler(handler).is_err() {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        wait_for_the_others(asked);
    }
}

/// Waits for those requests to end that are not ignored. They are blocked in this thread, and in all that it starts from
/// now on.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn wait_for_the_others(asked: impl Fn() + Send + 'static) {
    let Some(ignored) = ignored_signals() else { return };
    let not_ignored = |signal: &Signal| ignored & (1 << (*signal as u32 - 1)) == 0;
    let others: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().filter(not_ignored).collect();
    if others.thread_block().is_err() {
        return;
    }
    let waiting = move || {
        while others.wait().is_ok() {
            asked();
        }
    };
    if std::thread::Builder::new().spawn(waiting).is_err() {
        let _ = others.thread_unblock();
    }
}

/// A bit for each, the lowest for signal 1.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn ignored_signals() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(ignored.trim(), 16).ok()
}

fn end() {
    std::process::exit(130)
}
