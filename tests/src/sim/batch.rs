//! Many histories, on several threads.

use super::{Mistake, Tally, play};
use crate::promise::Kind;
use std::ops::Range;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// A history in which something was wrong.
#[derive(Clone, Debug)]
pub struct Failed {
    /// It is played again from this number.
    pub seed: u64,
    /// What was wrong.
    pub wrong: Vec<(Kind, String)>,
}

/// So many seeds are handed to a thread at once.
const CHUNK: u64 = 100;
/// Enough is known after so many failures.
const ENOUGH: usize = 20;

/// Plays them all, or as many as it takes to see that nothing is right. The failures come in the order of their seeds.
pub fn run_all(seeds: &Range<u64>, mistake: Option<Mistake>, threads: usize) -> (Tally, Vec<Failed>) {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let (mut tally, mut failed) = (Tally::default(), Vec::new());
        loop {
            let from = next.fetch_add(CHUNK, Ordering::Relaxed);
            if from >= seeds.end || failed.len() >= ENOUGH {
                return (tally, failed);
            }
            for seed in from..seeds.end.min(from + CHUNK) {
                let story = play(seed, mistake, false);
                tally.add(story.tally);
                if !story.wrong.is_empty() {
                    failed.push(Failed { seed, wrong: story.wrong });
                }
            }
        }
    };
    let parts: Vec<_> = thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles.into_iter().filter_map(|handle| handle.join().ok()).collect()
    });
    assert_eq!(parts.len(), threads, "a thread of the simulator has panicked");
    let (mut tally, mut failed) = (Tally::default(), Vec::new());
    for (part, failures) in parts {
        tally.add(part);
        failed.extend(failures);
    }
    failed.sort_by_key(|failure: &Failed| failure.seed);
    (tally, failed)
}

/// The commit that is checked out, to be told beside a seed.
pub fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output();
    let text = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    text.map_or_else(|| "unknown".into(), |text| String::from_utf8_lossy(&text).trim().to_owned())
}
