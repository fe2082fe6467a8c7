//! What a number of histories amount to.

use crate::promise::Kind;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// Counts.
#[derive(Default)]
pub struct Tally {
    /// Histories.
    pub histories: u64,
    /// Simulated time, in milliseconds.
    pub time: u128,
    /// Steps of machines.
    pub steps: u64,
    /// Runs of machines.
    pub runs: u64,
    /// Tokens that were served.
    pub served: u64,
    /// Of those: from the memory of a process.
    pub from_memory: u64,
    /// Refresh tokens that were sent.
    pub redemptions: u64,
    /// Refresh tokens that were replaced by a new one.
    pub rotations: u64,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Logins that were lost as no client could have helped, by cause.
    pub losses: BTreeMap<String, u64>,
    /// What cannot be kept where a lock file is deleted or another program writes.
    pub excused: BTreeMap<Kind, u64>,
    /// How often each transition was taken.
    pub transitions: HashMap<Transition, u64>,
}

/// Machine and state, input, and the state or outcome after it.
pub type Transition = (&'static str, &'static str, &'static str, &'static str);

/// States that a history is worth more for, each with the transitions that show it (an empty text stands for any).
pub const INTERESTING: &[(&str, &[Transition])] = &[
    ("mark of a killed run found", &[("Obtain", "Reread: Read", "", "Settle: Woke")]),
    ("doubt settled while the token lived", &[("Obtain", "TryLock: Locked", "held", "Reread: Read")]),
    (
        "sent again after an unknown answer",
        &[
            ("Obtain", "Exchange: Replied", "", "ResendPause: Woke"),
            ("Obtain", "Exchange: Replied", "500", "Exchange: Replied"),
        ],
    ),
    ("parked", &[("Obtain", "Exchange: Replied", "", "Park: Wrote")]),
    ("refused", &[("Obtain", "Refuse: Wrote", "", "")]),
    ("changed while waiting", &[("Obtain", "Lock: Locked", "changed", "Peek: Read")]),
    ("waited in vain", &[("Obtain", "Lock: Locked", "timed out", "LastPeek: Read")]),
    ("lock lost before the request", &[("Obtain", "Exchange: Replied", "lock lost", "Lock: Locked")]),
    ("mark in conflict", &[("Obtain", "Mark: Wrote", "conflict", "Reread: Read")]),
    ("commit in conflict", &[("Obtain", "Commit: Wrote", "conflict", "Merge: Read")]),
    ("refusal in conflict", &[("Obtain", "Refuse: Wrote", "conflict", "Confirm: Read")]),
    ("commit failed and repeated", &[("Obtain", "Commit: Wrote", "failed", "SavePause: Woke")]),
    ("unsaved kept", &[("Obtain", "Commit: Wrote", "failed", "unsaved")]),
    ("kept tokens stored later", &[("Obtain", "(kept)", "", "Reread: Read")]),
    (
        "another login found",
        &[("Obtain", "Reread: Read", "", "account_changed"), ("Obtain", "Peek: Read", "", "account_changed")],
    ),
    (
        "torn read repeated",
        &[("Obtain", "Peek: Read", "torn", "TornPause: Woke"), ("Obtain", "Reread: Read", "torn", "TornPause: Woke")],
    ),
    ("logout met a refresh", &[("Obtain", "Merge: Read", "nothing", "TornPause: Woke")]),
    ("login in conflict", &[("Install", "Write: Wrote", "conflict", "Reread: Read")]),
    ("login unsaved", &[("Install", "Write: Wrote", "failed", "unsaved")]),
    ("logout in conflict", &[("Forget", "Delete: Deleted", "conflict", "Read: Read")]),
];

impl Tally {
    /// How often each of the interesting states was met.
    pub fn interesting(&self) -> Vec<(&'static str, u64)> {
        let fits = |pattern: &str, text: &str| pattern.is_empty() || pattern == text;
        let count = |patterns: &[Transition]| {
            let met = self.transitions.iter().filter(|((machine, from, input, to), _)| {
                patterns.iter().any(|p| p.0 == *machine && fits(p.1, from) && fits(p.2, input) && fits(p.3, to))
            });
            met.map(|(_, count)| count).sum()
        };
        INTERESTING.iter().map(|(name, patterns)| (*name, count(patterns))).collect()
    }

    /// Adds another one.
    pub fn add(&mut self, other: Self) {
        self.histories += other.histories;
        self.time += other.time;
        self.steps += other.steps;
        self.runs += other.runs;
        self.served += other.served;
        self.from_memory += other.from_memory;
        self.redemptions += other.redemptions;
        self.rotations += other.rotations;
        add(&mut self.faults, other.faults);
        add(&mut self.losses, other.losses);
        add(&mut self.excused, other.excused);
        other.transitions.into_iter().for_each(|(key, count)| *self.transitions.entry(key).or_default() += count);
    }

    /// Simulated years.
    pub fn years(&self) -> f64 {
        self.time as f64 / (1000.0 * 86_400.0 * 365.25)
    }
}

fn add<K: Ord>(to: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
    from.into_iter().for_each(|(key, count)| *to.entry(key).or_default() += count);
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "histories            {:>14}", self.histories)?;
        writeln!(f, "simulated years      {:>14.1}", self.years())?;
        writeln!(f, "runs of machines     {:>14}", self.runs)?;
        writeln!(f, "steps of machines    {:>14}", self.steps)?;
        writeln!(f, "tokens served        {:>14}   of these {} from memory", self.served, self.from_memory)?;
        writeln!(f, "redemptions          {:>14}   of these {} rotated", self.redemptions, self.rotations)?;
        list(f, "faults injected", &self.faults)?;
        list(f, "interesting states", &self.interesting().into_iter().collect())?;
        list(f, "logins lost, as no client could help", &self.losses)?;
        let excused = self.excused.iter().map(|(kind, count)| (format!("{kind:?}"), *count)).collect();
        list(f, "cannot be kept, and is not counted wrong", &excused)?;
        writeln!(f, "different transitions {:>13}", self.transitions.len())
    }
}

fn list<N: AsRef<str>>(f: &mut fmt::Formatter<'_>, title: &str, counts: &BTreeMap<N, u64>) -> fmt::Result {
    writeln!(f, "{title}")?;
    counts.iter().try_for_each(|(name, count)| writeln!(f, "  {:44} {count:>12}", name.as_ref()))
}
