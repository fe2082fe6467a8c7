//! Between the core's types and those of the WIT package, one for one, for guests and for the embedding. Nothing is
//! decided here.

use crate::bindings::types as wit;
use kraube_core::credential::{Failure, InstallError};
#[cfg(any(not(target_family = "wasm"), not(feature = "token-provider")))]
use kraube_core::machine::{StoreError, StoreErrorKind};
use kraube_core::time::Timestamp;

pub(crate) fn problem(code: &str, message: impl ToString, hint: Option<&str>) -> wit::Problem {
    wit::Problem {
        code: code.into(),
        message: message.to_string(),
        hint: hint.map(str::to_owned),
        detail: None,
        retry_at: None,
        login: None,
    }
}

pub(crate) fn failure_problem(failure: &Failure) -> wit::Problem {
    let problem = problem(failure.code(), failure, failure.hint());
    match failure {
        Failure::Unavailable { retry_at, .. } | Failure::Uncertain { retry_at, .. } => {
            wit::Problem { retry_at: retry_at.map(|Timestamp(at)| at), ..problem }
        }
        Failure::AccountChanged { login } => {
            wit::Problem { login: login.as_ref().map(|login| login.0.clone()), ..problem }
        }
        Failure::LoginRequired(_) | Failure::Misuse { .. } | _ => problem,
    }
}

pub(crate) fn failure(failure: &Failure) -> wit::Error {
    let problem = failure_problem(failure);
    match failure {
        Failure::LoginRequired(_) => wit::Error::LoginRequired(problem),
        Failure::Uncertain { .. } => wit::Error::Uncertain(problem),
        Failure::AccountChanged { .. } => wit::Error::AccountChanged(problem),
        Failure::Misuse { .. } => wit::Error::Misuse(problem),
        Failure::Unavailable { .. } | _ => wit::Error::Unavailable(problem),
    }
}

pub(crate) fn install_error(error: &InstallError) -> wit::Error {
    let problem = problem(error.code(), error, Some(error.hint()));
    match error {
        InstallError::Refused(_) | InstallError::ClientRejected(_) | InstallError::Unknown(_) => {
            wit::Error::LoginRequired(problem)
        }
        InstallError::Unsaved(_) => wit::Error::Unsaved(problem),
        InstallError::Misuse(_) => wit::Error::Misuse(problem),
        InstallError::NoLock { .. }
        | InstallError::Store(_)
        | InstallError::Throttled { .. }
        | InstallError::NotSent(_)
        | _ => wit::Error::Unavailable(problem),
    }
}

#[cfg(any(not(target_family = "wasm"), not(feature = "token-provider")))]
pub(crate) fn store_error(error: StoreError) -> wit::StoreError {
    let kind = match error.kind {
        StoreErrorKind::Denied => wit::StoreErrorKind::Denied,
        StoreErrorKind::NotOurs => wit::StoreErrorKind::NotOurs,
        StoreErrorKind::Full => wit::StoreErrorKind::Full,
        StoreErrorKind::ReadOnly => wit::StoreErrorKind::ReadOnly,
        StoreErrorKind::Irreplaceable => wit::StoreErrorKind::Irreplaceable,
        StoreErrorKind::TooLarge => wit::StoreErrorKind::TooLarge,
        StoreErrorKind::Io | _ => wit::StoreErrorKind::Io,
    };
    wit::StoreError { kind, detail: error.detail }
}
