//! The command at authorization servers of others: `oidc-provider` (npm) and `django-oauth-toolkit` (PyPI).

use crate::{js, run_command, toolchain, tools};
use std::path::Path;
use std::process::Command;

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
    tools::python_packages(Path::new(REQUIREMENTS), &toolchain::folder("python")?).map(|_| ())
}
