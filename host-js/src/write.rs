//! What the core says, as JavaScript has it. The shapes are those of `js/core.ts`.

use crate::calls::stored;
use crate::json::Json;
use kraube_core::credential::{Failure, Forgotten, InstallError, Installed, Outcome, Ready, Revoked, Unsaved, Via};
use kraube_core::http::Request;
use kraube_core::login::Verdict;
use kraube_core::machine::{Action, Revision, StoreError};
use kraube_core::provider::Client;
use kraube_core::record::Credentials;
use kraube_core::revoke::Revocation;
use kraube_core::secret::Secret;
use kraube_core::status::{State, Status};
use kraube_core::time::{Millis, Timestamp};
use kraube_core::token::Answer;
use std::error::Error;
use std::fmt::Display;

/// Something that crosses to JavaScript.
pub(crate) trait Cross {
    fn cross(&self, json: &mut Json);
}

/// `{"error": ...}`: what JavaScript throws.
pub(crate) fn thrown(code: &str, error: &dyn Display) -> String {
    threw(code, &error.to_string())
}

/// The same, with its message.
pub(crate) fn threw(code: &str, message: &str) -> String {
    Json::of(&mut |json| {
        json.open();
        json.object("error");
        json.text("code", code);
        json.text("message", message);
        json.close();
        json.close();
    })
}

impl Cross for Action {
    fn cross(&self, json: &mut Json) {
        match self {
            Self::Lock { wait, seen } => {
                json.case("lock");
                json.number("wait", wait.0);
                revision(json, "seen", seen.as_ref());
            }
            Self::Read => json.case("read"),
            Self::Send { request, holds } => {
                json.case("send");
                json.name("request");
                request.cross(json);
                revision(json, "holds", holds.as_ref());
            }
            Self::Write { replaces, blob, reserve } => {
                json.case("write");
                revision(json, "replaces", replaces.as_ref());
                json.text("blob", stored(blob));
                json.number("reserve", *reserve as u64);
            }
            Self::Delete { replaces } => {
                json.case("delete");
                revision(json, "replaces", Some(replaces));
            }
            Self::Wait { time } => {
                json.case("wait");
                json.number("time", time.0);
            }
        }
        json.close();
    }
}

impl Cross for Request {
    fn cross(&self, json: &mut Json) {
        json.open();
        json.text("url", self.url.as_str());
        json.text("contentType", self.content_type);
        json.text("accept", Self::ACCEPT);
        json.text("body", self.body.expose());
        json.close();
    }
}

impl Cross for Outcome {
    fn cross(&self, json: &mut Json) {
        match self {
            Self::Ready(ready) => {
                json.case("ready");
                json.name("ready");
                ready.cross(json);
                json.close();
            }
            Self::Unsaved(kept) => unsaved(json, kept),
            Self::Failed(error) => failed(json, error),
            _ => unknown(json),
        }
    }
}

impl Cross for Installed {
    fn cross(&self, json: &mut Json) {
        match self {
            Ok(credentials) => {
                json.case("installed");
                json.name("credentials");
                credentials.cross(json);
                json.close();
            }
            Err(InstallError::Unsaved(kept)) => unsaved(json, kept),
            Err(error) => failed(json, error),
        }
    }
}

impl Cross for Forgotten {
    fn cross(&self, json: &mut Json) {
        let revoked = match self {
            Self::NothingStored => {
                json.case("nothing_stored");
                return json.close();
            }
            Self::Deleted { revoked } => {
                json.case("deleted");
                revoked
            }
            Self::AnotherLogin { revoked } => {
                json.case("another_login");
                revoked
            }
            Self::StillStored { revoked, cause } => {
                json.case("still_stored");
                json.name("error");
                cause.cross(json);
                revoked
            }
            Self::Misuse(awaited) => return failed(json, &Failure::Misuse { awaited }),
            _ => return unknown(json),
        };
        json.name("revoked");
        match revoked {
            Revoked::Yes => json.case("yes"),
            Revoked::NotAsked => json.case("not_asked"),
            Revoked::Unconfirmed(detail) => {
                json.case("unconfirmed");
                json.text("detail", detail);
            }
        }
        json.close();
        json.close();
    }
}

impl Cross for Ready {
    fn cross(&self, json: &mut Json) {
        json.open();
        json.text("accessToken", self.access_token.expose());
        json.number("expiresAt", self.expires_at.0);
        moment(json, "obtainedAt", self.obtained_at);
        json.maybe("login", self.login.as_ref().map(|login| login.0.as_str()));
        json.maybe("scope", self.scope.as_deref());
        json.flag("short", self.short);
        json.name("stale");
        self.stale.cross(json);
        let via = match self.via {
            Via::Store => "store",
            Via::Exchange => "exchange",
        };
        json.text("via", via);
        json.close();
    }
}

impl Cross for Failure {
    fn cross(&self, json: &mut Json) {
        let (case, retry_at, login) = match self {
            Self::LoginRequired(_) => ("login_required", None, None),
            Self::Unavailable { retry_at, .. } => ("unavailable", *retry_at, None),
            Self::Uncertain { retry_at, .. } => ("uncertain", *retry_at, None),
            Self::AccountChanged { login } => ("account_changed", None, login.as_ref()),
            Self::Misuse { .. } | _ => ("misuse", None, None),
        };
        json.case(case);
        failure(json, self.code(), self, self.hint(), self.source());
        moment(json, "retryAt", retry_at);
        json.maybe("login", login.map(|login| login.0.as_str()));
        json.close();
    }
}

