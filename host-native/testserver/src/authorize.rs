//! The authorization endpoint (RFC 6749 section 4.1.1) and the two ways back: the redirect and the page to copy from.

use crate::config::{Config, Shape};
use crate::ledger::AuthorizationRequest;
use crate::pages;
use crate::params::Params;
use crate::server::Shared;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// `GET`: approves at once, or shows the page that asks.
pub(crate) async fn request(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let config = shared.ledger().config.clone();
    if uri.path() != config.shape.authorize_path() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let params = Params::form(uri.query().unwrap_or_default().as_bytes());
    match read(&shared, &config, &params) {
        Err(failure) => fail(&shared, &config, StatusCode::FOUND, failure),
        Ok(request) if config.auto_approve => approve(&shared, &config, StatusCode::FOUND, request),
        Ok(request) => pages::approval(uri.path(), &request, params.iter()),
    }
}

/// `POST`: the form of that page. It repeats the whole request, which is judged anew.
pub(crate) async fn decision(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let config = shared.ledger().config.clone();
    if uri.path() != config.shape.authorize_path() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let content_type = headers.get(axum::http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|value| value.starts_with("application/x-www-form-urlencoded")) {
        return pages::refusal("The content-type is not application/x-www-form-urlencoded.");
    }
    let params = Params::form(&body);
    match (read(&shared, &config, &params), params.get("decision")) {
        (Err(failure), _) => fail(&shared, &config, StatusCode::SEE_OTHER, failure),
        (Ok(request), Some("approve")) => approve(&shared, &config, StatusCode::SEE_OTHER, request),
        (Ok(request), _) => {
            let denied = Failure::back(&request.redirect_uri, request.state, "access_denied", "the person said no");
            fail(&shared, &config, StatusCode::SEE_OTHER, denied)
        }
    }
}

/// The manual redirect URI.
pub(crate) async fn callback(RawQuery(query): RawQuery) -> Response {
    let params = Params::form(query.unwrap_or_default().as_bytes());
    match (params.get("code"), params.get("state"), params.get("error")) {
        _ if params.any_repeated() => pages::refusal("A parameter is repeated."),
        (Some(code), Some(state), None) => pages::code(&format!("{code}#{state}")),
        (Some(code), None, None) => pages::code(code),
        (_, _, Some(error)) => pages::refusal(&format!("The login ended with the error {error}.")),
        (None, _, None) => pages::refusal("There is no code in this address."),
    }
}

/// Why there is no code.
enum Failure {
    /// Nobody knows where to send the browser: it stays here.
    Here(&'static str),
    /// The client is told (RFC 6749 section 4.1.2.1).
    Back { redirect_uri: String, state: Option<String>, error: &'static str, description: &'static str },
}

impl Failure {
    fn back(redirect_uri: &str, state: Option<String>, error: &'static str, description: &'static str) -> Self {
        Self::Back { redirect_uri: redirect_uri.to_owned(), state, error, description }
    }
}

fn read(shared: &Shared, config: &Config, params: &Params) -> Result<AuthorizationRequest, Failure> {
    if params.is_repeated("client_id") || params.is_repeated("redirect_uri") {
        return Err(Failure::Here("client_id or redirect_uri is repeated."));
    }
    let client_id = params.get("client_id").ok_or(Failure::Here("client_id is missing."))?;
    if !shared.ledger().is_registered(client_id) {
        return Err(Failure::Here("client_id is not registered."));
    }
    let redirect_uri = params.get("redirect_uri").ok_or(Failure::Here("redirect_uri is missing."))?;
    if !is_redirect_uri(redirect_uri) {
        return Err(Failure::Here("redirect_uri is neither https nor http on a loopback address, or has a fragment."));
    }
    let state = params.get("state").filter(|_| !params.is_repeated("state")).map(str::to_owned);
    let back = |error, description| Err(Failure::back(redirect_uri, state.clone(), error, description));
    if params.any_repeated() {
        return back("invalid_request", "a parameter is repeated");
    }
    if params.get("response_type") != Some("code") {
        return back("unsupported_response_type", "response_type is not code");
    }
    let Some(challenge) = params.get("code_challenge") else {
        return back("invalid_request", "code_challenge is missing (RFC 7636)");
    };
    if params.get("code_challenge_method") != Some("S256") {
        return back("invalid_request", "code_challenge_method is not S256");
    }
    if challenge.len() != 43 || !challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return back("invalid_request", "code_challenge is not a SHA-256 in base64url");
    }
    if !params.all("resource").all(is_resource) {
        return back("invalid_target", "resource is not an absolute URI without fragment (RFC 8707)");
    }
    if config.shape == Shape::Claude && params.get("code") != Some("true") {
        return back("invalid_request", "code=true is missing");
    }
    if config.shape == Shape::Claude && state.is_none() {
        return back("invalid_request", "state is missing");
    }
    Ok(AuthorizationRequest {
        client_id: client_id.to_owned(),
        redirect_uri: redirect_uri.to_owned(),
        state,
        challenge: challenge.to_owned(),
        scope: params.get("scope").map(str::to_owned),
    })
}

