//! The command at authorization servers of others: `oidc-provider` (npm) and `django-oauth-toolkit` (PyPI).

use crate::{js, run_command, toolchain, tools};
use std::path::Path;
use std::process::{Command, Stdio};

const REQUIREMENTS: &str = "host-native/cli/tests/real_servers/requirements.txt";

/// The suite; `--long` with as many rotations as the guide names.
pub(crate) fn check(rest: &[String]) -> Result<(), String> {
    prepare()?;
    let mut suite = Command::new("cargo");
    suite.args(["test", "--package", "kraube-cli", "--test", "real_servers", "--", "--nocapture"]);
    match rest {
        [] => run_command(&mut suite),
        [long] if long == "--long" => run_command(suite.env("KRAUBE_ROTATIONS", "10000")),
        other => Err(format!("`servers` takes `--long` alone, not {other:?}")),
    }
}

/// Installs the servers.
pub(crate) fn prepare() -> Result<(), String> {
    js::packages(&Path::new(js::SOURCES).join("tests"))?;
    tools::chromium()?;
    python_packages()
}

/// The packages of [`REQUIREMENTS`] into `target/python`, once for each change of it.
fn python_packages() -> Result<(), String> {
    let folder = toolchain::folder("python")?;
    let wanted = std::fs::read(REQUIREMENTS).map_err(|error| format!("{REQUIREMENTS}: {error}"))?;
    let stamp = folder.join(".installed");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let pip =
        |arguments: &[&str]| Command::new("python3").args(["-m", "pip"]).args(arguments).stdout(Stdio::null()).status();
    if !pip(&["--version"]).is_ok_and(|status| status.success()) {
        tools::install(&["python3", "python3-pip"]).map_err(|error| format!("the second server needs pip: {error}"))?;
    }
    println!("   pip install -r {REQUIREMENTS}");
    let target = folder.to_string_lossy();
    let line = ["install", "--quiet", "--upgrade", "--target", &target, "-r", REQUIREMENTS];
    if !pip(&line).is_ok_and(|status| status.success()) {
        return Err(format!("run this, then try again: python3 -m pip {}", line.join(" ")));
    }
    std::fs::write(stamp, wanted).map_err(|error| error.to_string())
}
