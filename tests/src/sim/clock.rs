//! Virtual time: the world's own, and the two clocks of the machine; and what happens next.
//!
//! What happens on the machine is planned by its monotonic clock, which stands still while the machine sleeps; what
//! happens on the network goes by the world's time.

use kraube_core::time::{Millis, Now, Timestamp};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Where the wall clock begins, in Unix milliseconds.
const EPOCH: u64 = 1_700_000_000_000;

/// Plans what happens.
pub(super) struct Clock<E> {
    /// The world's time, in milliseconds.
    now: u64,
    /// For how long the machine has slept in all.
    asleep: u64,
    wakes: u64,
    /// How far the wall clock is wrong.
    skew: i64,
    on_machine: BinaryHeap<Reverse<Planned<E>>>,
    outside: BinaryHeap<Reverse<Planned<E>>>,
    planned: u64,
}

struct Planned<E> {
    at: u64,
    order: u64,
    event: E,
}

impl<E> Clock<E> {
    pub(super) fn new() -> Self {
        let (on_machine, outside) = (BinaryHeap::new(), BinaryHeap::new());
        Self { now: 0, asleep: 0, wakes: 0, skew: 0, on_machine, outside, planned: 0 }
    }

    /// On the machine, this much of its monotonic time from now.
    pub(super) fn plan(&mut self, after: u64, event: E) {
        let planned = self.planned(self.monotonic() + after, event);
        self.on_machine.push(Reverse(planned));
    }

    /// Outside, this much of the world's time from now.
    pub(super) fn plan_outside(&mut self, after: u64, event: E) {
        let planned = self.planned(self.now + after, event);
        self.outside.push(Reverse(planned));
    }

    /// What happens next. Time moves on to it.
    pub(super) fn next(&mut self) -> Option<E> {
        let on_machine = self.on_machine.peek().map(|Reverse(planned)| planned.at + self.asleep);
        let outside = self.outside.peek().map(|Reverse(planned)| planned.at);
        let outside_first = outside.is_some_and(|at| on_machine.is_none_or(|other| at <= other));
        let queue = if outside_first { &mut self.outside } else { &mut self.on_machine };
        let Reverse(planned) = queue.pop()?;
        let at = if outside_first { planned.at } else { planned.at + self.asleep };
        self.now = self.now.max(at);
        Some(planned.event)
    }

    /// Nobody does anything for this long.
    pub(super) fn pass(&mut self, time: u64) {
        self.now += time;
    }

    /// The machine sleeps.
    pub(super) fn sleep(&mut self, time: u64) {
        self.wakes = self.now.max(self.wakes) + time;
        self.asleep += time;
    }

    /// For how long the machine sleeps on.
    pub(super) fn sleeps_on(&self) -> u64 {
        self.wakes.saturating_sub(self.now)
    }

    /// The wall clock is set, so that it is wrong by this much.
    pub(super) fn set_skew(&mut self, skew: i64) {
        self.skew = skew;
    }

    /// The world's time.
    pub(super) fn time(&self) -> Timestamp {
        Timestamp(EPOCH + self.now)
    }

    pub(super) fn monotonic(&self) -> u64 {
        self.now.max(self.wakes) - self.asleep
    }

    /// What a process reads.
    pub(super) fn now(&self) -> Now {
        let wall = Timestamp((EPOCH + self.now.max(self.wakes)).saturating_add_signed(self.skew));
        Now { wall, monotonic: Millis(self.monotonic()) }
    }

    /// What a process would read that counted from its start and never looked at the wall clock again.
    pub(super) fn counted(&self) -> Timestamp {
        Timestamp(EPOCH + self.monotonic())
    }

    pub(super) fn elapsed(&self) -> u64 {
        self.now
    }

    fn planned(&mut self, at: u64, event: E) -> Planned<E> {
        self.planned += 1;
        Planned { at, order: self.planned, event }
    }
}

impl<E> PartialEq for Planned<E> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<E> Eq for Planned<E> {}

impl<E> PartialOrd for Planned<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Planned<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
