//! The many processes: started, heard, killed and replaced.

use super::Signal;
use super::report::Report;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// Worker processes, one in each place. Dropping it ends them all.
pub(super) struct Fleet {
    credentials: PathBuf,
    resource: String,
    signals: Sender<Signal>,
    /// How many so far.
    pub(super) started: u64,
    pub(super) workers: Vec<Worker>,
}

/// A process.
pub(super) struct Worker {
    /// No two have the same, whatever place they take.
    pub(super) id: u64,
    child: Child,
    pub(super) tokens: u64,
    /// Whether it got a token since the last disturbance.
    pub(super) served: bool,
    pub(super) doing: Doing,
    /// When it began to do that.
    pub(super) since: Instant,
}

/// What a process is doing, as far as it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Starting,
    HasToken,
    Waiting,
    Locked,
    Redeeming,
    Failing,
}

impl Fleet {
    /// No process yet.
    pub(super) fn new(credentials: &Path, resource: String, signals: Sender<Signal>) -> Self {
        Self { credentials: credentials.to_owned(), resource, signals, started: 0, workers: Vec::new() }
    }

    /// One more.
    pub(super) fn add(&mut self) -> io::Result<()> {
        let worker = self.start()?;
        self.workers.push(worker);
        Ok(())
    }

    pub(super) fn find(&mut self, id: u64) -> Option<(usize, &mut Worker)> {
        self.workers.iter_mut().enumerate().find(|(_, worker)| worker.id == id)
    }

    /// SIGKILL: nothing in the process can see it coming. Another one takes its place. The id of the dead one.
    pub(super) fn kill(&mut self, place: usize) -> io::Result<u32> {
        let Some(worker) = self.workers.get_mut(place) else { return Err(io::ErrorKind::NotFound.into()) };
        worker.child.kill()?;
        worker.child.wait()?;
        let pid = worker.pid();
        let fresh = self.start()?;
        self.workers[place] = fresh;
        Ok(pid)
    }

    /// Closes the pipes and waits until all have ended by themselves. The number of those who did not in this time, or
    /// not well.
    pub(super) fn end(&mut self, time: Duration) -> usize {
        let deadline = Instant::now() + time;
        self.workers.iter_mut().for_each(|worker| drop(worker.child.stdin.take()));
        let mut workers = std::mem::take(&mut self.workers);
        workers.iter_mut().filter_map(|worker| (!worker.ends_well(deadline)).then_some(())).count()
    }

    fn start(&mut self) -> io::Result<Worker> {
        self.started += 1;
        let id = self.started;
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["demo", "--worker", &self.resource])
            .env("KRAUBE_CREDENTIALS_PATH", &self.credentials)
            .stdin(Stdio::piped())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        // Ctrl-C is for the demo alone, which then ends its processes.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn()?;
        let signals = self.signals.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                let signal = match Report::parse(&line) {
                    Some(report) => Signal::Report { id, report },
                    None => Signal::Remark { id, line },
                };
                if signals.send(signal).is_err() {
                    return;
                }
            }
            let _ = signals.send(Signal::Ended { id });
        });
        Ok(Worker { id, child, tokens: 0, served: false, doing: Doing::Starting, since: Instant::now() })
    }
}

impl Worker {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn does(&mut self, doing: Doing) {
        self.doing = doing;
        self.since = Instant::now();
    }

    fn ends_well(&mut self, deadline: Instant) -> bool {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
                Ok(None) | Err(_) => break,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        false
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.end(Duration::from_secs(3));
    }
}
