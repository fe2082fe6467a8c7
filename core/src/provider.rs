//! Authorization servers as data: where to send what, and which client we are there.

use crate::http::Endpoint;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a refresh and a revocation need to know, kept beside the tokens since the login: so every process on every host
/// refreshes from the stored record alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// The name of the provider profile at login.
    pub name: String,
    /// The issuer identifier (RFC 8414 section 2), where the server has one.
    pub issuer: Option<String>,
    /// The token endpoint (RFC 6749 section 3.2).
    pub token_endpoint: Endpoint,
    /// The revocation endpoint (RFC 7009), where the server has one.
    pub revocation_endpoint: Option<Endpoint>,
    /// The client identifier (RFC 6749 section 2.2) that the tokens were issued to.
    pub client_id: String,
    /// How token requests are encoded.
    pub body: TokenBody,
    /// Statuses, beside the error code `invalid_grant`, by which this server says that a refresh token is refused.
    pub refused_statuses: Vec<u16>,
}

/// How token requests are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenBody {
    /// `application/x-www-form-urlencoded`, the standard (RFC 6749 section 4.1.3).
    #[default]
    Form,
    /// A JSON object with the same members.
    Json,
}
