//! The phases: what is done to the processes of each file, and for how long.

use crate::Figures;
use crate::lane::{Field, Heard, Lane};
use crate::tally::Terms;
use crate::worker::{Mode, Said, Step, name};
use clap::ValueEnum;
use kraube_harsh::{Result, below};
use kraube_testserver::{Config, Event, Server};
use rustix::process::Signal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The server holds each answer back for this long, so that there is a window to be killed in.
const LATENCY: Duration = Duration::from_millis(5);
/// So many kills after one another may hit the window: each costs the next process the pause in which it lets a late
/// request pass, and all of them have to fit into a grace of 10 s.
const CHAIN: u32 = 2;
/// Kills of a round, after which all processes of the file are killed and what they left is looked at.
const ROUND: u64 = 8;

/// All phases, one after the other.
pub(crate) fn all(figures: &Figures) -> Result<()> {
    let strict = figures.kills / 4;
    let forgiving = format!("a server with {} s of grace, and kills", figures.grace.as_secs());
    let kept = [
        figures.refreshes == 0
            || phase("a strict server, and nobody is killed", Terms::Calm, figures, |lane| calm(lane, figures))?,
        kills(&forgiving, Terms::Grace, figures, figures.kills - strict)?,
        kills("a strict server, and kills", Terms::Strict, figures, strict)?,
    ];
    match kept.into_iter().all(|kept| kept) {
        true => Ok(()),
        false => Err("the promise did not hold".into()),
    }
}

fn kills(title: &str, terms: Terms, figures: &Figures, kills: u64) -> Result<bool> {
    let left = AtomicU64::new(kills);
    if kills == 0 {
        return Ok(true);
    }
    phase(title, terms, figures, |lane| killing(lane, &left, figures.time))
}

/// Runs all lanes of a phase, and says whether the promise held.
fn phase(
    title: &str,
    terms: Terms,
    figures: &Figures,
    run: impl Fn(&mut Lane<'_>) -> Result<()> + Sync,
) -> Result<bool> {
    println!("{title}: {} files", figures.files);
    let begun = Instant::now();
    let grace = (terms == Terms::Grace).then_some(figures.grace);
    let server = Server::spawn(Config { grace, latency: LATENCY, ..Config::default() })?;
    let events = server.events();
    let field = &Field::new(server);
    let (running, over) = mpsc::channel::<()>();
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        scope.spawn(move || field.dispatch(&events, &over, begun));
        let lanes: Vec<_> = (0..figures.files)
            .map(|_| {
                scope.spawn(|| {
                    let mut lane = Lane::new(field)?;
                    run(&mut lane)?;
                    lane.check_remains()?;
                    lane.check_alive().map(drop)
                })
            })
            .collect();
        let results = lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|_| Err("a panic".into()))).collect();
        drop(running);
        results
    });
    let seen = field.server.counters();
    let mut broken = Vec::new();
    field.count(|tally| {
        tally.broken.extend(results.into_iter().filter_map(|result| Some(result.err()?.to_string())));
        tally.judge(terms, &seen);
        print!("{}", tally.table(terms, &seen, begun.elapsed()));
        broken = std::mem::take(&mut tally.broken);
    });
    match broken.is_empty() {
        true => println!("  kept"),
        false => broken.iter().for_each(|what| println!("  BROKEN: {what}")),
    }
    Ok(broken.is_empty())
}

/// Processes that ask in each of the ways, that are stopped with the lock in their hands, and interrupted.
fn calm(lane: &mut Lane<'_>, figures: &Figures) -> Result<()> {
    let begun = Instant::now();
    lane.start(Mode::Force, 0, None)?;
    lane.start(Mode::Force, 0, None)?;
    let patience = 3 * u64::try_from(LATENCY.as_millis())?;
    lane.start(Mode::DropFutures, patience, None)?;
    lane.start(Mode::DropRuntimes, patience, None)?;
    let mut interrupted = lane.start(Mode::Interrupted, 0, None)?;
    loop {
        lane.listen(Duration::from_millis(20 + below(200)))?;
        match below(3) {
            0 => stop_holder(lane)?,
            1 => {
                let Some(place) = lane.place(interrupted) else { return Err("nobody to interrupt".into()) };
                if lane.crew[place].ready {
                    lane.crew[place].signal(Signal::INT)?;
                    lane.wait_for(
                        "word of the interrupt",
                        |_, heard| matches!(heard, Heard::Said(id, Said::Interrupted) if *id == interrupted),
                    )?;
                    lane.see_off(interrupted)?;
                    interrupted = lane.start(Mode::Interrupted, 0, None)?;
                }
            }
            _ => {}
        }
        if begun.elapsed() >= figures.time || lane.reached(figures.refreshes, figures.drops) {
            return lane.end();
        }
    }
}

