//! Requests to end, by Ctrl-C or a signal. The command `kraube-wasi` has this very file.

#[cfg(unix)]
use nix::{
    errno::Errno,
    libc,
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
};
#[cfg(unix)]
use std::io::{self, PipeWriter, Read, Write};
#[cfg(unix)]
use std::sync::OnceLock;

/// From now on each request to end is told. Signals that are ignored, as under `nohup`, stay ignored, also for what this process
/// starts or becomes.
pub(crate) fn on_request(asked: impl Fn() + Clone + Send + 'static) {
    // It handles all of them or none.
    let handler = asked.clone();
    if ctrlc::try_set_handler(handler).is_err() {
        #[cfg(unix)]
        wait_for_the_others(asked);
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
fn wait_for_the_others(asked: impl Fn() + Send + 'static) {
    let Ok((mut notes, writer)) = io::pipe() else { return };
    let waiting = move || {
        while notes.read_exact(&mut [0]).is_ok() {
            asked();
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
