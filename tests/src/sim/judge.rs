//! What must hold when a run ends. The rules are those of the exhaustive check.

use super::process::{End, Job};
use super::world::World;
use crate::promise::running::Ending;
use crate::promise::{self, Case, Facts, Kind, Received, Wrong};
use kraube_core::credential::{InstallError, Outcome};
use std::rc::Rc;

impl World {
    pub(super) fn judge(&mut self, p: u8, run: &End, ending: &Ending) {
        let code = ending.code();
        self.require(code != "misuse", Kind::Misuse, || format!("process {p}"));
        let Ending::Obtain(outcome) = ending else { return };
        let process = &self.processes[usize::from(p)];
        if let Some(ready) = ending.ready() {
            let saw = process.facts.saw.filter(|_| process.kept.is_none());
            promise::serves(&mut self.wrong, p, ready, run.rejected, saw, self.clock.now().wall);
        }
        self.require(!self.plan.calm || code == "ready", Kind::Needless, || {
            format!("process {p} ends with `{code}`, though nothing went wrong")
        });
        let unsaved = matches!(outcome, Outcome::Unsaved(_)) && !run.kept_before && !run.disk_failed;
        self.require(!unsaved, Kind::NeedlessUnsaved, || format!("process {p} has no room for what it received"));
        let failure = match outcome {
            Outcome::Failed(failure) => Some(failure),
            Outcome::Ready(_) | Outcome::Unsaved(_) | _ => ending.ready().and_then(|ready| ready.stale.as_ref()),
        };
        let Some(failure) = failure else { return };
        let may_lose = |family: u8| self.lost.contains_key(&family) || self.late.contains(&family);
        let stored = self.disk.visible().map(Rc::as_ref);
        let case =
            Case { server: &self.server, stored, read: run.read.as_deref(), marks: self.marks, may_lose: &may_lose };
        let mut wrong = Wrong::new();
        promise::fails(&mut wrong, p, failure, &self.processes[usize::from(p)].facts, &case);
        self.wrong.extend(wrong);
    }

    /// What was received is stored, or kept, or of no worth any more.
    pub(super) fn judge_received(&mut self, p: u8, run: &End, ending: &Ending, keeps: bool) {
        let Facts { over, .. } = self.process(p).facts;
        let received = self.process(p).facts.received.take();
        let received = match (received, keeps) {
            (Some(received), false) => {
                let stored = self.disk.visible().map(Rc::as_ref);
                promise::drops(&mut self.wrong, p, &received, stored);
                None
            }
            (earlier, true) if matches!(ending, Ending::Install(Err(InstallError::Unsaved(_)))) => {
                self.give_up(earlier, "unsaved tokens ended");
                let new = matches!(run.job, Job::Install { .. });
                new.then_some(Received { access: (run.family, 0), parent: None, over })
            }
            (received, _) => received,
        };
        self.process(p).facts.received = received;
    }
}
