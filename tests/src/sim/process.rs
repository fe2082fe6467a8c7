//! A process: its jobs, its memory, and what a host does between the steps of a machine.

use super::disk::Inode;
use super::mistake::Mistake;
use super::world::{Event, World};
use crate::promise::running::{Ending, Running, Stepped};
use crate::promise::server::{Token, client, code_request, credentials, token};
use crate::promise::stored::Stored;
use crate::promise::{Facts, Kind};
use kraube_core::credential::{Baseline, Failure, Forget, Install, NewLogin, Obtain, Outcome, Unsaved, Wanted};
use kraube_core::http::SendErrorKind;
use kraube_core::machine::{Action, Input, Locked, WriteError};
use kraube_core::record::{LoginId, RunId};
use kraube_core::secret::Fingerprint;
use kraube_core::time::{Millis, Now, Timestamp};
use std::rc::Rc;

/// More steps than a run can need.
const ENOUGH: u32 = 300;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// A token, and a request with it to the resource.
    Get,
    /// The same, after a 401.
    Force,
    /// A new login, with a code or with tokens.
    Install { code: bool },
    /// Logout.
    Forget,
}

#[derive(Default)]
pub(super) struct Process {
    /// What was planned in an earlier turn is void.
    pub(super) turn: u32,
    pub(super) run: Option<Box<Run>>,
    /// It does this next, whatever there is to do, and whether as a consequence of the last one.
    pub(super) next: Option<(Job, bool)>,
    pub(super) stopped_until: u64,
    /// The lock file that it holds.
    pub(super) holds: Option<Inode>,
    pub(super) kept: Option<Unsaved>,
    memory: Option<Memory>,
    rejected: Option<Fingerprint>,
    /// It stays with the login that it meets first.
    pinned: bool,
    pin: Option<Option<LoginId>>,
    pub(super) facts: Facts,
    /// How its last job ended, and whether the resource took the token.
    pub(super) code: &'static str,
    pub(super) accepted: bool,
    /// What a host believes that does not read again.
    pub(super) cache: Option<Option<Rc<Stored>>>,
    /// What its thread would do if it were not blocked.
    pub(super) blocked: Vec<Event>,
}

/// A run of a machine.
pub(super) struct Run {
    machine: Running,
    pub(super) action: Action,
    pub(super) job: Job,
    /// It is a consequence of the run before, so that it has none itself.
    again: bool,
    steps: u32,
    /// The result that is to be handed to the machine.
    pub(super) input: Option<Input>,
    /// When the wait for the lock is over, and the lock file that was opened.
    pub(super) until: u64,
    pub(super) opened: Option<Inode>,
    /// The last read, and whether the token in it was good when it was judged under the lock.
    pub(super) read: Option<Rc<Stored>>,
    pub(super) had_fresh: bool,
    rejected: Option<Fingerprint>,
    min_valid: Millis,
    kept_before: bool,
    /// A write failed that was promised room.
    pub(super) disk_failed: bool,
    family: u8,
}

/// The token in the memory of a process.
struct Memory {
    access: Token,
    fingerprint: Fingerprint,
    expires_at: Timestamp,
    obtained_at: Option<Timestamp>,
    login: Option<LoginId>,
}

impl Process {
    pub(super) fn new(pinned: bool) -> Self {
        Self { pinned, ..Self::default() }
    }
}

/// Jobs.
impl World {
    pub(super) fn plan_begin(&mut self, p: u8) {
        let mean = if self.rng.bool() { 200 } else { self.plan.pause };
        let pause = self.rng.u64(..=2 * mean);
        self.clock.plan(pause, Event::Begin(p, self.processes[usize::from(p)].turn));
    }

    pub(super) fn begin(&mut self, p: u8) {
        let job = match self.process(p).next.take() {
            Some((job, again)) => return self.start(p, job, again),
            None if self.jobs_left == 0 => return,
            None => self.draw_job(),
        };
        self.jobs_left -= 1;
        if self.jobs_left == 0 {
            self.cease();
        }
        self.start(p, job, false);
    }

    fn draw_job(&mut self) -> Job {
        let at = self.rng.u32(..100);
        let (logins, logouts, forced) = (self.plan.logins, self.plan.logouts, self.plan.forced);
        match at {
            _ if at < logins => Job::Install { code: self.rng.u8(..4) > 0 },
            _ if at < logins + logouts => Job::Forget,
            _ if at < logins + logouts + forced => Job::Force,
            _ => Job::Get,
        }
    }

