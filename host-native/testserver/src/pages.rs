//! What a person sees. No script, nothing from another origin; every value is escaped.

use crate::device;
use crate::ledger::AuthorizationRequest;
use crate::routes::{CALLBACK, COUNTERS, METADATA, RESOURCE, REVOKE, STYLE};
use crate::server::Shared;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{Html, IntoResponse, Response};
use std::fmt::Write;
use std::sync::Arc;

/// What this server is, where its endpoints are, and what happened so far.
pub(crate) async fn index(State(shared): State<Arc<Shared>>) -> Response {
    let (config, counters) = {
        let ledger = shared.ledger();
        (ledger.config.clone(), ledger.counters.clone())
    };
    let shape = config.shape;
    let mut endpoints = String::new();
    for (name, path) in [
        ("authorization", shape.authorize_path()),
        ("token", shape.token_path()),
        ("revocation", REVOKE),
        ("device authorization", device::AUTHORIZATION),
        ("device page", device::PAGE),
        ("metadata", METADATA),
        ("protected resource", RESOURCE),
        ("manual redirect URI", CALLBACK),
        ("counters", COUNTERS),
    ] {
        let _ = write!(endpoints, "<tr><th>{name}<td><code>{}{path}</code>", escape(&shared.issuer));
    }
    let rotation = match (config.rotate, config.grace) {
        (false, _) => "Refresh tokens are not rotated.".to_owned(),
        (true, None) => "Each refresh spends the refresh token. A spent one revokes the login.".to_owned(),
        (true, Some(grace)) => {
            format!("Each refresh spends the refresh token; the previous one lives on for {grace:?}.")
        }
    };
    let mut rows = String::new();
    if let Ok(serde_json::Value::Object(counters)) = serde_json::to_value(counters) {
        for (name, value) in counters {
            let _ = write!(rows, "<tr><th>{}<td>{value}", escape(&name.replace('_', " ")));
        }
    }
    let body = format!(
        "<p>An OAuth authorization server for tests. It runs inside the program that started it, on this machine alone, \
         and forgets everything when that program ends.\
         <p>{rotation} Access tokens live for {:?}.\
         <h2>Endpoints</h2><table>{endpoints}</table>\
         <h2>Counters</h2><table class=\"counters\">{rows}</table>\
         <p class=\"note\">As of this request. The page reloads every two seconds.",
        config.access_life
    );
    page(StatusCode::OK, "kraube test server", "<meta http-equiv=\"refresh\" content=\"2\">", &body)
}

/// Asks a person whether the client may have tokens. The form repeats the request.
pub(crate) fn approval<'a>(
    path: &str,
    request: &AuthorizationRequest,
    params: impl Iterator<Item = (&'a str, &'a str)>,
) -> Response {
    let mut hidden = String::new();
    for (name, value) in params.filter(|(name, _)| *name != "decision") {
        let (name, value) = (escape(name), escape(value));
        let _ = write!(hidden, "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
    }
    let client = escape(&request.client_id);
    let scopes = match &request.scope {
        None => "<li>what this server gives by default".to_owned(),
        Some(scope) => scope.split(' ').map(|one| format!("<li><code>{}</code>", escape(one))).collect(),
    };
    let body = format!(
        "<p><strong>{client}</strong> asks for access to your account:<ul>{scopes}</ul>\
         <p class=\"note\">You will be sent to <code>{}</code>\
         <form method=\"post\" action=\"{path}\">{hidden}\
         <button class=\"main\" name=\"decision\" value=\"approve\">Approve</button> \
         <button name=\"decision\" value=\"deny\">Deny</button></form>",
        escape(request.redirect_uri.split('?').next().unwrap_or_default()),
    );
    page(StatusCode::OK, "Approve this login?", "", &body)
}

/// A code to copy into the program that waits for it.
pub(crate) fn code(code: &str) -> Response {
    let body = format!(
        "<p>Copy this into the program that asked you to log in:<p><code class=\"copy\">{}</code>\
         <p class=\"note\">It works once, for a minute.",
        escape(code)
    );
    page(StatusCode::OK, "Your code", "", &body)
}

/// Asks for the code that a person was shown elsewhere.
pub(crate) fn device(path: &str, user_code: &str) -> Response {
    let body = format!(
        "<p>Type in the code that the program shows you. Agree only if you started that login yourself.\
         <form method=\"post\" action=\"{path}\">\
         <p><input name=\"user_code\" value=\"{}\" autocomplete=\"off\" required aria-label=\"code\">\
         <p><button class=\"main\" name=\"decision\" value=\"approve\">Approve</button> \
         <button name=\"decision\" value=\"deny\">Deny</button></form>",
        escape(user_code)
    );
    page(StatusCode::OK, "Log in on another machine", "", &body)
}

/// The decision was heard.
pub(crate) fn decided(approved: bool) -> Response {
    let body = "<p>You can close this page and go back to the program.";
    page(StatusCode::OK, if approved { "The login is approved" } else { "The login is denied" }, "", body)
}

/// An error that no client is told about.
pub(crate) fn refusal(reason: &str) -> Response {
    let body =
        format!("<p>{}<p class=\"note\">Start the login again from the program that sent you here.", escape(reason));
    page(StatusCode::BAD_REQUEST, "This cannot be approved", "", &body)
}

pub(crate) async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css"), (CACHE_CONTROL, "no-store")], include_str!("style.css")).into_response()
}

/// A form's target counts with every redirect that follows, so `form-action` names schemes: the redirect URI is elsewhere.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action http: https:; frame-ancestors 'none'; base-uri 'none'";

fn page(status: StatusCode, title: &str, head: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title>{head}<link rel=\"stylesheet\" href=\"{STYLE}\">\
         <main><h1>{title}</h1>{body}</main></html>"
    );
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, Html(html)).into_response()
}

/// For element content and for attribute values in double quotes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}
