//! The command at authorization servers that nobody here wrote, started on the loopback interface.
//!
//! `KRAUBE_ROTATIONS` is how many rotations the processes force at least; `cargo xtask servers --long` sets it.
#![cfg(unix)]
#![allow(clippy::print_stdout, reason = "the guide has the figures")]

mod person;
mod servers;
#[path = "../support/mod.rs"]
mod support;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use kraube::core::machine::Blob;
use kraube::store::{FileStore, Store};
use serde_json::json;
use servers::{Oidc, Toolkit};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::Child;
use std::time::Duration;
use support::{World, start};

#[test]
fn oidc_provider_browser_login_refresh_and_revocation() {
    let (world, server) = (World::new(), Oidc::start(&json!({})));
    log_in(&world, &server.issuer, &[]);
    assert_eq!(world.stored("kraube")["provider"]["issuer"], server.issuer.as_str());
    let first = token(&world);
    assert_eq!(userinfo(&server, &first), 200);
    let second = rejected(&world, &first);
    assert_ne!(first, second);
    assert_eq!(userinfo(&server, &second), 200);

    let refresh_token = stored_refresh_token(&world);
    let run = world.run(&["logout"]);
    assert_eq!(run.stderr, "The login is deleted.\nThe server confirmed that it is revoked.\n");
    assert_eq!(redeem(&format!("{}/token", server.issuer), &refresh_token), (400, "invalid_grant".into()));
    assert_eq!(userinfo(&server, &second), 401, "the access token is of the same grant");
}

