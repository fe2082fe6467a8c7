//! A login that is bound to a key (DPoP, RFC 9449), as the command has it: which options make one, what is printed of it,
//! and what is not.

mod support;

use kraube_testserver::Config;
use serde_json::Value;
use std::time::Duration;
use support::{MINUTE, Run, World};

fn strict() -> World {
    World::with(Config { dpop: true, device_interval: Duration::from_secs(1), ..Config::default() })
}

fn log_in(world: &World, more: &[&str]) -> Run {
    world.run(&[&["login", "--client-id", "kraube", "--device"], more].concat())
}

fn bound() -> World {
    let world = strict();
    let run = log_in(&world, &["--issuer", &world.server.issuer(), "--dpop"]);
    assert_eq!(run.code, 0, "{run:?}");
    world
}

fn member(world: &World, name: &str) -> String {
    world.stored("kraube")["dpop"][name].as_str().expect("a string").to_owned()
}

#[test]
fn c6_no_command_passes_such_a_token_on_as_one_that_needs_no_proof() {
    let world = bound();
    let before = std::fs::read(world.path()).expect("it is there");
    for args in [
        &["token"][..],
        &["token", "--format", "json"],
        &["token", "--format", "header"],
        &["exec", "--", "true"],
        &["helper", "git", "get"],
        &["helper", "docker", "get"],
        &["helper", "kubernetes"],
        &["helper", "netrc", "a.example"],
    ] {
        world.run(args).fails(7, &["bound to a key", "kraube token --dpop"]);
    }
    assert_eq!(std::fs::read(world.path()).expect("it is there"), before);
    let status = world.run(&["status"]);
    assert!(status.code == 0 && status.stdout.contains("DPoP"), "{status:?}");
}

#[test]
fn l1_the_header_fields_of_one_request_are_printed() {
    let world = bound();
    let url = world.server.resource_url();
    let header = world.run(&["token", "--dpop", "GET", &url]);
    let access = member(&world, "accessToken");
    let lines: Vec<_> = header.stdout.lines().collect();
    assert_eq!((header.code, lines.len(), lines[0]), (0, 2, format!("Authorization: DPoP {access}").as_str()));
    let proof = lines[1].strip_prefix("DPoP: ").expect("a proof");
    let answer = ureq::get(&url).header("authorization", format!("DPoP {access}")).header("dpop", proof).call();
    assert_eq!(answer.expect("it is accepted").status(), 200);
    let again = ureq::get(&url).header("authorization", format!("DPoP {access}")).header("dpop", proof).call();
    assert!(again.is_err(), "a proof is good for one request");

    let json = world.run(&["token", "--format", "json", "--dpop", "GET", &url]);
    let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!((&json["tokenType"], &json["accessToken"]), (&"DPoP".into(), &access.as_str().into()));
    assert!(json["dpop"].as_str().is_some_and(|other| other != proof), "each proof is new");
    world.run(&["token", "--format", "raw", "--dpop", "GET", &url]).fails(2, &["header, curl or json"]);
    world.run(&["token", "--dpop", "GET", "http://a.example/"]).fails(2, &["https://"]);
    let key = member(&world, "accessToken");
    assert!(!header.stderr.contains(&key));
}

#[test]
fn a_login_without_a_key_gives_no_less_than_was_asked_for() {
    let mut world = World::new();
    world.log_in(50 * MINUTE);
    world.run(&["token", "--dpop", "GET", "https://a.example/"]).fails(1, &["not bound", "kraube login --dpop"]);
}

#[test]
fn a_server_that_wants_proofs_says_so_and_a_resource_is_asked() {
    let world = strict();
    let run = log_in(&world, &["--issuer", &world.server.issuer()]);
    assert!(run.code != 0 && run.stderr.contains("--dpop"), "{run:?}");
    assert!(!world.path().exists());
    let run = log_in(&world, &["--resource", &world.server.resource_url()]);
    assert_eq!(run.code, 0, "its metadata say so: {run:?}");
    assert!(world.stored("kraube")["dpop"]["key"]["d"].is_string());
}

#[test]
fn l3_a_server_that_binds_nothing_is_refused_with_what_to_do() {
    let world = strict();
    world.server.set_config(|config| config.token_members = vec![("token_type".into(), Some("Bearer".into()))]);
    let run = log_in(&world, &["--issuer", &world.server.issuer(), "--dpop"]);
    assert!(run.code == 1 && run.stderr.contains("not bound") && run.stderr.contains("without --dpop"), "{run:?}");
    assert!(!world.path().exists());
}

#[test]
fn the_private_key_is_in_the_file_and_nowhere_else() {
    let world = bound();
    let key = world.stored("kraube")["dpop"]["key"]["d"].as_str().expect("a string").to_owned();
    let url = world.server.resource_url();
    for args in [&["status"][..], &["status", "--json"], &["doctor"], &["token", "--dpop", "GET", &url], &["token"]] {
        let mut command = world.command(args);
        command.env("KRAUBE_LOG", "trace");
        let run = world.run_with(command, "");
        for text in [&run.stdout, &run.stderr] {
            assert!(!text.contains(&key[..12]) && !text.contains(&key[key.len() - 12..]), "{args:?}: {run:?}");
        }
    }
    let run = world.run(&["logout"]);
    assert!(run.code == 0 && !world.path().exists(), "{run:?}");
    assert_eq!(world.server.counters().families_revoked, 1);
}
