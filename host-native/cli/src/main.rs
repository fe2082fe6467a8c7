//! The `kraube` command: parse, run, exit. Each command has its file under `commands`.

mod commands;
mod exit;
mod log;
mod process;
mod ui;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    process::forbid_core_dumps();
    log::start();
    commands::run(&commands::Cli::parse())
}
