//! Why there is no login.

use crate::error::Error;
use crate::login::Ignored;
use kraube_core::device::DeviceError;
use kraube_core::login::{BeginError, RestoreError, Verdict};
use std::fmt;
use std::time::Duration;

/// The login did not happen. [`code`](LoginError::code) is stable, [`hint`](LoginError::hint) says what to do next.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LoginError {
    /// The provider or its redirect URI cannot be used. Nothing was sent.
    Begin(BeginError),
    /// No port on the loopback interface could be had, and why.
    Listener(String),
    /// The person or the server said no.
    Denied {
        /// The error code of the server (RFC 6749 section 4.1.2.1), fit for display.
        code: String,
        /// What the server says about it, fit for display.
        description: Option<String>,
    },
    /// The time is over.
    TimedOut {
        /// How long the login waited.
        after: Duration,
        /// Which callbacks were ignored meanwhile, and how many of each.
        ignored: Vec<(Ignored, u32)>,
    },
    /// What the answer was to be pasted into has ended, and nothing else is listening.
    NoAnswer,
    /// The given text is not the answer that was awaited.
    NotTheAnswer(Ignored),
    /// No login was begun, or it was finished already.
    NothingPending,
    /// Several logins were begun, and the pasted code does not say which it belongs to.
    SeveralPending(usize),
    /// The login that was begun cannot be taken up again.
    Restore(RestoreError),
    /// The login with a code on another machine did not happen.
    Device(DeviceError),
    /// A path, a store, an exchange or the system failed.
    Failed(Error),
}

impl LoginError {
    /// The stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Begin(error) => error.code(),
            Self::Listener(_) => "no_listener",
            Self::Denied { .. } => "denied",
            Self::TimedOut { .. } => "login_timed_out",
            Self::NoAnswer => "no_answer",
            Self::NotTheAnswer(reason) => reason.code(),
            Self::NothingPending => "nothing_pending",
            Self::SeveralPending(_) => "several_pending",
            Self::Restore(error) => error.code(),
            Self::Device(error) => error.code(),
            Self::Failed(error) => error.code(),
        }
    }

    /// What to do next, where the message does not say it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Listener(_) => Some("close the program that has the port, or log in by copying the code"),
            Self::Denied { .. } => Some(Verdict::DENIED_HINT),
            Self::TimedOut { .. } => Some("start the login again; where the browser runs elsewhere, paste the answer"),
            Self::NoAnswer => Some("paste the code, or the address of the page that the browser ended on"),
            Self::NothingPending => Some("begin a login first"),
            Self::SeveralPending(_) => Some("paste the whole address of the page that the browser ended on"),
            Self::Failed(error) => error.hint(),
            Self::Device(error) => error.hint(),
            Self::Begin(_) | Self::NotTheAnswer(_) | Self::Restore(_) => None,
        }
    }
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin(error) => error.fmt(f),
            Self::Listener(why) => write!(f, "nothing can listen for the answer on this machine: {why}"),
            Self::Denied { code, description } => f.write_str(&Verdict::denied(code, description.as_deref())),
            Self::TimedOut { after, ignored } => {
                write!(f, "there was no answer within {} s", after.as_secs())?;
                ignored.iter().enumerate().try_for_each(|(index, (reason, count))| {
                    let before = if index == 0 { "; ignored: " } else { ", " };
                    write!(f, "{before}{count} x {}", reason.code())
                })
            }
            Self::NoAnswer => f.write_str("the input has ended without an answer"),
            Self::NotTheAnswer(reason) => reason.fmt(f),
            Self::NothingPending => f.write_str("no login was begun here in the last ten minutes"),
            Self::SeveralPending(count) => {
                write!(f, "{count} logins were begun here, and a code alone does not say which it belongs to")
            }
            Self::Restore(error) => error.fmt(f),
            Self::Device(error) => error.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LoginError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => std::error::Error::source(error),
            Self::Begin(_)
            | Self::Listener(_)
            | Self::Denied { .. }
            | Self::TimedOut { .. }
            | Self::NoAnswer
            | Self::NotTheAnswer(_)
            | Self::NothingPending
            | Self::SeveralPending(_)
            | Self::Device(_)
            | Self::Restore(_) => None,
        }
    }
}

impl From<Error> for LoginError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<DeviceError> for LoginError {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

impl From<BeginError> for LoginError {
    fn from(error: BeginError) -> Self {
        Self::Begin(error)
    }
}
