//! The endpoints: what arrives over HTTP, and the ledger's verdict as an HTTP answer.

use crate::authorize;
use crate::config::{Config, Members, Shape, When};
use crate::control;
use crate::device;
use crate::fault;
use crate::files;
use crate::ledger::{Granted, Refused};
use crate::observe::Event;
use crate::pages;
use crate::params::Params;
use crate::server::{Shared, Socket};
use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::extract::{Extension, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{map_request_with_state, map_response_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
pub(crate) const REVOKE: &str = "/revoke";
pub(crate) const RESOURCE: &str = "/resource";
pub(crate) const CALLBACK: &str = "/oauth/code/callback";
pub(crate) const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource/resource";
pub(crate) const METADATA: &str = "/.well-known/oauth-authorization-server";
pub(crate) const COUNTERS: &str = "/counters";
pub(crate) const STYLE: &str = "/style.css";

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    // A browser page of any origin may use these: they take no cookie and no other ambient authority.
    let mut open = Router::new()
        .route(REVOKE, post(revoke).options(preflight))
        .route(RESOURCE, get(resource).options(preflight))
        .route(RESOURCE_METADATA, get(resource_metadata).options(preflight))
        .route(METADATA, get(metadata).options(preflight))
        .route(device::AUTHORIZATION, post(device::authorization).options(preflight));
    let mut own = Router::new()
        .route("/", get(pages::index))
        .route(COUNTERS, get(counters))
        .route(STYLE, get(pages::style))
        .route(CALLBACK, get(authorize::callback))
        .route(device::PAGE, get(device::page).post(device::decision));
    for shape in [Shape::Standard, Shape::Claude] {
        open = open.route(shape.token_path(), post(token).options(preflight));
        own = own.route(shape.authorize_path(), get(authorize::request).post(authorize::decision));
    }
    let config = shared.ledger().config.clone();
    if config.control {
        own = own.merge(control::router());
    }
    let seen = map_request_with_state(Arc::clone(&shared), note_target);
    let open = open.layer(map_response_with_state(Arc::clone(&shared), allow_any_origin));
    open.merge(own).layer(seen).with_state(shared).merge(files::router(&config.files))
}

/// An answer of the token endpoint, before a fault gets at it.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    /// `DPoP-Nonce`.
    pub(crate) nonce: Option<String>,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
        let mut response = (self.status, headers, self.body.to_string()).into_response();
        if let Some(nonce) = self.nonce.and_then(|nonce| HeaderValue::from_str(&nonce).ok()) {
            response.headers_mut().insert(NONCE, nonce);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"kraube\""));
        }
        response
    }
}

async fn token(
    State(shared): State<Arc<Shared>>,
    Extension(socket): Extension<Socket>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let config = shared.ledger().config.clone();
    if uri.path() != config.shape.token_path() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let params = read(config.shape == Shape::Claude, &uri, &headers, &body);
    let proof = proofs(&headers);
    let (fault, _in_flight) = {
        let mut ledger = shared.ledger();
        let family = ledger.arrived(params.as_ref().ok());
        let fault = ledger.next_fault();
        (fault, family.map(|family| InFlight { shared: Arc::clone(&shared), family }))
    };
    let changes_nothing = fault.as_ref().is_some_and(|fault| fault.when == When::Before);
    let faulty = fault.is_some();
    let work = {
        let shared = Arc::clone(&shared);
        async move {
            if config.commit_after_latency {
                tokio::time::sleep(config.latency).await;
            }
            let answer = match changes_nothing {
                true => Answer {
                    status: StatusCode::OK,
                    body: json!({"token_type": "Bearer", "expires_in": 3600}),
                    nonce: None,
                },
                false => {
                    let mut ledger = shared.ledger();
                    let key = ledger.prove(&proof, "POST", &format!("{}{}", shared.issuer, uri.path()), None);
                    let nonce = ledger.config.dpop_nonce_uses.map(|_| ledger.proofs.nonce());
                    Answer { nonce, ..answer(&config, ledger.redeem(params, key)) }
                }
            };
            if faulty {
                let mut ledger = shared.ledger();
                ledger.counters.faults_injected += 1;
                ledger.tell(Event::FaultInjected);
            }
            if !config.commit_after_latency {
                tokio::time::sleep(config.latency).await;
            }
            answer
        }
    };
    // A task of its own: a client that goes ends this handler, but does not undo its request.
    let Ok(answer) = tokio::spawn(work).await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    match fault {
        None => answer.into_response(),
        Some(fault) => fault::commit(fault.kind, answer, socket).await,
    }
}

