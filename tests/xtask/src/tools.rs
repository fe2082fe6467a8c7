//! The programs that the suites need and cargo does not bring: found, or installed with the machine's package manager, or
//! named with the command that installs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program, the Debian package that brings it, and what needs it.
struct Tool {
    program: &'static str,
    package: &'static str,
    needed_by: &'static str,
}

const FOR_TESTS: &[Tool] = &[
    Tool { program: "flock", package: "util-linux", needed_by: "the lock shared with other programs" },
    Tool { program: "setpriv", package: "util-linux", needed_by: "the files of other users" },
    Tool { program: "strace", package: "strace", needed_by: "the interrupted system calls" },
    Tool { program: "git", package: "git", needed_by: "the credential helpers" },
    Tool { program: "curl", package: "curl", needed_by: "the credential helpers" },
    Tool { program: "npm", package: "npm", needed_by: "the credential helpers" },
    Tool { program: "unshare", package: "util-linux", needed_by: "mounts and names of a test's own" },
    Tool { program: "tinyproxy", package: "tinyproxy-bin", needed_by: "the networks with a proxy" },
    Tool { program: "microsocks", package: "microsocks", needed_by: "the networks with a proxy" },
    Tool { program: "bash", package: "bash", needed_by: "the shell completions" },
];

/// Sees to everything that `cargo xtask test` needs.
pub(crate) fn for_tests() -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    FOR_TESTS.iter().try_for_each(|tool| {
        if on_path(tool.program).is_some() {
            return Ok(());
        }
        install(&[tool.package])
            .map_err(|error| format!("{} needs `{}` (package {}): {error}", tool.needed_by, tool.program, tool.package))
    })
}

/// Node and npm, in a version that the suites and the build of the JavaScript package run on.
pub(crate) fn node() -> Result<(), String> {
    const OLDEST: u32 = 20;
    if on_path("node").is_none() || on_path("npm").is_none() {
        install(&["nodejs", "npm"]).map_err(|error| format!("the JavaScript package needs node and npm: {error}"))?;
    }
    let asked = Command::new("node").arg("--version").output().map_err(|error| format!("node: {error}"))?;
    let version = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= OLDEST) {
        return Ok(());
    }
    Err(format!(
        "the JavaScript package needs node {OLDEST} or newer, and this is {version}: install it from nodejs.org"
    ))
}

/// The packages that a `requirements.txt` names, in a folder of their own, once for each change of it. Where they are.
pub(crate) fn python_packages(requirements: &Path, folder: &Path) -> Result<PathBuf, String> {
    if on_path("python3").is_none() || !succeeds(Command::new("python3").args(["-m", "pip", "--version"])) {
        install(&["python3", "python3-pip"]).map_err(|error| format!("the Python packages need pip: {error}"))?;
    }
    let named = std::fs::read(requirements).map_err(|error| format!("{}: {error}", requirements.display()))?;
    let (packages, stamp) = (folder.join("packages"), folder.join("installed"));
    if std::fs::read(&stamp).is_ok_and(|stamped| stamped == named) {
        return Ok(packages);
    }
    println!("   pip install -r {}", requirements.display());
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
    pip.args(["--upgrade", "--target"]).arg(&packages).arg("-r").arg(requirements);
    if !pip.status().is_ok_and(|status| status.success()) {
        let (packages, requirements) = (packages.display(), requirements.display());
        let line = format!("python3 -m pip install --upgrade --target {packages} -r {requirements}");
        return Err(format!("run this, then try again: {line}"));
    }
    std::fs::write(&stamp, named).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(packages)
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The browser of the suites: `CHROMIUM`, or Debian's.
pub(crate) fn chromium() -> Result<(), String> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    if named.unwrap_or_else(|| "/usr/bin/chromium".into()).is_file() {
        return Ok(());
    }
    install(&["chromium"]).map_err(|error| format!("the browser suites need Chromium: {error}"))
}

/// Installs Debian packages, where this is a Debian and we may; otherwise says what to type.
pub(crate) fn install(packages: &[&str]) -> Result<(), String> {
    let line = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    if on_path("apt-get").is_none() {
        return Err(format!(
            "this machine has no apt-get; install what these Debian packages hold: {}",
            packages.join(" ")
        ));
    }
    let apt = |arguments: &[&str]| {
        Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null()).status()
    };
    let installed = || {
        let arguments = [&["install", "-y", "--no-install-recommends"], packages].concat();
        apt(&arguments).is_ok_and(|status| status.success())
    };
    println!("   installing {}", packages.join(" "));
    if installed() || (apt(&["update"]).is_ok_and(|status| status.success()) && installed()) {
        return Ok(());
    }
    Err(format!("run this as root, then try again: {line}"))
}

/// Compiles a program of the registry, where it is not there yet: without optimisation, which would take longer than it
/// saves.
pub(crate) fn cargo_install(program: &str, version: &str) -> Result<(), String> {
    let bin = std::env::home_dir().map(|home| home.join(".cargo/bin").join(program));
    if on_path(program).is_some() || bin.is_some_and(|file| file.is_file()) {
        return Ok(());
    }
    println!("   installing {program} {version}");
    let line = ["install", "--locked", "--debug", program, "--version", version];
    let status = Command::new("cargo").args(line).status().map_err(|error| format!("cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("run this, then try again: cargo {}", line.join(" "))) }
}

/// Where a program is.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| Path::is_file(file))
}
