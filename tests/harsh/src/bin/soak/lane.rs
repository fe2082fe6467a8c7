//! One credentials file and the processes that share it: started, heard, disturbed, killed, and looked at afterwards.

use crate::tally::Tally;
use crate::worker::{Mode, Orders, Said, Step};
use kraube::core::policy::Policy;
use kraube::core::time::Millis;
use kraube::store::{FileStore, Store};
use kraube_harsh::{
    Result, below, credentials, credentials_in, directory, eager, log_in, record, source_at, strays, text,
};
use kraube_testserver::{Event, Server};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything takes that is going to happen at all.
const STUCK: Duration = Duration::from_secs(120);

/// The server, and what it tells to the lane whose login it is about.
pub(crate) struct Field {
    pub(crate) server: Server,
    lanes: Mutex<HashMap<u64, Sender<Heard>>>,
    pub(crate) tally: Mutex<Tally>,
}

/// What a lane hears.
pub(crate) enum Heard {
    Said(u64, Said),
    /// A process is gone, and has said everything before.
    Gone(u64),
    Server(Event),
}

pub(crate) struct Lane<'a> {
    field: &'a Field,
    dir: TempDir,
    file: PathBuf,
    family: u64,
    /// Whether the server has ended that login.
    revoked: bool,
    sender: Sender<Heard>,
    heard: Receiver<Heard>,
    started: u64,
    pub(crate) crew: Vec<Member>,
    /// Kills in the window since new tokens were last stored.
    pub(crate) chain: u32,
}

pub(crate) struct Member {
    id: u64,
    pub(crate) mode: Mode,
    child: Child,
    stdin: Option<ChildStdin>,
    /// The step that it told last.
    pub(crate) at: Option<Step>,
    pub(crate) ready: bool,
    gone: bool,
}

