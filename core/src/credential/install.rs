//! `Install`: store a new login.
//!
//! The lock is taken before the code is sent, and never held while a person is in the browser.

use super::{Found, Replaces, Settle, Stored, Unsaved};
use crate::dpop::Binding;
use crate::http::{Request, Response, SendErrorKind};
use crate::machine::{Action, Input, Locked, Machine, Revision, Step, StoreError, WriteError};
use crate::policy::Policy;
use crate::provider::Client;
use crate::record::{Credentials, LoginId, Record};
use crate::secret::Secret;
use crate::text::say;
use crate::time::{Millis, Now, Timestamp};
use crate::token::{self, Answer, Reading};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// What is installed.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
pub enum NewLogin {
    /// A validated authorization code: the token request that spends it.
    Code {
        /// The request, from [`Exchange::request`](crate::login::Exchange::request); with its
        /// [`binding`](Request::binding), where the tokens are to be bound to a key.
        request: Request,
        /// The client it is for.
        client: Client,
    },
    /// Tokens that the caller already has.
    Credentials(Credentials),
}

/// How [`Install`] ended.
pub type Installed = Result<Credentials, InstallError>;

/// Why a new login is not stored.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "model", derive(PartialEq, Eq, Hash))]
#[non_exhaustive]
pub enum InstallError {
    /// The lock could not be had: a code was not sent, and is unspent; tokens are not stored.
    NoLock {
        /// What the store said, where it was not just busy.
        cause: Option<StoreError>,
    },
    /// The store could not be read: the code was not sent.
    Store(StoreError),
    /// The server does not accept the code (`invalid_grant`): it is expired, spent or of another login.
    Refused(String),
    /// The server does not accept this client or request.
    ClientRejected(String),
    /// The server asked for a pause (429): the code is unspent.
    Throttled {
        /// From `Retry-After`.
        retry_after: Option<Millis>,
    },
    /// The server could not be reached: the code is unspent.
    NotSent(String),
    /// No usable answer: the code may be spent.
    Unknown(String),
    /// The server issued tokens that are not bound to the key of this login, though that was asked for. They are not used
    /// (RFC 9449 section 5), and not stored.
    #[cfg(feature = "dpop")]
    NotBound,
    /// Tokens were received and cannot be stored. The host keeps this value and the lock, as with
    /// [`Outcome::Unsaved`](super::Outcome::Unsaved).
    Unsaved(Box<Unsaved>),
    /// A bug in the host: what the machine was waiting for.
    Misuse(&'static str),
}

impl InstallError {
    /// The stable name, the same on every host.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoLock { cause: None } => "busy",
            Self::NoLock { cause: Some(_) } => "no_lock",
            Self::Store(_) => "store",
            Self::Refused(_) => "code_refused",
            Self::ClientRejected(_) => "client_rejected",
            Self::Throttled { .. } => "throttled",
            Self::NotSent(_) => "unreachable",
            Self::Unknown(_) => "code_in_doubt",
            #[cfg(feature = "dpop")]
            Self::NotBound => "not_bound",
            Self::Unsaved(_) => "unsaved",
            Self::Misuse(_) => "misuse",
        }
    }

    /// Whether the same code may be sent again: it is unspent, or nothing is known of it.
    pub const fn may_repeat(&self) -> bool {
        match self {
            Self::NoLock { .. }
            | Self::Store(_)
            | Self::Throttled { .. }
            | Self::NotSent(_)
            | Self::Unknown(_)
            | Self::Misuse(_) => true,
            Self::Refused(_) | Self::ClientRejected(_) | Self::Unsaved(_) => false,
            #[cfg(feature = "dpop")]
            Self::NotBound => false,
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NoLock { cause: None } => "another process holds the lock; log in again when it is done",
            Self::NoLock { .. } | Self::Store(_) => {
                "make the directory of the credentials writable, or name another one"
            }
            Self::Refused(_) | Self::Unknown(_) => {
                "start the login again: a code can be used once, and for a short time"
            }
            Self::ClientRejected(_) => "check the client id and its registered redirect URIs",
            Self::Throttled { .. } => "wait a little, then give the same answer again, or log in again",
            Self::NotSent(_) => "check the network, the proxy settings and the certificates",
            #[cfg(feature = "dpop")]
            Self::NotBound => {
                "this server does not bind tokens to keys: log in without --dpop, unless the resource takes no other tokens"
            }
            Self::Unsaved(_) => "free the disk; the tokens are in this process's memory alone",
            Self::Misuse(_) => "this is a bug in the host; please report it",
        }
    }
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLock { cause: None } => f.write_str("another process kept the lock on the credentials"),
            Self::NoLock { cause: Some(_) } => {
                f.write_str("the credentials cannot be locked, so the login is not stored")
            }
            Self::Store(_) => f.write_str("the credentials cannot be read, so the login is not stored"),
            Self::Refused(detail) => say(f, &["the server does not accept the code: ", detail]),
            Self::ClientRejected(detail) => say(f, &["the server does not accept this client or request: ", detail]),
            Self::Throttled { retry_after: Some(pause) } => {
                say(f, &["the server asked for a pause of ", &pause.0.div_ceil(1000).to_string(), " s (429)"])
            }
            Self::Throttled { retry_after: None } => f.write_str("the server asked for a pause (429)"),
            Self::NotSent(detail) => say(f, &["the server could not be reached: ", detail]),
            Self::Unknown(detail) => say(f, &["the server gave no usable answer to the code: ", detail]),
            #[cfg(feature = "dpop")]
            Self::NotBound => {
                f.write_str("the server issued tokens that are not bound to the key of this login (DPoP)")
            }
            Self::Unsaved(_) => f.write_str("the new login cannot be stored"),
            Self::Misuse(awaited) => say(f, &["the host gave a wrong input; the machine awaited ", awaited]),
        }
    }
}

