//! What the command asks of the system for its own process.

use crate::exit::{Code, Failed};
use crate::signals::on_request;
use crate::ui;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A core dump would hold the tokens. What an `exec` starts is not affected on Linux; elsewhere it inherits the limit.
pub(crate) fn forbid_core_dumps() {
    // It is a second line of defence, and a system that refuses it is no reason to stop.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
        let _ = setrlimit(Resource::Core, limit);
    }
}

/// Whether Ctrl-C, or another request to end, has come.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on a request to end waits for as long as `busy` says: an answer that is under way would be lost with the
/// process. A second request does not wait.
pub(crate) fn end_when_not(busy: impl Fn() -> bool + Send + Sync + 'static) {
    let busy = Arc::new(busy);
    on_request(move || {
        if INTERRUPTED.swap(true, Ordering::SeqCst) || !busy() {
            end();
        }
        ui::say("Waiting for the answer that is under way. Once more ends it at once.");
        let busy = Arc::clone(&busy);
        let waiting = std::thread::Builder::new().spawn(move || {
            while busy() {
                std::thread::sleep(GLANCE);
            }
            end();
        });
        if waiting.is_err() {
            end();
        }
    });
}

/// From now on the first request to end is told, and the process goes on; a second one ends it at once.
pub(crate) fn tell_when_to_end(tell: impl Fn() + Clone + Send + 'static) {
    on_request(move || {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            end();
        }
        tell();
    });
}

/// An error where a request to end has come.
pub(crate) fn go_on() -> Result<(), Failed> {
    match INTERRUPTED.load(Ordering::SeqCst) {
        true => Err(Failed { code: Code::Interrupted, report: None }),
        false => Ok(()),
    }
}

const GLANCE: Duration = Duration::from_millis(20);

fn end() {
    std::process::exit(Code::Interrupted as i32)
}
