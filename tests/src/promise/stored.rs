//! The stored bytes, as the invariants see them.

use super::server::{Token, token};
use kraube_core::machine::{Blob, Revision};
use kraube_core::time::Timestamp;
use serde_json::Value;

/// Stored bytes, and what the invariants need to know of them.
pub(crate) struct Stored {
    pub(crate) blob: Blob,
    pub(crate) revision: Revision,
    pub(crate) refresh: Option<Token>,
    pub(crate) access: Option<Token>,
    pub(crate) marked: bool,
    pub(crate) retry_at: Option<Timestamp>,
    pub(crate) refused: bool,
    /// Which login it says it is of.
    pub(crate) login: Option<String>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) obtained_at: Option<Timestamp>,
    /// `None`: these bytes are no record.
    pub(crate) others: Option<String>,
}

impl Stored {
    pub(crate) fn new(blob: Blob) -> Self {
        let revision = blob.revision();
        let Ok(Value::Object(mut members)) = serde_json::from_slice(blob.bytes()) else {
            return Self {
                blob,
                revision,
                refresh: None,
                access: None,
                marked: false,
                retry_at: None,
                refused: false,
                login: None,
                expires_at: None,
                obtained_at: None,
                others: None,
            };
        };
        let mut member = |name: &str| members.remove(name).unwrap_or_default();
        let refresh = member("refreshToken").as_str().and_then(token);
        let access = member("accessToken").as_str().and_then(token);
        let time = |value: &Value| value.as_u64().map(Timestamp);
        let expires_at = time(&member("expiresAt"));
        let ours = member("kraube");
        let marked = ours.get("redeeming").is_some();
        let retry_at = ours.get("retryAt").and_then(time);
        let obtained_at = ours.get("obtainedAt").and_then(time);
        let refused = ours.get("refused").is_some();
        let login = ours.get("login").and_then(Value::as_str).map(ToOwned::to_owned);
        let others = Some(Value::Object(members).to_string());
        Self { blob, revision, refresh, access, marked, retry_at, refused, login, expires_at, obtained_at, others }
    }

    /// What a program writes that knows three members.
    pub(crate) fn without_others(&self) -> Blob {
        let all: Value = serde_json::from_slice(self.blob.bytes()).unwrap_or_default();
        let kept: Value = ["refreshToken", "accessToken", "expiresAt"]
            .into_iter()
            .map(|name| (name.to_owned(), all.get(name).cloned().unwrap_or_default()))
            .collect::<serde_json::Map<_, _>>()
            .into();
        Blob::new(kept.to_string().into_bytes())
    }
}
