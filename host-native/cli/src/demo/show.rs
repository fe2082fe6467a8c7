//! The run itself: log in, start the processes, keep them busy, kill some, settle, and judge.

use super::fleet::{Doing, Fleet};
use super::login::log_in;
use super::report::Report;
use super::tally::Tally;
use super::view::{Kind, View};
use super::{DemoArgs, GRACE, LATENCY, LIFE, Signal, on_interrupt};
use kraube::core::record::Refusal;
use kraube::core::status::State;
use kraube::core::time::Millis;
use kraube::store::FileStore;
use kraube::{Options, TokenSource};
use kraube_testserver::{Config, Event, Server};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long after the server has spent the token a process is killed, in turn: before the answer, most often.
const AIMS: [Duration; 4] =
    [Duration::from_millis(5), Duration::from_millis(55), Duration::from_millis(30), Duration::from_millis(70)];
/// After the load, all must have a token again within this time; so must they at the start.
const SETTLING: Duration = Duration::from_secs(30);

/// Runs the demo.
pub(super) fn run(args: &DemoArgs) -> Result<ExitCode, String> {
    let place = tempfile::Builder::new().prefix("kraube-demo-").tempdir();
    let place = place.map_err(|error| format!("there is no place for the credentials: {error}"))?;
    let credentials = place.path().join("credentials.json");
    let config = Config {
        access_life: Duration::from_millis(LIFE.0),
        grace: (!args.strict).then_some(GRACE),
        latency: LATENCY,
        ..Config::default()
    };
    let server = Server::spawn(config).map_err(|error| format!("the server cannot start: {error}"))?;
    let (sender, signals) = mpsc::channel();
    let interrupted = sender.clone();
    on_interrupt(move || drop(interrupted.send(Signal::Interrupted)))?;
    let events = server.events();
    let forward = sender.clone();
    std::thread::spawn(move || events.iter().try_for_each(|event| forward.send(Signal::Server(event))));

    let mut view = View::new(usize::from(args.processes), args.strict, Duration::from_secs(args.seconds.into()));
    view.say(Kind::Note, format!("an authorization server on {}", server.issuer()));
    view.say(Kind::Note, format!("credentials in {}", credentials.display()));
    let fleet = Fleet::new(&credentials, server.resource_url(), sender);
    let tally = Tally { strict: args.strict, processes: args.processes.into(), ..Tally::default() };
    let mut show = Show {
        server,
        credentials,
        fleet,
        tally,
        view,
        holder: None,
        ended: 0,
        commits: 0,
        strike: None,
        struck: false,
    };
    let Some(()) = show.perform(args, &signals)? else {
        show.view.clear();
        return Ok(ExitCode::from(130));
    };
    let seen = show.server.counters();
    show.tally.judge(&seen);
    show.view.finish();
    let mut out = std::io::stdout();
    let text = if args.json { format!("{}\n", show.tally.json(&seen)) } else { show.tally.table(&seen) };
    out.write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    for broken in &show.tally.broken {
        show.view.verdict(false, broken);
    }
    if show.tally.broken.is_empty() {
        show.view.verdict(true, "the promise was kept");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

struct Show {
    // Dropped first: the processes end while the server still answers.
    fleet: Fleet,
    server: Server,
    credentials: PathBuf,
    tally: Tally,
    view: View,
    /// The process that wrote the mark and did not store anything since.
    holder: Option<u64>,
    /// How often the server rotated.
    commits: u64,
    /// How many processes have ended, for whatever reason.
    ended: u64,
    /// When to kill the holder.
    strike: Option<Instant>,
    /// Whether somebody is still without a token since a kill inside the window.
    struck: bool,
}

impl Show {
    /// `None` where it was interrupted.
    fn perform(&mut self, args: &DemoArgs, signals: &Receiver<Signal>) -> Result<Option<()>, String> {
        self.log_in()?;
        for _ in 0..args.processes {
            self.fleet.add().map_err(|error| format!("a process cannot be started: {error}"))?;
        }
        let ready = self.until(signals, false, SETTLING, |show| show.all_served())?;
        if ready == Turn::Interrupted {
            return Ok(None);
        }
        if ready == Turn::TimeUp {
            return Err(format!("the processes did not all get a token within {} s", SETTLING.as_secs()));
        }
        let begun = Instant::now();
        self.view.begin();
        let load = Duration::from_secs(args.seconds.into());
        if self.until(signals, true, load, |_| false)? == Turn::Interrupted {
            return Ok(None);
        }
        // However slow the machine is, somebody gets killed.
        if self.until(signals, true, SETTLING, |show| show.tally.kills > 0)? == Turn::Interrupted {
            return Ok(None);
        }
        self.strike = None;
        self.tally.load = begun.elapsed();
        self.view.say(Kind::Note, "no more kills; every process has to get a token".to_owned());
        match self.until(signals, false, SETTLING, |show| !show.struck && show.all_served())? {
            Turn::Interrupted => return Ok(None),
            Turn::TimeUp => {
                let without = self.fleet.workers.iter().filter(|worker| !worker.served).count();
                self.tally.broken.push(format!("{without} processes got no token within {} s", SETTLING.as_secs()));
            }
            Turn::Reached => {}
        }
        let bad = self.fleet.end(SETTLING);
        if bad > 0 {
            self.tally.broken.push(format!("{bad} processes did not end well"));
        }
        let heard_out = |show: &Self| show.ended == show.fleet.started;
        if self.until(signals, false, SETTLING, heard_out)? == Turn::Interrupted {
            return Ok(None);
        }
        self.prove_alive();
        Ok(Some(()))
    }

    /// Handles signals until something is reached, or time is up.
    fn until(
        &mut self,
        signals: &Receiver<Signal>,
        load: bool,
        time: Duration,
        reached: impl Fn(&Self) -> bool,
    ) -> Result<Turn, String> {
        let end = Instant::now() + time;
        loop {
            let now = Instant::now();
            if reached(self) {
                return Ok(Turn::Reached);
            }
            if self.strike.is_some_and(|at| at <= now) {
                self.strike()?;
            }
            let due = self.view.draw(&self.fleet, &self.tally, || self.server.counters());
            let wake = [Some(end), self.strike, due].into_iter().flatten().min().unwrap_or(end);
            match signals.recv_timeout(wake.saturating_duration_since(Instant::now())) {
                Ok(Signal::Interrupted) => return Ok(Turn::Interrupted),
                Ok(signal) => self.handle(signal, load)?,
                Err(RecvTimeoutError::Timeout) if now >= end => return Ok(Turn::TimeUp),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err("all processes are gone".to_owned()),
            }
        }
    }

    fn handle(&mut self, signal: Signal, load: bool) -> Result<(), String> {
        match signal {
            Signal::Report { id, report } => self.heard(id, report)?,
            Signal::Remark { id, line } => self.view.say(Kind::Lost, format!("process {id}: {line}")),
            Signal::Ended { id } => {
                self.ended += 1;
                if self.fleet.find(id).is_some() {
                    self.tally.broken.push(format!("process {id} ended by itself"));
                }
            }
            Signal::Server(Event::RefreshCommitted { .. }) => {
                self.commits += 1;
                self.view.mark(Kind::Rotation);
                // Every other one is left in peace.
                if load && self.commits.is_multiple_of(2) {
                    let aim = AIMS[usize::try_from(self.commits / 2).unwrap_or_default() % AIMS.len()];
                    self.strike = Some(Instant::now() + aim);
                }
            }
            Signal::Server(Event::GraceRetry { .. }) => {
                self.view.mark(Kind::Retry);
                self.view.say(Kind::Retry, "after 2 s under the lock, the same token again: accepted".to_owned());
            }
            Signal::Server(Event::Replay { .. }) => self.view.mark(Kind::Lost),
            Signal::Server(_) => {}
            Signal::Interrupted => {}
        }
        Ok(())
    }

    fn heard(&mut self, id: u64, report: Report) -> Result<(), String> {
        match &report {
            Report::Token(waited) => {
                self.tally.tokens += 1;
                if let Some(waited) = *waited {
                    if self.struck { &mut self.tally.after_kill } else { &mut self.tally.calm }.add(waited);
                }
            }
            Report::Resource(status) => *self.tally.resource.entry(*status).or_default() += 1,
            Report::Failed(code) => *self.tally.errors.entry(code.clone()).or_default() += 1,
            Report::Redeeming => self.holder = Some(id),
            Report::Stored => {
                if self.holder == Some(id) {
                    self.holder = None;
                    self.strike = None;
                }
                let waiting = self.fleet.workers.iter().filter(|worker| worker.doing == Doing::Waiting).count();
                if let Some((_, worker)) = self.fleet.find(id) {
                    let pid = worker.pid();
                    self.view.say(Kind::Rotation, format!("process {pid} rotated the token, {waiting} waited for it"));
                }
            }
            Report::Waiting | Report::Locked => {}
        }
        let Some((_, worker)) = self.fleet.find(id) else { return Ok(()) };
        match report {
            Report::Token(_) => {
                worker.tokens += 1;
                worker.served = true;
                worker.does(Doing::HasToken);
            }
            Report::Waiting => worker.does(Doing::Waiting),
            Report::Locked => worker.does(Doing::Locked),
            Report::Redeeming => worker.does(Doing::Redeeming),
            Report::Failed(_) => {
                worker.does(Doing::Failing);
                return self.recover();
            }
            Report::Stored | Report::Resource(_) => {}
        }
        if self.all_served() {
            self.struck = false;
        }
        Ok(())
    }

    /// Logs in again where the stored login is over: the first process to report that is heard, the others come late.
    fn recover(&mut self) -> Result<(), String> {
        let State::Refused(refusal) = self.state()? else { return Ok(()) };
        match refusal {
            Refusal::RotationLost => {
                self.tally.losses += 1;
                self.view.say(Kind::Lost, "reported: rotation_lost; logging in again".to_owned());
            }
            Refusal::Revoked => {
                self.tally.broken.push("a login ended, and no process says that a rotation was lost".to_owned());
                self.view.say(Kind::Lost, "reported: revoked; logging in again".to_owned());
            }
        }
        self.log_in()
    }

    fn state(&self) -> Result<State, String> {
        kraube::status(Some(&self.credentials)).map(|status| status.state).map_err(|error| error.to_string())
    }

    fn log_in(&mut self) -> Result<(), String> {
        log_in(&self.server, &self.credentials)?;
        self.tally.logins += 1;
        self.view.mark(Kind::Login);
        self.view.say(Kind::Login, "logged in".to_owned());
        Ok(())
    }

    /// Kills the process that redeems, and two that wait for it.
    fn strike(&mut self) -> Result<(), String> {
        let Some(holder) = self.holder.take() else {
            // Its word is still in the pipe; or it was long done when word of the rotation came.
            if self.strike.is_none_or(|at| at.elapsed() > LATENCY) {
                self.strike = None;
            }
            return Ok(());
        };
        self.strike = None;
        let Some((place, _)) = self.fleet.find(holder) else { return Ok(()) };
        let pid = self.kill(place)?;
        let left = self.state()?;
        let workers = &self.fleet.workers;
        let others = (1..workers.len()).map(|step| (place + step * 7) % workers.len());
        let waiting = |at: &usize| workers.get(*at).is_some_and(|worker| worker.doing == Doing::Waiting);
        let bystanders: Vec<_> = others.filter(waiting).take(2).collect();
        for at in bystanders {
            self.kill(at)?;
        }
        self.fleet.workers.iter_mut().for_each(|worker| worker.served = false);
        self.view.mark(Kind::Kill);
        // Whoever comes next waits before it writes, so this is what the dead process left.
        if left == State::InDoubt {
            self.tally.kills_inside += 1;
            self.struck = true;
            self.view.say(Kind::Kill, format!("process {pid} killed: the token is spent, the next one not stored"));
        } else {
            self.view.say(Kind::Kill, format!("process {pid} killed, just after it had stored the next token"));
        }
        Ok(())
    }

    fn kill(&mut self, place: usize) -> Result<u32, String> {
        let killed = self.fleet.kill(place);
        let pid = killed.map_err(|error| format!("a process cannot be killed and replaced: {error}"))?;
        self.tally.kills += 1;
        self.view.killed(place);
        Ok(pid)
    }

    fn all_served(&self) -> bool {
        self.fleet.workers.iter().all(|worker| worker.served)
    }

    /// One last token, and one last rotation.
    fn prove_alive(&mut self) {
        let rotations = self.server.counters().rotations;
        if let Err(problem) = last_tokens(&self.credentials) {
            self.tally.broken.push(format!("the stored login is dead at the end: {problem}"));
        } else if self.server.counters().rotations == rotations {
            self.tally.broken.push("a rejected token was not refreshed at the end".to_owned());
        } else {
            self.view.say(Kind::Note, "the stored login is alive: one more token, and one more rotation".to_owned());
        }
    }
}

/// How waiting ended.
#[derive(PartialEq, Eq)]
enum Turn {
    Reached,
    TimeUp,
    Interrupted,
}

fn last_tokens(credentials: &Path) -> Result<(), String> {
    let store = FileStore::open(credentials.to_owned()).map_err(|error| error.detail)?;
    let mut options = Options::from_env();
    options.policy.reject_floor = Millis::ZERO;
    let source = TokenSource::from_store(store, options);
    let token = source.blocking_token().map_err(|error| error.to_string())?;
    source.reject(&token);
    source.blocking_token().map(drop).map_err(|error| error.to_string())
}
