//! The sans-IO core of kraube.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod credential;
pub mod http;
pub mod machine;
pub mod policy;
pub mod provider;
pub mod record;
pub mod revoke;
pub mod secret;
pub mod time;
pub mod token;
