//! How long processes that wait for another one's refresh go on waiting after it is stored.

use crate::report::{Row, milliseconds, quantile};
use crate::stage::Stage;
use crate::worker::{Crew, Mode};
use crate::{Effort, Result};
use kraube_testserver::Event;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const WAITERS: usize = 64;
/// Long enough for all of them to arrive at the lock.
const LATENCY: Duration = Duration::from_millis(500);

pub(crate) fn wake(effort: Effort) -> Result<Row> {
    let stage = Stage::new(LATENCY)?;
    let path = stage.path();
    let mut winner = Crew::start(1, &Mode::Wait { path: path.clone() })?;
    let mut kraube = Crew::start(WAITERS, &Mode::Wait { path: path.clone() })?;
    let mut naive = Crew::start(WAITERS, &Mode::Poll { path })?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..effort.times(12, 3) {
        ours.extend(round(&stage, &mut winner, &mut kraube)?);
        theirs.extend(round(&stage, &mut winner, &mut naive)?);
    }
    for crew in [winner, kraube, naive] {
        crew.finish()?;
    }
    let [ours_50, ours_99, ours_max] = [0.5, 0.99, 1.0].map(|part| quantile(&mut ours, part));
    let [theirs_50, theirs_99, theirs_max] = [0.5, 0.99, 1.0].map(|part| quantile(&mut theirs, part));
    let row = Row::new(
        "64 waiters, commit to token, p99",
        milliseconds(ours_99),
        format!("{:.0} ms polling each 50 ms", theirs_99.as_secs_f64() * 1e3),
    );
    let ratio = ours_99.as_secs_f64() / theirs_99.as_secs_f64();
    let row = row.reach(format!("{ratio:.2} x"), "<= 20 ms", ours_99 <= Duration::from_millis(20));
    let row = row.note(format!("p50 {}, longest {}", milliseconds(ours_50), milliseconds(ours_max)));
    Ok(row.note(format!("polling: p50 {}, longest {}", milliseconds(theirs_50), milliseconds(theirs_max))))
}

/// One process refreshes while the others wait.
fn round(stage: &Stage, winner: &mut Crew, waiters: &mut Crew) -> Result<Vec<Duration>> {
    stage.log_in(false)?;
    let events = stage.server.events();
    winner.go()?;
    while !matches!(events.recv_timeout(Duration::from_secs(60))?, Event::TokenRequest { .. }) {}
    waiters.go()?;
    let times = waiters.answers()?;
    winner.answers()?;
    let committed = committed(&stage.path())?;
    times.iter().map(|line| waited(line, committed)).collect()
}

fn waited(line: &str, committed: Duration) -> Result<Duration> {
    let (start, end) = line.split_once(' ').ok_or_else(|| format!("a waiter says: {line}"))?;
    let (start, end) = (Duration::from_nanos(start.parse()?), Duration::from_nanos(end.parse()?));
    if start >= committed {
        return Err("a waiter came too late to wait".into());
    }
    Ok(end.saturating_sub(committed))
}

/// When the file that is there was renamed, in the time of the file system: at most one tick of the kernel too early.
#[cfg(unix)]
fn committed(path: &Path) -> Result<Duration> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path)?;
    Ok(Duration::new(u64::try_from(meta.ctime())?, u32::try_from(meta.ctime_nsec())?))
}

/// When the file was written, which is a little before it was renamed.
#[cfg(not(unix))]
fn committed(path: &Path) -> Result<Duration> {
    Ok(std::fs::metadata(path)?.modified()?.duration_since(UNIX_EPOCH)?)
}

/// The clock of this machine, which all its processes share.
pub(crate) fn clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
