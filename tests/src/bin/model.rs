//! Explores the full range and prints a table. Arguments: parts of the names of configurations, or `--short` for the form
//! that the tests run.
#![allow(clippy::print_stdout)]

use kraube_tests::model::{check, configs};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let (options, wanted): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|word| word == "--short");
    let all = if options.is_empty() { configs::full() } else { configs::short() };
    let mut fine = true;
    println!(
        "{:44} {:>9} {:>11} {:>5} {:>7} {:>8} {:>7} {:>7} {:>6}",
        "configuration", "states", "transitions", "depth", "longest", "ends", "lost", "unsaved", "s"
    );
    for config in all {
        if !wanted.is_empty() && !wanted.iter().any(|word| config.name.contains(word.as_str())) {
            continue;
        }
        let begun = Instant::now();
        let report = check(&config);
        println!(
            "{:44} {:>9} {:>11} {:>5} {:>7} {:>8} {:>7} {:>7} {:>6.1}",
            config.name,
            report.states,
            report.transitions,
            report.depth,
            report.longest,
            report.ends,
            report.lost,
            report.unsaved,
            begun.elapsed().as_secs_f32()
        );
        for (kind, found) in &report.excused {
            println!("    {kind:?}: {} (cannot be kept here)", found.count);
        }
        for (kind, found) in &report.found {
            println!("    {kind:?}: {} violations\n{}", found.count, found.trace);
            fine = false;
        }
    }
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
