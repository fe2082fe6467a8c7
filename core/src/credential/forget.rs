//! `Forget`: revoke and delete a login.
//!
//! What is stored is deleted whatever the server says, and even where the lock cannot be had: the conditional delete, and
//! `Merge` in [`Obtain`](super::Obtain), keep a late refresh from writing it back. What this process keeps is revoked also
//! where nothing, or nothing readable, is stored.

use super::{Found, Settle, Unsaved};
use crate::machine::{Action, Input, Locked, Machine, Revision, Step, StoreError, WriteError};
use crate::policy::Policy;
use crate::record::{LoginId, Record};
use crate::revoke::{self, Revocation};
use crate::secret::{Fingerprint, Secret};
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::slice;

/// How [`Forget`] ended.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "model", derive(PartialEq, Eq, Hash))]
#[non_exhaustive]
pub enum Forgotten {
    /// There was no login: nothing stored, and none that this process kept.
    NothingStored,
    /// The credentials are deleted, those that this process kept with them.
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
    /// Tokens of this process that are not stored: theirs is the one to revoke.
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
    Read {
        tries: u8,
    },
    TornPause {
        tries: u8,
    },
    /// What is deleted then; `None`: nothing is stored.
    Revoke {
        revision: Option<Revision>,
        token: Secret,
        doubt: bool,
    },
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
                read(0)
            }
            (State::Read { tries }, Input::Read(read)) => run.read(tries, Found::new(read)),
            (State::TornPause { tries }, Input::Woke) => read(tries),
            (State::Revoke { revision, token, doubt }, Input::Replied(replied)) => {
                let sent = slice::from_ref(&token);
                run.revoked = match replied.as_ref().map(|response| revoke::read(response, sent)) {
                    Ok(Revocation::Done) if doubt => Revoked::Unconfirmed(super::text("a refresh was in doubt")),
                    Ok(Revocation::Done) if !run.locked => {
                        Revoked::Unconfirmed(super::text("the lock could not be had"))
                    }
                    Ok(Revocation::Done) => Revoked::Yes,
                    Ok(Revocation::Unconfirmed { detail }) => Revoked::Unconfirmed(detail),
                    Err(error) => Revoked::Unconfirmed(error.detail.clone()),
                };
                run.delete(revision)
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
    fn read(&mut self, tries: u8, found: Found) -> Next {
        if found.is_odd(self.login.is_some(), self.unsaved.as_deref()) && tries < self.policy.torn_tries {
            let time = self.policy.torn_pause;
            return then(State::TornPause { tries: tries + 1 }, Action::Wait { time });
        }
        let (revision, record) = match found {
            Found::Record(stored) | Found::Nothing(Some(stored)) => (Some(stored.revision), Some(stored.record)),
            Found::Nothing(None) => (None, None),
            Found::Torn { revision, .. } => (Some(revision), None),
            Found::Unreadable(error) => return self.still_stored(Some(error)),
        };
        match (&self.login, &record) {
            (Some(login), Some(record)) if *login != record.login && record.login.is_some() => {
                return Step::Done(Forgotten::AnotherLogin { revoked: self.revoked.clone() });
            }
            (None, Some(record)) => self.login = Some(record.login.clone()),
            _ => {}
        }
        match self.revocation(record.as_ref()) {
            Some((token, doubt, request)) => {
                self.sent = Some(token.fingerprint());
                then(State::Revoke { revision, token, doubt }, Action::Send { request, holds: None })
            }
            None => self.delete(revision),
        }
    }

    /// The newest token that is known, whether it may be spent, and the request, unless that was sent before. What is kept is
    /// newer than what is stored, unless another refresh token is stored than the one that it came after.
    fn revocation(&self, record: Option<&Record>) -> Option<(Secret, bool, crate::http::Request)> {
        let there = record.and_then(Record::refresh_fingerprint);
        let comes_after = |unsaved: &Unsaved| unsaved.replaces.is_none_or(|before| before == there);
        let unsaved = self.unsaved.as_ref().filter(|unsaved| there.is_none() || comes_after(unsaved));
        let newest = unsaved.map(|unsaved| &unsaved.record).or(record)?;
        let token = newest.refresh_token.clone()?;
        let client = newest.client.as_ref().or_else(|| record?.client.as_ref())?;
        if !self.revoke || self.sent == Some(token.fingerprint()) {
            return None;
        }
        let request = revoke::revocation_request(client, &token)?;
        Some((token, newest.redeeming.is_some(), request))
    }

    fn delete(&self, revision: Option<Revision>) -> Next {
        match revision {
            Some(replaces) => then(State::Delete, Action::Delete { replaces }),
            None if self.login.is_none() && self.unsaved.is_none() => Step::Done(Forgotten::NothingStored),
            None => self.done(),
        }
    }

    fn deleted(&mut self, deleted: Result<(), WriteError>) -> Next {
        match deleted {
            Ok(()) => self.done(),
            Err(WriteError::Conflict) if self.conflicts < self.policy.returns => {
                self.conflicts += 1;
                read(0)
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

fn read(tries: u8) -> Next {
    then(State::Read { tries }, Action::Read)
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
            Self::Read { .. } => "Read: Read",
            Self::TornPause { .. } => "TornPause: Woke",
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
