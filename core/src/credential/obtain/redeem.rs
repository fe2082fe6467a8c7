//! Under the lock: spending the refresh token, recording how that went, and keeping what was received.

use super::super::{Cause, Failure, Found, LoginReason, Outcome, Ready, Replaces, Stored, Unsaved, Via};
use super::{Commit, Look, Next, Redeem, Refuse, Run, State, contended, failed, served, then};
use crate::http::{Response, SendErrorKind};
use crate::machine::{Action, Blob, Revision, Step, StoreError, WriteError};
use crate::record::{Record, RecordError, Refusal};
use crate::time::{Millis, Now};
use crate::token::{self, Answer, Issued, Reading};
use alloc::boxed::Box;
use alloc::string::String;
use core::slice;

/// Spending the refresh token.
impl Run {
    /// The mark is written before the token is spent. That write proves that the directory takes a durable write, and it
    /// is what the next holder of the lock finds if this process dies.
    pub(super) fn mark(&mut self, now: Now) -> Next {
        let spendable = self.last.as_ref().and_then(|stored| Some((stored, stored.record.refresh_token.clone()?)));
        let Some((Stored { revision, record }, token)) = spendable else {
            return self.serve(Failure::LoginRequired(LoginReason::NoRefreshToken), now);
        };
        if record.provider_unreadable {
            let cause = Cause::Corrupt(RecordError::Provider);
            return self.serve(Failure::Unavailable { retry_at: None, cause }, now);
        }
        let Some(client) = record.client.as_ref().or(self.wanted.default_client.as_ref()).cloned() else {
            return self.serve(Failure::Unavailable { retry_at: None, cause: Cause::NoClient }, now);
        };
        let (replaces, mut record) = (Some(*revision), record.clone());
        record.mark(self.id, now.wall);
        let blob = record.to_blob();
        // What comes back may be larger.
        let reserve = (4 * blob.bytes().len()).clamp(32 * 1024, Blob::MAX);
        let marked = Stored::of(&blob, record);
        let sent_at = now.wall;
        let redeem = Box::new(Redeem {
            marked,
            token,
            client,
            sent_at,
            not_sent: 0,
            resends: 0,
            first_unknown: None,
            #[cfg(feature = "dpop")]
            with_nonce: false,
        });
        then(State::Mark(redeem), Action::Write { replaces, blob, reserve })
    }

    pub(super) fn marked(&mut self, redeem: Box<Redeem>, wrote: Result<(), WriteError>, now: Now) -> Next {
        match wrote {
            Ok(()) => self.send(redeem, now),
            Err(WriteError::Conflict) => self.reread(now),
            Err(WriteError::Failed(error)) => {
                self.serve(Failure::Unavailable { retry_at: None, cause: Cause::Store(error) }, now)
            }
        }
    }

    pub(super) fn send(&mut self, mut redeem: Box<Redeem>, now: Now) -> Next {
        redeem.sent_at = now.wall;
        let mut request = token::refresh_request(&redeem.client, &redeem.token);
        request.binding = redeem.marked.record.binding.clone();
        let holds = Some(redeem.marked.revision);
        then(State::Exchange(redeem), Action::Send { request, holds })
    }

    /// The newest nonce is noted in the record, and stored with the next write: it is not worth one of its own.
    pub(super) fn replied(&mut self, mut redeem: Box<Redeem>, response: &Response, now: Now) -> Next {
        let binding = &mut redeem.marked.record.binding;
        binding.iter_mut().for_each(|binding| binding.learn(response));
        match token::read(&redeem.client, response, slice::from_ref(&redeem.token), binding.is_some(), now) {
            Reading::Answer(answer) => self.answered(redeem, answer, now),
            #[cfg(feature = "dpop")]
            Reading::UseNonce if !redeem.with_nonce => {
                redeem.with_nonce = true;
                self.send(redeem, now)
            }
            #[cfg(feature = "dpop")]
            Reading::UseNonce => {
                self.park(redeem, Cause::ClientRejected(super::super::text("use_dpop_nonce")), None, now)
            }
            // It may be spent, and what came for it must not be used.
            #[cfg(feature = "dpop")]
            Reading::NotBound => {
                self.doubts(&redeem);
                self.park(redeem, Cause::NotBound, None, now)
            }
        }
    }

    fn answered(&mut self, redeem: Box<Redeem>, answer: Answer, now: Now) -> Next {
        let record = &redeem.marked.record;
        match answer {
            Answer::Issued(issued) => self.issued(redeem, issued, now),
            Answer::Refused { .. } => self.refuse(redeem),
            Answer::RefusedByStatus(status) => {
                let again = record.retries > 0 && record.last_status == Some(status);
                if again { self.refuse(redeem) } else { self.park(redeem, Cause::Status(status), None, now) }
            }
            Answer::Throttled { retry_after } => self.park(redeem, Cause::Throttled, retry_after, now),
            Answer::ClientRejected { detail } => self.park(redeem, Cause::ClientRejected(detail), None, now),
            Answer::Unknown { retry_after: Some(pause), detail } => {
                self.doubts(&redeem);
                self.park(redeem, Cause::Unreadable(detail), Some(pause), now)
            }
            Answer::Unknown { retry_after: None, detail } => {
                self.unknown(redeem, false, Cause::Unreadable(detail), now)
            }
        }
    }

