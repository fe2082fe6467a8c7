//! The token endpoint as pairs: a request, and what its answer means (RFC 6749 sections 4.1.3, 5 and 6).

use crate::http::{Endpoint, Request, Response};
use crate::json::{self, Members, Sink};
use crate::number::decimal_in;
use crate::pkce::Verifier;
use crate::provider::{Client, TokenBody};
use crate::retry_after;
use crate::secret::Secret;
use crate::text::error_detail;
use crate::time::{Millis, Now};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// What the server issued. [`Answer::Issued`] holds it.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
pub struct Issued {
    /// The access token; never empty.
    pub access_token: Secret,
    /// The new refresh token. `None`: the old one stays valid (RFC 6749 section 6).
    pub refresh_token: Option<Secret>,
    /// How long the access token lives, counted from the moment the request was sent.
    pub life: Millis,
    /// The granted scope, where the server names it.
    pub scope: Option<String>,
}

/// What an answer of the token endpoint means for the token or code that was sent.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
pub enum Answer {
    /// New tokens.
    Issued(Issued),
    /// The grant is not accepted (any more): `invalid_grant`.
    Refused {
        /// The error code and, escaped for display, the description.
        detail: String,
    },
    /// A status that this provider is known to use for a refused refresh token ([`Client::refused_statuses`]). One
    /// passing answer of the kind must not end a login, so it counts when it comes again after a back-off.
    RefusedByStatus(u16),
    /// 429: too many requests.
    Throttled {
        /// From `Retry-After`.
        retry_after: Option<Millis>,
    },
    /// Any other 4xx but 408: the server does not accept this client or request.
    ClientRejected {
        /// The error code, or the status, and the description, escaped for display.
        detail: String,
    },
    /// What became of the token cannot be told from this: 408, 3xx, 5xx, an unreadable, cut or mistyped body.
    Unknown {
        /// From `Retry-After`.
        retry_after: Option<Millis>,
        /// What was wrong. Never holds a part of the body.
        detail: String,
    },
}

/// How long an access token is taken to live where `expires_in` is absent, not readable, or not positive. Stored as
/// expired, it would be refreshed at every call; too long an assumption is mended by the 401 of the resource.
pub const DEFAULT_LIFE: Millis = Millis::from_secs(300);

const NO_TOKEN: &str = "the answer has no access token";
const UNKNOWN_TYPE: &str = "the access token is of an unknown type and must not be used (RFC 6749 section 7.1)";

/// The longest life that is believed: ten years.
pub const LONGEST_LIFE: Millis = Millis::from_secs(10 * 365 * 24 * 3600);

/// The refresh request (RFC 6749 section 6). The scope is left out: it stays what was granted.
pub fn refresh_request(client: &Client, refresh_token: &Secret) -> Request {
    token_request(
        client,
        &[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose()),
            ("client_id", &client.client_id),
            ("resource", client.resource.as_deref().unwrap_or_default()),
        ],
    )
}

/// The request that exchanges an authorization code (RFC 6749 section 4.1.3, RFC 7636 section 4.5). The standard has no
/// `state` here; servers that take JSON want it repeated.
pub(crate) fn code_request(
    client: &Client,
    code: &Secret,
    verifier: &Verifier,
    redirect_uri: &str,
    state: &Secret,
) -> Request {
    let state = match client.body {
        TokenBody::Form => "",
        TokenBody::Json => state.expose(),
    };
    token_request(
        client,
        &[
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", redirect_uri),
            ("client_id", &client.client_id),
            ("code_verifier", verifier.expose()),
            ("state", state),
            ("resource", client.resource.as_deref().unwrap_or_default()),
        ],
    )
}

/// The secrets in the body of a code exchange.
pub(crate) fn secrets_of(body: &str) -> Vec<Secret> {
    const NAMES: [&str; 3] = ["code", "code_verifier", "state"];
    match Members::parse(body.as_bytes()) {
        Some(mut members) => NAMES.iter().filter_map(|name| members.secret(name)).collect(),
        None => {
            let parameters = form_urlencoded::parse(body.as_bytes());
            let secrets = parameters.filter(|(name, _)| NAMES.contains(&name.as_ref()));
            secrets.map(|(_, value)| Secret::new(value)).collect()
        }
    }
}

