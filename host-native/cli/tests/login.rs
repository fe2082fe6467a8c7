//! `kraube login`: the ways to log in, as a person or a program meets them. The browser is a command that follows
//! redirects.
#![cfg(unix)]

mod support;

use kraube_testserver::{Config, Event, Shape};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStderr, Command};
use std::time::Duration;
use support::{World, start};

const WAITING: &str = "Waiting for the browser.";

/// A login command that talks to the world's server.
fn login(world: &World, provider: &str, args: &[&str]) -> Command {
    let mut command = world.command(&["login", "--provider", provider]);
    command.args(args).env("KRAUBE_DEMO_ISSUER", world.server.issuer());
    command
}

/// A running login, the URL that it shows, and the rest of what it says.
struct Shown {
    child: Child,
    url: String,
    stderr: BufReader<ChildStderr>,
}

fn shown(mut child: Child) -> Shown {
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut url = String::new();
    while !url.starts_with("http") {
        url.clear();
        assert_ne!(stderr.read_line(&mut url).expect("a line"), 0, "it ends without a URL");
    }
    Shown { child, url: url.trim_end().to_owned(), stderr }
}

impl Shown {
    /// The exit code, and everything it said after the URL.
    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).expect("text");
        let output = self.child.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
        (output.status.code(), said)
    }
}

fn agent(redirects: u32) -> ureq::Agent {
    ureq::Agent::new_with_config(
        ureq::Agent::config_builder().max_redirects(redirects).max_redirects_will_error(false).build(),
    )
}

/// Where the server sends the browser.
fn answer(url: &str) -> String {
    let reply = agent(0).get(url).call().expect("an answer");
    reply.headers().get("location").expect("a redirect").to_str().expect("ASCII").to_owned()
}

/// What the page of the server shows to copy.
fn shown_code(url: &str) -> String {
    let page = agent(3).get(url).call().expect("a page").into_body().read_to_string().expect("text");
    let (_, rest) = page.split_once("<code").expect("a code");
    let (_, rest) = rest.split_once('>').expect("a tag");
    rest.split_once('<').expect("its end").0.to_owned()
}

#[track_caller]
fn logged_in(world: &World, (code, said): (Option<i32>, String)) {
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("Logged in. The credentials are in {}\n", world.path().display())), "{said}");
    assert!(said.contains("It is refreshed when it is due.\n"), "{said}");
    let mode = std::fs::metadata(world.path()).expect("stored").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let token = world.stored("accessToken");
    world.run(&["token"]).prints(&format!("{}\n", token.as_str().expect("a token")));
    for name in ["accessToken", "refreshToken"] {
        let secret = world.stored(name);
        assert!(!said.contains(secret.as_str().expect("a token")), "{name} in {said}");
    }
}

#[test]
fn the_browser_is_opened_and_brings_the_code() {
    let world = World::new();
    let mut command = login(&world, "demo", &[]);
    // Follows redirects, as browsers do, and shows nothing.
    let browser = world.home().join("browser");
    std::fs::write(&browser, format!("#!/bin/sh\necho \"$1\" > {}/opened\n", world.home().display())).expect("written");
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    command.env("BROWSER", &browser).env("PATH", "/usr/bin:/bin");
    let shown = shown(start(command, ""));
    let callback = answer(&shown.url);
    assert_eq!(agent(1).get(&callback).call().expect("a page").status(), 200);
    let url = shown.url.clone();
    logged_in(&world, shown.end());
    let opened = std::fs::read_to_string(world.home().join("opened")).expect("the browser was started");
    assert_eq!(opened.trim(), url);
}

/// As in the background of a script, where some are ignored: a browser that could not be told to end outlives its session.
#[test]
#[cfg(target_os = "linux")]
fn the_browser_gets_the_signals_that_the_command_waits_for() {
    let world = World::new();
    let browser = world.home().join("browser");
    let blocked = world.home().join("blocked");
    let script =
        format!("#!/bin/bash\ngrep ^SigBlk: /proc/self/status > {0}.new && mv {0}.new {0}\n", blocked.display());
    std::fs::write(&browser, script).expect("written");
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let plain = login(&world, "demo", &[]);
    let mut command = Command::new("env");
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("BROWSER", &browser).env("PATH", "/usr/bin:/bin").current_dir(world.home());
    command.args(["--default-signal=HUP,TERM", "--ignore-signal=INT"]).arg(plain.get_program()).args(plain.get_args());
    let mut shown = shown(start(command, ""));
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while !blocked.exists() {
        assert!(std::time::Instant::now() < end, "the browser was not started");
        std::thread::sleep(Duration::from_millis(10));
    }
    shown.child.kill().expect("it waits");
    shown.child.wait().expect("it is our child");
    assert_eq!(std::fs::read_to_string(&blocked).expect("it is there"), "SigBlk:\t0000000000000000\n");
}

