//! The command `kraube`.

mod demo;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Keeps one OAuth login alive for every process on a machine.
#[derive(Parser)]
#[command(name = "kraube", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The whole story on an embedded server, in seconds, with no account.
    Demo(demo::DemoArgs),
}

fn main() -> ExitCode {
    match Args::parse().command {
        Command::Demo(args) => demo::run(&args),
    }
}
