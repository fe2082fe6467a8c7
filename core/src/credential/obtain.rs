//! `Obtain`: give me an access token that lives.
//!
//! In one line: Peek (no lock), Lock, Reread, Mark, Exchange, Commit, with a named state for each way that this can go
//! wrong. Each arm below is a row of the table in the guide; the exhaustive check runs this very code.

use super::{Cause, Failure, Found, LoginReason, Outcome, Ready, Stored, Unsaved, Via};
use crate::http::SendErrorKind;
use crate::machine::{Action, Input, Locked, Machine, Revision, Step, StoreError, WriteError};
use crate::policy::Policy;
use crate::provider::Client;
use crate::record::{LoginId, Record, Refusal, RunId};
use crate::secret::{Fingerprint, Secret};
use crate::time::{Millis, Now, Timestamp};
use crate::token::{self, Answer, Issued};
use alloc::boxed::Box;
use alloc::string::String;
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

/// The machine; each of its transitions is a row of the table in the guide.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
pub struct Obtain {
    run: Run,
    state: State,
}

type Next = Step<Obtain, Outcome>;

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
    Mark(Redeem),
    Exchange(Redeem),
    ResendPause(Redeem),
    Refuse(Refuse),
    Park { failure: Failure },
    Commit(Commit),
    SavePause(Commit),
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
    /// The refresh token that was redeemed.
    redeemed: Option<Fingerprint>,
    since: Millis,
}

impl Obtain {
    /// Begins a run. `id` is random and new for each run.
    pub fn start(wanted: Wanted, policy: Policy, id: RunId, now: Now) -> Step<Self, Outcome> {
        Run::new(wanted, policy, id, now).look(Look::Peek)
    }

    /// Begins a run in a process that keeps an [`Unsaved`] rotation and the lock.
    pub fn start_unsaved(wanted: Wanted, policy: Policy, id: RunId, unsaved: Unsaved, now: Now) -> Step<Self, Outcome> {
        let mut run = Run::new(wanted, policy, id, now);
        run.held = Some(now.monotonic);
        run.unsaved = Some(Box::new(unsaved));
        run.reread(now)
    }

    /// The state, and the input that it waits for: for logs and tests.
    pub const fn awaits(&self) -> &'static str {
        self.state.awaits()
    }

    /// The last-read token, while it is alive and not rejected: for callers whose patience is over while the run goes on.
    pub fn living(&self, now: Now) -> Option<Ready> {
        self.run.living(now, Some(Failure::Unavailable { retry_at: None, cause: Cause::Busy }))
    }
}

impl Machine for Obtain {
    type Outcome = Outcome;

    fn step(self, input: Input, now: Now) -> Next {
        let Self { run, state } = self;
        match (state, input) {
            (State::Look { at, tries }, Input::Read(read)) => run.read(at, tries, Found::new(read), now),
            (State::TornPause { at, tries }, Input::Woke) => run.look_again(at, tries),
            (State::TryLock, Input::Locked(locked)) => run.tried(locked, now),
            (State::Lock, Input::Locked(locked)) => run.locked(locked, now),
            (State::Settle, Input::Woke) => run.mark(now),
            (State::Mark(redeem), Input::Wrote(wrote)) => run.marked(redeem, wrote, now),
            (State::Exchange(redeem), Input::Replied(replied)) => match replied {
                Ok(response) => {
                    let answer = token::read_answer(&redeem.client, &response, now);
                    run.answered(redeem, answer, now)
                }
                Err(error) => run.unanswered(redeem, error.kind, error.detail, now),
            },
            (State::ResendPause(redeem), Input::Woke) => run.send(redeem, now),
            (State::Refuse(refuse), Input::Wrote(wrote)) => run.refused(refuse, wrote, now),
            (State::Park { failure }, Input::Wrote(wrote)) => match wrote {
                Err(WriteError::Conflict) => run.look(Look::LastPeek),
                Ok(()) | Err(WriteError::Failed(_)) => run.serve(failure, now),
            },
            (State::Commit(commit), Input::Wrote(wrote)) => run.committed(commit, wrote, now),
            (State::SavePause(commit), Input::Woke) => run.save(commit),
            (state, _) => Step::Done(Outcome::Failed(Failure::Misuse { awaited: state.awaits() })),
        }
    }
}

