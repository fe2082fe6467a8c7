//! The command `kraube-wasi`: runs a component against the user's login. On wasm32 there is none.

#[cfg(not(target_family = "wasm"))]
mod host;
#[cfg(not(target_family = "wasm"))]
mod interrupt;
#[cfg(not(target_family = "wasm"))]
mod run;
#[cfg(not(target_family = "wasm"))]
mod signals;

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    run::main()
}

#[cfg(target_family = "wasm")]
fn main() {}
