//! One world: the store, the lock, the server, the requests under way and the processes; the steps that can be taken
//! from it; and what must hold at each of them.

use super::server::{Answered, Asks, Family, Manner, Server, Token, client, token};
use super::{Config, Job, Kind, Mutant, Replay, StoredToken};
use kraube_core::credential::{
    Failure, Forget, Forgotten, Install, InstallError, Installed, LoginReason, NewLogin, Obtain, Outcome, Settle,
    Unsaved, Wanted,
};
use kraube_core::http::{Request, SendError, SendErrorKind};
use kraube_core::machine::{
    Action, Blob, Input, Locked, Machine, Revision, Step, StoreError, StoreErrorKind, WriteError,
};
use kraube_core::record::{Credentials, LoginId, Refusal, RunId};
use kraube_core::secret::{Fingerprint, Secret};
use kraube_core::time::{Millis, Now, Timestamp};
use serde_json::Value;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

/// A wait of at least this length outlasts every request that was under way when it began. (The core waits two seconds,
/// less the few milliseconds that the lock was held before.)
const LONG: Millis = Millis(1_500);
const EPOCH: u64 = 1_700_000_000_000;
const HOUR: Millis = Millis::from_secs(3600);

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
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

/// How the end of a path is judged.
#[derive(Default)]
pub(super) struct End {
    pub(super) lost: bool,
    pub(super) unsaved: bool,
    pub(super) wrong: Wrong,
}

pub(super) type Wrong = Vec<(Kind, String)>;

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
    left: super::Faults,
    clock: Millis,
    deleted: bool,
    unsaved_lost: bool,
    /// The recorded back-off: nobody sends this token before.
    quiet: Option<(Option<Token>, Timestamp)>,
    /// This world only asks whether the login still works.
    probe: bool,
    wrong: Wrong,
}

#[derive(Clone, Hash)]
struct Process {
    job: u8,
    state: State,
    /// The lock file that it holds.
    holds: Option<u8>,
    kept: Option<Rc<Unsaved>>,
    last: Option<Fingerprint>,
    received: Option<Received>,
    /// The refresh token that this run sent last.
    sent: Option<Token>,
    /// The family that this logout saw first.
    saw: Option<u8>,
    code: &'static str,
}

#[derive(Clone, Hash)]
enum State {
    Runs(Rc<Live>),
    Ended,
    Killed,
}

/// A machine and its outstanding action.
struct Live {
    machine: Running,
    action: Action,
    /// The hash of both.
    print: u128,
}

#[derive(Clone, Hash)]
enum Running {
    Obtain(Obtain),
    Install(Install),
    Forget(Forget),
}

enum Ending {
    Obtain(Outcome),
    Install(Installed),
    Forget(Forgotten),
}

/// What a machine did with an input. The same machine meets the same input in many worlds, and is pure.
#[derive(Clone)]
enum Next {
    Runs(Rc<Live>),
    Done(Rc<Ending>),
}

type Memo = RefCell<HashMap<u128, Next>>;

/// Tokens that were received and not stored yet.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Received {
    access: Token,
    /// The refresh token that was redeemed for them; `None` for a new login.
    parent: Option<Token>,
    /// The family that was stored then.
    over: Option<u8>,
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

/// Stored bytes, and what the invariants need to know of them.
struct Stored {
    blob: Blob,
    revision: Revision,
    refresh: Option<Token>,
    access: Option<Token>,
    marked: bool,
    retry_at: Option<Timestamp>,
    refused: bool,
    /// `None`: these bytes are no record.
    others: Option<String>,
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

