//! `kraube doctor`: what may be wrong, line by line.

use crate::exit::{Code, Failed};
use crate::process;
use crate::ui;
use clap::ValueEnum;
use kraube::doctor::{Facts, Finding, Level, Locks, examine, look, try_lock};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// Look for what is wrong: file, locks, disk, network, server, login
///
/// Nothing is changed: locks and writes are tried on scratch files beside the credentials, which are removed again. The
/// server is asked for its metadata, and sees no token. The exit code is 1 where a line is a failure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print an object for programs
    #[arg(long)]
    json: bool,
    /// Be one of the two processes that try a lock
    #[arg(long, hide = true, value_enum, requires = "scratch", conflicts_with = "json")]
    lock: Option<Role>,
    /// The file that they try it on
    #[arg(long, hide = true)]
    scratch: Option<PathBuf>,
}

/// What a child does with the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Takes it and holds it until standard input ends.
    Hold,
    /// Tries to take it.
    Try,
}

/// While scratch files are there.
static TRYING: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(args: &Args, credentials: Option<&Path>) -> Result<Code, Failed> {
    if let (Some(role), Some(scratch)) = (args.lock, &args.scratch) {
        return child(role, scratch);
    }
    process::end_when_not(|| TRYING.load(Ordering::SeqCst));
    TRYING.store(true, Ordering::SeqCst);
    let facts = look(credentials, two_processes);
    TRYING.store(false, Ordering::SeqCst);
    process::go_on()?;
    let facts = facts?;
    let findings = examine(&facts);
    if args.json {
        ui::print(|out| write_json(&facts, &findings, out))?;
    } else {
        ui::print(|out| findings.iter().try_for_each(|finding| write_line(finding, out)))?;
    }
    let failed = findings.iter().any(|finding| finding.level == Level::Failure);
    Ok(if failed { Code::Error } else { Code::Ok })
}

fn write_line(Finding { check, level, text, advice, .. }: &Finding, out: &mut dyn Write) -> io::Result<()> {
    let style = ui::output_style(match level {
        Level::Ok => anstyle::AnsiColor::Green,
        Level::Warning => anstyle::AnsiColor::Yellow,
        Level::Failure => anstyle::AnsiColor::Red,
    });
    const LEVEL: usize = 8;
    const CHECK: usize = 13;
    const INDENT: usize = LEVEL + 1 + CHECK;
    let text = ui::indented(&ui::plain(text), INDENT);
    writeln!(out, "{style}{:<LEVEL$}{style:#} {check:<CHECK$}{text}", level.code())?;
    if let Some(advice) = advice {
        writeln!(out, "{:INDENT$}-> {}", "", ui::indented(&ui::plain(advice), INDENT + 3))?;
    }
    Ok(())
}

fn write_json(facts: &Facts, findings: &[Finding], out: &mut dyn Write) -> io::Result<()> {
    let findings = findings.iter().map(|Finding { check, level, text, advice, .. }| Line {
        check,
        level: level.code(),
        text,
        advice: advice.as_deref(),
    });
    serde_json::to_writer(&mut *out, &Json { credentials: &facts.path, findings: findings.collect() })?;
    writeln!(out)
}

#[derive(serde::Serialize)]
struct Json<'a> {
    credentials: &'a str,
    findings: Vec<Line<'a>>,
}

#[derive(serde::Serialize)]
struct Line<'a> {
    check: &'static str,
    level: &'static str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'a str>,
}

const HELD: &str = "held";
const BUSY: &str = "busy";

/// One holds the lock; another one must not get it until the first has ended.
fn two_processes(scratch: &Path) -> Locks {
    let tried = || -> io::Result<Locks> {
        let holder = Holder::start(scratch)?;
        match answer_of(Role::Try, scratch)?.as_str() {
            BUSY => {}
            HELD => return Ok(Locks::Shared),
            other => return Ok(Locks::Failed(other.to_owned())),
        }
        holder.end()?;
        Ok(match answer_of(Role::Try, scratch)?.as_str() {
            HELD => Locks::Exclude,
            BUSY => Locks::Stuck,
            other => Locks::Failed(other.to_owned()),
        })
    };
    tried().unwrap_or_else(|error| Locks::Failed(error.to_string()))
}

/// A child that has the lock.
struct Holder {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Holder {
    fn start(scratch: &Path) -> io::Result<Self> {
        let mut child = command(Role::Hold, scratch)?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let holder = Self { child, stdin };
        let mut line = String::new();
        BufReader::new(stdout.ok_or_else(broken)?).read_line(&mut line)?;
        if line.trim() == HELD { Ok(holder) } else { Err(io::Error::other(line.trim().to_owned())) }
    }

    fn end(mut self) -> io::Result<()> {
        self.stop()
    }

    fn stop(&mut self) -> io::Result<()> {
        drop(self.stdin.take());
        self.child.wait().map(drop)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

fn answer_of(role: Role, scratch: &Path) -> io::Result<String> {
    let output = command(role, scratch)?.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn command(role: Role, scratch: &Path) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    let role = role.to_possible_value().ok_or_else(broken)?;
    command.args(["doctor", "--lock", role.get_name(), "--scratch"]).arg(scratch);
    Ok(command)
}

fn broken() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

/// What one child says, and does until it is told to end.
fn child(role: Role, scratch: &Path) -> Result<Code, Failed> {
    let lock = try_lock(scratch);
    let answer = match &lock {
        Ok(Some(_)) => HELD.to_owned(),
        Ok(None) => BUSY.to_owned(),
        Err(error) => error.to_string(),
    };
    ui::print(|out| writeln!(out, "{answer}"))?;
    if role == Role::Hold {
        let _ = io::stdin().read_to_end(&mut Vec::new());
    }
    Ok(Code::Ok)
}
