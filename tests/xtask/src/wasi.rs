//! Builds the components of `host-wasi` into `target/wasi`, where its tests find them.

use crate::{js, run, toolchain, wasi_examples, wasm};
use std::path::{Path, PathBuf};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions};

/// The worlds, each a feature of the package.
const WORLDS: &[&str] = &["sans-io", "token-provider"];
/// Components that use them; targets of the package that are built as examples.
const EXAMPLES: &[&str] = &["app", "calls", "guest"];
/// Those that are also stored with the provider inside, as `*-composed`.
const COMPOSED: &[&str] = &["app", "calls", "guest", "js", "python"];

/// Builds all of them, and what their tests run beside them.
pub(crate) fn build() -> Result<(), String> {
    js::for_deno()?;
    let folder = folder()?;
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let package = ["--package", "kraube-wasi", "--no-default-features", "--profile", "component"];
    for world in WORLDS {
        let kind = ["rustc", "--lib", "--crate-type", "cdylib", "--features", world];
        let module = wasm::build("component/kraube_wasi.wasm", &[&kind[..], &package[..]].concat())?;
        keep(world, &smaller(&module, &folder)?)?;
    }
    for example in EXAMPLES {
        let made = format!("component/examples/{}.wasm", example.replace('-', "_"));
        keep(example, &wasm::build(&made, &[&["build", "--example", example], &package[..]].concat())?)?;
    }
    wasi_examples::build(&folder)?;
    COMPOSED.iter().try_for_each(|example| compose(example))
}

/// Builds and measures them.
pub(crate) fn bench(rest: &[String]) -> Result<(), String> {
    build()?;
    let mut arguments = vec!["run", "--profile", "bench", "--package", "kraube-bench", "--features", "wasi", "--"];
    arguments.extend(rest.iter().map(String::as_str));
    let folder = folder()?;
    let folder = folder.to_string_lossy();
    arguments.extend(["wasi", &folder]);
    run("cargo", &arguments)
}

/// Where the components are.
pub(crate) fn folder() -> Result<PathBuf, String> {
    toolchain::folder("wasi")
}

/// Plugs the provider into a component.
fn compose(name: &str) -> Result<(), String> {
    let composed = || -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let mut graph = CompositionGraph::new();
        let mut package = |name: &str| -> Result<_, Box<dyn std::error::Error>> {
            let bytes = std::fs::read(folder()?.join(name).with_extension("wasm"))?;
            let package = Package::from_bytes(name, None, bytes, graph.types_mut())?;
            Ok(graph.register_package(package)?)
        };
        let (provider, socket) = (package("token-provider")?, package(name)?);
        wac_graph::plug(&mut graph, vec![provider], socket)?;
        Ok(graph.encode(EncodeOptions::default())?)
    };
    store(&format!("{name}-composed"), &composed().map_err(|error| format!("{name}: {error}"))?)
}

/// The module after the optimiser.
fn smaller(module: &[u8], folder: &Path) -> Result<Vec<u8>, String> {
    let [from, to] = ["module.wasm", "smaller.wasm"].map(|name| folder.join(name));
    std::fs::write(&from, module).map_err(|error| format!("{}: {error}", from.display()))?;
    wasm::optimise(&from, &to)
}

/// Makes a component of a module and stores it.
fn keep(name: &str, module: &[u8]) -> Result<(), String> {
    let encoder = wit_component::ComponentEncoder::default().validate(true).module(module);
    let component = encoder.and_then(|mut encoder| encoder.encode()).map_err(|error| format!("{name}: {error:#}"))?;
    store(name, &component)
}

fn store(name: &str, component: &[u8]) -> Result<(), String> {
    let file = folder()?.join(name).with_extension("wasm");
    std::fs::write(&file, component).map_err(|error| format!("{}: {error}", file.display()))?;
    println!("   {name}.wasm: {} KiB", component.len() / 1024);
    Ok(())
}
