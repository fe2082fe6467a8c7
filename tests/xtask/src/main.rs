//! Builds, tests and measures kraube: `cargo xtask`. One command each, named in [`HELP`].
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person in a terminal")]

mod api;
mod coverage;
mod fuzz;
mod js;
mod mutants;
mod picture;
mod servers;
mod supply;
mod systems;
mod toolchain;
mod tools;
mod wasi;
mod wasi_examples;
mod wasm;

use std::process::{Command, ExitCode};
use std::time::Instant;

const HELP: &str = "\
cargo xtask COMMAND

  test      every suite; installs what it needs through the package managers of the machine
  model     the exhaustive check of the machines, in full: every order of steps, every fault; `--mistakes`: how they show
  sim       seeded histories in virtual time: the committed ones, `--histories N`, or one with `--seed N`
  soak      real processes that force refreshes and are disturbed and killed; `--long` for the figures of the guide
  faults    every system call of lock, read and write fails in turn with every error, and is where a process is killed
  bench     the measurements, as a table with ratios from the same run; `bench js` those of the npm package,
            `bench wasi` those of the components
  wasm      the core, built for wasm, imports nothing
  js        the npm package, into target/js, and what publint and attw say of it; `js test` runs its suites
  servers   the command at authorization servers of others; `--long` with 10,000 rotations
  fuzz      the parsers, each for a minute or for [SECONDS], all or one [TARGET]
  api       the public interface is the committed one
  supply    licences, versions and sources of what kraube is made of; every set of features
  windows   the native host and the command as Windows programs, under Wine
  macos     the same, type-checked for macOS
  wasi      the components, into target/wasi: sans-io, token-provider, and the examples
  package   `cargo package` for every crate that is published
  mutants   changes the core in one place after the other, and sees that a test fails (an hour or more)
  coverage  how much of the core its own tests run, branches too
  picture   the picture of the demo in README, from a real terminal
";

fn main() -> ExitCode {
    if let Some(done) = api::as_rustdoc() {
        return if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    let result = match command {
        "test" => test(rest),
        "model" => binary("model", rest),
        "sim" => binary("sim", rest),
        "soak" => harsh("soak", rest),
        "faults" => tools::for_tests().and_then(|()| harsh("faults", rest)),
        "bench" if rest == ["js"] => js::bench(),
        "bench" if rest.first().is_some_and(|first| first == "wasi") => wasi::bench(&rest[1..]),
        "bench" => bench(rest),
        "wasm" => wasm::check(),
        "js" if rest == ["test"] => js::test(),
        "js" => js::build(),
        "servers" => servers::check(rest),
        "fuzz" => fuzz::run(rest),
        "api" => api::check(),
        "supply" => supply::check(),
        "windows" => systems::windows(rest),
        "macos" => systems::macos(),
        "wasi" => wasi::build(),
        "package" => package(&[]),
        "mutants" => mutants::check(rest),
        "coverage" => coverage::report(rest),
        "picture" => picture::take(),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("there is no command `{other}`\n\n{HELP}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Every suite. The runner's own summary lines come last.
fn test(rest: &[String]) -> Result<(), String> {
    tools::for_tests()?;
    timed("the core imports nothing", wasm::check)?;
    timed("the crates can be packaged", || package(&["--no-verify", "--allow-dirty"]))?;
    let mut arguments = vec!["test", "--workspace", "--no-fail-fast"];
    arguments.extend(rest.iter().map(String::as_str));
    timed("the public interface", api::check)?;
    timed("what it is made of", supply::check)?;
    timed("Windows, under Wine", || systems::windows(&[]))?;
    timed("macOS, type-checked", systems::macos)?;
    timed("the JavaScript package", js::test)?;
    timed("the servers of others", servers::prepare)?;
    timed("the components", wasi::build)?;
    timed("tests", || run("cargo", &arguments))
}

fn bench(rest: &[String]) -> Result<(), String> {
    run("cargo", &["build", "--release", "--package", "kraube-cli"])?;
    let mut arguments = vec!["run", "--release", "--package", "kraube-bench", "--"];
    arguments.extend(rest.iter().map(String::as_str));
    run("cargo", &arguments)
}

/// Without arguments, each crate is also unpacked and built, as its users would.
fn package(arguments: &[&str]) -> Result<(), String> {
    run("cargo", &[&["package", "--quiet", "--workspace"], arguments].concat())
}

/// Not optimised: what these measure is the system, and the suites have built them already.
fn harsh(name: &str, rest: &[String]) -> Result<(), String> {
    let mut arguments = vec!["run", "--quiet", "--package", "kraube-harsh", "--bin", name, "--"];
    arguments.extend(rest.iter().map(String::as_str));
    run("cargo", &arguments)
}

fn binary(name: &str, rest: &[String]) -> Result<(), String> {
    let mut arguments = vec!["run", "--release", "--package", "kraube-tests", "--bin", name, "--"];
    arguments.extend(rest.iter().map(String::as_str));
    run("cargo", &arguments)
}

fn timed(what: &str, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    println!("== {what}");
    let start = Instant::now();
    work()?;
    println!("== {what}: passed in {} s", start.elapsed().as_secs());
    Ok(())
}

/// Runs a program with our terminal; its failure is ours.
fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    run_command(Command::new(program).args(arguments))
}

fn run_command(command: &mut Command) -> Result<(), String> {
    let status = command.status();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let status = status.map_err(|error| format!("`{line}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` failed: {status}")) }
}
