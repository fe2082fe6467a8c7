//! What JavaScript hands over, as the core has it. The shapes are those of `js/core.ts`.

use crate::input::Given;
use crate::json::Json;
use crate::write::Cross;
use kraube_core::credential::{Baseline, NewLogin, Wanted};
use kraube_core::http::{Request, Response, SendError, SendErrorKind};
use kraube_core::json;
use kraube_core::machine::{Blob, Input, Locked, StoreError, StoreErrorKind, WriteError};
use kraube_core::policy::Policy;
use kraube_core::provider::{Provider, TokenBody};
use kraube_core::record::{Credentials, LoginId, RunId};
use kraube_core::secret::Secret;
use kraube_core::time::{Millis, Timestamp};

/// `input`, with the bytes that crossed beside it.
pub(crate) fn input(given: &mut Given<'_>, bytes: Option<Vec<u8>>) -> Option<Input> {
    given.open("input");
    Some(match given.needed("input.type").as_str() {
        "locked" => Input::Locked(match given.needed("input.locked").as_str() {
            "held" => Locked::Held,
            "changed" => Locked::Changed,
            "timed_out" => Locked::TimedOut,
            "unsupported" => Locked::Unsupported(store_error(given, "input.error")?),
            _ => return wrong(given, "input.locked", "held, changed, timed_out or unsupported"),
        }),
        "read" => Input::Read(found(given, "input.blob", "input.error", bytes)?),
        "replied" => Input::Replied(replied(given, bytes)?),
        "wrote" => Input::Wrote(changed(given, "input.wrote")?),
        "deleted" => Input::Deleted(changed(given, "input.deleted")?),
        "woke" => Input::Woke,
        _ => return wrong(given, "input.type", "locked, read, replied, wrote, deleted or woke"),
    })
}

/// A blob, where `true` stands for the bytes; or an error.
pub(crate) fn found(
    given: &mut Given<'_>,
    blob: &str,
    error: &str,
    bytes: Option<Vec<u8>>,
) -> Option<Result<Option<Blob>, StoreError>> {
    if let Some(error) = store_error(given, error) {
        return Some(Err(error));
    }
    // Left out is not the same as nothing stored: a slip of the host must not read as a logout.
    match given.json(blob) {
        Some("null") => Some(Ok(None)),
        Some("true") => Some(Ok(bytes.map(Blob::new))),
        _ => wrong(given, blob, "bytes, a string or null"),
    }
}

fn replied(given: &mut Given<'_>, bytes: Option<Vec<u8>>) -> Option<Result<Response, SendError>> {
    if !given.open("input.error") {
        return Some(Ok(response(given, "input.response", bytes)?));
    }
    let kind = match given.needed("error.code").as_str() {
        "not_sent" => SendErrorKind::NotSent,
        "maybe_sent" => SendErrorKind::MaybeSent,
        "timed_out" => SendErrorKind::TimedOut,
        "lock_lost" => SendErrorKind::LockLost,
        _ => return wrong(given, "error.code", "not_sent, maybe_sent, timed_out or lock_lost"),
    };
    Some(Err(SendError { kind, detail: given.needed("error.detail") }))
}

/// `body` is `true`, which stands for the bytes.
pub(crate) fn response(given: &mut Given<'_>, name: &str, bytes: Option<Vec<u8>>) -> Option<Response> {
    given.open(name);
    let status = given.value("response.status", "an HTTP status", json::whole);
    let (content_type, retry_after) = (given.text("response.contentType"), given.text("response.retryAfter"));
    match (status, given.json("response.body"), bytes) {
        (Some(status), Some("true"), Some(body)) => Some(Response::new(status, content_type, retry_after, body)),
        _ => wrong(given, "response", "a status, and a body of bytes or a string"),
    }
}

fn changed(given: &mut Given<'_>, name: &str) -> Option<Result<(), WriteError>> {
    match given.needed(name).as_str() {
        "ok" => Some(Ok(())),
        "conflict" => Some(Err(WriteError::Conflict)),
        "failed" => Some(Err(WriteError::Failed(store_error(given, "input.error")?))),
        _ => wrong(given, name, "ok, conflict or failed"),
    }
}

