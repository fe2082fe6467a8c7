//! What kraube is made of: the licences, versions and sources of its dependencies (`.deny.toml`), and that each library
//! compiles with every set of its features alone, without those that other packages of the workspace ask for.

use crate::{run, tools};

/// So few that a tool for all their combinations would take longer to install than they take to check.
const FEATURES: &[(&str, &str)] = &[
    ("kraube-core", ""),
    ("kraube-core", "model"),
    ("kraube-core", "dpop"),
    ("kraube-core", "model,dpop"),
    ("kraube", ""),
    ("kraube-testserver", ""),
    // Its other features choose what is built for wasm, where `cargo xtask wasi` builds each.
    ("kraube-wasi", ""),
    ("kraube-wasi", "cli"),
];

/// They run components, make them, or bind the package: their compilers come in several versions, and neither the libraries
/// nor the command have them.
const TOOLS: [&str; 3] = ["kraube-wasi", "kraube-bindgen", "xtask"];

pub(crate) fn check() -> Result<(), String> {
    features()?;
    tools::cargo_install("cargo-deny", "0.20.2")?;
    let deny = |packages: &[&str], checks: &[&str]| {
        run("cargo", &[&["deny", "--config", ".deny.toml", "--workspace"], packages, &["check"], checks].concat())
    };
    // Without `advisories`: their database is a git repository, which not every machine reaches.
    deny(&[], &["licenses", "sources"])?;
    deny(&TOOLS.map(|package| ["--exclude", package]).concat(), &["bans"])
}

/// Each set of features.
pub(crate) fn features() -> Result<(), String> {
    FEATURES.iter().try_for_each(|(package, features)| {
        println!("   {package} with {}", if features.is_empty() { "no features" } else { features });
        run("cargo", &["check", "--quiet", "--package", package, "--no-default-features", "--features", features])
    })?;
    // Tests of the whole workspace have the features that its hosts ask for; some things are so without them alone.
    run("cargo", &["test", "--quiet", "--package", "kraube-core", "--test", "core", "dpop::"])
}
