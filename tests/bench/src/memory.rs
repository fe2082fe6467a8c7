//! The token that is in memory already.

use crate::report::Row;
use crate::stage::credentials;
use crate::{Effort, Result};
use kraube::store::MemoryStore;
use kraube::{Options, TokenSource};
use kraube_testserver::Login;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

/// Calls per slice, long enough for the clock and short enough to run undisturbed at times.
const CALLS: u32 = 20_000;

pub(crate) fn one_thread(effort: Effort) -> Result<Row> {
    let source = source()?;
    let slices = effort.times(500, 100);
    let (mut token, mut clock) = (Duration::MAX, Duration::MAX);
    // The fastest slice of each is the one that nothing else on the machine has disturbed.
    for _ in 0..slices {
        token = token.min(alone(&|| ask(&source)));
        clock = clock.min(alone(&look));
    }
    let ratio = token.as_secs_f64() / clock.as_secs_f64();
    let row = Row::new("token() in memory", per_call(token), format!("{} SystemTime::now()", per_call(clock)));
    Ok(row.reach(format!("{ratio:.2} x"), "<= 2 x", ratio <= 2.0))
}

/// A thread more doubles the calls at best. What the machine gives for the bare clock is the measure.
pub(crate) fn two_threads(effort: Effort) -> Result<Row> {
    let source = source()?;
    let slices = effort.times(500, 100);
    let (mut token, mut clock) = ([Duration::MAX; 2], [Duration::MAX; 2]);
    for _ in 0..slices {
        token[0] = token[0].min(alone(&|| ask(&source)));
        clock[0] = clock[0].min(alone(&look));
        token[1] = token[1].min(together(&|| ask(&source)));
        clock[1] = clock[1].min(together(&look));
    }
    let scaling = |[one, two]: [Duration; 2]| 2.0 * one.as_secs_f64() / two.as_secs_f64();
    let (token, clock) = (scaling(token), scaling(clock));
    let row = Row::new("the same on 2 threads at once", format!("{token:.2} x"), format!("{clock:.2} x for the clock"));
    Ok(row.reach(format!("{:.2}", token / clock), ">= 0.9", token >= 0.9 * clock))
}

pub(crate) fn allocations() -> Result<Row> {
    let source = source()?;
    let counted = allocation_counter::measure(|| (0..1000).for_each(|_| ask(&source)));
    // Proves that the counter counts.
    let copied = allocation_counter::measure(|| drop(black_box(String::from(black_box("a token")))));
    if copied.count_total != 1 {
        return Err("the allocation counter does not count".into());
    }
    let row = Row::new("allocations in 1,000 of these calls", counted.count_total.to_string(), "1 per copied token");
    Ok(row.reach(counted.count_total.to_string(), "0", counted.count_total == 0))
}

/// A source with a living token in memory.
fn source() -> Result<TokenSource> {
    let login = Login { access_token: "access".repeat(8), refresh_token: "refresh".repeat(8), family: 0 };
    let store = MemoryStore::holding(credentials(&login, "http://127.0.0.1:1/", true)?.to_blob());
    let source = TokenSource::from_store(store, Options::default());
    source.blocking_token()?;
    Ok(source)
}

fn ask(source: &TokenSource) {
    let future = pin!(black_box(source).token());
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(token)) => drop(black_box(token)),
        Poll::Ready(Err(error)) => unreachable!("the token lives: {error}"),
        Poll::Pending => unreachable!("a living token in memory is ready at once"),
    }
}

fn look() {
    black_box(SystemTime::now());
}

fn alone(call: &dyn Fn()) -> Duration {
    let start = Instant::now();
    (0..CALLS).for_each(|_| call());
    start.elapsed()
}

/// From the first start until the last end: only where both ran all the time is it short.
fn together(call: &(dyn Fn() + Sync)) -> Duration {
    let ready = Barrier::new(2);
    let side = || {
        ready.wait();
        let start = Instant::now();
        (0..CALLS).for_each(|_| call());
        (start, Instant::now())
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(side);
        let (start, end) = side();
        other.join().map_or(Duration::MAX, |other| end.max(other.1) - start.min(other.0))
    })
}

fn per_call(slice: Duration) -> String {
    format!("{:.1} ns", slice.as_secs_f64() * 1e9 / f64::from(CALLS))
}
