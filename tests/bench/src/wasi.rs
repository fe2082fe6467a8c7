//! Components in wasmtime: their size, what it takes to start one, what a token costs inside, and its memory. The guest is
//! `host-wasi/examples/calls.rs`: with tokens that the host serves, and with the provider inside.

use crate::host::{Granted, Lend, linker};
use crate::report::{Row, median, milliseconds};
use crate::stage::Stage;
use crate::{Effort, Result};
use kraube::TokenSource;
use kraube::store::FileStore;
use std::path::Path;
use std::time::{Duration, Instant};
use wasmtime::component::{Component, Instance, InstancePre, Linker};
use wasmtime::{Engine, Store};
use wasmtime_wasi::WasiCtx;

/// Calls per slice.
const CALLS: u32 = 10_000;
/// Instances that live at the same time.
const INSTANCES: u32 = 200;

const SERVED: &str = "calls";
const COMPOSED: &str = "calls-composed";

pub(crate) fn measure(components: &Path, effort: Effort) -> Result<Vec<Row>> {
    let bench = Bench::new(components, effort)?;
    let mut rows = vec![
        bench.size("size of sans-io", "sans-io", "<= 150 kB", 150.0)?,
        bench.size("size of token-provider", "token-provider", "<= 300 kB", 300.0)?,
    ];
    for (what, name) in [("compile the guest", SERVED), ("compile it with the provider", COMPOSED)] {
        rows.push(bench.compile(what, name)?);
    }
    for (what, name) in [("instantiate the guest", SERVED), ("instantiate it with the provider", COMPOSED)] {
        rows.push(bench.instantiate(what, name)?);
    }
    for (what, name) in [("get-token, served by the host", SERVED), ("get-token, provider inside", COMPOSED)] {
        rows.push(bench.call(what, name)?);
    }
    for (what, name) in [("memory per instance", SERVED), ("the same with the provider", COMPOSED)] {
        rows.push(bench.memory(what, name)?);
    }
    let names = ["sans-io", "provider", "compile", "compile-composed", "instantiate", "instantiate-composed"];
    let names = names.iter().chain(&["call", "call-composed", "memory", "memory-composed"]);
    Ok(rows.into_iter().zip(names).map(|(row, name)| row.named(name)).collect())
}

struct Bench<'a> {
    components: &'a Path,
    effort: Effort,
    stage: Stage,
    engine: Engine,
    linker: Linker<Granted>,
    runtime: tokio::runtime::Runtime,
}

