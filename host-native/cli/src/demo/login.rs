//! How the demo logs in: as a person does, with a browser that agrees to everything.

use kraube::core::provider::Provider;
use kraube::login::{Event, LoginOptions, login};
use kraube_testserver::Server;
use std::path::Path;
use std::time::Duration;

/// Logs in at the embedded server, by callback and with PKCE, and stores the login.
pub(super) fn log_in(server: &Server, credentials: &Path) -> Result<(), String> {
    let provider = Provider::demo(&server.issuer()).map_err(|error| error.to_string())?;
    let (path, timeout) = (Some(credentials.to_owned()), Duration::from_secs(30));
    let options = LoginOptions { path, browser: false, timeout, ..LoginOptions::default() };
    let mut prompt = |event: Event<'_>| {
        if let Event::OpenThis { url, .. } = event {
            browse(url.as_str().to_owned());
        }
    };
    login(&provider, options, &mut prompt).map(drop).map_err(|error| error.to_string())
}

/// The server redirects to the callback at once. Where this fails, the login says so when its time is up.
fn browse(url: String) {
    let agent = ureq::Agent::from(ureq::Agent::config_builder().proxy(None).build());
    std::thread::spawn(move || drop(agent.get(&url).call()));
}
