//! What a refresh costs beyond the server, and that no refresh token is ever sent twice.

use crate::report::{Row, difference, median, milliseconds};
use crate::stage::{CLIENT, Stage, eager_source};
use crate::worker::{Crew, Mode};
use crate::{Effort, Result};
use kraube_testserver::Event;
use std::time::{Duration, Instant};

const LATENCY: Duration = Duration::from_millis(20);
const PROCESSES: usize = 16;

/// In one warm process: lock, mark, request, durable write, without what the server takes.
pub(crate) fn overhead(effort: Effort) -> Result<Row> {
    let stage = Stage::new(LATENCY)?;
    stage.log_in(true)?;
    let source = eager_source(&stage.path())?;
    let mut bare_token = stage.server.issue_login().refresh_token;
    let mut token = source.blocking_token()?;
    let (mut kraube, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..effort.times(200, 40) {
        source.reject(&token);
        let start = Instant::now();
        let next = source.blocking_token()?;
        kraube.push(start.elapsed());
        if next.expose() == token.expose() || next.stale().is_some() {
            return Err("the token was not refreshed".into());
        }
        token = next;

        let start = Instant::now();
        let answer = post(&stage.server.token_url(), &bare_token)?;
        bare.push(start.elapsed());
        bare_token = successor(&answer)?;
    }
    let (kraube, bare) = (median(&mut kraube), median(&mut bare));
    let (ours, theirs) = (difference(kraube, LATENCY), difference(bare, LATENCY));
    let row = Row::new(
        "refresh, beyond the server's 20 ms",
        milliseconds(kraube.saturating_sub(LATENCY)),
        format!("{theirs:.2} ms bare HTTP POST"),
    );
    Ok(row.reach(format!("{:+.2} ms", ours - theirs), "<= 5 ms", ours <= 5.0))
}

/// All of them refuse every token they get, so that they refresh without end and meet at the lock all the time.
pub(crate) fn replays(effort: Effort) -> Result<Row> {
    let stage = Stage::new(Duration::ZERO)?;
    stage.log_in(true)?;
    let events = stage.server.events();
    let start = Instant::now();
    let mut crew = Crew::start(PROCESSES, &Mode::Refresh { path: stage.path() })?;
    crew.go()?;
    let wanted = effort.times(10_000, 500);
    let mut rotations = 0;
    while rotations < wanted {
        match events.recv_timeout(Duration::from_secs(60)) {
            Ok(Event::RefreshCommitted { .. }) => rotations += 1,
            Ok(Event::Replay { .. } | Event::RefreshRefused { .. }) | Err(_) => break,
            Ok(_) => {}
        }
    }
    let time = start.elapsed();
    let tokens: u64 = crew.finish()?.iter().map(|line| line.parse().unwrap_or(0)).sum();
    let counters = stage.server.counters();
    let row = Row::new(
        "replays, 16 processes refreshing",
        counters.replays.to_string(),
        format!("{} refreshes", counters.rotations),
    );
    let clean = rotations == wanted && counters.refused == 0 && counters.in_flight_max == 1;
    let row = row.reach(counters.replays.to_string(), "0", clean && counters.replays == 0);
    let each = time.as_secs_f64() * 1e3 / rotations.max(1) as f64;
    let (refused, in_flight) = (counters.refused, counters.in_flight_max);
    Ok(row.note(format!(
        "{each:.2} ms each; {tokens} tokens handed out; {refused} refused; at most {in_flight} in flight"
    )))
}

/// A connection of its own, as kraube's.
fn post(url: &str, refresh_token: &str) -> Result<String> {
    let form = [("grant_type", "refresh_token"), ("client_id", CLIENT), ("refresh_token", refresh_token)];
    Ok(ureq::post(url).send_form(form)?.body_mut().read_to_string()?)
}

fn successor(answer: &str) -> Result<String> {
    let answer: serde_json::Value = serde_json::from_str(answer)?;
    Ok(answer["refresh_token"].as_str().ok_or("no refresh token in the answer")?.to_owned())
}
