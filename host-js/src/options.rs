//! What JavaScript hands over, as the core has it. The shapes are those of `js/core.ts`.

use crate::input::{Object, Read, Wrong};
use crate::json::Json;
use crate::write::Cross;
use kraube_core::credential::{Baseline, NewLogin, Wanted};
use kraube_core::dpop::Demand;
use kraube_core::http::{Request, Response, SendError, SendErrorKind};
use kraube_core::json;
use kraube_core::machine::{Blob, Input, Locked, StoreError, StoreErrorKind, WriteError};
use kraube_core::policy::Policy;
use kraube_core::provider::{Provider, RedirectRules, TokenBody};
use kraube_core::record::{Credentials, LoginId, RunId};
use kraube_core::secret::Secret;
use kraube_core::time::{Millis, Timestamp};
use std::collections::BTreeMap;

/// `input`, with the bytes that crossed beside it.
pub(crate) fn input(json: &str, bytes: Option<Vec<u8>>) -> Read<Input> {
    let mut outer = Object::parse(json, "")?;
    let input = outer.object("input");
    let mut input = outer.need("input", input)?;
    outer.end()?;
    let case = input.text("type");
    match case.as_deref() {
        Some("locked") => {
            let (locked, error) = (input.text("locked"), input.object("error"));
            let locked = match locked.as_deref() {
                Some("held") => Locked::Held,
                Some("changed") => Locked::Changed,
                Some("timed_out") => Locked::TimedOut,
                Some("unsupported") => {
                    return Ok(Input::Locked(Locked::Unsupported(store_error(input.need("error", error)?)?)));
                }
                _ => return Err(input.wrong("locked", "held, changed, timed_out or unsupported")),
            };
            input.end()?;
            Ok(Input::Locked(locked))
        }
        Some("read") => Ok(Input::Read(found(input, bytes)?)),
        Some("replied") => Ok(Input::Replied(replied(input, bytes)?)),
        Some("wrote") => Ok(Input::Wrote(changed(input, "wrote")?)),
        Some("deleted") => Ok(Input::Deleted(changed(input, "deleted")?)),
        Some("woke") => {
            input.end()?;
            Ok(Input::Woke)
        }
        _ => Err(input.wrong("type", "locked, read, replied, wrote, deleted or woke")),
    }
}

/// `blob`, where `true` stands for the bytes; or `error`.
pub(crate) fn found(mut given: Object<'_>, bytes: Option<Vec<u8>>) -> Read<Result<Option<Blob>, StoreError>> {
    if let Some(error) = given.object("error") {
        given.end()?;
        return Ok(Err(store_error(error)?));
    }
    // Left out is not the same as nothing stored: a slip of the host must not read as a logout.
    let blob = match given.json("blob") {
        Some("null") => None,
        Some("true") => bytes.map(Blob::new),
        _ => return Err(given.wrong("blob", "bytes, a string or null")),
    };
    given.end()?;
    Ok(Ok(blob))
}

fn replied(mut given: Object<'_>, bytes: Option<Vec<u8>>) -> Read<Result<Response, SendError>> {
    let (reply, error) = (given.object("response"), given.object("error"));
    if let Some(mut error) = error {
        let (code, detail) = (error.text("code"), error.text("detail"));
        let kind = match code.as_deref() {
            Some("not_sent") => SendErrorKind::NotSent,
            Some("maybe_sent") => SendErrorKind::MaybeSent,
            Some("timed_out") => SendErrorKind::TimedOut,
            Some("lock_lost") => SendErrorKind::LockLost,
            _ => return Err(error.wrong("code", "not_sent, maybe_sent, timed_out or lock_lost")),
        };
        let detail = error.need("detail", detail)?;
        error.end()?;
        return Ok(Err(SendError { kind, detail }));
    }
    let reply = given.need("response", reply)?;
    given.end()?;
    Ok(Ok(response(reply, bytes)?))
}

/// `body` is `true`, which stands for the bytes.
pub(crate) fn response(mut given: Object<'_>, bytes: Option<Vec<u8>>) -> Read<Response> {
    let status = given.number("status");
    let status = given.need("status", status)?;
    let status = u16::try_from(status).map_err(|_| given.wrong("status", "an HTTP status"))?;
    let (content_type, retry_after) = (given.text("contentType"), given.text("retryAfter"));
    let body = given.json("body").filter(|json| *json == "true").and(bytes);
    let body = body.ok_or_else(|| given.wrong("body", "bytes or a string"))?;
    given.end()?;
    Ok(Response::new(status, content_type, retry_after, body))
}

