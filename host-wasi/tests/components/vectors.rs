//! The conformance vectors of the core, unchanged, through the component of the world `sans-io` in wasmtime. What they are
//! stands in `tests/vectors/README.md`; here is how their JSON reads as the types of the WIT package.

use crate::support::pure::exports::kraube::auth::credentials as machines;
use crate::support::pure::exports::kraube::auth::types::{self as wit, Client, Error, Problem, TokenBody};
use crate::support::pure::exports::kraube::auth::{login, requests};
use crate::support::{SansIo, component};
use kraube::core::provider::Provider;
use serde_json::{Map, Value, json};
use wasmtime::component::{Linker, ResourceAny};
use wasmtime::{Engine, Store};

const MACHINES: &str = include_str!("../../../tests/vectors/machines.json");
const CALLS: &str = include_str!("../../../tests/vectors/calls.json");

#[test]
fn the_component_does_what_is_recorded() {
    let mut host = Host::new();
    let mut failures = Vec::new();
    let entries = |text: &str| serde_json::from_str::<Vec<Value>>(text).expect("it is an array");
    for entry in entries(MACHINES) {
        failures.extend(host.runs(&entry).err().map(|error| format!("{}: {error}", entry["name"])));
    }
    for entry in entries(CALLS) {
        failures.extend(host.call(&entry).err().map(|error| format!("{}: {error}", entry["name"])));
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

struct Host {
    store: Store<()>,
    it: SansIo,
}

type Judged = Result<(), String>;

/// What a machine asks for, and the machine; or how it ended, and what it keeps.
struct Next {
    machine: Option<ResourceAny>,
    json: Value,
    kept: machines::Kept,
}

impl Host {
    fn new() -> Self {
        let engine = Engine::default();
        let mut store = Store::new(&engine, ());
        // Nothing is linked: it imports nothing.
        let it = SansIo::instantiate(&mut store, &component(&engine, "sans-io"), &Linker::new(&engine));
        Self { store, it: it.expect("a component that imports nothing") }
    }

    fn runs(&mut self, entry: &Value) -> Judged {
        let mut kept = None;
        for (index, run) in entry["runs"].as_array().expect("runs").iter().enumerate() {
            let mut next = self.start(run, kept.take());
            same(&next.json, &run["first"], &format!("run {index}, first"))?;
            for (count, step) in run["steps"].as_array().expect("steps").iter().enumerate() {
                let place = format!("run {index}, step {count}");
                let machine = next.machine.take().ok_or("it is done already")?;
                if let Some(living) = step.get("living") {
                    let told = self.it.kraube_auth_credentials().obtain().call_living(
                        &mut self.store,
                        machine,
                        now(&step["now"]),
                    );
                    same(&json!(told.expect("no trap").as_ref().map(ready)), living, &format!("{place}, living"))?;
                }
                next = self.step(&run["machine"], machine, &input(&step["input"]), now(&step["now"]));
                same(&next.json, &step["next"], &place)?;
            }
            if let Some(machine) = next.machine {
                machine.resource_drop(&mut self.store).expect("it is ours");
            }
            same(&json!(next.kept.is_some()), &run["keeps"], &format!("run {index}, keeps"))?;
            kept = next.kept;
        }
        Ok(())
    }

    fn start(&mut self, run: &Value, kept: machines::Kept) -> Next {
        let (options, now) = (&run["options"], now(&run["now"]));
        let policy = policy(&options["policy"]);
        let machines = self.it.kraube_auth_credentials();
        let store = &mut self.store;
        match text(&run["machine"]).as_str() {
            "obtain" => {
                let run = u64::from_str_radix(&text(&options["run"]), 16).expect("hexadecimal digits");
                let step = machines.obtain().call_start(store, &wanted(options), &policy, run, kept, now);
                self.obtained(step.expect("no trap"))
            }
            "install" => {
                let new = new_login(&options["new"]);
                let step = machines.install().call_start(store, &new, &text(&options["login"]), &policy, kept);
                self.installed(step.expect("no trap"))
            }
            _ => {
                let revoke = options["revoke"].as_bool().unwrap_or(true);
                let step = machines.forget().call_start(store, revoke, &policy, kept);
                forgotten(step.expect("no trap"))
            }
        }
    }

    fn step(&mut self, machine: &Value, it: ResourceAny, input: &machines::Input, now: wit::Now) -> Next {
        let machines = self.it.kraube_auth_credentials();
        let store = &mut self.store;
        match text(machine).as_str() {
            "obtain" => {
                let step = machines.obtain().call_step(store, it, input, now).expect("no trap");
                self.obtained(step)
            }
            "install" => {
                let step = machines.install().call_step(store, it, input, now).expect("no trap");
                self.installed(step)
            }
            _ => forgotten(machines.forget().call_step(store, it, input, now).expect("no trap")),
        }
    }

    fn obtained(&mut self, step: machines::ObtainStep) -> Next {
        match step {
            machines::ObtainStep::Perform((machine, asked)) => Next::perform(machine, &asked),
            machines::ObtainStep::Done(machines::Obtained { outcome, kept: Some(kept) }) => {
                drop(outcome);
                Next::done(self.unsaved(kept), Some(kept))
            }
            machines::ObtainStep::Done(machines::Obtained { outcome: Ok(token), kept }) => {
                Next::done(json!({ "type": "ready", "ready": ready(&token) }), kept)
            }
            machines::ObtainStep::Done(machines::Obtained { outcome: Err(error), kept }) => {
                Next::done(json!({ "type": "failed", "error": failure(&error) }), kept)
            }
        }
    }

    fn installed(&mut self, step: machines::InstallStep) -> Next {
        let (outcome, kept) = match step {
            machines::InstallStep::Perform((machine, asked)) => return Next::perform(machine, &asked),
            machines::InstallStep::Done(machines::Installed { outcome, kept }) => (outcome, kept),
        };
        match (outcome, kept) {
            (Ok(tokens), kept) => {
                Next::done(json!({ "type": "installed", "credentials": login_tokens(&tokens) }), kept)
            }
            (Err(Error::Unsaved(_)), Some(kept)) => Next::done(self.unsaved(kept), Some(kept)),
            (Err(error), kept) => {
                let kind = if matches!(error, Error::Misuse(_)) { "misuse" } else { "not_installed" };
                let mut told = failure(&error);
                told["type"] = json!(kind);
                Next::done(json!({ "type": "failed", "error": told }), kept)
            }
        }
    }

    fn unsaved(&mut self, kept: ResourceAny) -> Value {
        let unsaved = self.it.kraube_auth_credentials().unsaved();
        let living = unsaved.call_ready(&mut self.store, kept).expect("no trap");
        let cause = unsaved.call_cause(&mut self.store, kept).expect("no trap");
        json!({
            "type": "unsaved",
            "ready": living.as_ref().map(ready),
            "error": { "type": "unsaved", "code": "unsaved", "detail": cause.detail },
        })
    }

    fn call(&mut self, entry: &Value) -> Judged {
        let given = entry["arguments"].as_array().expect("arguments");
        match self.answer(entry["call"].as_str().expect("a name"), given) {
            Ok(returned) => same(&returned, &entry["returns"], "returned"),
            Err(error) => {
                let (_, problem) = sorted(&error);
                let thrown = json!({ "code": problem.code, "message": problem.message });
                same(&thrown, &entry["throws"], "thrown")
            }
        }
    }

    fn answer(&mut self, call: &str, given: &[Value]) -> Result<Value, Error> {
        let argument = |at: usize| given.get(at).unwrap_or(&Value::Null);
        let (credentials, login, requests) =
            (self.it.kraube_auth_credentials(), self.it.kraube_auth_login(), self.it.kraube_auth_requests());
        let store = &mut self.store;
        Ok(match call {
            "begin" => {
                let provider = self.provider(&argument(0)["provider"])?;
                let entropy = bytes_of_digits(&text(&argument(0)["entropy"]));
                let (pkce, login) = (self.it.kraube_auth_pkce(), self.it.kraube_auth_login());
                let store = &mut self.store;
                let entropy = pkce.entropy().call_take(&mut *store, &entropy).expect("no trap")?;
                let redirect = redirect(&argument(0)["redirect"]);
                let begun = login.pending().call_begin(&mut *store, &provider, &redirect, entropy);
                let login::Begun { pending, url } = begun.expect("no trap")?;
                let at = whole(argument(1));
                let saved = login.pending().call_save(&mut *store, pending, at).expect("no trap").expect("it waits");
                let uri = login.pending().call_redirect_uri(&mut *store, pending).expect("no trap");
                pending.resource_drop(store).expect("it is ours");
                json!({ "pending": String::from_utf8(saved).expect("text"), "url": url, "redirectUri": uri })
            }
            "receive" => {
                let saved = bytes(argument(0));
                let restored = login.pending().call_restore(&mut *store, &saved, whole(argument(2)));
                let pending = restored.expect("no trap")?;
                let verdict = login.pending().call_receive(&mut *store, pending, &callback(argument(1)));
                pending.resource_drop(&mut *store).expect("it is ours");
                match verdict.expect("no trap") {
                    login::Verdict::Ignored(problem) => {
                        json!({ "type": "ignored", "code": problem.code, "message": problem.message })
                    }
                    login::Verdict::Denied(login::Denial { error, problem }) => json!({
                        "type": "denied", "code": problem.code, "message": problem.message, "hint": problem.hint,
                        "error": error,
                    }),
                    login::Verdict::Code(exchange) => {
                        let (sent, for_client) = requests.call_code_request(store, exchange).expect("no trap");
                        json!({
                            "type": "code",
                            "exchange": { "client": client_json(&for_client), "request": request(&sent) },
                        })
                    }
                }
            }
            "status" => {
                let read = read(argument(0));
                let report = credentials.call_status(store, as_ref(&read), &Vec::new(), whole(argument(1)));
                status(&report.expect("no trap"))
            }
            "record" => {
                let blob = credentials.call_record_of(store, &tokens(argument(0))).expect("no trap")?;
                json!(String::from_utf8(blob).expect("text"))
            }
            "client" => {
                let provider = self.provider(argument(0))?;
                let client = self.it.kraube_auth_login().call_client_of(&mut self.store, &provider);
                client_json(&client.expect("no trap")?)
            }
            "refreshRequest" => {
                let sent = requests.call_refresh_request(store, &client(argument(0)), &text(argument(1)));
                request(&sent.expect("no trap")?)
            }
            "readAnswer" => {
                let read =
                    requests.call_read_answer(store, &client(argument(0)), &response(argument(1)), now(argument(2)));
                answer(read.expect("no trap")?)
            }
            "revocationRequest" => {
                let sent = requests.call_revocation_request(store, &client(argument(0)), &text(argument(1)));
                json!(sent.expect("no trap")?.as_ref().map(request))
            }
            "readRevocation" => match requests.call_read_revocation(store, &response(argument(0))).expect("no trap") {
                Ok(()) => json!({ "type": "done" }),
                Err(detail) => json!({ "type": "unconfirmed", "detail": detail }),
            },
            "revision" => json!(credentials.call_revision_of(store, &bytes(argument(0))).expect("no trap")),
            "isFresh" | "margin" => {
                let (expires, obtained) = (whole(&argument(0)["expiresAt"]), moment(&argument(0)["obtainedAt"]));
                let (min_valid, at, policy) = (whole(argument(1)), whole(argument(2)), Vec::new());
                if call == "margin" {
                    json!(credentials.call_margin(store, expires, obtained, min_valid, &policy, at).expect("no trap"))
                } else {
                    json!(credentials.call_is_fresh(store, expires, obtained, min_valid, &policy, at).expect("no trap"))
                }
            }
            other => panic!("a call that this host does not know: {other}"),
        })
    }

    /// A description, or the name of one that the component has.
    fn provider(&mut self, given: &Value) -> Result<login::Provider, Error> {
        let issuer = optional(&given["issuer"]);
        let (login, store) = (self.it.kraube_auth_login(), &mut self.store);
        let provider = match optional(&given["builtin"]).as_deref() {
            Some("claude") => login.call_claude(store, optional(&given["client_id"]).as_deref()).expect("no trap"),
            Some("demo") => login.call_demo(store, &issuer.expect("an issuer")).expect("no trap")?,
            Some(_) => login.call_demo_claude(store, &issuer.expect("an issuer")).expect("no trap")?,
            None => {
                let it: Provider = serde_json::from_value(given.clone()).expect("it is a provider");
                let json = serde_json::to_value(it.body).expect("it is JSON");
                login::Provider {
                    name: it.name,
                    issuer,
                    authorization_endpoint: it.authorization_endpoint.into(),
                    token_endpoint: it.token_endpoint.into(),
                    revocation_endpoint: it.revocation_endpoint.map(String::from),
                    device_authorization_endpoint: it.device_authorization_endpoint.map(String::from),
                    client_id: it.client_id,
                    scopes: it.scopes,
                    body: body(&json),
                    authorization_parameters: it.authorization_parameters.into_iter().collect(),
                    resource: it.resource,
                    manual_redirect: it.manual_redirect.map(String::from),
                    refused_statuses: it.refused_statuses,
                    expects_iss: it.expects_iss,
                }
            }
        };
        Ok(provider)
    }
}

impl Next {
    fn perform(machine: ResourceAny, asked: &machines::Action) -> Self {
        Self { machine: Some(machine), json: json!({ "action": action(asked) }), kept: None }
    }

    fn done(json: Value, kept: machines::Kept) -> Self {
        Self { machine: None, json: json!({ "done": json }), kept }
    }
}

fn forgotten(step: machines::ForgetStep) -> Next {
    let machines::Forgotten { outcome, revoked, kept } = match step {
        machines::ForgetStep::Perform((machine, asked)) => return Next::perform(machine, &asked),
        machines::ForgetStep::Done(forgotten) => forgotten,
    };
    let revoked = match revoked {
        None => json!({ "type": "not_asked" }),
        Some(Ok(())) => json!({ "type": "yes" }),
        Some(Err(detail)) => json!({ "type": "unconfirmed", "detail": detail }),
    };
    let json = match outcome {
        machines::Deletion::NothingStored => json!({ "type": "nothing_stored" }),
        machines::Deletion::Deleted => json!({ "type": "deleted", "revoked": revoked }),
        machines::Deletion::AnotherLogin => json!({ "type": "another_login", "revoked": revoked }),
        machines::Deletion::StillStored(cause) => {
            json!({ "type": "still_stored", "revoked": revoked, "error": cause.as_ref().map(store_error_json) })
        }
        machines::Deletion::Misuse(_) => {
            json!({ "type": "failed", "error": { "type": "misuse", "code": "misuse" } })
        }
    };
    Next::done(json, kept)
}

fn action(asked: &machines::Action) -> Value {
    match asked {
        machines::Action::Lock(lock) => json!({ "type": "lock", "wait": lock.wait, "seen": lock.seen }),
        machines::Action::Read => json!({ "type": "read" }),
        machines::Action::Send(send) => {
            json!({ "type": "send", "request": request(&send.request), "holds": send.holds })
        }
        machines::Action::Write(write) => {
            let blob = str::from_utf8(&write.new).expect("the core writes text");
            json!({ "type": "write", "replaces": write.replaces, "blob": blob, "reserve": write.reserve })
        }
        machines::Action::Delete(replaces) => json!({ "type": "delete", "replaces": replaces }),
        machines::Action::Wait(time) => json!({ "type": "wait", "time": time }),
    }
}

fn input(given: &Value) -> machines::Input {
    let changed = |name: &str| match text(&given[name]).as_str() {
        "ok" => Ok(()),
        "conflict" => Err(wit::WriteError::Conflict),
        _ => Err(wit::WriteError::Failed(store_error(&given["error"]))),
    };
    match text(&given["type"]).as_str() {
        "locked" => machines::Input::Locked(match text(&given["locked"]).as_str() {
            "held" => machines::Locked::Held,
            "changed" => machines::Locked::Changed,
            "timed_out" => machines::Locked::TimedOut,
            _ => machines::Locked::Unsupported(store_error(&given["error"])),
        }),
        "read" => machines::Input::Read(read(given)),
        "replied" => machines::Input::Replied(match given.get("error") {
            None => Ok(response(&given["response"])),
            Some(error) => Err(wit::SendError {
                kind: match text(&error["code"]).as_str() {
                    "not_sent" => wit::SendErrorKind::NotSent,
                    "maybe_sent" => wit::SendErrorKind::MaybeSent,
                    "timed_out" => wit::SendErrorKind::TimedOut,
                    _ => wit::SendErrorKind::LockLost,
                },
                detail: text(&error["detail"]),
            }),
        }),
        "wrote" => machines::Input::Wrote(changed("wrote")),
        "deleted" => machines::Input::Deleted(changed("deleted")),
        _ => machines::Input::Woke,
    }
}

type Stored = Result<Option<Vec<u8>>, wit::StoreError>;

fn read(given: &Value) -> Stored {
    match given.get("error") {
        Some(error) => Err(store_error(error)),
        None if given["blob"].is_null() => Ok(None),
        None => Ok(Some(bytes(&given["blob"]))),
    }
}

fn as_ref(read: &Stored) -> Result<Option<&Vec<u8>>, &wit::StoreError> {
    read.as_ref().map(Option::as_ref)
}

const STORE_ERRORS: [(&str, wit::StoreErrorKind); 7] = [
    ("store_denied", wit::StoreErrorKind::Denied),
    ("store_not_ours", wit::StoreErrorKind::NotOurs),
    ("store_full", wit::StoreErrorKind::Full),
    ("store_read_only", wit::StoreErrorKind::ReadOnly),
    ("store_irreplaceable", wit::StoreErrorKind::Irreplaceable),
    ("store_too_large", wit::StoreErrorKind::TooLarge),
    ("store_io", wit::StoreErrorKind::Io),
];

fn store_error(given: &Value) -> wit::StoreError {
    let code = text(&given["code"]);
    let kind = STORE_ERRORS.iter().find(|(name, _)| *name == code).expect("a code of a store").1;
    wit::StoreError { kind, detail: text(&given["detail"]) }
}

fn store_error_json(error: &wit::StoreError) -> Value {
    let code = STORE_ERRORS.iter().find(|(_, kind)| *kind == error.kind).expect("all are there").0;
    json!({ "code": code, "detail": error.detail })
}

fn wanted(options: &Value) -> machines::Wanted {
    machines::Wanted {
        min_valid: moment(&options["minValid"]).unwrap_or_default(),
        rejected: optional(&options["rejected"]),
        baseline: match options.get("baseline") {
            None | Some(Value::Null) => machines::Baseline::FirstRead,
            Some(baseline) => machines::Baseline::Login(optional(&baseline["login"])),
        },
        default_client: Some(&options["defaultClient"]).filter(|it| it.is_object()).map(client),
    }
}

fn new_login(given: &Value) -> machines::NewLogin {
    if given["type"] == "credentials" {
        return machines::NewLogin::Tokens(tokens(&given["credentials"]));
    }
    let sent = &given["exchange"]["request"];
    let request = wit::HttpRequest {
        url: text(&sent["url"]),
        content_type: text(&sent["contentType"]),
        accept: text(&sent["accept"]),
        body: text(&sent["body"]),
    };
    machines::NewLogin::Request((request, client(&given["exchange"]["client"])))
}

/// What is left out stands for an access token that lives until a resource rejects it, or for one that is over.
fn tokens(given: &Value) -> machines::LoginTokens {
    let access_token = optional(&given["accessToken"]);
    let expires_at = if access_token.is_some() { u64::MAX } else { 0 };
    machines::LoginTokens {
        access_token: access_token.unwrap_or_default(),
        refresh_token: optional(&given["refreshToken"]),
        expires_at: moment(&given["expiresAt"]).unwrap_or(expires_at),
        obtained_at: moment(&given["obtainedAt"]),
        scope: optional(&given["scope"]),
        client: Some(&given["client"]).filter(|it| it.is_object()).map(client),
    }
}

fn login_tokens(tokens: &machines::LoginTokens) -> Value {
    json!({
        "accessToken": tokens.access_token,
        "refreshToken": tokens.refresh_token,
        "expiresAt": tokens.expires_at,
        "obtainedAt": tokens.obtained_at,
        "scope": tokens.scope,
        "client": tokens.client.as_ref().map(client_json),
    })
}

fn policy(given: &Value) -> machines::Policy {
    let figures = given.as_object().into_iter().flatten().map(|(name, value)| {
        let figure = match name.as_str() {
            "margin" => machines::Figure::Margin,
            "rejectFloor" => machines::Figure::RejectFloor,
            other => panic!("a figure that this host does not know: {other}"),
        };
        (figure, whole(value))
    });
    figures.collect()
}

fn ready(ready: &machines::Ready) -> Value {
    json!({
        "accessToken": ready.token.value,
        "expiresAt": ready.token.expires_at,
        "obtainedAt": ready.obtained_at,
        "login": ready.token.login,
        "scope": ready.token.scope,
        "short": ready.token.short,
        "stale": ready.token.stale.as_ref().map(problem),
        "via": match ready.via { machines::Via::Store => "store", machines::Via::Exchange => "exchange" },
    })
}

fn sorted(error: &Error) -> (&'static str, &Problem) {
    match error {
        Error::LoginRequired(problem) => ("login_required", problem),
        Error::Unavailable(problem) => ("unavailable", problem),
        Error::Uncertain(problem) => ("uncertain", problem),
        Error::AccountChanged(problem) => ("account_changed", problem),
        Error::Unsaved(problem) => ("unsaved", problem),
        Error::Invalid(problem) => ("invalid", problem),
        Error::Misuse(problem) => ("misuse", problem),
    }
}

fn failure(error: &Error) -> Value {
    let (kind, told) = sorted(error);
    let mut json = problem(told);
    json["type"] = json!(kind);
    json
}

fn problem(problem: &Problem) -> Value {
    json!({
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
        "detail": problem.detail,
        "retryAt": problem.retry_at,
        "login": problem.login,
    })
}

fn answer(answer: requests::Answer) -> Value {
    match answer {
        requests::Answer::Issued(issued) => json!({
            "type": "issued",
            "accessToken": issued.access_token,
            "refreshToken": issued.refresh_token,
            "life": issued.life,
            "scope": issued.scope,
        }),
        requests::Answer::Refused(detail) => json!({ "type": "refused", "detail": detail }),
        requests::Answer::RefusedByStatus(status) => json!({ "type": "refused_by_status", "status": status }),
        requests::Answer::Throttled(pause) => json!({ "type": "throttled", "retryAfter": pause }),
        requests::Answer::ClientRejected(detail) => json!({ "type": "client_rejected", "detail": detail }),
        requests::Answer::Unknown(unknown) => {
            json!({ "type": "unknown", "retryAfter": unknown.retry_after, "detail": unknown.detail })
        }
    }
}

fn status(report: &machines::StatusReport) -> Value {
    json!({
        "state": report.state,
        "reason": report.reason,
        "expiresAt": report.expires_at,
        "obtainedAt": report.obtained_at,
        "retryAt": report.retry_at,
        "refreshable": report.refreshable,
        "login": report.login,
        "scope": report.scope,
        "client": report.client.as_ref().map(client_json),
    })
}

fn client(given: &Value) -> Client {
    Client {
        name: text(&given["name"]),
        issuer: optional(&given["issuer"]),
        token_endpoint: text(&given["tokenEndpoint"]),
        revocation_endpoint: optional(&given["revocationEndpoint"]),
        client_id: text(&given["clientId"]),
        body: body(&given["body"]),
        refused_statuses: statuses(&given["refusedStatuses"]),
        resource: optional(&given["resource"]),
    }
}

fn client_json(client: &Client) -> Value {
    let statuses = Some(&client.refused_statuses).filter(|statuses| !statuses.is_empty());
    json!({
        "name": client.name,
        "issuer": client.issuer,
        "tokenEndpoint": client.token_endpoint,
        "revocationEndpoint": client.revocation_endpoint,
        "clientId": client.client_id,
        "body": match client.body { TokenBody::Form => "form", TokenBody::Json => "json" },
        "refusedStatuses": statuses,
        "resource": client.resource,
    })
}

fn body(given: &Value) -> TokenBody {
    if given == "json" { TokenBody::Json } else { TokenBody::Form }
}

fn statuses(given: &Value) -> Vec<u16> {
    given.as_array().into_iter().flatten().map(|status| u16::try_from(whole(status)).expect("a status")).collect()
}

fn redirect(given: &Value) -> login::Redirect {
    match text(&given["type"]).as_str() {
        "loopback" => login::Redirect::Loopback(text(&given["uri"])),
        "page" => login::Redirect::Page(text(&given["uri"])),
        _ => login::Redirect::Manual,
    }
}

fn callback(given: &Value) -> login::Callback {
    match text(&given["type"]).as_str() {
        "query" => login::Callback::Query(text(&given["query"])),
        _ => login::Callback::Pasted(text(&given["text"])),
    }
}

fn request(request: &wit::HttpRequest) -> Value {
    json!({
        "url": request.url,
        "contentType": request.content_type,
        "accept": request.accept,
        "body": request.body,
    })
}

fn response(given: &Value) -> wit::HttpResponse {
    wit::HttpResponse {
        status: u16::try_from(whole(&given["status"])).expect("a status"),
        content_type: optional(&given["contentType"]),
        retry_after: optional(&given["retryAfter"]),
        body: bytes(&given["body"]),
    }
}

fn now(given: &Value) -> wit::Now {
    wit::Now { wall: whole(&given["wall"]), monotonic: whole(&given["monotonic"]) }
}

/// A string stands for its bytes, `{"base64": ...}` for those that it encodes.
fn bytes(given: &Value) -> Vec<u8> {
    match given.get("base64") {
        None => text(given).into_bytes(),
        Some(encoded) => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.decode(text(encoded)).expect("it is base64")
        }
    }
}

fn bytes_of_digits(digits: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(digit).collect()
}

fn text(given: &Value) -> String {
    given.as_str().unwrap_or_else(|| panic!("no text: {given}")).to_owned()
}

fn optional(given: &Value) -> Option<String> {
    given.as_str().map(str::to_owned)
}

fn whole(given: &Value) -> u64 {
    given.as_u64().unwrap_or_else(|| panic!("no whole number: {given}"))
}

fn moment(given: &Value) -> Option<u64> {
    given.as_u64()
}

fn same(seen: &Value, expected: &Value, place: &str) -> Judged {
    let (seen, expected) = (comparable(seen, expected), comparable(expected, &Value::Null));
    if seen == expected { Ok(()) } else { Err(format!("{place}: {seen} in place of {expected}")) }
}

/// Without members that are null. A host may leave `message` and `hint` out, as this one does where the WIT package has no
/// place for them: those that only `like` has are taken from there; so is the `type` of what is `stale`.
fn comparable(value: &Value, like: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut kept = Map::new();
            for (name, member) in members {
                if !member.is_null() {
                    kept.insert(name.clone(), comparable(member, &like[name]));
                }
            }
            if like.get("code").is_some() {
                for name in ["message", "hint", "type"] {
                    if let (false, Some(member)) = (kept.contains_key(name), like.get(name)) {
                        kept.insert(name.to_owned(), member.clone());
                    }
                }
                kept.retain(|_, member| !member.is_null());
            }
            Value::Object(kept)
        }
        other => other.clone(),
    }
}
