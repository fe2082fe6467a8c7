//! `kraube man`: the manual in roff.

use super::Cli;
use crate::exit::{Code, Failed};
use crate::ui;
use clap::CommandFactory;
use clap_mangen::Man;

/// Print the manual, of one command or of all, for `man`
///
/// `kraube man token | man -l -`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The command
    command: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failed> {
    let mut kraube = Cli::command();
    // Gives the subcommands their full names and the global options.
    kraube.build();
    let man = match &args.command {
        None => Man::new(kraube),
        Some(name) => match kraube.find_subcommand(name) {
            Some(command) => Man::new(command.clone()).title(format!("kraube-{name}")),
            None => {
                let failed = Failed::new(Code::Usage, format!("there is no command {name}"));
                return Err(failed.hint("see `kraube --help`"));
            }
        },
    };
    ui::print(|out| man.render(&mut { out }))?;
    Ok(Code::Ok)
}