fn changed(mut given: Object<'_>, name: &str) -> Read<Result<(), WriteError>> {
    let (changed, error) = (given.text(name), given.object("error"));
    let changed = match changed.as_deref() {
        Some("ok") => Ok(()),
        Some("conflict") => Err(WriteError::Conflict),
        Some("failed") => Err(WriteError::Failed(store_error(given.need("error", error)?)?)),
        _ => return Err(given.wrong(name, "ok, conflict or failed")),
    };
    given.end()?;
    Ok(changed)
}

fn store_error(mut given: Object<'_>) -> Read<StoreError> {
    const KINDS: [StoreErrorKind; 7] = [
        StoreErrorKind::Denied,
        StoreErrorKind::NotOurs,
        StoreErrorKind::Full,
        StoreErrorKind::ReadOnly,
        StoreErrorKind::Irreplaceable,
        StoreErrorKind::TooLarge,
        StoreErrorKind::Io,
    ];
    let (code, detail) = (given.text("code"), given.text("detail"));
    let kind = KINDS.into_iter().find(|kind| code.as_deref() == Some(kind.code()));
    let kind = kind.ok_or_else(|| given.wrong("code", "a code of a store"))?;
    let detail = given.need("detail", detail)?;
    given.end()?;
    Ok(StoreError { kind, detail })
}

pub(crate) fn wanted(given: &mut Object<'_>) -> Read<(Wanted, RunId)> {
    let wanted = Wanted {
        bound: false,
        min_valid: Millis(given.number("minValid").unwrap_or_default()),
        rejected: given.text("rejected").map(|token| Secret::new(token).fingerprint()),
        baseline: match given.object("baseline") {
            None => Baseline::FirstRead,
            Some(mut baseline) => {
                let login = baseline.text("login");
                baseline.end()?;
                Baseline::Login(login.map(LoginId))
            }
        },
        default_client: given.client("defaultClient"),
    };
    let run = given.text("run");
    let run = given.need("run", run)?;
    let id = (run.len() == 16).then(|| u64::from_str_radix(&run, 16).ok()).flatten();
    Ok((wanted, RunId(id.ok_or_else(|| given.wrong("run", "16 hexadecimal digits"))?)))
}

pub(crate) fn new_login(given: &mut Object<'_>) -> Read<(NewLogin, LoginId)> {
    let (new, login) = (given.object("new"), given.text("login"));
    let mut new = given.need("new", new)?;
    let login = given.need("login", login)?;
    let (case, exchange, tokens) = (new.text("type"), new.object("exchange"), new.object("credentials"));
    let read = match case.as_deref() {
        Some("code") => code(new.need("exchange", exchange)?)?,
        Some("credentials") => NewLogin::Credentials(credentials(new.need("credentials", tokens)?)?),
        _ => return Err(new.wrong("type", "code or credentials")),
    };
    new.end()?;
    Ok((read, LoginId(login)))
}

fn code(mut given: Object<'_>) -> Read<NewLogin> {
    let (client, request) = (given.client("client"), given.object("request"));
    let client = given.need("client", client)?;
    let mut request = given.need("request", request)?;
    given.end()?;
    let (url, body) = (request.endpoint("url"), request.text("body").map(Secret::new));
    let content_type = match request.text("contentType").as_deref() {
        Some("application/x-www-form-urlencoded") => "application/x-www-form-urlencoded",
        Some("application/json") => "application/json",
        _ => return Err(request.wrong("contentType", "that of a token request")),
    };
    request.json("accept");
    let (url, body) = (request.need("url", url)?, request.need("body", body)?);
    request.end()?;
    Ok(NewLogin::Code { request: Request::new(url, content_type, body), client })
}

