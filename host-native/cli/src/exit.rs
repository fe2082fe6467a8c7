//! How the command ends: the exit codes, and the one place where the library's verdicts become one of them.

use crate::ui;
use kraube::Error;
use kraube::core::credential::{Failure, InstallError, LoginReason};
use kraube::core::device::DeviceError;
use kraube::core::login::BeginError;
use kraube::core::status::State;
use kraube::login::LoginError;
use kraube::paths::PathError;
use kraube::provider::{DiscoveryError, ProviderError, RegistrationError};
use std::process::ExitCode;

/// The exit code. [`TABLE`] documents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    Ok = 0,
    Error = 1,
    Usage = 2,
    NeedsRefresh = 3,
    LoggedOut = 4,
    Refused = 5,
    InDoubt = 6,
    Unavailable = 7,
    AccountChanged = 8,
    Unsaved = 9,
    /// What a shell reports of a program that Ctrl-C has ended.
    Interrupted = 130,
}

/// The exit codes, for `--help` and the manual.
pub(crate) const TABLE: &str = "\
Exit codes:
  0  done; also with a hint about a token that is short-lived or stale
  1  error
  2  the command line is wrong
  3  the next call for a token refreshes it (status)
  4  not logged in, or the login has ended
  5  the server refused the login; log in again
  6  the outcome of a refresh is unknown; ask again
  7  no token can be had now; nothing was spent, try again later
  8  somebody logged in anew meanwhile; ask again to use that login
  9  new tokens were received and could not be stored, and none is given out
130  interrupted; a refresh that was under way was completed first";

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) code: Code,
    /// What is shown: the error, its causes, what to do. Nothing is shown where nobody reads any more.
    pub(crate) report: Option<Report>,
}

/// The lines of an error.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) error: String,
    pub(crate) causes: Vec<String>,
    pub(crate) hints: Vec<String>,
}

impl Failed {
    pub(crate) fn new(code: Code, error: impl Into<String>) -> Self {
        Self { code, report: Some(Report { error: error.into(), causes: Vec::new(), hints: Vec::new() }) }
    }

    /// The error with its sources.
    pub(crate) fn of(code: Code, error: &dyn std::error::Error) -> Self {
        std::iter::successors(error.source(), |cause| cause.source())
            .fold(Self::new(code, error.to_string()), Self::caused_by)
    }

    #[must_use]
    pub(crate) fn caused_by(mut self, cause: impl ToString) -> Self {
        self.report.iter_mut().for_each(|report| report.causes.push(cause.to_string()));
        self
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        self.report.iter_mut().for_each(|report| report.hints.push(hint.clone()));
        self
    }
}

/// Shows the error, if there is one, and gives the process its code.
pub(crate) fn end(result: Result<Code, Failed>) -> ExitCode {
    let code = result.unwrap_or_else(|Failed { code, report }| {
        report.iter().for_each(ui::report);
        code
    });
    ExitCode::from(code as u8)
}

impl From<&Error> for Code {
    fn from(error: &Error) -> Self {
        match error {
            Error::Failed(failure) => failure.into(),
            Error::Login(error) => error.into(),
            Error::Unsaved(_) => Self::Unsaved,
            Error::Path(PathError::Empty | PathError::Profile) | Error::Target(_) => Self::Usage,
            Error::Path(_) | Error::Store(_) | Error::System(_) => Self::Error,
            _ => Self::Error,
        }
    }
}

impl From<&ProviderError> for Code {
    fn from(error: &ProviderError) -> Self {
        match error {
            ProviderError::Discovery(DiscoveryError::Unreachable { .. })
            | ProviderError::Registration(RegistrationError::Unreachable(_)) => Self::Unavailable,
            ProviderError::Unknown { .. }
            | ProviderError::File { .. }
            | ProviderError::NoDemoIssuer
            | ProviderError::DemoIssuer(_)
            | ProviderError::Path(_)
            | ProviderError::Discovery(_)
            | ProviderError::Registration(_)
            | ProviderError::System(_)
            | _ => Self::Error,
        }
    }
}

impl From<&LoginError> for Code {
    fn from(error: &LoginError) -> Self {
        match error {
            LoginError::Failed(error) => error.into(),
            LoginError::Denied { .. } => Self::Refused,
            LoginError::Device(DeviceError::Denied | DeviceError::Refused(_)) => Self::Refused,
            LoginError::Device(DeviceError::Unreachable(_)) | LoginError::Begin(BeginError::PushUnreachable(_)) => {
                Self::Unavailable
            }
            LoginError::Begin(BeginError::PushRefused(_)) => Self::Refused,
            LoginError::Begin(_)
            | LoginError::Listener(_)
            | LoginError::TimedOut { .. }
            | LoginError::NoAnswer
            | LoginError::NotTheAnswer(_)
            | LoginError::NothingPending
            | LoginError::SeveralPending(_)
            | LoginError::Device(_)
            | LoginError::Restore(_) => Self::Error,
            _ => Self::Error,
        }
    }
}

