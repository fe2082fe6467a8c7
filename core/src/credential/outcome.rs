//! What the machines end with, sorted by what the caller may do next.

use crate::dpop::Binding;
use crate::machine::StoreError;
use crate::record::{LoginId, Record, RecordError, Refusal};
use crate::secret::{Fingerprint, Secret};
use crate::text::say;
use crate::time::{Millis, Now, Timestamp};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;

/// How [`Obtain`](super::Obtain) ended.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
#[non_exhaustive]
pub enum Outcome {
    /// Here is a token.
    Ready(Box<Ready>),
    /// New tokens were received and cannot be stored. The host must keep this value *and the lock* for the whole
    /// process, give both to the next run, and say so before the process ends.
    Unsaved(Box<Unsaved>),
    /// There is no token to be had, and why.
    Failed(Failure),
}

/// A living access token.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "model", derive(PartialEq, Eq, Hash))]
#[non_exhaustive]
pub struct Ready {
    /// The token.
    pub access_token: Secret,
    /// When it expires.
    pub expires_at: Timestamp,
    /// When it was obtained, where that is known.
    pub obtained_at: Option<Timestamp>,
    /// The login that it belongs to; `None` where another program wrote the record.
    pub login: Option<LoginId>,
    /// The granted scope, where the server named it.
    pub scope: Option<String>,
    /// Less than the asked `min_valid` is left.
    pub short: bool,
    /// A refresh was due and did not happen, for this reason: the token lives, but nothing better is to be had now.
    pub stale: Option<Failure>,
    /// Where it comes from.
    pub via: Via,
    /// The key that it is bound to (RFC 9449), where it is: each request with it needs a proof. Only who says that it
    /// knows this ([`Wanted::bound`](super::Wanted::bound)) is given such a token.
    pub binding: Option<Binding>,
}

/// Where a token comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// It was stored.
    Store,
    /// This run redeemed the refresh token for it.
    Exchange,
}

/// New tokens that are in this process's memory and nowhere else.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(PartialEq, Eq, Hash))]
pub struct Unsaved {
    /// The access token, while it is alive: it may be used although it is not stored.
    pub ready: Option<Ready>,
    /// What the store said.
    pub cause: StoreError,
    pub(crate) record: Record,
    pub(crate) replaces: Replaces,
}

/// The refresh token that new tokens come after, if one was stored; `None` where that could not be read: they take the place of
/// whatever it was.
pub(crate) type Replaces = Option<Option<Fingerprint>>;

/// There is no token, sorted by what the caller may do next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// Only a new login helps.
    LoginRequired(LoginReason),
    /// Nothing was spent. It may be tried again, from `retry_at` on where that is known.
    Unavailable {
        /// When to try again.
        retry_at: Option<Timestamp>,
        /// What stands in the way.
        cause: Cause,
    },
    /// The refresh token may be spent and no answer was had. That is recorded; it may be tried again, and the next run
    /// sends the same token under the same lock.
    Uncertain {
        /// When to try again.
        retry_at: Option<Timestamp>,
        /// What stands in the way.
        cause: Cause,
    },
    /// Somebody logged in anew meanwhile. The next run takes the new login, unless the caller pinned the old one.
    AccountChanged {
        /// The login that is stored now.
        login: Option<LoginId>,
    },
    /// The host answered an action with an input that does not belong to it: a bug in the host.
    Misuse {
        /// What the machine was waiting for.
        awaited: &'static str,
    },
}

/// Why only a new login helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoginReason {
    /// Nothing is stored.
    LoggedOut,
    /// The access token has expired, and there is no refresh token.
    NoRefreshToken,
    /// The server refused the refresh token.
    Refused(Refusal),
}