fn approve(shared: &Shared, config: &Config, status: StatusCode, request: AuthorizationRequest) -> Response {
    let (redirect_uri, state) = (request.redirect_uri.clone(), request.state.clone());
    let code = shared.ledger().issue_code(request);
    redirect(shared, config, status, &redirect_uri, state.as_deref(), &[("code", &code)])
}

fn fail(shared: &Shared, config: &Config, status: StatusCode, failure: Failure) -> Response {
    match failure {
        Failure::Here(reason) => pages::refusal(reason),
        Failure::Back { redirect_uri, state, error, description } => {
            let parameters = [("error", error), ("error_description", description)];
            redirect(shared, config, status, &redirect_uri, state.as_deref(), &parameters)
        }
    }
}

fn redirect(
    shared: &Shared,
    config: &Config,
    status: StatusCode,
    redirect_uri: &str,
    state: Option<&str>,
    parameters: &[(&str, &str)],
) -> Response {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters).extend_pairs(state.map(|state| ("state", state)));
    // RFC 9207 section 2: with errors too.
    if config.shape == Shape::Standard {
        query.append_pair("iss", &shared.issuer);
    }
    let separator = if redirect_uri.contains('?') { '&' } else { '?' };
    let location = format!("{redirect_uri}{separator}{}", query.finish());
    let headers = [(LOCATION, location.as_str()), (CACHE_CONTROL, "no-store"), (REFERRER_POLICY, "no-referrer")];
    (status, headers).into_response()
}

/// Absolute, `https` or loopback with any port (RFC 8252 section 7.3), without fragment and user.
fn is_redirect_uri(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains('#');
    let Some(uri) = text.parse::<Uri>().ok().filter(|_| plain) else { return false };
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    match (uri.scheme_str(), uri.host()) {
        _ if authority.contains('@') => false,
        (Some("https"), Some(host)) => !host.is_empty(),
        (Some("http"), Some(host)) => ["127.0.0.1", "[::1]", "localhost"].contains(&host),
        _ => false,
    }
}

fn is_resource(text: &str) -> bool {
    let absolute = text.split_once(':').is_some_and(|(scheme, rest)| {
        !rest.is_empty()
            && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    absolute && !text.contains('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris() {
        for good in ["http://127.0.0.1:1/cb", "http://[::1]:80/", "http://localhost:9/a?b=c", "https://app.example/cb"]
        {
            assert!(is_redirect_uri(good), "{good}");
        }
        for bad in [
            "/cb",
            "http://app.example/cb",
            "http://127.0.0.1.example/",
            "http://127.0.0.1@evil.example/",
            "https://a/#fragment",
            "javascript:alert(1)",
            "com.example:/cb",
            "https://a/\r\nset-cookie: x",
            "",
        ] {
            assert!(!is_redirect_uri(bad), "{bad}");
        }
    }

    #[test]
    fn resources() {
        assert!(is_resource("https://api.example/v1") && is_resource("urn:x:y"));
        assert!(!is_resource("api.example") && !is_resource("https://api.example/#a") && !is_resource(":x"));
    }
}
