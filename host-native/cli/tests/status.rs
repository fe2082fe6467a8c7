//! `kraube status`: each state, on the terminal and as JSON, and nothing but reading.

mod support;

use kraube_testserver::{Fault, FaultKind};
use std::fs;
use support::{MINUTE, World, ahead};

/// Names, times and bytes of everything in the directory of the credentials.
fn look(world: &World) -> Vec<(std::ffi::OsString, std::time::SystemTime, Vec<u8>)> {
    let Ok(dir) = fs::read_dir(world.path().parent().expect("a directory")) else { return Vec::new() };
    let entry = |entry: fs::DirEntry| {
        let modified = entry.metadata().and_then(|meta| meta.modified()).expect("a time");
        (entry.file_name(), modified, fs::read(entry.path()).expect("bytes"))
    };
    let mut found: Vec<_> = dir.map(|it| entry(it.expect("an entry"))).collect();
    found.sort();
    found
}

#[track_caller]
fn check(world: &World, code: i32, state: &str, text: &str, hint: Option<&str>) -> serde_json::Value {
    let before = look(world);
    let requests = world.server.counters().token_requests;
    let run = world.run(&["status"]);
    assert_eq!(run.code, code, "{run:?}");
    assert!(run.stdout.starts_with(&format!("state        {text}")), "{run:?}");
    let said = hint.map(|hint| format!("\nhint: {hint}\n")).unwrap_or_default();
    assert_eq!(run.stderr, said);
    let json = world.run(&["status", "--json"]);
    assert_eq!((json.code, json.stderr.as_str()), (code, ""));
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!((&json["state"], &json["credentials"]), (&state.into(), &world.path().display().to_string().into()));
    assert_eq!(look(world), before, "status writes nothing");
    assert_eq!(world.server.counters().token_requests, requests, "status asks nobody");
    json
}

#[test]
fn a_valid_login_is_described() {
    let mut world = World::new();
    let login = world.log_in(50 * MINUTE + 500);
    let json = check(&world, 0, "valid", "valid\n", None);
    assert_eq!(json["expiresAt"], world.stored("expiresAt"));
    assert_eq!(json["scope"], "read write");
    assert_eq!(json["provider"]["tokenEndpoint"], world.server.token_url().as_str());
    assert_eq!(json["refreshable"], true);
    let text = world.run(&["status"]).stdout;
    for part in ["Z (in ", "scope        read write\n", "provider     demo (client id kraube-demo)\n"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    for secret in [&login.access_token, &login.refresh_token] {
        assert!(!text.contains(secret) && !json.to_string().contains(secret));
    }
}

#[test]
fn states() {
    let mut world = World::new();
    check(&world, 4, "logged_out", "logged out\n", Some("log in with `kraube login`"));
    assert!(!world.home().join(".config").exists());

    world.log_in(-MINUTE);
    let json = check(&world, 3, "needs_refresh", "needs refresh\n", Some("the next `kraube token` refreshes it"));
    assert!(json.get("retryAt").is_none());

    world.server.inject(Fault::before(FaultKind::retry_after(429, "60")));
    assert_eq!(world.run(&["token"]).code, 7);
    let json = check(&world, 3, "needs_refresh", "needs refresh\n", Some("the next `kraube token` refreshes it"));
    assert!(json["retryAt"].as_u64().expect("a time") > ahead(0).0);

    world.log_in(-MINUTE);
    world.server.inject(Fault::before(FaultKind::Reset).times(9));
    assert_eq!(world.run(&["token"]).code, 6);
    check(&world, 6, "in_doubt", "in doubt: ", Some("the next `kraube token` settles it"));
}

#[test]
fn an_ended_login_is_told() {
    let mut world = World::new();
    world.log_in(-MINUTE);
    world.server.revoke_all();
    assert_eq!(world.run(&["token"]).code, 5);
    check(&world, 5, "refused", "refused: ", Some("log in with `kraube login`"));

    fs::write(world.path(), format!(r#"{{"accessToken":"a","expiresAt":{}}}"#, ahead(-MINUTE).0)).expect("written");
    check(&world, 4, "expired", "expired: ", Some("log in with `kraube login`"));

    fs::write(world.path(), "canary").expect("written");
    let hint = "restore the credentials from a copy, or log in again with `kraube login`";
    check(&world, 1, "corrupt", "corrupt: the credentials are not a JSON object", Some(hint));
}

#[test]
fn text_of_a_server_cannot_steer_the_terminal() {
    let world = World::new();
    fs::create_dir_all(world.path().parent().expect("a directory")).expect("it is made");
    let provider = serde_json::json!({
        "name": "a\u{1b}[2Jb", "clientId": "c", "tokenEndpoint": world.server.token_url()
    });
    let record = serde_json::json!({
        "accessToken": "a", "expiresAt": ahead(50 * MINUTE).0, "kraube": { "provider": provider }
    });
    fs::write(world.path(), record.to_string()).expect("written");
    let run = world.run(&["status"]);
    assert!(run.stdout.contains("provider     a\u{fffd}[2Jb (client id c)\n"), "{run:?}");
}
