//! `kraube-bindgen MODULE FOLDER NAME`: the glue between JavaScript and a module that `wasm-bindgen` has marked. A program of
//! its own, because it takes longer to build than all of `xtask`, and only one command needs it.

use std::path::PathBuf;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [module, folder, name] = arguments.as_slice() else { return Err("give a module, a folder and a name".into()) };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).out_name(&name.to_string_lossy()).typescript(true).keep_debug(false);
    // The package hands the module over itself, so the glue must not look for it.
    bindgen.web(true)?.omit_default_module_path(true);
    Ok(bindgen.generate(folder)?)
}