impl core::error::Error for InstallError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::NoLock { cause: Some(error) } | Self::Store(error) => Some(error),
            Self::Unsaved(unsaved) => Some(&unsaved.cause),
            Self::NoLock { cause: None }
            | Self::Refused(_)
            | Self::ClientRejected(_)
            | Self::Throttled { .. }
            | Self::NotSent(_)
            | Self::Unknown(_)
            | Self::Misuse(_) => None,
            #[cfg(feature = "dpop")]
            Self::NotBound => None,
        }
    }
}

/// The machine; each of its transitions is a row of the table in the guide.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
pub struct Install {
    base: Box<Base>,
    state: State,
}

/// What a transition leads to: the next state and its action, or the outcome.
type Next = Step<State, Installed>;

#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
enum State {
    Lock(Box<NewLogin>),
    Read(Box<NewLogin>),
    Exchange(Box<Exchange>),
    Write(Box<Write>),
    SavePause(Box<Write>),
    /// The record was changed between our read and our write.
    Reread(Box<Write>),
}

/// A code that is being exchanged.
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
struct Exchange {
    client: Client,
    /// The secrets of the request, which no error shows.
    sent: Vec<Secret>,
    sent_at: Timestamp,
    under: Under,
    /// Where the tokens are to be bound to a key: the request, which may be sent once more with a nonce.
    bound: Option<Bound>,
}

#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
struct Bound {
    binding: Binding,
    /// `None` when it was sent once more.
    #[cfg(feature = "dpop")]
    again: Option<Request>,
}

/// What the last read has found, and what of it lives on.
#[derive(Default)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
struct Under {
    revision: Option<Revision>,
    /// The record, if there is one; `None` where nothing could be read yet.
    record: Option<Option<Record>>,
}

#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
struct Write {
    credentials: Credentials,
    under: Under,
    since: Millis,
    /// How often there was a conflict.
    conflicts: u8,
}

impl Install {
    /// Begins. `login` is random and new for each login.
    pub fn start(new: NewLogin, login: LoginId, policy: Policy) -> Step<Self, Installed> {
        // A code can be sent later, or again. Tokens end with the process.
        let wait = match &new {
            NewLogin::Code { .. } => policy.deadline,
            NewLogin::Credentials(_) => Millis(policy.deadline.0.saturating_mul(5)),
        };
        let machine = Self { base: Box::new(Base { policy, login }), state: State::Lock(Box::new(new)) };
        Step::Continue(machine, Action::Lock { wait, seen: None })
    }

    /// The state, and the input that it waits for: for logs and tests.
    pub const fn awaits(&self) -> &'static str {
        self.state.awaits()
    }
}

impl Machine for Install {
    type Outcome = Installed;