/// What an answer means where the tokens may have to be bound to a key.
#[derive(Debug)]
pub(crate) enum Reading {
    /// The same as for every token.
    Answer(Answer),
    /// The same request is to be sent once more, with the nonce of the answer: nothing was redeemed (RFC 9449 section 8).
    #[cfg(feature = "dpop")]
    UseNonce,
    /// Tokens that are not bound to the key, though that was asked for: they must not be used (RFC 9449 section 5).
    #[cfg(feature = "dpop")]
    NotBound,
}

/// Reads an answer to a refresh request, or to a code exchange. `now` is needed for a `Retry-After` that is a date. Of what the
/// server says, words that could be a credential are left out; the machines, which know what they sent, show no text that
/// repeats it.
pub fn read_answer(client: &Client, response: &Response, now: Now) -> Answer {
    judge(client, response, &[], false, now)
}

/// The same; `sent` are the secrets of the request, and `bound` is for one that had a proof.
pub(crate) fn read(client: &Client, response: &Response, sent: &[Secret], bound: bool, now: Now) -> Reading {
    #[cfg(feature = "dpop")]
    if bound {
        if crate::dpop::wants_nonce(response) {
            return Reading::UseNonce;
        }
        if (200..=299).contains(&response.status) && read_success(response, false).is_ok() {
            return Reading::NotBound;
        }
    }
    Reading::Answer(judge(client, response, sent, bound, now))
}

fn judge(client: &Client, response: &Response, sent: &[Secret], bound: bool, now: Now) -> Answer {
    let retry_after = || retry_after::of(response, now.wall);
    let unknown = |detail: String| Answer::Unknown { retry_after: retry_after(), detail };
    let status = response.status;
    let refused = |error: &ErrorDocument| Answer::Refused { detail: error.detail(status, sent) };
    match status {
        200..=299 => match read_success(response, bound) {
            Ok(issued) => Answer::Issued(issued),
            Err(detail) => match read_error(&response.body) {
                // As GitHub does.
                error if detail == NO_TOKEN && error.refuses_grant() => refused(&error),
                _ => unknown(detail.into()),
            },
        },
        400..=499 if status != 408 && status != 429 => {
            let error = read_error(&response.body);
            match error.error.as_deref() {
                _ if error.refuses_grant() => refused(&error),
                _ if client.refused_statuses.contains(&status) => Answer::RefusedByStatus(status),
                #[cfg(feature = "dpop")]
                Some("use_dpop_nonce" | "invalid_dpop_proof") if !bound => Answer::ClientRejected {
                    detail: error.detail(status, sent)
                        + "; this server binds tokens to a key: log in again with --dpop",
                },
                _ => Answer::ClientRejected { detail: error.detail(status, sent) },
            }
        }
        _ if client.refused_statuses.contains(&status) => Answer::RefusedByStatus(status),
        429 => Answer::Throttled { retry_after: retry_after() },
        300..=399 => unknown(http_status(status) + ": redirects of the token endpoint are not followed"),
        _ => unknown(http_status(status)),
    }
}

/// A `POST` to the token endpoint with these parameters, in the encoding of the client. Parameters without a value are
/// not sent (RFC 6749 section 3.2).
fn token_request(client: &Client, parameters: &[(&str, &str)]) -> Request {
    let url = client.token_endpoint.clone();
    match client.body {
        TokenBody::Form => form_request(url, parameters),
        TokenBody::Json => {
            let value = |value| Some(json::Value::Text(value)).filter(|_| !value.is_empty());
            let members: Vec<_> = parameters.iter().map(|(name, text)| (*name, value(text))).collect();
            Request::new(url, "application/json", Secret::new(json::object(&members)))
        }
    }
}

/// A `POST` with a form, whose body is built in one allocation. What has no value is left out (RFC 6749 section 3.1).
pub(crate) fn form_request(url: Endpoint, parameters: &[(&str, &str)]) -> Request {
    let body = Secret::new(json::exactly(&|form| push_form(form, parameters)));
    Request::new(url, "application/x-www-form-urlencoded", body)
}

