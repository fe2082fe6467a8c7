//! The sans-IO core of kraube.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod callback;
pub mod credential;
pub mod http;
mod json;
pub mod login;
pub mod machine;
pub mod pkce;
pub mod policy;
pub mod provider;
pub mod record;
mod retry_after;
pub mod revoke;
pub mod secret;
pub mod status;
mod text;
pub mod time;
pub mod token;
