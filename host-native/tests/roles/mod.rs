//! What helper processes do in the tests of real processes, and how a test has one hang in mid-refresh.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use crate::scene::{Scene, quick, source_at};
use crate::support::{Helper, start, tell, wait_for_starter};
use kraube::TokenSource;
use std::path::Path;

/// How often [`force`] refreshes.
pub const ROTATIONS: usize = 100;

/// Starts a helper that refreshes, and whose answer waits at the gate.
pub fn refresh_that_hangs(scene: &Scene) -> Helper {
    scene.gate.close();
    let mut helper = start("ask", &scene.file);
    helper.go_on();
    scene.wait_for_rotation();
    helper
}

/// Asks once, when the starter says so, and tells what came of it.
pub fn ask(path: &Path) {
    let source = source_at(path, quick());
    tell("ready");
    wait_for_starter();
    match source.blocking_token() {
        Ok(token) if token.stale().is_none() => tell("token"),
        Ok(token) => tell(&format!("{:?}", token.stale())),
        Err(error) => tell(error.code()),
    }
}

/// A resource that rejects each token once.
pub fn force(source: &TokenSource) {
    let mut last = String::new();
    for _ in 0..ROTATIONS {
        let token = source.blocking_token().unwrap_or_else(|error| panic!("{}: {error:?}", error.code()));
        assert_ne!(token.expose(), last, "a rejected token came back");
        token.expose().clone_into(&mut last);
        source.reject(&token);
    }
}
