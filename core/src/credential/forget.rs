//! `Forget`: revoke and delete a login.
//!
//! What is stored is deleted whatever the server says, and even where the lock cannot be had: the conditional delete, and
//! `Merge` in [`Obtain`](super::Obtain), keep a late refresh from writing it back.

use super::{Found, Settle, Unsaved};
use crate::machine::{Action, Input, Locked, Machine, Revision, Step, StoreError, WriteError};
use crate::policy::Policy;
use crate::record::{LoginId, Record};
use crate::revoke::{self, Revocation};
use crate::secret::{Fingerprint, Secret};
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// How [`Forget`] ended.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "model", derive(PartialEq, Eq, Hash))]
#[non_exhaustive]
pub enum Forgotten {
    /// There was no login.
    NothingStored,
    /// The credentials are deleted.
    Deleted {
        /// What became of the login at the server.
        revoked: Revoked,
    },
    /// Another login was stored meanwhile. It is not ours to delete.
    AnotherLogin {
        /// What became of the old one at the server.
        revoked: Revoked,
    },
    /// The credentials are still there.
    StillStored {
        /// What became of the login at the server.
        revoked: Revoked,
        /// Why they could not be deleted; `None`: other programs kept changing them.
        cause: Option<StoreError>,
    },
    /// A bug in the host: what the machine was waiting for.
    Misuse(&'static str),
}

/// What became of the login at the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// The server confirmed it.
    Yes,
    /// It was not asked: the provider has no revocation endpoint, there was no refresh token, or the caller did not
    /// want it.
    NotAsked,
    /// It was asked and did not confirm, or a refresh may be under way whose new token it does not know as revoked.
    Unconfirmed(String),
}

/// The machine; each of its transitions is a row of the table in the guide.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
pub struct Forget {
    run: Box<Run>,
    state: State,
}

/// What a transition leads to: the next state and its action, or the outcome.
type Next = Step<State, Forgotten>;

#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
struct Run {
    policy: Policy,
    revoke: bool,
    locked: bool,
    /// A rotation of this process that is not stored: its token is the one to revoke.
    unsaved: Option<Box<Unsaved>>,
    conflicts: u8,
    /// The login of the first read.
    login: Option<Option<LoginId>>,
    /// The refresh token that was last sent to be revoked.
    sent: Option<Fingerprint>,
    revoked: Revoked,
}

#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
enum State {
    Lock,
    Read,
    Revoke { revision: Revision, doubt: bool },
    Delete,
}

impl Forget {
    /// Begins. `revoke`: whether the server shall be told, where it can be. `unsaved`: what this process keeps, with
    /// the lock.
    pub fn start(revoke: bool, policy: Policy, unsaved: Option<Unsaved>) -> Step<Self, Forgotten> {
        let wait = policy.deadline;
        let run = Box::new(Run {
            policy,
            revoke,
            locked: false,
            unsaved: unsaved.map(Box::new),
            conflicts: 0,
            login: None,
            sent: None,
            revoked: Revoked::NotAsked,
        });
        Step::Continue(Self { run, state: State::Lock }, Action::Lock { wait, seen: None })
    }

    /// The state, and the input that it waits for: for logs and tests.
    pub const fn awaits(&self) -> &'static str {
        self.state.awaits()
    }
}

impl Machine for Forget {
    type Outcome = Forgotten;

    fn step(self, input: Input, _now: crate::time::Now) -> Step<Self, Forgotten> {
        let Self { mut run, state } = self;
        let next = match (state, input) {
            (State::Lock, Input::Locked(locked)) => {
                run.locked = locked == Locked::Held;
                then(State::Read, Action::Read)
            }
            (State::Read, Input::Read(read)) => run.found(Found::new(read)),
            (State::Revoke { revision, doubt }, Input::Replied(replied)) => {
                run.revoked = match replied.as_ref().map(revoke::read_revocation) {
                    Ok(Revocation::Done) if doubt => Revoked::Unconfirmed(super::text("a refresh was in doubt")),
                    Ok(Revocation::Done) if !run.locked => {
                        Revoked::Unconfirmed(super::text("the lock could not be had"))
                    }
                    Ok(Revocation::Done) => Revoked::Yes,
                    Ok(Revocation::Unconfirmed { detail }) => Revoked::Unconfirmed(detail),
                    Err(error) => Revoked::Unconfirmed(error.detail.clone()),
                };
                delete(revision)
            }
            (State::Delete, Input::Deleted(deleted)) => run.deleted(deleted),
            (state, _) => Step::Done(Forgotten::Misuse(state.awaits())),
        };
        match next {
            Step::Continue(state, action) => Step::Continue(Self { run, state }, action),
            Step::Done(outcome) => Step::Done(outcome),
        }
    }
}

