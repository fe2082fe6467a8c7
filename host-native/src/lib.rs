//! kraube keeps one OAuth login alive for every process on a machine.
//!
//! This crate performs what the core asks for: files, locks, requests. It decides nothing.

mod account;
mod drive;
mod error;
mod file;
pub mod guide;
mod http;
pub mod login;
mod memory;
pub mod paths;
pub mod provider;
mod source;
pub mod store;
mod sys;
mod token;
mod unsaved;
mod worker;

pub use account::{logout, save_credentials, status};
pub use error::Error;
pub use kraube_core as core;
pub use login::{LoginError, LoginOptions, login, login_manual};
pub use paths::default_credentials_path;
pub use source::{Options, TokenSource};
pub use token::Token;