impl<'a> Bench<'a> {
    fn new(components: &'a Path, effort: Effort) -> Result<Self> {
        let stage = Stage::new(Duration::ZERO)?;
        stage.log_in(true)?;
        let engine = Engine::default();
        let linker = linker(&engine, Lend::Store)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { components, effort, stage, engine, linker, runtime })
    }

    fn size(&self, what: &'static str, name: &str, reach: &'static str, most: f64) -> Result<Row> {
        let size = self.bytes(name)?.len() as f64 / 1e3;
        let size_text = format!("{size:.0} kB");
        Ok(Row::new(what, &size_text, "").reach(&size_text, reach, size <= most))
    }

    /// From the component's bytes, and from what an earlier compilation has left.
    fn compile(&self, what: &'static str, name: &str) -> Result<Row> {
        let bytes = self.bytes(name)?;
        let compiled = Component::new(&self.engine, &bytes)?.serialize()?;
        let (mut compile, mut load) = (Vec::new(), Vec::new());
        for _ in 0..self.effort.times(11, 3) {
            compile.push(timed(|| Component::new(&self.engine, &bytes).map(drop))?);
            load.push(timed(|| self.load(&compiled).map(drop))?);
        }
        let reference = format!("{} ahead of time", milliseconds(median(&mut load)));
        Ok(Row::new(what, milliseconds(median(&mut compile)), reference))
    }

    #[allow(unsafe_code, reason = "loading compiled code is unsafe by nature")]
    fn load(&self, compiled: &[u8]) -> wasmtime::Result<Component> {
        // SAFETY: this very engine has made the bytes a moment ago.
        unsafe { Component::deserialize(&self.engine, compiled) }
    }

    /// A wasmtime store with an instance in it, from a component that is compiled.
    fn instantiate(&self, what: &'static str, name: &str) -> Result<Row> {
        let linked = self.linked(name)?;
        let (mut both, mut store) = (Vec::new(), Vec::new());
        for _ in 0..self.effort.times(501, 51) {
            both.push(timed(|| self.start(&linked).map(drop))?);
            store.push(timed(|| self.granted().map(drop))?);
        }
        let reference = format!("{} its store alone", microseconds(median(&mut store)));
        Ok(Row::new(what, microseconds(median(&mut both)), reference))
    }

    fn call(&self, what: &'static str, name: &str) -> Result<Row> {
        let (mut store, instance) = self.start(&self.linked(name)?)?;
        let source = TokenSource::from_file(Some(&self.stage.path()))?;
        self.calls(&mut store, &instance, 1)?;
        source.blocking_token()?;
        let (mut guest, mut native) = (Duration::MAX, Duration::MAX);
        // The fastest slice of each is the one that nothing else on the machine has disturbed.
        for _ in 0..self.effort.times(100, 10) {
            guest = guest.min(timed(|| self.calls(&mut store, &instance, CALLS))?);
            native =
                native.min(timed(|| (0..CALLS).try_for_each(|_| self.runtime.block_on(source.token()).map(drop)))?);
        }
        let each = |time: Duration| format!("{:.0} ns", time.as_secs_f64() * 1e9 / f64::from(CALLS));
        Ok(Row::new(what, each(guest), format!("{} natively", each(native))))
    }

    /// What the process grows by with each instance that has given a token, its store with it.
    fn memory(&self, what: &'static str, name: &str) -> Result<Row> {
        let linked = self.linked(name)?;
        let mut alive = vec![self.used(&linked)?];
        let before = resident()?;
        for _ in 0..INSTANCES {
            alive.push(self.used(&linked)?);
        }
        let each = (resident()?.saturating_sub(before)) as f64 / f64::from(INSTANCES) / 1024.0;
        drop(alive);
        Ok(Row::new(what, format!("{each:.0} KiB"), format!("over {INSTANCES} instances")))
    }

    fn used(&self, linked: &InstancePre<Granted>) -> Result<Store<Granted>> {
        let (mut store, instance) = self.start(linked)?;
        self.calls(&mut store, &instance, 1)?;
        Ok(store)
    }

    /// Has the guest ask so often, and sees that it was answered.
    fn calls(&self, store: &mut Store<Granted>, instance: &Instance, times: u32) -> Result<()> {
        let calls = instance.get_typed_func::<(u32,), (u32,)>(&mut *store, "calls")?;
        let (given,) = self.runtime.block_on(calls.call_async(&mut *store, (times,)))?;
        if given == times { Ok(()) } else { Err(format!("{given} of {times} calls gave a token").into()) }
    }

    fn start(&self, linked: &InstancePre<Granted>) -> Result<(Store<Granted>, Instance)> {
        let mut store = Store::new(&self.engine, self.granted()?);
        let instance = self.runtime.block_on(linked.instantiate_async(&mut store))?;
        Ok((store, instance))
    }

    fn granted(&self) -> Result<Granted> {
        let path = self.stage.path();
        let (login, lent) =
            (TokenSource::from_file(Some(&path))?, FileStore::open(path).map_err(|error| error.detail)?);
        Ok(Granted::new(WasiCtx::builder().build(), login, lent))
    }

    fn linked(&self, name: &str) -> Result<InstancePre<Granted>> {
        Ok(self.linker.instantiate_pre(&Component::new(&self.engine, self.bytes(name)?)?)?)
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let file = self.components.join(name).with_extension("wasm");
        Ok(std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?)
    }
}

fn timed<E>(work: impl FnOnce() -> std::result::Result<(), E>) -> std::result::Result<Duration, E> {
    let start = Instant::now();
    work().map(|()| start.elapsed())
}

fn microseconds(time: Duration) -> String {
    format!("{:.1} us", time.as_secs_f64() * 1e6)
}

/// What this process has in memory, in bytes. Only Linux tells.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
