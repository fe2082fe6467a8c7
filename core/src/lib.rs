//! The sans-IO core of kraube: every decision about keeping one OAuth login alive, as pure transitions.
//!
//! kraube keeps one OAuth login alive for everything on a machine. A person logs in once; from then on any number of
//! processes ask for an access token and get a live one. A refresh token that may be used only once is redeemed by one
//! of them at a time, and a rotation that was received is never lost.
//!
//! # The contract
//!
//! **A host decides nothing.** It performs one [`Action`](machine::Action) and reports one
//! [`Input`](machine::Input), again and again, until the machine is done. Every rule about locks, retries, margins,
//! errors, formats and messages is here, once, tested once, and shared by all hosts.
//!
//! - [`step`](machine::Machine::step) consumes the machine, so an old state cannot be used again. One action is
//!   outstanding at a time: there is no queue, no id, no order to remember.
//! - It is total. Failures of the world are inputs, verdicts are outcomes; an input that answers another action is
//!   `Misuse`, never a panic.
//! - There is no action to unlock. The lock lives in the frame of the loop, so every way out releases it. The one
//!   exception is a rotation that cannot be stored: [`Settle`](credential::Settle) says what the host keeps, with the
//!   lock.
//! - Both clocks come in as [`Now`](time::Now), and randomness as values. The core has no I/O, no clock, no threads and
//!   no async; built for wasm it imports nothing.
//!
//! This is a whole host, but for the lock of a real store:
//!
//! ```
//! use kraube_core::credential::{Obtain, Outcome, Wanted};
//! use kraube_core::http::{Request, Response, SendError};
//! use kraube_core::machine::{Action, Blob, Input, Locked, Machine, Revision, Step, WriteError};
//! use kraube_core::policy::Policy;
//! use kraube_core::record::RunId;
//! use kraube_core::time::{Millis, Now, Timestamp};
//!
//! /// One place, one server, and clocks that stand still.
//! struct Host {
//!     stored: Option<Blob>,
//!     server: fn(Request) -> Result<Response, SendError>,
//! }
//!
//! impl Host {
//!     fn drive<M: Machine>(&mut self, mut step: Step<M, M::Outcome>) -> M::Outcome {
//!         let mut _guard = None; // the lock is released when this frame ends
//!         loop {
//!             let (machine, action) = match step {
//!                 Step::Continue(machine, action) => (machine, action),
//!                 Step::Done(outcome) => return outcome,
//!             };
//!             let input = match action {
//!                 Action::Lock { .. } => {
//!                     _guard = Some(());
//!                     Input::Locked(Locked::Held)
//!                 }
//!                 Action::Read => Input::Read(Ok(self.stored.clone())),
//!                 Action::Send { request, .. } => Input::Replied((self.server)(request)),
//!                 Action::Write { replaces, blob, .. } => Input::Wrote(self.replace(replaces, Some(blob))),
//!                 Action::Delete { replaces } => Input::Deleted(self.replace(Some(replaces), None)),
//!                 Action::Wait { .. } => Input::Woke,
//!             };
//!             step = machine.step(input, self.now());
//!         }
//!     }
//!
//!     fn replace(&mut self, replaces: Option<Revision>, blob: Option<Blob>) -> Result<(), WriteError> {
//!         if self.stored.as_ref().map(Blob::revision) != replaces {
//!             return Err(WriteError::Conflict);
//!         }
//!         self.stored = blob;
//!         Ok(())
//!     }
//!
//!     fn now(&self) -> Now {
//!         Now { wall: Timestamp(1_800_000_000_000), monotonic: Millis::ZERO }
//!     }
//! }
//!
//! let record = r#"{
//!     "refreshToken": "spent-once",
//!     "accessToken": "expired",
//!     "expiresAt": 1700000000000,
//!     "kraube": {
//!         "provider": { "name": "example", "tokenEndpoint": "https://example.org/token", "clientId": "me", "body": "form" }
//!     },
//!     "somebody else's": [1, 2, 3]
//! }"#;
//! let mut host = Host {
//!     stored: Some(Blob::new(record.into())),
//!     server: |request| {
//!         assert_eq!(request.url.as_str(), "https://example.org/token");
//!         assert!(request.body.expose().contains("refresh_token=spent-once"));
//!         let body = r#"{"access_token": "new", "refresh_token": "next", "token_type": "Bearer", "expires_in": 3600}"#;
//!         let content_type = Some("application/json".to_owned());
//!         Ok(Response::new(200, content_type, None, body.into()))
//!     },
//! };
//!
//! let start = Obtain::start(Wanted::default(), Policy::default(), RunId(7), host.now());
//! let Outcome::Ready(ready) = host.drive(start) else { panic!("the server issued a token") };
//! assert_eq!(ready.access_token.expose(), "new");
//! assert_eq!(ready.expires_at, Timestamp(1_800_003_600_000));
//!
//! let stored = host.stored.expect("the rotation is stored");
//! let stored = str::from_utf8(stored.bytes()).expect("it is JSON");
//! assert!(stored.contains(r#""refreshToken": "next""#));
//! assert!(stored.contains(r#""somebody else's": [1, 2, 3]"#), "members of others are kept");
//! ```
//!
//! # Where a rule lives
//!
//! | module | what is decided there |
//! |---|---|
//! | [`machine`] | what hosts and machines say to each other |
//! | [`credential`] | when a token is served, refreshed, stored, revoked; the machines |
//! | [`policy`] | every figure, and whether a token is still fresh |
//! | [`record`] | the stored JSON and each change of it |
//! | [`status`] | what can be told of a login by reading alone |
//! | [`keeping`] | when a refresh ahead of need is due |
//! | [`doctor`] | what is to be thought of the place of a login and of the way to its server |
//! | [`login`], [`pkce`], [`provider`] | the authorization code grant, its redirect and its servers |
//! | [`device`] | the device authorization grant |
//! | [`discovery`], [`challenge`] | how a server is found by its issuer or by a resource |
//! | [`dpop`] | tokens that are bound to a key |
//! | [`register`], [`registrations`] | which client an application is there |
//! | [`token`], [`revoke`] | requests to the token and revocation endpoints, and what answers mean |
//! | [`json`] | how JSON is read and written that may hold secrets |
//! | [`http`], [`secret`], [`time`] | the values that all of them use |
//!
//! # What it does not do
//!
//! It does not verify ID tokens, keep client secrets, or log in with passwords. It cannot promise that a rotation
//! happens exactly once: where the server has rotated and the answer never arrives, nobody can know. What it does then is
//! recorded, bounded and reported.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod callback;
pub mod challenge;
pub mod credential;
pub mod device;
pub mod discovery;
pub mod doctor;
pub mod dpop;
pub mod http;
pub mod json;
pub mod keeping;
pub mod login;
pub mod machine;
mod number;
pub mod pkce;
pub mod policy;
pub mod provider;
pub mod record;
pub mod register;
pub mod registrations;
mod retry_after;
pub mod revoke;
pub mod secret;
pub mod status;
mod text;
pub mod time;
pub mod token;
