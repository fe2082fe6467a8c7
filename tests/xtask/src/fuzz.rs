//! Fuzzes the parsers: `cargo xtask fuzz [SECONDS] [TARGET]`, each target for a minute where nothing else is said. The
//! committed inputs are where it starts; what it finds on the way stays in `tests/fuzz/found`, and is not committed.

use crate::{run_command, tools};
use std::fs;
use std::path::Path;
use std::process::Command;

const FOLDER: &str = "tests/fuzz";

pub(crate) fn run(rest: &[String]) -> Result<(), String> {
    let mut rest = rest.iter();
    let seconds: u32 = rest.next().map_or(Ok(60), |text| text.parse()).map_err(|_| "SECONDS is a number")?;
    let one = rest.next();
    tools::cargo_install("cargo-fuzz", "0.13.2")?;
    let mut targets: Vec<String> = names(&Path::new(FOLDER).join("fuzz_targets"))?;
    targets.retain(|target| one.is_none_or(|one| one == target));
    if targets.is_empty() {
        return Err(format!("there is no such target in {FOLDER}/fuzz_targets"));
    }
    for target in &targets {
        println!("== {target}");
        let found = Path::new(FOLDER).join("found").join(target);
        fs::create_dir_all(&found).map_err(|error| format!("{}: {error}", found.display()))?;
        let mut fuzz = Command::new("cargo");
        // The sanitizers are not stable; the rest of the compiler is.
        fuzz.env("RUSTC_BOOTSTRAP", "1").args(["fuzz", "run", "--fuzz-dir", FOLDER, target]);
        fuzz.arg(found).arg(format!("{FOLDER}/corpus/{target}")).arg("--");
        fuzz.arg(format!("-max_total_time={seconds}")).args(["-max_len=16384", "-timeout=10", "-print_final_stats=1"]);
        run_command(&mut fuzz)?;
    }
    Ok(())
}

fn names(folder: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}
