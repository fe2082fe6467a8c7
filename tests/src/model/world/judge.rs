//! What must hold, at each step and in the end.

use super::process::{Ending, Received, State, ready};
use super::stored::Stored;
use super::{HOUR, World};
use crate::model::server::Token;
use crate::model::{Faults, Job, Kind, Replay};
use kraube_core::credential::{Failure, LoginReason, Outcome};
use kraube_core::record::{LoginId, Refusal};
use std::rc::Rc;

/// What is wrong, with the particulars.
pub(in crate::model) type Wrong = Vec<(Kind, String)>;

/// How the end of a path is judged.
#[derive(Default)]
pub(in crate::model) struct End {
    pub(in crate::model) lost: bool,
    pub(in crate::model) unsaved: bool,
    pub(in crate::model) wrong: Wrong,
}

impl World {
    pub(super) fn judge(&mut self, p: u8, ending: &Ending) {
        let job = self.config.scripts[usize::from(p)][usize::from(self.process(p).job)];
        let now = self.now();
        self.require(ending.code() != "misuse", Kind::Misuse, || format!("process {p}"));
        let Ending::Obtain(outcome) = ending else { return };
        let rejected = self.process(p).last.filter(|_| job == Job::Force);
        if let Some(ready) = ready(outcome) {
            let good = ready.expires_at > now.wall && Some(ready.access_token.fingerprint()) != rejected;
            self.require(good, Kind::BadToken, || format!("process {p} is given a token of no use"));
            let saw = self.process(p).saw.filter(|_| self.process(p).kept.is_none());
            let login = saw.map(|family| LoginId(format!("L{family}")));
            let same = ready.login.is_none() || login.is_none() || ready.login == login;
            self.require(same, Kind::OtherAccount, || format!("process {p} saw {login:?} and gets {:?}", ready.login));
        }
        let refreshed = matches!(outcome, Outcome::Ready(ready) if ready.stale.is_none());
        let needless = self.config.always_ready && !refreshed;
        self.require(!needless, Kind::Needless, || format!("process {p} ends with {}", ending.code()));
        let failure = if let Outcome::Failed(failure) = outcome {
            Some(failure)
        } else {
            ready(outcome).and_then(|ready| ready.stale.as_ref())
        };
        match failure {
            Some(Failure::LoginRequired(LoginReason::Refused(reason))) => self.judge_refusal(p, *reason),
            Some(Failure::Unavailable { .. }) => self.judge_doubt(p, false),
            Some(Failure::Uncertain { .. }) => self.judge_doubt(p, true),
            _ => {}
        }
    }

    /// Doubt is told where there is cause for it, of the token that is stored, and nowhere else.
    fn judge_doubt(&mut self, p: u8, told: bool) {
        let stored = self.visible().and_then(|stored| stored.refresh);
        let sent = self.process(p).sent.filter(|sent| stored == Some(*sent));
        let doubted = sent.is_some_and(|token| self.is_doubted(token));
        self.require(told || !doubted, Kind::WrongReason, || {
            format!("process {p} is not told of the doubt of {sent:?}")
        });
        let cause = doubted || sent.is_some_and(|token| self.is_unknown(token)) || self.has_marks_of_others();
        self.require(!told || cause, Kind::WrongReason, || {
            format!("process {p} is told of a doubt of {sent:?} that nothing gave cause for")
        });
    }

    fn is_doubted(&self, (family, generation): Token) -> bool {
        self.server.families[usize::from(family)].is_doubted(generation)
    }

    fn is_unknown(&self, (family, generation): Token) -> bool {
        self.server.families[usize::from(family)].is_unknown(generation)
    }

    /// Whether there may be a mark although nothing was sent.
    fn has_marks_of_others(&self) -> bool {
        self.left.crashes < self.config.faults.crashes || self.left.writes < self.config.faults.writes
    }

