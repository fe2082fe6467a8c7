//! The simulator: seeded histories of one machine with many processes, on the real machines of `kraube-core`, in virtual
//! time. One number is a whole history, its configuration included.
//!
//! What the exhaustive check abstracts is here: time, the order of a disk, sleeping machines, wrong clocks, other
//! programs, dozens of processes. What it covers completely is here drawn by lot.

mod action;
mod batch;
mod clock;
mod disk;
mod foreign;
mod judge;
mod mistake;
mod network;
mod plan;
mod process;
mod tally;
mod trouble;
mod world;

pub use batch::{Failed, commit, run_all};
pub use mistake::Mistake;
pub use tally::{INTERESTING, Tally, Transition};

use crate::promise::Kind;
use world::World;

/// The seeds that every run of the tests plays.
pub const COMMITTED: std::ops::Range<u64> = 0..12_000;

/// A history that was played.
pub struct Story {
    /// What was wrong.
    pub wrong: Vec<(Kind, String)>,
    /// What happened, a line each, where it was asked for.
    pub trace: Vec<String>,
    /// What it amounts to.
    pub tally: Tally,
}

/// Plays the history of a seed. With a mistake, the hosts make it.
pub fn play(seed: u64, mistake: Option<Mistake>, traced: bool) -> Story {
    let mut world = World::new(seed, mistake, traced);
    if let Some(trace) = &mut world.trace {
        trace.push(format!("{:#?}", world.plan));
    }
    world.play();
    Story { wrong: world.found, trace: world.trace.unwrap_or_default(), tally: world.tally }
}