async fn revoke(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut ledger = shared.ledger();
    let status = StatusCode::from_u16(ledger.config.revocation_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status != StatusCode::OK {
        return status.into_response();
    }
    match read(false, &uri, &headers, &body).and_then(|params| ledger.revoke(&params)) {
        Ok(()) => (StatusCode::OK, [(CACHE_CONTROL, "no-store")]).into_response(),
        Err(refused) => error_answer(refused),
    }
}

async fn resource(State(shared): State<Arc<Shared>>, method: Method, headers: HeaderMap) -> Response {
    let credentials = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let credentials = credentials.and_then(|value| value.split_once(' '));
    if let Some((_, token)) = credentials.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("dpop")) {
        return bound_resource(&shared, method.as_str(), token, &proofs(&headers));
    }
    let token = credentials.filter(|(scheme, _)| is_bearer(scheme));
    if shared.ledger().resource(token.map(|(_, token)| token), None) {
        return json_answer(StatusCode::OK, &json!({"resource": "kraube-testserver", "ok": true}));
    }
    // Without credentials there is no error to name (RFC 6750 section 3.1).
    let error = match token {
        Some(_) => ", error=\"invalid_token\", error_description=\"expired, revoked or unknown\"",
        None => "",
    };
    let metadata = format!("{}{RESOURCE_METADATA}", shared.issuer);
    let challenge = format!("Bearer realm=\"kraube\", resource_metadata=\"{metadata}\"{error}");
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)]).into_response()
}

/// RFC 9449 section 7.
fn bound_resource(shared: &Shared, method: &str, token: &str, proof: &[String]) -> Response {
    let mut ledger = shared.ledger();
    let url = format!("{}{RESOURCE}", shared.issuer);
    let key = ledger.prove(proof, method, &url, Some(token));
    let nonce = ledger.config.dpop_nonce_uses.map(|_| ledger.proofs.nonce());
    let proved = key.as_ref().ok().and_then(Option::as_deref);
    let mut response = if proved.is_some() && ledger.resource(Some(token), proved) {
        json_answer(StatusCode::OK, &json!({"resource": "kraube-testserver", "ok": true}))
    } else {
        let error = match &key {
            Err(refused) => refused.error,
            Ok(None) => "invalid_dpop_proof",
            Ok(Some(_)) => "invalid_token",
        };
        let challenge = format!("DPoP algs=\"ES256\", error=\"{error}\"");
        (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)]).into_response()
    };
    if let Some(nonce) = nonce.and_then(|nonce| HeaderValue::from_str(&nonce).ok()) {
        response.headers_mut().insert(NONCE, nonce);
    }
    response
}

fn proofs(headers: &HeaderMap) -> Vec<String> {
    headers.get_all("dpop").iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

/// RFC 9728 section 2.
async fn resource_metadata(State(shared): State<Arc<Shared>>) -> Response {
    let (issuer, dpop) = (&shared.issuer, shared.ledger().config.dpop);
    let document = json!({
        "dpop_bound_access_tokens_required": dpop,
        "resource": format!("{issuer}{RESOURCE}"),
        "authorization_servers": [issuer],
        "bearer_methods_supported": ["header"],
    });
    json_answer(StatusCode::OK, &document)
}

/// RFC 8414 section 2.
async fn metadata(State(shared): State<Arc<Shared>>) -> Response {
    let (issuer, config) = (&shared.issuer, shared.ledger().config.clone());
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}{}", config.shape.authorize_path()),
        "token_endpoint": format!("{issuer}{}", config.shape.token_path()),
        "revocation_endpoint": format!("{issuer}{REVOKE}"),
        "device_authorization_endpoint": format!("{issuer}{}", device::AUTHORIZATION),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", device::GRANT_TYPE],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": ["ES256"],
        "authorization_response_iss_parameter_supported": config.shape == Shape::Standard,
    });
    change(&mut document, &config.metadata_members);
    json_answer(StatusCode::OK, &document)
}

