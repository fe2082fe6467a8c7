//! The exhaustive check of the credential machines: every order of the steps of a few processes, with every fault that
//! the budget of a configuration allows, on the code of `kraube-core` itself.
//!
//! What is abstract: the compare and the write of a conditional write are one step; a request travels for less than two
//! seconds, so none that is older is on its way when a wait of that length ends; both clocks stand still but for a few
//! jumps.

pub mod configs;
mod search;
mod world;

pub use crate::promise::Kind;
pub use search::{Found, Report, check};

use crate::promise::Replay;
use kraube_core::policy::Policy;
use kraube_core::time::Millis;

/// A world to explore.
#[derive(Clone, Debug)]
pub struct Config {
    /// For people.
    pub name: &'static str,
    /// What each process does, one job after the other.
    pub scripts: Vec<Vec<Job>>,
    /// The figures that the machines go by.
    pub policy: Policy,
    /// What the server does with a spent refresh token.
    pub replay: Replay,
    /// Whether an answer has a new refresh token.
    pub rotates: bool,
    /// Access tokens have expired when their answer is read.
    pub dead_on_arrival: bool,
    /// The access token that is stored in the beginning.
    pub stored: StoredToken,
    /// How far a tick moves both clocks on.
    pub tick: Millis,
    /// How many faults there can be.
    pub faults: Faults,
    /// A known mistake of a host, which must show.
    pub mutant: Option<Mutant>,
    /// Every run must end with a token that is not stale.
    pub always_ready: bool,
    /// What cannot be kept here, and is counted alone.
    pub excused: Vec<Kind>,
    /// It takes too long for every run of the tests.
    pub long: bool,
}

/// A job of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Job {
    /// A token.
    Get,
    /// A token other than the last one that this process got (in the beginning: than the stored one).
    Force,
    /// A new login, whose family has this number.
    Install {
        /// The number, from 1 on.
        family: u8,
        /// With a code; otherwise with tokens.
        code: bool,
    },
    /// Logout.
    Forget,
}

/// The access token that is stored in the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoredToken {
    /// More than the margin is left.
    Fresh,
    /// Alive, within the margin.
    Stale,
    /// Expired.
    Expired,
}

/// How many faults of each kind there can be on one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// A process is killed.
    pub crashes: u8,
    /// An answer does not arrive: a reset, or a time-out while the request travels on.
    pub lost: u8,
    /// A request does not leave.
    pub not_sent: u8,
    /// A write or delete fails, without or in spite of its effect.
    pub writes: u8,
    /// A read fails.
    pub reads: u8,
    /// 500, with or without the rotation.
    pub server_errors: u8,
    /// 429 with `Retry-After`.
    pub throttles: u8,
    /// 404.
    pub statuses: u8,
    /// The wait for the lock is over though somebody may yet leave it.
    pub timeouts: u8,
    /// There can be no lock.
    pub unsupported: u8,
    /// The lock file is deleted.
    pub deleted_locks: u8,
    /// Another program writes the record in place, in two steps, without the members that it does not know.
    pub foreign_writes: u8,
    /// Another program stores a login of its own, without the lock.
    pub foreign_logins: u8,
    /// The clocks jump.
    pub ticks: u8,
}

/// Known mistakes of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// Everybody gets the lock.
    NoLock,
    /// A write replaces whatever is stored.
    UnconditionalWrites,
    /// The mark is not written.
    NoMark,
    /// `Unsaved` is not kept.
    UnsavedDropped,
}

impl Config {
    /// Processes with these scripts, an expired token, a strict server and no faults.
    pub fn new(name: &'static str, scripts: &[&[Job]]) -> Self {
        let policy = Policy {
            torn_tries: 0,
            returns: 2,
            reject_floor: Millis::ZERO,
            save_time: Millis::ZERO,
            ..Policy::default()
        };
        Self {
            name,
            scripts: scripts.iter().map(|script| script.to_vec()).collect(),
            policy,
            replay: Replay::Revokes,
            rotates: true,
            dead_on_arrival: false,
            stored: StoredToken::Expired,
            tick: Millis::from_secs(400),
            faults: Faults::default(),
            mutant: None,
            always_ready: false,
            excused: Vec::new(),
            long: false,
        }
    }

    /// With a server that accepts the token before the current one.
    pub fn grace(mut self) -> Self {
        self.replay = Replay::Grace;
        self
    }

    /// With these faults.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// With this token in the beginning.
    pub fn stored(mut self, stored: StoredToken) -> Self {
        self.stored = stored;
        self
    }

    /// With other figures.
    pub fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(&mut self.policy);
        self
    }

    /// Where these cannot be kept.
    pub fn excusing(mut self, kinds: &[Kind]) -> Self {
        self.excused = kinds.to_vec();
        self
    }

    /// Where every run must end with a fresh token.
    pub fn always_ready(mut self) -> Self {
        self.always_ready = true;
        self
    }

    /// Whose server gives no new refresh tokens.
    pub fn without_rotation(mut self) -> Self {
        self.rotates = false;
        self
    }

    /// Whose access tokens have expired when they are read.
    pub fn dead_on_arrival(mut self) -> Self {
        self.dead_on_arrival = true;
        self
    }

    /// With clocks that jump this far.
    pub fn tick(mut self, tick: Millis) -> Self {
        self.tick = tick;
        self
    }

    /// Too long for every run of the tests.
    pub fn long(mut self) -> Self {
        self.long = true;
        self
    }

    /// With a mistake.
    pub fn mutant(mut self, mutant: Mutant) -> Self {
        self.mutant = Some(mutant);
        self
    }
}