#[test]
fn without_a_browser_the_callback_still_counts() {
    let world = World::new();
    let shown = shown(start(login(&world, "demo", &["--no-browser"]), ""));
    let _ = agent(1).get(answer(&shown.url)).call().expect("a page");
    let (code, said) = shown.end();
    assert!(said.contains(WAITING), "{said}");
    logged_in(&world, (code, said));
}

#[test]
fn an_address_can_be_pasted() {
    let world = World::new();
    let mut command = login(&world, "demo", &["--manual"]);
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    command.stdin(reader).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let shown = shown(command.spawn().expect("it starts"));
    drop(command);
    let callback = answer(&shown.url);
    writeln!(writer, "a-code#of-another-login").expect("it reads");
    writeln!(writer, "  \"{callback}\"  ").expect("it reads");
    let (code, said) = shown.end();
    assert!(said.contains("copy its address from the address bar"), "{said}");
    assert!(said.contains("warning: ignored, and still waiting: "), "{said}");
    logged_in(&world, (code, said));
}

#[test]
fn a_code_can_be_pasted_where_the_server_shows_it() {
    let world = World::with(Config { shape: Shape::Claude, ..Config::default() });
    let mut command = login(&world, "demo-claude", &["--manual"]);
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    command.stdin(reader).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let shown = shown(command.spawn().expect("it starts"));
    drop(command);
    let code = shown_code(&shown.url);
    writeln!(writer, "{code}").expect("it reads");
    let (status, said) = shown.end();
    assert!(said.contains("Then paste the code that you are shown:"), "{said}");
    assert!(!said.contains(&code), "{said}");
    logged_in(&world, (status, said));
}

#[test]
fn input_that_ends_without_an_answer_is_an_error() {
    let world = World::with(Config { shape: Shape::Claude, ..Config::default() });
    let run = world.run_with(login(&world, "demo-claude", &["--manual"]), "");
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    run.says(&["error: the input has ended without an answer\n\nhint: paste the code"]);
    assert!(!world.path().exists());
}

#[test]
fn two_steps() {
    let world = World::with(Config { shape: Shape::Claude, ..Config::default() });
    let begun = world.run_with(login(&world, "demo-claude", &["--start"]), "");
    assert_eq!(begun.code, 0, "{begun:?}");
    let url = begun.stdout.strip_suffix('\n').expect("a line");
    assert!(url.starts_with(&world.server.authorize_url()) && !url.contains('\n'), "{url}");
    assert!(!world.path().exists());
    let code = shown_code(url);
    let run = world.run_with(world.command(&["login", "--finish"]), &format!("{code}\n"));
    assert_eq!(run.stdout, "");
    logged_in(&world, (Some(run.code), run.stderr));
    let again = world.run_with(world.command(&["login", "--finish"]), &code);
    again.fails(1, &["no login was begun here", "\n\nhint: begin one with `kraube login --start`\n"]);
}

#[test]
fn the_scope_and_the_place_can_be_chosen() {
    let world = World::new();
    let args =
        ["--start", "--scope", "read", "--scope", "offline_access", "--out", "there.json", "--client-id", "mine"];
    let begun = world.run_with(login(&world, "demo", &args), "");
    assert_eq!(begun.code, 0, "{begun:?}");
    assert!(begun.stdout.contains("scope=read+offline_access") && begun.stdout.contains("client_id=mine"), "{begun:?}");
    let callback = answer(begun.stdout.trim_end());
    let run = world.run_with(world.command(&["login", "--finish", "--out", "there.json"]), &callback);
    run.prints("");
    let status = world.run(&["--credentials", "there.json", "status"]);
    assert_eq!(status.code, 0);
    assert!(status.stdout.contains("scope        read offline_access\n"), "{status:?}");
    assert!(status.stdout.contains("(client id mine)"), "{status:?}");
    assert!(!world.path().exists());
}

