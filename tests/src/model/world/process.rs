//! The processes: what a host does between the steps of its machines.

use super::{HOUR, World, credentials};
use crate::model::server::{Asks, Token, client};
use crate::model::{Job, Kind, Mutant};
use kraube_core::credential::{
    Forget, Forgotten, Install, InstallError, Installed, NewLogin, Obtain, Outcome, Ready, Settle, Unsaved, Wanted,
};
use kraube_core::http::Request;
use kraube_core::machine::{Action, Input, Machine, Step};
use kraube_core::record::{LoginId, RunId};
use kraube_core::secret::{Fingerprint, Secret};
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
    pub(super) received: Option<Received>,
    /// The refresh token that this run sent last.
    pub(super) sent: Option<Token>,
    /// The family that this run saw first.
    pub(super) saw: Option<u8>,
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

#[derive(Clone, Hash)]
#[allow(clippy::large_enum_variant)] // It is behind a pointer.
pub(super) enum Running {
    Obtain(Obtain),
    Install(Install),
    Forget(Forget),
}

#[allow(clippy::large_enum_variant, reason = "it is looked at and dropped")]
pub(super) enum Ending {
    Obtain(Outcome),
    Install(Installed),
    Forget(Forgotten),
}

/// What a machine did with an input. The same machine meets the same input in many worlds, and is pure.
#[derive(Clone)]
pub(super) enum Next {
    Runs(Rc<Live>),
    Done(Rc<Ending>),
}

pub(super) type Memo = RefCell<HashMap<u128, Next>>;

/// Tokens that were received and not stored yet.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Received {
    pub(super) access: Token,
    /// The refresh token that was redeemed for them; `None` for a new login.
    pub(super) parent: Option<Token>,
    /// The family that was stored then.
    pub(super) over: Option<u8>,
}

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
    pub(super) fn end_run(&mut self, p: u8, ending: &Ending) {
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
        process.received = received;
        process.kept = keep.map(Rc::new);
        process.job += 1;
        self.start_job(p);
    }

    pub(super) fn end_process(&mut self, p: u8, state: State) {
        let process = self.process_mut(p);
        process.state = state;
        process.holds = None;
        (process.sent, process.saw) = (None, None);
        let kept = process.kept.take().is_some();
        let received = process.received.take();
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
    pub(super) fn code(&self) -> &'static str {
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

pub(super) fn of<M, O>(step: Step<M, O>, machine: fn(M) -> Running, ending: fn(O) -> Ending) -> Next {
    match step {
        Step::Continue(next, action) => {
            let machine = machine(next);
            let print = print(&(&machine, &action));
            Next::Runs(Rc::new(Live { machine, action, print }))
        }
        Step::Done(outcome) => Next::Done(Rc::new(ending(outcome))),
    }
}

pub(super) fn print(value: &impl Hash) -> u128 {
    let mut hasher = SipHasher13::new();
    value.hash(&mut hasher);
    hasher.finish128().as_u128()
}

pub(super) fn ready(outcome: &Outcome) -> Option<&Ready> {
    if let Outcome::Unsaved(unsaved) = outcome {
        return unsaved.ready.as_ref();
    }
    if let Outcome::Ready(ready) = outcome { Some(ready) } else { None }
}
