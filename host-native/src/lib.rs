//! kraube keeps one OAuth login alive for every process on a machine.
//!
//! This crate performs what the core asks for: files, locks, requests. It decides nothing.

mod file;
mod memory;
pub mod paths;
pub mod store;
mod sys;