pub(crate) fn push_form(form: &mut dyn Sink, parameters: &[(&str, &str)]) {
    let mut before = "";
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        for (before, text) in [(before, name), ("=", value)] {
            form.push(before);
            form_urlencoded::byte_serialize(text.as_bytes()).for_each(|part| form.push(part));
        }
        before = "&";
    }
}

/// A success (RFC 6749 section 5.1). A member that is given twice makes it unreadable; those that are not known are passed
/// over. `Err` says what was wrong, and holds nothing of the body.
fn read_success(response: &Response, bound: bool) -> Result<Issued, &'static str> {
    if !response.content_type.as_deref().is_some_and(is_json) {
        return Err("the answer is not of the type application/json");
    }
    if response.body.len() > Response::MAX_BODY {
        return Err("the answer is too long");
    }
    let unreadable = "the answer is not a readable token document";
    let mut document = Members::parse(&response.body).ok_or(unreadable)?;
    let (access_token, refresh_token) = (document.secret("access_token"), document.secret("refresh_token"));
    let token_type = document.text("token_type");
    // A rotation can do without these, so that a mistyped one does not make the tokens unreadable.
    let (expires_in, granted) = (document.take("expires_in"), document.take("scope"));
    if !document.fits() {
        return Err(unreadable);
    }
    let access_token = access_token.filter(|token| !token.is_empty());
    let access_token = access_token.ok_or(NO_TOKEN)?;
    if !is_access_token(access_token.expose()) {
        return Err("the access token has characters that no access token may have");
    }
    // RFC 6749 requires it. Where it is absent the token is taken for a bearer token, the one type that is used here: by now
    // the old refresh token is spent.
    let fits = match token_type {
        Some(name) => name.eq_ignore_ascii_case(if bound { "dpop" } else { "bearer" }),
        None => !bound,
    };
    if !fits {
        return Err(UNKNOWN_TYPE);
    }
    Ok(Issued {
        access_token,
        refresh_token: refresh_token.filter(|token| !token.is_empty()),
        life: expires_in.map_or(DEFAULT_LIFE, life),
        scope: granted.and_then(scope),
    })
}

/// RFC 6749 appendix A.12. What has other characters, such as a line break, would be something else in a header.
pub(crate) fn is_access_token(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// `application/json`, in any case and with any parameters.
fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case("application/json")
}

/// `expires_in` as servers send it: seconds as a number with or without a fraction, or as a string. A value that is not
/// readable costs no rotation.
fn life(json: &str) -> Millis {
    match decimal_in(json, 3) {
        Some(millis) if millis >= 1 => Millis(millis).min(LONGEST_LIFE),
        Some(_) | None => DEFAULT_LIFE,
    }
}

/// The scope (RFC 6749 section 3.3), where it is a string of the allowed characters.
fn scope(json: &str) -> Option<String> {
    let scope = json::text(json)?;
    let allowed = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
    (!scope.is_empty() && scope.chars().all(allowed)).then_some(scope)
}

/// The two members of an error document (RFC 6749 section 5.2) that are ever shown. Both are `None` where the document
/// is none, or has one of them twice.
#[derive(Default)]
pub(crate) struct ErrorDocument {
    pub(crate) error: Option<String>,
    pub(crate) description: Option<String>,
}

impl ErrorDocument {
    /// Whether the server says that it does not accept the refresh token or the code: `invalid_grant` (RFC 6749 section
    /// 5.2), which GitHub calls `bad_refresh_token`.
    fn refuses_grant(&self) -> bool {
        matches!(self.error.as_deref(), Some("invalid_grant" | "bad_refresh_token"))
    }

    /// Code and description, fit for display and without the secrets that were `sent`; the status where there is no code.
    pub(crate) fn detail(&self, status: u16, sent: &[Secret]) -> String {
        error_detail(self.error.as_deref(), self.description.as_deref(), &http_status(status), sent)
    }
}

fn http_status(status: u16) -> String {
    ["HTTP status ", &status.to_string()].concat()
}

pub(crate) fn read_error(body: &[u8]) -> ErrorDocument {
    let mut members = Members::answer(body).unwrap_or_default();
    let (error, description) = (members.take("error"), members.take("error_description"));
    if !members.fits() {
        return ErrorDocument::default();
    }
    ErrorDocument { error: error.and_then(json::text), description: description.and_then(json::text) }
}
