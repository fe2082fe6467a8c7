//! The components in wasmtime, beside native processes, and under jco on Node. `cargo xtask wasi` builds them.
//!
//! One binary, because wasmtime is large.
#![allow(clippy::result_large_err, reason = "the interface has its errors as records")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test names the cases that it is about")]
#![cfg(unix)]

#[path = "../../../host-native/tests/support/mod.rs"]
mod processes;
#[path = "../../../host-native/tests/scene/mod.rs"]
mod scene;

mod guests;
mod jco;
mod mixed;
mod support;
mod trapped;
mod vectors;
mod wit;

/// In a helper process of [`mixed`]: its role.
#[test]
fn helper() {
    processes::play(mixed::role);
}
