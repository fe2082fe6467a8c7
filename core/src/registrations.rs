//! The registrations (RFC 7591) that were made, kept beyond the logins that use them: a stored document of its own. It holds
//! nothing secret.

use crate::json::{self, Members, Value};
use crate::machine::Blob;
use crate::provider::Client;
use crate::secret::Fingerprint;
use crate::time::Timestamp;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The registrations at all servers, by their issuers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registrations {
    registrations: Vec<Registered>,
}

/// A registration that a server made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    issuer: String,
    /// Of the request: one for other scopes or redirect URIs asks for another client.
    asked: String,
    client_id: String,
    /// Unix milliseconds.
    expires_at: Option<u64>,
    /// A login has begun with it again. Until that one is done, the server may have forgotten the client, which a person may
    /// be told on a page that is never seen here.
    under_way: bool,
}

impl Registered {
    pub(crate) fn new(issuer: String, asked: Fingerprint, client_id: String, expires_at: Option<Timestamp>) -> Self {
        let expires_at = expires_at.map(|at| at.0);
        Self { issuer, asked: asked.to_string(), client_id, expires_at, under_way: false }
    }

    fn from_json(json: &str) -> Option<Self> {
        let mut members = Members::parse(json.as_bytes())?;
        let registered = Self {
            issuer: members.text("issuer")?,
            asked: members.text("asked")?,
            client_id: members.text("clientId")?,
            expires_at: members.nullable("expiresAt", json::whole),
            under_way: members.value("underWay", json::flag).unwrap_or_default(),
        };
        members.fits().then_some(registered)
    }

    fn to_json(&self) -> String {
        let expires_at = self.expires_at.map(|at| at.to_string());
        json::object(&[
            ("issuer", Some(Value::Text(&self.issuer))),
            ("asked", Some(Value::Text(&self.asked))),
            ("clientId", Some(Value::Text(&self.client_id))),
            ("expiresAt", expires_at.as_deref().map(Value::Json)),
            ("underWay", Some(Value::Json(if self.under_way { "true" } else { "false" }))),
        ])
    }
}

impl Registrations {
    /// Reads stored bytes; `None`: they are no such document.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut members = Members::parse(bytes)?;
        let all = json::list(members.take("registrations")?)?;
        let registrations = all.map(Registered::from_json).collect::<Option<_>>()?;
        members.fits().then_some(Self { registrations })
    }

    /// The bytes to store.
    pub fn to_blob(&self) -> Blob {
        let all: Vec<String> = self.registrations.iter().map(Registered::to_json).collect();
        Blob::new(["{\"registrations\": [\n", &all.join(",\n"), "\n]}\n"].concat().into_bytes())
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