/// The command opens the browser that `BROWSER` names, which is Chromium with somebody who clicks.
#[test]
fn oidc_provider_login_in_chromium() {
    let (world, server) = (World::new(), Oidc::start(&json!({})));
    let (browser, page) = (world.home().join("browser"), world.home().join("page"));
    let script =
        format!("#!/bin/sh\nexec node '{}' \"$1\" >'{}' 2>&1\n", servers::script("click.js").display(), page.display());
    std::fs::write(&browser, script).expect("written");
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let mut command =
        world.command(&["login", "--issuer", &server.issuer, "--client-id", "kraube", "--scope", "openid"]);
    command.env("BROWSER", &browser);
    for name in ["PATH", "CHROMIUM"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    let run = world.finish(start(command, ""));
    let shown = || std::fs::read_to_string(&page).unwrap_or_default();
    assert_eq!(run.code, 0, "{run:?} {}", shown());
    assert_eq!(userinfo(&server, &token(&world)), 200);
}

#[test]
fn oidc_provider_device_flow() {
    let (world, server) = (World::new(), Oidc::start(&json!({})));
    let args = ["login", "--issuer", &server.issuer, "--client-id", "kraube", "--scope", "openid", "--device"];
    agree_on_another_machine(&world, &args);
    assert_eq!(userinfo(&server, &token(&world)), 200);
    assert_eq!(userinfo(&server, &rejected(&world, &token(&world))), 200);
}

fn agree_on_another_machine(world: &World, args: &[&str]) {
    let child = start(world.command(args), "");
    let (url, mut child) = shown_url(child);
    let mut code = String::new();
    let stderr = child.stderr.as_mut().expect("a pipe");
    while !code.starts_with("  ") {
        code = line(stderr).expect("a code is shown");
    }
    let (_, page) = person::agree(&format!("{url}?user_code={}", code.trim()));
    assert!(page.contains("Success"), "{page}");
    logged_in(world, child);
}

/// The client is registered for tokens that are bound to a key, and each proof needs a nonce, at the resource too.
#[test]
fn l2_oidc_provider_login_refresh_and_resource_with_proofs_and_nonces() {
    let (world, server) = (World::new(), Oidc::start(&json!({ "dpop": true })));
    let args = ["--client-id", "kraube", "--scope", "openid", "--dpop"];
    log_in(&world, &server.issuer, &args);
    assert_eq!(proved(&world, &server, &[]), (200, true));
    let first = bound(&world, "accessToken");
    age(&world);
    let rejected = world.run_with(world.command(&["token", "--rejected", "--dpop", "GET", &server.userinfo()]), &first);
    assert_eq!((rejected.code, rejected.stderr.as_str()), (0, ""), "{rejected:?}");
    assert_ne!(bound(&world, "accessToken"), first);
    assert_eq!(proved(&world, &server, &[]), (200, true));
    let counts = server.counts();
    assert!(counts.refused.iter().all(|error| error == "use_dpop_nonce"), "{counts:?}");
    assert_eq!(counts.rotations, 1, "{counts:?}");
    assert_eq!(userinfo(&server, &bound(&world, "accessToken")), 401, "it is of no use without a proof");
    world.run(&["token"]).fails(7, &["bound to a key", "kraube token --dpop"]);
}

#[test]
fn l4_oidc_provider_ends_no_login_for_who_has_the_token_and_not_the_key() {
    let (world, server) = (World::new(), Oidc::start(&json!({ "dpop": true })));
    log_in(&world, &server.issuer, &["--client-id", "kraube", "--scope", "openid", "--dpop"]);
    let (status, _) = redeem(&format!("{}/token", server.issuer), &bound(&world, "refreshToken"));
    assert_eq!(status, 400);
    assert_eq!(proved(&world, &server, &[]), (200, true));
}

#[test]
fn l1_oidc_provider_device_flow_with_proofs() {
    let (world, server) = (World::new(), Oidc::start(&json!({ "dpop": true })));
    let args =
        ["login", "--issuer", &server.issuer, "--client-id", "kraube", "--scope", "openid", "--device", "--dpop"];
    agree_on_another_machine(&world, &args);
    assert_eq!(proved(&world, &server, &[]), (200, true));
}

#[test]
fn oidc_provider_processes_rotate_a_bound_login_and_none_is_refused() {
    let (world, server) = (World::new(), Oidc::start(&json!({ "dpop": true })));
    log_in(&world, &server.issuer, &["--client-id", "kraube", "--scope", "openid", "--dpop"]);
    for _ in 0..4 {
        let held = bound(&world, "accessToken");
        age(&world);
        let ask = || {
            let mut child = start(world.command(&["token", "--rejected", "--dpop", "GET", &server.userinfo()]), &held);
            drop(child.stdin.take());
            child
        };
        let children: Vec<_> = (0..8).map(|_| ask()).collect();
        for child in children {
            let run = world.finish(child);
            assert_eq!(run.code, 0, "{run:?}");
        }
    }
    let counts = server.counts();
    assert_eq!(counts.rotations, 4, "{counts:?}");
    assert!(counts.refused.iter().all(|error| error == "use_dpop_nonce"), "{counts:?}");
}

#[test]
fn oidc_provider_tokens_for_a_resource() {
    let (world, server) = (World::new(), Oidc::start(&json!({})));
    let resource = "https://api.example.org/";
    let profile = format!(
        "[[provider]]\nname = \"real\"\nissuer = \"{issuer}\"\nauthorization_endpoint = \"{issuer}/auth\"\n\
         token_endpoint = \"{issuer}/token\"\nclient_id = \"kraube\"\nexpects_iss = true\nresource = \"{resource}\"\n\
         scopes = [\"read\"]\n",
        issuer = server.issuer
    );
    write_providers(&world, &profile);
    finish_in_browser(&world, &["login", "--provider", "real", "--no-browser"]);
    let first = token(&world);
    assert_eq!(audience(&first), resource);
    assert_eq!(audience(&rejected(&world, &first)), resource, "the refresh asks for the same resource");
}

#[test]
fn oidc_provider_takes_pushed_authorization_requests_alone() {
    let (world, server) = (World::new(), Oidc::start(&json!({ "par": true })));
    log_in(&world, &server.issuer, &[]);
    assert_eq!(userinfo(&server, &token(&world)), 200);
    let run = world.run(&["login", "--issuer", &server.issuer, "--client-id", "nobody", "--no-browser"]);
    run.fails(5, &["invalid_client"]);
}

#[test]
fn oidc_provider_registers_the_command_and_the_registration_is_kept() {
    let (world, server) = (World::new(), Oidc::start(&json!({ "register": true })));
    log_in(&world, &server.issuer, &["--scope", "openid"]);
    let client_id = world.stored("kraube")["provider"]["clientId"].clone();
    assert!(client_id.as_str().is_some_and(|id| !id.is_empty() && id != "kraube"), "{client_id}");
    assert_eq!(userinfo(&server, &token(&world)), 200);
    log_in(&world, &server.issuer, &["--scope", "openid"]);
    assert_eq!(world.stored("kraube")["provider"]["clientId"], client_id, "the next login is of the same client");
    assert_eq!(world.run(&["logout"]).code, 0);
    log_in(&world, &server.issuer, &["--scope", "openid"]);
    assert_eq!(world.stored("kraube")["provider"]["clientId"], client_id, "so is one after a logout");
    // Another server is another client.
    let other = Oidc::start(&json!({ "register": true }));
    log_in(&world, &other.issuer, &["--scope", "openid"]);
    assert_ne!(world.stored("kraube")["provider"]["clientId"], client_id);
}

/// The server fetches the document that the client id is the address of, and takes the client from it.
#[test]
fn oidc_provider_knows_the_command_by_its_metadata_document() {
    let world = World::new();
    let (server, document) = Oidc::start_with_document(world.home());
    write_providers(&world, &format!("client_id_metadata_document = \"{document}\"\n"));
    log_in(&world, &server.issuer, &["--scope", "openid"]);
    assert_eq!(world.stored("kraube")["provider"]["clientId"], document.as_str());
    assert_eq!(userinfo(&server, &rejected(&world, &token(&world))), 200);
}

/// Without `prompt=consent` this server leaves the scope out, and then gives no refresh token.
#[test]
fn oidc_provider_gives_a_refresh_token_for_offline_access() {
    let (world, server) = (World::new(), Oidc::start(&json!({ "offline": true })));
    log_in(&world, &server.issuer, &["--client-id", "kraube", "--scope", "openid", "--scope", "offline_access"]);
    assert_eq!(userinfo(&server, &rejected(&world, &token(&world))), 200);
}

/// Sixteen processes of the command that reject each token they get, without a pause: each adopts what another has stored
/// since, or rotates.
#[test]
#[allow(clippy::print_stdout, reason = "the figures of the long run")]
fn oidc_provider_sixteen_processes_rotate_and_none_is_refused() {
    let wanted: u64 = std::env::var("KRAUBE_ROTATIONS").map_or(300, |text| text.parse().expect("a number"));
    let (world, server) = (World::new(), Oidc::start(&json!({})));
    log_in(&world, &server.issuer, &[]);
    // About a third of the calls rotate; the others adopt.
    let (calls, mut rounds) = ((wanted / 16).clamp(10, 200), 0);
    while server.counts().rotations < wanted {
        rounds += 1;
        force(&world, 16, calls);
    }
    let counts = server.counts();
    println!("{} rotations by {} processes: {:?}", counts.rotations, rounds * 16, counts.refused);
    assert_eq!(counts.refused, Vec::<String>::new());
    assert_eq!(counts.requests, counts.rotations + 1, "one request for each rotation, and one for the code");
    assert_eq!(userinfo(&server, &token(&world)), 200);
}

/// Without this, no refusals would say nothing: the server may not look.
#[test]
fn oidc_provider_ends_the_login_at_a_replay_and_the_command_says_so() {
    let (world, server) = (World::new(), Oidc::start(&json!({})));
    log_in(&world, &server.issuer, &[]);
    let (first, spent) = (token(&world), stored_refresh_token(&world));
    let second = rejected(&world, &first);
    assert_eq!(redeem(&format!("{}/token", server.issuer), &spent), (400, "invalid_grant".into()));
    assert_eq!(userinfo(&server, &second), 401, "a replay revokes the grant");
    age(&world);
    let run = world.run_with(world.command(&["token", "--rejected"]), &second);
    run.fails(5, &[]);
}

#[test]
fn django_oauth_toolkit_login_rotation_replay_and_revocation() {
    let (world, server) = (World::new(), Toolkit::start());
    let client = ["--client-id", "kraube", "--scope", "read"];
    let endpoint = format!("{}/token/", server.issuer);
    log_in(&world, &server.issuer, &client);
    let (first, spent) = (token(&world), stored_refresh_token(&world));
    let second = rejected(&world, &first);
    assert_ne!(first, second);

    // A spent token ends the login there, and the command says that it is over.
    assert_eq!(redeem(&endpoint, &spent), (400, "invalid_grant".into()));
    age(&world);
    world.run_with(world.command(&["token", "--rejected"]), &second).fails(5, &[]);

    log_in(&world, &server.issuer, &client);
    let refresh_token = stored_refresh_token(&world);
    let run = world.run(&["logout"]);
    assert_eq!(run.stderr, "The login is deleted.\nThe server confirmed that it is revoked.\n");
    assert_eq!(redeem(&endpoint, &refresh_token), (400, "invalid_grant".into()));
}

#[test]
fn django_oauth_toolkit_processes_rotate_and_none_is_refused() {
    let (world, server) = (World::new(), Toolkit::start());
    log_in(&world, &server.issuer, &["--client-id", "kraube", "--scope", "read"]);
    force(&world, 16, 4);
    let (before, refresh_token) = (token(&world), stored_refresh_token(&world));
    assert_ne!(rejected(&world, &before), before);
    assert_ne!(stored_refresh_token(&world), refresh_token);
}

/// Logs in with `kraube login --issuer` and a person at the pages of the server.
fn log_in(world: &World, issuer: &str, more: &[&str]) {
    let mut args = vec!["login", "--issuer", issuer, "--no-browser"];
    args.extend(if more.is_empty() { &["--client-id", "kraube", "--scope", "openid"] } else { more });
    finish_in_browser(world, &args);
}

fn write_providers(world: &World, text: &str) {
    let directory = world.path().parent().expect("a directory").to_owned();
    std::fs::create_dir_all(&directory).expect("created");
    std::fs::write(directory.join("providers.toml"), text).expect("written");
}

fn finish_in_browser(world: &World, args: &[&str]) {
    let (url, child) = shown_url(start(world.command(args), ""));
    let (address, page) = person::agree(&url);
    assert!(!address.contains("error="), "{address}: {page}");
    logged_in(world, child);
}

fn shown_url(mut child: Child) -> (String, Child) {
    let stderr = child.stderr.as_mut().expect("a pipe");
    let mut said = String::new();
    loop {
        let Some(line) = line(stderr) else { panic!("it ends without an address: {said}") };
        if line.starts_with("http") {
            return (line, child);
        }
        said.push_str(&line);
    }
}

/// Without reading ahead.
fn line(from: &mut impl Read) -> Option<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while from.read(&mut byte).expect("a pipe") == 1 {
        if byte == *b"\n" {
            return Some(String::from_utf8(bytes).expect("UTF-8"));
        }
        bytes.push(byte[0]);
    }
    None
}

