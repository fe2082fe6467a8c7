//! One fault: the world that it happens in, the run that meets it, and what has to hold afterwards.

use crate::plan::{Call, Scene};
use crate::subject::Work;
use kraube_harsh::{Result, log_in, record, strays, text};
use kraube_testserver::{Config, Login, Server};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// For how long a server that forgives does so: so many cases at once can keep the next process waiting.
const GRACE: Duration = Duration::from_secs(600);

/// What happens at the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// It fails.
    Once(&'static str),
    /// It fails, and so do all later ones of that name on our files.
    FromThenOn(&'static str),
    /// The process is killed right before it.
    Kill,
}

#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) scene: &'static Scene,
    pub(crate) call: Call,
    pub(crate) what: What,
    /// Whether the server accepts the last token once more.
    pub(crate) grace: bool,
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// The old credentials are stored.
    Old,
    /// The new credentials are stored.
    New,
    /// Nothing is stored, as was wanted.
    Gone,
    /// The new credentials were served from memory, and it was said that they end with the process.
    Told,
    /// A process was killed between the server's commit and ours, and the server is strict.
    Killed,
}

/// What was counted.
#[derive(Default)]
pub(crate) struct Tally {
    ends: BTreeMap<End, u64>,
    answers: BTreeMap<String, u64>,
    pub(crate) broken: Vec<String>,
}

/// A server, a directory, and the login in it.
pub(crate) struct World {
    pub(crate) server: Server,
    dir: TempDir,
    /// What the program is told.
    path: PathBuf,
    /// Where the credentials are.
    file: PathBuf,
    work: Work,
    old: Option<Value>,
    next: Login,
}

/// What a run said.
pub(crate) struct Run {
    status: ExitStatus,
    pub(crate) answer: String,
    pub(crate) errors: String,
    pub(crate) trace: String,
}

impl Case {
    /// Runs it, and judges. Anything that does not hold is an error.
    pub(crate) fn run(&self) -> Result<(End, String)> {
        let world = World::new(self.scene, self.grace)?;
        let Call { name, nth } = &self.call;
        let action = match self.what {
            What::Once(errno) => format!("error={errno}:when={nth}"),
            What::FromThenOn(errno) => format!("error={errno}:when={nth}+"),
            What::Kill => format!("signal=SIGKILL:when={nth}"),
        };
        let (trace, inject) = (format!("trace={name}"), format!("inject={name}:{action}"));
        let mut arguments = vec!["-e", &trace, "-e", &inject];
        if self.what != What::Kill {
            // Much faster, as strace then sees these calls alone; but it cannot send signals that way.
            arguments.push("--seccomp-bpf");
        }
        let run = world.run(&arguments)?;
        let end = self.judge(&world, &run).map_err(|what| {
            format!("{what}\n  said: {}\n  log: {}\n  {:?}", run.answer, run.errors.trim_end(), world.server.counters())
        })?;
        Ok((end, run.answer.split(' ').take(2).filter(|word| !word.starts_with("kr_")).collect::<Vec<_>>().join(" ")))
    }

    fn judge(&self, world: &World, run: &Run) -> Result<End> {
        match self.what {
            What::Kill if run.status.signal() != Some(9) => {
                return Err(format!("it was not killed: {}", run.status).into());
            }
            What::Kill => {}
            What::Once(_) | What::FromThenOn(_) => {
                if !run.trace.contains("(INJECTED)") {
                    return Err("the call was never made".into());
                }
                if run.errors.contains("panicked") || !run.status.success() {
                    return Err(format!("it panicked: {}", run.status).into());
                }
                if !["token ", "error ", "saved", "forgotten "].iter().any(|word| run.answer.starts_with(word)) {
                    return Err("neither a token nor a typed error".into());
                }
            }
        }
        world.check_files()?;
        let seen = world.server.counters();
        if (seen.refresh_requests, seen.replays) != (seen.rotations, 0) || seen.rotations > 1 {
            return Err("a token was redeemed twice".into());
        }
        let end = self.stored(world, run)?;
        world.go_on(end, self.grace)?;
        Ok(end)
    }