    pub(super) fn unanswered(
        &mut self,
        mut redeem: Box<Redeem>,
        kind: SendErrorKind,
        detail: String,
        now: Now,
    ) -> Next {
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
    fn unknown(&mut self, mut redeem: Box<Redeem>, timed_out: bool, cause: Cause, now: Now) -> Next {
        self.doubts(&redeem);
        let first = *redeem.first_unknown.get_or_insert(now.monotonic);
        let pause = if timed_out { self.policy.resend_pause } else { Millis::ZERO };
        let leaves = now.monotonic.minus(first).0.saturating_add(pause.0);
        let in_time = redeem.resends == 0 || leaves <= self.policy.resend_window.0;
        let spare = now.monotonic.minus(self.started) < self.policy.deadline;
        if self.single || redeem.resends >= self.policy.resends || !in_time || !spare {
            return self.park(redeem, cause, None, now);
        }
        redeem.resends += 1;
        if pause == Millis::ZERO {
            return self.send(redeem, now);
        }
        then(State::ResendPause(redeem), Action::Wait { time: pause })
    }

    fn doubts(&mut self, redeem: &Redeem) {
        self.doubt = Some(redeem.token.fingerprint());
    }

    fn refuse(&mut self, redeem: Box<Redeem>) -> Next {
        let token = redeem.token.fingerprint();
        let refusal = if self.doubt == Some(token) { Refusal::RotationLost } else { Refusal::Revoked };
        self.record_refusal(Refuse { token, refusal, tries: 0 }, redeem.marked)
    }

    fn record_refusal(&mut self, refuse: Refuse, over: Stored) -> Next {
        let mut record = over.record.clone();
        record.refuse(refuse.refusal);
        let (replaces, blob) = (Some(over.revision), record.to_blob());
        self.last = Some(over);
        then(State::Refuse(refuse), Action::Write { replaces, blob, reserve: 0 })
    }

    pub(super) fn refused(&mut self, mut refuse: Refuse, wrote: Result<(), WriteError>, now: Now) -> Next {
        let conflict = wrote == Err(WriteError::Conflict);
        if conflict && refuse.tries < self.policy.returns {
            refuse.tries += 1;
            return self.look(Look::Confirm(refuse));
        }
        self.serve(Failure::LoginRequired(LoginReason::Refused(refuse.refusal)), now)
    }

    /// A refusal is believed of the token that was sent, and of no other.
    pub(super) fn confirm(&mut self, refuse: Refuse, stored: Stored, now: Now) -> Next {
        let record = &stored.record;
        if record.refresh_fingerprint() != Some(refuse.token) || record.marked_by_other(self.id) {
            return self.reread(now);
        }
        match record.refused {
            Some(refusal) => {
                self.last = Some(stored);
                self.serve(Failure::LoginRequired(LoginReason::Refused(refusal)), now)
            }
            None => self.record_refusal(refuse, stored),
        }
    }

    /// Nobody tries again before `retry_at`. The mark goes only where the token is certainly unspent.
    fn park(&mut self, redeem: Box<Redeem>, cause: Cause, retry_after: Option<Millis>, now: Now) -> Next {
        let Stored { revision, mut record } = redeem.marked;
        let unreachable = matches!(cause, Cause::NotSent(_));
        let retries = if unreachable { record.retries } else { record.retries.saturating_add(1) };
        let pause = if unreachable { self.policy.unreachable_pause } else { self.policy.backoff(record.retries) };
        // A server that asks for no pause, or for one that is over on our clock, does not switch the back-off off.
        let retry_at = now.wall.plus(retry_after.map_or(pause, |asked| asked.max(pause)));
        let status = if let Cause::Status(status) = cause { Some(status) } else { None };
        record.park(retry_at, retries, status, self.doubt.is_some());
        self.obstacle = cause.clone();
        let failure = self.unavailable(Some(retry_at), cause);
        then(State::Park { failure }, Action::Write { replaces: Some(revision), blob: record.to_blob(), reserve: 0 })
    }
}

/// Keeping what was received.
impl Run {
    fn issued(&mut self, redeem: Box<Redeem>, issued: Issued, now: Now) -> Next {
        let Redeem { marked: Stored { revision, mut record }, token, sent_at, .. } = *redeem;
        record.renew(issued, sent_at);
        let (replaces, redeemed) = (Some(revision), Some(Some(token.fingerprint())));
        save(Box::new(Commit { record, replaces, redeemed, since: now.monotonic }))
    }

