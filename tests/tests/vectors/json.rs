//! What crosses, as JSON: the shapes of `host-js/js/core.ts`, written a second time, so that a host that mixes members up
//! does not agree with itself.

use kraube_core::credential::{
    Failure, Forgotten, InstallError, Installed, LoginReason, Outcome, Ready, Revoked, Unsaved, Via,
};
use kraube_core::http::{Request, Response, SendErrorKind};
use kraube_core::login::Verdict;
use kraube_core::machine::{Action, Blob, Input, Locked, Revision, StoreError, WriteError};
use kraube_core::provider::Client;
use kraube_core::record::{Credentials, LoginId};
use kraube_core::revoke::Revocation;
use kraube_core::secret::Secret;
use kraube_core::status::{State, Status};
use kraube_core::time::{Now, Timestamp};
use kraube_core::token::Answer;
use serde_json::{Value, json};

pub(crate) fn action(action: &Action) -> Value {
    match action {
        Action::Lock { wait, seen } => json!({ "type": "lock", "wait": wait.0, "seen": seen.as_ref().map(revision) }),
        Action::Read => json!({ "type": "read" }),
        Action::Send { request: sent, holds } => {
            json!({ "type": "send", "request": request(sent), "holds": holds.as_ref().map(revision) })
        }
        Action::Write { replaces, blob, reserve } => {
            let text = str::from_utf8(blob.bytes()).expect("the core writes text");
            json!({ "type": "write", "replaces": replaces.as_ref().map(revision), "blob": text, "reserve": reserve })
        }
        Action::Delete { replaces } => json!({ "type": "delete", "replaces": revision(replaces) }),
        Action::Wait { time } => json!({ "type": "wait", "time": time.0 }),
    }
}

pub(crate) fn input(input: &Input) -> Value {
    match input {
        Input::Locked(locked) => match locked {
            Locked::Held => json!({ "type": "locked", "locked": "held" }),
            Locked::Changed => json!({ "type": "locked", "locked": "changed" }),
            Locked::TimedOut => json!({ "type": "locked", "locked": "timed_out" }),
            Locked::Unsupported(error) => {
                json!({ "type": "locked", "locked": "unsupported", "error": store_error(error) })
            }
        },
        Input::Read(Ok(blob)) => json!({ "type": "read", "blob": blob.as_ref().map(Blob::bytes).map(bytes) }),
        Input::Read(Err(error)) => json!({ "type": "read", "error": store_error(error) }),
        Input::Replied(Ok(reply)) => json!({ "type": "replied", "response": response(reply) }),
        Input::Replied(Err(error)) => {
            let code = match error.kind {
                SendErrorKind::NotSent => "not_sent",
                SendErrorKind::MaybeSent => "maybe_sent",
                SendErrorKind::TimedOut => "timed_out",
                SendErrorKind::LockLost => "lock_lost",
            };
            json!({ "type": "replied", "error": { "code": code, "detail": error.detail } })
        }
        Input::Wrote(result) => changed("wrote", result),
        Input::Deleted(result) => changed("deleted", result),
        Input::Woke => json!({ "type": "woke" }),
    }
}

pub(crate) fn now(now: Now) -> Value {
    json!({ "wall": now.wall.0, "monotonic": now.monotonic.0 })
}

pub(crate) fn bytes(bytes: &[u8]) -> Value {
    match str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => {
            use base64::Engine;
            json!({ "base64": base64::engine::general_purpose::STANDARD.encode(bytes) })
        }
    }
}

pub(crate) fn revision(revision: &Revision) -> Value {
    json!(revision.to_string())
}

pub(crate) fn request(request: &Request) -> Value {
    json!({
        "url": request.url.as_str(),
        "contentType": request.content_type,
        "accept": Request::ACCEPT,
        "body": request.body.expose(),
    })
}

pub(crate) fn response(response: &Response) -> Value {
    json!({
        "status": response.status,
        "contentType": response.content_type,
        "retryAfter": response.retry_after,
        "body": bytes(&response.body),
    })
}

