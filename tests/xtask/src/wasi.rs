//! Builds the components of `host-wasi` into `target/wasi`, where its tests find them.

use crate::wasm;
use std::path::PathBuf;

/// The worlds, each a feature of the package.
const WORLDS: &[&str] = &["sans-io", "token-provider"];
/// Components that use them; targets of the package that are built as examples.
const EXAMPLES: &[&str] = &["app"];

/// Builds all of them.
pub(crate) fn build() -> Result<(), String> {
    let folder = folder()?;
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let package = ["--package", "kraube-wasi", "--no-default-features", "--profile", "component"];
    for world in WORLDS {
        let kind = ["rustc", "--lib", "--crate-type", "cdylib", "--features", world];
        keep(world, &wasm::build("component/kraube_wasi.wasm", &[&kind[..], &package[..]].concat())?)?;
    }
    for example in EXAMPLES {
        let made = format!("component/examples/{}.wasm", example.replace('-', "_"));
        keep(example, &wasm::build(&made, &[&["build", "--example", example], &package[..]].concat())?)?;
    }
    Ok(())
}

/// Where the components are.
pub(crate) fn folder() -> Result<PathBuf, String> {
    Ok(wasm::target_folder()?.join("wasi"))
}

/// Makes a component of a module and stores it.
fn keep(name: &str, module: &[u8]) -> Result<(), String> {
    let encoder = wit_component::ComponentEncoder::default().validate(true).module(module);
    let component = encoder.and_then(|mut encoder| encoder.encode()).map_err(|error| format!("{name}: {error:#}"))?;
    let file = folder()?.join(name).with_extension("wasm");
    std::fs::write(&file, &component).map_err(|error| format!("{}: {error}", file.display()))?;
    println!("   {name}.wasm: {} KiB", component.len() / 1024);
    Ok(())
}