/// Reading.
impl Run {
    fn look(self, at: Look) -> Next {
        self.look_again(at, 0)
    }

    fn look_again(self, at: Look, tries: u8) -> Next {
        self.then(State::Look { at, tries }, Action::Read)
    }

    fn read(mut self, at: Look, tries: u8, found: Found, now: Now) -> Next {
        let odd = match &found {
            Found::Record(_) => false,
            Found::Nothing(_) => self.seen,
            Found::Torn { .. } | Found::Unreadable(_) => true,
        };
        if odd && tries < self.policy.torn_tries {
            let time = self.policy.torn_pause;
            return self.then(State::TornPause { at, tries: tries + 1 }, Action::Wait { time });
        }
        match &found {
            Found::Record(stored) => self.note(&stored.record),
            Found::Nothing(_) => self.last = None,
            Found::Torn { .. } | Found::Unreadable(_) => {}
        }
        match at {
            Look::Peek => self.peek(found, now),
            Look::LastPeek => self.last_peek(found, now),
            Look::Reread => self.reread_found(found, now),
            Look::Confirm(refuse) => self.confirm(refuse, found, now),
            Look::Merge(commit) => self.merge(*commit, found, now),
        }
    }

    /// What every readable read means for the run.
    fn note(&mut self, record: &Record) {
        if !self.seen {
            self.seen = true;
            self.first_access = record.access_fingerprint();
        }
        if self.wanted.baseline == Baseline::FirstRead {
            self.wanted.baseline = Baseline::Login(record.login.clone());
        }
        if self.doubt.is_some() && self.doubt != record.refresh_fingerprint() {
            self.doubt = None;
        }
    }

    fn peek(mut self, found: Found, now: Now) -> Next {
        let stored = match found {
            Found::Record(stored) => stored,
            Found::Nothing(_) => return self.logged_out(),
            Found::Torn { revision, .. } => return self.lock(Some(revision), now),
            Found::Unreadable(_) => return self.lock(None, now),
        };
        if let Some(done) = self.other_account(&stored.record) {
            return done;
        }
        let revision = stored.revision;
        let backing_off = stored.record.backing_off(now.wall);
        let marked = stored.record.redeeming.is_some();
        let adoptable = self.adoptable(&stored.record, now);
        let refused = stored.record.refused;
        self.last = Some(stored);
        match (adoptable, refused, backing_off) {
            (true, _, _) if !marked || backing_off.is_some() => self.ready(Via::Store, None, now),
            (true, _, _) => self.then(State::TryLock, Action::Lock { wait: Millis::ZERO, seen: Some(revision) }),
            (false, Some(refusal), _) => self.serve(Failure::LoginRequired(LoginReason::Refused(refusal)), now),
            (false, None, Some(until)) => self.serve(backing_off_until(until), now),
            (false, None, None) => self.lock(Some(revision), now),
        }
    }

    fn last_peek(mut self, found: Found, now: Now) -> Next {
        let stored = match found {
            Found::Record(stored) => stored,
            Found::Nothing(_) => return self.logged_out(),
            Found::Torn { error, .. } => return unreadable(Cause::Corrupt(error)),
            Found::Unreadable(error) => return unreadable(Cause::Store(error)),
        };
        if let Some(done) = self.other_account(&stored.record) {
            return done;
        }
        let adoptable = self.adoptable(&stored.record, now);
        let retry_at = stored.record.backing_off(now.wall);
        self.last = Some(stored);
        if adoptable {
            return self.ready(Via::Store, None, now);
        }
        // The wait was short because the token lived. It has died meanwhile, so the rest of the deadline counts.
        if core::mem::take(&mut self.cut_short) && !self.is_alive(now) {
            return self.look(Look::Peek);
        }
        let cause = self.obstacle.clone();
        let failure = self.unavailable(retry_at, cause);
        self.serve(failure, now)
    }

