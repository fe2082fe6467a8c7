//! Between the native library's types and those of the WIT package. Nothing is decided here.

use crate::bindings::kraube::auth::store::NotLocked as WitNotLocked;
use crate::bindings::types as wit;
use crate::convert::{failure, failure_problem, install_error, problem, store_error};
use kraube::store::NotLocked;
use kraube::{Error, Token};
use kraube_core::machine::{Revision, StoreError, WriteError};
use std::time::SystemTime;

pub(crate) fn token(token: &Token) -> wit::Token {
    let expires_at = token.expires_at().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    wit::Token {
        value: token.expose().to_owned(),
        expires_at: u64::try_from(expires_at.as_millis()).unwrap_or(u64::MAX),
        login: token.login().map(str::to_owned),
        scope: token.scope().map(str::to_owned),
        short: token.is_short(),
        stale: token.stale().map(failure_problem),
    }
}

pub(crate) fn error(error: &Error) -> wit::Error {
    match error {
        Error::Failed(reason) => failure(reason),
        Error::Login(reason) => install_error(reason),
        Error::Unsaved(_) => wit::Error::Unsaved(problem(error.code(), error, error.hint())),
        Error::Path(_) | Error::Store(_) | Error::System(_) | _ => {
            wit::Error::Unavailable(problem(error.code(), error, error.hint()))
        }
    }
}

/// A guest that makes its revisions up has a bug; it traps.
pub(crate) fn revision(text: &str) -> wasmtime::Result<Revision> {
    Revision::parse(text).ok_or_else(|| wasmtime::format_err!("a revision is 64 lower-case hexadecimal digits"))
}

pub(crate) fn revision_if(text: Option<String>) -> wasmtime::Result<Option<Revision>> {
    text.as_deref().map(revision).transpose()
}

pub(crate) fn not_locked(reason: NotLocked) -> WitNotLocked {
    match reason {
        NotLocked::Changed => WitNotLocked::Changed,
        NotLocked::Unsupported(error) => WitNotLocked::Unsupported(told(error)),
        NotLocked::TimedOut | _ => WitNotLocked::TimedOut,
    }
}

pub(crate) fn write_error(error: WriteError) -> wit::WriteError {
    match error {
        WriteError::Conflict => wit::WriteError::Conflict,
        WriteError::Failed(error) => wit::WriteError::Failed(told(error)),
    }
}

/// The detail may name a path of the host: that is for the host's log.
pub(crate) fn told(error: StoreError) -> wit::StoreError {
    tracing::warn!(detail = error.detail, "a store that is lent to a component failed");
    let detail = format!("the host's store failed: {}", error.kind.code());
    store_error(StoreError { detail, ..error })
}
