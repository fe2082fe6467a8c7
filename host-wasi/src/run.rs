//! `kraube-wasi run`: the command line, a component of the world `wasi:cli/command`, and how it ends.

use crate::host::{Granted, Lend, linker};
use crate::interrupt::end_when_settled;
use clap::{Args, Parser, Subcommand};
use kraube::TokenSource;
use kraube::store::FileStore;
use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use wasmtime::component::Component;
use wasmtime::{Engine, Store, WasmBacktrace};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::{I32Exit, WasiCtx};

/// Runs WebAssembly components with the access tokens of your login.
#[derive(Debug, Parser)]
#[command(name = "kraube-wasi", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Debug, Subcommand)]
enum Commands {
    /// Run a component of the world `wasi:cli/command`. It gets `kraube:auth/tokens`, outgoing HTTP, clocks, random
    /// numbers, your terminal and the arguments behind its path; no files, and no environment but what you name.
    Run(Run),
}

#[derive(Debug, Args)]
struct Run {
    /// The credentials file; without it KRAUBE_CREDENTIALS_PATH, else the default of the command `kraube`
    #[arg(long, value_name = "PATH")]
    credentials: Option<PathBuf>,
    /// Lend the store itself, to a component that has the provider inside. It sees the refresh token
    #[arg(long)]
    lend_store: bool,
    /// An environment variable for the component: NAME=VALUE, or NAME to pass on your own
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// The component
    component: PathBuf,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Why a component could not be run, or did not come to its end.
struct Failed {
    error: String,
    hint: Option<&'static str>,
}

type Result<T> = std::result::Result<T, Failed>;

pub(crate) fn main() -> ExitCode {
    let Commands::Run(run) = Cli::parse().command;
    // Warnings, such as of a rotation that could not be stored. No other crate has promised to keep secrets out of its log.
    let ours = Targets::new().with_target("kraube", LevelFilter::WARN);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).without_time().with_target(false);
    let _ = tracing_subscriber::registry().with(ours).with(lines.with_ansi(false)).try_init();
    run.run().unwrap_or_else(|Failed { error, hint }| {
        say(format_args!("error: {error}"));
        hint.into_iter().for_each(|hint| say(format_args!("hint: {hint}")));
        ExitCode::FAILURE
    })
}

impl Run {
    /// What the component ends with.
    fn run(&self) -> Result<ExitCode> {
        let path = kraube::paths::credentials_path(self.credentials.as_deref()).map_err(failed)?;
        let store = FileStore::open(&path).map_err(|error| failed(error.detail))?;
        end_when_settled(path.clone(), store);
        let engine = Engine::default();
        let component = self.component(&engine)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let granted = self.granted(&path)?;
        runtime.block_on(async {
            let lend = if self.lend_store { Lend::Store } else { Lend::Nothing };
            let mut store = Store::new(&engine, granted);
            let linker = linker(&engine, lend).map_err(of_wasmtime)?;
            let command = Command::instantiate_async(&mut store, &component, &linker).await;
            let command = command.map_err(|error| missing(&component, &engine, lend, &error))?;
            match command.wasi_cli_run().call_run(&mut store).await {
                Ok(Ok(())) => Ok(ExitCode::SUCCESS),
                Ok(Err(())) => Ok(ExitCode::FAILURE),
                Err(end) => match end.downcast_ref() {
                    // Only the lowest eight bits reach anybody.
                    Some(I32Exit(code)) => Ok(ExitCode::from(*code as u8)),
                    None => Err(trapped(&end)),
                },
            }
        })
    }

    fn component(&self, engine: &Engine) -> Result<Component> {
        let named = |error: &dyn Display| format!("{}: {error}", self.component.display());
        let bytes = std::fs::read(&self.component).map_err(|error| failed(named(&error)))?;
        // The second half of the preamble is the version, and the layer: 0 for a core module, 1 for a component.
        match bytes.get(..8) {
            Some([0, b'a', b's', b'm', _, _, 1, 0]) => {}
            Some([0, b'a', b's', b'm', _, _, 0, 0]) => {
                return Err(Failed {
                    error: named(&"this is a core module, not a component"),
                    hint: Some("build it for wasm32-wasip2, or make a component of it with `wasm-tools component new`"),
                });
            }
            _ => return Err(failed(named(&"this is not WebAssembly"))),
        }
        Component::new(engine, bytes).map_err(|error| failed(named(&format_args!("{error:#}"))))
    }

    fn granted(&self, path: &Path) -> Result<Granted> {
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stdio().arg(self.component.display().to_string()).args(&self.arguments);
        for variable in &self.env {
            match variable.split_once('=') {
                Some((name, value)) => drop(wasi.env(name, value)),
                None => {
                    if let Ok(value) = std::env::var(variable) {
                        wasi.env(variable, value);
                    }
                }
            }
        }
        let login = TokenSource::from_file(Some(path)).map_err(failed)?;
        let lent = FileStore::open(path).map_err(|error| failed(error.detail))?;
        Ok(Granted::new(wasi.build(), login, lent))
    }
}

/// What has to be done about a component that cannot be linked.
fn missing(component: &Component, engine: &Engine, lend: Lend, error: &wasmtime::Error) -> Failed {
    let ty = component.component_type();
    let imports = |interface: &str| ty.imports(engine).any(|(name, _)| name.starts_with(interface));
    let exports = |interface: &str| ty.exports(engine).any(|(name, _)| name.starts_with(interface));
    let hint = if lend == Lend::Nothing && imports("kraube:auth/store@") {
        Some("a component with the provider inside needs `--lend-store`")
    } else if imports("kraube:auth/account@") {
        Some("only the provider gives `kraube:auth/account`: compose it in with `wac plug`, and use `--lend-store`")
    } else if !exports("wasi:cli/run@") {
        Some("`run` is for programs: components that export `wasi:cli/run`")
    } else {
        Some("a component gets `kraube:auth/tokens` and WASI 0.2 here; compose in what else it imports")
    };
    Failed { error: format!("the component cannot be linked: {error:#}"), hint }
}

/// Why it trapped, and where, for whoever has its symbols.
fn trapped(end: &wasmtime::Error) -> Failed {
    let cause = end.root_cause().to_string();
    let cause = cause.strip_prefix("wasm trap: ").unwrap_or(&cause);
    let place = end.downcast_ref::<WasmBacktrace>().map(|place| format!("\n{place}"));
    failed(format_args!("the component trapped: {cause}{}", place.unwrap_or_default()))
}

fn failed(error: impl ToString) -> Failed {
    Failed { error: error.to_string(), hint: None }
}

fn of_wasmtime(error: wasmtime::Error) -> Failed {
    failed(format_args!("{error:#}"))
}

pub(crate) fn say(text: impl Display) {
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}
