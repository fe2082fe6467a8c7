//! Builds for wasm, small, with whatever compiler this machine has for it; and looks at what the core imports when it is built so:
//! nothing, or it does I/O.

use crate::toolchain::{self, Source};
use crate::{js, run_command, tools};
use std::path::Path;
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";
/// Debian's compiler comes without one.
const LINKER: &str = "wasm-ld-22";
/// What the compiler uses and every engine has had for years; a stripped module does not say it.
const FEATURES: &[&str] = &[
    "bulk-memory",
    "bulk-memory-opt",
    "multivalue",
    "mutable-globals",
    "nontrapping-float-to-int",
    "reference-types",
    "sign-ext",
];
/// Flattened and built up anew, a module is smaller once more; the stripped sections speak to tools.
const PASSES: &[&str] = &["--strip-producers", "--strip-target-features", "--flatten", "--rereloop", "-Oz", "-Oz"];

/// Builds `tests/pure`, which drives every machine, and reads its import section.
pub(crate) fn check() -> Result<(), String> {
    let module = build("component/kraube-pure.wasm", &["build", "--profile", "component", "--package", "kraube-pure"])?;
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
    let folder = toolchain::folder("wasm")?;
    let compiler = toolchain::with_library(TARGET)?;
    let mut cargo = compiler.cargo("std,panic_abort");
    if compiler == Source::Debian {
        if tools::on_path(LINKER).is_none() {
            tools::install(&["lld-22"])?;
        }
        cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", LINKER);
    }
    cargo.arg("-Zbuild-std-features=optimize_for_size");
    // A panic has nobody to talk to: what it would say is left out.
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", "-Zunstable-options -Cpanic=immediate-abort");
    let (command, arguments) = arguments.split_first().ok_or("cargo needs a command")?;
    cargo.args([command, "--target", TARGET, "--target-dir"]).arg(&folder).args(arguments);
    let status = cargo.status().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("`cargo {command} {}` failed for {TARGET}", arguments.join(" ")));
    }
    let file = folder.join(TARGET).join(made);
    std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))
}

/// A module after the optimiser, binaryen's, whose package is among those of `host-js`: an eighth smaller and more.
pub(crate) fn optimise(from: &Path, to: &Path) -> Result<Vec<u8>, String> {
    js::packages(Path::new(js::SOURCES))?;
    let mut optimiser = Command::new(Path::new(js::SOURCES).join("node_modules/.bin/wasm-opt"));
    optimiser.args(FEATURES.iter().map(|feature| format!("--enable-{feature}"))).args(PASSES);
    run_command(optimiser.arg(from).arg("-o").arg(to))?;
    std::fs::read(to).map_err(|error| format!("{}: {error}", to.display()))
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
