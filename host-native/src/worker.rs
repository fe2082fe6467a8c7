//! The thread that kraube owns. Every refresh runs on it from beginning to end, so a dropped future, a time-out or a
//! dying runtime of a caller changes nothing; callers wait for an answer, and those who ask at the same time share one.

use crate::drive::{Io, Unwatched, Watch, duration, now};
use crate::error::Error;
use crate::store::Store;
use crate::token::{Live, Memory, Token};
use crate::unsaved;
use kraube_core::credential::{Baseline, Failure, Obtain, Outcome, Ready, Unsaved, Wanted};
use kraube_core::keeping::Schedule;
use kraube_core::machine::{Action, Input, Machine, Step};
use kraube_core::policy::Policy;
use kraube_core::provider::Client;
use kraube_core::record::{LoginId, RunId};
use kraube_core::secret::Fingerprint;
use kraube_core::time::{Millis, Now};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long the end of the last source waits for a disk that fails.
const FAREWELL: Duration = Duration::from_secs(5);
/// How often a disk that fails is tried meanwhile.
const RESCUE: Duration = Duration::from_secs(1);
/// How often a run that outlasts the patience looks for callers who came meanwhile.
const TICK: Duration = Duration::from_millis(50);

/// What callers ask of the thread.
pub(crate) enum Job {
    Obtain(Ask),
    KeepFresh,
}

/// One caller.
pub(crate) struct Ask {
    pub(crate) min_valid: Millis,
    pub(crate) rejected: Option<Fingerprint>,
    pub(crate) baseline: Baseline,
    pub(crate) pinned: bool,
    /// The caller makes proofs for tokens that are bound to a key.
    pub(crate) bound: bool,
    pub(crate) reply: Reply,
}

/// How a caller is answered. A caller that is gone does not mind.
pub(crate) type Reply = Box<dyn FnOnce(Result<Token, Error>) + Send>;

/// The state of the thread.
pub(crate) struct Worker {
    pub(crate) io: Io,
    pub(crate) memory: Arc<Memory>,
    pub(crate) policy: Policy,
    pub(crate) default_client: Option<Client>,
    pub(crate) keep_fresh: Option<Schedule>,
}

impl Worker {
    /// Serves until the last source is dropped, and then until nothing is left to store.
    pub(crate) fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let job = match self.next_wake() {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(pause) => jobs.recv_timeout(pause),
            };
            match job {
                Ok(job) => {
                    let asks = self.sort(std::iter::once(job).chain(jobs.try_iter()));
                    self.serve(asks, jobs);
                }
                Err(RecvTimeoutError::Timeout) => self.tend(jobs),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.farewell();
    }

    fn sort(&mut self, jobs: impl Iterator<Item = Job>) -> Vec<Ask> {
        let asks = jobs.filter_map(|job| match job {
            Job::Obtain(ask) => Some(ask),
            Job::KeepFresh => {
                self.keep_fresh.get_or_insert_with(schedule);
                None
            }
        });
        asks.collect()
    }

