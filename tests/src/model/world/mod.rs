//! One world: the store, the lock, the server, the requests under way and the processes; the steps that can be taken
//! from it; and what must hold at each of them.

mod choice;
mod judge;
mod process;

use super::{Config, Faults, Job, Kind, Mutant, StoredToken};
use crate::promise::running::Running;
use crate::promise::server::{Answered, Asks, Family, Manner, Rules, Server, Token, credentials};
use crate::promise::stored::Stored;
use crate::promise::{self, Facts, Received, Wrong, is_settled};
pub(super) use choice::Choice;
use kraube_core::http::{SendError, SendErrorKind};
use kraube_core::machine::{Action, Blob, Input, Locked, Revision, StoreError, StoreErrorKind, WriteError};
use kraube_core::secret::Secret;
use kraube_core::time::{Millis, Now, Timestamp};
use process::{Memo, Process, State, print};
use std::fmt;
use std::rc::Rc;

const EPOCH: u64 = 1_700_000_000_000;
const HOUR: Millis = Millis::from_secs(3600);

#[derive(Clone)]
pub(super) struct World {
    config: Rc<Config>,
    memo: Rc<Memo>,
    processes: Vec<Rc<Process>>,
    /// The hash of each process.
    prints: Vec<u128>,
    store: Option<Rc<Stored>>,
    /// What a program that writes in place has begun to write.
    foreign: Option<Rc<Stored>>,
    /// Counts the lock files that were deleted.
    lock_file: u8,
    server: Server,
    requests: Vec<UnderWay>,
    left: Faults,
    clock: Millis,
    deleted: bool,
    unsaved_lost: bool,
    /// The recorded back-off: nobody sends this token before.
    quiet: Option<(Option<Token>, Timestamp)>,
    /// This world only asks whether the login still works.
    probe: bool,
    wrong: Wrong,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct UnderWay {
    asks: Asks,
    /// Who waits for the answer.
    sender: Option<u8>,
    answer: Option<Answered>,
    /// One bit a process: it began a long wait when this request was under way already.
    outlasted_by: u8,
}

/// Steps.
impl World {
    pub(super) fn new(config: Rc<Config>) -> Self {
        let scripts = config.scripts.iter().flatten();
        let families =
            scripts.filter_map(|job| if let Job::Install { family, .. } = job { Some(*family) } else { None });
        let count = usize::from(families.max().unwrap_or(0)) + 2;
        let mut server = Server { families: vec![Family::default(); count] };
        for job in config.scripts.iter().flatten() {
            if let Job::Install { family, code: true } = job {
                server.families[usize::from(*family)].unborn = true;
            }
        }
        let mut world = Self {
            processes: Vec::new(),
            prints: Vec::new(),
            store: None,
            foreign: None,
            lock_file: 0,
            server,
            requests: Vec::new(),
            left: config.faults,
            clock: Millis::ZERO,
            deleted: false,
            unsaved_lost: false,
            quiet: None,
            probe: false,
            wrong: Vec::new(),
            memo: Rc::default(),
            config,
        };
        world.store = Some(Rc::new(Stored::new(world.first_record())));
        world.populate();
        world
    }

    /// The world after a step, and what was wrong with the step.
    pub(super) fn after(&self, choice: Choice) -> (Self, Wrong) {
        let mut next = self.clone();
        next.take(choice);
        next.requests.sort_by_key(|request| (request.asks, request.sender, request.outlasted_by));
        if let Some(p) = choice.process() {
            next.hash_process(p);
        }
        let wrong = std::mem::take(&mut next.wrong);
        (next, wrong)
    }