    /// All that can happen now.
    pub(super) fn choices(&self, into: &mut Vec<Choice>) {
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
                self.step(p, Input::Read(Err(unlucky("no read"))));
            }
            Choice::FailWrite { process: p, visible } => {
                self.left.writes -= 1;
                if visible {
                    let _ = self.write(p);
                }
                let failed = Err(WriteError::Failed(unlucky("disk")));
                let input = match self.action(p) {
                    Action::Delete { .. } => Input::Deleted(failed),
                    _ => Input::Wrote(failed),
                };
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
                let family = self.store.as_ref().and_then(|stored| stored.refresh).map(|(family, _)| family);
                if self.process(p).saw.is_none() {
                    self.process_mut(p).saw = family;
                }
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
        if let Asks::Refresh(token @ (family, generation)) = asks {
            let at_once = self
                .requests
                .iter()
                .any(|other| other.sender.is_some() && matches!(other.asks, Asks::Refresh(other) if other.0 == family));
            self.require(!at_once, Kind::TwoRedemptions, || {
                format!("process {p} redeems {token:?} beside another one")
            });
            let known = &self.server.families[usize::from(family)];
            let fine = !known.is_spent(generation) || known.is_doubted(generation);
            self.require(fine, Kind::SpentSent, || format!("process {p} redeems {token:?}"));
            let early = self.quiet.is_some_and(|(quiet, until)| quiet == Some(token) && until > self.now().wall);
            self.require(!early, Kind::TriedTooSoon, || format!("process {p} redeems {token:?}"));
            self.process_mut(p).sent = Some(token);
        }
        self.requests.push(UnderWay { asks, sender: Some(p), answer: None, outlasted_by: 0 });
    }