impl Member {
    /// Whether the refresh token may be spent and its successor not stored.
    pub(crate) fn inside(&self) -> bool {
        matches!(self.at, Some(Step::Marked | Step::Send | Step::Answered))
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Whether it holds the lock.
    pub(crate) fn holds(&self) -> bool {
        self.inside() || matches!(self.at, Some(Step::Locked | Step::Reread | Step::Mark))
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).ok_or("a process without a number")?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Field {
    pub(crate) fn new(server: Server) -> Self {
        Self { server, lanes: Mutex::default(), tally: Mutex::default() }
    }

    /// Hands out what the server tells, until the server is gone.
    pub(crate) fn dispatch(&self, events: &Receiver<Event>, over: &Receiver<()>, begun: Instant) {
        let mut shown = 0;
        while !matches!(over.try_recv(), Err(mpsc::TryRecvError::Disconnected)) {
            // For whoever waits for a long run.
            let minutes = begun.elapsed().as_secs() / 60;
            if minutes > shown {
                shown = minutes;
                let rotations = self.server.counters().rotations;
                self.count(|tally| eprintln!("  {minutes} min: {rotations} refreshes, {} kills", tally.kills));
            }
            let Ok(event) = events.recv_timeout(Duration::from_millis(100)) else { continue };
            #[expect(clippy::wildcard_enum_match_arm, reason = "the server may tell more one day")]
            let family = match event {
                Event::RefreshCommitted { family, .. } | Event::GraceRetry { family, .. } => family,
                Event::FamilyRevoked { family } => family,
                Event::TokenRequest { family: Some(family) } => family,
                _ => continue,
            };
            let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(lane) = lanes.get(&family) {
                let _ = lane.send(Heard::Server(event));
            }
        }
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl<'a> Lane<'a> {
    pub(crate) fn new(field: &'a Field) -> Result<Self> {
        let dir = directory()?;
        let file = credentials_in(dir.path());
        let (sender, heard) = mpsc::channel();
        let family = log_in(&field.server, &file, -1000)?.family;
        let mut lane =
            Self { field, dir, file, family, revoked: false, sender, heard, started: 0, crew: Vec::new(), chain: 0 };
        lane.goes_by(family);
        Ok(lane)
    }

    fn goes_by(&mut self, family: u64) {
        self.family = family;
        self.revoked = false;
        let mut lanes = self.field.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.insert(family, self.sender.clone());
    }

    pub(crate) fn start(&mut self, mode: Mode, pause: u64, die_at: Option<Step>) -> Result<u64> {
        self.started += 1;
        let id = self.started;
        let orders = Orders { mode, file: self.file.clone(), pause, die_at };
        let (reader, writer) = std::io::pipe()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(orders.arguments()).stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);
        // Ctrl-C in a terminal is for the starter.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        drop(command);
        let stdin = child.stdin.take();
        let sender = self.sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(std::result::Result::ok) {
                let said = line.parse().unwrap_or_else(Said::Broken);
                let _ = sender.send(Heard::Said(id, said));
            }
            let _ = sender.send(Heard::Gone(id));
        });
        self.crew.push(Member { id, mode, child, stdin, at: None, ready: false, gone: false });
        Ok(id)
    }

    pub(crate) fn place(&self, id: u64) -> Option<usize> {
        self.crew.iter().position(|member| member.id == id)
    }

    /// Takes in what is heard for this long.
    pub(crate) fn listen(&mut self, time: Duration) -> Result<()> {
        self.hear_until(time, |_, _| false).map(drop)
    }

    /// Takes in what is heard until something is seen; whether it was.
    pub(crate) fn hear_until(&mut self, time: Duration, seen: impl Fn(&Self, &Heard) -> bool) -> Result<bool> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(heard) = self.heard.recv_timeout(left) else { return Ok(false) };
            self.take_in(&heard)?;
            if seen(self, &heard) {
                return Ok(true);
            }
        }
    }

    /// Takes in what is heard until something is seen that must come.
    pub(crate) fn wait_for(&mut self, what: &str, seen: impl Fn(&Self, &Heard) -> bool) -> Result<()> {
        match self.hear_until(STUCK, seen)? {
            true => Ok(()),
            false => Err(format!("{what}: it never happened; {}", self.describe()).into()),
        }
    }

    fn take_in(&mut self, heard: &Heard) -> Result<()> {
        match heard {
            Heard::Server(Event::FamilyRevoked { family }) if *family == self.family => self.revoked = true,
            Heard::Server(_) => {}
            Heard::Gone(id) => {
                if let Some(place) = self.place(*id) {
                    self.crew[place].gone = true;
                }
            }
            Heard::Said(id, said) => self.take_in_word(*id, said)?,
        }
        Ok(())
    }

    fn take_in_word(&mut self, id: u64, said: &Said) -> Result<()> {
        let place = self.place(id);
        match said {
            Said::At(step) => {
                if let Some(place) = place {
                    self.crew[place].at = Some(*step);
                }
                if *step == Step::Stored {
                    self.chain = 0;
                }
            }
            Said::Ready => {
                if let Some(place) = place {
                    self.crew[place].ready = true;
                }
            }
            Said::Token => self.field.count(|tally| tally.tokens += 1),
            Said::DroppedFuture => self.field.count(|tally| tally.dropped_futures += 1),
            Said::DroppedRuntime => self.field.count(|tally| tally.dropped_runtimes += 1),
            Said::Interrupted => self.field.count(|tally| tally.interrupts += 1),
            Said::Failed(code) if code == "rotation_lost" && self.revoked => {
                self.field.count(|tally| tally.losses_reported += 1);
                self.log_in_anew()?;
            }
            // Those who ask again before there is a new login, and a report that overtook the server's.
            Said::Failed(code) if code == "rotation_lost" => self.field.count(|tally| tally.reports += 1),
            Said::Failed(code) => self.field.count(|tally| *tally.errors.entry(code.clone()).or_default() += 1),
            Said::Broken(what) => self.field.count(|tally| tally.broken.push(what.clone())),
        }
        Ok(())
    }

    fn log_in_anew(&mut self) -> Result<()> {
        let login = self.field.server.issue_login();
        self.goes_by(login.family);
        kraube::save_credentials(Some(&self.file), &credentials(&self.field.server.issuer(), &login, -1000)?)?;
        self.chain = 0;
        Ok(())
    }

    /// A process that was killed, by itself or by us, is taken from the crew when it has said its last word.
    pub(crate) fn bury(&mut self, id: u64) -> Result<()> {
        let gone = |lane: &Self| lane.place(id).is_none_or(|place| lane.crew[place].gone);
        if !gone(self) {
            self.wait_for("the end of a process that was killed", |lane, _| gone(lane))?;
        }
        let Some(place) = self.place(id) else { return Ok(()) };
        let mut member = self.crew.remove(place);
        let status = member.child.wait()?;
        if std::os::unix::process::ExitStatusExt::signal(&status) != Some(Signal::KILL.as_raw()) {
            let what = format!("a process ended before it was killed: {status}");
            self.field.count(|tally| tally.broken.push(what));
        }
        let inside = member.inside();
        self.chain += u32::from(inside);
        self.field.count(|tally| {
            tally.kills += 1;
            tally.kills_inside += u64::from(inside);
        });
        Ok(())
    }

    pub(crate) fn kill(&mut self, place: usize) -> Result<()> {
        let member = &mut self.crew[place];
        let id = member.id;
        member.child.kill()?;
        self.bury(id)
    }

    /// A process that was asked to end does so by itself, and well.
    pub(crate) fn see_off(&mut self, id: u64) -> Result<()> {
        let gone = |lane: &Self| lane.place(id).is_none_or(|place| lane.crew[place].gone);
        if !gone(self) {
            self.wait_for("the end of a process that was asked to end", |lane, _| gone(lane))?;
        }
        let Some(place) = self.place(id) else { return Ok(()) };
        let status = self.crew.remove(place).child.wait()?;
        if !status.success() {
            self.field.count(|tally| tally.broken.push(format!("a process ended badly: {status}")));
        }
        Ok(())
    }

    /// Everybody is asked to end.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.crew.iter_mut().for_each(|member| drop(member.stdin.take()));
        while let Some(id) = self.crew.first().map(|member| member.id) {
            self.see_off(id)?;
        }
        Ok(())
    }

    /// Everybody is killed.
    pub(crate) fn end_violently(&mut self) -> Result<()> {
        while !self.crew.is_empty() {
            self.kill(usize::try_from(below(self.crew.len() as u64))?)?;
        }
        Ok(())
    }

    /// What must hold whatever has happened, when no process is alive.
    pub(crate) fn check_remains(&self) -> Result<()> {
        let mut broken = Vec::new();
        match record(&self.file).and_then(|record| text(&record, "refreshToken").map(drop)) {
            Ok(()) => {}
            Err(error) => broken.push(format!("the credentials cannot be read: {error}")),
        }
        let strays = strays(self.dir.path())?;
        if strays.len() > 1 {
            broken.push(format!("more than one stray file with a token in it: {strays:?}"));
        }
        let known = ["credentials.json", "credentials.json.lock", ".credentials.json.tmp", ".credentials.json.next"];
        let names: BTreeSet<_> = self.names()?;
        if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
            broken.push(format!("there is a file named {name}"));
        }
        let store = FileStore::open(&self.file).map_err(|error| error.detail)?;
        if let Err(error) = store.lock(Duration::ZERO, None) {
            broken.push(format!("nobody is alive, and the lock cannot be had: {error}"));
        }
        self.field.count(|tally| {
            tally.looks += 1;
            tally.strays += strays.len() as u64;
            tally.broken.extend(broken);
        });
        Ok(())
    }

    /// A process without troubles gets a token, and what is stored then is what the server knows as the newest. `false`
    /// where the server had ended the login and that is what the process says.
    pub(crate) fn check_alive(&mut self) -> Result<bool> {
        // A doubt is settled first, however long that takes, and then the new refresh token is used.
        let source = source_at(&self.file, Policy { patience: Millis::from_secs(60), ..eager() })?;
        let token = source.blocking_token().and_then(|token| {
            source.reject(&token);
            source.blocking_token()
        });
        let mut broken = Vec::new();
        let alive = match &token {
            Ok(token) => {
                broken.extend(token.stale().map(|failure| format!("a token was not refreshed: {}", failure.code())));
                true
            }
            Err(error) if error.code() == "rotation_lost" => false,
            Err(error) => {
                broken.push(format!("there is no token in the end: {}", error.code()));
                true
            }
        };
        let record = record(&self.file)?;
        if self.field.server.family_alive(text(&record, "refreshToken")?) != alive {
            broken.push(format!(
                "the stored login, which the library calls {}, is not",
                if alive { "alive" } else { "lost" }
            ));
        }
        if !alive {
            self.field.count(|tally| tally.losses_reported += 1);
            self.log_in_anew()?;
        }
        self.field.count(|tally| tally.broken.extend(broken));
        Ok(alive)
    }

    /// Whether this phase has seen so many rotations and dropped futures.
    pub(crate) fn reached(&self, refreshes: u64, drops: u64) -> bool {
        let mut dropped = 0;
        self.field.count(|tally| dropped = tally.dropped_futures);
        dropped >= drops && self.field.server.counters().rotations >= refreshes
    }

    pub(crate) fn count_stop(&self) {
        self.field.count(|tally| tally.stops += 1);
    }

    pub(crate) fn count_moment(&self, moment: String) {
        self.field.count(|tally| *tally.moments.entry(moment).or_default() += 1);
    }

    fn names(&self) -> Result<BTreeSet<String>> {
        let entries = Path::read_dir(self.dir.path())?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn describe(&self) -> String {
        let crew = self.crew.iter().map(|member| (member.id, member.mode, member.at, member.gone));
        format!("{:?}, files {:?}", crew.collect::<Vec<_>>(), self.names())
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        for member in &mut self.crew {
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }
}