    fn start(&mut self, p: u8, job: Job, again: bool) {
        let now = self.now();
        let life = self.plan.rules.life as u64;
        let min_valid = if job == Job::Get && self.rng.u8(..10) == 0 { Millis(life * 250) } else { Millis::ZERO };
        if job == Job::Force {
            let last = self.process(p).memory.as_ref().map(|memory| memory.fingerprint);
            self.process(p).rejected = last;
        }
        if job == Job::Get && self.serve_from_memory(p, min_valid, now) {
            return self.used(p, again);
        }
        if self.mistake == Some(Mistake::ReadBeforeLock) {
            self.process(p).cache = None;
        }
        self.runs += 1;
        self.tally.runs += 1;
        let mut policy = self.plan.policy.clone();
        if self.mistake == Some(Mistake::EagerMargin) {
            policy.margin = Millis::from_secs(86_400);
        }
        let mut family = 0;
        let kept = self.process(p).kept.clone();
        let kept_before = kept.is_some();
        let rejected = self.process(p).rejected;
        let step = match job {
            Job::Get | Job::Force => {
                let pin = self.process(p).pin.clone().filter(|_| self.process(p).pinned);
                let baseline = pin.map_or(Baseline::FirstRead, Baseline::Login);
                let wanted = Wanted { bound: false, min_valid, rejected, baseline, default_client: Some(client()) };
                let id = RunId(self.runs);
                let step = match kept {
                    Some(unsaved) => Obtain::start_unsaved(wanted, policy, id, unsaved, now),
                    None => Obtain::start(wanted, policy, id, now),
                };
                Stepped::from(step)
            }
            Job::Install { code } => {
                family = self.new_family(code, self.life_from_now());
                let new = if code {
                    NewLogin::Code { request: code_request(family), client: client() }
                } else {
                    let life = Millis((self.plan.rules.life * 1000.0) as u64);
                    NewLogin::Credentials(credentials(family, now.wall.plus(life), now.wall))
                };
                Install::start(new, LoginId(format!("L{family}")), policy).into()
            }
            Job::Forget => Forget::start(true, policy, kept).into(),
        };
        let process = self.process(p);
        process.facts = process.facts.left();
        process.accepted = false;
        self.say(|| format!("{p} begins {job:?}"));
        match step {
            Stepped::Runs(machine, action) => {
                if kept_before {
                    self.took(("Obtain", "(kept)", "start", machine.awaits()));
                }
                self.process(p).run = Some(Box::new(Run {
                    machine,
                    action,
                    job,
                    again,
                    steps: 0,
                    input: None,
                    until: 0,
                    opened: None,
                    read: None,
                    had_fresh: false,
                    rejected,
                    min_valid,
                    kept_before,
                    disk_failed: false,
                    family,
                }));
                self.go_on(p);
            }
            Stepped::Done(_) => self.require(false, Kind::Misuse, || "a machine ends before it begins".into()),
        }
    }

    fn serve_from_memory(&mut self, p: u8, min_valid: Millis, now: Now) -> bool {
        let process = &self.processes[usize::from(p)];
        let Some(memory) = &process.memory else { return false };
        let fresh = self.plan.policy.is_fresh(memory.expires_at, memory.obtained_at, min_valid, now.wall);
        let mine = !process.pinned || process.pin.as_ref() == Some(&memory.login);
        if !fresh || !mine || process.rejected == Some(memory.fingerprint) || process.kept.is_some() {
            return false;
        }
        let good = memory.expires_at > self.clock.now().wall;
        self.require(good, Kind::BadToken, || format!("process {p} serves an expired token from memory"));
        self.tally.from_memory += 1;
        true
    }

    /// A token was had: it goes to the resource, which answers 401 where it is not good.
    fn used(&mut self, p: u8, again: bool) {
        self.tally.served += 1;
        let Some(memory) = &self.processes[usize::from(p)].memory else { return };
        let ((family, number), fingerprint) = (memory.access, memory.fingerprint);
        let ends = self.lives[usize::from(family)].get(usize::from(number)).copied().unwrap_or(0);
        let accepted = ends > self.clock.time().0 && !self.server.families[usize::from(family)].revoked;
        self.say(|| format!("{p} has a{family}-{number}, {}", if accepted { "accepted" } else { "answered 401" }));
        let process = self.process(p);
        (process.accepted, process.code) = (accepted, "ready");
        if !accepted {
            process.rejected = Some(fingerprint);
            if !again {
                process.next = Some((Job::Force, true));
            }
        }
        self.plan_begin(p);
    }
}

/// Steps.
impl World {
    /// Plans what the machine asks for.
    fn go_on(&mut self, p: u8) {
        let Some(run) = &self.processes[usize::from(p)].run else { return };
        let wait = match &run.action {
            Action::Wait { time } => time.0 + self.rng.u64(..3),
            Action::Lock { .. } | Action::Send { .. } => self.rng.u64(..3),
            Action::Read | Action::Write { .. } | Action::Delete { .. } => self.disk_time(),
        };
        let process = self.process(p);
        process.turn += 1;
        let turn = process.turn;
        self.clock.plan(wait, Event::Act(p, turn));
    }

