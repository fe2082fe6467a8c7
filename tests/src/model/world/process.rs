//! The processes: what a host does between the steps of its machines.

use super::{HOUR, World};
use crate::model::{Job, Mutant};
use crate::promise::running::{Ending, Running, Stepped};
use crate::promise::server::{Asks, client, code_request, credentials};
use crate::promise::{self, Facts, Received};
use kraube_core::credential::{Forget, Install, InstallError, NewLogin, Obtain, Unsaved, Wanted};
use kraube_core::machine::{Action, Input};
use kraube_core::record::{LoginId, RunId};
use kraube_core::secret::Fingerprint;
use kraube_core::time::Millis;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

/// A wait of at least this length outlasts every request that was under way when it began. (The core waits two seconds,
/// less the few milliseconds that the lock was held before.)
const LONG: Millis = Millis(1_500);

#[derive(Clone, Hash)]
pub(super) struct Process {
    pub(super) job: u8,
    pub(super) state: State,
    /// The lock file that it holds.
    pub(super) holds: Option<u8>,
    pub(super) kept: Option<Rc<Unsaved>>,
    pub(super) last: Option<Fingerprint>,
    pub(super) facts: Facts,
    pub(super) code: &'static str,
}

#[derive(Clone, Hash)]
pub(super) enum State {
    Runs(Rc<Live>),
    Ended,
    Killed,
}

/// A machine and its outstanding action.
pub(super) struct Live {
    pub(super) machine: Running,
    pub(super) action: Action,
    /// The hash of both.
    pub(super) print: u128,
}

/// What a machine did with an input. The same machine meets the same input in many worlds, and is pure.
#[derive(Clone)]
pub(super) enum Next {
    Runs(Rc<Live>),
    Done(Rc<Ending>),
}

pub(super) type Memo = RefCell<HashMap<u128, Next>>;

impl World {
    pub(super) fn step(&mut self, p: u8, input: Input) {
        let now = self.now();
        for request in &mut self.requests {
            request.outlasted_by &= !(1 << p);
        }
        let State::Runs(live) = &self.process(p).state else { return };
        let print = print(&(live.print, &input, now));
        let known = self.memo.borrow().get(&print).cloned();
        let next = known.unwrap_or_else(|| {
            let next = Next::from(live.machine.clone().step(input, now));
            self.memo.borrow_mut().insert(print, next.clone());
            next
        });
        self.proceed(p, next);
    }

    pub(super) fn proceed(&mut self, p: u8, next: Next) {
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

    pub(super) fn start_job(&mut self, p: u8) {
        let Some(&job) = self.config.scripts[usize::from(p)].get(usize::from(self.process(p).job)) else {
            return self.end_process(p, State::Ended);
        };
        let (policy, now) = (self.config.policy.clone(), self.now());
        let first_run = if self.probe { 1000 } else { 0 };
        let process = self.process_mut(p);
        process.facts = process.facts.left();
        let next = match job {
            Job::Get | Job::Force => {
                let rejected = process.last.filter(|_| job == Job::Force);
                let wanted = Wanted { rejected, default_client: Some(client()), ..Wanted::default() };
                let id = RunId(first_run + u64::from(p) * 16 + u64::from(process.job));
                let step = match process.kept.as_deref().cloned() {
                    Some(unsaved) => Obtain::start_unsaved(wanted, policy, id, unsaved, now),
                    None => Obtain::start(wanted, policy, id, now),
                };
                Stepped::from(step)
            }
            Job::Install { family, code } => {
                let new = if code {
                    NewLogin::Code { request: code_request(family), client: client() }
                } else {
                    NewLogin::Credentials(credentials(family, now.wall.plus(HOUR), now.wall))
                };
                Stepped::from(Install::start(new, LoginId(format!("L{family}")), policy))
            }
            Job::Forget => {
                let kept = process.kept.as_deref().cloned();
                Stepped::from(Forget::start(true, policy, kept))
            }
        };
        self.proceed(p, Next::from(next));
    }

    /// What a host does when a machine is done.
    pub(super) fn end_run(&mut self, p: u8, ending: &Ending) {
        self.judge(p, ending);
        let probe = self.probe;
        let process = self.process_mut(p);
        let before = process.kept.take().map(|kept| Unsaved::clone(&kept));
        let keep = ending.keep(before);
        let last = match ending {
            Ending::Obtain(_) => ending.ready().map(|ready| ready.access_token.fingerprint()),
            Ending::Install(installed) => installed.as_ref().ok().map(|stored| stored.access_token.fingerprint()),
            Ending::Forget(_) => None,
        };
        process.last = last.or(process.last);
        if probe {
            process.code = ending.code();
        }
        let keep = keep.filter(|_| self.config.mutant != Some(Mutant::UnsavedDropped));
        let over = self.process(p).facts.over;
        let received = self.process(p).facts.received.clone();
        let received = match (received, &keep) {
            (Some(received), None) => {
                let stored = self.visible().cloned();
                promise::drops(&mut self.wrong, p, &received, stored.as_deref());
                None
            }
            (earlier, Some(_)) if matches!(ending, Ending::Install(Err(InstallError::Unsaved(_)))) => {
                self.give_up(earlier);
                match self.config.scripts[usize::from(p)][usize::from(self.process(p).job)] {
                    Job::Install { family, .. } => Some(Received { access: (family, 0), parent: None, over }),
                    Job::Get | Job::Force | Job::Forget => None,
                }
            }
            (received, _) => received,
        };
        let process = self.process_mut(p);
        if keep.is_none() {
            process.holds = None;
        }
        process.facts.received = received;
        process.kept = keep.map(Rc::new);
        process.job += 1;
        self.start_job(p);
    }

    pub(super) fn end_process(&mut self, p: u8, state: State) {
        let process = self.process_mut(p);
        process.state = state;
        process.holds = None;
        process.facts = process.facts.left();
        let kept = process.kept.take().is_some();
        let received = process.facts.received.take();
        self.unsaved_lost |= kept;
        self.give_up(received);
        for request in &mut self.requests {
            request.outlasted_by &= !(1 << p);
        }
    }

    /// Tokens that were received are not kept any more, and they are not stored.
    pub(super) fn give_up(&mut self, received: Option<Received>) {
        if let Some(token) = received.and_then(|received| received.parent) {
            self.doubt(Asks::Refresh(token));
        }
    }

    pub(super) fn hash_process(&mut self, p: u8) {
        self.prints[usize::from(p)] = print(self.process(p));
    }
}

impl Hash for Live {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print.hash(state);
    }
}

impl Process {
    pub(super) fn awaits(&self) -> &'static str {
        match &self.state {
            State::Runs(live) => live.machine.awaits(),
            State::Ended => "ended",
            State::Killed => "killed",
        }
    }
}

impl From<Stepped> for Next {
    fn from(stepped: Stepped) -> Self {
        match stepped {
            Stepped::Runs(machine, action) => {
                let print = print(&(&machine, &action));
                Self::Runs(Rc::new(Live { machine, action, print }))
            }
            Stepped::Done(ending) => Self::Done(Rc::new(ending)),
        }
    }
}

pub(super) fn print(value: &impl Hash) -> u128 {
    let mut hasher = SipHasher13::new();
    value.hash(&mut hasher);
    hasher.finish128().as_u128()
}
