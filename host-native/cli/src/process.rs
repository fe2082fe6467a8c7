//! What the command asks of the system for its own process.

use crate::exit::{Code, Failed};
use crate::ui;
#[cfg(unix)]
use nix::{
    errno::Errno,
    libc,
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
};
#[cfg(unix)]
use std::io::{self, PipeWriter, Read, Write};
use std::sync::Arc;
#[cfg(unix)]
use std::sync::OnceLock;
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

fn on_request(interrupted: impl Fn() + Clone + Send + 'static) {
    // Where signals are ignored, as under `nohup`, they stay ignored, also for what an `exec` starts; and this handles all
    // of them or none.
    let handler = interrupted.clone();
    if ctrlc::try_set_handler(handler).is_err() {
        #[cfg(unix)]
        wait_for_the_others(interrupted);
    }
}

/// The signals that ask a process to end.
#[cfg(unix)]
const TO_END: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Where the handler notes each of them, to be read by the thread that waits.
#[cfg(unix)]
static NOTES: OnceLock<PipeWriter> = OnceLock::new();

/// Waits for those requests to end that are not ignored. They are handled and not blocked: what this process starts, or
/// becomes, inherits no handler.
#[cfg(unix)]
#[allow(unsafe_code, reason = "nothing that is safe gives the system a handler")]
fn wait_for_the_others(interrupted: impl Fn() + Send + 'static) {
    let Ok((mut notes, writer)) = io::pipe() else { return };
    let waiting = move || {
        while notes.read_exact(&mut [0]).is_ok() {
            interrupted();
        }
    };
    if NOTES.set(writer).is_err() || std::thread::Builder::new().spawn(waiting).is_err() {
        return;
    }
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in TO_END.into_iter().filter(|signal| !is_ignored(*signal)) {
        // SAFETY: the handler makes one system call, and leaves `errno` as it was.
        let _ = unsafe { sigaction(signal, &action) };
    }
}

#[cfg(unix)]
extern "C" fn note(_: libc::c_int) {
    let errno = Errno::last_raw();
    if let Some(mut notes) = NOTES.get() {
        let _ = notes.write(&[0]);
    }
    Errno::set_raw(errno);
}

#[cfg(unix)]
#[allow(unsafe_code, reason = "nothing that is safe asks the system for this")]
fn is_ignored(signal: Signal) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the call changes nothing; the present one is written to `action`, whose zero bytes are a
    // value of it in any case.
    unsafe {
        libc::sigaction(signal as libc::c_int, std::ptr::null(), action.as_mut_ptr());
        action.assume_init().sa_sigaction == libc::SIG_IGN
    }
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
