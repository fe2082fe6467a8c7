//! The other processes of a measurement: this program, started anew. They are told by a line to begin, answer with a
//! line, and end with their standard input.

use crate::Result;
use crate::stage::eager_source;
use crate::waiters::clock;
use clap::Subcommand;
use kraube::TokenSource;
use kraube::store::{FileStore, Store};
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wait4::Wait4;

/// What the naive program sleeps between its tries.
const NAIVE_PAUSE: Duration = Duration::from_millis(50);

#[derive(Subcommand)]
pub(crate) enum Mode {
    /// For each line: a token; answers when that began and ended.
    Wait { path: PathBuf },
    /// For each line: what is stored anew, by trying the lock in fixed intervals; answers the same.
    Poll { path: PathBuf },
    /// From the first line until the end: tokens, each of which it rejects; answers how many.
    Refresh { path: PathBuf },
    /// Runs a program and answers how much memory it had at most.
    Peak { command: Vec<OsString> },
}

impl Mode {
    pub(crate) fn run(&self) -> Result<()> {
        match self {
            Self::Wait { path } => each_line(|| TokenSource::from_file(Some(path))?.blocking_token().map(drop)),
            Self::Poll { path } => each_line(|| poll(path)),
            Self::Refresh { path } => refresh(path),
            Self::Peak { command } => {
                let [program, arguments @ ..] = &command[..] else { return Err("no command".into()) };
                let used = Command::new(program).args(arguments).stdout(Stdio::null()).spawn()?.wait4()?;
                if !used.status.success() {
                    return Err(format!("{}: {}", program.display(), used.status).into());
                }
                println!("{}", used.rusage.maxrss);
                Ok(())
            }
        }
    }

    fn arguments(&self) -> Vec<OsString> {
        let (name, rest) = match self {
            Self::Wait { path } => ("wait", vec![path.into()]),
            Self::Poll { path } => ("poll", vec![path.into()]),
            Self::Refresh { path } => ("refresh", vec![path.into()]),
            Self::Peak { command } => ("peak", [&["--".into()], &command[..]].concat()),
        };
        [vec!["worker".into(), name.into()], rest].concat()
    }

    fn spawn(&self) -> Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        Ok(command.args(self.arguments()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
    }
}

/// Processes of one mode. Dropping it ends them.
pub(crate) struct Crew(Vec<Member>);

struct Member {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Crew {
    pub(crate) fn start(count: usize, mode: &Mode) -> Result<Self> {
        let member = |_| {
            let mut child = mode.spawn()?;
            let stdin = child.stdin.take();
            let stdout = BufReader::new(child.stdout.take().ok_or("no standard output")?);
            Ok(Member { child, stdin, stdout })
        };
        (0..count).map(member).collect::<Result<Vec<_>>>().map(Self)
    }

    pub(crate) fn go(&mut self) -> Result<()> {
        for member in &mut self.0 {
            member.stdin.as_mut().ok_or("it has ended")?.write_all(b"go\n")?;
        }
        Ok(())
    }

    /// A line of each.
    pub(crate) fn answers(&mut self) -> Result<Vec<String>> {
        self.0.iter_mut().map(Member::answer).collect()
    }

    /// Ends their input; what they say last.
    pub(crate) fn finish(mut self) -> Result<Vec<String>> {
        self.0.iter_mut().for_each(|member| drop(member.stdin.take()));
        let last = self.answers()?;
        for member in &mut self.0 {
            let status = member.child.wait()?;
            if !status.success() {
                return Err(format!("a process of the measurement failed: {status}").into());
            }
        }
        Ok(last)
    }
}

impl Member {
    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// The peak memory of a command in bytes. A small process starts it, because a process begins with the peak of the one
/// that started it.
pub(crate) fn peak(command: &Command) -> Result<u64> {
    let command = std::iter::once(command.get_program()).chain(command.get_args()).map(OsString::from).collect();
    let answers = Crew::start(1, &Mode::Peak { command })?.finish()?;
    Ok(answers.first().ok_or("no answer")?.parse()?)
}

fn each_line<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    work: impl Fn() -> std::result::Result<(), E>,
) -> Result<()> {
    for line in io::stdin().lines() {
        line?;
        let start = clock();
        work().map_err(Into::into)?;
        println!("{} {}", start.as_nanos(), clock().as_nanos());
    }
    Ok(())
}

/// Reads again whenever the lock was had, until something else is stored.
fn poll(path: &Path) -> Result<()> {
    let store = FileStore::open(path).map_err(|error| error.detail)?;
    let stored = || store.read().map(|blob| blob.map(|blob| blob.revision())).map_err(|error| error.detail);
    let before = stored()?;
    loop {
        if let Ok(_held) = store.lock(Duration::ZERO, None)
            && stored()? != before
        {
            return Ok(());
        }
        std::thread::sleep(NAIVE_PAUSE);
    }
}

fn refresh(path: &Path) -> Result<()> {
    let source = eager_source(path)?;
    io::stdin().read_line(&mut String::new())?;
    let over = AtomicBool::new(false);
    let mut tokens = 0_u64;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            io::stdin().lines().for_each(drop);
            over.store(true, Ordering::Relaxed);
        });
        while !over.load(Ordering::Relaxed) {
            let token = source.blocking_token()?;
            source.reject(&token);
            tokens += 1;
        }
        Ok::<(), kraube::Error>(())
    })?;
    println!("{tokens}");
    Ok(())
}
