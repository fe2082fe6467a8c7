//! What there is to carry: the file of the command, the packages under the library.

use crate::Result;
use crate::command::binary;
use crate::report::Row;
use std::collections::BTreeSet;
use std::process::Command;

pub(crate) fn binary_size() -> Result<Row> {
    let size = std::fs::metadata(binary()?)?.len() as f64 / 1e6;
    Ok(Row::new("release binary of the command", format!("{size:.2} MB"), ""))
}

pub(crate) fn dependencies() -> Result<Row> {
    let (direct, total) = (tree(&["--depth", "1"])?, tree(&[])?);
    let row = Row::new("packages under the library", total.to_string(), format!("{direct} of them direct"));
    Ok(row)
}

/// How many packages the library is built from on this system, itself left out.
fn tree(arguments: &[&str]) -> Result<usize> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let fixed = ["tree", "--package", "kraube", "--edges", "normal", "--prefix", "none", "--manifest-path", manifest];
    let output = Command::new(cargo).args(fixed).args(arguments).output()?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let packages: BTreeSet<&str> = text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    Ok(packages.len() - 1)
}