    pub(super) fn judge_write(&mut self, p: u8, new: &Stored, obtains: bool) {
        let old = self.store.clone();
        let others = old.as_ref().and_then(|old| old.others.as_ref());
        let kept = others.is_none() || others == new.others.as_ref();
        self.require(kept, Kind::Overwritten, || "members of others are changed".into());
        let old = old.map(|old| (old.refresh, old.access)).filter(|old| *old != (None, None));
        if !obtains || old == Some((new.refresh, new.access)) {
            return;
        }
        let received = self.process(p).received.clone();
        let own = received.as_ref().is_some_and(|received| Some(received.access) == new.access);
        self.require(own, Kind::Overwritten, || format!("tokens {old:?} become {:?}", (new.refresh, new.access)));
        if received.is_some_and(|received| received.parent.is_some()) {
            let family = |token: Option<Token>| token.map(|(family, _)| family);
            match old {
                None => self.require(false, Kind::WrittenBack, || format!("process {p} stores {:?}", new.access)),
                Some((refresh, _)) => {
                    let same = family(refresh) == family(new.refresh);
                    self.require(same, Kind::OverOtherLogin, || format!("{refresh:?} becomes {:?}", new.refresh));
                }
            }
        }
    }

    /// A logout deletes the login that it saw first. (A record without a login id says nothing: whoever wrote it may have
    /// dropped the id.)
    pub(super) fn judge_delete(&mut self, p: u8) {
        let (saw, family) = (self.process(p).saw, self.stored_family());
        let fine = saw.is_none() || saw == family || self.store.as_ref().is_some_and(|stored| !stored.login);
        self.require(fine, Kind::OtherDeleted, || format!("process {p} saw family {saw:?} and deletes {family:?}"));
    }

    /// A login may be lost where an answer was, or a process with one; and then that must be said.
    pub(super) fn judge_refusal(&mut self, p: u8, reason: Refusal) {
        let family = self.process(p).sent.map(|(family, _)| family).or_else(|| self.stored_family());
        let Some(family) = family.map(|family| self.server.families[usize::from(family)].clone()) else { return };
        if family.on_request {
            return;
        }
        let may_be_lost = self.config.replay == Replay::Revokes && family.doubted != 0;
        self.require(may_be_lost, Kind::LoginLost, || format!("process {p} hears {}", reason.code()));
        let cause = self.process(p).sent.is_none_or(|token| self.is_doubted(token)) || self.has_marks_of_others();
        let fine = if reason == Refusal::RotationLost { cause } else { !may_be_lost };
        self.require(fine, Kind::WrongReason, || format!("process {p} hears {}", reason.code()));
    }

    /// Nothing more can happen. Does the login work?
    pub(in crate::model) fn end(&self) -> End {
        let mut end = End { unsaved: self.unsaved_lost, ..End::default() };
        let stuck = self.processes.iter().position(|process| matches!(process.state, State::Runs(..)));
        if let Some(p) = stuck {
            end.wrong.push((Kind::Deadlock, format!("process {p} waits")));
        }
        let mut probe = self.clone();
        let mut config = (*self.config).clone();
        config.scripts = vec![vec![Job::Get]];
        config.dead_on_arrival = false;
        config.always_ready = false;
        probe.config = Rc::new(config);
        probe.probe = true;
        probe.left = Faults::default();
        probe.clock.0 += 2 * HOUR.0;
        probe.populate();
        let mut choices = Vec::new();
        loop {
            choices.clear();
            probe.choices(&mut choices);
            let Some(&choice) = choices.first() else { break };
            let (next, wrong) = probe.after(choice);
            end.wrong.extend(wrong);
            probe = next;
        }
        let code = probe.process(0).code;
        let fine = match code {
            "ready" => true,
            "logged_out" => self.deleted,
            "revoked" | "rotation_lost" => {
                end.lost = true;
                true
            }
            _ => false,
        };
        if !fine {
            end.wrong.push((Kind::LoginLost, format!("a fresh process ends with {code}")));
        }
        end
    }

    /// Received tokens are stored, or followed by others, or of a login that was replaced or forgotten.
    pub(super) fn is_settled(&self, received: &Received) -> bool {
        let (family, number) = received.access;
        let new = received.parent.is_none();
        match self.visible().map(|stored| stored.access) {
            Some(Some((stored, at))) if stored == family => at >= number,
            Some(Some((stored, _))) => !new || received.over != Some(stored),
            Some(None) | None => !new || received.over.is_some(),
        }
    }

    pub(super) fn require(&mut self, fine: bool, kind: Kind, what: impl FnOnce() -> String) {
        if !fine {
            self.wrong.push((kind, what()));
        }
    }
}
