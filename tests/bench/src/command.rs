//! The command as a process of its own, beside the smallest program that could do: `cat` of the file.

use crate::report::{Row, difference, median, milliseconds};
use crate::stage::Stage;
use crate::worker;
use crate::{Effort, Result};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const HERD: usize = 200;

pub(crate) fn cold(effort: Effort) -> Result<Row> {
    let stage = Stage::new(Duration::ZERO)?;
    let login = stage.log_in(true)?;
    let printed = token(&stage.path())?.stdout(Stdio::piped()).output()?.stdout;
    if printed.trim_ascii() != login.access_token.as_bytes() {
        return Err("the command does not print the token".into());
    }
    let (mut kraube, mut cat) = (Vec::new(), Vec::new());
    for _ in 0..effort.times(300, 60) {
        kraube.push(run(&mut token(&stage.path())?)?);
        cat.push(run(&mut copy(&stage.path()))?);
    }
    let (kraube, cat) = (median(&mut kraube), median(&mut cat));
    let ratio = kraube.as_secs_f64() / cat.as_secs_f64();
    let row = Row::new("`kraube token`, live on disk", milliseconds(kraube), format!("{} cat", milliseconds(cat)));
    Ok(row.reach(format!("{ratio:.2} x"), "<= 2 x", ratio <= 2.0))
}

/// Many processes at once meet an expired token.
pub(crate) fn herd(effort: Effort) -> Result<Row> {
    let stage = Stage::new(Duration::from_millis(100))?;
    let (mut expired, mut live) = (Vec::new(), Vec::new());
    let mut requests = 0;
    for _ in 0..effort.times(5, 1) {
        stage.log_in(true)?;
        live.push(all_at_once(&stage.path())?);
        stage.log_in(false)?;
        let before = stage.server.counters().token_requests;
        expired.push(all_at_once(&stage.path())?);
        requests = requests.max(stage.server.counters().token_requests - before);
    }
    let (expired, live) = (median(&mut expired), median(&mut live));
    let more = difference(expired, live);
    let round = |time: Duration| format!("{} ms", time.as_millis());
    let row = Row::new("200 processes, token just expired", round(expired), format!("{} token live", round(live)));
    let row = row.reach(format!("{more:+.0} ms"), "<= +150 ms", more <= 150.0 && requests == 1);
    Ok(row.note(format!("at most {requests} token request a round; the endpoint takes 100 ms (reach: 1 request)")))
}

pub(crate) fn resident(effort: Effort) -> Result<Row> {
    let stage = Stage::new(Duration::ZERO)?;
    stage.log_in(true)?;
    let peak = |command: &dyn Fn() -> Result<Command>| -> Result<u64> {
        (0..effort.times(11, 3)).try_fold(0, |most, _| Ok(worker::peak(&command()?)?.max(most)))
    };
    let kraube = peak(&|| token(&stage.path()))?;
    // `cat` has less than the program that starts it here, so what is told of it is the least that can be told.
    let floor = peak(&|| Ok(copy(&stage.path())))?;
    let size = |bytes: u64| format!("{:.1} MiB", bytes as f64 / 1_048_576.0);
    let row = Row::new("peak memory of `kraube token`", size(kraube), format!("{} at least, of any", size(floor)));
    Ok(row.reach(size(kraube), "<= 8 MiB", kraube <= 8 << 20))
}

/// The command, built beside this program.
pub(crate) fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(format!("kraube{}", std::env::consts::EXE_SUFFIX));
    if !path.exists() {
        return Err(format!("{} is missing; `cargo xtask bench` builds it", path.display()).into());
    }
    Ok(path)
}

fn token(credentials: &Path) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.args(["token", "--credentials"]).arg(credentials).stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command)
}

fn copy(credentials: &Path) -> Command {
    let mut command = Command::new("cat");
    command.arg(credentials).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn run(command: &mut Command) -> Result<Duration> {
    let start = Instant::now();
    let status = command.status()?;
    let time = start.elapsed();
    if status.success() { Ok(time) } else { Err(format!("{command:?}: {status}").into()) }
}

/// From before the first start until the last end.
fn all_at_once(credentials: &Path) -> Result<Duration> {
    let mut commands = (0..HERD).map(|_| token(credentials)).collect::<Result<Vec<_>>>()?;
    let start = Instant::now();
    let children = commands.iter_mut().map(Command::spawn).collect::<std::io::Result<Vec<Child>>>()?;
    let mut failed = 0;
    for mut child in children {
        failed += usize::from(!child.wait()?.success());
    }
    let time = start.elapsed();
    if failed == 0 { Ok(time) } else { Err(format!("{failed} of {HERD} processes failed").into()) }
}