    fn take(&mut self, choice: Choice) {
        let unlucky = |text: &str| StoreError { kind: StoreErrorKind::Io, detail: text.into() };
        match choice {
            Choice::Do(p) => self.perform(p),
            Choice::Changed(p) => self.step(p, Input::Locked(Locked::Changed)),
            Choice::TimedOut(p) => {
                if !matches!(self.action(p), Action::Lock { wait: Millis::ZERO, .. }) {
                    self.left.timeouts -= 1;
                }
                self.step(p, Input::Locked(Locked::TimedOut));
            }
            Choice::Unsupported(p) => {
                self.left.unsupported -= 1;
                self.step(p, Input::Locked(Locked::Unsupported(unlucky("no lock"))));
            }
            Choice::FailRead(p) => {
                self.left.reads -= 1;
                let there = self.visible().cloned();
                self.process_mut(p).facts.cannot_read(there.as_deref());
                self.step(p, Input::Read(Err(unlucky("no read"))));
            }
            Choice::FailWrite { process: p, visible } => {
                self.left.writes -= 1;
                if visible {
                    let _ = self.write(p);
                }
                let failed = Err(WriteError::Failed(unlucky("disk")));
                let deletes = matches!(self.action(p), Action::Delete { .. });
                let input = if deletes { Input::Deleted(failed) } else { Input::Wrote(failed) };
                self.step(p, input);
            }
            Choice::NotSent(p) => {
                self.left.not_sent -= 1;
                self.step(p, unanswered(SendErrorKind::NotSent));
            }
            Choice::Reset(p) => {
                self.left.lost -= 1;
                self.lose(p, false);
                self.step(p, unanswered(SendErrorKind::MaybeSent));
            }
            Choice::GiveUp(p) => {
                self.left.lost -= 1;
                self.lose(p, true);
                self.step(p, unanswered(SendErrorKind::TimedOut));
            }
            Choice::Kill(p) => {
                self.left.crashes -= 1;
                self.lose(p, true);
                self.end_process(p, State::Killed);
            }
            Choice::Arrive(at, manner) => self.arrive(usize::from(at), manner),
            Choice::Tick => {
                self.left.ticks -= 1;
                self.clock.0 += self.config.tick.0;
            }
            Choice::ForeignBegin => {
                self.left.foreign_writes -= 1;
                self.foreign = self.store.take().map(|stored| Rc::new(Stored::new(stored.without_others())));
                self.store = Some(Rc::new(Stored::new(Blob::new(b"{\"refr".to_vec()))));
                self.quiet = None;
            }
            Choice::ForeignEnd => {
                // Where the file was replaced meanwhile, the other program writes to one that has no name any more.
                let foreign = self.foreign.take();
                if self.store.as_ref().is_some_and(|stored| stored.others.is_none()) {
                    self.store = foreign;
                }
            }
            Choice::ForeignLogin => {
                self.left.foreign_logins -= 1;
                let family = self.server.families.len() - 1;
                let expires = self.now().wall.plus(HOUR).0;
                let text =
                    format!(r#"{{"refreshToken":"r{family}-0","accessToken":"a{family}-0","expiresAt":{expires}}}"#);
                self.store = Some(Rc::new(Stored::new(Blob::new(text.into_bytes()))));
                self.quiet = None;
            }
            Choice::DeleteLockFile => {
                self.left.deleted_locks -= 1;
                self.lock_file += 1;
            }
        }
    }

    /// Does what the machine asks for.
    fn perform(&mut self, p: u8) {
        if let Some(at) = self.requests.iter().position(|request| request.sender == Some(p)) {
            let request = self.requests.remove(at);
            return self.deliver(p, request);
        }
        let input = match self.action(p) {
            Action::Lock { .. } => {
                let file = self.lock_file;
                let held = (0..self.processes.len() as u8).any(|q| q != p && self.process(q).holds == Some(file));
                self.require(!held, Kind::TwoHolders, || format!("process {p} takes a lock that is held"));
                self.process_mut(p).holds = Some(file);
                Input::Locked(Locked::Held)
            }
            Action::Read => {
                let store = self.store.clone();
                self.process_mut(p).facts.reads(store.as_deref());
                Input::Read(Ok(self.store.as_ref().map(|stored| stored.blob.clone())))
            }
            Action::Send { request, holds } => {
                if !self.still_holds(p, *holds) {
                    return self.step(p, unanswered(SendErrorKind::LockLost));
                }
                let asks = Asks::of(request);
                return self.send(p, asks);
            }
            Action::Write { .. } => Input::Wrote(self.write(p)),
            Action::Delete { .. } => Input::Deleted(self.write(p)),
            Action::Wait { .. } => Input::Woke,
        };
        self.step(p, input);
    }

    fn send(&mut self, p: u8, asks: Option<Asks>) {
        let Some(asks) = asks else {
            return self.require(false, Kind::Misuse, || "a request that the server does not know".into());
        };
        if let Asks::Refresh(token @ (family, _)) = asks {
            let at_once =
                self.requests.iter().any(|other| other.sender.is_some() && promise::at_once(&other.asks, family));
            self.require(!at_once, Kind::TwoRedemptions, || {
                format!("process {p} redeems {token:?} beside another one")
            });
            let wall = self.now().wall;
            promise::redeems(&mut self.wrong, p, token, &self.server, self.quiet, wall);
            self.process_mut(p).facts.sent = Some(token);
        }
        self.requests.push(UnderWay { asks, sender: Some(p), answer: None, outlasted_by: 0 });
    }

    fn arrive(&mut self, at: usize, manner: Manner) {
        let asks = self.requests[at].asks;
        let life = if self.config.dead_on_arrival { 0.005 } else { 3600.0 };
        let rules = Rules { replay: self.config.replay, rotates: self.config.rotates, life };
        let answer = self.server.answer(asks, manner, rules, self.now().wall);
        match manner {
            Manner::Properly | Manner::Overloaded | Manner::Redirects | Manner::Garbles => {}
            Manner::Spends | Manner::Fails => self.left.server_errors -= 1,
            Manner::Throttles => self.left.throttles -= 1,
            Manner::NotFound => self.left.statuses -= 1,
        }
        if manner == Manner::Spends {
            self.doubt(asks);
        }
        if matches!(manner, Manner::Spends | Manner::Fails) {
            self.leave_unknown(asks);
        }
        if self.requests[at].sender.is_none() {
            self.requests.remove(at);
        } else {
            self.requests[at].answer = Some(answer);
            self.requests[at].outlasted_by = 0;
        }
    }

    fn deliver(&mut self, p: u8, request: UnderWay) {
        let Some(answer) = request.answer else { return };
        if let Some(access) = answer.access {
            if self.config.dead_on_arrival {
                self.clock.0 += 10;
            }
            // A new login takes the place of what is kept: it is stored, or kept in its stead.
            let earlier = self.process(p).facts.received.clone();
            let new_login = matches!(request.asks, Asks::Code(_));
            let fine =
                new_login || earlier.as_ref().is_none_or(|earlier| is_settled(earlier, self.visible().map(Rc::as_ref)));
            self.require(fine, Kind::RotationDropped, || format!("process {p} redeems before it has stored"));
            self.give_up(earlier);
            let parent = if let Asks::Refresh(token) = request.asks { Some(token) } else { None };
            let over = self.process(p).facts.over;
            self.process_mut(p).facts.received = Some(Received { access, parent, over });
        }
        self.step(p, Input::Replied(Ok(answer.response)));
    }

    /// Nobody waits for the answer any more. `travels`: the request may still arrive.
    fn lose(&mut self, p: u8, travels: bool) {
        let Some(at) = self.requests.iter().position(|request| request.sender == Some(p)) else { return };
        let request = &mut self.requests[at];
        request.sender = None;
        let (asks, answered) = (request.asks, request.answer.is_some());
        if answered || !travels {
            self.requests.remove(at);
        }
        if answered || travels {
            self.doubt(asks);
        }
        self.leave_unknown(asks);
    }

    fn leave_unknown(&mut self, asks: Asks) {
        if let Asks::Refresh((family, generation)) = asks {
            self.server.families[usize::from(family)].leave_unknown(generation);
        }
    }

    fn doubt(&mut self, asks: Asks) {
        if let Asks::Refresh((family, generation)) = asks {
            self.server.families[usize::from(family)].doubt(generation);
        }
    }

    /// Performs the conditional write or delete that the machine asks for.
    fn write(&mut self, p: u8) -> Result<(), WriteError> {
        let State::Runs(live) = &self.process(p).state else { return Ok(()) };
        let live = Rc::clone(live);
        let obtains = matches!(live.machine, Running::Obtain(_));
        let unconditional = self.config.mutant == Some(Mutant::UnconditionalWrites);
        match &live.action {
            Action::Write { replaces, .. } if *replaces != self.revision() && !unconditional => {
                Err(WriteError::Conflict)
            }
            Action::Delete { replaces } if Some(*replaces) != self.revision() && !unconditional => {
                Err(WriteError::Conflict)
            }
            Action::Write { blob, .. } => {
                let new = Rc::new(Stored::new(blob.clone()));
                if self.config.mutant == Some(Mutant::NoMark) && new.marked {
                    return Ok(());
                }
                let facts = self.process(p).facts.clone();
                promise::writes(&mut self.wrong, p, self.store.as_deref(), &new, obtains, &facts);
                if self.process(p).facts.received.as_ref().map(|received| received.access) == new.access {
                    self.process_mut(p).facts.received = None;
                }
                match new.retry_at {
                    Some(until) => self.quiet = Some((new.refresh, until)),
                    None if new.marked => {}
                    None => self.quiet = None,
                }
                self.store = Some(new);
                Ok(())
            }
            Action::Lock { .. } | Action::Read | Action::Send { .. } | Action::Wait { .. } => Ok(()),
            Action::Delete { .. } => {
                let facts = self.process(p).facts.clone();
                let stored = self.visible().cloned();
                promise::deletes(&mut self.wrong, p, stored.as_deref(), &facts);
                (self.store, self.deleted) = (None, true);
                Ok(())
            }
        }
    }
}

/// What is the case.
impl World {
    pub(super) fn fingerprint(&self) -> u128 {
        let files = (self.revision(), self.foreign.as_ref().map(|stored| stored.revision), self.lock_file);
        let rest = (&self.server, &self.requests, self.left, self.clock);
        print(&(&self.prints, files, rest, self.deleted, self.unsaved_lost, self.quiet))
    }

