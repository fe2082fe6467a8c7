//! One machine, its processes and the server, and what happens to them one event after the other.

use super::clock::Clock;
use super::disk::Disk;
use super::mistake::Mistake;
use super::plan::{Fate, Plan, Trouble, of};
use super::process::{Job, Process};
use super::tally::Tally;
use crate::promise::server::{self, Answered, Asks, Family, Manner, Server, Token, credentials};
use crate::promise::{Kind, Received, Wrong, require};
use fastrand::Rng;
use kraube_core::machine::Blob;
use kraube_core::time::{Millis, Now, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// More events than any history needs.
const ENOUGH: u64 = 200_000;
/// Nothing more is to be learnt from a history with so much wrong.
const WRONG_ENOUGH: usize = 20;

/// What happens. A turn that is over makes an event void.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// A process begins its next job.
    Begin(u8, u32),
    /// It does what its machine asks for.
    Act(u8, u32),
    /// It looks at the lock again.
    Poll(u8, u32),
    /// It hands the result to its machine.
    Hand(u8, u32),
    /// It does not wait for an answer any longer.
    TimeOut(u8, u32),
    /// A write in place is done.
    WrittenInPlace(u8, u32),
    /// A request arrives at the server, by its number.
    Arrive(u32),
    /// Its answer, or the end of the connection, arrives on the machine.
    Answer(u32),
    /// Another program goes on.
    Foreign(super::foreign::Next),
    DiskFreed,
}

