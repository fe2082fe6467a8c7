//! Builds for wasm, with whatever compiler this machine has for it; and looks at what the core imports when it is built so:
//! nothing, or it does I/O.

use crate::tools;
use std::path::PathBuf;
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";
/// Debian's compiler for the web and a linker, for machines where rustup has no wasm target.
const DEBIAN: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld-22"];

/// Builds `tests/pure`, which drives every machine, and reads its import section.
pub(crate) fn check() -> Result<(), String> {
    let module = build("release/kraube-pure.wasm", &["build", "--release", "--package", "kraube-pure"])?;
    let imports = imports(&module)?;
    let functions = functions(&module)?;
    if !imports.is_empty() {
        return Err(format!("the core imports {}", imports.join(", ")));
    }
    // A module in which the compiler has seen through everything would import nothing whatever the core does.
    if functions < 100 {
        return Err(format!("only {functions} functions are left of the core: the check says nothing"));
    }
    println!("   {functions} functions in {} KiB, imports: none", module.len() / 1024);
    Ok(())
}

/// Runs cargo with these arguments for the target, and reads what it has made there.
pub(crate) fn build(made: &str, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let folder = target_folder()?.join("wasm");
    let mut cargo = if has_target() { stock() } else { debian()? };
    cargo.args(arguments).args(["--target", TARGET]).arg("--target-dir").arg(&folder);
    let status = cargo.status().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("`cargo {}` failed for {TARGET}", arguments.join(" ")));
    }
    let file = folder.join(TARGET).join(made);
    std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))
}

fn imports(module: &[u8]) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        if let wasmparser::Payload::ImportSection(section) = payload.map_err(|error| error.to_string())? {
            for import in section.into_imports() {
                let import = import.map_err(|error| error.to_string())?;
                found.push(format!("{}.{}", import.module, import.name));
            }
        }
    }
    Ok(found)
}

fn functions(module: &[u8]) -> Result<u32, String> {
    let mut count = 0;
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        if let wasmparser::Payload::FunctionSection(section) = payload.map_err(|error| error.to_string())? {
            count += section.count();
        }
    }
    Ok(count)
}

/// Where cargo builds.
pub(crate) fn target_folder() -> Result<PathBuf, String> {
    let asked = Command::new("cargo").args(["metadata", "--format-version", "1", "--no-deps"]).output();
    let output = asked.map_err(|error| error.to_string())?.stdout;
    let text = String::from_utf8_lossy(&output);
    let (_, rest) = text.split_once("\"target_directory\":\"").ok_or("cargo metadata names no target directory")?;
    Ok(PathBuf::from(rest.split('"').next().unwrap_or_default()))
}

/// Whether the compiler in use brings the target, or rustup can.
fn has_target() -> bool {
    let there = || {
        let asked = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
        asked.is_ok_and(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
    };
    let add = || Command::new("rustup").args(["target", "add", TARGET]).output();
    there() || (tools::on_path("rustup").is_some() && add().is_ok_and(|output| output.status.success()) && there())
}

fn stock() -> Command {
    Command::new("cargo")
}

/// Debian's compiler has no prebuilt library for the target, so that is built along.
fn debian() -> Result<Command, String> {
    if !["/usr/bin/rustc", "/usr/bin/cargo"].iter().all(|file| PathBuf::from(file).is_file())
        || tools::on_path("wasm-ld-22").is_none()
    {
        tools::install(DEBIAN)
            .map_err(|error| format!("neither rustup nor this machine has the target {TARGET}: {error}"))?;
    }
    let mut cargo = Command::new("/usr/bin/cargo");
    cargo
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", "/usr/bin/rustc")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-22")
        .env_remove("RUSTUP_TOOLCHAIN")
        .arg("-Zbuild-std=std,panic_abort");
    Ok(cargo)
}