    /// The result of an action is there. The process may be slow to see it.
    pub(super) fn hand(&mut self, p: u8, input: Input) {
        let turn = self.process(p).turn;
        let Some(run) = &mut self.process(p).run else { return };
        run.input = Some(input);
        if self.rng.u8(..8) == 0 {
            let wait = self.disk_time();
            return self.clock.plan(wait, Event::Hand(p, turn));
        }
        self.handed(p);
    }

    pub(super) fn handed(&mut self, p: u8) {
        let Some(run) = &mut self.process(p).run else { return };
        let Some(input) = run.input.take() else { return };
        if self.make_mistake(p, &input) {
            return;
        }
        self.step(p, input);
    }

    fn step(&mut self, p: u8, input: Input) {
        let now = self.now();
        let policy = self.plan.policy.clone();
        let process = self.process(p);
        let locked = process.holds.is_some();
        let Some(mut run) = process.run.take() else { return };
        let from = run.machine.awaits();
        let name = name(&input, run.read.as_deref());
        if locked && from == "Reread: Read" {
            let read = run.read.as_deref().filter(|_| matches!(input, Input::Read(Ok(Some(_)))));
            run.had_fresh = read.is_some_and(|read| is_good(read, &policy, &run, now.wall));
        }
        self.tally.steps += 1;
        run.steps += 1;
        if run.steps > ENOUGH {
            return self.require(false, Kind::Endless, || format!("process {p} does not come to an end"));
        }
        let kind = match &run.machine {
            Running::Obtain(_) => "Obtain",
            Running::Install(_) => "Install",
            Running::Forget(_) => "Forget",
        };
        match run.machine.step(input, now) {
            Stepped::Runs(machine, action) => {
                let to = machine.awaits();
                self.took((kind, from, name, to));
                self.say(|| format!("{p} {kind} {from} {name} -> {to}"));
                (run.machine, run.action) = (machine, action);
                self.process(p).run = Some(run);
                self.go_on(p);
            }
            Stepped::Done(ending) => {
                let code = ending.code();
                self.took((kind, from, name, code));
                self.say(|| format!("{p} {kind} {from} {name} -> {code}"));
                let run = End {
                    job: run.job,
                    again: run.again,
                    rejected: run.rejected,
                    kept_before: run.kept_before,
                    disk_failed: run.disk_failed,
                    read: run.read,
                    family: run.family,
                };
                self.end_run(p, &run, &ending);
            }
        }
    }

    fn end_run(&mut self, p: u8, run: &End, ending: &Ending) {
        self.judge(p, run, ending);
        let process = self.process(p);
        let before = process.kept.take();
        let keep = ending.keep(before).filter(|_| self.mistake != Some(Mistake::UnsavedDropped));
        self.judge_received(p, run, ending, keep.is_some());
        let keeps = keep.is_some();
        let process = self.process(p);
        process.kept = keep;
        process.turn += 1;
        process.code = ending.code();
        if !keeps {
            self.release(p);
        }
        let jobs_left = self.jobs_left;
        let relogin = self.rng.bool();
        let process = self.process(p);
        if let Some(ready) = ending.ready() {
            let access = token(ready.access_token.expose()).unwrap_or_default();
            let fingerprint = ready.access_token.fingerprint();
            process.pin.get_or_insert_with(|| ready.login.clone());
            process.memory = Some(Memory {
                access,
                fingerprint,
                expires_at: ready.expires_at,
                obtained_at: ready.obtained_at,
                login: ready.login.clone(),
            });
            if keeps {
                process.next = Some((Job::Get, true));
            }
            return self.used(p, run.again);
        }
        match ending {
            Ending::Obtain(Outcome::Failed(Failure::AccountChanged { .. })) if !run.again && !process.pinned => {
                process.next = Some((run.job, true));
            }
            Ending::Obtain(Outcome::Failed(Failure::LoginRequired(_))) if relogin && jobs_left > 0 => {
                process.next = Some((Job::Install { code: true }, true));
            }
            Ending::Obtain(_) | Ending::Install(_) | Ending::Forget(_) => {
                process.next = keeps.then_some((Job::Get, true));
            }
        }
        self.plan_begin(p);
    }

    /// The caller is gone, and the machine with it.
    fn drop_run(&mut self, p: u8) {
        self.say(|| format!("{p} is dropped"));
        let process = self.process(p);
        let run = process.run.take();
        process.turn += 1;
        if let Some(run) = run {
            let end = End {
                job: run.job,
                again: true,
                rejected: None,
                kept_before: false,
                disk_failed: true,
                read: None,
                family: run.family,
            };
            let ending = Ending::Obtain(Outcome::Failed(Failure::AccountChanged { login: None }));
            self.judge_received(p, &end, &ending, false);
        }
        self.release(p);
        self.plan_begin(p);
    }

