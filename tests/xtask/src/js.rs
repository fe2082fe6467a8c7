//! Builds the npm package into `target/js`: the core as a module, its glue, the TypeScript around it; and lets the package
//! checkers of the registry's users look at it.

use crate::{run, toolchain, tools, wasm};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the sources of the package are.
pub(crate) const SOURCES: &str = "host-js";
/// How large the module may be as it is carried. Every page loads it, so it grows on purpose alone; compilers differ by a
/// few percent.
const BUDGET: usize = 61_000;
const ITERATIONS: NonZeroU64 = NonZeroU64::new(30).unwrap();

/// Builds `target/js/kraube`, and the archive that `npm publish` would send.
pub(crate) fn build() -> Result<(), String> {
    let folder = folder()?;
    packages(Path::new(SOURCES))?;
    // The binder reads from a section that stripping takes away which instructions it may use.
    let unstripped = ["rustc", "--profile", "component", "--package", "kraube-js", "--lib", "--", "-C", "strip=none"];
    let module = wasm::build("component/kraube_js.wasm", &unstripped)?;
    let bound = folder.join("bound");
    std::fs::create_dir_all(&bound).map_err(|error| format!("{}: {error}", bound.display()))?;
    let file = bound.join("module.wasm");
    std::fs::write(&file, module).map_err(|error| format!("{}: {error}", file.display()))?;
    let (from, to) = (file.to_string_lossy(), bound.to_string_lossy());
    run("cargo", &["run", "--quiet", "--package", "kraube-bindgen", "--", &from, &to, "kraube"])?;
    let module = wasm::optimise(&bound.join("kraube_bg.wasm"), &bound.join("kraube.wasm"))?;
    let file = bound.join("kraube.deflated");
    std::fs::write(&file, deflated(&module)?).map_err(|error| format!("{}: {error}", file.display()))?;
    run("node", &[&format!("{SOURCES}/build.js"), &folder.to_string_lossy()])?;
    check(&folder)
}

/// The module as it is carried (RFC 1951). It is compressed here, once and as well as can be, so that no server's
/// compression matters.
fn deflated(module: &[u8]) -> Result<Vec<u8>, String> {
    let options = zopfli::Options { iteration_count: ITERATIONS, ..zopfli::Options::default() };
    let mut deflated = Vec::new();
    zopfli::compress(options, zopfli::Format::Deflate, module, &mut deflated).map_err(|error| error.to_string())?;
    if deflated.len() > BUDGET {
        let (size, budget) = (deflated.len(), BUDGET);
        return Err(format!(
            "the module has {size} bytes (deflated), of {budget} at most: make it smaller, or say why not"
        ));
    }
    Ok(deflated)
}

/// The suites: in the real runtimes and the real browser, against the embedded server.
pub(crate) fn test() -> Result<(), String> {
    build()?;
    prepare()?;
    let mut files = Vec::new();
    find(Path::new(SOURCES).join("tests").as_path(), &mut files)?;
    files.sort();
    let files: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
    let mut arguments = vec!["--test", "--test-reporter=spec"];
    arguments.extend(files.iter().map(AsRef::as_ref));
    run("node", &arguments)
}

/// Deno, and the package for it, unless that has been built already.
pub(crate) fn for_deno() -> Result<(), String> {
    packages(&Path::new(SOURCES).join("tests"))?;
    if folder()?.join("kraube/dist").is_dir() { Ok(()) } else { build() }
}

/// The package beside its peers.
pub(crate) fn bench() -> Result<(), String> {
    build()?;
    prepare()?;
    run("node", &[&format!("{SOURCES}/bench/bench.js")])
}

/// What the suites drive: the runtimes, the browser, the command with the embedded server.
fn prepare() -> Result<(), String> {
    packages(&Path::new(SOURCES).join("tests"))?;
    tools::chromium()?;
    run("cargo", &["build", "--quiet", "--package", "kraube-cli"])
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.ends_with("node_modules") {
            continue;
        }
        if path.is_dir() {
            find(&path, files)?;
        } else if path.to_string_lossy().ends_with(".test.js") {
            files.push(path);
        }
    }
    Ok(())
}

/// Where the package is built.
pub(crate) fn folder() -> Result<PathBuf, String> {
    toolchain::folder("js")
}

/// The packages that are locked beside a `package.json`, once for each change of the lock.
pub(crate) fn packages(folder: &Path) -> Result<(), String> {
    tools::node()?;
    let read = |file: &str| std::fs::read(folder.join(file));
    let lock = read("package-lock.json").map_err(|error| format!("{}: {error}", folder.display()))?;
    let stamp = "node_modules/.locked";
    if read(stamp).is_ok_and(|stamped| stamped == lock) {
        return Ok(());
    }
    println!("   npm ci in {}", folder.display());
    npm(folder, &["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])?;
    // The one package whose own script puts its program in place.
    if folder.join("node_modules/bun").is_dir() {
        npm(folder, &["rebuild", "bun", "--loglevel=error"])?;
    }
    std::fs::write(folder.join(stamp), lock).map_err(|error| error.to_string())
}

fn npm(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    match Command::new("npm").args(arguments).current_dir(folder).stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        failed => Err(format!("`npm {}` failed in {}: {failed:?}", arguments.join(" "), folder.display())),
    }
}

/// The archive, and what `publint` and `attw` say of it.
fn check(folder: &Path) -> Result<(), String> {
    let package = folder.join("kraube").to_string_lossy().into_owned();
    let to = folder.to_string_lossy();
    let arguments = ["pack", &package, "--pack-destination", &to, "--loglevel=error"];
    let packed = Command::new("npm").args(arguments).output().map_err(|error| format!("npm: {error}"))?;
    if !packed.status.success() {
        return Err(format!("`npm pack` failed: {}", String::from_utf8_lossy(&packed.stderr)));
    }
    let name = String::from_utf8_lossy(&packed.stdout).trim().to_owned();
    let archive = folder.join(&name);
    let size = std::fs::metadata(&archive).map_err(|error| format!("{}: {error}", archive.display()))?.len();
    println!("   {name}: {} KiB", size / 1024);
    let archive = archive.to_string_lossy();
    let bin = |name: &str| format!("{SOURCES}/node_modules/.bin/{name}");
    run(&bin("publint"), &[&package, "--strict"])?;
    run(&bin("attw"), &[&archive, "--profile", "esm-only", "--format", "ascii", "--no-color", "--quiet"])
}
