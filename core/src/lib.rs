//! The sans-IO core of kraube.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod http;
mod json;
pub mod machine;
pub mod provider;
mod retry_after;
pub mod secret;
mod text;
pub mod time;
pub mod token;