    fn step(self, input: Input, now: Now) -> Step<Self, Installed> {
        let Self { base, state } = self;
        let next = match (state, input) {
            (State::Lock(new), Input::Locked(locked)) => match locked {
                Locked::Held => then(State::Read(new), Action::Read),
                Locked::Changed | Locked::TimedOut => failed(InstallError::NoLock { cause: None }),
                Locked::Unsupported(error) => failed(InstallError::NoLock { cause: Some(error) }),
            },
            (State::Read(new), Input::Read(read)) => {
                let mut under = Under::default();
                match (under.find(Found::new(read)), *new) {
                    (Ok(()), new) => base.begin(new, under, now),
                    (Err(error), NewLogin::Code { .. }) => failed(InstallError::Store(error)),
                    (Err(error), NewLogin::Credentials(credentials)) => {
                        base.unsaved(Write::new(credentials, under, now), error, now)
                    }
                }
            }
            (State::Exchange(exchange), Input::Replied(replied)) => match replied {
                Ok(response) => base.replied(exchange, &response, now),
                Err(error) => failed(unanswered(error.kind, error.detail)),
            },
            (State::Write(write), Input::Wrote(wrote)) => base.wrote(write, wrote, now),
            (State::SavePause(write), Input::Woke) => base.write(write),
            // The tokens are here, whatever can be read: what was read before stands in for what cannot.
            (State::Reread(mut write), Input::Read(read)) => match write.under.find(Found::new(read)) {
                Ok(()) => base.write(write),
                Err(error) => base.unsaved(write, error, now),
            },
            (state, _) => failed(InstallError::Misuse(state.awaits())),
        };
        match next {
            Step::Continue(state, action) => Step::Continue(Self { base, state }, action),
            Step::Done(outcome) => Step::Done(outcome),
        }
    }
}

/// What is known in every state.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
struct Base {
    policy: Policy,
    login: LoginId,
}

impl Base {
    fn begin(&self, new: NewLogin, under: Under, now: Now) -> Next {
        match new {
            NewLogin::Code { request, client } => {
                let bound = request.binding.as_ref().map(|binding| Bound {
                    binding: binding.clone(),
                    #[cfg(feature = "dpop")]
                    again: Some(request.repeat()),
                });
                let sent = token::secrets_of(request.body.expose());
                send(request, Box::new(Exchange { client, sent, sent_at: now.wall, under, bound }))
            }
            NewLogin::Credentials(credentials) => self.write(Write::new(credentials, under, now)),
        }
    }

    fn replied(&self, mut exchange: Box<Exchange>, response: &Response, now: Now) -> Next {
        exchange.bound.iter_mut().for_each(|bound| bound.binding.learn(response));
        match token::read(&exchange.client, response, &exchange.sent, exchange.bound.is_some(), now) {
            Reading::Answer(answer) => self.answered(exchange, answer, now),
            #[cfg(feature = "dpop")]
            Reading::UseNonce => {
                let again = exchange.bound.as_mut().and_then(|bound| {
                    let request = bound.again.take()?;
                    Some(Request { binding: Some(bound.binding.clone()), ..request })
                });
                match again {
                    Some(request) => {
                        exchange.sent_at = now.wall;
                        send(request, exchange)
                    }
                    None => failed(InstallError::ClientRejected(super::text("use_dpop_nonce"))),
                }
            }
            #[cfg(feature = "dpop")]
            Reading::NotBound => failed(InstallError::NotBound),
        }
    }

    fn answered(&self, exchange: Box<Exchange>, answer: Answer, now: Now) -> Next {
        let Exchange { client, sent_at, under, bound, .. } = *exchange;
        let issued = match answer {
            Answer::Issued(issued) => issued,
            Answer::Refused { detail } => return failed(InstallError::Refused(detail)),
            Answer::ClientRejected { detail } => return failed(InstallError::ClientRejected(detail)),
            Answer::RefusedByStatus(status) => {
                return failed(InstallError::Refused(["status ", &status.to_string()].concat()));
            }
            Answer::Throttled { retry_after } => return failed(InstallError::Throttled { retry_after }),
            Answer::Unknown { detail, .. } => return failed(InstallError::Unknown(detail)),
        };
        let credentials = Credentials::issued(issued, client, bound.map(|bound| bound.binding), sent_at);
        self.write(Write::new(credentials, under, now))
    }

