//! kraube keeps one OAuth login alive for everything on a machine.
//!
//! A person logs in once; from then on any number of processes ask for an access token and get a live one. A refresh
//! token that may be used only once is redeemed by one of them at a time, and a rotation that was received is never lost.
//!
//! ```no_run
//! # fn main() -> Result<(), kraube::Error> {
//! let source = kraube::TokenSource::from_file(None)?;
//! let token = source.blocking_token()?; // or `token().await`
//! println!("it lives until {:?}", token.expires_at());
//! # Ok(())
//! # }
//! ```
//!
//! | to | there is |
//! |---|---|
//! | get tokens | [`TokenSource`], [`Token`] |
//! | authorize a request, also of a login that is bound to a key | [`TokenSource::authorize`], [`Authorized`] |
//! | log in | [`login()`], [`login_manual`], [`login::start`] and [`login::finish`] |
//! | store, look at and end a login | [`save_credentials`], [`status`], [`logout`] |
//! | keep a login fresh, look for what is wrong | [`keep_fresh`], [`doctor`] |
//! | keep credentials somewhere else | [`store::Store`] |
//! | understand it | the [`guide`], and [`kraube_core`], which decides everything |
//!
//! This crate performs what the core asks for: files, locks, requests. It decides nothing.

mod account;
mod authorize;
pub mod doctor;
mod dpop;
mod drive;
mod error;
mod file;
pub mod guide;
mod http;
mod keeper;
pub mod login;
mod memory;
pub mod paths;
pub mod provider;
mod registrations;
mod source;
pub mod store;
mod sys;
mod token;
mod unsaved;
mod worker;

pub use account::{logout, save_credentials, status};
pub use authorize::{Answered, Authorized};
pub use error::Error;
pub use keeper::{health_path, keep_fresh};
pub use kraube_core as core;
pub use login::{LoginError, LoginOptions, login, login_manual};
pub use paths::default_credentials_path;
pub use source::{Options, TokenSource};
pub use token::Token;

/// The examples in README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