/// What stands in the way of a refresh.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Another process kept the lock for longer than the deadline.
    Busy,
    /// This run has the lock and is refreshing: only [`Obtain::living`](super::Obtain::living) says so, of a run that
    /// goes on.
    UnderWay,
    /// There can be no lock here, so a refresh could collide with another one.
    NoLock(StoreError),
    /// The store failed, before anything was spent.
    Store(StoreError),
    /// The stored bytes are no record.
    Corrupt(RecordError),
    /// The stored record does not say where to refresh it, and no default is known.
    NoClient,
    /// The tokens are bound to a key (RFC 9449), and the caller, or this host, makes no proofs. Nothing was changed.
    KeyBound,
    /// An earlier attempt, perhaps of another process, failed; nobody tries until then.
    BackingOff,
    /// The rejected token was obtained a moment ago; another one would hardly fare better.
    TooSoon,
    /// Other programs kept changing the record.
    Contended,
    /// The server could not be reached.
    NotSent(String),
    /// The request may have been sent, and no answer came.
    NoAnswer(String),
    /// The server asked for a pause.
    Throttled,
    /// The server does not accept this client or request.
    ClientRejected(String),
    /// The server answered something that tells nothing.
    Unreadable(String),
    /// The server answered with a status by which it may refuse the refresh token; once may be a mishap.
    Status(u16),
    /// The server issued tokens that are not bound to the key of this login. They are not used (RFC 9449 section 5).
    #[cfg(feature = "dpop")]
    NotBound,
}

impl Ready {
    /// The access token of a record, while it is alive.
    pub(crate) fn of(record: &Record, min_valid: Millis, now: Now) -> Option<Self> {
        let (access_token, expires_at) = record.access().filter(|&(_, expires_at)| expires_at > now.wall)?;
        Some(Self {
            access_token: access_token.clone(),
            expires_at,
            obtained_at: record.obtained_at,
            login: record.login.clone(),
            scope: record.scope.clone(),
            short: expires_at.since(now.wall) < min_valid,
            stale: None,
            via: Via::Store,
            binding: record.binding.clone(),
        })
    }
}

/// Not derived, as it would become a part of each function that clones one.
impl Clone for Unsaved {
    fn clone(&self) -> Self {
        let Self { ready, cause, record, replaces } = self;
        Self { ready: ready.clone(), cause: cause.clone(), record: record.clone(), replaces: *replaces }
    }
}

impl Unsaved {
    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        "free the disk while this process lives: the tokens are in its memory alone"
    }
}

impl fmt::Display for Unsaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("new tokens were received and cannot be stored")
    }
}

/// What a process keeps after a machine is done, so that nothing received is lost.
pub trait Settle {
    /// The rotation that is not stored yet, if there is one: the outcome's own, or the one that was kept before and
    /// is not settled by this outcome. The host keeps it, with the lock, in one entry for each store.
    fn keep(&self, before: Option<Unsaved>) -> Option<Unsaved>;
}

impl Settle for Outcome {
    fn keep(&self, before: Option<Unsaved>) -> Option<Unsaved> {
        match self {
            Self::Unsaved(unsaved) => Some(Unsaved::clone(unsaved)),
            Self::Failed(Failure::Misuse { .. }) => before,
            Self::Ready(_) | Self::Failed(_) => None,
        }
    }
}

impl Failure {
    /// The stable name, the same on every host.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::LoginRequired(LoginReason::LoggedOut) => "logged_out",
            Self::LoginRequired(LoginReason::NoRefreshToken) => "no_refresh_token",
            Self::LoginRequired(LoginReason::Refused(refusal)) => refusal.code(),
            Self::Unavailable { cause, .. } => cause.code(),
            Self::Uncertain { .. } => "in_doubt",
            Self::AccountChanged { .. } => "account_changed",
            Self::Misuse { .. } => "misuse",
        }
    }

    /// What the person or program may do about it, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::LoginRequired(LoginReason::LoggedOut) => Some("log in with `kraube login`"),
            Self::LoginRequired(_) => Some("log in again with `kraube login`"),
            Self::Unavailable { cause, .. } => cause.hint(),
            Self::Uncertain { .. } => {
                Some("try again: the same refresh token is sent once more, under the lock; nothing was deleted")
            }
            Self::AccountChanged { .. } => Some("ask again to use the new login"),
            Self::Misuse { .. } => Some("this is a bug in the host; please report it"),
        }
    }
}

