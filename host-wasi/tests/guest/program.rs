//! The program that the tests of the command run: its first argument says what it does.
#![cfg(target_family = "wasm")]
#![allow(missing_docs, unsafe_code, clippy::all, reason = "bindings are generated here")]

use std::io::Write as _;
use wasip2::cli::{environment, exit, stderr, stdout};
use wasip2::filesystem::preopens;

struct Program;

wasip2::cli::command::export!(Program);

impl wasip2::exports::cli::run::Guest for Program {
    fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        match arguments.get(1).map(String::as_str) {
            Some("tell") => {
                let directories = preopens::get_directories().len();
                let environment = environment::get_environment();
                let _ = writeln!(stdout::get_stdout(), "{:?} {environment:?} {directories}", &arguments[2..]);
                let _ = writeln!(stderr::get_stderr(), "told");
                Ok(())
            }
            Some("exit") => exit::exit(Err(())),
            Some("trap") => core::arch::wasm32::unreachable(),
            _ => Err(()),
        }
    }
}
