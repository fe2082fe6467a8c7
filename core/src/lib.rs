//! The sans-IO core of kraube.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod http;
pub mod machine;
pub mod provider;
pub mod secret;
pub mod time;
pub mod token;
