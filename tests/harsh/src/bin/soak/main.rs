//! Real processes that force refreshes while they are disturbed: `cargo xtask soak`.
//!
//! Each phase is a server and many credentials files, each shared by some processes (`lane`), which are this program
//! itself (`worker`). What is counted is judged in `tally`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person in a terminal")]

#[cfg(unix)]
mod lane;
#[cfg(unix)]
mod phase;
#[cfg(unix)]
mod tally;
#[cfg(unix)]
mod worker;

use std::process::ExitCode;
#[cfg(unix)]
use std::time::Duration;

#[cfg(not(unix))]
fn main() -> ExitCode {
    eprintln!("error: the soak goes by signals, which this system does not have");
    ExitCode::FAILURE
}

#[cfg(unix)]
fn main() -> ExitCode {
    use clap::Parser;
    let arguments = Arguments::parse();
    let done = match &arguments.worker {
        Some(Process::Worker(orders)) => orders.run(),
        None => phase::all(&arguments.figures()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Forces refreshes in many processes, which are disturbed and killed, and judges what is left.
#[cfg(unix)]
#[derive(clap::Parser)]
#[command(name = "cargo xtask soak")]
struct Arguments {
    /// The figures that the documentation names: 100,000 refreshes, 10,000 kills, 10,000 dropped futures.
    #[arg(long)]
    long: bool,
    /// Refreshes that are forced while nobody is killed.
    #[arg(long)]
    refreshes: Option<u64>,
    /// Dropped futures, at least, in the same phase.
    #[arg(long)]
    drops: Option<u64>,
    /// Processes that are killed, three quarters of them against a server with a grace, the others without.
    #[arg(long)]
    kills: Option<u64>,
    /// Credentials files in each phase; each is shared by several processes.
    #[arg(long)]
    files: Option<usize>,
    /// For so many seconds a server with a grace accepts the last token once more.
    #[arg(long, default_value_t = 10)]
    grace: u64,
    /// Ends each phase after so many minutes, whatever it has reached by then.
    #[arg(long)]
    minutes: Option<u64>,
    #[command(subcommand)]
    worker: Option<Process>,
}

#[cfg(unix)]
#[derive(clap::Subcommand)]
enum Process {
    /// One of the processes.
    #[command(hide = true)]
    Worker(worker::Orders),
}

/// How much of each.
#[cfg(unix)]
struct Figures {
    refreshes: u64,
    drops: u64,
    kills: u64,
    files: usize,
    /// For how long a server with a grace accepts the last token once more.
    grace: Duration,
    /// The longest time for a phase.
    time: Duration,
}

#[cfg(unix)]
impl Arguments {
    fn figures(&self) -> Figures {
        let time = self.minutes.map_or(Duration::MAX, |minutes| Duration::from_secs(minutes.saturating_mul(60)));
        let grace = Duration::from_secs(self.grace);
        let usual = match self.long {
            true => Figures { refreshes: 100_000, drops: 10_000, kills: 10_000, files: 16, grace, time },
            false => Figures { refreshes: 5_000, drops: 1_000, kills: 240, files: 8, grace, time },
        };
        Figures {
            refreshes: self.refreshes.unwrap_or(usual.refreshes),
            drops: self.drops.unwrap_or(usual.drops),
            kills: self.kills.unwrap_or(usual.kills),
            files: self.files.unwrap_or(usual.files).max(1),
            ..usual
        }
    }
}
