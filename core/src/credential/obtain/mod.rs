//! `Obtain`: give me an access token that lives.
//!
//! In one line: Peek (no lock), Lock, Reread, Mark, Exchange, Commit, with a named state for each way that this can go
//! wrong. Here are the states, which transition belongs to which answer, and the judgements that several of them share;
//! the transitions are in `adopt` (until the refresh token has to be spent) and `redeem` (from then on). Each is a row of
//! the table in the guide; the exhaustive check runs this very code.

mod adopt;
mod redeem;

use super::{Cause, Failure, Found, Outcome, Ready, Replaces, Stored, Unsaved};
use crate::machine::{Action, Input, Machine, Revision, Step, StoreError, WriteError};
use crate::policy::Policy;
use crate::provider::Client;
use crate::record::{LoginId, Record, Refusal, RunId};
use crate::secret::{Fingerprint, Secret};
use crate::time::{Millis, Now, Timestamp};
use alloc::boxed::Box;
use core::fmt;

/// What the caller asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The token shall live at least this long.
    pub min_valid: Millis,
    /// A resource answered 401 to the token with this fingerprint: it does not count, however long it lives.
    pub rejected: Option<Fingerprint>,
    /// Which login counts as the same one.
    pub baseline: Baseline,
    /// Where to refresh a record that does not say so itself.
    pub default_client: Option<Client>,
    /// Whether a token that is bound to a key (RFC 9449) is of use to the caller, who makes a proof for each request then.
    /// Without it, and on every host without the feature `dpop`, such a login is not touched, and the run fails with
    /// [`Cause::KeyBound`].
    pub bound: bool,
}

/// Which login counts as the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Baseline {
    /// Whatever the first read of the run finds.
    #[default]
    FirstRead,
    /// This one; `None` is a record without a login id, written by another program.
    Login(Option<LoginId>),
}

impl Baseline {
    /// Whether a record of this login counts as the same one. A login id that has gone is the work of a program that drops
    /// members it does not know, and says nothing.
    pub fn admits(&self, login: Option<&LoginId>) -> bool {
        match self {
            Self::Login(baseline) => login.is_none() || login == baseline.as_ref(),
            Self::FirstRead => true,
        }
    }
}

/// The machine; each of its transitions is a row of the table in the guide.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
pub struct Obtain {
    run: Box<Run>,
    state: State,
}

/// What a transition leads to: the next state and its action, or the outcome.
type Next = Step<State, Outcome>;

/// What is known in every state.
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
struct Run {
    id: RunId,
    policy: Policy,
    wanted: Wanted,
    started: Millis,
    /// The access token of the first readable read: another one is news.
    first_access: Option<Fingerprint>,
    /// The last readable read.
    last: Option<Stored>,
    /// Something was stored when this run looked first.
    seen: bool,
    /// The refresh token that may be spent.
    doubt: Option<Fingerprint>,
    /// One send, no retries: nobody needs a token yet.
    single: bool,
    /// The wait for the lock was shorter than the deadline, because the token lived.
    cut_short: bool,
    /// Since when the lock is held.
    held: Option<Millis>,
    /// How often this run went to Reread, and to Merge.
    rereads: u8,
    merges: u8,
    /// What LastPeek says where it finds nothing better.
    obstacle: Cause,
    /// A rotation of an earlier run that is not stored yet.
    unsaved: Option<Box<Unsaved>>,
}

/// Named for what is awaited.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
enum State {
    Look { at: Look, tries: u8 },
    TornPause { at: Look, tries: u8 },
    TryLock,
    Lock,
    Settle,
    Mark(Box<Redeem>),
    Exchange(Box<Redeem>),
    ResendPause(Box<Redeem>),
    Refuse(Refuse),
    Park { failure: Failure },
    Commit(Box<Commit>),
    SavePause(Box<Commit>),
}

/// The places where the store is read, each with its own rules.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
enum Look {
    Peek,
    LastPeek,
    Reread,
    Confirm(Refuse),
    Merge(Box<Commit>),
}

/// A refresh token that is being spent.
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
struct Redeem {
    /// The record with the mark, and its revision.
    marked: Stored,
    token: Secret,
    client: Client,
    /// When the outstanding request was sent: lives count from here.
    sent_at: Timestamp,
    not_sent: u8,
    resends: u8,
    first_unknown: Option<Millis>,
    /// It was sent once more with a nonce (RFC 9449 section 8), which is done once.
    #[cfg(feature = "dpop")]
    with_nonce: bool,
}