pub(crate) fn store_error(error: &StoreError) -> Value {
    json!({ "code": error.kind.code(), "detail": error.detail })
}

pub(crate) fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Ready(living) => json!({ "type": "ready", "ready": ready(living) }),
        Outcome::Unsaved(kept) => unsaved(kept),
        Outcome::Failed(error) => json!({ "type": "failed", "error": failure(error) }),
        other => panic!("an outcome that this test does not know: {other:?}"),
    }
}

pub(crate) fn installed(outcome: &Installed) -> Value {
    match outcome {
        Ok(tokens) => json!({ "type": "installed", "credentials": credentials(tokens) }),
        Err(InstallError::Unsaved(kept)) => unsaved(kept),
        Err(error) => {
            let kind = if matches!(error, InstallError::Misuse(_)) { "misuse" } else { "not_installed" };
            let mut json = told(kind, error.code(), error, Some(error.hint()));
            json["retryAt"] = Value::Null;
            json["login"] = Value::Null;
            json!({ "type": "failed", "error": json })
        }
    }
}

pub(crate) fn forgotten(outcome: &Forgotten) -> Value {
    match outcome {
        Forgotten::NothingStored => json!({ "type": "nothing_stored" }),
        Forgotten::Deleted { revoked: how } => json!({ "type": "deleted", "revoked": revoked(how) }),
        Forgotten::AnotherLogin { revoked: how } => json!({ "type": "another_login", "revoked": revoked(how) }),
        Forgotten::StillStored { revoked: how, cause } => {
            json!({ "type": "still_stored", "revoked": revoked(how), "error": cause.as_ref().map(store_error) })
        }
        Forgotten::Misuse(awaited) => {
            json!({ "type": "failed", "error": failure(&Failure::Misuse { awaited }) })
        }
        other => panic!("an outcome that this test does not know: {other:?}"),
    }
}

pub(crate) fn ready(ready: &Ready) -> Value {
    json!({
        "accessToken": ready.access_token.expose(),
        "expiresAt": ready.expires_at.0,
        "obtainedAt": moment(ready.obtained_at),
        "login": login(ready.login.as_ref()),
        "scope": ready.scope,
        "short": ready.short,
        "stale": ready.stale.as_ref().map(failure),
        "via": match ready.via { Via::Store => "store", Via::Exchange => "exchange" },
    })
}

pub(crate) fn failure(error: &Failure) -> Value {
    let (kind, retry_at, id) = match error {
        Failure::LoginRequired(LoginReason::LoggedOut | LoginReason::NoRefreshToken | LoginReason::Refused(_)) => {
            ("login_required", None, None)
        }
        Failure::Unavailable { retry_at, .. } => ("unavailable", *retry_at, None),
        Failure::Uncertain { retry_at, .. } => ("uncertain", *retry_at, None),
        Failure::AccountChanged { login } => ("account_changed", None, login.as_ref()),
        Failure::Misuse { .. } => ("misuse", None, None),
        other => panic!("a failure that this test does not know: {other:?}"),
    };
    let mut json = told(kind, error.code(), error, error.hint());
    json["retryAt"] = json!(moment(retry_at));
    json["login"] = json!(login(id));
    json
}

pub(crate) fn credentials(tokens: &Credentials) -> Value {
    json!({
        "accessToken": tokens.access_token.expose(),
        "refreshToken": tokens.refresh_token.as_ref().map(Secret::expose),
        "expiresAt": tokens.expires_at.0,
        "obtainedAt": moment(tokens.obtained_at),
        "scope": tokens.scope,
        "client": tokens.client.as_ref().map(client),
    })
}

pub(crate) fn client(client: &Client) -> Value {
    serde_json::from_str(&client.to_json()).expect("a client is JSON")
}

