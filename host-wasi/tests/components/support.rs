//! Hosts of components: an engine, the components that `cargo xtask wasi` builds, and what a component is given.

use crate::host::Lend;
use crate::scene::quick;
use kraube::store::{FileStore, Store as KraubeStore};
use kraube::{Options, TokenSource};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::WasiCtx;

/// The world of the pure component.
#[allow(dead_code, missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
pub(crate) mod pure {
    wasmtime::component::bindgen!({ path: "wit", world: "kraube:auth/sans-io" });
}

/// The world of the provider.
#[allow(dead_code, missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
pub(crate) mod provider {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "kraube:auth/token-provider",
        exports: { default: async },
    });
}

/// The world of the component that misuses the embedding.
#[allow(dead_code, missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
pub(crate) mod guest {
    wasmtime::component::bindgen!({
        inline: "
            package test:guest;
            world guest {
                export run: func(deed: string, size: u64) -> result<string, string>;
            }
        ",
        exports: { default: async },
    });
}

pub(crate) use crate::host::Granted;
pub(crate) use guest::Guest;
pub(crate) use provider::TokenProvider;
pub(crate) use pure::SansIo;

/// More than any run takes.
pub(crate) const PLENTY: u64 = u64::MAX / 2;

/// One engine for the tests that share no deadline.
pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(engine);
pub(crate) static PROVIDER: LazyLock<Component> = LazyLock::new(|| component(&ENGINE, "token-provider"));
pub(crate) static GUEST: LazyLock<Component> = LazyLock::new(|| component(&ENGINE, "guest"));

/// An engine that counts fuel and knows deadlines.
pub(crate) fn engine() -> Engine {
    let mut config = Config::new();
    config.consume_fuel(true).epoch_interruption(true);
    Engine::new(&config).expect("a configuration that wasmtime takes")
}

/// Where the components are.
pub(crate) fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("KRAUBE_WASI_COMPONENTS") {
        return folder.into();
    }
    let exe = std::env::current_exe().expect("tests know themselves");
    let target = exe.ancestors().find(|folder| folder.join("wasi").is_dir());
    target.expect("there are no components: run `cargo xtask wasi`").join("wasi")
}

pub(crate) fn component(engine: &Engine, name: &str) -> Component {
    let file = folder().join(name).with_extension("wasm");
    assert!(file.is_file(), "there is no {}: run `cargo xtask wasi`", file.display());
    Component::from_file(engine, file).expect("a component")
}

impl Granted {
    /// The login in this file: its tokens, and its store.
    pub(crate) fn file(file: &Path) -> Self {
        let opened = || FileStore::open(file).expect("a path to a file");
        let mut options = Options::default();
        options.policy = quick();
        Self::login(TokenSource::from_store(opened(), options), opened())
    }

    pub(crate) fn login(login: TokenSource, lent: impl KraubeStore) -> Self {
        Self::new(WasiCtx::builder().build(), login, lent)
    }

    pub(crate) fn store(self, engine: &Engine) -> Store<Self> {
        let mut store = Store::new(engine, self);
        store.set_fuel(PLENTY).expect("the engine counts fuel");
        store.set_epoch_deadline(PLENTY);
        store
    }
}

fn linker(engine: &Engine) -> Linker<Granted> {
    crate::host::linker(engine, Lend::Store).expect("nothing is there twice")
}

/// An instance of the component of the world `token-provider`, over the lent store.
pub(crate) async fn provider(granted: Granted, component: &Component) -> (Store<Granted>, TokenProvider) {
    let mut store = granted.store(component.engine());
    let it = TokenProvider::instantiate_async(&mut store, component, &linker(component.engine())).await;
    (store, it.expect("all its imports are there"))
}

/// An instance of the component that misuses the embedding.
pub(crate) async fn guest(granted: Granted, component: &Component) -> (Store<Granted>, Guest) {
    let mut store = granted.store(component.engine());
    let it = Guest::instantiate_async(&mut store, component, &linker(component.engine())).await;
    (store, it.expect("all its imports are there"))
}

pub(crate) type Answer = Result<provider::kraube::auth::types::Token, provider::kraube::auth::types::Error>;

impl TokenProvider {
    /// The provider's `get-token`; the outer error is a trap.
    pub(crate) async fn token(&self, store: &mut Store<Granted>) -> wasmtime::Result<Answer> {
        let options = provider::exports::kraube::auth::tokens::Options { min_valid: 0 };
        self.kraube_auth_tokens().call_get_token(store, options).await
    }

    /// The provider's `reject`.
    pub(crate) async fn reject(&self, store: &mut Store<Granted>, value: &str) {
        self.kraube_auth_tokens().call_reject(store, value).await.expect("no trap");
    }
}

/// The code of what went wrong.
pub(crate) fn code(error: &provider::kraube::auth::types::Error) -> &str {
    use provider::kraube::auth::types::Error;
    let (Error::LoginRequired(problem)
    | Error::Unavailable(problem)
    | Error::Uncertain(problem)
    | Error::AccountChanged(problem)
    | Error::Unsaved(problem)
    | Error::Invalid(problem)
    | Error::Misuse(problem)) = error;
    &problem.code
}

/// Runs it where components are called from.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a thread").block_on(work)
}

/// Whether another process could take the lock of this file now.
pub(crate) fn assert_unlocked(file: &Path) {
    let store = FileStore::open(file).expect("a path to a file");
    // What has begun under the lock keeps it until it is done.
    drop(store.lock(Duration::from_secs(5), None).expect("nobody holds the lock"));
}