    fn reread(mut self, now: Now) -> Next {
        if self.rereads > self.policy.returns {
            return self.serve(Failure::Unavailable { retry_at: None, cause: Cause::Contended }, now);
        }
        self.rereads += 1;
        self.look(Look::Reread)
    }

    fn reread_found(mut self, found: Found, now: Now) -> Next {
        if let Some(unsaved) = self.unsaved.take() {
            return self.settle_unsaved(unsaved, found, now);
        }
        let stored = match found {
            Found::Record(stored) => stored,
            Found::Nothing(_) => return self.logged_out(),
            Found::Torn { error, .. } => return unreadable(Cause::Corrupt(error)),
            Found::Unreadable(error) => return unreadable(Cause::Store(error)),
        };
        if let Some(done) = self.other_account(&stored.record) {
            return done;
        }
        let record = &stored.record;
        let (adoptable, backing_off, refused) =
            (self.adoptable(record, now), record.backing_off(now.wall), record.refused);
        let marked = record.marked_by_other(self.id);
        let too_soon = self.too_soon(record, now).filter(|_| record.redeeming.is_none());
        if marked {
            self.doubt = record.refresh_fingerprint();
        }
        self.last = Some(stored);
        if adoptable && (!marked || backing_off.is_some()) {
            return self.ready(Via::Store, None, now);
        }
        if let Some(refusal) = refused {
            return self.serve(Failure::LoginRequired(LoginReason::Refused(refusal)), now);
        }
        if let Some(until) = backing_off {
            return self.serve(backing_off_until(until), now);
        }
        if let Some(until) = too_soon {
            return failed(Failure::Unavailable { retry_at: Some(until), cause: Cause::TooSoon });
        }
        if !marked {
            return self.mark(now);
        }
        let waited = self.held.map_or(Millis::ZERO, |held| now.monotonic.minus(held));
        let time = self.policy.settle.minus(waited);
        self.then(State::Settle, Action::Wait { time })
    }

    /// Nothing is sent while an earlier rotation is not stored: it comes first.
    fn settle_unsaved(mut self, unsaved: Box<Unsaved>, found: Found, now: Now) -> Next {
        let (replaces, stored) = match found {
            Found::Record(stored) => (Some(stored.revision), Some(stored.record)),
            Found::Nothing(blank) => match blank {
                Some(blank) => (Some(blank.revision), Some(blank.record)),
                None => (None, None),
            },
            Found::Torn { .. } | Found::Unreadable(_) => {
                let Unsaved { record, replaces: redeemed, cause, .. } = *unsaved;
                return self.unsaved(record, redeemed, cause, now);
            }
        };
        let there = stored.as_ref().and_then(Record::refresh_fingerprint);
        let Unsaved { record, replaces: redeemed, .. } = *unsaved;
        if stored.as_ref().is_some_and(|stored| stored.same_tokens(&record)) {
            return self.saved(record, replaces, now);
        }
        if there != redeemed {
            // Logged out, or another login: the unsaved rotation belongs to nothing any more.
            return self.reread(now);
        }
        let record = stored.as_ref().map_or_else(|| record.clone(), |stored| record.over(stored));
        self.merges = 0;
        self.save(Commit { record, replaces, redeemed, since: now.monotonic })
    }
}

/// Locking.
impl Run {
    fn lock(mut self, seen: Option<Revision>, now: Now) -> Next {
        let waited = now.monotonic.minus(self.started);
        let left = self.policy.deadline.minus(waited);
        let wait = if self.is_alive(now) { left.min(self.policy.patience.minus(waited)) } else { left };
        self.cut_short = wait < left;
        let seen = seen.filter(|_| wait > Millis::ZERO);
        self.then(State::Lock, Action::Lock { wait, seen })
    }

