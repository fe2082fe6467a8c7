//! Builds the example components that are not written in Rust, with what npm and PyPI have for that. They are built again
//! only when something that goes into them has changed: each carries an interpreter, and takes half a minute.

use crate::{js, run_command, tools};
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCES: &str = "host-wasi/examples";
/// The world that they are written for, in `app.wit`.
const WORLD: &str = "client";

/// Builds `js.wasm` and `python.wasm` in the folder.
pub(crate) fn build(folder: &Path) -> Result<(), String> {
    let wit = wit(&folder.join("wit"))?;
    javascript(folder, &wit)?;
    python(folder, &wit)
}

fn javascript(folder: &Path, wit: &Wit) -> Result<(), String> {
    let sources = Path::new(SOURCES).join("js");
    let inputs = [sources.join("app.js"), sources.join("package-lock.json")];
    // The tests need them too.
    js::packages(&sources)?;
    made(folder, "js", wit, &inputs, |component| {
        let mut build = Command::new(sources.join("node_modules/.bin/componentize-js"));
        build.arg("--wit").arg(&wit.folder).args(["--world-name", WORLD, "--out"]).arg(component).arg(&inputs[0]);
        run_command(&mut build)
    })
}

fn python(folder: &Path, wit: &Wit) -> Result<(), String> {
    let sources = Path::new(SOURCES).join("python");
    let inputs = [sources.join("app.py"), sources.join("requirements.txt")];
    made(folder, "python", wit, &inputs, |component| {
        let library = tools::python_packages(&inputs[1], &folder.join("python"))?;
        let mut build = Command::new(library.join("bin/componentize-py"));
        build.env("PYTHONPATH", &library).arg("-d").arg(&wit.folder).args(["-w", WORLD, "componentize", "app"]);
        // It leaves compiled modules beside the sources that it reads.
        let copied = folder.join("python/sources");
        copy(&inputs[0], &copied)?;
        run_command(build.arg("-p").arg(&copied).arg("-o").arg(component))
    })
}

/// A folder of WIT packages, as the tools of all languages read it, and what is in it.
struct Wit {
    folder: PathBuf,
    files: Vec<PathBuf>,
}

/// The world of the examples; below it the package of kraube, and those of WASI from the crate that the components in
/// Rust use.
fn wit(folder: &Path) -> Result<Wit, String> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let mut files = vec![copy(&Path::new(SOURCES).join("app.wit"), folder)?];
    for (from, to) in [(PathBuf::from("wit"), "deps/kraube"), (crate_folder("wasip2")?.join("wit/deps"), "deps")] {
        let entries = std::fs::read_dir(&from).map_err(|error| format!("{}: {error}", from.display()))?;
        for entry in entries {
            let path = entry.map_err(|error| error.to_string())?.path();
            if path.extension().is_some_and(|extension| extension == "wit") {
                files.push(copy(&path, &folder.join(to))?);
            }
        }
    }
    files.sort();
    Ok(Wit { folder: folder.into(), files })
}

/// Where cargo keeps a dependency that it has downloaded.
fn crate_folder(name: &str) -> Result<PathBuf, String> {
    let asked = Command::new("cargo").args(["metadata", "--format-version", "1", "--locked"]).output();
    let output = asked.map_err(|error| error.to_string())?.stdout;
    let text = String::from_utf8_lossy(&output);
    let manifests =
        text.split("\"manifest_path\":\"").skip(1).filter_map(|rest| Some(Path::new(rest.split('"').next()?)));
    let mut folders = manifests.filter_map(Path::parent);
    let named = |folder: &&Path| {
        let last = folder.file_name().map(|last| last.to_string_lossy().into_owned()).unwrap_or_default();
        last.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))
    };
    folders.find(named).map(Into::into).ok_or_else(|| format!("cargo metadata does not name the crate {name}"))
}

fn copy(file: &Path, folder: &Path) -> Result<PathBuf, String> {
    let to = folder.join(file.file_name().ok_or("a file has a name")?);
    let copied = std::fs::create_dir_all(folder).and_then(|()| std::fs::copy(file, &to));
    copied.map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(to)
}

/// Makes a component, unless it was made from the same inputs.
fn made(
    folder: &Path,
    name: &str,
    wit: &Wit,
    inputs: &[PathBuf],
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<(), String> {
    let mut from = Vec::new();
    for file in inputs.iter().chain(&wit.files) {
        from.extend(std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?);
    }
    let (component, stamp) = (folder.join(name).with_extension("wasm"), folder.join(name).with_extension("inputs"));
    if !component.is_file() || std::fs::read(&stamp).ok().is_none_or(|stamped| stamped != from) {
        make(&component)?;
        std::fs::write(&stamp, from).map_err(|error| format!("{}: {error}", stamp.display()))?;
    }
    let size = std::fs::metadata(&component).map_err(|error| format!("{}: {error}", component.display()))?.len();
    println!("   {name}.wasm: {} KiB", size / 1024);
    Ok(())
}
