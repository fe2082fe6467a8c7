//! Requests to end, by Ctrl-C or a signal: how the command answers them.

use crate::run::say;
use crate::signals::on_request;
use kraube::core::policy::Policy;
use kraube::core::status::{State, Status};
use kraube::store::{FileStore, NotLocked, Store as _};
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

fn end() {
    std::process::exit(130)
}