    fn arrive(&mut self, at: usize, manner: Manner) {
        let asks = self.requests[at].asks;
        let life = if self.config.dead_on_arrival { 0.005 } else { 3600.0 };
        let answer = self.server.answer(asks, manner, self.config.replay, self.config.rotates, life);
        match manner {
            Manner::Properly => {}
            Manner::Spends | Manner::Fails => self.left.server_errors -= 1,
            Manner::Throttles => self.left.throttles -= 1,
            Manner::NotFound => self.left.statuses -= 1,
        }
        if manner == Manner::Spends {
            self.doubt(asks);
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
            let earlier = self.process(p).received.clone();
            let fine = earlier.is_none_or(|earlier| self.is_settled(&earlier));
            self.require(fine, Kind::RotationDropped, || format!("process {p} redeems before it has stored"));
            let parent = if let Asks::Refresh(token) = request.asks { Some(token) } else { None };
            let over = self.stored_family();
            self.process_mut(p).received = Some(Received { access, parent, over });
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
                self.judge_write(p, &new, obtains);
                if self.process(p).received.as_ref().map(|received| received.access) == new.access {
                    self.process_mut(p).received = None;
                }
                match new.retry_at {
                    Some(until) => self.quiet = Some((new.refresh, until)),
                    None if new.marked => {}
                    None => self.quiet = None,
                }
                self.store = Some(new);
                Ok(())
            }
            _ => {
                let (saw, family) = (self.process(p).saw, self.stored_family());
                self.require(saw == family || saw.is_none(), Kind::OtherDeleted, || {
                    format!("process {p} saw family {saw:?} and deletes {family:?}")
                });
                (self.store, self.deleted) = (None, true);
                Ok(())
            }
        }
    }

    fn judge_write(&mut self, p: u8, new: &Stored, obtains: bool) {
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

    fn step(&mut self, p: u8, input: Input) {
        let now = self.now();
        for request in &mut self.requests {
            request.outlasted_by &= !(1 << p);
        }
        let State::Runs(live) = &self.process(p).state else { return };
        let print = print(&(live.print, &input, now));
        let known = self.memo.borrow().get(&print).cloned();
        let next = known.unwrap_or_else(|| {
            let next = match live.machine.clone() {
                Running::Obtain(machine) => of(machine.step(input, now), Running::Obtain, Ending::Obtain),
                Running::Install(machine) => of(machine.step(input, now), Running::Install, Ending::Install),
                Running::Forget(machine) => of(machine.step(input, now), Running::Forget, Ending::Forget),
            };
            self.memo.borrow_mut().insert(print, next.clone());
            next
        });
        self.proceed(p, next);
    }

    fn proceed(&mut self, p: u8, next: Next) {
        match next {
            Next::Runs(live) => {
                if matches!(live.action, Action::Wait { time } if time >= LONG) {
                    for request in self.requests.iter_mut().filter(|request| request.answer.is_none()) {
                        request.outlasted_by |= 1 << p;
                    }
                }
                self.process_mut(p).state = State::Runs(live);
            }
            Next::Done(ending) => self.end_run(p, &ending),
        }
    }

    fn start_job(&mut self, p: u8) {
        let Some(&job) = self.config.scripts[usize::from(p)].get(usize::from(self.process(p).job)) else {
            return self.end_process(p, State::Ended);
        };
        let (policy, now) = (self.config.policy.clone(), self.now());
        let first_run = if self.probe { 1000 } else { 0 };
        let process = self.process_mut(p);
        (process.sent, process.saw) = (None, None);
        let next = match job {
            Job::Get | Job::Force => {
                let rejected = process.last.filter(|_| job == Job::Force);
                let wanted = Wanted { rejected, default_client: Some(client()), ..Wanted::default() };
                let id = RunId(first_run + u64::from(p) * 16 + u64::from(process.job));
                let step = match process.kept.as_deref().cloned() {
                    Some(unsaved) => Obtain::start_unsaved(wanted, policy, id, unsaved, now),
                    None => Obtain::start(wanted, policy, id, now),
                };
                of(step, Running::Obtain, Ending::Obtain)
            }
            Job::Install { family, code } => {
                let new = if code {
                    let body = Secret::new(format!("grant_type=authorization_code&code=c{family}"));
                    let request = Request {
                        url: client().token_endpoint,
                        content_type: "application/x-www-form-urlencoded",
                        body,
                    };
                    NewLogin::Code { request, client: client() }
                } else {
                    NewLogin::Credentials(credentials(family, now.wall.plus(HOUR), now.wall))
                };
                of(Install::start(new, LoginId(format!("L{family}")), policy), Running::Install, Ending::Install)
            }
            Job::Forget => {
                let kept = process.kept.as_deref().cloned();
                of(Forget::start(true, policy, kept), Running::Forget, Ending::Forget)
            }
        };
        self.proceed(p, next);
    }

    /// What a host does when a machine is done.
    fn end_run(&mut self, p: u8, ending: &Ending) {
        self.judge(p, ending);
        let probe = self.probe;
        let process = self.process_mut(p);
        let before = process.kept.take().map(|kept| Unsaved::clone(&kept));
        let (keep, last) = match ending {
            Ending::Obtain(outcome) => {
                (outcome.keep(before), ready(outcome).map(|ready| ready.access_token.fingerprint()))
            }
            Ending::Install(installed) => {
                (installed.keep(before), installed.as_ref().ok().map(|stored| stored.access_token.fingerprint()))
            }
            Ending::Forget(forgotten) => (forgotten.keep(before), None),
        };
        process.last = last.or(process.last);
        if probe {
            process.code = ending.code();
        }
        let keep = keep.filter(|_| self.config.mutant != Some(Mutant::UnsavedDropped));
        let over = self.stored_family();
        let received = self.process(p).received.clone();
        let received = match (received, &keep) {
            (Some(received), None) => {
                let settled = self.is_settled(&received);
                self.require(settled, Kind::RotationDropped, || {
                    format!("process {p} has dropped {:?}", received.access)
                });
                None
            }
            (None, Some(_)) => match self.config.scripts[usize::from(p)][usize::from(self.process(p).job)] {
                Job::Install { family, .. } => Some(Received { access: (family, 0), parent: None, over }),
                Job::Get | Job::Force | Job::Forget => None,
            },
            (received, _) => received,
        };
        let process = self.process_mut(p);
        if keep.is_none() {
            process.holds = None;
        }
        process.received = received;
        process.kept = keep.map(Rc::new);
        process.job += 1;
        self.start_job(p);
    }

    fn end_process(&mut self, p: u8, state: State) {
        let process = self.process_mut(p);
        process.state = state;
        process.holds = None;
        (process.sent, process.saw) = (None, None);
        let kept = process.kept.take().is_some();
        let received = process.received.take();
        self.unsaved_lost |= kept;
        if let Some(token) = received.and_then(|received| received.parent) {
            self.doubt(Asks::Refresh(token));
        }
        for request in &mut self.requests {
            request.outlasted_by &= !(1 << p);
        }
    }

    fn judge(&mut self, p: u8, ending: &Ending) {
        let job = self.config.scripts[usize::from(p)][usize::from(self.process(p).job)];
        let now = self.now();
        self.require(ending.code() != "misuse", Kind::Misuse, || format!("process {p}"));
        let Ending::Obtain(outcome) = ending else { return };
        let rejected = self.process(p).last.filter(|_| job == Job::Force);
        if let Some(ready) = ready(outcome) {
            let good = ready.expires_at > now.wall && Some(ready.access_token.fingerprint()) != rejected;
            self.require(good, Kind::BadToken, || format!("process {p} is given a token of no use"));
        }
        let refreshed = matches!(outcome, Outcome::Ready(ready) if ready.stale.is_none());
        let needless = self.config.always_ready && !refreshed;
        self.require(!needless, Kind::Needless, || format!("process {p} ends with {}", ending.code()));
        let failure = match outcome {
            Outcome::Failed(failure) => Some(failure),
            Outcome::Ready(ready) => ready.stale.as_ref(),
            _ => None,
        };
        if let Some(Failure::LoginRequired(LoginReason::Refused(reason))) = failure {
            self.judge_refusal(p, *reason);
        }
    }

    /// A login may be lost where an answer was, or a process with one; and then that must be said.
    fn judge_refusal(&mut self, p: u8, reason: Refusal) {
        let family = self.process(p).sent.map(|(family, _)| family).or_else(|| self.stored_family());
        let Some(family) = family.map(|family| self.server.families[usize::from(family)].clone()) else { return };
        if family.on_request {
            return;
        }
        let may_be_lost = self.config.replay == Replay::Revokes && family.doubted != 0;
        self.require(may_be_lost, Kind::LoginLost, || format!("process {p} hears {}", reason.code()));
        let said = reason == Refusal::RotationLost || !may_be_lost;
        self.require(said, Kind::WrongReason, || format!("process {p} hears {}", reason.code()));
    }

    /// Nothing more can happen. Does the login work?
    pub(super) fn end(&self) -> End {
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
        probe.left = super::Faults::default();
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

    /// The family that is stored, or about to be.
    fn stored_family(&self) -> Option<u8> {
        self.visible()?.access.map(|(family, _)| family)
    }

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

    /// Received tokens are stored, or followed by others, or of a login that was replaced or forgotten.
    fn is_settled(&self, received: &Received) -> bool {
        let (family, number) = received.access;
        let new = received.parent.is_none();
        match self.visible().map(|stored| stored.access) {
            Some(Some((stored, at))) if stored == family => at >= number,
            Some(Some((stored, _))) => !new || received.over != Some(stored),
            Some(None) | None => !new || received.over.is_some(),
        }
    }

    fn require(&mut self, fine: bool, kind: Kind, what: impl FnOnce() -> String) {
        if !fine {
            self.wrong.push((kind, what()));
        }
    }

    fn hash_process(&mut self, p: u8) {
        self.prints[usize::from(p)] = print(self.process(p));
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
            received: None,
            sent: None,
            saw: None,
            code: "",
        };
        self.processes = vec![Rc::new(process); count];
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
        let note = Blob::new(br#"{"note":{"keep":[1, 2]}}"#.to_vec());
        let new = NewLogin::Credentials(credentials(0, expires_at, obtained_at));
        let mut step = Install::start(new, LoginId("L0".into()), self.config.policy.clone());
        loop {
            step = match step {
                Step::Continue(machine, Action::Lock { .. }) => machine.step(Input::Locked(Locked::Held), now),
                Step::Continue(machine, Action::Read) => machine.step(Input::Read(Ok(Some(note.clone()))), now),
                Step::Continue(_, Action::Write { blob, .. }) => return blob,
                Step::Continue(..) | Step::Done(_) => return note,
            }
        }
    }
}

impl Choice {
    fn process(self) -> Option<u8> {
        match self {
            Self::Do(p) | Self::Changed(p) | Self::TimedOut(p) | Self::Unsupported(p) | Self::FailRead(p) => Some(p),
            Self::FailWrite { process: p, .. } | Self::NotSent(p) | Self::Reset(p) | Self::GiveUp(p) => Some(p),
            Self::Kill(p) => Some(p),
            Self::Arrive(..) | Self::Tick | Self::DeleteLockFile => None,
            Self::ForeignBegin | Self::ForeignEnd | Self::ForeignLogin => None,
        }
    }
}

impl Hash for Live {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print.hash(state);
    }
}

