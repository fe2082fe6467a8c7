//! The `kraube` command: parse, run, exit. Each command has its file under `commands`; the demo has a folder.

mod commands;
mod demo;
mod exit;
mod log;
mod process;
mod signals;
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    process::forbid_core_dumps();
    log::start();
    commands::run(&commands::Cli::parse_arguments())
}