impl Cross for InstallError {
    fn cross(&self, json: &mut Json) {
        json.case(if let Self::Misuse(_) = self { "misuse" } else { "not_installed" });
        failure(json, self.code(), self, Some(self.hint()), self.source());
        moment(json, "retryAt", None);
        json.maybe("login", None);
        json.close();
    }
}

impl Cross for StoreError {
    fn cross(&self, json: &mut Json) {
        json.open();
        json.text("code", self.kind.code());
        json.text("detail", &self.detail);
        json.close();
    }
}

impl<T: Cross> Cross for Option<T> {
    fn cross(&self, json: &mut Json) {
        match self {
            Some(value) => value.cross(json),
            None => json.null(),
        }
    }
}

impl Cross for Credentials {
    fn cross(&self, json: &mut Json) {
        json.open();
        json.text("accessToken", self.access_token.expose());
        json.maybe("refreshToken", self.refresh_token.as_ref().map(Secret::expose));
        json.number("expiresAt", self.expires_at.0);
        moment(json, "obtainedAt", self.obtained_at);
        json.maybe("scope", self.scope.as_deref());
        json.name("client");
        self.client.cross(json);
        json.close();
    }
}

/// As it is stored, too.
impl Cross for Client {
    fn cross(&self, json: &mut Json) {
        json.raw(&self.to_json());
    }
}

/// A verdict holds a code that can be used once, so writing it uses it up.
pub(crate) fn verdict(verdict: Verdict, json: &mut Json) {
    match verdict {
        Verdict::Ignored(reason) => {
            json.case("ignored");
            json.text("code", reason.code());
            json.display("message", &reason);
        }
        Verdict::Denied { code, description } => {
            json.case("denied");
            json.text("code", "denied");
            json.text("message", &Verdict::denied(&code, description.as_deref()));
            json.text("hint", Verdict::DENIED_HINT);
            json.text("error", &code);
        }
        Verdict::Code(exchange) => {
            let (client, request) = exchange.request();
            json.case("code");
            json.object("exchange");
            json.name("client");
            client.cross(json);
            json.name("request");
            request.cross(json);
            json.close();
        }
    }
    json.close();
}

impl Cross for Answer {
    fn cross(&self, json: &mut Json) {
        let pause = |json: &mut Json, time: &Option<Millis>| json.number_or_null("retryAfter", time.map(|time| time.0));
        match self {
            Self::Issued(issued) => {
                json.case("issued");
                json.text("accessToken", issued.access_token.expose());
                json.maybe("refreshToken", issued.refresh_token.as_ref().map(Secret::expose));
                json.number("life", issued.life.0);
                json.maybe("scope", issued.scope.as_deref());
            }
            Self::Refused { detail } => {
                json.case("refused");
                json.text("detail", detail);
            }
            Self::RefusedByStatus(status) => {
                json.case("refused_by_status");
                json.number("status", (*status).into());
            }
            Self::Throttled { retry_after } => {
                json.case("throttled");
                pause(json, retry_after);
            }
            Self::ClientRejected { detail } => {
                json.case("client_rejected");
                json.text("detail", detail);
            }
            Self::Unknown { retry_after, detail } => {
                json.case("unknown");
                pause(json, retry_after);
                json.text("detail", detail);
            }
        }
        json.close();
    }
}

impl Cross for Revocation {
    fn cross(&self, json: &mut Json) {
        match self {
            Self::Unconfirmed { detail } => {
                json.case("unconfirmed");
                json.text("detail", detail);
            }
            Self::Done | _ => json.case("done"),
        }
        json.close();
    }
}

impl Cross for Status {
    fn cross(&self, json: &mut Json) {
        json.open();
        json.text("state", self.state.code());
        let reason = match &self.state {
            State::Refused(refusal) => Some(refusal.code().to_owned()),
            State::Corrupt(error) => Some(error.to_string()),
            State::Unreadable(error) => Some(error.detail.clone()),
            State::Valid | State::NeedsRefresh | State::InDoubt | State::Expired | State::LoggedOut | _ => None,
        };
        json.maybe("reason", reason.as_deref());
        moment(json, "expiresAt", self.expires_at);
        moment(json, "obtainedAt", self.obtained_at);
        moment(json, "retryAt", self.retry_at);
        json.flag("refreshable", self.refreshable);
        json.maybe("login", self.login.as_ref().map(|login| login.0.as_str()));
        json.maybe("scope", self.scope.as_deref());
        json.name("client");
        self.client.cross(json);
        json.close();
    }
}

fn revision(json: &mut Json, name: &str, revision: Option<&Revision>) {
    json.maybe(name, revision.map(Revision::to_string).as_deref());
}

fn moment(json: &mut Json, name: &str, at: Option<Timestamp>) {
    json.number_or_null(name, at.map(|at| at.0));
}

fn failed(json: &mut Json, error: &dyn Cross) {
    json.case("failed");
    json.name("error");
    error.cross(json);
    json.close();
}

fn unsaved(json: &mut Json, kept: &Unsaved) {
    json.case("unsaved");
    json.name("ready");
    kept.ready.cross(json);
    json.name("error");
    json.case("unsaved");
    failure(json, "unsaved", kept, Some(kept.hint()), Some(&kept.cause));
    moment(json, "retryAt", None);
    json.maybe("login", None);
    json.close();
    json.close();
}

/// The members that all failures have.
fn failure(json: &mut Json, code: &str, error: &dyn Display, hint: Option<&str>, source: Option<&dyn Error>) {
    json.text("code", code);
    json.display("message", error);
    json.maybe("hint", hint);
    json.maybe("detail", source.map(ToString::to_string).as_deref());
}

/// The outcomes may grow; this crate is built with the core that it names.
fn unknown(json: &mut Json) {
    failed(json, &Failure::Misuse { awaited: "an outcome that is known" });
}