    pub(super) fn awaits(&self, choice: Choice) -> &'static str {
        choice.process().map_or("", |p| self.process(p).awaits())
    }

    fn now(&self) -> Now {
        Now { wall: Timestamp(EPOCH).plus(self.clock), monotonic: Millis(1_000_000 + self.clock.0) }
    }

    fn process(&self, p: u8) -> &Process {
        &self.processes[usize::from(p)]
    }

    fn process_mut(&mut self, p: u8) -> &mut Process {
        Rc::make_mut(&mut self.processes[usize::from(p)])
    }

    fn action(&self, p: u8) -> &Action {
        match &self.process(p).state {
            State::Runs(live) => &live.action,
            State::Ended | State::Killed => &Action::Read,
        }
    }

    fn revision(&self) -> Option<Revision> {
        self.store.as_ref().map(|stored| stored.revision)
    }

    /// What is stored, or about to be.
    fn visible(&self) -> Option<&Rc<Stored>> {
        self.store.as_ref().filter(|stored| stored.others.is_some()).or(self.foreign.as_ref())
    }

    fn may_lock(&self, p: u8) -> bool {
        let taken = |q: u8| q != p && self.process(q).holds == Some(self.lock_file);
        self.config.mutant == Some(Mutant::NoLock) || !(0..self.processes.len() as u8).any(taken)
    }

