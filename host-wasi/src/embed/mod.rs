//! The embedding for wasmtime: what a host gives to components. The bindings are here.

mod convert;
mod lent;
pub mod store;
pub mod tokens;

pub use lent::LentStore;

/// What wasmtime makes of the WIT package.
#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    unsafe_code,
    unused_qualifications,
    clippy::all,
    reason = "generated"
)]
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        inline: "
            package kraube:host;
            world host {
                import kraube:auth/tokens@0.1.0;
                import kraube:auth/store@0.1.0;
            }
        ",
        world: "kraube:host/host",
        with: { "kraube:auth/store.lock": crate::store::Lock },
    });

    pub(crate) use self::kraube::auth::types;
}