    fn locked(mut self, locked: Locked, now: Now) -> Next {
        match locked {
            Locked::Held => {
                self.held = Some(now.monotonic);
                self.reread(now)
            }
            Locked::Changed => self.look(Look::Peek),
            Locked::TimedOut => self.look(Look::LastPeek),
            Locked::Unsupported(error) => {
                self.obstacle = Cause::NoLock(error);
                self.look(Look::LastPeek)
            }
        }
    }

    fn tried(mut self, locked: Locked, now: Now) -> Next {
        self.single = true;
        match locked {
            Locked::Changed => self.look(Look::LastPeek),
            Locked::Held | Locked::TimedOut | Locked::Unsupported(_) => self.locked(locked, now),
        }
    }
}

/// Spending the refresh token.
impl Run {
    /// The mark is written before the token is spent. That write proves that the directory takes a durable write, and it
    /// is what the next holder of the lock finds if this process dies.
    fn mark(self, now: Now) -> Next {
        let Some(Stored { revision, record }) = &self.last else {
            return self.reread(now);
        };
        let client = record.client.as_ref().or(self.wanted.default_client.as_ref());
        match (&record.refresh_token, client) {
            (Some(token), Some(client)) => {
                let (token, client, replaces) = (token.clone(), client.clone(), Some(*revision));
                let record = record.marked(self.id, now.wall);
                let (blob, reserve) = (record.to_blob(), record.reserve());
                let marked = Stored::of(&blob, record);
                let sent_at = now.wall;
                let redeem = Redeem { marked, token, client, sent_at, not_sent: 0, resends: 0, first_unknown: None };
                self.then(State::Mark(redeem), Action::Write { replaces, blob, reserve })
            }
            (None, _) => self.serve(Failure::LoginRequired(LoginReason::NoRefreshToken), now),
            (Some(_), None) => self.serve(Failure::Unavailable { retry_at: None, cause: Cause::NoClient }, now),
        }
    }

    fn marked(self, redeem: Redeem, wrote: Result<(), WriteError>, now: Now) -> Next {
        match wrote {
            Ok(()) => self.send(redeem, now),
            Err(WriteError::Conflict) => self.reread(now),
            Err(WriteError::Failed(error)) => {
                self.serve(Failure::Unavailable { retry_at: None, cause: Cause::Store(error) }, now)
            }
        }
    }

    fn send(self, mut redeem: Redeem, now: Now) -> Next {
        redeem.sent_at = now.wall;
        let request = token::refresh_request(&redeem.client, &redeem.token);
        let holds = Some(redeem.marked.revision);
        self.then(State::Exchange(redeem), Action::Send { request, holds })
    }

    fn answered(self, redeem: Redeem, answer: Answer, now: Now) -> Next {
        let record = &redeem.marked.record;
        match answer {
            Answer::Issued(issued) => self.issued(redeem, issued, now),
            Answer::Refused { .. } => self.refuse(redeem, now),
            Answer::RefusedByStatus(status) => {
                let again = record.retries > 0 && record.last_status == Some(status);
                if again { self.refuse(redeem, now) } else { self.park(redeem, Cause::Status(status), None, now) }
            }
            Answer::Throttled { retry_after } => self.park(redeem, Cause::Throttled, retry_after, now),
            Answer::ClientRejected { detail } => self.park(redeem, Cause::ClientRejected(detail), None, now),
            Answer::Unknown { retry_after: Some(pause), detail } => {
                self.doubting(&redeem).park(redeem, Cause::Unreadable(detail), Some(pause), now)
            }
            Answer::Unknown { retry_after: None, detail } => {
                self.unknown(redeem, false, Cause::Unreadable(detail), now)
            }
        }
    }