impl Process {
    fn awaits(&self) -> &'static str {
        match &self.state {
            State::Runs(live) => match &live.machine {
                Running::Obtain(machine) => machine.awaits(),
                Running::Install(machine) => machine.awaits(),
                Running::Forget(machine) => machine.awaits(),
            },
            State::Ended => "ended",
            State::Killed => "killed",
        }
    }
}

impl Ending {
    fn code(&self) -> &'static str {
        match self {
            Self::Obtain(Outcome::Ready(_)) => "ready",
            Self::Obtain(Outcome::Unsaved(_)) => "unsaved",
            Self::Obtain(Outcome::Failed(failure)) => failure.code(),
            Self::Install(Ok(_)) => "installed",
            Self::Install(Err(error)) => InstallError::code(error),
            Self::Forget(Forgotten::Misuse(_)) => "misuse",
            Self::Obtain(_) | Self::Forget(_) => "other",
        }
    }
}

impl Stored {
    fn new(blob: Blob) -> Self {
        let revision = blob.revision();
        let Ok(Value::Object(mut members)) = serde_json::from_slice(blob.bytes()) else {
            let (refresh, access, others) = (None, None, None);
            return Self { blob, revision, refresh, access, others, marked: false, retry_at: None, refused: false };
        };
        let mut member = |name: &str| members.remove(name).unwrap_or_default();
        let refresh = member("refreshToken").as_str().and_then(token);
        let access = member("accessToken").as_str().and_then(token);
        let _ = member("expiresAt");
        let ours = member("kraube");
        let marked = ours.get("redeeming").is_some();
        let retry_at = ours.get("retryAt").and_then(Value::as_u64).map(Timestamp);
        let refused = ours.get("refused").is_some();
        let others = Some(Value::Object(members).to_string());
        Self { blob, revision, refresh, access, marked, retry_at, refused, others }
    }

