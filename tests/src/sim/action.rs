//! What a process does for its machine on the machine's disk: the lock, reads and writes.

use super::mistake::Mistake;
use super::process::Job;
use super::world::{Event, World};
use crate::promise::stored::Stored;
use crate::promise::{self, Kind};
use kraube_core::machine::{Action, Blob, Input, Locked, Revision, StoreError, StoreErrorKind, WriteError};
use kraube_core::time::Millis;
use serde_json::Value;
use std::rc::Rc;

impl World {
    pub(super) fn act(&mut self, p: u8) {
        let monotonic = self.clock.monotonic();
        let Some(run) = &mut self.process(p).run else { return };
        match &run.action {
            Action::Lock { wait, .. } => {
                (run.until, run.opened) = (monotonic + wait.0, None);
                self.poll(p);
            }
            Action::Read => self.read(p),
            Action::Send { .. } => self.send(p),
            Action::Write { replaces, blob, reserve } => {
                let (replaces, blob, reserve) = (*replaces, blob.clone(), *reserve);
                self.write(p, replaces, blob, reserve);
            }
            Action::Delete { replaces } => {
                let replaces = *replaces;
                self.delete(p, replaces);
            }
            Action::Wait { .. } => self.hand(p, Input::Woke),
        }
    }

    /// Tries to get the lock, and otherwise leaves or waits.
    pub(super) fn poll(&mut self, p: u8) {
        let (monotonic, revision) = (self.clock.monotonic(), self.disk.revision());
        let (holds, turn) = (self.process(p).holds, self.process(p).turn);
        let Some(run) = &mut self.process(p).run else { return };
        let Action::Lock { wait, mut seen } = run.action else { return };
        if run.input.is_some() {
            return;
        }
        if holds.is_some() {
            return self.hand_lock(p, Locked::Held);
        }
        let (mut until, opened) = (run.until, run.opened);
        if self.mistake == Some(Mistake::BlockingLock) && wait > Millis::ZERO {
            (until, seen) = (u64::MAX, None);
        }
        let inode = opened.unwrap_or_else(|| self.disk.open_lock(self.mistake));
        let others = self.processes.iter().any(|other| other.holds == Some(inode));
        let free = !others && self.go.as_ref().is_none_or(|go| go.holds != Some(inode));
        if free || self.mistake == Some(Mistake::NoLock) {
            let unchecked = matches!(self.mistake, Some(Mistake::LockOnFile | Mistake::LockFileDeleted));
            if self.disk.lock == Some(inode) || unchecked {
                let alone = self.processes.iter().all(|other| other.holds.is_none())
                    && self.go.as_ref().is_none_or(|go| go.holds.is_none());
                self.require(alone, Kind::TwoHolders, || format!("process {p} takes a lock beside another one"));
                self.process(p).holds = Some(inode);
                self.disk.sweep();
                return self.hand_lock(p, Locked::Held);
            }
            // We have it, and whoever comes next locks another file.
            if let Some(run) = &mut self.process(p).run {
                run.opened = None;
            }
            return self.clock.plan(1, Event::Poll(p, turn));
        }
        if seen.is_some() && seen != revision {
            return self.hand_lock(p, Locked::Changed);
        }
        if monotonic >= until {
            return self.hand_lock(p, Locked::TimedOut);
        }
        if let Some(run) = &mut self.process(p).run
            && run.opened.replace(inode).is_none()
            && until < u64::MAX
        {
            self.clock.plan(until - monotonic, Event::Poll(p, turn));
        }
        self.waiters.push((p, turn));
    }

    fn hand_lock(&mut self, p: u8, locked: Locked) {
        self.waiters.retain(|(q, _)| *q != p);
        if let Some(other) = self.processes.get_mut(usize::from(p ^ 1)) {
            for event in std::mem::take(&mut other.blocked) {
                self.clock.plan(0, event);
            }
        }
        self.hand(p, Input::Locked(locked));
    }

    fn read(&mut self, p: u8) {
        if self.chance(self.plan.failing_reads) {
            self.count("read failed");
            let there = self.disk.visible().cloned();
            self.process(p).facts.cannot_read(there.as_deref());
            return self.hand(p, Input::Read(Err(trouble("input/output error"))));
        }
        let file = match (self.mistake, &self.process(p).cache) {
            (Some(Mistake::CachedRead | Mistake::ReadBeforeLock), Some(cached)) => cached.clone(),
            _ => self.disk.file.clone(),
        };
        let torn = self.disk.file.as_ref().is_some_and(|file| file.others.is_none()) && self.disk.foreign.is_none();
        self.require(!torn, Kind::Torn, || format!("process {p} reads half a record, and nobody else is writing"));
        let mistake = self.mistake;
        let process = self.process(p);
        process.facts.reads(file.as_deref());
        if matches!(mistake, Some(Mistake::CachedRead | Mistake::ReadBeforeLock)) {
            process.cache = Some(file.clone());
        }
        let blob = file.as_ref().map(|file| file.blob.clone());
        if let Some(run) = &mut process.run {
            run.read = file;
        }
        self.hand(p, Input::Read(Ok(blob)));
    }

