//! Several accounts, and the list of providers.

mod support;

use std::fs;
use support::World;

const OWN: &str = "[[provider]]\nname = \"work\"\nclient_id = \"own\"\n\
                   authorization_endpoint = \"https://id.example/authorize\"\n\
                   token_endpoint = \"https://id.example/token\"\n";

fn credentials(world: &World, args: &[&str]) -> String {
    let run = world.run(&[args, &["status", "--json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    json["credentials"].as_str().expect("a path").to_owned()
}

#[test]
fn each_profile_has_credentials_of_its_own() {
    let world = World::new();
    let dir = world.path().parent().expect("a directory").to_owned();
    let work = dir.join("profiles").join("work").join("credentials.json");
    assert_eq!(credentials(&world, &["--profile", "work"]), work.display().to_string());
    assert_eq!(credentials(&world, &[]), world.path().display().to_string());
    for bad in ["../work", "Work", ""] {
        world.run(&["--profile", bad, "status"]).fails(2, &["the name of a profile"]);
    }
}

/// Which of two accounts is meant is not guessed, on whichever side of the command's name they stand.
#[test]
fn a_profile_and_a_file_are_not_named_at_once() {
    let world = World::new();
    let (profile, file) = (["--profile", "work"], ["--credentials", "x"]);
    for (before, after) in [(profile, file), (file, profile)] {
        world.run(&[&before[..], &["token"], &after].concat()).fails(2, &["--profile", "--credentials"]);
        world.run(&[&before[..], &after, &["token"]].concat()).fails(2, &["--profile", "--credentials"]);
        world.run(&[&["token"], &before[..], &after].concat()).fails(2, &["--profile", "--credentials"]);
    }
    assert_eq!(world.run(&["--profile", "work", "login", "--out", "x"]).code, 2);
}

#[test]
fn a_login_in_one_profile_is_none_in_another() {
    let world = World::new();
    let mut login = world.command(&["--profile", "work", "login", "--provider", "demo", "--start"]);
    login.env("KRAUBE_DEMO_ISSUER", world.server.issuer());
    let started = world.run_with(login, "");
    assert_eq!(started.code, 0, "{started:?}");
    let answer = ureq::get(started.stdout.trim()).config().max_redirects(0).build().call().expect("it redirects");
    let callback = answer.headers()["location"].to_str().expect("text").to_owned();
    world.run_with(world.command(&["login", "--finish"]), &callback).fails(1, &["kraube login --start"]);
    let finish = world.command(&["--profile", "work", "login", "--finish"]);
    assert_eq!(world.run_with(finish, &callback).code, 0);
    assert_eq!((world.run(&["status"]).code, world.run(&["--profile", "work", "status"]).code), (4, 0));
}

#[test]
fn providers_are_listed_with_where_they_come_from() {
    let world = World::new();
    let dir = world.path().parent().expect("a directory").to_owned();
    fs::create_dir_all(&dir).expect("made");
    fs::write(dir.join("providers.toml"), OWN).expect("written");
    let run = world.run(&["providers", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    let names: Vec<_> =
        json.as_array().expect("a list").iter().map(|it| it["name"].as_str().expect("a name")).collect();
    assert_eq!((run.code, names.as_slice()), (0, &["work", "claude"][..]));
    assert_eq!((&json[0]["clientId"], json[1].get("clientId")), (&"own".into(), None));
    assert!(
        json[0]["file"].as_str().is_some_and(|file| file.ends_with("providers.toml")) && json[1].get("file").is_none()
    );
    let text = world.run(&["providers"]);
    assert!(text.stdout.contains("work    https://id.example/token\n"), "{text:?}");

    // Profiles share the file.
    assert_eq!(world.run(&["--profile", "other", "providers", "--json"]).stdout, run.stdout);
    fs::write(dir.join("providers.toml"), "[[provider]]\nname = 1\n").expect("written");
    world.run(&["providers"]).fails(1, &["providers.toml cannot be used: line 2"]);
}

#[test]
fn the_examples_of_the_guide_can_be_used() {
    let guide = include_str!("../../docs/operation.md");
    let (_, rest) = guide.split_once("```toml\n").expect("examples");
    let (examples, _) = rest.split_once("```").expect("their end");
    let world = World::new();
    fs::create_dir_all(world.path().parent().expect("a directory")).expect("made");
    fs::write(world.path().with_file_name("providers.toml"), examples).expect("written");
    let run = world.run(&["providers"]);
    assert_eq!(run.code, 0, "{run:?}");
    for name in ["gitlab", "codeberg", "microsoft", "github"] {
        assert!(run.stdout.contains(name), "{run:?}");
    }
}