    fn unanswered(mut self, mut redeem: Redeem, kind: SendErrorKind, detail: String, now: Now) -> Next {
        match kind {
            SendErrorKind::LockLost => {
                self.held = None;
                self.lock(None, now)
            }
            SendErrorKind::NotSent if redeem.not_sent == 0 => {
                redeem.not_sent = 1;
                self.send(redeem, now)
            }
            SendErrorKind::NotSent => self.park(redeem, Cause::NotSent(detail), None, now),
            SendErrorKind::MaybeSent => self.unknown(redeem, false, Cause::NoAnswer(detail), now),
            SendErrorKind::TimedOut => self.unknown(redeem, true, Cause::NoAnswer(detail), now),
        }
    }

    /// The token may be spent. The same token is sent again, while the server may still forgive a repetition: if the
    /// rotation happened, its answer is lost for good, so there is nothing left to lose.
    fn unknown(self, mut redeem: Redeem, timed_out: bool, cause: Cause, now: Now) -> Next {
        let run = self.doubting(&redeem);
        let first = *redeem.first_unknown.get_or_insert(now.monotonic);
        let pause = if timed_out { run.policy.resend_pause } else { Millis::ZERO };
        let leaves = now.monotonic.minus(first).0.saturating_add(pause.0);
        let in_time = redeem.resends == 0 || leaves <= run.policy.resend_window.0;
        let spare = now.monotonic.minus(run.started) < run.policy.deadline;
        if run.single || redeem.resends >= run.policy.resends || !in_time || !spare {
            return run.park(redeem, cause, None, now);
        }
        redeem.resends += 1;
        if pause == Millis::ZERO {
            return run.send(redeem, now);
        }
        run.then(State::ResendPause(redeem), Action::Wait { time: pause })
    }

    fn doubting(mut self, redeem: &Redeem) -> Self {
        self.doubt = Some(redeem.token.fingerprint());
        self
    }

    fn refuse(mut self, redeem: Redeem, now: Now) -> Next {
        let token = redeem.token.fingerprint();
        let refusal = if self.doubt == Some(token) { Refusal::RotationLost } else { Refusal::Revoked };
        self.last = Some(redeem.marked);
        self.record_refusal(Refuse { token, refusal, tries: 0 }, now)
    }

    fn record_refusal(self, refuse: Refuse, now: Now) -> Next {
        let Some(stored) = &self.last else {
            return self.serve(Failure::LoginRequired(LoginReason::Refused(refuse.refusal)), now);
        };
        let blob = stored.record.refused(refuse.refusal).to_blob();
        let replaces = Some(stored.revision);
        self.then(State::Refuse(refuse), Action::Write { replaces, blob, reserve: 0 })
    }

    fn refused(self, mut refuse: Refuse, wrote: Result<(), WriteError>, now: Now) -> Next {
        let conflict = wrote == Err(WriteError::Conflict);
        if conflict && refuse.tries < self.policy.returns {
            refuse.tries += 1;
            return self.look(Look::Confirm(refuse));
        }
        self.serve(Failure::LoginRequired(LoginReason::Refused(refuse.refusal)), now)
    }

    /// A refusal is believed of the token that was sent, and of no other.
    fn confirm(mut self, refuse: Refuse, found: Found, now: Now) -> Next {
        let stored = match found {
            Found::Record(stored) => stored,
            Found::Nothing(_) => return self.logged_out(),
            Found::Torn { error, .. } => return unreadable(Cause::Corrupt(error)),
            Found::Unreadable(error) => return unreadable(Cause::Store(error)),
        };
        let record = &stored.record;
        if record.refresh_fingerprint() != Some(refuse.token) || record.marked_by_other(self.id) {
            return self.reread(now);
        }
        let recorded = record.refused;
        self.last = Some(stored);
        match recorded {
            Some(refusal) => self.serve(Failure::LoginRequired(LoginReason::Refused(refusal)), now),
            None => self.record_refusal(refuse, now),
        }
    }