impl Run {
    fn found(&mut self, found: Found) -> Next {
        let stored = match found {
            Found::Record(stored) | Found::Nothing(Some(stored)) => stored,
            Found::Nothing(None) if self.login.is_some() => return self.done(),
            Found::Nothing(None) => return Step::Done(Forgotten::NothingStored),
            Found::Torn { revision, .. } => return delete(revision),
            Found::Unreadable(error) => {
                return self.still_stored(Some(error));
            }
        };
        match &self.login {
            Some(login) if *login != stored.record.login && stored.record.login.is_some() => {
                return Step::Done(Forgotten::AnotherLogin { revoked: self.revoked.clone() });
            }
            Some(_) => {}
            None => self.login = Some(stored.record.login.clone()),
        }
        match self.revocation(&stored.record) {
            Some((token, request)) => {
                self.sent = Some(token);
                let doubt = stored.record.redeeming.is_some();
                then(State::Revoke { revision: stored.revision, doubt }, Action::Send { request, holds: None })
            }
            None => delete(stored.revision),
        }
    }

    /// The request for the newest token that is known, unless it was sent before.
    fn revocation(&self, record: &Record) -> Option<(Fingerprint, crate::http::Request)> {
        let unsaved = self.unsaved.as_ref().filter(|unsaved| unsaved.replaces == record.refresh_fingerprint());
        let newest = unsaved.map_or(record, |unsaved| &unsaved.record);
        let token: &Secret = newest.refresh_token.as_ref()?;
        let client = newest.client.as_ref().or(record.client.as_ref())?;
        let fingerprint = token.fingerprint();
        if !self.revoke || self.sent == Some(fingerprint) {
            return None;
        }
        Some((fingerprint, revoke::revocation_request(client, token)?))
    }

    fn deleted(&mut self, deleted: Result<(), WriteError>) -> Next {
        match deleted {
            Ok(()) => self.done(),
            Err(WriteError::Conflict) if self.conflicts < self.policy.returns => {
                self.conflicts += 1;
                then(State::Read, Action::Read)
            }
            Err(WriteError::Conflict) => self.still_stored(None),
            Err(WriteError::Failed(error)) => self.still_stored(Some(error)),
        }
    }

    fn done(&self) -> Next {
        Step::Done(Forgotten::Deleted { revoked: self.revoked.clone() })
    }

    fn still_stored(&self, cause: Option<StoreError>) -> Next {
        Step::Done(Forgotten::StillStored { revoked: self.revoked.clone(), cause })
    }
}

fn then(state: State, action: Action) -> Next {
    Step::Continue(state, action)
}

fn delete(replaces: Revision) -> Next {
    then(State::Delete, Action::Delete { replaces })
}

impl Settle for Forgotten {
    fn keep(&self, before: Option<Unsaved>) -> Option<Unsaved> {
        match self {
            Self::NothingStored | Self::Deleted { .. } | Self::AnotherLogin { .. } => None,
            Self::StillStored { .. } | Self::Misuse(_) => before,
        }
    }
}

impl State {
    const fn awaits(&self) -> &'static str {
        match self {
            Self::Lock => "Lock: Locked",
            Self::Read => "Read: Read",
            Self::Revoke { .. } => "Revoke: Replied",
            Self::Delete => "Delete: Deleted",
        }
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("locked", &self.locked).field("revoked", &self.revoked).finish_non_exhaustive()
    }
}
