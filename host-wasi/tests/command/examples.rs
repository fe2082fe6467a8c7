//! The example components, one for each language: run by the command as its users do, with an access token that has
//! expired, they show what a protected resource answers.

use crate::{command, component};
use kraube::core::http::Endpoint;
use kraube::core::provider::{Client, TokenBody};
use kraube::core::record::Credentials;
use kraube::core::secret::Secret;
use kraube::core::time::{Millis, Timestamp};
use kraube_testserver::{Config, Login, Server};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

#[test]
fn a_component_in_rust() -> Result {
    both("app")
}

#[test]
fn a_component_in_javascript() -> Result {
    both("js")
}

#[test]
fn a_component_in_python() -> Result {
    both("python")
}

/// With tokens that the command serves, and with the provider inside and a store that the command lends.
fn both(name: &str) -> Result {
    for (options, name) in [(&[][..], name.to_owned()), (&["--lend-store"], format!("{name}-composed"))] {
        // Over for client and server: one refresh, and one request to the resource.
        answered(options, &name, Timestamp(1), 0)?;
    }
    // It lives for the client alone: a 401, one refresh, and another request.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    answered(&[], name, Timestamp(u64::try_from(now)?).plus(Millis::from_secs(3600)), 1)
}

/// `refused` is how often the resource shall have answered with 401.
fn answered(options: &[&str], name: &str, expires_at: Timestamp, refused: u64) -> Result {
    let server = Server::spawn(Config::default())?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("credentials.json");
    let login = server.issue_login();
    server.expire_access_tokens();
    kraube::save_credentials(Some(&file), &credentials(&login, &server, expires_at)?)?;

    let shown = run(options, name, &file, &server.resource_url())?;
    assert!(shown.contains("kraube-testserver"), "{name} shows {shown}");
    let counters = server.counters();
    let seen = (counters.refresh_requests, counters.resource_401, counters.resource_ok, counters.replays);
    assert_eq!(seen, (1, refused, 1, 0), "{name}: refreshes, 401, 200, replays");
    Ok(())
}

/// What the component writes to standard output.
fn run(options: &[&str], name: &str, credentials: &Path, url: &str) -> Result<String> {
    let output = command(options, credentials, &component(name)).arg(url).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} ended with {}: {errors}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn credentials(login: &Login, server: &Server, expires_at: Timestamp) -> Result<Credentials> {
    Ok(Credentials {
        binding: None,
        access_token: Secret::new(&login.access_token),
        refresh_token: Some(Secret::new(&login.refresh_token)),
        expires_at,
        obtained_at: None,
        scope: None,
        client: Some(Client {
            name: "example".into(),
            issuer: None,
            token_endpoint: Endpoint::parse(&server.token_url())?,
            revocation_endpoint: None,
            client_id: "example".into(),
            body: TokenBody::Form,
            refused_statuses: Vec::new(),
            resource: None,
        }),
    })
}
