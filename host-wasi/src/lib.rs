//! kraube for WebAssembly components: an access token for a component in any language, of a login that lives in one file
//! and is shared with every native process.
//!
//! Natively this crate is the embedding for wasmtime:
//!
//! | to | there is |
//! |---|---|
//! | give a component tokens of one login | [`tokens::add_to_linker`], [`tokens::add_to_linker_async`] |
//! | lend a store to a component that has the provider inside | [`store::add_to_linker`], [`store::add_to_linker_async`], [`LentStore`] |
//!
//! What a component may use is what the host puts into the data of its wasmtime store: here the login of one file. It cannot
//! name another one, and sees access tokens alone.
//!
//! ```
//! use kraube_wasi::kraube::TokenSource;
//! use std::path::Path;
//! use wasmtime::component::{Component, Linker};
//! use wasmtime::{Config, Engine, Store};
//!
//! /// What one component is given.
//! struct Granted {
//!     login: TokenSource,
//! }
//!
//! # fn main() -> wasmtime::Result<()> {
//! let engine = Engine::new(Config::new().consume_fuel(true))?;
//! let mut linker = Linker::<Granted>::new(&engine);
//! kraube_wasi::tokens::add_to_linker(&mut linker, |granted| &granted.login)?;
//!
//! // The smallest component there is.
//! let component = Component::new(&engine, b"\0asm\x0d\0\x01\0")?;
//! for file in ["work/credentials.json", "home/credentials.json"] {
//!     let login = TokenSource::from_file(Some(Path::new(file)))?;
//!     let mut store = Store::new(&engine, Granted { login });
//!     // Fuel that runs out in the middle of a refresh loses nothing: the host goes on with it.
//!     store.set_fuel(1_000_000)?;
//!     linker.instantiate(&mut store, &component)?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Which of the two
//!
//! With [`tokens`], the refresh runs on a thread of the host, from the lock to the stored rotation. The component sees
//! access tokens and nothing else, and whatever becomes of it meanwhile changes nothing: a trap, fuel that runs out, a
//! deadline, a dropped future. This is the one to take.
//!
//! With [`store`], a component called the provider (the world `token-provider` of the WIT package) does the refresh
//! inside the sandbox, over a store that the host lends. It is how hosts without this crate do it. Whoever is lent a store
//! sees the refresh token. A trap before the request has left costs nothing; a trap *after* it has left is an unknown
//! outcome: the mark in the record says so, the lock is released with the wasmtime store, the next one to ask sends the
//! same token again, and says so plainly if the server no longer accepts it.
//!
//! Built for wasm32, with one of the features `sans-io` and `token-provider`, this crate is the component of that world.

#[cfg(all(target_family = "wasm", any(feature = "sans-io", feature = "token-provider")))]
mod guest;
#[cfg(all(target_family = "wasm", any(feature = "sans-io", feature = "token-provider")))]
use guest::bindings;

#[cfg(not(target_family = "wasm"))]
mod embed;
#[cfg(not(target_family = "wasm"))]
use embed::bindings;
#[cfg(not(target_family = "wasm"))]
pub use embed::{LentStore, store, tokens};
#[cfg(not(target_family = "wasm"))]
pub use kraube;

#[cfg(any(not(target_family = "wasm"), feature = "sans-io", feature = "token-provider"))]
mod convert;

/// The example in README compiles.
#[cfg(all(doctest, not(target_family = "wasm")))]
#[doc = include_str!("../README.md")]
struct Readme;
