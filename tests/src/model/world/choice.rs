//! What can happen next.

use super::World;
use super::process::State;
use crate::promise::server::{Asks, Manner};
use kraube_core::machine::{Action, Revision};
use kraube_core::time::Millis;

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Choice {
    /// A process does what its machine asks for, and is told the result. A request that is sent is told of later.
    Do(u8),
    Changed(u8),
    TimedOut(u8),
    Unsupported(u8),
    FailRead(u8),
    FailWrite {
        process: u8,
        visible: bool,
    },
    NotSent(u8),
    Reset(u8),
    GiveUp(u8),
    Kill(u8),
    /// The request with this place arrives at the server.
    Arrive(u8, Manner),
    Tick,
    ForeignBegin,
    ForeignEnd,
    ForeignLogin,
    DeleteLockFile,
}

impl World {
    /// All that can happen now.
    pub(in crate::model) fn choices(&self, into: &mut Vec<Choice>) {
        let left = &self.left;
        for p in 0..self.processes.len() as u8 {
            self.choices_of(p, into);
        }
        for (at, request) in self.requests.iter().enumerate().filter(|(_, request)| request.answer.is_none()) {
            let at = at as u8;
            into.push(Choice::Arrive(at, Manner::Properly));
            if matches!(request.asks, Asks::Revoke(_)) {
                continue;
            }
            if left.server_errors > 0 {
                into.extend([Choice::Arrive(at, Manner::Spends), Choice::Arrive(at, Manner::Fails)]);
            }
            if left.throttles > 0 {
                into.push(Choice::Arrive(at, Manner::Throttles));
            }
            if left.statuses > 0 {
                into.push(Choice::Arrive(at, Manner::NotFound));
            }
        }
        if self.foreign.is_some() {
            into.push(Choice::ForeignEnd);
        }
        if !self.processes.iter().any(|process| matches!(process.state, State::Runs(..))) {
            return;
        }
        if left.ticks > 0 && self.requests.iter().all(|request| request.answer.is_some()) {
            into.push(Choice::Tick);
        }
        if left.foreign_writes > 0 && self.foreign.is_none() && self.store.is_some() {
            into.push(Choice::ForeignBegin);
        }
        if left.foreign_logins > 0 && self.foreign.is_none() {
            into.push(Choice::ForeignLogin);
        }
        if left.deleted_locks > 0 {
            into.push(Choice::DeleteLockFile);
        }
    }

    fn choices_of(&self, p: u8, into: &mut Vec<Choice>) {
        let left = &self.left;
        let State::Runs(live) = &self.process(p).state else { return };
        if left.crashes > 0 {
            into.push(Choice::Kill(p));
        }
        if let Some(request) = self.requests.iter().find(|request| request.sender == Some(p)) {
            if request.answer.is_some() {
                into.push(Choice::Do(p));
            }
            if left.lost > 0 {
                into.push(Choice::Reset(p));
                if request.answer.is_none() {
                    into.push(Choice::GiveUp(p));
                }
            }
            return;
        }
        match &live.action {
            Action::Lock { wait, seen } => {
                let free = self.may_lock(p);
                if free {
                    into.push(Choice::Do(p));
                }
                if seen.is_some() && *seen != self.revision() {
                    into.push(Choice::Changed(p));
                }
                if !free && (*wait == Millis::ZERO || left.timeouts > 0) {
                    into.push(Choice::TimedOut(p));
                }
                if left.unsupported > 0 {
                    into.push(Choice::Unsupported(p));
                }
            }
            Action::Read => {
                into.push(Choice::Do(p));
                if left.reads > 0 {
                    into.push(Choice::FailRead(p));
                }
            }
            Action::Send { holds, .. } => {
                into.push(Choice::Do(p));
                if left.not_sent > 0 && self.still_holds(p, *holds) {
                    into.push(Choice::NotSent(p));
                }
            }
            Action::Write { replaces, .. } => self.choices_of_write(p, *replaces, into),
            Action::Delete { replaces } => self.choices_of_write(p, Some(*replaces), into),
            Action::Wait { .. } => {
                if self.requests.iter().all(|request| request.outlasted_by & (1 << p) == 0) {
                    into.push(Choice::Do(p));
                }
            }
        }
    }

    fn choices_of_write(&self, process: u8, replaces: Option<Revision>, into: &mut Vec<Choice>) {
        into.push(Choice::Do(process));
        if self.left.writes > 0 && self.revision() == replaces {
            into.extend([false, true].map(|visible| Choice::FailWrite { process, visible }));
        }
    }
}

impl Choice {
    pub(super) fn process(self) -> Option<u8> {
        match self {
            Self::Do(p) | Self::Changed(p) | Self::TimedOut(p) | Self::Unsupported(p) | Self::FailRead(p) => Some(p),
            Self::FailWrite { process: p, .. } | Self::NotSent(p) | Self::Reset(p) | Self::GiveUp(p) => Some(p),
            Self::Kill(p) => Some(p),
            Self::Arrive(..) | Self::Tick | Self::DeleteLockFile => None,
            Self::ForeignBegin | Self::ForeignEnd | Self::ForeignLogin => None,
        }
    }
}
