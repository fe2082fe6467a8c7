//! What a history is drawn from: one number decides everything.

use crate::promise::Replay;
use crate::promise::server::{Manner, Rules};
use fastrand::Rng;
use kraube_core::policy::Policy;
use kraube_core::time::Millis;

/// The world of a history.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) processes: u8,
    /// How many jobs there are in all.
    pub(super) jobs: u32,
    /// The mean pause between two jobs of a process, in milliseconds.
    pub(super) pause: u64,
    pub(super) rules: Rules,
    /// The longest time that a request or an answer travels, in milliseconds.
    pub(super) latency: u64,
    pub(super) policy: Policy,
    /// The file is behind a symbolic link.
    pub(super) link: bool,
    /// Nothing goes wrong, so every run must end with a fresh token.
    pub(super) calm: bool,
    /// What the processes do, beside asking for a token: in percent of the jobs.
    pub(super) forced: u32,
    pub(super) logins: u32,
    pub(super) logouts: u32,
    /// What happens to the machine, in ten thousandths of the events on it.
    pub(super) troubles: Vec<(Trouble, u32)>,
    /// What becomes of requests, in percent.
    pub(super) fates: Vec<(Fate, u32)>,
    /// How the server answers, for a while each time, in percent.
    pub(super) manners: Vec<(Manner, u32)>,
    /// How many writes fail for good, and how many reads, in percent.
    pub(super) failing_writes: u32,
    pub(super) failing_reads: u32,
    /// How many reads and writes take seconds, in percent.
    pub(super) slow: u32,
}

/// What happens to the machine and what is on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Kill,
    Stop,
    Sleep,
    ClockJump,
    LockDeleted,
    DiskFull,
    ForeignLogin,
    ForeignRewrite,
    ForeignRefresh,
    NetworkDown,
    /// The person ends the login at the server.
    Revoked,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    /// It does not leave.
    NotSent,
    /// The connection is reset before it arrives.
    LostBefore,
    /// The connection is reset when it was answered.
    LostAfter,
    /// It arrives, and no answer comes.
    Hangs,
    /// It travels for longer than anybody waits.
    Late,
}

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;

impl Plan {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let calm = rng.u8(..8) == 0;
        let processes = if rng.u8(..4) == 0 { rng.u8(9..=40) } else { rng.u8(2..=8) };
        let life = of(rng, &[20, 120, 600, 3600, 8 * 3600, 24 * 3600]) * SECOND;
        let pause = of(rng, &[2 * SECOND, life / 10, life / 2, 2 * life]);
        let replay = match rng.u8(..10) {
            0..=3 => Replay::Revokes,
            4..=6 => Replay::GraceFor(Millis(of(rng, &[5, 10, 30, 60, 300]) * SECOND)),
            _ => Replay::Grace,
        };
        let rules = Rules { replay, rotates: rng.u8(..10) > 0, life: life as f64 / 1000.0 };
        let mut policy = Policy::default();
        if calm || rng.bool() {
            policy.reject_floor = Millis::ZERO;
        }
        let mut plan = Self {
            processes,
            jobs: rng.u32(10..40),
            pause,
            rules,
            latency: of(rng, &[20, 150, 900]),
            policy,
            link: rng.bool(),
            calm,
            forced: rng.u32(10..70),
            logins: 0,
            logouts: 0,
            troubles: Vec::new(),
            fates: Vec::new(),
            manners: Vec::new(),
            failing_writes: 0,
            failing_reads: 0,
            slow: 0,
        };
        if !calm {
            plan.draw_troubles(rng);
        }
        plan
    }

    fn draw_troubles(&mut self, rng: &mut Rng) {
        let troubles = [
            (Trouble::Kill, 2),
            (Trouble::Stop, 3),
            (Trouble::Sleep, 3),
            (Trouble::ClockJump, 4),
            (Trouble::LockDeleted, 10),
            (Trouble::DiskFull, 4),
            (Trouble::ForeignLogin, 5),
            (Trouble::ForeignRewrite, 6),
            (Trouble::ForeignRefresh, 6),
            (Trouble::NetworkDown, 5),
            (Trouble::Revoked, 10),
        ];
        self.troubles = some(rng, &troubles, &[10, 50, 200]);
        let fates =
            [(Fate::NotSent, 3), (Fate::LostBefore, 4), (Fate::LostAfter, 3), (Fate::Hangs, 4), (Fate::Late, 20)];
        self.fates = some(rng, &fates, &[3, 10, 25]);
        let manners = [
            (Manner::Spends, 5),
            (Manner::Garbles, 6),
            (Manner::Fails, 5),
            (Manner::Throttles, 4),
            (Manner::Overloaded, 6),
            (Manner::NotFound, 8),
            (Manner::Redirects, 8),
        ];
        self.manners = some(rng, &manners, &[3, 10, 25]);
        let mut one_in = |n: u8, rates: &[u32]| if rng.u8(..n) == 0 { of(rng, rates) } else { 0 };
        self.failing_writes = one_in(3, &[2, 10, 30]);
        self.failing_reads = one_in(6, &[2, 10]);
        self.slow = one_in(3, &[2, 10, 30]);
        self.logins = one_in(3, &[2, 10]);
        self.logouts = one_in(4, &[2, 5]);
    }
}

impl Trouble {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "process killed",
            Self::Stop => "process stopped for a while",
            Self::Sleep => "machine asleep",
            Self::ClockJump => "wall clock set",
            Self::LockDeleted => "lock file deleted",
            Self::DiskFull => "disk full for a while",
            Self::ForeignLogin => "login by another program",
            Self::ForeignRewrite => "file rewritten by another program",
            Self::ForeignRefresh => "refresh by another program",
            Self::NetworkDown => "network down for a while",
            Self::Revoked => "login ended at the server",
        }
    }
}

impl Fate {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::NotSent => "request not sent",
            Self::LostBefore => "request lost",
            Self::LostAfter => "answer lost",
            Self::Hangs => "answer never comes",
            Self::Late => "request travels long",
        }
    }
}

/// One in so many of the kinds occur at all, each at one of the rates.
fn some<K: Copy>(rng: &mut Rng, kinds: &[(K, u8)], rates: &[u32]) -> Vec<(K, u32)> {
    let mut drawn = Vec::new();
    for (kind, one_in) in kinds {
        if rng.u8(..*one_in) == 0 {
            drawn.push((*kind, of(rng, rates)));
        }
    }
    drawn
}

pub(super) fn of<T: Copy>(rng: &mut Rng, choices: &[T]) -> T {
    choices[rng.usize(..choices.len())]
}

/// The one whose turn it is, if any: the rates are parts of `whole`.
pub(super) fn happens<K: Copy>(rng: &mut Rng, rates: &[(K, u32)], whole: u32) -> Option<K> {
    if rates.is_empty() {
        return None;
    }
    let mut at = rng.u32(..whole);
    for (kind, rate) in rates {
        if at < *rate {
            return Some(*kind);
        }
        at -= rate;
    }
    None
}

/// How long a trouble lasts: mostly seconds, sometimes hours.
pub(super) fn a_while(rng: &mut Rng) -> u64 {
    let longest = of(rng, &[3 * SECOND, 30 * SECOND, 300 * SECOND, 10 * HOUR]);
    rng.u64(1..=longest)
}