#[test]
fn a_server_is_found_by_its_issuer() {
    let world = World::new();
    let issuer = world.server.issuer();
    let args = ["login", "--issuer", &issuer, "--client-id", "mine", "--no-browser"];
    let shown = shown(start(world.command(&args), ""));
    let _ = agent(1).get(answer(&shown.url)).call().expect("a page");
    logged_in(&world, shown.end());
    let provider = world.stored("kraube")["provider"].clone();
    assert_eq!(provider["issuer"], issuer.as_str());
    assert_eq!(provider["revocationEndpoint"], format!("{issuer}/revoke"));
}

#[test]
fn a_client_id_in_the_file_is_for_its_issuer_alone() {
    let (world, other) = (World::new(), World::new());
    let issuer = world.server.issuer();
    let file = world.path().with_file_name("providers.toml");
    std::fs::create_dir_all(file.parent().expect("a directory")).expect("made");
    std::fs::write(&file, format!("[client_ids]\n\"{issuer}\" = \"mine\"\n")).expect("written");
    let begun = world.run(&["login", "--issuer", &issuer, "--start"]);
    assert!(begun.code == 0 && begun.stdout.contains("client_id=mine"), "{begun:?}");
    let at_another = world.run(&["login", "--issuer", &other.server.issuer(), "--start"]);
    at_another.fails(1, &["there is no client id for the provider"]);
}

#[test]
fn a_login_with_a_client_id_needs_no_registrations() {
    let world = World::new();
    let issuer = world.server.issuer();
    let file = world.home().join("registrations.json");
    std::fs::write(&file, "[\"of another program\"]").expect("written");
    let args = ["login", "--issuer", &issuer, "--client-id", "mine", "--start", "--out", "mine.json"];
    let begun = world.run(&args);
    assert_eq!(begun.code, 0, "{begun:?}");
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "[\"of another program\"]");
}

#[test]
fn a_server_is_found_by_a_resource_and_tokens_are_for_that() {
    let world = World::new();
    let resource = format!("{}/resource", world.server.issuer());
    let args = ["login", "--resource", &resource, "--client-id", "mine", "--no-browser"];
    let shown = shown(start(world.command(&args), ""));
    let sent = resource.replace(':', "%3A").replace('/', "%2F");
    assert!(shown.url.contains(&format!("resource={sent}")), "{}", shown.url);
    let _ = agent(1).get(answer(&shown.url)).call().expect("a page");
    logged_in(&world, shown.end());
    assert_eq!(world.stored("kraube")["provider"]["resource"], resource.as_str());
}

/// The page of the device flow, as a person uses it.
fn decide(said: &mut BufReader<ChildStderr>, decision: &str) {
    let mut lines = said.by_ref().lines().map(|line| line.expect("text"));
    let page = lines.find(|line| line.starts_with("http")).expect("where to go");
    let code = lines.find(|line| line.starts_with("  ")).expect("a code");
    let form = [("user_code", code.trim()), ("decision", decision)];
    assert_eq!(agent(0).post(&page).send_form(form).expect("a page").status(), 200);
}

fn with_device(decision: &str) -> (World, (Option<i32>, String)) {
    let second = Duration::from_secs(1);
    let world = World::with(Config { auto_approve: false, device_interval: second, ..Config::default() });
    let mut child = start(login(&world, "demo", &["--device"]), "");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    decide(&mut stderr, decision);
    let ended = Shown { child, url: String::new(), stderr }.end();
    (world, ended)
}

#[test]
fn a_person_agrees_on_another_machine() {
    let (world, ended) = with_device("approve");
    logged_in(&world, ended);
    assert_eq!(world.server.counters().authorizations, 0, "no browser was asked for here");
}

#[test]
fn a_person_says_no_on_another_machine() {
    let (world, (code, said)) = with_device("deny");
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("error: the login was denied\n\nhint: start the login again"), "{said}");
    assert!(!world.path().exists());
}

/// Ctrl-C, while the answer to a poll is under way.
fn interrupted_during_a_poll(agreed: bool) -> (World, support::Run) {
    let second = Duration::from_secs(1);
    let config =
        Config { auto_approve: agreed, device_interval: second, latency: support::LATENCY, ..Config::default() };
    let world = World::with(config);
    let mut command = world.in_foreground(&["login", "--provider", "demo", "--device"]);
    command.env("KRAUBE_DEMO_ISSUER", world.server.issuer());
    let events = world.server.events();
    let child = start(command, "");
    let polled = events.recv_timeout(Duration::from_secs(60)).expect("the server is polled");
    assert!(matches!(polled, Event::TokenRequest { .. }), "{polled:?}");
    support::interrupt(&child);
    let run = world.finish(child);
    run.says(&["Waiting for the answer that is under way."]);
    (world, run)
}

