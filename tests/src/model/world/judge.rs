//! What must hold, at each step and in the end.

use super::process::State;
use super::{HOUR, World};
use crate::model::{Faults, Job, Kind};
use crate::promise::running::Ending;
use crate::promise::{self, Case, Replay, Wrong};
use kraube_core::credential::Outcome;
use std::rc::Rc;

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
        let ready = ending.ready();
        let rejected = self.process(p).last.filter(|_| job == Job::Force);
        if let Some(ready) = ready {
            let saw = self.process(p).facts.saw.filter(|_| self.process(p).kept.is_none());
            promise::serves(&mut self.wrong, p, ready, rejected, saw, now.wall);
        }
        let refreshed = matches!(outcome, Outcome::Ready(ready) if ready.stale.is_none());
        let needless = self.config.always_ready && !refreshed;
        self.require(!needless, Kind::Needless, || format!("process {p} ends with {}", ending.code()));
        let failure = if let Outcome::Failed(failure) = outcome {
            Some(failure)
        } else {
            ready.and_then(|ready| ready.stale.as_ref())
        };
        let Some(failure) = failure else { return };
        let strict = self.config.replay == Replay::Revokes;
        let case = Case {
            server: &self.server,
            stored: self.visible().map(Rc::as_ref),
            read: self.visible().map(Rc::as_ref),
            marks: self.left.crashes < self.config.faults.crashes || self.left.writes < self.config.faults.writes,
            may_lose: &|_| strict,
        };
        let mut wrong = Wrong::new();
        promise::fails(&mut wrong, p, failure, &self.process(p).facts, &case);
        self.wrong.extend(wrong);
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
            "ready" | "ready (stale)" => true,
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

    pub(super) fn require(&mut self, fine: bool, kind: Kind, what: impl FnOnce() -> String) {
        promise::require(&mut self.wrong, fine, kind, what);
    }
}
