//! The device authorization grant (RFC 8628): codes for a person on another machine, and who agreed.

use crate::config::Config;
use crate::ledger::{Refused, random};
use crate::pages;
use crate::params::Params;
use crate::routes::{error_answer, json_answer, read};
use crate::server::Shared;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) const AUTHORIZATION: &str = "/device_authorization";
pub(crate) const PAGE: &str = "/device";
pub(crate) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The device codes, and what became of each.
#[derive(Default)]
pub(crate) struct Devices(HashMap<String, Waiting>);

struct Waiting {
    user_code: String,
    client_id: String,
    scope: Option<String>,
    issued: Instant,
    polled: Option<Instant>,
    interval: Duration,
    decision: Option<bool>,
}

/// Who agreed to what.
pub(crate) struct Agreed {
    pub(crate) client_id: String,
    pub(crate) scope: Option<String>,
}

impl Devices {
    /// The device code and the user code.
    fn issue(&mut self, config: &Config, client_id: &str, scope: Option<&str>) -> (String, String) {
        let device_code = random("kr_dc_", 0);
        // No vowels and nothing that looks like something else (RFC 8628 section 6.1).
        let letters: Vec<char> = device_code.chars().filter(|c| "BCDFGHJKLMNPQRSTVWXZ".contains(*c)).collect();
        let letter = |index: usize| *letters.get(index % letters.len().max(1)).unwrap_or(&'B');
        let user_code: String = (0..9).map(|index| if index == 4 { '-' } else { letter(index) }).collect();
        let waiting = Waiting {
            user_code: user_code.clone(),
            client_id: client_id.to_owned(),
            scope: scope.map(str::to_owned),
            issued: Instant::now(),
            polled: None,
            interval: config.device_interval,
            decision: config.auto_approve.then_some(true),
        };
        self.0.insert(device_code.clone(), waiting);
        (device_code, user_code)
    }

    /// Whether there is such a code that waits for a decision.
    pub(crate) fn decide(&mut self, user_code: &str, approve: bool) -> bool {
        let waiting = self.0.values_mut().find(|waiting| waiting.user_code == user_code && waiting.decision.is_none());
        waiting.map(|waiting| waiting.decision = Some(approve)).is_some()
    }

    /// A poll (RFC 8628 section 3.5).
    pub(crate) fn poll(&mut self, config: &Config, client_id: &str, device_code: &str) -> Result<Agreed, Refused> {
        let unknown = Refused::grant("the device code was not issued here, or is spent");
        let waiting = self.0.get_mut(device_code).ok_or(unknown)?;
        if waiting.client_id != client_id {
            return Err(Refused::grant("the device code was issued to another client"));
        }
        if waiting.issued.elapsed() >= config.code_life {
            return Err(Refused::new("expired_token", "the device code has expired"));
        }
        let early = waiting.polled.is_some_and(|polled| polled.elapsed() < waiting.interval);
        waiting.polled = Some(Instant::now());
        match waiting.decision {
            None if early => {
                waiting.interval += Duration::from_secs(5);
                Err(Refused::new("slow_down", "polls come too often"))
            }
            None => Err(Refused::new("authorization_pending", "the person has not decided yet")),
            Some(false) => Err(Refused::new("access_denied", "the person said no")),
            Some(true) => {
                let agreed = self.0.remove(device_code).ok_or(unknown)?;
                Ok(Agreed { client_id: agreed.client_id, scope: agreed.scope })
            }
        }
    }
}

/// RFC 8628 section 3.1 and 3.2.
pub(crate) async fn authorization(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut ledger = shared.ledger();
    let client = read(false, &uri, &headers, &body).and_then(|params| Ok((ledger.client(&params)?, params)));
    let (client_id, params) = match client {
        Ok(found) => found,
        Err(refused) => return error_answer(refused),
    };
    let config = ledger.config.clone();
    let (device_code, user_code) = ledger.devices.issue(&config, &client_id, params.get("scope"));
    let page = format!("{}{PAGE}", shared.issuer);
    let document = json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={user_code}"),
        "expires_in": config.code_life.as_secs(),
        "interval": config.device_interval.as_secs(),
    });
    json_answer(StatusCode::OK, &document)
}

/// Where a person types the code in.
pub(crate) async fn page(RawQuery(query): RawQuery) -> Response {
    let params = Params::form(query.unwrap_or_default().as_bytes());
    pages::device(PAGE, params.get("user_code").unwrap_or_default())
}

/// The form of that page.
pub(crate) async fn decision(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let params = Params::form(&body);
    let user_code = params.get("user_code").unwrap_or_default().trim().to_ascii_uppercase();
    let approve = params.get("decision") == Some("approve");
    match shared.ledger().devices.decide(&user_code, approve) {
        true => pages::decided(approve).into_response(),
        false => pages::refusal("No login waits for this code."),
    }
}