/// Stops whoever has the lock, in whatever it is doing, lets the others wait for it, and lets it go on.
fn stop_holder(lane: &mut Lane<'_>) -> Result<()> {
    let Some(holder) = lane.crew.iter().find(|member| member.holds()) else { return Ok(()) };
    holder.signal(Signal::STOP)?;
    let id = holder.id();
    lane.listen(Duration::from_millis(10 + below(100)))?;
    if let Some(place) = lane.place(id) {
        lane.crew[place].signal(Signal::CONT)?;
    }
    lane.count_stop();
    Ok(())
}

/// When a process is killed.
#[derive(Clone, Copy)]
enum Moment {
    /// At a named step, by itself.
    At(Step),
    /// When the server has the request.
    Requested,
    /// When the server has spent the token, and holds back the answer.
    Committed,
    /// At any time.
    Random,
}

impl Moment {
    fn any() -> Self {
        let steps = Step::value_variants();
        let chosen = usize::try_from(below(steps.len() as u64 + 4)).unwrap_or_default();
        match steps.get(chosen) {
            Some(step) => Self::At(*step),
            None if chosen == steps.len() => Self::Requested,
            None if chosen == steps.len() + 1 => Self::Committed,
            None => Self::Random,
        }
    }

    fn name(self) -> String {
        match self {
            Self::At(step) => format!("at the step `{}`", name(step)),
            Self::Requested => "when the request had arrived".to_owned(),
            Self::Committed => "when the token was spent and the answer held back".to_owned(),
            Self::Random => "at a random time".to_owned(),
        }
    }
}

/// Kills processes for as long as there are kills left, with a look at what remains after each round.
fn killing(lane: &mut Lane<'_>, left: &AtomicU64, time: Duration) -> Result<()> {
    let begun = Instant::now();
    let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
    let mut round = 0;
    while begun.elapsed() < time && take() {
        crew(lane)?;
        recover(lane, CHAIN)?;
        let moment = Moment::any();
        kill_at(lane, moment)?;
        lane.count_moment(moment.name());
        round += 1;
        if round % ROUND == 0 {
            end_round(lane)?;
        }
    }
    end_round(lane)
}

/// All processes of the file are killed, and what they left is looked at.
fn end_round(lane: &mut Lane<'_>) -> Result<()> {
    crew(lane)?;
    // One of them may be in the window.
    recover(lane, CHAIN - 1)?;
    lane.end_violently()?;
    lane.check_remains()
}

fn crew(lane: &mut Lane<'_>) -> Result<()> {
    while lane.crew.len() < 3 {
        lane.start(Mode::Force, 8, None)?;
    }
    Ok(())
}

/// After so many kills in the window, new tokens are to be stored first.
fn recover(lane: &mut Lane<'_>, chain: u32) -> Result<()> {
    match lane.chain >= chain {
        true => lane.wait_for("tokens stored after kills", |lane, _| lane.chain == 0),
        false => Ok(()),
    }
}

fn kill_at(lane: &mut Lane<'_>, moment: Moment) -> Result<()> {
    match moment {
        Moment::At(step) => {
            let victim = lane.start(Mode::Force, 8, Some(step))?;
            lane.bury(victim)
        }
        Moment::Random => {
            lane.listen(Duration::from_micros(below(40_000)))?;
            lane.kill(usize::try_from(below(lane.crew.len() as u64))?)
        }
        Moment::Requested => kill_upon(lane, |event| matches!(event, Event::TokenRequest { .. })),
        Moment::Committed => kill_upon(lane, |event| matches!(event, Event::RefreshCommitted { .. })),
    }
}

/// Kills whoever has sent a request when the server tells this.
fn kill_upon(lane: &mut Lane<'_>, event: impl Fn(&Event) -> bool) -> Result<()> {
    lane.wait_for("a request", |_, heard| matches!(heard, Heard::Server(seen) if event(seen)))?;
    let place = lane.crew.iter().position(|member| member.inside()).unwrap_or_default();
    lane.kill(place)
}