/// A refusal that is being recorded.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
struct Refuse {
    token: Fingerprint,
    refusal: Refusal,
    tries: u8,
}

/// New tokens that are being stored.
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
struct Commit {
    record: Record,
    replaces: Option<Revision>,
    /// The refresh token that was redeemed, or that a new login came after.
    redeemed: Replaces,
    since: Millis,
}

impl Obtain {
    /// Begins a run. `id` is random and new for each run.
    pub fn start(wanted: Wanted, policy: Policy, id: RunId, now: Now) -> Step<Self, Outcome> {
        let mut run = Run::new(wanted, policy, id, now);
        let next = run.look(Look::Peek);
        Self::from(run, next)
    }

    /// Begins a run in a process that keeps an [`Unsaved`] rotation and the lock.
    pub fn start_unsaved(wanted: Wanted, policy: Policy, id: RunId, unsaved: Unsaved, now: Now) -> Step<Self, Outcome> {
        let mut run = Run::new(wanted, policy, id, now);
        run.held = Some(now.monotonic);
        run.unsaved = Some(Box::new(unsaved));
        let next = run.reread(now);
        Self::from(run, next)
    }

    fn from(run: Box<Run>, next: Next) -> Step<Self, Outcome> {
        match next {
            Step::Continue(state, action) => Step::Continue(Self { run, state }, action),
            Step::Done(outcome) => Step::Done(outcome),
        }
    }

    /// The state, and the input that it waits for: for logs and tests.
    pub const fn awaits(&self) -> &'static str {
        self.state.awaits()
    }

    /// The last-read token, while it is alive and not rejected: for callers whose patience is over while the run goes on.
    /// It is stale because another process has the lock, or because the refresh of this run takes its time.
    pub fn living(&self, now: Now) -> Option<Ready> {
        let cause = if self.run.held.is_some() { Cause::UnderWay } else { Cause::Busy };
        let stale = Some(self.run.unavailable(None, cause));
        self.run.living(now).map(|ready| Ready { stale, ..ready })
    }
}

impl Machine for Obtain {
    type Outcome = Outcome;

    fn step(self, input: Input, now: Now) -> Step<Self, Outcome> {
        let Self { mut run, state } = self;
        let next = match (state, input) {
            (State::Look { at, tries }, Input::Read(read)) => run.read(at, tries, Found::new(read), now),
            (State::TornPause { at, tries }, Input::Woke) => run.look_again(at, tries),
            (State::TryLock, Input::Locked(locked)) => run.tried(locked, now),
            (State::Lock, Input::Locked(locked)) => run.locked(locked, now),
            (State::Settle, Input::Woke) => run.mark(now),
            (State::Mark(redeem), Input::Wrote(wrote)) => run.marked(redeem, wrote, now),
            (State::Exchange(redeem), Input::Replied(replied)) => match replied {
                Ok(response) => run.replied(redeem, &response, now),
                Err(error) => run.unanswered(redeem, error.kind, error.detail, now),
            },
            (State::ResendPause(redeem), Input::Woke) => run.send(redeem, now),
            (State::Refuse(refuse), Input::Wrote(wrote)) => run.refused(refuse, wrote, now),
            (State::Park { failure }, Input::Wrote(wrote)) => match wrote {
                Err(WriteError::Conflict) => run.look(Look::LastPeek),
                Ok(()) | Err(WriteError::Failed(_)) => run.serve(failure, now),
            },
            (State::Commit(commit), Input::Wrote(wrote)) => run.committed(commit, wrote, now),
            (State::SavePause(commit), Input::Woke) => redeem::save(commit),
            (state, _) => failed(Failure::Misuse { awaited: state.awaits() }),
        };
        Self::from(run, next)
    }
}

/// Judging.
impl Run {
    fn new(wanted: Wanted, policy: Policy, id: RunId, now: Now) -> Box<Self> {
        Box::new(Self {
            id,
            policy,
            wanted,
            started: now.monotonic,
            first_access: None,
            last: None,
            seen: false,
            doubt: None,
            single: false,
            cut_short: false,
            held: None,
            rereads: 0,
            merges: 0,
            obstacle: Cause::Busy,
            unsaved: None,
        })
    }

    /// Whether it is the login that this run began with.
    fn same_account(&self, record: &Record) -> Result<(), Failure> {
        match self.wanted.baseline.admits(record.login.as_ref()) {
            true => Ok(()),
            false => Err(Failure::AccountChanged { login: record.login.clone() }),
        }
    }

