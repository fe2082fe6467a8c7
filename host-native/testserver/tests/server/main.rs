//! The server as a client sees it, over real sockets.
#![allow(clippy::unwrap_used)]

mod client;
mod code;
mod faults;
mod pages;
mod refresh;
mod surface;
