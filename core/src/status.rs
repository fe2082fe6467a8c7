//! What can be told of a login from the stored bytes alone, without a lock, a request or a change.

use crate::machine::{Blob, StoreError};
use crate::policy::Policy;
use crate::provider::Client;
use crate::record::{LoginId, Record, RecordError, Refusal};
use crate::time::{Millis, Timestamp};
use alloc::string::String;
use core::fmt;

/// The state of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// The access token lives, with more than the margin left.
    Valid,
    /// The next call for a token refreshes it.
    NeedsRefresh,
    /// A refresh is under way, or died on its way. The next call for a token settles it.
    InDoubt,
    /// The server refused the refresh token.
    Refused(Refusal),
    /// The access token has expired, and there is no refresh token.
    Expired,
    /// Nothing is stored.
    LoggedOut,
    /// The stored bytes are no record.
    Corrupt(RecordError),
    /// The store cannot be read.
    Unreadable(StoreError),
}

impl State {
    /// The stable name.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::NeedsRefresh => "needs_refresh",
            Self::InDoubt => "in_doubt",
            Self::Refused(_) => "refused",
            Self::Expired => "expired",
            Self::LoggedOut => "logged_out",
            Self::Corrupt(_) => "corrupt",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// What to do next, where there is something to do.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Valid => None,
            Self::NeedsRefresh => Some("the next `kraube token` refreshes it"),
            Self::InDoubt => Some("the next `kraube token` settles it"),
            Self::Refused(_) | Self::Expired | Self::LoggedOut => Some("log in with `kraube login`"),
            Self::Corrupt(_) => Some("restore the credentials from a copy, or log in again with `kraube login`"),
            Self::Unreadable(_) => Some("the file and its directory must be readable and belong to you"),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid => "valid",
            Self::NeedsRefresh => "needs refresh",
            Self::InDoubt => "in doubt: a refresh is under way, or died on its way",
            Self::Refused(Refusal::Revoked) => "refused: the refresh token expired or was revoked",
            Self::Refused(Refusal::RotationLost) => {
                "refused: the answer to a refresh never arrived, and its new refresh token may have been lost"
            }
            Self::Expired => "expired: there is no refresh token",
            Self::LoggedOut => "logged out",
            Self::Corrupt(error) => return write!(f, "corrupt: {error}"),
            Self::Unreadable(error) => return write!(f, "unreadable: {}", error.detail),
        })
    }
}

/// All that is known. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The state.
    pub state: State,
    /// When the access token expires.
    pub expires_at: Option<Timestamp>,
    /// When it was obtained.
    pub obtained_at: Option<Timestamp>,
    /// Until when nobody tries to refresh.
    pub retry_at: Option<Timestamp>,
    /// Whether there is a refresh token.
    pub refreshable: bool,
    /// The login.
    pub login: Option<LoginId>,
    /// The granted scope.
    pub scope: Option<String>,
    /// Where it is refreshed.
    pub client: Option<Client>,
    /// Whether its tokens are bound to a key (DPoP, RFC 9449).
    pub bound: bool,
}

/// Judges what was read.
pub fn status(read: Result<Option<Blob>, StoreError>, policy: &Policy, now: Timestamp) -> Status {
    let record = match read {
        Ok(None) => return Status::bare(State::LoggedOut),
        Err(error) => return Status::bare(State::Unreadable(error)),
        Ok(Some(blob)) => match Record::parse(blob.bytes()) {
            Ok(record) => record,
            Err(error) => return Status::bare(State::Corrupt(error)),
        },
    };
    let fresh =
        record.access().is_some_and(|(_, expires)| policy.is_fresh(expires, record.obtained_at, Millis::ZERO, now));
    let alive = record.access().is_some_and(|(_, expires)| expires > now);
    let refreshable = record.refresh_token.is_some();
    let state = match (record.is_logged_out(), record.refused, record.redeeming.is_some()) {
        (true, _, _) => State::LoggedOut,
        (false, Some(refusal), _) => State::Refused(refusal),
        (false, None, true) => State::InDoubt,
        (false, None, false) if fresh => State::Valid,
        (false, None, false) if refreshable && record.provider_unreadable => State::Corrupt(RecordError::Provider),
        (false, None, false) if refreshable => State::NeedsRefresh,
        (false, None, false) if alive => State::Valid,
        (false, None, false) => State::Expired,
    };
    Status {
        state,
        expires_at: record.expires_at,
        obtained_at: record.obtained_at,
        retry_at: record.backing_off(now),
        refreshable,
        bound: record.is_bound(),
        login: record.login,
        scope: record.scope,
        client: record.client,
    }
}

impl Status {
    fn bare(state: State) -> Self {
        Self {
            state,
            expires_at: None,
            obtained_at: None,
            retry_at: None,
            refreshable: false,
            login: None,
            scope: None,
            client: None,
            bound: false,
        }
    }
}