/// A request under way.
pub(super) struct Request {
    pub(super) number: u32,
    pub(super) asks: Asks,
    /// Who waits for the answer, and in which turn.
    pub(super) sender: Option<(u8, u32)>,
    pub(super) fate: Fate,
    pub(super) answer: Option<Answered>,
}

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) mistake: Option<Mistake>,
    pub(super) rng: Rng,
    pub(super) clock: Clock<Event>,
    pub(super) disk: Disk,
    pub(super) server: Server,
    /// When each access token of each family ends.
    pub(super) lives: Vec<Vec<u64>>,
    pub(super) requests: Vec<Request>,
    pub(super) sent: u32,
    pub(super) processes: Vec<Process>,
    /// Who waits for the lock.
    pub(super) waiters: Vec<(u8, u32)>,
    pub(super) go: Option<super::foreign::Go>,
    pub(super) jobs_left: u32,
    pub(super) runs: u64,
    /// Faults have ceased.
    pub(super) quiet: bool,
    pub(super) network_down_until: u64,
    pub(super) mood: Option<(Manner, u64)>,
    /// Families that the server has answered 404 about since new tokens were stored.
    pub(super) not_found: BTreeSet<u8>,
    /// The recorded back-off: nobody sends this token before.
    pub(super) back_off: Option<(Option<Token>, Timestamp)>,
    /// The last thing that happened to the file was a logout.
    pub(super) deleted: bool,
    /// There may be marks although nothing was sent.
    pub(super) marks: bool,
    pub(super) locks_deleted: bool,
    pub(super) foreign_meddled: bool,
    /// What has made a refresh token doubtful.
    pub(super) doubts: BTreeMap<Token, &'static str>,
    /// Families that no client could have kept, with the cause.
    pub(super) lost: BTreeMap<u8, String>,
    /// A request arrived when nobody reckoned with it any more.
    pub(super) late: BTreeSet<u8>,
    pub(super) wrong: Wrong,
    pub(super) found: Wrong,
    pub(super) tally: Tally,
    pub(super) trace: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(seed: u64, mistake: Option<Mistake>, traced: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let plan = Plan::draw(&mut rng);
        let clock = Clock::new();
        let blob = first_record(&plan, &mut rng, clock.time());
        let mut world = Self {
            disk: Disk::new(blob, plan.link),
            server: Server { families: vec![Family::default()] },
            lives: vec![vec![0]],
            requests: Vec::new(),
            sent: 0,
            processes: Vec::new(),
            waiters: Vec::new(),
            go: None,
            jobs_left: plan.jobs,
            runs: 0,
            quiet: plan.calm,
            network_down_until: 0,
            mood: None,
            not_found: BTreeSet::new(),
            back_off: None,
            deleted: false,
            marks: false,
            locks_deleted: false,
            foreign_meddled: false,
            doubts: BTreeMap::new(),
            lost: BTreeMap::new(),
            late: BTreeSet::new(),
            wrong: Wrong::new(),
            found: Wrong::new(),
            tally: Tally::default(),
            trace: traced.then(Vec::new),
            plan,
            mistake,
            rng,
            clock,
        };
        world.lives[0][0] = world.disk.file.as_ref().and_then(|file| file.expires_at).map_or(0, |at| at.0);
        for p in 0..world.plan.processes {
            let pinned = world.rng.u8(..8) == 0;
            world.processes.push(Process::new(pinned));
            world.plan_begin(p);
        }
        world
    }

    /// The whole history.
    pub(super) fn play(&mut self) {
        self.play_on();
        self.require(!self.processes.iter().any(|process| process.run.is_some()), Kind::Deadlock, || {
            "a process waits, and nothing happens any more".into()
        });
        self.settle(None);
        self.probe();
        self.tally.histories += 1;
        self.tally.time += u128::from(self.clock.elapsed());
        for cause in self.lost.values() {
            *self.tally.losses.entry(cause.clone()).or_default() += 1;
        }
    }

    fn play_on(&mut self) {
        let mut events = 0;
        while let Some(event) = self.clock.next() {
            events += 1;
            if events > ENOUGH {
                self.require(false, Kind::Endless, || "a history that does not end".into());
                return self.settle(None);
            }
            if self.found.len() > WRONG_ENOUGH {
                return;
            }
            self.happens(event);
            self.settle(Some(event));
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Begin(p, turn)
            | Event::Act(p, turn)
            | Event::Poll(p, turn)
            | Event::Hand(p, turn)
            | Event::TimeOut(p, turn)
            | Event::WrittenInPlace(p, turn) => {
                let process = &mut self.processes[usize::from(p)];
                if process.turn != turn {
                    return;
                }
                let stopped = process.stopped_until.saturating_sub(self.clock.monotonic());
                if stopped > 0 {
                    return self.clock.plan(stopped, event);
                }
                if self.is_blocked(p) {
                    return self.processes[usize::from(p)].blocked.push(event);
                }
                let trouble =
                    if self.quiet { None } else { super::plan::happens(&mut self.rng, &self.plan.troubles, 10_000) };
                if let Some(trouble) = trouble {
                    self.trouble(p, trouble);
                    if matches!(trouble, Trouble::Kill | Trouble::Stop | Trouble::Sleep) {
                        return self.happens(event);
                    }
                }
                match event {
                    Event::Begin(..) => self.begin(p),
                    Event::Act(..) => self.act(p),
                    Event::Poll(..) => self.poll(p),
                    Event::Hand(..) => self.handed(p),
                    Event::TimeOut(..) => self.time_out(p),
                    Event::WrittenInPlace(..) => self.written_in_place(p),
                    Event::Arrive(_) | Event::Answer(_) | Event::Foreign(_) | Event::DiskFreed => {}
                }
            }
            Event::Arrive(number) => self.arrive(number),
            Event::Answer(number) => self.answered(number),
            Event::Foreign(next) => self.foreign(next),
            Event::DiskFreed => self.disk.full = false,
        }
    }

    /// When all is quiet, a fresh process must get a token that the resource accepts, wherever that is possible.
    fn probe(&mut self) {
        if !self.found.is_empty() {
            return;
        }
        let mut end = "";
        for _ in 0..3 {
            self.clock.pass(7_200_000 + (self.plan.rules.life * 1000.0) as u64);
            if self.rng.bool() {
                self.set_clock(0);
            }
            let p = self.processes.len() as u8;
            let mut process = Process::new(false);
            process.next = Some((Job::Get, false));
            self.processes.push(process);
            self.say(|| "a fresh process looks whether the login works".into());
            self.clock.plan(0, Event::Begin(p, 0));
            self.play_on();
            let process = &self.processes[usize::from(p)];
            end = if process.accepted { "accepted" } else { process.code };
            if matches!(end, "accepted" | "logged_out" | "revoked" | "rotation_lost") {
                break;
            }
        }
        let fine = match end {
            "accepted" | "revoked" | "rotation_lost" => true,
            "logged_out" => self.deleted,
            _ => false,
        };
        self.require(fine, Kind::LoginLost, || format!("when all is quiet, a fresh process ends with `{end}`"));
        self.settle(None);
    }

    /// What was wrong with the last step.
    fn settle(&mut self, event: Option<Event>) {
        for (kind, what) in std::mem::take(&mut self.wrong) {
            if self.is_excused(kind) {
                *self.tally.excused.entry(kind).or_default() += 1;
                self.say(|| format!("cannot be kept here: {kind:?}: {what}"));
            } else {
                self.say(|| format!("WRONG: {kind:?}: {what} ({event:?})"));
                self.found.push((kind, what));
            }
        }
    }

    /// What cannot be kept where a lock file is deleted, where a program drops the members that it does not know, or where
    /// a request arrives when nobody reckons with it any more.
    fn is_excused(&self, kind: Kind) -> bool {
        let no_lock = matches!(
            kind,
            Kind::TwoHolders
                | Kind::TwoRedemptions
                | Kind::SpentSent
                | Kind::RotationDropped
                | Kind::LoginDropped
                | Kind::LoginLost
                | Kind::WrongReason
                | Kind::NeedlessUnsaved
        );
        let foreign = matches!(kind, Kind::WrongReason | Kind::NeedlessUnsaved);
        // The second holder's access token gives way to an older one of the same refresh token.
        let older = kind == Kind::Overwritten && !self.plan.rules.rotates;
        let late = !self.late.is_empty() && kind == Kind::WrongReason;
        self.locks_deleted && (no_lock || older) || self.foreign_meddled && foreign || late
    }
}

