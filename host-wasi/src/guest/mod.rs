//! The components. `machines` and `requests` are the world `sans-io`; `provider` is the world `token-provider`; `login` is
//! in both. Here are the bindings of the world that is built.

#[cfg(all(feature = "sans-io", feature = "token-provider"))]
compile_error!("a component is built for one world: choose `sans-io` or `token-provider`");

pub(crate) mod convert;
mod login;
#[cfg(feature = "sans-io")]
mod machines;
#[cfg(feature = "token-provider")]
mod provider;
#[cfg(feature = "sans-io")]
mod requests;

/// What wit-bindgen makes of the world.
#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
pub(crate) mod bindings {
    #[cfg(feature = "sans-io")]
    wit_bindgen::generate!({ path: "wit", world: "sans-io" });
    #[cfg(feature = "token-provider")]
    wit_bindgen::generate!({ path: "wit", world: "token-provider" });

    #[cfg(feature = "sans-io")]
    pub use exports::kraube::auth::types;
    #[cfg(feature = "token-provider")]
    pub use kraube::auth::types;

    export!(Component with_types_in self);
    use super::Component;
}

/// What the component exports.
struct Component;
