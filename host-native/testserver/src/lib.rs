//! An OAuth 2 authorization server to embed in tests: small, strict, and full of faults on request.
//!
//! It issues codes and tokens as the RFCs say (6749, 7636, 7009, 8414, 8628, 9207), rotates refresh tokens, treats a spent one
//! as theft, and counts what it saw. It knows nothing of any client, so it is a fair judge of all of them. It listens on
//! the loopback interface only and keeps everything in memory.
//!
//! ```
//! use kraube_testserver::{Config, Event, Fault, FaultKind, Server};
//! # fn refresh(server: &Server, token: &str) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
//! #     let form = [("grant_type", "refresh_token"), ("client_id", "example"), ("refresh_token", token)];
//! #     ureq::post(&server.token_url()).config().http_status_as_error(false).build().send_form(form)
//! # }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::spawn(Config::default())?;
//! let events = server.events();
//! let login = server.issue_login();
//!
//! // The client under test refreshes, and the connection is reset after the token was spent.
//! server.inject(Fault::after(FaultKind::Reset));
//! assert!(refresh(&server, &login.refresh_token).is_err());
//! assert!(events.iter().any(|event| event == Event::RefreshCommitted { family: login.family, generation: 1 }));
//! assert!(!server.family_alive(&login.refresh_token));
//!
//! // Without a grace, the second attempt is a replay, and the login is over.
//! assert_eq!(refresh(&server, &login.refresh_token)?.status(), 400);
//! assert_eq!((server.counters().replays, server.counters().families_revoked), (1, 1));
//! # Ok(())
//! # }
//! ```
//!
//! | endpoint | path |
//! |---|---|
//! | authorization: PKCE with S256 is required | `/authorize` |
//! | token: `authorization_code`, `refresh_token`, device code | `/token` |
//! | device authorization (RFC 8628); its page for people | `/device_authorization`, `/device` |
//! | revocation | `/revoke` |
//! | metadata | `/.well-known/oauth-authorization-server` |
//! | metadata of the resource | `/.well-known/oauth-protected-resource/resource` |
//! | a protected resource | `/resource` |
//! | counters, as JSON and for people | `/counters`, `/` |
//! | control, where [`Config::control`] allows it | `/control`, `/control/login` |
#![forbid(unsafe_code)]

mod authorize;
mod canary;
mod config;
mod control;
mod device;
mod dpop;
mod fault;
mod files;
mod ledger;
mod observe;
mod pages;
mod params;
mod routes;
mod server;

pub use canary::Canary;
pub use config::{Config, Fault, FaultKind, Files, Members, Shape, When};
pub use observe::{Counters, Event};
pub use server::{Login, Server};