fn logged_in(world: &World, mut child: Child) {
    let rest: Vec<_> =
        BufReader::new(child.stderr.take().expect("a pipe")).lines().map(|line| line.expect("UTF-8")).collect();
    let code = child.wait().expect("it ends").code();
    assert_eq!(code, Some(0), "{rest:?}");
    for name in ["accessToken", "refreshToken"] {
        let plain = world.stored(name);
        let secret = plain.as_str().map_or_else(|| bound(world, name), str::to_owned);
        let secret = secret.as_str();
        assert!(!secret.is_empty() && !rest.iter().any(|line| line.contains(secret)), "{name} in {rest:?}");
    }
}

fn token(world: &World) -> String {
    let run = world.run(&["token"]);
    assert_eq!(run.code, 0, "{run:?}");
    run.stdout.trim_end().to_owned()
}

/// Another token than this one, once it is older than one that is answered with 401 for other reasons would be.
fn rejected(world: &World, held: &str) -> String {
    age(world);
    let run = world.run_with(world.command(&["token", "--rejected"]), held);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    assert_ne!(run.stdout.trim_end(), held);
    run.stdout.trim_end().to_owned()
}

/// Processes that reject each token that they get, so many times each, and are never refused.
fn force(world: &World, processes: usize, calls: u64) {
    let start = || {
        // The address is that of a resource, which nobody asks here.
        let mut command = world.command(&["demo", "--worker", "http://127.0.0.1:9/", "--reject", &calls.to_string()]);
        command.env("KRAUBE_CREDENTIALS_PATH", world.path());
        start(command, "")
    };
    let processes: Vec<_> = (0..processes).map(|_| start()).collect();
    for process in processes {
        let run = world.finish(process);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    }
}