    fn write(&mut self, p: u8, replaces: Option<Revision>, blob: Blob, reserve: usize) {
        let blob = if self.mistake == Some(Mistake::DropsMembers) { without_members(&blob) } else { blob };
        let replaces = if self.is_unconditional() { self.disk.revision() } else { replaces };
        let reserve = if self.mistake == Some(Mistake::NoReserve) { 0 } else { reserve };
        if let Err(error) = self.disk.admit(replaces, &blob, reserve) {
            self.marks |= error != WriteError::Conflict;
            return self.hand(p, Input::Wrote(Err(error)));
        }
        if self.chance(self.plan.failing_writes) {
            if self.fail_write(p) {
                self.apply(p, blob, reserve);
            }
            return self.hand(p, Input::Wrote(Err(WriteError::Failed(trouble("input/output error")))));
        }
        if self.mistake == Some(Mistake::WritesInPlace) {
            self.disk.begin_in_place();
            let turn = self.process(p).turn;
            return self.clock.plan(self.rng.u64(1..20), Event::WrittenInPlace(p, turn));
        }
        self.apply(p, blob, reserve);
        self.hand(p, Input::Wrote(Ok(())));
    }

    pub(super) fn written_in_place(&mut self, p: u8) {
        let Some(run) = &self.process(p).run else { return };
        let Action::Write { blob, reserve, .. } = &run.action else { return };
        let (blob, reserve) = (blob.clone(), *reserve);
        self.apply(p, blob, reserve);
        self.hand(p, Input::Wrote(Ok(())));
    }

    fn delete(&mut self, p: u8, replaces: Revision) {
        if self.disk.revision() != Some(replaces) {
            return self.hand(p, Input::Deleted(Err(WriteError::Conflict)));
        }
        let fails = self.chance(self.plan.failing_writes);
        if !fails || self.fail_write(p) {
            let facts = self.process(p).facts.clone();
            let stored = self.disk.visible().cloned();
            promise::deletes(&mut self.wrong, p, stored.as_deref(), &facts);
            (self.disk.file, self.deleted, self.back_off) = (None, true, None);
            self.wake();
        }
        let deleted = if fails { Err(WriteError::Failed(trouble("input/output error"))) } else { Ok(()) };
        self.hand(p, Input::Deleted(deleted));
    }

    /// A write fails. `true`: in spite of its effect.
    fn fail_write(&mut self, p: u8) -> bool {
        self.count("write failed");
        self.marks = true;
        if let Some(run) = &mut self.process(p).run {
            run.disk_failed = true;
        }
        self.rng.u8(..3) == 0
    }

    /// New bytes take the place of the old ones.
    fn apply(&mut self, p: u8, blob: Blob, reserve: usize) {
        let new = Rc::new(Stored::new(blob));
        let old = self.disk.file.clone();
        let (was_link, mistake) = (self.disk.link, self.mistake);
        let obtains = self.process(p).run.as_ref().is_some_and(|run| matches!(run.job, Job::Get | Job::Force));
        let process = self.process(p);
        let facts = process.facts.clone();
        process.cache = None;
        if let Some(received) = facts.received.as_ref().filter(|received| Some(received.access) == new.access) {
            process.facts.received = None;
            self.not_found.remove(&received.access.0);
            // A server that does not rotate: what was in doubt of the token is settled.
            if let Some((family, generation)) = received.parent.filter(|parent| new.refresh == Some(*parent)) {
                self.server.families[usize::from(family)].settle(generation);
            }
        }
        promise::writes(&mut self.wrong, p, old.as_deref(), &new, obtains, &facts);
        match new.retry_at {
            Some(until) => self.back_off = Some((new.refresh, until)),
            None if new.marked => {}
            None => self.back_off = None,
        }
        self.disk.replace(new, reserve, mistake);
        self.deleted = false;
        let private = self.disk.mode == 0o600;
        self.require(private, Kind::Exposed, || format!("process {p} leaves a file that others can read"));
        let link = self.disk.link == was_link;
        self.require(link, Kind::LinkReplaced, || format!("process {p} puts a file in the place of a link"));
        self.wake();
    }

    /// The mistake of a host that cleans up after a failure.
    pub(super) fn blank(&mut self, p: u8) {
        let blob = Blob::new(br#"{"refreshToken":"","accessToken":"","expiresAt":0,"note":{"keep":[1, 2]}}"#.to_vec());
        self.apply(p, blob, 0);
    }

    /// Whether the lock still is the one that others would get, and the record the one that was written.
    pub(super) fn still_holds(&self, p: u8, holds: Option<Revision>) -> bool {
        let unchecked = matches!(self.mistake, Some(Mistake::LockOnFile | Mistake::LockFileDeleted | Mistake::NoLock));
        let process = &self.processes[usize::from(p)];
        let lock = unchecked || process.holds.is_some() && process.holds == self.disk.lock;
        holds.is_none() || lock && (holds == self.disk.revision() || self.is_unconditional())
    }

    fn is_unconditional(&self) -> bool {
        matches!(self.mistake, Some(Mistake::NoLock | Mistake::ReadBeforeLock))
    }
}

fn trouble(detail: &str) -> StoreError {
    StoreError { kind: StoreErrorKind::Io, detail: detail.into() }
}

fn without_members(blob: &Blob) -> Blob {
    let Ok(Value::Object(mut members)) = serde_json::from_slice(blob.bytes()) else { return blob.clone() };
    members.remove("note");
    Blob::new(Value::Object(members).to_string().into_bytes())
}
