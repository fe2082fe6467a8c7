//! `kraube-wasi run`: the command line, and a wasmtime with what a component of the world `wasi:cli/command` needs.

use clap::{Args, Parser, Subcommand};
use kraube::TokenSource;
use kraube::store::FileStore;
use kraube_wasi::{LentStore, store, tokens};
use std::path::PathBuf;
use std::process::ExitCode;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

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

/// The data of the wasmtime store: all that the component is given.
struct Granted {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    login: TokenSource,
    lent: LentStore,
}

pub(crate) fn main() -> ExitCode {
    let Commands::Run(run) = Cli::parse().command;
    match run.run() {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(())) => ExitCode::FAILURE,
        Err(error) => {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Run {
    /// What the component itself ends with is inside.
    fn run(self) -> wasmtime::Result<Result<(), ()>> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        runtime.block_on(self.call())
    }

    async fn call(self) -> wasmtime::Result<Result<(), ()>> {
        let engine = Engine::default();
        let component = Component::from_file(&engine, &self.component)?;
        let mut linker = Linker::<Granted>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        tokens::add_to_linker_async(&mut linker, |granted| &granted.login)?;
        if self.lend_store {
            store::add_to_linker_async(&mut linker, |granted| &mut granted.lent)?;
        }
        let mut store = Store::new(&engine, self.granted()?);
        let command = Command::instantiate_async(&mut store, &component, &linker).await?;
        command.wasi_cli_run().call_run(&mut store).await
    }

    fn granted(&self) -> wasmtime::Result<Granted> {
        let login = TokenSource::from_file(self.credentials.as_deref())?;
        let path = kraube::paths::credentials_path(self.credentials.as_deref())?;
        let lent = LentStore::new(FileStore::open(path)?);
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stdio().arg(self.component.display().to_string()).args(&self.arguments);
        for variable in &self.env {
            match variable.split_once('=') {
                Some((name, value)) => wasi.env(name, value),
                None => wasi.env(variable, std::env::var(variable).unwrap_or_default()),
            };
        }
        Ok(Granted { wasi: wasi.build(), http: WasiHttpCtx::new(), table: ResourceTable::new(), login, lent })
    }
}

impl WasiView for Granted {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Granted {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: Default::default() }
    }
}