/// Takes the moment at which the token was obtained out of the record.
fn age(world: &World) {
    let store = FileStore::open(world.path()).expect("it is there");
    let _guard = store.lock(Duration::from_secs(60), None).expect("the lock");
    let blob = store.read().expect("readable").expect("stored");
    let mut record: serde_json::Value = serde_json::from_slice(blob.bytes()).expect("JSON");
    record["kraube"].as_object_mut().expect("an object").remove("obtainedAt").expect("it is told");
    store.write(Some(blob.revision()), &Blob::new(record.to_string().into_bytes()), 0).expect("written");
}

fn stored_refresh_token(world: &World) -> String {
    world.stored("refreshToken").as_str().expect("a token").to_owned()
}

/// What the server says when somebody else presents a refresh token.
fn redeem(endpoint: &str, refresh_token: &str) -> (u16, String) {
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("client_id", "kraube")];
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let mut answer = ureq::Agent::new_with_config(config).post(endpoint).send_form(form).expect("it lives");
    let text = answer.body_mut().read_to_string().expect("text");
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    (answer.status().as_u16(), document["error"].as_str().unwrap_or_default().to_owned())
}

/// Of a login that is bound to a key.
fn bound(world: &World, name: &str) -> String {
    world.stored("kraube")["dpop"][name].as_str().expect("a token").to_owned()
}

