//! Looking and locking: what is read, when it is good enough to be served, and when the lock is needed. Nothing is
//! sent or written here.

use super::super::{Cause, Failure, Found, LoginReason, Stored};
use super::{Baseline, Look, Next, Run, State, backing_off_until, failed, served, then};
use crate::machine::{Action, Locked, Revision};
use crate::record::Record;
use crate::time::{Millis, Now};

/// Reading.
impl Run {
    pub(super) fn look(&mut self, at: Look) -> Next {
        self.look_again(at, 0)
    }

    pub(super) fn look_again(&mut self, at: Look, tries: u8) -> Next {
        then(State::Look { at, tries }, Action::Read)
    }

    pub(super) fn read(&mut self, at: Look, tries: u8, found: Found, now: Now) -> Next {
        if found.is_odd(self.seen, self.unsaved.as_deref()) && tries < self.policy.torn_tries {
            let time = self.policy.torn_pause;
            return then(State::TornPause { at, tries: tries + 1 }, Action::Wait { time });
        }
        match &found {
            Found::Record(stored) => self.note(&stored.record),
            Found::Nothing(_) => self.last = None,
            Found::Torn { .. } | Found::Unreadable(_) => {}
        }
        let next = match at {
            Look::Peek => match found {
                Found::Torn { revision, .. } => Ok(self.lock(Some(revision), now)),
                Found::Unreadable(_) => Ok(self.lock(None, now)),
                Found::Record(_) | Found::Nothing(_) => self.own(found).map(|stored| self.peek(stored, now)),
            },
            Look::LastPeek => self.own(found).map(|stored| self.last_peek(stored, now)),
            Look::Reread => match self.unsaved.take() {
                Some(unsaved) => Ok(self.settle_unsaved(*unsaved, found, now)),
                None => self.own(found).map(|stored| self.reread_found(stored, now)),
            },
            Look::Confirm(refuse) => readable(found).map(|stored| self.confirm(refuse, stored, now)),
            Look::Merge(commit) => Ok(self.merge(commit, found, now)),
        };
        next.unwrap_or_else(failed)
    }

    /// What every readable read means for the run.
    pub(super) fn note(&mut self, record: &Record) {
        if !self.seen {
            self.seen = true;
            self.first_access = record.access_fingerprint();
        }
        // A login that is kept unsaved comes before what is stored.
        if self.wanted.baseline == Baseline::FirstRead && self.unsaved.is_none() {
            self.wanted.baseline = Baseline::Login(record.login.clone());
        }
        if self.doubt.is_some() && self.doubt != record.refresh_fingerprint() {
            self.doubt = None;
        }
    }

    /// A record of the login that this run is for.
    fn own(&self, found: Found) -> Result<Stored, Failure> {
        let stored = readable(found)?;
        self.same_account(&stored.record)?;
        self.of_use(&stored.record)?;
        Ok(stored)
    }

    fn peek(&mut self, stored: Stored, now: Now) -> Next {
        let revision = stored.revision;
        let backing_off = stored.record.backing_off(now.wall);
        let marked = stored.record.redeeming.is_some();
        let adoptable = self.adoptable(&stored.record, now);
        let refused = stored.record.refused;
        self.last = Some(stored);
        match (adoptable, refused, backing_off) {
            (Some(ready), _, _) if !marked || backing_off.is_some() => served(ready),
            (Some(_), _, _) => then(State::TryLock, Action::Lock { wait: Millis::ZERO, seen: Some(revision) }),
            (None, Some(refusal), _) => self.serve(Failure::LoginRequired(LoginReason::Refused(refusal)), now),
            (None, None, Some(until)) => self.serve(backing_off_until(until), now),
            (None, None, None) => self.lock(Some(revision), now),
        }
    }

    fn last_peek(&mut self, stored: Stored, now: Now) -> Next {
        let adoptable = self.adoptable(&stored.record, now);
        let (refused, retry_at) = (stored.record.refused, stored.record.backing_off(now.wall));
        self.last = Some(stored);
        if let Some(ready) = adoptable {
            return served(ready);
        }
        if let Some(refusal) = refused {
            return self.serve(Failure::LoginRequired(LoginReason::Refused(refusal)), now);
        }
        // The wait was short because the token lived. It has died meanwhile, so the rest of the deadline counts.
        if core::mem::take(&mut self.cut_short) && self.living(now).is_none() {
            return self.look(Look::Peek);
        }
        let cause = self.obstacle.clone();
        let failure = self.unavailable(retry_at, cause);
        self.serve(failure, now)
    }

    pub(super) fn reread(&mut self, now: Now) -> Next {
        if self.rereads > self.policy.returns {
            return self.serve(Failure::Unavailable { retry_at: None, cause: Cause::Contended }, now);
        }
        self.rereads += 1;
        self.look(Look::Reread)
    }

    fn reread_found(&mut self, stored: Stored, now: Now) -> Next {
        let record = &stored.record;
        let (adoptable, backing_off, refused) =
            (self.adoptable(record, now), record.backing_off(now.wall), record.refused);
        let marked = record.marked_by_other(self.id);
        let too_soon = self.too_soon(record, now).filter(|_| record.redeeming.is_none());
        if marked {
            self.doubt = record.refresh_fingerprint();
        }
        self.last = Some(stored);
        if let Some(ready) = adoptable.filter(|_| !marked || backing_off.is_some()) {
            return served(ready);
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
        then(State::Settle, Action::Wait { time })
    }
}

/// Locking.
impl Run {
    pub(super) fn lock(&mut self, seen: Option<Revision>, now: Now) -> Next {
        let waited = now.monotonic.minus(self.started);
        let left = self.policy.deadline.minus(waited);
        let wait = if self.living(now).is_some() { left.min(self.policy.patience.minus(waited)) } else { left };
        self.cut_short = wait < left;
        let seen = seen.filter(|_| wait > Millis::ZERO);
        then(State::Lock, Action::Lock { wait, seen })
    }

    pub(super) fn locked(&mut self, locked: Locked, now: Now) -> Next {
        match locked {
            Locked::Held => {
                self.held = Some(now.monotonic);
                self.cut_short = false;
                self.reread(now)
            }
            Locked::Changed if now.monotonic.minus(self.started) < self.policy.deadline => self.look(Look::Peek),
            // A host that says so again and again, too, comes to an end.
            Locked::Changed | Locked::TimedOut => self.look(Look::LastPeek),
            Locked::Unsupported(error) => {
                self.obstacle = Cause::NoLock(error);
                self.look(Look::LastPeek)
            }
        }
    }

    pub(super) fn tried(&mut self, locked: Locked, now: Now) -> Next {
        self.single = true;
        match locked {
            Locked::Changed => self.look(Look::LastPeek),
            Locked::Held | Locked::TimedOut | Locked::Unsupported(_) => self.locked(locked, now),
        }
    }
}

/// A record to go by. Nothing is written over bytes that cannot be read.
fn readable(found: Found) -> Result<Stored, Failure> {
    let cause = match found {
        Found::Record(stored) => return Ok(stored),
        Found::Nothing(_) => return Err(Failure::LoginRequired(LoginReason::LoggedOut)),
        Found::Torn { error, .. } => Cause::Corrupt(error),
        Found::Unreadable(error) => Cause::Store(error),
    };
    Err(Failure::Unavailable { retry_at: None, cause })
}
