//! The handle of a test, over HTTP: for tests that are not written in Rust.
//!
//! Only programs on this machine reach it, and of these no web page of another origin: JSON needs a preflight, which is
//! never granted here.

use crate::config::Config;
use crate::routes::json_answer;
use crate::server::Shared;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new().route("/control", post(change)).route("/control/login", post(login))
}

/// What may be changed; members that are left out stay as they are. Times are in milliseconds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Change {
    access_life: Option<u64>,
    /// `null`: none.
    #[serde(default, deserialize_with = "present")]
    grace: Option<Option<u64>>,
    latency: Option<u64>,
    rotate: Option<bool>,
    auto_approve: Option<bool>,
    cors: Option<bool>,
    #[serde(default)]
    expire_access_tokens: bool,
    #[serde(default)]
    revoke_all: bool,
}

impl Change {
    fn apply(&self, config: &mut Config) {
        let set = |place: &mut Duration, millis: Option<u64>| {
            *place = millis.map_or(*place, Duration::from_millis);
        };
        set(&mut config.access_life, self.access_life);
        set(&mut config.latency, self.latency);
        config.grace = self.grace.map_or(config.grace, |grace| grace.map(Duration::from_millis));
        config.rotate = self.rotate.unwrap_or(config.rotate);
        config.auto_approve = self.auto_approve.unwrap_or(config.auto_approve);
        config.cors = self.cors.unwrap_or(config.cors);
    }
}

async fn change(State(shared): State<Arc<Shared>>, Json(change): Json<Change>) -> Response {
    let mut ledger = shared.ledger();
    change.apply(&mut ledger.config);
    if change.expire_access_tokens {
        ledger.expire_access_tokens();
    }
    if change.revoke_all {
        ledger.revoke_all();
    }
    json_answer(StatusCode::OK, &json!({}))
}

/// The tokens of a login without a browser.
async fn login(State(shared): State<Arc<Shared>>) -> Response {
    let mut ledger = shared.ledger();
    let (family, granted) = ledger.issue_login(None, None, None);
    let tokens = json!({
        "refreshToken": granted.refresh_token,
        "accessToken": granted.access_token,
        "expiresIn": ledger.config.access_life.as_secs(),
        "family": family,
    });
    json_answer(StatusCode::OK, &tokens)
}

/// Tells a member that is `null` from one that is left out.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