/// What everybody needs.
impl World {
    pub(super) fn require(&mut self, fine: bool, kind: Kind, what: impl FnOnce() -> String) {
        require(&mut self.wrong, fine, kind, what);
    }

    pub(super) fn count(&mut self, fault: &'static str) {
        *self.tally.faults.entry(fault).or_default() += 1;
    }

    /// Happens with this probability in percent, unless all is quiet.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        !self.quiet && percent > 0 && self.rng.u32(..100) < percent
    }

    pub(super) fn say(&mut self, what: impl FnOnce() -> String) {
        if self.trace.is_some() {
            let line = format!("{} {:90} | {self}", at(self.clock.elapsed()), what());
            self.trace.iter_mut().for_each(|trace| trace.push(line.clone()));
        }
    }

    pub(super) fn new_family(&mut self, unborn: bool, ends: u64) -> u8 {
        let mut family = Family::default();
        family.unborn = unborn;
        self.server.families.push(family);
        self.lives.push(vec![ends]);
        self.server.families.len() as u8 - 1
    }

    /// When the wall clock is right, an access token that is issued now ends then.
    pub(super) fn life_from_now(&self) -> u64 {
        self.clock.time().0 + (self.plan.rules.life * 1000.0) as u64
    }

    pub(super) fn doubt(&mut self, asks: Asks, cause: &'static str) {
        if let Asks::Refresh(token @ (family, generation)) = asks {
            self.server.families[usize::from(family)].doubt(generation);
            self.doubts.entry(token).or_insert(cause);
        }
    }

    pub(super) fn leave_unknown(&mut self, asks: Asks) {
        if let Asks::Refresh((family, generation)) = asks {
            self.server.families[usize::from(family)].leave_unknown(generation);
        }
    }

    /// Tokens that were received are not kept any more, and they are not stored.
    pub(super) fn give_up(&mut self, received: Option<Received>, cause: &'static str) {
        if let Some(token) = received.and_then(|received| received.parent) {
            self.doubt(Asks::Refresh(token), cause);
        }
    }

    /// Everybody who waits looks at the lock and the file again.
    pub(super) fn wake(&mut self) {
        for (p, turn) in std::mem::take(&mut self.waiters) {
            if self.processes[usize::from(p)].turn == turn {
                self.clock.plan(self.rng.u64(1..=10), Event::Poll(p, turn));
            }
        }
    }

    /// How long the disk takes.
    pub(super) fn disk_time(&mut self) -> u64 {
        if self.chance(self.plan.slow) {
            self.count("slow disk");
            return self.rng.u64(100..8000);
        }
        self.rng.u64(..4)
    }
}

/// What an `Install` stores, beside a member of somebody else.
fn first_record(plan: &Plan, rng: &mut Rng, now: Timestamp) -> Blob {
    let life = (plan.rules.life * 1000.0) as u64;
    let left = of(rng, &[life, life / 2, 1, 0]);
    let expires_at = now.plus(Millis(left));
    let credentials = credentials(0, expires_at, Timestamp(expires_at.0 - life));
    let now = Now { wall: now, monotonic: Millis::ZERO };
    server::first_record(credentials, plan.policy.clone(), now)
}

fn at(millis: u64) -> String {
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    format!("{:3}d {:02}:{minutes:02}:{seconds:02}.{millis:03}", hours / 24, hours % 24)
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = |token: Option<Token>| token.map_or("-".into(), |(family, number)| format!("{family}-{number}"));
        match self.disk.file.as_deref() {
            None => f.write_str("nothing stored")?,
            Some(file) if file.others.is_none() => f.write_str("torn")?,
            Some(file) => {
                write!(f, "r{} a{}", token(file.refresh), token(file.access))?;
                let flags =
                    [(file.marked, " marked"), (file.retry_at.is_some(), " parked"), (file.refused, " refused")];
                flags.iter().filter(|flag| flag.0).try_for_each(|flag| f.write_str(flag.1))?;
            }
        }
        f.write_str("; server")?;
        for (number, family) in self.server.families.iter().enumerate() {
            write!(f, " {number}-{}{}", family.current, if family.revoked { " revoked" } else { "" })?;
        }
        for (p, process) in self.processes.iter().enumerate().filter(|(_, process)| process.holds.is_some()) {
            write!(f, "; {p} locks{}", if process.kept.is_some() { " and keeps" } else { "" })?;
        }
        Ok(())
    }
}