    /// The old or the new credentials are on the disk, or it was told what became of them.
    fn stored(&self, world: &World, run: &Run) -> Result<End> {
        let stored = match world.file.exists() {
            true => Some(record(&world.file)?),
            false => None,
        };
        let spent = world.server.counters().rotations == 1;
        match (&stored, &world.old) {
            (None, None) if !run.answer.starts_with("saved") => Ok(End::Old),
            (None, Some(_)) if self.scene.work == Work::Logout => Ok(End::Gone),
            (None, _) => Err("the credentials are gone".into()),
            (Some(new), old) => {
                let refresh_token = text(new, "refreshToken")?;
                if new.get("theirs").is_none() && old.is_some() {
                    return Err("a member of another program is lost".into());
                }
                let is_old = old.as_ref().is_some_and(|old| members(old) == members(new));
                if self.scene.work == Work::Save && refresh_token == world.next.refresh_token {
                    return Ok(End::New);
                }
                if !spent && is_old {
                    let claims = ["saved", "forgotten Deleted"].iter().any(|done| run.answer.starts_with(done));
                    return if claims { Err("it claims to have done it".into()) } else { Ok(End::Old) };
                }
                if spent && !is_old && world.server.family_alive(refresh_token) {
                    return Ok(End::New);
                }
                if spent && is_old {
                    let told = run.errors.contains("cannot be stored") && run.errors.contains("ends with this process");
                    let served = run.answer.starts_with("token ") || run.answer == "error unsaved";
                    return match self.what {
                        What::FromThenOn(_) if told && served => Ok(End::Told),
                        What::Kill => Ok(End::Killed),
                        What::Once(_) | What::FromThenOn(_) => Err("new tokens are lost".into()),
                    };
                }
                Err("neither the old nor the new credentials are stored".into())
            }
        }
    }
}

/// What another process must never change while the login lives.
fn members(record: &Value) -> [Option<&Value>; 4] {
    ["refreshToken", "accessToken", "expiresAt", "theirs"].map(|name| record.get(name))
}

impl World {
    pub(crate) fn new(scene: &Scene, grace: bool) -> Result<Self> {
        let grace = grace.then_some(GRACE);
        let server = Server::spawn(Config { grace, ..Config::default() })?;
        let dir = kraube_harsh::directory()?;
        let place = dir.path().canonicalize()?.join("place");
        let file = kraube_harsh::credentials_in(&place);
        let mut old = None;
        if let Some(left) = scene.left {
            fs::create_dir(&place)?;
            fs::set_permissions(&place, fs::Permissions::from_mode(0o700))?;
            log_in(&server, &file, left)?;
            let mut stored = record(&file)?;
            stored["theirs"] = json!({"keep": [1, "ü"]});
            fs::write(&file, serde_json::to_vec(&stored)?)?;
            old = Some(stored);
        }
        let mut path = file.clone();
        if scene.linked {
            path = dir.path().canonicalize()?.join("link.json");
            std::os::unix::fs::symlink("place/credentials.json", &path)?;
        }
        let next = server.issue_login();
        Ok(Self { server, dir, path, file, work: scene.work, old, next })
    }

