//! The error of the library: what the core says, and what only a host can meet.

use kraube_core::credential::{Failure, InstallError};
use kraube_core::machine::StoreError;
use std::fmt;

/// There is no token, or no login. [`code`](Error::code) is stable, [`hint`](Error::hint) says what to do next.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// There is no token to be had; the [`Failure`] is sorted by what may be done next.
    Failed(Failure),
    /// A new login was not stored.
    Login(InstallError),
    /// New tokens were received and cannot be stored; no living token is left to serve.
    Unsaved(StoreError),
    /// The path of the credentials cannot be told.
    Path(crate::paths::PathError),
    /// The place of the credentials cannot be used.
    Store(StoreError),
    /// A request cannot be authorized: no token is sent there.
    Target(kraube_core::dpop::TargetError),
    /// The operating system gives no random numbers or no thread.
    System(String),
}

impl Error {
    /// The stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Failed(failure) => failure.code(),
            Self::Login(error) => error.code(),
            Self::Unsaved(_) => "unsaved",
            Self::Path(error) => error.code(),
            Self::Store(error) => error.kind.code(),
            Self::Target(error) => error.code(),
            Self::System(_) => "system",
        }
    }

    /// What to do next, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Failed(failure) => failure.hint(),
            Self::Login(error) => Some(error.hint()),
            Self::Unsaved(_) => Some("free the disk while this process lives: the tokens are in its memory alone"),
            Self::Store(_) => Some("name another path, or make this one writable"),
            Self::Path(_) | Self::Target(_) | Self::System(_) => None,
        }
    }

    /// The verdict of the core, where it is one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Login(_) | Self::Unsaved(_) | Self::Path(_) | Self::Store(_) => None,
            Self::Target(_) | Self::System(_) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => failure.fmt(f),
            Self::Login(error) => error.fmt(f),
            Self::Unsaved(_) => f.write_str("new tokens were received and cannot be stored"),
            Self::Path(error) => error.fmt(f),
            Self::Target(error) => error.fmt(f),
            Self::Store(_) => f.write_str("the credentials cannot be used"),
            Self::System(detail) => f.write_str(detail),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(failure) => std::error::Error::source(failure),
            Self::Login(error) => std::error::Error::source(error),
            Self::Unsaved(error) | Self::Store(error) => Some(error),
            Self::Path(_) | Self::Target(_) | Self::System(_) => None,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<InstallError> for Error {
    fn from(error: InstallError) -> Self {
        Self::Login(error)
    }
}

impl From<crate::paths::PathError> for Error {
    fn from(error: crate::paths::PathError) -> Self {
        Self::Path(error)
    }
}
