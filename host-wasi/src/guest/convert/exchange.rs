//! What a host of the machines passes in and gets out: clocks, requests and their answers, clients.

use super::{Result, body, endpoint, invalid};
use crate::bindings::types as wit;
use kraube_core::http::{Request, Response, SendError, SendErrorKind};
use kraube_core::provider::Client;
use kraube_core::secret::Secret;
use kraube_core::time::{Millis, Now, Timestamp};

pub(crate) fn now(now: wit::Now) -> Now {
    Now { wall: Timestamp(now.wall), monotonic: Millis(now.monotonic) }
}

pub(crate) fn request(request: Request) -> wit::HttpRequest {
    wit::HttpRequest {
        url: request.url.as_str().into(),
        content_type: request.content_type.into(),
        accept: Request::ACCEPT.into(),
        body: request.body.expose().into(),
    }
}

/// One that `request` made.
pub(crate) fn request_in(request: wit::HttpRequest) -> Result<Request> {
    let content_type = match request.content_type.as_str() {
        "application/x-www-form-urlencoded" => "application/x-www-form-urlencoded",
        "application/json" => "application/json",
        _ => return Err(invalid("invalid_request", "the content type is not that of a token request")),
    };
    Ok(Request::new(endpoint(&request.url)?, content_type, Secret::new(request.body)))
}

pub(crate) fn response(response: wit::HttpResponse) -> Response {
    let wit::HttpResponse { status, content_type, retry_after, body } = response;
    Response::new(status, content_type, retry_after, body)
}

pub(crate) fn send_error(error: wit::SendError) -> SendError {
    let kind = match error.kind {
        wit::SendErrorKind::NotSent => SendErrorKind::NotSent,
        wit::SendErrorKind::MaybeSent => SendErrorKind::MaybeSent,
        wit::SendErrorKind::TimedOut => SendErrorKind::TimedOut,
        wit::SendErrorKind::LockLost => SendErrorKind::LockLost,
    };
    SendError { kind, detail: error.detail }
}

pub(crate) fn client(client: wit::Client) -> Result<Client> {
    Ok(Client {
        name: client.name,
        issuer: client.issuer,
        token_endpoint: endpoint(&client.token_endpoint)?,
        revocation_endpoint: client.revocation_endpoint.as_deref().map(endpoint).transpose()?,
        client_id: client.client_id,
        body: body(client.body),
        refused_statuses: client.refused_statuses,
        resource: client.resource,
    })
}

/// What the store said: it comes from the host of the machines in the first place.
pub(crate) fn detail(of: &dyn std::error::Error) -> Option<String> {
    of.source().map(ToString::to_string)
}

/// The error with that.
pub(crate) fn detailed(error: wit::Error, of: &dyn std::error::Error) -> wit::Error {
    let detail = detail(of);
    let with = |problem| wit::Problem { detail, ..problem };
    match error {
        wit::Error::LoginRequired(problem) => wit::Error::LoginRequired(with(problem)),
        wit::Error::Unavailable(problem) => wit::Error::Unavailable(with(problem)),
        wit::Error::Uncertain(problem) => wit::Error::Uncertain(with(problem)),
        wit::Error::AccountChanged(problem) => wit::Error::AccountChanged(with(problem)),
        wit::Error::Unsaved(problem) => wit::Error::Unsaved(with(problem)),
        wit::Error::Invalid(problem) => wit::Error::Invalid(with(problem)),
        wit::Error::Misuse(problem) => wit::Error::Misuse(with(problem)),
    }
}
