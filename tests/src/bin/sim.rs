//! Plays histories and prints what they amount to.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person in a terminal")]

use kraube_tests::sim::{COMMITTED, Failed, Mistake, commit, play, run_all};
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

const HELP: &str = "\
cargo xtask sim [OPTIONS]

  (none)             the committed seeds, as in the tests
  --seed N           one history, with all that happens in it
  --histories N      this many histories, from a seed that is new each time
  --from N           from this seed on
  --threads N        on this many threads; 2
  --mistake NAME     with a mistake that the hosts make
";

struct Options {
    seed: Option<u64>,
    histories: Option<u64>,
    from: Option<u64>,
    threads: usize,
    mistake: Option<Mistake>,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            let names: Vec<&str> = Mistake::ALL.iter().map(|mistake| mistake.name()).collect();
            eprintln!("error: {error}\n\n{HELP}\nMistakes: {}", names.join(", "));
            return ExitCode::from(2);
        }
    };
    let fine = match options.seed {
        Some(seed) => one(seed, options.mistake),
        None => many(&options),
    };
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(seed: u64, mistake: Option<Mistake>) -> bool {
    let story = play(seed, mistake, true);
    story.trace.iter().for_each(|line| println!("{line}"));
    println!("\nseed {seed}, commit {}", commit());
    tell(&story.wrong)
}

fn tell(wrong: &[(kraube_tests::promise::Kind, String)]) -> bool {
    wrong.iter().for_each(|(kind, what)| println!("WRONG: {kind:?}: {what}"));
    wrong.is_empty()
}

fn many(options: &Options) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seeds = match (options.from, options.histories) {
        (None, None) => COMMITTED,
        (from, histories) => {
            let from = from.unwrap_or(now << 24);
            from..from.saturating_add(histories.unwrap_or(COMMITTED.end))
        }
    };
    println!("seeds {} to {}, commit {}", seeds.start, seeds.end - 1, commit());
    let begun = Instant::now();
    let (tally, failed) = run_all(&seeds, options.mistake, options.threads);
    let seconds = begun.elapsed().as_secs_f64();
    print!("{tally}");
    let minutes = cpu_minutes().unwrap_or(seconds * options.threads as f64 / 60.0);
    println!(
        "{seconds:.1} s, {:.0} histories a CPU-second, {:.0} simulated years a CPU-minute",
        tally.histories as f64 / minutes / 60.0,
        tally.years() / minutes
    );
    for Failed { seed, wrong } in &failed {
        println!("\nseed {seed}, commit {}: replay it with `cargo xtask sim --seed {seed}`", commit());
        tell(wrong);
    }
    let missing: Vec<&str> =
        tally.interesting().iter().filter(|(_, count)| *count == 0).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        println!("never met: {}", missing.join(", "));
    }
    println!("{} of {} histories failed", failed.len(), tally.histories);
    failed.is_empty() && missing.is_empty()
}

/// What this process has used, where the system tells it in hundredths of a second.
fn cpu_minutes() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0 / 60.0)
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { seed: None, histories: None, from: None, threads: 2, mistake: None };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        let number = |value: String| value.parse::<u64>().map_err(|_| format!("`{value}` is no number"));
        match argument.as_str() {
            "--seed" => options.seed = Some(number(value()?)?),
            "--histories" => options.histories = Some(number(value()?)?),
            "--from" => options.from = Some(number(value()?)?),
            "--threads" => options.threads = number(value()?)?.clamp(1, 64) as usize,
            "--mistake" => {
                let name = value()?;
                let known = Mistake::ALL.iter().find(|mistake| mistake.name() == name);
                options.mistake = Some(*known.ok_or(format!("there is no mistake `{name}`"))?);
            }
            _ => return Err(format!("what is `{argument}`?")),
        }
    }
    Ok(options)
}