    /// Nobody tries again before `retry_at`. The mark goes only where the token is certainly unspent.
    fn park(mut self, redeem: Redeem, cause: Cause, retry_after: Option<Millis>, now: Now) -> Next {
        let Redeem { marked: Stored { revision, record }, .. } = redeem;
        let unreachable = matches!(cause, Cause::NotSent(_));
        let retries = if unreachable { record.retries } else { record.retries.saturating_add(1) };
        let pause = if unreachable { self.policy.unreachable_pause } else { self.policy.backoff(record.retries) };
        let retry_at = now.wall.plus(retry_after.unwrap_or(pause));
        let status = if let Cause::Status(status) = cause { Some(status) } else { None };
        let parked = record.parked(retry_at, retries, status, self.doubt.is_some());
        self.obstacle = cause.clone();
        let failure = self.unavailable(Some(retry_at), cause);
        self.then(
            State::Park { failure },
            Action::Write { replaces: Some(revision), blob: parked.to_blob(), reserve: 0 },
        )
    }
}

/// Keeping what was received.
impl Run {
    fn issued(self, redeem: Redeem, issued: Issued, now: Now) -> Next {
        let record = redeem.marked.record.renewed(issued, redeem.sent_at);
        let redeemed = Some(redeem.token.fingerprint());
        self.save(Commit { record, replaces: Some(redeem.marked.revision), redeemed, since: now.monotonic })
    }

    fn save(self, commit: Commit) -> Next {
        let (replaces, blob) = (commit.replaces, commit.record.to_blob());
        self.then(State::Commit(commit), Action::Write { replaces, blob, reserve: 0 })
    }

    fn committed(mut self, commit: Commit, wrote: Result<(), WriteError>, now: Now) -> Next {
        match wrote {
            Ok(()) => {
                let revision = Some(commit.record.to_blob().revision());
                self.saved(commit.record, revision, now)
            }
            Err(WriteError::Conflict) if self.merges < self.policy.returns => {
                self.merges += 1;
                self.look(Look::Merge(Box::new(commit)))
            }
            Err(WriteError::Conflict) => self.unsaved(commit.record, commit.redeemed, contended(), now),
            Err(WriteError::Failed(error)) => {
                if now.monotonic.minus(commit.since) < self.policy.save_time {
                    let time = self.policy.save_pause;
                    return self.then(State::SavePause(commit), Action::Wait { time });
                }
                self.unsaved(commit.record, commit.redeemed, error, now)
            }
        }
    }

    /// The tokens are stored. They are handed out even below the margin; only where they are of no use at all, the
    /// run begins anew.
    fn saved(mut self, record: Record, revision: Option<Revision>, now: Now) -> Next {
        self.doubt = None;
        self.note(&record);
        self.last = revision.map(|revision| Stored { revision, record });
        if self.is_alive(now) { self.ready(Via::Exchange, None, now) } else { self.reread(now) }
    }

    fn merge(mut self, commit: Commit, found: Found, now: Now) -> Next {
        let stored = match found {
            Found::Record(stored) => stored,
            Found::Nothing(_) => return self.logged_out(),
            Found::Torn { .. } | Found::Unreadable(_) => {
                return self.unsaved(commit.record, commit.redeemed, contended(), now);
            }
        };
        if stored.record.same_tokens(&commit.record) {
            return self.saved(stored.record, Some(stored.revision), now);
        }
        if stored.record.refresh_fingerprint() == commit.redeemed {
            let record = commit.record.over(&stored.record);
            return self.save(Commit { record, replaces: Some(stored.revision), ..commit });
        }
        if let Some(done) = self.other_account(&stored.record) {
            return done;
        }
        self.last = Some(stored);
        self.serve(Failure::Unavailable { retry_at: None, cause: Cause::Contended }, now)
    }

