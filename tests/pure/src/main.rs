//! Runs all the machines and the login against inputs that the compiler cannot see through. Built for wasm, this program
//! shows that the core imports nothing: `cargo xtask wasm` checks it.

use kraube_core::credential::{Forget, Install, NewLogin, Obtain, Wanted};
use kraube_core::http::{Response, SendError, SendErrorKind};
use kraube_core::login::{Callback, Login, Redirect, Verdict};
use kraube_core::machine::{Action, Blob, Input, Locked, Machine, Step};
use kraube_core::pkce::Entropy;
use kraube_core::policy::Policy;
use kraube_core::provider::Provider;
use kraube_core::record::{LoginId, RunId};
use kraube_core::status::status;
use kraube_core::time::{Millis, Now, Timestamp};
use std::hint::black_box;

fn main() {
    let mut stored = None;
    let provider = black_box(Provider { client_id: Some("me".into()), ..Provider::claude() });
    let redirect = Redirect::Loopback { uri: "http://localhost:8080/callback".into() };
    if let Ok((mut pending, url)) = Login::begin(&provider, redirect, Entropy::new(black_box([7; Entropy::LEN]))) {
        let state = url.as_str().split("state=").nth(1).and_then(|rest| rest.split('&').next()).unwrap_or_default();
        let query = format!("code=abc&state={state}");
        if let Verdict::Code(exchange) = pending.receive(Callback::Query(black_box(&query))) {
            let (client, request) = exchange.request();
            let new = NewLogin::Code { request, client };
            let installed = drive(Install::start(new, LoginId("login".into()), Policy::default()), &mut stored);
            assert!(installed.is_ok());
        }
    }
    let outcome = drive(Obtain::start(Wanted::default(), Policy::default(), RunId(1), now()), &mut stored);
    let told = status(Ok(stored.clone()), &Policy::default(), now().wall);
    let forgotten = drive(Forget::start(true, Policy::default(), None), &mut stored);
    black_box((outcome, told, forgotten));
}

fn drive<M: Machine>(mut step: Step<M, M::Outcome>, stored: &mut Option<Blob>) -> M::Outcome {
    loop {
        let (machine, action) = match step {
            Step::Continue(machine, action) => (machine, action),
            Step::Done(outcome) => return outcome,
        };
        let input = match action {
            Action::Lock { .. } => Input::Locked(Locked::Held),
            Action::Read => Input::Read(Ok(stored.clone())),
            Action::Send { request, .. } => Input::Replied(answer(black_box(request.body.expose().len() > 9))),
            Action::Write { blob, .. } => {
                *stored = Some(blob);
                Input::Wrote(Ok(()))
            }
            Action::Delete { .. } => {
                *stored = None;
                Input::Deleted(Ok(()))
            }
            Action::Wait { .. } => Input::Woke,
        };
        step = machine.step(black_box(input), now());
    }
}

fn answer(sent: bool) -> Result<Response, SendError> {
    if !sent {
        return Err(SendError { kind: SendErrorKind::NotSent, detail: String::new() });
    }
    let body = br#"{"access_token":"a","refresh_token":"r","token_type":"Bearer","expires_in":9}"#;
    Ok(Response {
        status: 200,
        content_type: Some("application/json".into()),
        retry_after: None,
        dpop_nonce: None,
        body: body.into(),
    })
}

fn now() -> Now {
    Now { wall: black_box(Timestamp(1_800_000_000_000)), monotonic: Millis::ZERO }
}
