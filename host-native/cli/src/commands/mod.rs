//! The command line, and which file runs what.

mod cargo;
mod completions;
mod doctor;
mod exec;
mod helper;
mod keep_fresh;
mod login;
mod logout;
mod man;
mod providers;
mod status;
mod token;

use crate::demo;
use crate::exit::{Code, Failed, TABLE, end};
use crate::ui;
use clap::{Parser, Subcommand};
use kraube::core::secret::Secret;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Keep one OAuth login alive for every process on this machine
///
/// Log in once; from then on any number of processes ask for an access token and get a living one. A refresh token
/// that may be used only once is redeemed by one process at a time, and new tokens that were received are never lost.
#[derive(Debug, Parser)]
#[command(name = "kraube", version, arg_required_else_help = true, after_help = after_help(), max_term_width = 100)]
pub(crate) struct Cli {
    /// The file with the credentials
    #[arg(long, global = true, value_name = "PATH")]
    credentials: Option<PathBuf>,
    /// Use the credentials of this profile, one of several accounts: profiles/NAME beside the default ones
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Login(login::Args),
    Token(token::Args),
    Exec(exec::Args),
    Helper(helper::Args),
    Status(status::Args),
    Doctor(doctor::Args),
    KeepFresh(keep_fresh::Args),
    Providers(providers::Args),
    Logout(logout::Args),
    Demo(demo::DemoArgs),
    Completions(completions::Args),
    Man(man::Args),
}

impl Cli {
    /// What was typed; or what cargo means, which starts a credential provider with one argument and nothing else.
    pub(crate) fn parse_arguments() -> Self {
        let mut arguments: Vec<_> = std::env::args_os().collect();
        if let [_, only] = arguments.as_slice()
            && only == cargo::PLUGIN
        {
            arguments = cargo::COMMAND.map(Into::into).to_vec();
        }
        Self::parse_from(arguments)
    }
}

pub(crate) fn run(Cli { credentials, profile, command }: &Cli) -> ExitCode {
    let named = match credentials_of(profile.as_deref(), credentials.as_deref()) {
        Ok(named) => named,
        Err(error) => return end(Err(error)),
    };
    let credentials = named.as_deref();
    end(match command {
        Command::Login(args) => login::run(args, credentials),
        Command::Token(args) => token::run(args, credentials),
        Command::Exec(args) => exec::run(args, credentials),
        Command::Helper(args) => helper::run(args, credentials),
        Command::Status(args) => status::run(args, credentials),
        Command::Doctor(args) => doctor::run(args, credentials),
        Command::KeepFresh(args) => keep_fresh::run(args, credentials),
        Command::Providers(args) => providers::run(args, credentials),
        Command::Logout(args) => logout::run(args, credentials),
        Command::Demo(args) => return demo::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    })
}

/// The file that was named, if one was. The parser does not compare what stands before the name of the command with what
/// stands behind it.
fn credentials_of(profile: Option<&str>, credentials: Option<&Path>) -> Result<Option<PathBuf>, Failed> {
    match (profile, credentials) {
        (Some(_), Some(_)) => {
            let error = "--profile names the file of the credentials, and so does --credentials";
            Err(Failed::new(Code::Usage, error).hint("give one of them"))
        }
        (Some(name), None) => {
            kraube::paths::profile_path(name).map(Some).map_err(|error| Failed::of(Code::Usage, &error))
        }
        (None, credentials) => Ok(credentials.map(Path::to_owned)),
    }
}

/// A secret on standard input: arguments can be seen by everybody on the machine. A person is asked for one line.
fn read_secret(what: &str) -> Result<Secret, Failed> {
    if !io::stdin().is_terminal() {
        return read_input();
    }
    ui::say(format_args!("Paste {what}:"));
    read(|text| io::stdin().read_line(text))
}

/// All of standard input. More than is read here, no code and no token has.
fn read_input() -> Result<Secret, Failed> {
    const LONGEST: u64 = 1 << 20;
    read(|text| io::stdin().lock().take(LONGEST).read_to_string(text))
}

fn read(read: impl FnOnce(&mut String) -> io::Result<usize>) -> Result<Secret, Failed> {
    let mut text = String::with_capacity(16 * 1024);
    let read = read(&mut text);
    let secret = Secret::new(text);
    read.map_err(|error| Failed::new(Code::Error, "standard input cannot be read").caused_by(error))?;
    Ok(secret)
}

fn after_help() -> String {
    format!(
        "\
To begin:
  kraube demo                     see it work, with no account
  kraube login --client-id ID     log in, as an application that you registered
  kraube token                    print a living access token

{TABLE}

Environment:
  KRAUBE_CREDENTIALS_PATH  the file with the credentials, unless --credentials
                           names it; by default kraube/credentials.json in
                           $XDG_CONFIG_HOME or ~/.config
  KRAUBE_CLIENT_ID         the client id of your application at the provider
  KRAUBE_LOG               what to tell on standard error: off, error, warn,
                           info, debug, trace
  KRAUBE_EXTRA_CERTS       a file (PEM) of certificates to trust beside those of
                           the system
  SSL_CERT_FILE            the same; but on Linux in place of those of the
                           system, as for other programs
  HTTPS_PROXY, ALL_PROXY   the proxy: http://, https://, socks5:// or socks5h://
                           (names are resolved there)
  NO_PROXY                 hosts that are reached without it
  NO_COLOR                 no color"
    )
}
