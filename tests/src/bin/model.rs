//! Explores the full range and prints a table. Arguments: parts of the names of configurations, `--short` for the form that
//! the tests run, or `--mistakes` for the known mistakes of hosts, each with the steps that show it. The columns: worlds and steps between them; how far the farthest world is away; the longest path;
//! worlds in which nothing more happens; of those, the ones in which the login is lost as no client could have helped
//! (a strict server, and a kill or an answer that does not arrive), and in which a process was killed that could not store.
#![allow(clippy::print_stdout)]

use kraube_tests::model::{check, configs};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let (options, wanted): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let all = match options.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => configs::full(),
        ["--short"] => configs::short(),
        ["--mistakes"] => return mistakes(),
        _ => {
            println!("what is {}?", options.join(" "));
            return ExitCode::from(2);
        }
    };
    let (mut fine, mut count, mut states, mut transitions, mut lost) = (true, 0, 0, 0, 0);
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
        (count, states, transitions) = (count + 1, states + report.states, transitions + report.transitions);
        lost += report.lost;
        for (kind, found) in &report.excused {
            println!("    {kind:?}: {} (cannot be kept here)", found.count);
        }
        for (kind, found) in &report.found {
            println!("    {kind:?}: {} violations\n{}", found.count, found.trace);
            fine = false;
        }
    }
    println!("{count} configurations, {states} states, {transitions} transitions");
    println!("in {lost} ends the login is lost, as no client could have helped, and the process was told so");
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Each mistake must be found, and is told by the shortest way to it.
fn mistakes() -> ExitCode {
    let mut fine = true;
    for (config, kinds) in configs::mutants() {
        let report = check(&config);
        for kind in kinds {
            match report.found.get(kind) {
                Some(found) => println!("{}: {kind:?}\n{}", config.name, found.trace),
                None => {
                    println!("{}: {kind:?} is not found", config.name);
                    fine = false;
                }
            }
        }
    }
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
