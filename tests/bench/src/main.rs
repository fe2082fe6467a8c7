//! Measures kraube: one table, each figure beside a reference that was measured in the same run, in turns with it.
//!
//! The rows are in modules by what they need: this process alone (`memory`), the command (`command`), processes that
//! refresh (`refresh`), processes that wait (`waiters`), files (`size`). Other processes than the command are this
//! program itself (`worker`).
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person in a terminal")]

mod command;
#[cfg(feature = "wasi")]
#[path = "../../../host-wasi/src/host.rs"]
mod host;
mod memory;
mod refresh;
mod report;
mod size;
mod stage;
mod waiters;
#[cfg(feature = "wasi")]
mod wasi;
mod worker;

use clap::{Parser, Subcommand, ValueEnum};
use report::Row;
use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures kraube beside references from the same run.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Arguments {
    /// Prints JSON instead of the table.
    #[arg(long)]
    json: bool,
    /// Measures fewer times.
    #[arg(long)]
    quick: bool,
    /// Measures this alone.
    #[arg(long, value_name = "NAME")]
    only: Option<Name>,
    #[command(subcommand)]
    worker: Option<Process>,
}

#[derive(Subcommand)]
enum Process {
    /// The other processes of a measurement.
    #[command(hide = true, subcommand)]
    Worker(worker::Mode),
    /// The components, instead of the rest; this is the folder that they are in.
    #[cfg(feature = "wasi")]
    #[command(hide = true)]
    Wasi { components: std::path::PathBuf },
}

/// How thoroughly to measure.
#[derive(Clone, Copy)]
struct Effort {
    quick: bool,
}

impl Effort {
    fn times(self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    Memory,
    Threads,
    Allocations,
    Cold,
    Refresh,
    Herd,
    Waiters,
    Replays,
    Resident,
    Size,
    Dependencies,
}

impl Name {
    fn measure(self, effort: Effort) -> Result<Row> {
        match self {
            Self::Memory => memory::one_thread(effort),
            Self::Threads => memory::two_threads(effort),
            Self::Allocations => memory::allocations(),
            Self::Cold => command::cold(effort),
            Self::Refresh => refresh::overhead(effort),
            Self::Herd => command::herd(effort),
            Self::Waiters => waiters::wake(effort),
            Self::Replays => refresh::replays(effort),
            Self::Resident => command::resident(effort),
            Self::Size => size::binary_size(),
            Self::Dependencies => size::dependencies(),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.worker {
        Some(Process::Worker(mode)) => mode.run(),
        #[cfg(feature = "wasi")]
        Some(Process::Wasi { components }) => {
            wasi::measure(components, Effort { quick: arguments.quick }).and_then(|rows| print(&arguments, &rows))
        }
        None => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    let names = arguments.only.as_ref().map_or(Name::value_variants(), std::slice::from_ref);
    let mut rows = Vec::new();
    for name in names {
        let value = name.to_possible_value().ok_or("a row without a name")?;
        eprintln!("measuring: {}", value.get_name());
        let row = name.measure(Effort { quick: arguments.quick });
        rows.push(row.map_err(|error| format!("{}: {error}", value.get_name()))?.named(value.get_name()));
    }
    print(arguments, &rows)
}

fn print(arguments: &Arguments, rows: &[Row]) -> Result<()> {
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(rows)?);
    } else {
        print!("{}", report::table(rows));
    }
    Ok(())
}