/// `None` where there is none, which is a mistake at the end if nothing else is there.
fn store_error(given: &mut Given<'_>, name: &str) -> Option<StoreError> {
    const KINDS: [StoreErrorKind; 7] = [
        StoreErrorKind::Denied,
        StoreErrorKind::NotOurs,
        StoreErrorKind::Full,
        StoreErrorKind::ReadOnly,
        StoreErrorKind::Irreplaceable,
        StoreErrorKind::TooLarge,
        StoreErrorKind::Io,
    ];
    if !given.open(name) {
        return None;
    }
    let code = given.needed("error.code");
    let Some(kind) = KINDS.into_iter().find(|kind| kind.code() == code) else {
        return wrong(given, "error.code", "a code of a store");
    };
    Some(StoreError { kind, detail: given.needed("error.detail") })
}

pub(crate) fn wanted(given: &mut Given<'_>) -> Option<(Wanted, RunId)> {
    let wanted = Wanted {
        bound: false,
        min_valid: Millis(given.number("minValid").unwrap_or_default()),
        rejected: given.text("rejected").map(|token| Secret::new(token).fingerprint()),
        baseline: match given.open("baseline") {
            false => Baseline::FirstRead,
            true => Baseline::Login(given.text("baseline.login").map(LoginId)),
        },
        default_client: given.client("defaultClient"),
    };
    let run = given.needed("run");
    match u64::from_str_radix(&run, 16) {
        Ok(id) if run.len() == 16 => Some((wanted, RunId(id))),
        _ => wrong(given, "run", "16 hexadecimal digits"),
    }
}

pub(crate) fn new_login(given: &mut Given<'_>) -> Option<(NewLogin, LoginId)> {
    given.open("new");
    let login = LoginId(given.needed("login"));
    let new = match given.needed("new.type").as_str() {
        "code" => code(given)?,
        "credentials" => NewLogin::Credentials(credentials(given, "new.credentials")?),
        _ => return wrong(given, "new.type", "code or credentials"),
    };
    Some((new, login))
}

fn code(given: &mut Given<'_>) -> Option<NewLogin> {
    given.open("new.exchange");
    given.open("exchange.request");
    given.json("request.accept");
    let (client, url) = (given.client("exchange.client"), given.endpoint("request.url"));
    let body = Secret::new(given.needed("request.body"));
    let content_type = match given.needed("request.contentType").as_str() {
        "application/x-www-form-urlencoded" => "application/x-www-form-urlencoded",
        "application/json" => "application/json",
        _ => return wrong(given, "request.contentType", "that of a token request"),
    };
    match (client, url) {
        (Some(client), Some(url)) => Some(NewLogin::Code { request: Request::new(url, content_type, body), client }),
        _ => wrong(given, "exchange", "a client and a request"),
    }
}

pub(crate) fn credentials(given: &mut Given<'_>, name: &str) -> Option<Credentials> {
    given.open(name);
    let access_token = given.text("credentials.accessToken").map(Secret::new);
    let refresh_token = given.text("credentials.refreshToken").map(Secret::new);
    if access_token.is_none() && refresh_token.is_none() {
        given.wrong("credentials.accessToken", "there, or a refreshToken");
    }
    // Without an access token, the first call for one spends the refresh token.
    let expires_at = if access_token.is_some() { u64::MAX } else { 0 };
    Some(Credentials {
        access_token: access_token.unwrap_or_else(|| Secret::new("")),
        refresh_token,
        expires_at: Timestamp(given.number("credentials.expiresAt").unwrap_or(expires_at)),
        obtained_at: given.number("credentials.obtainedAt").map(Timestamp),
        scope: given.text("credentials.scope"),
        client: given.client("credentials.client"),
        binding: None,
    })
}

/// A description, or the name of one that the core has.
pub(crate) fn provider(given: &mut Given<'_>) -> Option<Provider> {
    given.open("provider");
    let (issuer, client_id) = (given.text("provider.issuer"), given.text("provider.client_id"));
    let Some(name) = given.text("provider.builtin") else { return described(given, issuer, client_id) };
    let issuer = issuer.as_deref().unwrap_or_default();
    let made = match name.as_str() {
        "claude" => Ok(Provider::claude()),
        "demo" => Provider::demo(issuer),
        "demo-claude" => Provider::demo_claude(issuer),
        _ => return wrong(given, "provider.builtin", "claude, demo or demo-claude"),
    };
    match made {
        Ok(provider) => Some(Provider { client_id: client_id.or(provider.client_id), ..provider }),
        Err(error) => wrong(given, "provider.issuer", &error.to_string()),
    }
}

