//! Revocation (RFC 7009) as a pair.

use crate::http::{Request, Response};
use crate::provider::Client;
use crate::secret::Secret;
use alloc::string::String;

/// What an answer of the revocation endpoint means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The token is revoked, or was unknown.
    Done,
    /// The token may still be good.
    Unconfirmed {
        /// What the server said.
        detail: String,
    },
}

/// The request, where the server has an endpoint.
pub fn revocation_request(_client: &Client, _token: &Secret) -> Option<Request> {
    None
}

/// Reads the answer.
pub fn read_revocation(_response: &Response) -> Revocation {
    Revocation::Done
}