pub(crate) fn credentials(mut given: Object<'_>) -> Read<Credentials> {
    let access_token = given.text("accessToken").map(Secret::new);
    let refresh_token = given.text("refreshToken").map(Secret::new);
    let tokens = access_token.is_some() || refresh_token.is_some();
    let base = match access_token {
        Some(token) => Credentials::from_access_token(token),
        None if tokens => Credentials { expires_at: Timestamp(0), ..Credentials::from_access_token(Secret::new("")) },
        None => return Err(given.wrong("accessToken", "there, or a refreshToken")),
    };
    let read = Credentials {
        refresh_token,
        expires_at: given.number("expiresAt").map_or(base.expires_at, Timestamp),
        obtained_at: given.number("obtainedAt").map(Timestamp),
        scope: given.text("scope"),
        client: given.client("client"),
        binding: None,
        access_token: base.access_token,
    };
    given.end()?;
    Ok(read)
}

/// A description, or the name of one that the core has.
pub(crate) fn provider(given: &mut Object<'_>) -> Read<Provider> {
    let provider = given.object("provider");
    let mut provider = given.need("provider", provider)?;
    match provider.text("builtin") {
        Some(name) => built_in(&name, provider),
        None => described(provider),
    }
}

fn built_in(name: &str, mut given: Object<'_>) -> Read<Provider> {
    let (issuer, client_id) = (given.text("issuer"), given.text("client_id"));
    let make = match name {
        "claude" => |_: &str| Ok(Provider::claude()),
        "demo" => Provider::demo,
        "demo-claude" => Provider::demo_claude,
        _ => return Err(given.wrong("builtin", "claude, demo or demo-claude")),
    };
    let made = make(issuer.as_deref().unwrap_or_default());
    let mut provider = made.map_err(|error| Wrong(["provider.issuer: ", &error.to_string()].concat()))?;
    given.end()?;
    provider.client_id = client_id.or(provider.client_id);
    Ok(provider)
}

/// The members of `providers.toml`.
fn described(mut given: Object<'_>) -> Read<Provider> {
    let (name, authorization) = (given.text("name"), given.endpoint("authorization_endpoint"));
    let token = given.endpoint("token_endpoint");
    let mut authorization_parameters = BTreeMap::new();
    if let Some(mut parameters) = given.object("authorization_parameters") {
        while let Some((name, value)) = parameters.next_text() {
            authorization_parameters.insert(name, value);
        }
        parameters.end()?;
    }
    // For listeners, which JavaScript has none of: the host says what its redirect URI is.
    given.json("redirect");
    let provider = Provider {
        name: given.need("name", name)?,
        issuer: given.text("issuer"),
        authorization_endpoint: given.need("authorization_endpoint", authorization)?,
        token_endpoint: given.need("token_endpoint", token)?,
        revocation_endpoint: given.endpoint("revocation_endpoint"),
        device_authorization_endpoint: given.endpoint("device_authorization_endpoint"),
        client_id: given.text("client_id"),
        scopes: given
            .value("scopes", "a list of strings", |json| json::list(json)?.map(json::text).collect())
            .unwrap_or_default(),
        body: given.value("body", "form or json", TokenBody::from_json).unwrap_or_default(),
        authorization_parameters,
        redirect: RedirectRules::default(),
        manual_redirect: given.endpoint("manual_redirect"),
        refused_statuses: given
            .value("refused_statuses", "a list of HTTP statuses", |json| json::list(json)?.map(json::whole).collect())
            .unwrap_or_default(),
        expects_iss: given.flag("expects_iss").unwrap_or_default(),
        resource: given.text("resource"),
        pushed_authorization_request_endpoint: given.endpoint("pushed_authorization_request_endpoint"),
        require_pushed_authorization_requests: given.flag("require_pushed_authorization_requests").unwrap_or_default(),
        registration_endpoint: given.endpoint("registration_endpoint"),
        client_id_metadata_document_supported: given.flag("client_id_metadata_document_supported").unwrap_or_default(),
        dpop: Demand::default(),
    };
    given.end()?;
    Ok(provider)
}

/// The defaults, with the figures of `policy` in their places.
pub(crate) fn policy(given: &mut Object<'_>) -> Read<Policy> {
    let mut policy = Policy::default();
    let Some(mut figures) = given.object("policy") else { return Ok(policy) };
    each(&mut policy, &mut |name, figure| match (figures.number(name), figure) {
        (None, _) => {}
        (Some(millis), Figure::Time(time)) => *time = Millis(millis),
        (Some(number), Figure::Count(count)) => *count = u8::try_from(number).unwrap_or(u8::MAX),
    });
    figures.end()?;
    Ok(policy)
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