    /// Runs the program under strace, for the calls on our files alone.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Run> {
        let trace = self.dir.path().join("trace");
        let place = self.file.parent().ok_or("no directory")?;
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(&trace).args(arguments).arg("-P").arg(place);
        let names = ["credentials.json", "credentials.json.lock"].into_iter();
        let hidden = [".credentials.json.tmp", ".credentials.json.next"].into_iter();
        for name in names.chain(hidden) {
            command.arg("-P").arg(place.join(name));
        }
        if self.path != self.file {
            command.arg("-P").arg(&self.path);
        }
        command.arg(std::env::current_exe()?).args(["subject", &crate::subject::name(self.work)]).arg(&self.path);
        let mut run = self.finish(command)?;
        run.trace = fs::read_to_string(&trace).unwrap_or_default();
        Ok(run)
    }

    fn finish(&self, mut command: Command) -> Result<Run> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            let Login { refresh_token, access_token, .. } = &self.next;
            // Whoever was killed does not read it.
            let _ = write!(stdin, "{}\n{refresh_token}\n{access_token}\n", self.server.issuer());
        }
        let output = child.wait_with_output()?;
        Ok(Run {
            status: output.status,
            answer: String::from_utf8(output.stdout)?.trim_end().to_owned(),
            errors: String::from_utf8(output.stderr)?,
            trace: String::new(),
        })
    }

    /// No file of ours is wider than 0600, and at most one beside the credentials holds a token.
    fn check_files(&self) -> Result<()> {
        let place = self.file.parent().ok_or("no directory")?;
        if !place.exists() {
            return Ok(());
        }
        for entry in place.read_dir()? {
            let path = entry?.path();
            let mode = fs::symlink_metadata(&path)?.mode();
            if mode & 0o177 != 0 {
                return Err(format!("{} has mode {mode:o}", path.display()).into());
            }
        }
        match strays(place)?.len() {
            0 | 1 => Ok(()),
            _ => Err("more than one stray file with a token in it".into()),
        }
    }

    /// The next process gets on with what was left, and leaves nothing behind.
    fn go_on(&self, end: End, grace: bool) -> Result<()> {
        if !self.file.exists() {
            return Ok(());
        }
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["subject", &crate::subject::name(Work::Token)]).arg(&self.path);
        let first = self.finish(command)?;
        let stored = record(&self.file)?;
        let alive = self.server.family_alive(text(&stored, "refreshToken")?);
        let seen = self.server.counters();
        let place = self.file.parent().ok_or("no directory")?;
        // A token that lives is served without the lock, and only the lock sweeps.
        let swept = strays(place)?.is_empty() || seen.refresh_requests == 0;
        let holds = match end {
            End::Told | End::Killed if !grace => {
                first.answer == "error rotation_lost" || first.answer.starts_with("token ")
            }
            End::Old | End::New | End::Gone | End::Told | End::Killed => {
                first.answer.starts_with("token ") && alive && seen.replays == 0
            }
        };
        match holds && swept {
            true => Ok(()),
            false => {
                Err(format!("the next process does not get on: {} (alive: {alive}, {seen:?})", first.answer).into())
            }
        }
    }
}

impl Tally {
    pub(crate) fn add(&mut self, case: &Case, result: Result<(End, String)>) {
        match result {
            Ok((end, answer)) => {
                *self.ends.entry(end).or_default() += 1;
                *self.answers.entry(answer).or_default() += 1;
            }
            Err(error) => self.broken.push(format!("{case}: {error}")),
        }
    }

    pub(crate) fn table(&self, took: Duration) -> String {
        let mut text = String::new();
        let all: u64 = self.ends.values().sum::<u64>() + self.broken.len() as u64;
        let _ = writeln!(text, "{all} cases in {} s", took.as_secs());
        for (end, count) in &self.ends {
            let what = match end {
                End::Old => "the old credentials are stored",
                End::New => "the new credentials are stored",
                End::Gone => "nothing is stored, as was wanted",
                End::Told => "the disk never worked again: served from memory, and told",
                End::Killed => "killed in the window of a strict server: told by the next process",
            };
            let _ = writeln!(text, "{count:>6} {what}");
        }
        let answers = self.answers.iter().filter(|(answer, _)| !answer.is_empty());
        let answers = answers.map(|(answer, count)| format!("{count} {answer}")).collect::<Vec<_>>();
        let _ = writeln!(text, "answers: {}", answers.join(", "));
        text
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Call { name, nth } = &self.call;
        let server = if self.grace { ", with grace" } else { "" };
        write!(f, "{}: {name} {nth}, {:?}{server}", self.scene.name, self.what)
    }
}

/// The program under test without strace, at this path and wrapped in another command.
pub(crate) fn subject(wrapper: &mut Command, work: Work, path: &Path) -> Result<String> {
    let output =
        wrapper.arg(std::env::current_exe()?).args(["subject", &crate::subject::name(work)]).arg(path).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}
