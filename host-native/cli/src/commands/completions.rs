//! `kraube completions`: scripts by which shells complete the command line.

use super::Cli;
use crate::exit::{Code, Failed};
use crate::ui;
use clap::CommandFactory;
use clap_complete::Shell;

/// Print a completion script for a shell
///
/// In bash, for this session: `source <(kraube completions bash)`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failed> {
    // Generators write without a way to fail, so they write to memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kraube", &mut script);
    ui::print(|out| out.write_all(&script))?;
    Ok(Code::Ok)
}
