//! The stored bytes, as the invariants see them.

use crate::model::server::{Token, token};
use kraube_core::machine::{Blob, Revision};
use kraube_core::time::Timestamp;
use serde_json::Value;

/// Stored bytes, and what the invariants need to know of them.
pub(super) struct Stored {
    pub(super) blob: Blob,
    pub(super) revision: Revision,
    pub(super) refresh: Option<Token>,
    pub(super) access: Option<Token>,
    pub(super) marked: bool,
    pub(super) retry_at: Option<Timestamp>,
    pub(super) refused: bool,
    /// It says which login it is of.
    pub(super) login: bool,
    /// `None`: these bytes are no record.
    pub(super) others: Option<String>,
}

impl Stored {
    pub(super) fn new(blob: Blob) -> Self {
        let revision = blob.revision();
        let Ok(Value::Object(mut members)) = serde_json::from_slice(blob.bytes()) else {
            let (refresh, access, others) = (None, None, None);
            return Self {
                blob,
                revision,
                refresh,
                access,
                others,
                marked: false,
                retry_at: None,
                refused: false,
                login: false,
            };
        };
        let mut member = |name: &str| members.remove(name).unwrap_or_default();
        let refresh = member("refreshToken").as_str().and_then(token);
        let access = member("accessToken").as_str().and_then(token);
        let _ = member("expiresAt");
        let ours = member("kraube");
        let marked = ours.get("redeeming").is_some();
        let retry_at = ours.get("retryAt").and_then(Value::as_u64).map(Timestamp);
        let refused = ours.get("refused").is_some();
        let login = ours.get("login").is_some();
        let others = Some(Value::Object(members).to_string());
        Self { blob, revision, refresh, access, marked, retry_at, refused, login, others }
    }

    /// What a program writes that knows three members.
    pub(super) fn without_others(&self) -> Blob {
        let all: Value = serde_json::from_slice(self.blob.bytes()).unwrap_or_default();
        let kept: Value = ["refreshToken", "accessToken", "expiresAt"]
            .into_iter()
            .map(|name| (name.to_owned(), all.get(name).cloned().unwrap_or_default()))
            .collect::<serde_json::Map<_, _>>()
            .into();
        Blob::new(kept.to_string().into_bytes())
    }
}