impl From<&Failure> for Code {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::LoginRequired(LoginReason::LoggedOut | LoginReason::NoRefreshToken) => Self::LoggedOut,
            Failure::LoginRequired(_) => Self::Refused,
            Failure::Unavailable { .. } => Self::Unavailable,
            Failure::Uncertain { .. } => Self::InDoubt,
            Failure::AccountChanged { .. } => Self::AccountChanged,
            Failure::Misuse { .. } => Self::Error,
            _ => Self::Error,
        }
    }
}

impl From<&InstallError> for Code {
    fn from(error: &InstallError) -> Self {
        match error {
            InstallError::NoLock { .. }
            | InstallError::Store(_)
            | InstallError::Throttled { .. }
            | InstallError::NotSent(_) => Self::Unavailable,
            InstallError::Refused(_) => Self::Refused,
            InstallError::Unknown(_) => Self::InDoubt,
            InstallError::Unsaved(_) => Self::Unsaved,
            InstallError::ClientRejected(_) | InstallError::NotBound | InstallError::Misuse(_) => Self::Error,
            _ => Self::Error,
        }
    }
}

impl From<&State> for Code {
    fn from(state: &State) -> Self {
        match state {
            State::Valid => Self::Ok,
            State::NeedsRefresh => Self::NeedsRefresh,
            State::InDoubt => Self::InDoubt,
            State::Refused(_) => Self::Refused,
            State::Expired | State::LoggedOut => Self::LoggedOut,
            State::Corrupt(_) | State::Unreadable(_) => Self::Error,
            _ => Self::Error,
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let failed = Self::of((&error).into(), &error);
        let failed = error.hint().into_iter().fold(failed, Self::hint);
        match error.failure() {
            Some(Failure::Unavailable { retry_at: Some(at), .. } | Failure::Uncertain { retry_at: Some(at), .. }) => {
                failed.hint(format!("the next attempt is made {}", ui::relative(*at)))
            }
            _ => failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kraube::core::credential::Cause;
    use kraube::core::machine::{StoreError, StoreErrorKind};
    use kraube::core::record::{RecordError, Refusal};

    fn store_error() -> StoreError {
        StoreError { kind: StoreErrorKind::Full, detail: "full".into() }
    }

    #[test]
    fn every_verdict_has_the_documented_code() {
        let unavailable = Failure::Unavailable { retry_at: None, cause: Cause::Busy };
        let uncertain = Failure::Uncertain { retry_at: None, cause: Cause::NoAnswer("reset".into()) };
        let failures = [
            (Failure::LoginRequired(LoginReason::LoggedOut), 4),
            (Failure::LoginRequired(LoginReason::NoRefreshToken), 4),
            (Failure::LoginRequired(LoginReason::Refused(Refusal::Revoked)), 5),
            (Failure::LoginRequired(LoginReason::Refused(Refusal::RotationLost)), 5),
            (unavailable, 7),
            (uncertain, 6),
            (Failure::AccountChanged { login: None }, 8),
            (Failure::Misuse { awaited: "a lock" }, 1),
        ];
        for (failure, code) in failures {
            assert_eq!(Code::from(&Error::Failed(failure.clone())) as u8, code, "{failure:?}");
        }
        assert_eq!(Code::from(&Error::Unsaved(store_error())) as u8, 9);
        assert_eq!(Code::from(&Error::Store(store_error())) as u8, 1);
        assert_eq!(Code::from(&Error::System("no thread".into())) as u8, 1);
    }

    #[test]
    fn every_state_has_the_documented_code() {
        let states = [
            (State::Valid, 0),
            (State::NeedsRefresh, 3),
            (State::InDoubt, 6),
            (State::Refused(Refusal::Revoked), 5),
            (State::Expired, 4),
            (State::LoggedOut, 4),
            (State::Corrupt(RecordError::Empty), 1),
            (State::Unreadable(store_error()), 1),
        ];
        for (state, code) in states {
            assert_eq!(Code::from(&state) as u8, code, "{state:?}");
        }
    }

    #[test]
    fn the_help_names_every_code() {
        let codes = [
            Code::Ok,
            Code::Error,
            Code::Usage,
            Code::NeedsRefresh,
            Code::LoggedOut,
            Code::Refused,
            Code::InDoubt,
            Code::Unavailable,
            Code::AccountChanged,
            Code::Unsaved,
        ];
        assert!(TABLE.contains("\n130  "));
        for (at, code) in codes.into_iter().enumerate() {
            assert_eq!(at, code as usize);
            assert!(TABLE.contains(&format!("\n  {at}  ")), "{code:?}");
        }
    }
}
