//! What a refresh costs beyond the server, and that no refresh token is ever sent twice.

use crate::report::{Row, median, milliseconds};
use crate::stage::{CLIENT, Stage, eager_source};
use crate::worker::{Crew, Mode};
use crate::{Effort, Result};
use kraube_testserver::Event;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

const LATENCY: Duration = Duration::from_millis(20);
const PROCESSES: usize = 16;

/// In one warm process: lock, mark, request, durable write, without the time that the server held the request. Beside
/// it what every safe refresh has to do, done by hand: the request, and two durable replacements of a file.
pub(crate) fn overhead(effort: Effort) -> Result<Row> {
    let stage = Stage::new(LATENCY)?;
    stage.server.set_config(|config| config.commit_after_latency = true);
    stage.log_in(true)?;
    let source = eager_source(&stage.path())?;
    let mut bare_token = stage.server.issue_login().refresh_token;
    let mut token = source.blocking_token()?;
    let held = watch(stage.server.events());
    let (mut kraube, mut post_alone, mut disk) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.times(200, 40) {
        source.reject(&token);
        let start = Instant::now();
        let next = source.blocking_token()?;
        kraube.push(start.elapsed().saturating_sub(held.recv()?));
        if next.expose() == token.expose() || next.stale().is_some() {
            return Err("the token was not refreshed".into());
        }
        token = next;

        let start = Instant::now();
        let answer = post(&stage.server.token_url(), &bare_token)?;
        post_alone.push(start.elapsed().saturating_sub(held.recv()?));
        bare_token = successor(&answer)?;

        let start = Instant::now();
        replace(&stage.path().with_extension("other"))?;
        replace(&stage.path().with_extension("other"))?;
        disk.push(start.elapsed());
    }
    let [kraube, post_alone, disk] = [&mut kraube, &mut post_alone, &mut disk].map(|times| median(times));
    let bare = post_alone + disk;
    let row = Row::new(
        "refresh, beyond the server's time",
        milliseconds(kraube),
        format!("{} POST and 2 writes", milliseconds(bare)),
    );
    let ratio = kraube.as_secs_f64() / bare.as_secs_f64();
    let row = row.reach(format!("{ratio:.2} x"), "<= 5 ms", kraube <= Duration::from_millis(5));
    let (post_alone, disk) = (milliseconds(post_alone), milliseconds(disk));
    Ok(row.note(format!("by hand: {post_alone} for the request, {disk} for two durable replacements of a file")))
}

/// How long the server holds each request, 20 ms and what its timer adds.
fn watch(events: Receiver<Event>) -> Receiver<Duration> {
    let (sender, held) = mpsc::channel();
    std::thread::spawn(move || {
        let mut arrived = Instant::now();
        for event in events {
            if matches!(event, Event::TokenRequest { .. }) {
                arrived = Instant::now();
            } else if matches!(event, Event::RefreshCommitted { .. }) && sender.send(arrived.elapsed()).is_err() {
                return;
            }
        }
    });
    held
}

fn replace(path: &Path) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create_new(&new)?;
    file.write_all(&[b'x'; 600])?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(path.parent().unwrap_or(path))?.sync_all()
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