    pub(super) fn release(&mut self, p: u8) {
        let Some(inode) = self.process(p).holds.take() else { return };
        if self.mistake == Some(Mistake::LockFileDeleted) && self.disk.lock == Some(inode) {
            self.disk.lock = None;
        }
        self.wake();
    }

    /// Mistakes that a host makes with an answer. `true`: the machine does not see it.
    fn make_mistake(&mut self, p: u8, input: &Input) -> bool {
        let Input::Replied(replied) = input else { return false };
        let issued = replied.as_ref().is_ok_and(|response| response.status == 200);
        match self.mistake {
            Some(Mistake::FutureDropped) if issued && self.rng.u8(..3) == 0 => {
                self.drop_run(p);
                true
            }
            Some(Mistake::BlanksOnFailure) if !issued => {
                self.blank(p);
                false
            }
            _ => false,
        }
    }

    /// The clocks as the processes see them.
    pub(super) fn now(&self) -> Now {
        let now = self.clock.now();
        match self.mistake {
            Some(Mistake::ClockWithoutSleep) => Now { wall: self.clock.counted(), ..now },
            Some(Mistake::SecondsForMillis) => Now { wall: Timestamp(now.wall.0 / 1000), ..now },
            _ => now,
        }
    }

    pub(super) fn process(&mut self, p: u8) -> &mut Process {
        &mut self.processes[usize::from(p)]
    }

    fn took(&mut self, transition: super::tally::Transition) {
        *self.tally.transitions.entry(transition).or_default() += 1;
    }

    /// The other task of its thread waits for the lock and does not let it go on.
    pub(super) fn is_blocked(&self, p: u8) -> bool {
        self.mistake == Some(Mistake::BlockingLock)
            && self.waiters.iter().any(|(q, turn)| *q == p ^ 1 && self.processes[usize::from(*q)].turn == *turn)
    }
}

/// What a run that has ended leaves to judge.
pub(super) struct End {
    pub(super) job: Job,
    again: bool,
    pub(super) rejected: Option<Fingerprint>,
    pub(super) kept_before: bool,
    pub(super) disk_failed: bool,
    pub(super) read: Option<Rc<Stored>>,
    pub(super) family: u8,
}

/// A token that nobody had a reason to replace.
fn is_good(read: &Stored, policy: &kraube_core::policy::Policy, run: &Run, now: Timestamp) -> bool {
    let rejected = read.access.map(|(family, number)| format!("a{family}-{number}"));
    let rejected =
        rejected.is_some_and(|text| run.rejected == Some(kraube_core::secret::Secret::new(text).fingerprint()));
    let fresh = read.expires_at.is_some_and(|at| policy.is_fresh(at, read.obtained_at, run.min_valid, now));
    fresh && !rejected && !read.marked
}

/// An input in two words.
fn name(input: &Input, read: Option<&Stored>) -> &'static str {
    match input {
        Input::Locked(Locked::Held) => "held",
        Input::Locked(Locked::Changed) => "changed",
        Input::Locked(Locked::TimedOut) => "timed out",
        Input::Locked(Locked::Unsupported(_)) => "unsupported",
        Input::Read(Err(_)) => "unreadable",
        Input::Read(Ok(None)) => "nothing",
        Input::Read(Ok(Some(_))) => match read {
            Some(read) if read.others.is_none() => "torn",
            Some(read) if read.refused => "refused",
            Some(read) if read.marked => "marked",
            Some(_) | None => "record",
        },
        Input::Replied(Ok(response)) => of_status(response.status),
        Input::Replied(Err(error)) => match error.kind {
            SendErrorKind::NotSent => "not sent",
            SendErrorKind::MaybeSent => "no answer",
            SendErrorKind::TimedOut => "timed out",
            SendErrorKind::LockLost => "lock lost",
        },
        Input::Wrote(Ok(())) | Input::Deleted(Ok(())) => "ok",
        Input::Wrote(Err(WriteError::Conflict)) | Input::Deleted(Err(WriteError::Conflict)) => "conflict",
        Input::Wrote(Err(WriteError::Failed(_))) | Input::Deleted(Err(WriteError::Failed(_))) => "failed",
        Input::Woke => "woke",
    }
}

const fn of_status(status: u16) -> &'static str {
    match status {
        200 => "200",
        307 => "307",
        400 => "400",
        404 => "404",
        429 => "429",
        500 => "500",
        503 => "503",
        _ => "other",
    }
}