#[test]
fn an_interrupt_during_the_poll_that_brings_the_tokens_waits_for_them_to_be_stored() {
    let (world, run) = interrupted_during_a_poll(true);
    logged_in(&world, (Some(run.code), run.stderr));
}

#[test]
fn an_interrupt_during_another_poll_ends_the_login_when_that_was_answered() {
    let (world, run) = interrupted_during_a_poll(false);
    assert_eq!(run.code, 130, "{run:?}");
    assert!(!world.path().exists());
    assert_eq!(world.server.counters().token_requests, 1, "nothing is sent any more");
}

#[test]
fn without_a_display_a_server_with_the_device_flow_is_asked_for_that() {
    let second = Duration::from_secs(1);
    let world = World::with(Config { device_interval: second, ..Config::default() });
    let run = world.run_with(login(&world, "demo", &[]), "");
    run.says(&["On another machine, open this address:", "/device\n"]);
    logged_in(&world, (Some(run.code), run.stderr));
}

#[test]
fn a_server_that_cannot_be_found_is_named_with_what_was_tried() {
    let world = World::new();
    let issuer = format!("{}/tenant", world.server.issuer());
    let tried = format!("{}/.well-known/oauth-authorization-server/tenant", world.server.issuer());
    world.run(&["login", "--issuer", &issuer]).fails(1, &["publishes no metadata (tried ", &tried]);
    world.run(&["login", "--issuer", "http://id.example"]).fails(1, &["the URL must begin with https://"]);
    world.run(&["login", "--issuer", "http://127.0.0.1:1"]).fails(7, &["could not be fetched", "try again later"]);
    world.run(&["login", "--issuer", &world.server.issuer()]).fails(1, &["there is no client id for the provider"]);
    world.run(&["login", "--issuer", "https://a.example", "--provider", "demo"]).fails(2, &[]);
}

#[test]
fn a_login_replaces_the_login_before_and_is_another_one() {
    let mut world = World::new();
    world.log_in(support::MINUTE);
    let before = world.stored("kraube")["login"].clone();
    let shown = shown(start(login(&world, "demo", &["--no-browser"]), ""));
    let _ = agent(1).get(answer(&shown.url)).call().expect("a page");
    logged_in(&world, shown.end());
    assert_ne!(world.stored("kraube")["login"], before);
}

#[test]
fn a_person_who_says_no_is_heard() {
    let world = World::new();
    let shown = shown(start(login(&world, "demo", &["--no-browser"]), ""));
    let callback = answer(&shown.url);
    let (address, query) = callback.split_once('?').expect("a query");
    let query = query.split('&').filter(|pair| !pair.starts_with("code=")).collect::<Vec<_>>().join("&");
    let _ = agent(1).get(format!("{address}?{query}&error=access_denied&error_description=no%1b[2J")).call();
    let (code, said) = shown.end();
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("error: the login was denied (access_denied): no"), "{said}");
    assert!(said.contains("\n\nhint: start the login again") && !said.contains('\u{1b}'), "{said}");
    assert!(!world.path().exists());
}

#[test]
fn what_is_missing_is_said_before_a_browser_opens() {
    let world = World::new();
    world
        .run(&["login"])
        .fails(1, &["there is no client id for the provider claude", "--client-id, KRAUBE_CLIENT_ID", "hint: without"]);
    world.run(&["login", "--provider", "nobody"]).fails(1, &["there is no provider \"nobody\""]);
    world.run(&["login", "--provider", "demo"]).fails(1, &["KRAUBE_DEMO_ISSUER"]);
    for args in [
        &["login", "--start", "--finish"][..],
        &["login", "--manual", "--start"],
        &["login", "--finish", "--client-id", "c"],
        &["login", "--out", "a", "--credentials", "b"],
        &["login", "a-code-on-the-command-line"],
    ] {
        world.run(args).fails(2, &[]);
    }
    assert_eq!(world.server.counters().authorizations, 0);
}