pub(crate) fn verdict(verdict: Verdict) -> Value {
    match verdict {
        Verdict::Ignored(reason) => json!({ "type": "ignored", "code": reason.code(), "message": reason.to_string() }),
        Verdict::Denied { code, description } => json!({
            "type": "denied",
            "code": "denied",
            "message": Verdict::denied(&code, description.as_deref()),
            "hint": Verdict::DENIED_HINT,
            "error": code,
        }),
        Verdict::Code(exchange) => {
            let (for_client, sent) = exchange.request();
            json!({ "type": "code", "exchange": { "client": client(&for_client), "request": request(&sent) } })
        }
    }
}

pub(crate) fn answer(answer: &Answer) -> Value {
    match answer {
        Answer::Issued(issued) => json!({
            "type": "issued",
            "accessToken": issued.access_token.expose(),
            "refreshToken": issued.refresh_token.as_ref().map(Secret::expose),
            "life": issued.life.0,
            "scope": issued.scope,
        }),
        Answer::Refused { detail } => json!({ "type": "refused", "detail": detail }),
        Answer::RefusedByStatus(status) => json!({ "type": "refused_by_status", "status": status }),
        Answer::Throttled { retry_after } => {
            json!({ "type": "throttled", "retryAfter": retry_after.map(|time| time.0) })
        }
        Answer::ClientRejected { detail } => json!({ "type": "client_rejected", "detail": detail }),
        Answer::Unknown { retry_after, detail } => {
            json!({ "type": "unknown", "retryAfter": retry_after.map(|time| time.0), "detail": detail })
        }
    }
}

pub(crate) fn revocation(revocation: &Revocation) -> Value {
    match revocation {
        Revocation::Done => json!({ "type": "done" }),
        Revocation::Unconfirmed { detail } => json!({ "type": "unconfirmed", "detail": detail }),
        other => panic!("a revocation that this test does not know: {other:?}"),
    }
}

pub(crate) fn status(status: &Status) -> Value {
    let reason = match &status.state {
        State::Refused(refusal) => Some(refusal.code().to_owned()),
        State::Corrupt(error) => Some(error.to_string()),
        State::Unreadable(error) => Some(error.detail.clone()),
        _ => None,
    };
    json!({
        "state": status.state.code(),
        "reason": reason,
        "expiresAt": moment(status.expires_at),
        "obtainedAt": moment(status.obtained_at),
        "retryAt": moment(status.retry_at),
        "refreshable": status.refreshable,
        "login": login(status.login.as_ref()),
        "scope": status.scope,
        "client": status.client.as_ref().map(client),
    })
}

fn changed(name: &str, result: &Result<(), WriteError>) -> Value {
    match result {
        Ok(()) => json!({ "type": name, name: "ok" }),
        Err(WriteError::Conflict) => json!({ "type": name, name: "conflict" }),
        Err(WriteError::Failed(error)) => json!({ "type": name, name: "failed", "error": store_error(error) }),
    }
}

fn unsaved(kept: &Unsaved) -> Value {
    json!({
        "type": "unsaved",
        "ready": kept.ready.as_ref().map(ready),
        "error": {
            "type": "unsaved",
            "code": "unsaved",
            "message": kept.to_string(),
            "hint": kept.hint(),
            "detail": kept.cause.detail,
            "retryAt": null,
            "login": null,
        },
    })
}

fn told(kind: &str, code: &str, error: &dyn std::error::Error, hint: Option<&str>) -> Value {
    let detail = error.source().map(ToString::to_string);
    json!({ "type": kind, "code": code, "message": error.to_string(), "hint": hint, "detail": detail })
}

fn revoked(revoked: &Revoked) -> Value {
    match revoked {
        Revoked::Yes => json!({ "type": "yes" }),
        Revoked::NotAsked => json!({ "type": "not_asked" }),
        Revoked::Unconfirmed(detail) => json!({ "type": "unconfirmed", "detail": detail }),
    }
}

fn moment(at: Option<Timestamp>) -> Option<u64> {
    at.map(|at| at.0)
}

fn login(id: Option<&LoginId>) -> Option<&str> {
    id.map(|id| id.0.as_str())
}
