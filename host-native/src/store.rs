//! What a place for credentials must be able to do ([`Store`]), and the two that come with kraube: [`FileStore`] and
//! [`MemoryStore`].

pub use crate::file::FileStore;
pub use crate::memory::MemoryStore;

use kraube_core::machine::{Blob, Revision, StoreError, WriteError};
use std::any::Any;
use std::fmt;
use std::time::Duration;

/// One place where one login is stored, shared by whoever opens the same place.
///
/// All methods block, and none may be called from an asynchronous task directly. The promise that a refresh token is
/// redeemed by one process at a time is as good as [`lock`](Store::lock) and [`write`](Store::write) are.
pub trait Store: Send + Sync + 'static {
    /// Waits for the exclusive lock, for `wait` at most; zero is one try. Where the lock is free it is taken, whatever
    /// is stored. While it is not free and the stored bytes have another revision than `seen` (or are gone), the wait
    /// ends with [`NotLocked::Changed`].
    ///
    /// A second lock in the same process waits like one of another process.
    ///
    /// # Errors
    /// [`NotLocked`] says how the wait ended.
    fn lock(&self, wait: Duration, seen: Option<Revision>) -> Result<Guard, NotLocked>;

    /// The stored bytes, `None` where there are none. Takes no lock and never sees half a write of this trait.
    ///
    /// # Errors
    /// Something is stored, or may be, that cannot be read.
    fn read(&self) -> Result<Option<Blob>, StoreError>;

    /// Replaces the stored bytes, durably and as a whole, if they still have the revision `replaces` (`None`: if
    /// nothing is stored). The caller holds the lock.
    ///
    /// With `reserve` above zero that many bytes are set aside before anything is replaced, so that the next write
    /// of this holder cannot fail for want of space. A write with `reserve` zero uses that room and gives back the
    /// rest; so does the next lock.
    ///
    /// # Errors
    /// After [`WriteError::Conflict`] nothing was changed; after [`WriteError::Failed`] the old bytes are there, or
    /// the new ones.
    fn write(&self, replaces: Option<Revision>, blob: &Blob, reserve: usize) -> Result<(), WriteError>;

    /// Removes the stored bytes, if they still have this revision.
    ///
    /// # Errors
    /// As for [`write`](Store::write). Where nothing is stored, that is a conflict.
    fn delete(&self, replaces: Revision) -> Result<(), WriteError>;

    /// Whether `guard` still is the lock that others would take, and the stored bytes still have this revision. Asked
    /// right before a refresh token leaves the machine.
    fn holds(&self, guard: &Guard, revision: Revision) -> bool;

    /// Names the place within this process: two stores have the same key if and only if they share what is stored.
    fn key(&self) -> String;

    /// Proves, before a person is sent to log in, that the lock can be taken and that a durable write would work.
    /// Changes nothing that is stored.
    ///
    /// # Errors
    /// What [`lock`](Store::lock) or [`write`](Store::write) would fail with.
    fn probe(&self) -> Result<(), StoreError>;
}

/// A held lock. Dropping it releases the lock.
pub struct Guard(Box<dyn Any + Send>);

impl Guard {
    /// Wraps what a store holds on to; the lock is released by its destructor.
    pub fn new(held: impl Any + Send) -> Self {
        Self(Box::new(held))
    }

    /// What was wrapped, if it is of this type: the guard of another kind of store is not.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

/// The lock is not held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotLocked {
    /// The stored bytes were replaced or removed meanwhile.
    Changed,
    /// Somebody else held it for the whole wait.
    TimedOut,
    /// There can be no lock here; the detail says what to do.
    Unsupported(StoreError),
}

impl NotLocked {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Changed => "lock_changed",
            Self::TimedOut => "lock_timed_out",
            Self::Unsupported(_) => "lock_unsupported",
        }
    }
}

impl fmt::Display for NotLocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => f.write_str("the credentials were replaced while waiting for their lock; read them again"),
            Self::TimedOut => {
                f.write_str("another process holds the lock of the credentials; try again when it is done")
            }
            Self::Unsupported(error) => write!(f, "the credentials cannot be locked: {}", error.detail),
        }
    }
}

impl std::error::Error for NotLocked {}
