//! The public interface of the libraries, as `tests/snapshots/api-*.txt` has it. `KRAUBE_BLESS=1` writes that anew: whoever
//! changes the interface sees the change in the diff.

use crate::{run_command, toolchain};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const LIBRARIES: &[&str] = &["kraube-core", "kraube"];
/// The listing is made of a format that changes with the compiler, so it is always made by this one.
const COMPILER: &str = "1.95.0";
/// Set where this program runs in the place of `rustdoc`.
const AS_RUSTDOC: &str = "KRAUBE_XTASK_AS_RUSTDOC";

/// Compares the interface of each library with the committed one.
pub(crate) fn check() -> Result<(), String> {
    for library in LIBRARIES {
        let listing = listing(library)?;
        let file = PathBuf::from(format!("tests/snapshots/api-{library}.txt"));
        if std::env::var_os("KRAUBE_BLESS").is_some() {
            fs::write(&file, &listing).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        let committed = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let (old, new): (BTreeSet<_>, BTreeSet<_>) = (committed.lines().collect(), listing.lines().collect());
        old.difference(&new).for_each(|line| println!("   - {line}"));
        new.difference(&old).for_each(|line| println!("   + {line}"));
        if committed != listing {
            return Err(format!(
                "the interface of {library} is another one; `KRAUBE_BLESS=1 cargo xtask api` takes it"
            ));
        }
        println!("   {library}: {} public items", listing.lines().count());
    }
    Ok(())
}

fn listing(library: &str) -> Result<String, String> {
    let me = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut cargo = cargo();
    cargo.env("RUSTDOC", me).env(AS_RUSTDOC, "1").args(["rustdoc", "--quiet", "--package", library, "--lib", "--"]);
    run_command(cargo.args(["-Z", "unstable-options", "--output-format", "json", "--cap-lints", "allow"]))?;
    let json = toolchain::folder("doc")?.join(format!("{}.json", library.replace('-', "_")));
    let interface = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build();
    Ok(interface.map_err(|error| format!("the interface of {library} cannot be read: {error}"))?.to_string())
}

fn cargo() -> Command {
    let version = Command::new("rustc").arg("--version").output();
    if version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(COMPILER)) {
        return Command::new("cargo");
    }
    let mut cargo = Command::new("rustup");
    cargo.args(["run", "--install", COMPILER, "cargo"]);
    cargo
}

/// Where cargo started us as its `rustdoc`: runs that with the features of the compiler that are not stable, which the
/// dependencies must not see (they would be built again). `None` where a person started us.
pub(crate) fn as_rustdoc() -> Option<Result<(), String>> {
    std::env::var_os(AS_RUSTDOC)?;
    let mut rustdoc = Command::new("rustdoc");
    Some(run_command(rustdoc.args(std::env::args_os().skip(1)).env("RUSTC_BOOTSTRAP", "1")))
}