    fn unsaved(mut self, record: Record, replaces: Option<Fingerprint>, cause: StoreError, now: Now) -> Next {
        self.last = Some(Stored { revision: record.to_blob().revision(), record: record.clone() });
        let ready = self.living(now, None).map(|ready| Ready { via: Via::Exchange, ..ready });
        Step::Done(Outcome::Unsaved(Box::new(Unsaved { ready, cause, record, replaces })))
    }
}

/// Judging.
impl Run {
    fn new(wanted: Wanted, policy: Policy, id: RunId, now: Now) -> Self {
        Self {
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
        }
    }

    fn then(self, state: State, action: Action) -> Next {
        Step::Continue(Obtain { run: self, state }, action)
    }

    fn logged_out(self) -> Next {
        failed(Failure::LoginRequired(LoginReason::LoggedOut))
    }

    /// Another login than the one this run began with. A login id that has gone is the work of a program that drops
    /// members it does not know, and says nothing.
    fn other_account(&self, record: &Record) -> Option<Next> {
        let Baseline::Login(baseline) = &self.wanted.baseline else { return None };
        let other = record.login.is_some() && record.login != *baseline;
        other.then(|| failed(Failure::AccountChanged { login: record.login.clone() }))
    }

    fn not_rejected(&self, record: &Record) -> bool {
        let access = record.access_fingerprint();
        access.is_some() && access != self.wanted.rejected
    }

    fn adoptable(&self, record: &Record, now: Now) -> bool {
        let Some((_, expires_at)) = record.access() else { return false };
        let fresh = self.policy.is_fresh(expires_at, record.obtained_at, self.wanted.min_valid, now.wall);
        let news = expires_at > now.wall && record.access_fingerprint() != self.first_access;
        self.not_rejected(record) && (fresh || news)
    }

    /// Until when a rejected token is too young to be refreshed.
    fn too_soon(&self, record: &Record, now: Now) -> Option<Timestamp> {
        let (_, expires_at) = record.access()?;
        let obtained = record.obtained_at.filter(|&at| at <= now.wall)?;
        let rejected = record.access_fingerprint() == self.wanted.rejected;
        let fresh = self.policy.is_fresh(expires_at, record.obtained_at, self.wanted.min_valid, now.wall);
        let until = obtained.plus(self.policy.reject_floor.min(expires_at.since(obtained).half()));
        (rejected && fresh && now.wall < until).then_some(until)
    }

    fn is_alive(&self, now: Now) -> bool {
        let Some(Stored { record, .. }) = &self.last else { return false };
        self.not_rejected(record) && record.access().is_some_and(|(_, expires_at)| expires_at > now.wall)
    }

    fn living(&self, now: Now, stale: Option<Failure>) -> Option<Ready> {
        let record = &self.last.as_ref().filter(|_| self.is_alive(now))?.record;
        Ready::of(record, self.wanted.min_valid, now).map(|ready| Ready { stale, ..ready })
    }

    fn ready(self, via: Via, stale: Option<Failure>, now: Now) -> Next {
        match self.living(now, stale) {
            Some(ready) => Step::Done(Outcome::Ready(Box::new(Ready { via, ..ready }))),
            None => failed(Failure::Unavailable { retry_at: None, cause: Cause::Contended }),
        }
    }

    /// A living token is better than a failure.
    fn serve(self, failure: Failure, now: Now) -> Next {
        if self.is_alive(now) { self.ready(Via::Store, Some(failure), now) } else { failed(failure) }
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

fn failed(failure: Failure) -> Next {
    Step::Done(Outcome::Failed(failure))
}

/// Nothing is written over bytes that cannot be read.
fn unreadable(cause: Cause) -> Next {
    failed(Failure::Unavailable { retry_at: None, cause })
}

fn backing_off_until(until: Timestamp) -> Failure {
    Failure::Unavailable { retry_at: Some(until), cause: Cause::BackingOff }
}

pub(super) fn contended() -> StoreError {
    let detail = super::text("another program keeps changing the credentials");
    StoreError { kind: crate::machine::StoreErrorKind::Io, detail }
}
