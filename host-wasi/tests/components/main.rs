//! The components in wasmtime, beside native processes, and under jco on Node. `cargo xtask wasi` builds them.
//!
//! One binary, because wasmtime is large.
#![allow(clippy::result_large_err, reason = "the interface has its errors as records")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test names the cases that it is about")]
#![cfg(unix)]

#[path = "../../../host-native/tests/canaries/mod.rs"]
mod canaries;
#[path = "../../src/host.rs"]
mod host;
#[path = "../../../host-native/tests/support/mod.rs"]
mod processes;
#[path = "../../../host-native/tests/scene/mod.rs"]
mod scene;

mod guests;
mod jco;
mod mixed;
mod secrets;
mod support;
mod trapped;
mod vectors;
mod wit;

/// In a helper process of [`mixed`] or [`secrets`]: its role.
#[test]
fn helper() {
    processes::play(|role, path| {
        if !secrets::role(role) {
            mixed::role(role, path);
        }
    });
}
