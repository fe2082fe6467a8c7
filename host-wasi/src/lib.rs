//! kraube for WebAssembly components.
//!
//! Built for wasm32 this crate is a component; natively it is the embedding for wasmtime.

#[cfg(target_family = "wasm")]
mod guest;
#[cfg(target_family = "wasm")]
use guest::bindings;

#[cfg(any(not(target_family = "wasm"), feature = "sans-io", feature = "token-provider"))]
mod convert;
