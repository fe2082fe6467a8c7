//! What a component is given by a host that has all of it: WASI 0.2 with outgoing HTTP, tokens, and a store that is lent.
//! The command uses it; the tests and the measurements include this file.

use kraube_wasi::kraube::TokenSource;
use kraube_wasi::kraube::store::Store as KraubeStore;
use kraube_wasi::{LentStore, store, tokens};
use wasmtime::Engine;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// The data of a wasmtime store: all that its components have.
pub(crate) struct Granted {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    pub(crate) login: TokenSource,
    #[allow(dead_code, reason = "not everybody who includes this file takes it back")]
    pub(crate) lent: LentStore,
}

/// Whether components may have the store itself.
#[allow(dead_code, reason = "not everybody who includes this file chooses")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lend {
    Nothing,
    Store,
}

impl Granted {
    pub(crate) fn new(wasi: WasiCtx, login: TokenSource, lent: impl KraubeStore) -> Self {
        let (http, table) = (WasiHttpCtx::new(), ResourceTable::new());
        Self { wasi, http, table, login, lent: LentStore::new(lent) }
    }
}

pub(crate) fn linker(engine: &Engine, lend: Lend) -> wasmtime::Result<Linker<Granted>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    tokens::add_to_linker_async(&mut linker, |granted: &Granted| &granted.login)?;
    if lend == Lend::Store {
        store::add_to_linker_async(&mut linker, |granted: &mut Granted| &mut granted.lent)?;
    }
    Ok(linker)
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