    fn record(&self, write: &Write) -> Record {
        let replaces = write.under.record.as_ref().and_then(Option::as_ref);
        Record::install(&write.credentials, self.login.clone(), replaces)
    }

    fn write(&self, write: Box<Write>) -> Next {
        let blob = self.record(&write).to_blob();
        let replaces = write.under.revision;
        then(State::Write(write), Action::Write { replaces, blob, reserve: 0 })
    }

    fn wrote(&self, mut write: Box<Write>, wrote: Result<(), WriteError>, now: Now) -> Next {
        match wrote {
            Ok(()) => Step::Done(Ok(write.credentials)),
            Err(WriteError::Conflict) if write.conflicts < self.policy.returns => {
                write.conflicts += 1;
                then(State::Reread(write), Action::Read)
            }
            Err(WriteError::Conflict) => self.unsaved(write, super::obtain::contended(), now),
            Err(WriteError::Failed(_)) if now.monotonic.minus(write.since) < self.policy.save_time => {
                let time = self.policy.save_pause;
                then(State::SavePause(write), Action::Wait { time })
            }
            Err(WriteError::Failed(error)) => self.unsaved(write, error, now),
        }
    }

    fn unsaved(&self, write: Box<Write>, cause: StoreError, now: Now) -> Next {
        let replaces = write.under.record.as_ref().map(|record| record.as_ref()?.refresh_fingerprint());
        let record = self.record(&write);
        failed(InstallError::Unsaved(Box::new(Unsaved::new(record, replaces, cause, now))))
    }
}

fn then(state: State, action: Action) -> Next {
    Step::Continue(state, action)
}

fn send(request: Request, exchange: Box<Exchange>) -> Next {
    then(State::Exchange(exchange), Action::Send { request, holds: None })
}

fn failed(error: InstallError) -> Next {
    Step::Done(Err(error))
}

impl Under {
    /// Whatever is stored gives way to the new login: also another login, or bytes that are no record. The last record that
    /// could be read stays.
    fn find(&mut self, found: Found) -> Result<(), StoreError> {
        *self = match found {
            Found::Record(Stored { revision, record }) | Found::Nothing(Some(Stored { revision, record })) => {
                Self { revision: Some(revision), record: Some(Some(record)) }
            }
            Found::Nothing(None) => Self { revision: None, record: Some(None) },
            Found::Torn { revision, .. } => Self { revision: Some(revision), record: self.record.take() },
            Found::Unreadable(error) => return Err(error),
        };
        Ok(())
    }
}

impl Write {
    fn new(credentials: Credentials, under: Under, now: Now) -> Box<Self> {
        Box::new(Self { credentials, under, since: now.monotonic, conflicts: 0 })
    }
}

fn unanswered(kind: SendErrorKind, detail: String) -> InstallError {
    match kind {
        SendErrorKind::NotSent => InstallError::NotSent(detail),
        SendErrorKind::MaybeSent | SendErrorKind::TimedOut => InstallError::Unknown(detail),
        SendErrorKind::LockLost => InstallError::NoLock { cause: None },
    }
}

impl State {
    const fn awaits(&self) -> &'static str {
        match self {
            Self::Lock(_) => "Lock: Locked",
            Self::Read(_) => "Read: Read",
            Self::Exchange(_) => "Exchange: Replied",
            Self::Write(_) => "Write: Wrote",
            Self::SavePause(_) => "SavePause: Woke",
            Self::Reread(_) => "Reread: Read",
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("client", &self.client.name)
            .field("under", &self.under)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Under {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Under").field("revision", &self.revision).finish_non_exhaustive()
    }
}

impl Settle for Installed {
    fn keep(&self, before: Option<Unsaved>) -> Option<Unsaved> {
        match self {
            // The login that it belonged to is replaced.
            Ok(_) => None,
            Err(InstallError::Unsaved(unsaved)) => Some(Unsaved::clone(unsaved)),
            Err(_) => before,
        }
    }
}

/// An installed login that cannot be stored is kept under the same terms as a rotation.
impl Unsaved {
    fn new(record: Record, replaces: Replaces, cause: StoreError, now: Now) -> Self {
        let ready = super::Ready::of(&record, Millis::ZERO, now);
        Self { ready, cause, record, replaces }
    }
}
