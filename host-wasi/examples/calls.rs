//! The guest that `cargo xtask bench wasi` measures with: it asks for a token, again and again.
#![cfg(target_family = "wasm")]
#![allow(missing_docs, unsafe_code, clippy::all, reason = "bindings are generated here")]

use kraube::auth::tokens::{self, Options};

wit_bindgen::generate!({
    path: "wit",
    inline: "
        package example:calls;
        world calls {
            import kraube:auth/tokens@0.1.0;
            /// How many of so many calls gave a token.
            export calls: func(times: u32) -> u32;
        }
    ",
    world: "example:calls/calls",
    generate_all,
});

struct Calls;

export!(Calls);

impl Guest for Calls {
    fn calls(times: u32) -> u32 {
        (0..times).map(|_| u32::from(tokens::get_token(Options { min_valid: 0 }).is_ok())).sum()
    }
}
