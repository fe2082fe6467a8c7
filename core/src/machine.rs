//! The contract between the core and a host: what a machine asks for ([`Action`]), what the host reports
//! ([`Input`]), and the step from one to the next ([`Machine`], [`Step`]).
//!
//! `Action` and `Input` are exhaustive on purpose: a new action must break every host at compile time.

use crate::http::{Request, Response, SendError};
use crate::text::hex;
use crate::time::{Millis, Now};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

/// What the host shall do now. Exactly one action is outstanding at a time.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
pub enum Action {
    /// Take the exclusive lock. The host keeps it until the machine is done, in its own frame, so that it is released
    /// on every way out. Answer: [`Input::Locked`].
    Lock {
        /// For how long at most; zero is one try.
        wait: Millis,
        /// While waiting, leave with [`Locked::Changed`] as soon as the stored bytes have another revision than this.
        /// `None`: only the lock counts.
        seen: Option<Revision>,
    },
    /// Read the stored bytes, without judging them. Answer: [`Input::Read`].
    Read,
    /// Perform one HTTP exchange. Answer: [`Input::Replied`].
    Send {
        /// What to send.
        request: Request,
        /// Right before the first byte leaves, check that the lock is still held on the very file that others would
        /// lock, and that the stored bytes still have this revision; otherwise answer
        /// [`SendErrorKind::LockLost`](crate::http::SendErrorKind::LockLost) and send nothing. `None`: no check.
        holds: Option<Revision>,
    },
    /// Replace the stored bytes: durably, atomically, and only if they still are what `replaces` says.
    /// Answer: [`Input::Wrote`].
    Write {
        /// The revision that is replaced; `None` means that nothing may be stored.
        replaces: Option<Revision>,
        /// The new bytes.
        blob: Blob,
        /// After the write, set this many bytes aside for the next one, so that it cannot fail for want of space; fail
        /// this write where that is not possible. Zero: set nothing aside.
        reserve: usize,
    },
    /// Remove the stored bytes, if they still have this revision. Answer: [`Input::Deleted`].
    Delete {
        /// The revision that is removed.
        replaces: Revision,
    },
    /// Let this much monotonic time pass. The lock may be held. Answer: [`Input::Woke`].
    Wait {
        /// How long.
        time: Millis,
    },
}

/// What the host did, in answer to the outstanding [`Action`].
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
pub enum Input {
    /// Answers [`Action::Lock`].
    Locked(Locked),
    /// Answers [`Action::Read`]; `None` where nothing is stored.
    Read(Result<Option<Blob>, StoreError>),
    /// Answers [`Action::Send`].
    Replied(Result<Response, SendError>),
    /// Answers [`Action::Write`].
    Wrote(Result<(), WriteError>),
    /// Answers [`Action::Delete`].
    Deleted(Result<(), WriteError>),
    /// Answers [`Action::Wait`].
    Woke,
}

/// How the wait for the lock ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Locked {
    /// The lock is held. A lock that is held already (an unsaved rotation is being kept) counts.
    Held,
    /// The stored bytes were replaced meanwhile; the lock is not held.
    Changed,
    /// The time is over; the lock is not held.
    TimedOut,
    /// There can be no lock here, and why: read-only directory, a single file mounted, a file of another user.
    Unsupported(StoreError),
}

/// A machine and its next action, or its outcome.
#[must_use]
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
pub enum Step<M, O> {
    /// Perform the action and step the machine with the answer.
    Continue(M, Action),
    /// The machine is done.
    Done(O),
}

/// A sequence of decisions. `step` consumes the machine: an old state cannot be used again. It is total: failures of the
/// world are inputs, verdicts are outcomes, and an answer to another action than the one asked for ends in the
/// outcome's own `Misuse`, never in a panic.
pub trait Machine: Sized {
    /// What the machine ends with.
    type Outcome;

    /// Takes the answer to the outstanding action. `now` is read after the action was performed.
    fn step(self, input: Input, now: Now) -> Step<Self, Self::Outcome>;
}

/// Stored bytes. They hold secrets: `Debug` prints the length, and they are wiped when dropped.
#[derive(Clone)]
#[cfg_attr(feature = "model", derive(PartialEq, Eq, Hash))]
pub struct Blob(Vec<u8>);

impl Blob {
    /// The longest that a host reads or writes: 1 MiB. What is longer is [`StoreErrorKind::TooLarge`].
    pub const MAX: usize = 1024 * 1024;

    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The revision that these bytes have.
    pub fn revision(&self) -> Revision {
        Revision::of(&self.0)
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Identifies stored bytes by their content (SHA-256), so that it means the same to every process and host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision([u8; 32]);

impl Revision {
    /// The revision of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads what `Display` writes: 64 lower-case hexadecimal digits. `None` where it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? * 16 + digit(*low)?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0[..6]))
    }
}

/// The store could not do it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoreError {
    /// What kind of failure.
    pub kind: StoreErrorKind,
    /// For people: which path, what the system said. Never holds a secret.
    pub detail: String,
}

/// The failures that people can do something about, each something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Permission denied.
    Denied,
    /// The file or link belongs to another user.
    NotOurs,
    /// No space left, or a quota reached.
    Full,
    /// The file system is read-only.
    ReadOnly,
    /// Not a regular file, or one that cannot be replaced: a mounted single file, a hard link.
    Irreplaceable,
    /// Larger than [`Blob::MAX`].
    TooLarge,
    /// Anything else.
    Io,
}

impl StoreErrorKind {
    /// The stable name, the same on every host.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Denied => "store_denied",
            Self::NotOurs => "store_not_ours",
            Self::Full => "store_full",
            Self::ReadOnly => "store_read_only",
            Self::Irreplaceable => "store_irreplaceable",
            Self::TooLarge => "store_too_large",
            Self::Io => "store_io",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl core::error::Error for StoreError {}

/// A conditional write or delete did not happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WriteError {
    /// The stored bytes are not the ones that were to be replaced. Nothing was changed.
    Conflict,
    /// The store failed. The old bytes are there, or the new ones; never neither.
    Failed(StoreError),
}