    fn serve(&mut self, mut asks: Vec<Ask>, jobs: &Receiver<Job>) {
        loop {
            let now = now();
            let memory = Token::new(self.memory.load_full());
            let (done, waiting): (Vec<_>, Vec<_>) =
                asks.into_iter().partition(|ask| memory.serves(ask, &self.policy, now));
            done.into_iter().for_each(|ask| (ask.reply)(Ok(memory.clone())));
            let Some(first) = waiting.first() else { return };
            let (rejected, baseline, pinned, bound) =
                (first.rejected, first.baseline.clone(), first.pinned, first.bound);
            let same = |ask: &Ask| {
                ask.rejected == rejected && ask.baseline == baseline && ask.pinned == pinned && ask.bound == bound
            };
            let (group, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(same);
            let min_valid = group.iter().map(|ask| ask.min_valid).max().unwrap_or_default();
            let mut callers = Callers::new(group, jobs, &self.policy);
            let wanted = Wanted { min_valid, rejected, baseline, default_client: None, bound };
            let result = self.obtain(&wanted, pinned, &mut callers);
            callers.answer(&result);
            let late = self.sort(callers.late.into_iter());
            asks = rest.into_iter().chain(late).collect();
        }
    }

    /// One run, and a second one where somebody logged in anew meanwhile and the caller did not pin the old login.
    fn obtain(&mut self, wanted: &Wanted, pinned: bool, watch: &mut dyn Watch<Obtain>) -> Result<Token, Error> {
        let wanted = Wanted { default_client: self.default_client.clone(), ..wanted.clone() };
        let first = self.run_once(wanted.clone(), watch)?;
        let changed = matches!(first, Outcome::Failed(Failure::AccountChanged { .. }));
        let outcome = if changed && !pinned { self.run_once(wanted, watch)? } else { first };
        let ready = match outcome {
            Outcome::Ready(ready) => Ok(*ready),
            Outcome::Unsaved(unsaved) => {
                let Unsaved { ready, cause, .. } = *unsaved;
                tracing::error!(
                    detail = cause.detail,
                    "new tokens cannot be stored; this process keeps them and the lock"
                );
                ready.ok_or(Error::Unsaved(cause))
            }
            Outcome::Failed(failure) => Err(Error::Failed(failure)),
            _ => Err(Error::System("the core ended in a way that this version does not know".into())),
        }?;
        Ok(self.remember(ready))
    }

    pub(crate) fn remember(&self, ready: Ready) -> Token {
        let live = Arc::new(Live::from(ready));
        self.memory.keep(&live);
        Token::new(live)
    }

    fn run_once(&mut self, wanted: Wanted, watch: &mut dyn Watch<Obtain>) -> Result<Outcome, Error> {
        let id = RunId(random()?);
        let (guard, before, turn) = unsaved::take(self.io.store.key());
        let policy = self.policy.clone();
        let step: Step<Obtain, Outcome> = match before.clone() {
            Some(unsaved) => Obtain::start_unsaved(wanted, policy, id, unsaved, now()),
            None => Obtain::start(wanted, policy, id, now()),
        };
        let (outcome, guard) = self.io.drive(guard, step, watch);
        turn.end(&*self.io.store, &outcome, before, guard);
        Ok(outcome)
    }

    /// When something is to be done although nobody asks.
    fn next_wake(&self) -> Option<Duration> {
        let rescue = unsaved::any(&self.io.store.key()).then_some(RESCUE);
        let refresh = self.keep_fresh.as_ref().map(|schedule| {
            let live = self.memory.load();
            duration(schedule.wait(&self.policy, live.expires_at, live.obtained_at, now()))
        });
        rescue.into_iter().chain(refresh).min()
    }

    fn tend(&mut self, jobs: &Receiver<Job>) {
        let live = self.memory.load_full();
        let due = self.keep_fresh.as_ref().is_some_and(|schedule| {
            schedule.wait(&self.policy, live.expires_at, live.obtained_at, now()) == Millis::ZERO
        });
        if !due && !unsaved::any(&self.io.store.key()) {
            return;
        }
        let mut callers = Callers::new(Vec::new(), jobs, &self.policy);
        let min_valid = match &self.keep_fresh {
            Some(schedule) if due => schedule.min_valid(&self.policy),
            _ => Millis::ZERO,
        };
        let wanted = Wanted { min_valid, rejected: self.memory.rejected(), bound: true, ..Wanted::default() };
        let result = self.obtain(&wanted, false, &mut callers);
        let late = self.sort(callers.late.into_iter());
        if let Some(schedule) = &mut self.keep_fresh {
            schedule.ended(result.is_ok_and(|token| token.live().stale.is_none()), now());
        }
        self.serve(late, jobs);
    }

    /// What cannot be stored now ends with this process, and is said so.
    fn farewell(&mut self) {
        let end = Instant::now() + FAREWELL;
        while unsaved::any(&self.io.store.key()) {
            let wanted = Wanted { bound: true, ..Wanted::default() };
            let result = self.obtain(&wanted, false, &mut Unwatched);
            if !unsaved::any(&self.io.store.key()) {
                break;
            }
            if Instant::now() >= end {
                let detail = result.err().map(|error| error.to_string());
                tracing::error!(
                    detail,
                    "a new refresh token could not be stored and ends with this process; log in again"
                );
                break;
            }
            std::thread::sleep(duration(self.policy.save_pause));
        }
    }
}

/// A run as far as its first look, on the thread of a caller. `None` where it would have to go on: it has changed nothing
/// by then, and is begun anew on the thread.
pub(crate) fn peek(store: &dyn Store, policy: Policy, wanted: Wanted) -> Option<Ready> {
    if !unsaved::none() {
        return None;
    }
    let step: Step<Obtain, Outcome> = Obtain::start(wanted, policy, RunId(random().ok()?), now());
    let Step::Continue(machine, Action::Read) = step else { return None };
    let Step::Done(Outcome::Ready(ready)) = machine.step(Input::Read(store.read()), now()) else { return None };
    Some(*ready)
}

/// Eight random bytes of the operating system.
pub(crate) fn random() -> Result<u64, Error> {
    getrandom::u64().map_err(|error| Error::System(format!("the operating system gives no random numbers: {error}")))
}

/// A new login's id.
pub(crate) fn login_id() -> Result<LoginId, Error> {
    Ok(LoginId(format!("{:016x}", random()?)))
}

/// Begins to refresh ahead of need.
pub(crate) fn schedule() -> Schedule {
    Schedule::new(getrandom::u64().unwrap_or_default(), now().monotonic)
}

/// Those who wait for the same run. Who waits too long for a fresher token gets the one that still lives; so does who
/// comes when the run has taken that long already.
struct Callers<'a> {
    waiting: Vec<Ask>,
    jobs: &'a Receiver<Job>,
    /// What came during the run and is to be done after it.
    late: Vec<Job>,
    patience: Instant,
    living: Option<Ready>,
}

impl<'a> Callers<'a> {
    fn new(waiting: Vec<Ask>, jobs: &'a Receiver<Job>, policy: &Policy) -> Self {
        Self { waiting, jobs, late: Vec::new(), patience: Instant::now() + duration(policy.patience), living: None }
    }

    fn answer(&mut self, result: &Result<Token, Error>) {
        self.waiting.drain(..).for_each(|ask| (ask.reply)(result.clone()));
    }
}

impl Watch<Obtain> for Callers<'_> {
    fn before(&mut self, machine: &Obtain, now: Now) {
        self.living = machine.living(now);
        if Instant::now() >= self.patience {
            self.fire();
        }
    }

    fn due(&self) -> Option<Instant> {
        self.living.as_ref().map(|_| self.patience.max(Instant::now() + TICK))
    }

    fn fire(&mut self) {
        let Some(ready) = self.living.as_ref().filter(|ready| ready.expires_at > now().wall) else { return };
        let token = Token::new(Arc::new(Live::from(ready.clone())));
        self.answer(&Ok(token.clone()));
        for job in self.jobs.try_iter() {
            match job {
                Job::Obtain(ask) if token.suits(&ask) => (ask.reply)(Ok(token.clone())),
                job @ (Job::Obtain(_) | Job::KeepFresh) => self.late.push(job),
            }
        }
    }
}