impl Cause {
    /// The stable name, the same on every host.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::UnderWay => "under_way",
            Self::NoLock(_) => "no_lock",
            Self::Store(_) => "store",
            Self::Corrupt(_) => "corrupt",
            Self::NoClient => "no_client",
            Self::KeyBound => "key_bound",
            Self::BackingOff => "backing_off",
            Self::TooSoon => "too_soon",
            Self::Contended => "contended",
            Self::NotSent(_) => "unreachable",
            Self::NoAnswer(_) => "no_answer",
            Self::Throttled => "throttled",
            Self::ClientRejected(_) => "client_rejected",
            Self::Unreadable(_) => "unreadable_answer",
            Self::Status(_) => "refused_by_status",
            #[cfg(feature = "dpop")]
            Self::NotBound => "not_bound",
        }
    }

    /// What to do about it, where there is something to say.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Busy => Some("try again; `kraube doctor` tells which process holds the lock"),
            Self::NoLock(_) | Self::Store(_) => Some(
                "the directory of the credentials must be writable and belong to you; mount the directory, not the file",
            ),
            Self::Corrupt(_) => Some("restore the credentials from a copy, or log in again with `kraube login`"),
            Self::NoClient => Some("set KRAUBE_CLIENT_ID to the client id of the login, or log in with `kraube login`"),
            Self::KeyBound => {
                Some("use `kraube token --dpop METHOD URL`, or `TokenSource::authorize` of the Rust library")
            }
            #[cfg(feature = "dpop")]
            Self::NotBound => Some("ask who runs the server why it has stopped to bind tokens, then log in again"),
            Self::BackingOff | Self::Throttled | Self::Contended | Self::TooSoon | Self::UnderWay => {
                Some("try again later")
            }
            Self::NotSent(_) => Some("check the network, the proxy settings and the certificates"),
            Self::NoAnswer(_) | Self::Unreadable(_) | Self::Status(_) => {
                Some("try again later; the login is untouched")
            }
            Self::ClientRejected(_) => Some("check the client id, then log in again with `kraube login`"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoginRequired(reason) => reason.fmt(f),
            Self::Unavailable { cause, .. } => cause.fmt(f),
            Self::Uncertain { cause, .. } => {
                f.write_str("the outcome of a refresh is unknown, and recorded as such: ")?;
                cause.fmt(f)
            }
            Self::AccountChanged { .. } => f.write_str("somebody logged in anew meanwhile"),
            Self::Misuse { awaited } => say(f, &["the host gave a wrong input; the machine awaited ", awaited]),
        }
    }
}

impl fmt::Display for LoginReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoggedOut => "not logged in",
            Self::NoRefreshToken => "the access token has expired, and there is no refresh token",
            Self::Refused(Refusal::Revoked) => "the server refused the refresh token: it expired or was revoked",
            Self::Refused(Refusal::RotationLost) => {
                "the server refused the refresh token after a refresh whose answer never arrived: the rotation may have been lost"
            }
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("another process kept the lock on the credentials"),
            Self::UnderWay => f.write_str("the refresh is still under way"),
            Self::NoLock(_) => f.write_str("the credentials cannot be locked, so they are not refreshed"),
            Self::Store(_) => f.write_str("the credentials cannot be read or stored; nothing was spent"),
            Self::Corrupt(error) => error.fmt(f),
            Self::NoClient => f.write_str("the credentials do not say which client they were issued to"),
            Self::KeyBound => {
                f.write_str("this login is bound to a key (DPoP): each request with its token needs a proof of its own")
            }
            #[cfg(feature = "dpop")]
            Self::NotBound => f.write_str("the server issued tokens that are not bound to the key of this login"),
            Self::BackingOff => f.write_str("an earlier refresh failed, and the next one waits"),
            Self::TooSoon => f.write_str("the rejected token was obtained a moment ago"),
            Self::Contended => f.write_str("other programs kept changing the credentials"),
            Self::NotSent(detail) => say(f, &["the server could not be reached: ", detail]),
            Self::NoAnswer(detail) => say(f, &["the server gave no answer: ", detail]),
            Self::Throttled => f.write_str("the server asked for a pause (429)"),
            Self::ClientRejected(detail) => say(f, &["the server does not accept this client or request: ", detail]),
            Self::Unreadable(detail) => say(f, &["the server gave an answer of no use: ", detail]),
            Self::Status(status) => say(f, &["the server answered ", &status.to_string()]),
        }
    }
}

impl core::error::Error for Failure {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Unavailable { cause: Cause::NoLock(error) | Cause::Store(error), .. } => Some(error),
            Self::LoginRequired(_)
            | Self::Unavailable { .. }
            | Self::Uncertain { .. }
            | Self::AccountChanged { .. }
            | Self::Misuse { .. } => None,
        }
    }
}