async fn counters(State(shared): State<Arc<Shared>>) -> Response {
    let counters = shared.ledger().counters.clone();
    json_answer(StatusCode::OK, &serde_json::to_value(counters).unwrap_or_default())
}

async fn preflight() -> impl IntoResponse {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, accept"),
    ];
    (StatusCode::NO_CONTENT, headers)
}

async fn note_target(State(shared): State<Arc<Shared>>, request: Request) -> Request {
    if request.uri().query().is_some() {
        shared.ledger().targets.push(request.uri().to_string());
    }
    request
}

async fn allow_any_origin(State(shared): State<Arc<Shared>>, mut response: Response) -> Response {
    if !shared.ledger().config.cors {
        return response;
    }
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after, www-authenticate"));
    response
}

/// Reads the body of a request to the token or the revocation endpoint (RFC 6749 section 3.2).
pub(crate) fn read(json: bool, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Params, Refused> {
    if headers.contains_key(AUTHORIZATION) {
        return Err(Refused::new("invalid_client", "clients here are public and have no credentials"));
    }
    if uri.query().is_some() {
        return Err(Refused::request("parameters belong in the body, not in the URL"));
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let params = if json && media_type.eq_ignore_ascii_case("application/json") {
        Params::json(body).ok_or(Refused::request("the body is not a JSON object"))?
    } else if !json && media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        Params::form(body)
    } else if json {
        return Err(Refused::request("content-type is not application/json"));
    } else {
        return Err(Refused::request("content-type is not application/x-www-form-urlencoded"));
    };
    match params.any_repeated() {
        true => Err(Refused::request("a parameter is repeated")),
        false => Ok(params),
    }
}

fn answer(config: &Config, result: Result<Granted, Refused>) -> Answer {
    let granted = match result {
        Ok(granted) => granted,
        Err(refused) => return error(config.shape, refused),
    };
    let mut body = json!({
        "access_token": granted.access_token,
        "token_type": if granted.bound { "DPoP" } else { "Bearer" },
        "expires_in": config.access_life.as_secs(),
    });
    let optional = [("refresh_token", granted.refresh_token), ("scope", granted.scope)];
    let present = optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Some(Value::from(value?)))));
    change(&mut body, &present.collect::<Members>());
    change(&mut body, &config.token_members);
    Answer { status: StatusCode::OK, body, nonce: None }
}

fn error(shape: Shape, refused: Refused) -> Answer {
    let Refused { error, description, refresh } = refused;
    if shape == Shape::Claude && refresh {
        let body = json!({"type": "error", "error": {"type": "not_found_error", "message": description}});
        return Answer { status: StatusCode::NOT_FOUND, body, nonce: None };
    }
    let status = if error == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    Answer { status, body: json!({"error": error, "error_description": description}), nonce: None }
}

fn change(object: &mut Value, members: &Members) {
    let Some(object) = object.as_object_mut() else { return };
    for (name, value) in members {
        match value {
            Some(value) => drop(Map::insert(object, name.clone(), value.clone())),
            None => drop(object.remove(name)),
        }
    }
}

pub(crate) fn error_answer(refused: Refused) -> Response {
    error(Shape::Standard, refused).into_response()
}

pub(crate) fn json_answer(status: StatusCode, body: &Value) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (status, headers, body.to_string()).into_response()
}

fn is_bearer(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("bearer")
}

/// Counts a refresh request as in flight until it is answered or its client has gone.
struct InFlight {
    shared: Arc<Shared>,
    family: usize,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.shared.ledger().left(self.family);
    }
}
