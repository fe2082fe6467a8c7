//! Every system call of the paths that lock, read and write made to fail, one at a time: `cargo xtask faults`.
//!
//! strace is the layer in between. A first run of each scene is traced, which lists its calls on our files (`plan`); then
//! each call meets each error that it can give, once or from then on, and the process is killed before each call
//! (`case`). The program under test is this one itself (`subject`). Real mounts are in `mounts`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person in a terminal")]

#[cfg(target_os = "linux")]
mod case;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod subject;

use std::process::ExitCode;

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("error: this needs strace, which is for Linux");
    ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;
    let arguments = Arguments::parse();
    let done = match &arguments.subject {
        Some(Process::Subject(orders)) => orders.run(),
        None => all(arguments.one_in.max(1)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes every system call on our files fail in turn, and judges what is left.
#[cfg(target_os = "linux")]
#[derive(clap::Parser)]
#[command(name = "cargo xtask faults")]
struct Arguments {
    /// Runs one of so many cases, evenly chosen, and not all of them.
    #[arg(long, value_name = "N", default_value_t = 1)]
    one_in: usize,
    #[command(subcommand)]
    subject: Option<Process>,
}

#[cfg(target_os = "linux")]
#[derive(clap::Subcommand)]
enum Process {
    /// The program under test.
    #[command(hide = true)]
    Subject(subject::Orders),
}

/// So many at once: most of the time they wait.
#[cfg(target_os = "linux")]
const AT_ONCE: usize = 24;

#[cfg(target_os = "linux")]
fn all(one_in: usize) -> kraube_harsh::Result<()> {
    use std::sync::Mutex;
    let begun = std::time::Instant::now();
    let mut broken = mounts::all()?;
    println!("{} real mounts", mounts::COUNT);
    let mut cases = Vec::new();
    for scene in plan::SCENES {
        let calls = plan::calls(scene)?;
        let of_scene = plan::cases(scene, &calls);
        println!("{:<22}{:>4} system calls, {:>5} cases", scene.name, calls.len(), of_scene.len());
        cases.extend(of_scene);
    }
    let cases: Vec<_> = cases.into_iter().step_by(one_in).collect();
    let (queue, done) = (Mutex::new(cases.iter()), Mutex::new(case::Tally::default()));
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = next() {
                    let result = case.run();
                    if let Ok(mut done) = done.lock() {
                        done.add(case, result);
                    }
                }
            });
        }
    });
    let tally = done.into_inner().map_err(|_| "a panic")?;
    print!("{}", tally.table(begun.elapsed()));
    broken.extend(tally.broken);
    broken.iter().for_each(|what| println!("BROKEN: {what}"));
    match broken.is_empty() {
        true => Ok(()),
        false => Err("the promise did not hold".into()),
    }
}