    /// The check right before a request is sent.
    fn still_holds(&self, p: u8, holds: Option<Revision>) -> bool {
        let lock = self.process(p).holds == Some(self.lock_file);
        let bytes = holds == self.revision() || self.config.mutant == Some(Mutant::NoMark);
        holds.is_none() || lock && bytes
    }

    /// Starts the first job of each script.
    fn populate(&mut self) {
        let count = self.config.scripts.len();
        let process = Process {
            job: 0,
            state: State::Ended,
            holds: None,
            kept: None,
            last: Some(Secret::new("a0-0").fingerprint()),
            facts: Facts::default(),
            code: "",
        };
        self.processes = (0..count).map(|_| Rc::new(process.clone())).collect();
        self.prints = vec![0; count];
        for p in 0..count as u8 {
            self.start_job(p);
            self.hash_process(p);
        }
    }

    /// What an `Install` stores, beside a member of somebody else.
    fn first_record(&self) -> Blob {
        let now = self.now();
        let (expires_at, obtained_at) = match self.config.stored {
            StoredToken::Fresh => (now.wall.plus(HOUR), now.wall),
            StoredToken::Stale => (now.wall.plus(Millis::from_secs(30)), Timestamp(now.wall.0 - HOUR.0)),
            StoredToken::Expired => (Timestamp(now.wall.0 - 1000), Timestamp(now.wall.0 - HOUR.0)),
        };
        promise::server::first_record(credentials(0, expires_at, obtained_at), self.config.policy.clone(), now)
    }
}

fn unanswered(kind: SendErrorKind) -> Input {
    Input::Replied(Err(SendError { kind, detail: "lost".into() }))
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.store.as_deref() {
            None => f.write_str("nothing stored")?,
            Some(Stored { others: None, .. }) => f.write_str("torn")?,
            Some(stored) => {
                let (family, refresh) = stored.refresh.unwrap_or_default();
                write!(f, "stored r{family}-{refresh} a{:?}", stored.access.unwrap_or_default())?;
                let flags =
                    [(stored.marked, " marked"), (stored.retry_at.is_some(), " parked"), (stored.refused, " refused")];
                flags.iter().filter(|flag| flag.0).try_for_each(|flag| f.write_str(flag.1))?;
            }
        }
        for (number, family) in self.server.families.iter().enumerate() {
            let state = if family.revoked { " revoked" } else { "" };
            write!(f, "; r{number}-{}{state}", family.current)?;
        }
        for request in &self.requests {
            let answered = if request.answer.is_some() { "answered" } else { "under way" };
            write!(f, "; {:?} of {:?} {answered}", request.asks, request.sender)?;
        }
        for (p, process) in self.processes.iter().enumerate() {
            let lock = if process.holds.is_some() { " locks" } else { "" };
            let kept = if process.kept.is_some() { " keeps" } else { "" };
            write!(f, "; {p}: {}{lock}{kept}", process.awaits())?;
        }
        Ok(())
    }
}
