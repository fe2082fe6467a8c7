//! The device authorization grant (RFC 8628): a person agrees on another machine, and this one asks the server until
//! they have.

use super::{Event, LoggedIn, LoginError, Prompt};
use crate::account;
use crate::dpop;
use crate::drive::{duration, now};
use crate::error::Error;
use crate::http::Http;
use kraube_core::credential::NewLogin;
use kraube_core::device::{Device, Polled};
use kraube_core::http::{Request, Response, SendError};
use kraube_core::provider::Provider;
use std::path::Path;

/// Logs in with a code that a person types in on another machine, and stores the credentials. Blocks until the person
/// has decided, or the code has expired; see the [module](super).
///
/// # Errors
/// [`LoginError`]; [`LoginError::Device`] where the server offers no such login, or does not accept it. What was stored
/// before is still stored.
pub fn device(provider: &Provider, path: Option<&Path>, prompt: &mut dyn Prompt) -> Result<LoggedIn, LoginError> {
    let (device, request) = Device::begin(provider)?;
    let device = if device.wants_key() { device.bind(dpop::binding()?) } else { device };
    let store = account::open_to_install(path)?;
    let path = store.path().to_owned();
    let mut http = Http::default();
    let answer = send(&mut http, request)?;
    let (instructions, mut polling) = device.read(answer, now())?;
    prompt.event(Event::EnterCode { instructions: &instructions });
    let credentials = loop {
        let wait = polling.wait(now())?;
        std::thread::sleep(duration(wait));
        prompt.event(Event::Exchanging);
        let sent = now().wall;
        let answer = send(&mut http, polling.request())?;
        match polling.receive(answer, sent, now())? {
            Polled::Pending(again) => polling = again,
            Polled::Done(credentials) => break credentials,
        }
        prompt.event(Event::Pending);
    };
    let credentials = account::install(store, NewLogin::Credentials(credentials))?;
    Ok(LoggedIn::new(credentials, path))
}

/// On a thread of its own: the caller may be within a runtime.
fn send(http: &mut Http, request: Request) -> Result<Result<Response, SendError>, Error> {
    account::on_own_thread(|| Ok(http.send(request, None)))
}