    /// What a program writes that knows three members.
    fn without_others(&self) -> Blob {
        let all: Value = serde_json::from_slice(self.blob.bytes()).unwrap_or_default();
        let kept: Value = ["refreshToken", "accessToken", "expiresAt"]
            .into_iter()
            .map(|name| (name.to_owned(), all.get(name).cloned().unwrap_or_default()))
            .collect::<serde_json::Map<_, _>>()
            .into();
        Blob::new(kept.to_string().into_bytes())
    }
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

fn of<M, O>(step: Step<M, O>, machine: fn(M) -> Running, ending: fn(O) -> Ending) -> Next {
    match step {
        Step::Continue(next, action) => {
            let machine = machine(next);
            let print = print(&(&machine, &action));
            Next::Runs(Rc::new(Live { machine, action, print }))
        }
        Step::Done(outcome) => Next::Done(Rc::new(ending(outcome))),
    }
}

fn print(value: &impl Hash) -> u128 {
    let mut hasher = SipHasher13::new();
    value.hash(&mut hasher);
    hasher.finish128().as_u128()
}

fn ready(outcome: &Outcome) -> Option<&kraube_core::credential::Ready> {
    match outcome {
        Outcome::Ready(ready) => Some(ready),
        Outcome::Unsaved(unsaved) => unsaved.ready.as_ref(),
        _ => None,
    }
}

fn unanswered(kind: SendErrorKind) -> Input {
    Input::Replied(Err(SendError { kind, detail: "lost".into() }))
}

fn credentials(family: u8, expires_at: Timestamp, obtained_at: Timestamp) -> Credentials {
    Credentials {
        access_token: Secret::new(format!("a{family}-0")),
        refresh_token: Some(Secret::new(format!("r{family}-0"))),
        expires_at,
        obtained_at: Some(obtained_at),
        scope: None,
        client: Some(client()),
    }
}