    pub(super) fn committed(&mut self, commit: Box<Commit>, wrote: Result<(), WriteError>, now: Now) -> Next {
        match wrote {
            Ok(()) => {
                let revision = Some(commit.record.to_blob().revision());
                self.saved(commit.record, revision, now)
            }
            Err(WriteError::Conflict) if self.merges < self.policy.returns => {
                self.merges += 1;
                self.look(Look::Merge(commit))
            }
            Err(WriteError::Conflict) => self.unsaved(commit.record, commit.redeemed, contended(), now),
            Err(WriteError::Failed(error)) => {
                if now.monotonic.minus(commit.since) < self.policy.save_time {
                    let time = self.policy.save_pause;
                    return then(State::SavePause(commit), Action::Wait { time });
                }
                self.unsaved(commit.record, commit.redeemed, error, now)
            }
        }
    }

    /// The tokens are stored. They are handed out even below the margin; only where they are of no use at all, the
    /// run begins anew.
    fn saved(&mut self, record: Record, revision: Option<Revision>, now: Now) -> Next {
        self.doubt = None;
        self.note(&record);
        self.last = revision.map(|revision| Stored { revision, record });
        match self.living(now) {
            Some(ready) => served(Ready { via: Via::Exchange, ..ready }),
            None => self.reread(now),
        }
    }

    pub(super) fn merge(&mut self, mut commit: Box<Commit>, found: Found, now: Now) -> Next {
        let stored = match found {
            Found::Record(stored) => stored,
            Found::Nothing(_) => return failed(Failure::LoginRequired(LoginReason::LoggedOut)),
            Found::Torn { .. } | Found::Unreadable(_) => {
                return self.unsaved(commit.record, commit.redeemed, contended(), now);
            }
        };
        if stored.record.same_tokens(&commit.record) {
            return self.saved(stored.record, Some(stored.revision), now);
        }
        let there = stored.record.refresh_fingerprint();
        if commit.redeemed.is_some_and(|before| before != there) {
            if let Err(failure) = self.same_account(&stored.record) {
                return failed(failure);
            }
            if there.is_some() {
                self.last = Some(stored);
                return self.serve(Failure::Unavailable { retry_at: None, cause: Cause::Contended }, now);
            }
            // Another program has dropped the refresh token of this login. Ours is the only one that is left.
        }
        commit.record.lay_over(stored.record);
        commit.replaces = Some(stored.revision);
        save(commit)
    }

    /// Nothing is sent while an earlier rotation is not stored: it comes first.
    pub(super) fn settle_unsaved(&mut self, unsaved: Unsaved, found: Found, now: Now) -> Next {
        let Unsaved { mut record, replaces: redeemed, cause, .. } = unsaved;
        let (replaces, stored) = match found {
            Found::Record(stored) => (Some(stored.revision), Some(stored.record)),
            Found::Nothing(blank) => match blank {
                Some(blank) => (Some(blank.revision), Some(blank.record)),
                None => (None, None),
            },
            Found::Torn { revision, .. } if redeemed.is_none() => (Some(revision), None),
            Found::Torn { .. } | Found::Unreadable(_) => return self.unsaved(record, redeemed, cause, now),
        };
        let there = stored.as_ref().and_then(Record::refresh_fingerprint);
        if stored.as_ref().is_some_and(|stored| stored.same_tokens(&record)) {
            return self.saved(record, replaces, now);
        }
        let dropped = stored.as_ref().is_some_and(|stored| {
            let same = stored.login.is_none() || stored.login == record.login;
            same && there.is_none() && !stored.is_logged_out()
        });
        if redeemed.is_some_and(|before| before != there) && !dropped {
            // Logged out, or another login: the unsaved rotation belongs to nothing any more.
            return self.reread(now);
        }
        if let Some(stored) = stored {
            record.lay_over(stored);
        }
        self.merges = 0;
        self.note(&record);
        save(Box::new(Commit { record, replaces, redeemed, since: now.monotonic }))
    }

    fn unsaved(&mut self, record: Record, replaces: Replaces, cause: StoreError, now: Now) -> Next {
        self.last = Some(Stored { revision: record.to_blob().revision(), record: record.clone() });
        let ready = self.living(now).map(|ready| Ready { via: Via::Exchange, ..ready });
        Step::Done(Outcome::Unsaved(Box::new(Unsaved { ready, cause, record, replaces })))
    }
}

pub(super) fn save(commit: Box<Commit>) -> Next {
    let (replaces, blob) = (commit.replaces, commit.record.to_blob());
    then(State::Commit(commit), Action::Write { replaces, blob, reserve: 0 })
}
