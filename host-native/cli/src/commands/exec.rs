//! `kraube exec`: a command with a living access token in its environment.

use super::token::{ACCESS_TOKEN, Life, Source};
use crate::exit::{Code, Failed};
use crate::process;
use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Command;

/// Run a command with a living access token in its environment
///
/// The exit code is that of the command, once it runs. The token is not renewed while the command runs: long-running
/// programs ask `kraube token` again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The environment variable that holds the token
    #[arg(long, value_name = "NAME", default_value = ACCESS_TOKEN, value_parser = variable)]
    env: String,
    #[command(flatten)]
    life: Life,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) fn run(args: &Args, credentials: Option<&Path>) -> Result<Code, Failed> {
    let [program, rest @ ..] = args.command.as_slice() else {
        return Err(Failed::new(Code::Usage, "there is no command to run"));
    };
    let mut command = Command::new(program);
    {
        let source = Source::open(credentials)?;
        let token = args.life.obtain(&source)?;
        command.args(rest).env(&args.env, token.expose());
        // The source ends here, and with it whatever it still had to store: the command's process is no place for that.
    }
    process::go_on()?;
    match become_command(command) {
        Ok(never) => match never {},
        Err(error) => Err(Failed::new(Code::Error, format!("{} cannot be run", program.display())).caused_by(error)),
    }
}

#[cfg(unix)]
fn become_command(mut command: Command) -> io::Result<Infallible> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

#[cfg(not(unix))]
fn become_command(mut command: Command) -> io::Result<Infallible> {
    let status = command.status()?;
    std::process::exit(status.code().unwrap_or(Code::Error as i32))
}

fn variable(name: &str) -> Result<String, &'static str> {
    match name {
        "" => Err("the name is empty"),
        _ if name.contains(['=', '\0']) => Err("a name has no equals sign"),
        _ => Ok(name.to_owned()),
    }
}
