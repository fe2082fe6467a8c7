//! The token endpoint as pairs: a request, and what its answer means (RFC 6749 sections 4.1.3, 5 and 6).

use crate::http::{Request, Response};
use crate::provider::Client;
use crate::secret::Secret;
use crate::time::{Millis, Now};
use alloc::string::String;

/// What the server issued. [`Answer::Issued`] holds it.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
pub struct Issued {
    /// The access token; never empty.
    pub access_token: Secret,
    /// The new refresh token. `None`: the old one stays valid (RFC 6749 section 6).
    pub refresh_token: Option<Secret>,
    /// How long the access token lives, counted from the moment the request was sent.
    pub life: Millis,
    /// The granted scope, where the server names it.
    pub scope: Option<String>,
}

/// What an answer of the token endpoint means for the token or code that was sent.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
pub enum Answer {
    /// New tokens.
    Issued(Issued),
    /// The grant is not accepted (any more): `invalid_grant`.
    Refused {
        /// The error code and, escaped for display, the description.
        detail: String,
    },
    /// A status that this provider is known to use for a refused refresh token ([`Client::refused_statuses`]). One
    /// passing answer of the kind must not end a login, so it counts when it comes again after a back-off.
    RefusedByStatus(u16),
    /// 429: too many requests.
    Throttled {
        /// From `Retry-After`.
        retry_after: Option<Millis>,
    },
    /// Any other 4xx but 408: the server does not accept this client or request.
    ClientRejected {
        /// The error code, or the status, and the description, escaped for display.
        detail: String,
    },
    /// What became of the token cannot be told from this: 408, 3xx, 5xx, an unreadable, cut or mistyped body.
    Unknown {
        /// From `Retry-After`.
        retry_after: Option<Millis>,
        /// What was wrong. Never holds a part of the body.
        detail: String,
    },
}

/// The refresh request (RFC 6749 section 6). The scope is left out: it stays what was granted.
pub fn refresh_request(_client: &Client, _refresh_token: &Secret) -> Request {
    unimplemented!()
}

/// Reads an answer to a refresh request, or to a code exchange.
pub fn read_answer(_client: &Client, _response: &Response, _now: Now) -> Answer {
    unimplemented!()
}