    /// The token of a record, where it is good enough: fresh, or at least another one than this run saw first.
    fn adoptable(&self, record: &Record, now: Now) -> Option<Ready> {
        let ready = self.alive(record, now)?;
        let fresh = self.policy.is_fresh(ready.expires_at, record.obtained_at, self.wanted.min_valid, now.wall);
        (fresh || record.access_fingerprint() != self.first_access).then_some(ready)
    }

    /// Until when a rejected token is too young to be refreshed. (It is fresh all that time: half of its life is the
    /// longest margin.)
    fn too_soon(&self, record: &Record, now: Now) -> Option<Timestamp> {
        let (_, expires_at) = record.access()?;
        let obtained = record.obtained_at.filter(|&at| at <= now.wall)?;
        let rejected = record.access_fingerprint() == self.wanted.rejected;
        let until = obtained.plus(self.policy.reject_floor.min(expires_at.since(obtained).half()));
        (rejected && now.wall < until).then_some(until)
    }

    /// The token of a record, while it is alive and not rejected. One that the process keeps unsaved may be of another login
    /// than the caller asks for.
    fn alive(&self, record: &Record, now: Now) -> Option<Ready> {
        let serves = record.access_fingerprint() != self.wanted.rejected;
        let ours = self.same_account(record).is_ok() && self.of_use(record).is_ok();
        Ready::of(record, self.wanted.min_valid, now).filter(|_| serves && ours)
    }

    /// Nobody is given a token that is bound to a key and takes it for one that is not.
    fn of_use(&self, record: &Record) -> Result<(), Failure> {
        let makes_proofs = self.wanted.bound && cfg!(feature = "dpop");
        match record.is_bound() && !makes_proofs {
            true => Err(Failure::Unavailable { retry_at: None, cause: Cause::KeyBound }),
            false => Ok(()),
        }
    }

    /// The last-read token, while it is alive and not rejected.
    fn living(&self, now: Now) -> Option<Ready> {
        self.alive(&self.last.as_ref()?.record, now)
    }

    /// A living token is better than a failure.
    fn serve(&self, failure: Failure, now: Now) -> Next {
        match self.living(now) {
            Some(ready) => served(Ready { stale: Some(failure), ..ready }),
            None => failed(failure),
        }
    }

    fn unavailable(&self, retry_at: Option<Timestamp>, cause: Cause) -> Failure {
        match self.doubt {
            Some(_) => Failure::Uncertain { retry_at, cause },
            None => Failure::Unavailable { retry_at, cause },
        }
    }
}

impl State {
    const fn awaits(&self) -> &'static str {
        match self {
            Self::Look { at, .. } => match at {
                Look::Peek => "Peek: Read",
                Look::LastPeek => "LastPeek: Read",
                Look::Reread => "Reread: Read",
                Look::Confirm(_) => "Confirm: Read",
                Look::Merge(_) => "Merge: Read",
            },
            Self::TornPause { .. } => "TornPause: Woke",
            Self::TryLock => "TryLock: Locked",
            Self::Lock => "Lock: Locked",
            Self::Settle => "Settle: Woke",
            Self::Mark(_) => "Mark: Wrote",
            Self::Exchange(_) => "Exchange: Replied",
            Self::ResendPause(_) => "ResendPause: Woke",
            Self::Refuse(_) => "Refuse: Wrote",
            Self::Park { .. } => "Park: Wrote",
            Self::Commit(_) => "Commit: Wrote",
            Self::SavePause(_) => "SavePause: Woke",
        }
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("id", &self.id)
            .field("last", &self.last.as_ref().map(|stored| &stored.record))
            .field("doubt", &self.doubt)
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Redeem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redeem").field("token", &self.token.fingerprint()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit").field("record", &self.record).finish_non_exhaustive()
    }
}

fn then(state: State, action: Action) -> Next {
    Step::Continue(state, action)
}

fn served(ready: Ready) -> Next {
    Step::Done(Outcome::Ready(Box::new(ready)))
}

fn failed(failure: Failure) -> Next {
    Step::Done(Outcome::Failed(failure))
}

fn backing_off_until(until: Timestamp) -> Failure {
    Failure::Unavailable { retry_at: Some(until), cause: Cause::BackingOff }
}

pub(super) fn contended() -> StoreError {
    let detail = super::text("another program keeps changing the credentials");
    StoreError { kind: crate::machine::StoreErrorKind::Io, detail }
}
