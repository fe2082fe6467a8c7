//! The examples do what they say, against the embedded server.
#![allow(clippy::unwrap_used, reason = "a test ends where it goes wrong")]

use kraube::core::provider::Provider;
use kraube::core::record::Credentials;
use kraube::core::secret::Secret;
use kraube::core::time::Timestamp;
use kraube_testserver::{Config, Server, Shape};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Cargo builds the examples before the tests, beside them.
fn example(name: &str) -> Command {
    let tests = std::env::current_exe().unwrap();
    let folder = tests.parent().and_then(Path::parent).unwrap().join("examples");
    let mut command = Command::new(folder.join(name));
    command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn server(config: Config) -> Server {
    Server::spawn(config).unwrap()
}

fn save(server: &Server, path: &Path) {
    let login = server.issue_login();
    let credentials = Credentials {
        binding: None,
        access_token: Secret::new(login.access_token),
        refresh_token: Some(Secret::new(login.refresh_token)),
        expires_at: Timestamp(u64::MAX),
        obtained_at: None,
        scope: None,
        client: Some(Provider::demo(&server.issuer()).unwrap().client().unwrap()),
    };
    kraube::save_credentials(Some(path), &credentials).unwrap();
}

fn credentials(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("credentials.json")
}

#[test]
fn the_client_survives_a_401() {
    let server = server(Config::default());
    let folder = tempfile::tempdir().unwrap();
    save(&server, &credentials(&folder));
    server.expire_access_tokens();
    let mut client = example("client");
    client.arg(server.resource_url()).env("KRAUBE_CREDENTIALS_PATH", credentials(&folder));
    let output = client.output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("200"), "the second answer is shown");
    let counters = server.counters();
    assert_eq!((counters.resource_401, counters.resource_ok, counters.rotations), (1, 1, 1));
}

#[test]
fn the_headless_login_stores_what_was_pasted() {
    let server = server(Config { shape: Shape::Claude, ..Config::default() });
    let folder = tempfile::tempdir().unwrap();
    let mut login = example("headless_login");
    login.args(["demo-claude", "some-client"]).arg(credentials(&folder)).env("KRAUBE_DEMO_ISSUER", server.issuer());
    let mut login = login.spawn().unwrap();
    let lines = BufReader::new(login.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut lines = lines.skip_while(|line| !line.starts_with("http"));
    let url = lines.next().unwrap();

    // The page at the end shows `code#state`; the person pastes the address of the page here.
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().max_redirects(0).build());
    let redirect = agent.get(&url).call().unwrap();
    let shown = redirect.headers()["location"].to_str().unwrap().to_owned();
    writeln!(login.stdin.take().unwrap(), "  {shown}  ").unwrap();
    assert_eq!(lines.last().unwrap(), "logged in");
    assert!(login.wait().unwrap().success());
    let stored = std::fs::read_to_string(credentials(&folder)).unwrap();
    assert!(stored.contains("kr_rt_"), "the refresh token is stored");
}

#[test]
fn two_parts_of_a_program_share_one_login_in_its_own_store() {
    let server = server(Config::default());
    let mut program = example("own_store");
    program.args([&server.token_url(), "some-client"]);
    let mut program = program.spawn().unwrap();
    writeln!(program.stdin.take().unwrap(), "{}", server.issue_login().refresh_token).unwrap();
    let output = program.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "both have the same token: true\n");
    assert_eq!(server.counters().token_requests, 1);
}