/// The resource, asked with the header fields that the command prints: its status, and whether it wanted a nonce first.
fn proved(world: &World, server: &Oidc, more: &[&str]) -> (u16, bool) {
    let url = server.userinfo();
    let run = world.run(&[&["token", "--dpop", "GET", &url], more].concat());
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let fields: Vec<_> = run.stdout.lines().map(|line| line.split_once(": ").expect("a field")).collect();
    assert_eq!(fields.iter().map(|field| field.0).collect::<Vec<_>>(), ["Authorization", "DPoP"]);
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let request = ureq::Agent::new_with_config(config).get(&url);
    let request = fields.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    let answer = request.call().expect("it lives");
    let nonce = answer.headers().get("dpop-nonce").and_then(|nonce| nonce.to_str().ok());
    match (answer.status().as_u16(), nonce) {
        (401, Some(nonce)) if more.is_empty() => (proved(world, server, &["--nonce", nonce]).0, true),
        (status, _) => (status, false),
    }
}

fn userinfo(server: &Oidc, token: &str) -> u16 {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let request = ureq::Agent::new_with_config(config).get(format!("{}/me", server.issuer));
    request.header("authorization", format!("Bearer {token}")).call().expect("it lives").status().as_u16()
}

/// The audience of a JWT, as the resource would look at it.
fn audience(token: &str) -> String {
    let payload = token.split('.').nth(1).expect("a JWT");
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    let claims: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    claims["aud"].as_str().expect("an audience").to_owned()
}
