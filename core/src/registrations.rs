//! The registrations (RFC 7591) that were made, kept beyond the logins that use them: a stored document of its own. It holds
//! nothing secret.

use crate::json;
use crate::machine::Blob;
use crate::provider::Client;
use crate::secret::Fingerprint;
use crate::time::Timestamp;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The registrations at all servers, by their issuers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registrations {
    registrations: Vec<Registered>,
}

/// A registration that a server made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    issuer: String,
    /// Of the request: one for other scopes or redirect URIs asks for another client.
    asked: String,
    client_id: String,
    /// Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    /// A login has begun with it again. Until that one is done, the server may have forgotten the client, which a person may
    /// be told on a page that is never seen here.
    #[serde(default)]
    under_way: bool,
}

impl Registered {
    pub(crate) fn new(issuer: String, asked: Fingerprint, client_id: String, expires_at: Option<Timestamp>) -> Self {
        let expires_at = expires_at.map(|at| at.0);
        Self { issuer, asked: asked.to_string(), client_id, expires_at, under_way: false }
    }
}

impl Registrations {
    /// Reads stored bytes; `None`: they are no such document.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        json::document(bytes)
    }

    /// The bytes to store.
    pub fn to_blob(&self) -> Blob {
        Blob::new(serde_json::to_vec_pretty(self).unwrap_or_default())
    }

    /// Keeps a registration. One that it replaces stays known until a login is done: the stored login may be of that client.
    pub fn keep(&mut self, registered: Registered) {
        self.registrations.push(registered);
    }

    /// A login with this client was done: its registration is good for the next one.
    pub fn proved(&mut self, client: &Client) {
        let Some(at) = self.registrations.iter().rposition(|kept| kept.is(client)) else { return };
        let mut proved = self.registrations.remove(at);
        proved.under_way = false;
        self.registrations.retain(|old| old.issuer != proved.issuer || old.asked != proved.asked);
        self.registrations.push(proved);
    }

    /// Whether this client was registered by this application.
    pub(crate) fn has(&self, client: &Client) -> bool {
        self.registrations.iter().any(|kept| kept.is(client))
    }

    /// The client of an earlier registration that would be asked for in the same way, for a login that begins.
    pub(crate) fn begin(&mut self, issuer: &str, asked: Fingerprint, now: Timestamp) -> Option<String> {
        let asked = asked.to_string();
        let good = |kept: &&mut Registered| {
            let living = kept.expires_at.is_none_or(|at| now.0 < at);
            kept.issuer == issuer && kept.asked == asked && living && !kept.under_way
        };
        let kept = self.registrations.iter_mut().find(good)?;
        kept.under_way = true;
        Some(kept.client_id.clone())
    }
}

impl Registered {
    fn is(&self, client: &Client) -> bool {
        client.issuer.as_ref() == Some(&self.issuer) && client.client_id == self.client_id
    }
}
