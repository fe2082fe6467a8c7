//! `kraube helper`: the real tools ask, and get living tokens.
#![cfg(unix)]

mod support;

use kraube_testserver::Config;
use std::process::Command;
use support::{MINUTE, Run, World};

/// A command of git that asks the helper, in the way that `--help` names, for one host.
fn git(world: &World, operation: &str, input: &str) -> Run {
    let helper = world.command(&[]);
    let kraube = helper.get_program().to_str().expect("a plain path");
    let mut git = Command::new("git");
    git.env_clear().env("HOME", world.home()).env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir(world.home());
    git.env("GIT_TERMINAL_PROMPT", "0");
    git.args(["-c", &format!("credential.https://git.example.helper=!{kraube} helper git"), "credential", operation]);
    world.run_with(git, input)
}

#[test]
fn git_is_given_a_living_token_and_its_end() {
    let mut world = World::new();
    let login = world.log_in(50 * MINUTE);
    let run = git(&world, "fill", "protocol=https\nhost=git.example\n\n");
    let expiry = world.stored("expiresAt").as_u64().expect("a time") / 1000;
    assert!(run.stdout.contains(&format!("username=oauth2\npassword={}\n", login.access_token)), "{run:?}");
    assert!(run.stdout.contains(&format!("password_expiry_utc={expiry}\n")), "{run:?}");
    let other = git(&world, "fill", "protocol=https\nhost=other.example\n\n");
    assert!(!other.stdout.contains(&login.access_token), "the token is for one host: {other:?}");
}

#[test]
fn a_token_that_git_reports_as_refused_is_replaced() {
    let mut world = World::new();
    let login = world.log_in(50 * MINUTE);
    let refused = format!("protocol=https\nhost=git.example\nusername=oauth2\npassword={}\n\n", login.access_token);
    assert_eq!(git(&world, "reject", &refused).code, 0);
    let run = git(&world, "fill", "protocol=https\nhost=git.example\n\n");
    assert!(run.stdout.contains("password=") && !run.stdout.contains(&login.access_token), "{run:?}");
    assert_eq!(git(&world, "approve", &refused).code, 0, "there is nothing to store");
    assert_eq!(world.server.counters().rotations, 1);
}

#[test]
fn curl_reads_the_header_from_its_standard_input() {
    let mut world = World::with(Config::default());
    world.log_in(-MINUTE);
    let header = world.run(&["token", "--format", "header"]);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*", "--output", "-", "--header", "@-"]);
    curl.arg(world.server.resource_url());
    let answer = world.run_with(curl, &header.stdout);
    assert!(answer.stdout.contains("\"ok\":true"), "{answer:?}");
}

#[test]
fn kubectl_is_given_an_exec_credential_of_the_version_that_it_wants() {
    let mut world = World::new();
    let login = world.log_in(50 * MINUTE);
    for version in ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"] {
        let mut command = world.command(&["helper", "kubernetes"]);
        command.env("KUBERNETES_EXEC_INFO", format!("{{\"apiVersion\":\"{version}\",\"kind\":\"ExecCredential\"}}"));
        let run = world.run_with(command, "");
        let read: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
        assert_eq!((read["apiVersion"].as_str(), read["kind"].as_str()), (Some(version), Some("ExecCredential")));
        assert_eq!(read["status"]["token"], login.access_token.as_str());
        let until = read["status"]["expirationTimestamp"].as_str().expect("a date");
        assert!(until.len() == "2026-01-31T12:00:00Z".len() && until.ends_with('Z'), "{until}");
    }
}

#[test]
fn docker_is_given_a_login_for_the_server_that_it_names() {
    let mut world = World::new();
    let login = world.log_in(50 * MINUTE);
    let run = world.run_with(world.command(&["helper", "docker", "get"]), "registry.example\n");
    let read: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    let wanted =
        serde_json::json!({"ServerURL": "registry.example", "Username": "oauth2", "Secret": login.access_token});
    assert_eq!((run.code, read), (0, wanted));
    world.run(&["helper", "docker", "list"]).prints("{}");
    world.run_with(world.command(&["helper", "docker", "store"]), "{}").fails(2, &["log in with `kraube login`"]);
}

#[test]
fn without_a_login_the_tools_are_given_nothing() {
    let world = World::new();
    for args in [&["helper", "git", "get"][..], &["helper", "docker", "get"], &["helper", "kubernetes"]] {
        world.run(args).fails(4, &["hint: "]);
    }
}
