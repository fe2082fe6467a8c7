//! The systems that this machine is not: the native host as a Windows program under Wine, and type-checked for macOS.

use crate::toolchain;
use crate::{run_command, tools};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const WINDOWS: &str = "x86_64-pc-windows-gnu";
const MACOS: &str = "aarch64-apple-darwin";
/// The compiled host programs are shared by both.
const FOLDER: &str = "windows";
const LINKER: &str = "x86_64-w64-mingw32-gcc";

/// What runs as a Windows program: whatever does not ask for another system.
const SUITES: &[&str] = &[
    "store_contract",
    "store_windows",
    "systems_store",
    "systems_processes",
    "source",
    "unsaved",
    "answers",
    "first_look",
    "demo",
    "doctor",
    "dpop",
    "logout",
    "profiles",
    "shape",
    "status",
    "token",
];

/// Compiles the native host, the command and their tests for Windows, and runs them under Wine. `rest` goes to the tests.
pub(crate) fn windows(rest: &[String]) -> Result<(), String> {
    let compiler = toolchain::source(WINDOWS)?;
    if tools::on_path(LINKER).is_none() {
        tools::install(&["gcc-mingw-w64-x86-64-win32"])?;
    }
    if wine().is_none() {
        tools::install(&["wine64"])?;
    }
    let wine = wine().ok_or("wine64 is installed, and is nowhere to be found")?;
    let folder = toolchain::folder(FOLDER)?;
    library(&folder.join(WINDOWS).join("debug"))?;
    let prefix = folder.join("wine");
    std::fs::create_dir_all(&prefix).map_err(|error| format!("{}: {error}", prefix.display()))?;
    // Creates the Windows that the programs find.
    boot(&wine, &prefix, "--init")?;
    let mut cargo = compiler.cargo("std,panic_abort,test");
    in_prefix(&mut cargo, &prefix).env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", &wine).env("RUST_BACKTRACE", "0");
    cargo.args(["test", "--package", "kraube", "--package", "kraube-cli", "--lib", "--no-fail-fast"]);
    cargo.args(SUITES.iter().flat_map(|suite| ["--test", suite]));
    cargo.args(["--target", WINDOWS, "--target-dir"]).arg(&folder).args(rest);
    let done = run_command(&mut cargo);
    // Its services would live on for some seconds.
    boot(&wine, &prefix, "--kill")?;
    done
}

/// Type-checks the native host and the command for macOS: all that can be done without Apple's linker and headers.
pub(crate) fn macos() -> Result<(), String> {
    let compiler = toolchain::source(MACOS)?;
    let mut cargo = compiler.cargo("std");
    // A check compiles no machine code, so the C parts of the cryptography are not needed either.
    cargo.env("CC_aarch64_apple_darwin", "true").env("AR_aarch64_apple_darwin", "true").env("SDKROOT", "/");
    cargo.args(["check", "--package", "kraube", "--package", "kraube-cli", "--target", MACOS, "--target-dir"]);
    run_command(cargo.arg(toolchain::folder(FOLDER)?))
}

fn boot(wine: &Path, prefix: &Path, how: &str) -> Result<(), String> {
    let mut command = Command::new(wine);
    run_command(in_prefix(&mut command, prefix).args(["wineboot", how]).stdout(Stdio::null()).stderr(Stdio::null()))
}

fn in_prefix<'a>(command: &'a mut Command, prefix: &Path) -> &'a mut Command {
    command.env("WINEPREFIX", prefix).env("WINEDEBUG", "-all").env("WINEDLLOVERRIDES", "mscoree,mshtml=")
}

fn wine() -> Option<PathBuf> {
    let beside = PathBuf::from("/usr/lib/wine/wine64");
    tools::on_path("wine64").or_else(|| beside.is_file().then_some(beside))
}

/// Compiles the library that old versions of Wine lack, and lays it beside the programs.
fn library(programs: &Path) -> Result<(), String> {
    for folder in [programs.to_path_buf(), programs.join("deps")] {
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let file = folder.join("bcryptprimitives.dll");
        let mut compiler = Command::new(LINKER);
        compiler.args(["-shared", "-O2", "-Wall", "-Werror", "tests/windows/bcryptprimitives.c", "-ladvapi32", "-o"]);
        run_command(compiler.arg(file))?;
    }
    Ok(())
}
