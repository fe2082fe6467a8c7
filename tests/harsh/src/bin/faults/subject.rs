//! The program that meets the fault: one operation of the library on one file, all of it on one thread, because that is
//! how strace counts calls.

use clap::{Args, ValueEnum};
use kraube::Error;
use kraube::core::policy::Policy;
use kraube::core::time::Millis;
use kraube_harsh::{Result, credentials, eager, source_at};
use kraube_testserver::Login;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;

/// What the program is told to do.
#[derive(Args, Clone, Debug)]
pub(crate) struct Orders {
    #[arg(value_enum)]
    pub(crate) work: Work,
    pub(crate) file: PathBuf,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Work {
    /// A token, from kraube's own thread.
    Token,
    /// The stored token, read by the caller's thread.
    Peek,
    /// Stores a login that comes on standard input, in lines: issuer, refresh token, access token.
    Save,
    /// Forgets the login, without revocation.
    Logout,
}

impl Orders {
    pub(crate) fn run(&self) -> Result<()> {
        tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).init();
        match self.work {
            Work::Token => {
                let source = source_at(&self.file, quick())?;
                let runtime = tokio::runtime::Builder::new_current_thread().build()?;
                let token = runtime.block_on(source.token());
                tell(token.map(|token| format!("token {} {}", token.expose(), stale(&token))));
            }
            Work::Peek => {
                let token = source_at(&self.file, quick())?.blocking_token();
                tell(token.map(|token| format!("token {} {}", token.expose(), stale(&token))));
            }
            Work::Save => {
                let text = io::read_to_string(io::stdin())?;
                let [issuer, refresh_token, access_token] = text.lines().collect::<Vec<_>>()[..] else {
                    return Err("no login on standard input".into());
                };
                let (refresh_token, access_token) = (refresh_token.to_owned(), access_token.to_owned());
                let login = Login { refresh_token, access_token, family: 0 };
                let credentials = credentials(issuer, &login, -1000)?;
                tell(kraube::save_credentials(Some(&self.file), &credentials).map(|_| "saved"));
            }
            Work::Logout => {
                tell(kraube::logout(Some(&self.file), false).map(|forgotten| format!("forgotten {forgotten:?}")))
            }
        }
        Ok(())
    }
}

/// Figures that do not keep anybody waiting.
fn quick() -> Policy {
    let (settle, save_pause, save_time) = (Millis(50), Millis(10), Millis(200));
    Policy { settle, save_pause, save_time, torn_pause: Millis(5), patience: Millis(500), ..eager() }
}

fn stale(token: &kraube::Token) -> &'static str {
    token.stale().map_or("fresh", |failure| failure.code())
}

fn tell(result: std::result::Result<impl Display, Error>) {
    let line = match result {
        Ok(done) => done.to_string(),
        Err(error) => format!("error {}", error.code()),
    };
    let _ = writeln!(io::stdout(), "{line}");
}

/// The name on the command line.
pub(crate) fn name(work: Work) -> String {
    work.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