/// The members of `providers.toml`.
fn described(given: &mut Given<'_>, issuer: Option<String>, client_id: Option<String>) -> Option<Provider> {
    let authorization = given.endpoint("provider.authorization_endpoint");
    let token = given.endpoint("provider.token_endpoint");
    let (Some(authorization_endpoint), Some(token_endpoint)) = (authorization, token) else {
        return wrong(given, "provider", "a description with its authorization_endpoint and token_endpoint");
    };
    let mut provider = Provider::new(&given.needed("provider.name"), authorization_endpoint, token_endpoint);
    if given.open("provider.authorization_parameters") {
        while let Some((name, value)) = given.next_text("authorization_parameters.") {
            provider.authorization_parameters.insert(name, value);
        }
    }
    // For listeners, which JavaScript has none of: the host says what its redirect URI is.
    given.json("provider.redirect");
    provider.issuer = issuer;
    provider.client_id = client_id;
    provider.revocation_endpoint = given.endpoint("provider.revocation_endpoint");
    provider.device_authorization_endpoint = given.endpoint("provider.device_authorization_endpoint");
    provider.scopes = given.value("provider.scopes", "a list of strings", json::texts).unwrap_or_default();
    provider.body = given.value("provider.body", "form or json", TokenBody::from_json).unwrap_or_default();
    provider.manual_redirect = given.endpoint("provider.manual_redirect");
    let statuses = given.value("provider.refused_statuses", "a list of HTTP statuses", json::statuses);
    provider.refused_statuses = statuses.unwrap_or_default();
    provider.expects_iss = given.flag("provider.expects_iss").unwrap_or_default();
    provider.resource = given.text("provider.resource");
    provider.pushed_authorization_request_endpoint = given.endpoint("provider.pushed_authorization_request_endpoint");
    provider.require_pushed_authorization_requests =
        given.flag("provider.require_pushed_authorization_requests").unwrap_or_default();
    provider.registration_endpoint = given.endpoint("provider.registration_endpoint");
    provider.client_id_metadata_document_supported =
        given.flag("provider.client_id_metadata_document_supported").unwrap_or_default();
    Some(provider)
}

fn wrong<T>(given: &mut Given<'_>, name: &str, wanted: &str) -> Option<T> {
    given.wrong(name, wanted);
    None
}

/// The defaults, with the figures of `policy` in their places.
pub(crate) fn policy(given: &mut Given<'_>) -> Policy {
    let mut policy = Policy::default();
    if given.open("policy") {
        each(&mut policy, &mut |name, figure| match (given.number(&["policy.", name].concat()), figure) {
            (None, _) => {}
            (Some(millis), Figure::Time(time)) => *time = Millis(millis),
            (Some(number), Figure::Count(count)) => *count = u8::try_from(number).unwrap_or(u8::MAX),
        });
    }
    policy
}

impl Cross for Policy {
    fn cross(&self, json: &mut Json) {
        json.open();
        each(&mut self.clone(), &mut |name, figure| match figure {
            Figure::Time(time) => json.number(name, time.0),
            Figure::Count(count) => json.number(name, (*count).into()),
        });
        json.close();
    }
}

enum Figure<'a> {
    Time(&'a mut Millis),
    Count(&'a mut u8),
}

fn each(policy: &mut Policy, visit: &mut dyn FnMut(&str, Figure<'_>)) {
    let Policy {
        margin,
        deadline,
        patience,
        settle,
        torn_pause,
        torn_tries,
        returns,
        reject_floor,
        resends,
        resend_pause,
        resend_window,
        save_pause,
        save_time,
        unreachable_pause,
        backoff_first,
        backoff_max,
    } = policy;
    let times = [
        ("margin", margin),
        ("deadline", deadline),
        ("patience", patience),
        ("settle", settle),
        ("tornPause", torn_pause),
        ("rejectFloor", reject_floor),
        ("resendPause", resend_pause),
        ("resendWindow", resend_window),
        ("savePause", save_pause),
        ("saveTime", save_time),
        ("unreachablePause", unreachable_pause),
        ("backoffFirst", backoff_first),
        ("backoffMax", backoff_max),
    ];
    for (name, time) in times {
        visit(name, Figure::Time(time));
    }
    for (name, count) in [("tornTries", torn_tries), ("returns", returns), ("resends", resends)] {
        visit(name, Figure::Count(count));
    }
}
