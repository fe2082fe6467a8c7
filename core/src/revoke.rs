//! Token revocation (RFC 7009) as a pair: a request, and what its answer says.

use crate::http::{Request, Response};
use crate::provider::Client;
use crate::secret::Secret;
use crate::token::{form_request, read_error};
use alloc::string::String;

/// What the server said about a revocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Revocation {
    /// The token is void. Servers say so of tokens that they never knew, too.
    Done,
    /// The token may still be valid.
    Unconfirmed {
        /// Why, for people.
        detail: String,
    },
}

/// The request that revokes a refresh token, and with it the grant (RFC 7009 section 2.1). `None`: the server has no
/// revocation endpoint. The body is a form always; the standard knows no other.
pub fn revocation_request(client: &Client, refresh_token: &Secret) -> Option<Request> {
    let parameters = [
        ("token", refresh_token.expose()),
        ("token_type_hint", "refresh_token"),
        ("client_id", client.client_id.as_str()),
    ];
    Some(form_request(client.revocation_endpoint.clone()?, &parameters))
}

/// Reads the answer (RFC 7009 section 2.2). Of what the server says, words that could be a credential are left out.
pub fn read_revocation(response: &Response) -> Revocation {
    read(response, &[])
}

/// The same; `sent` is the token, which is never shown.
pub(crate) fn read(response: &Response, sent: &[Secret]) -> Revocation {
    let detail = match response.status {
        200 => return Revocation::Done,
        503 => "the server is busy (HTTP status 503); the token still exists".into(),
        status => read_error(&response.body).detail(status, sent),
    };
    Revocation::Unconfirmed { detail }
}
