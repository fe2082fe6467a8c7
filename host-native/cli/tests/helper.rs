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
    for args in [&["helper", "git", "get"][..], &["helper", "kubernetes"]] {
        world.run(args).fails(4, &["hint: "]);
    }
}

/// Docker then goes on without credentials; any other failure ends what it does.
#[test]
fn docker_is_told_that_there_is_no_login_by_the_words_that_it_knows() {
    let mut world = World::new();
    let run = world.run_with(world.command(&["helper", "docker", "get"]), "registry.example");
    assert_eq!((run.code, run.stdout.trim()), (4, "credentials not found in native keychain"), "{run:?}");
    run.says(&["hint: log in with `kraube login`"]);
    world.log_in(-MINUTE);
    world.server.revoke_all();
    world.run_with(world.command(&["helper", "docker", "get"]), "registry.example").fails(5, &["hint: "]);
}

#[test]
fn curl_reads_the_header_from_a_config_file() {
    let mut world = World::new();
    world.log_in(50 * MINUTE);
    let config = world.run(&["token", "--format", "curl"]);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*", "--config", "-", &world.server.resource_url()]);
    let answer = world.run_with(curl, &config.stdout);
    assert!(answer.stdout.contains("\"ok\":true"), "{answer:?}");
}

#[test]
fn curl_reads_the_token_from_a_netrc_for_one_host() {
    let mut world = World::new();
    let login = world.log_in(50 * MINUTE);
    let registry = Registry::start();
    let file = world.home().join("netrc");
    std::fs::write(&file, world.run(&["helper", "netrc", "127.0.0.1"]).stdout).expect("written");
    for host in ["127.0.0.1", "localhost"] {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--noproxy", "*", "--ipv4", "--netrc-file"]).arg(&file);
        curl.arg(format!("http://{host}:{}/config.json", registry.port));
        assert_eq!(world.run_with(curl, "").code, 0);
    }
    let basic = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("oauth2:{}", login.access_token));
    assert_eq!(registry.seen(), [Some(format!("Basic {basic}")), None]);
    world.run(&["helper", "netrc", "https://api.example"]).fails(2, &["without a scheme"]);
    assert_eq!(world.run(&["helper", "netrc", "a b"]).code, 2);
}

#[test]
fn cargo_is_given_a_token_by_its_own_protocol() {
    for (options, word) in [(&[][..], ""), (&["--scheme", "Bearer"][..], "Bearer ")] {
        let mut world = World::new();
        let login = world.log_in(-MINUTE);
        let registry = Registry::start();
        let run = world.run_with(cargo(&world, &registry, options), "");
        assert_eq!(run.code, 0, "{run:?}");
        let token = world.stored("accessToken");
        let token = format!("{word}{}", token.as_str().expect("a token"));
        assert_ne!(token, login.access_token, "it is refreshed");
        let seen = registry.seen();
        assert!(seen.len() > 1 && seen[1..].iter().all(|value| value.as_ref() == Some(&token)), "{seen:?}");
        assert_eq!(world.server.counters().rotations, 1);
    }
}

#[test]
fn cargo_is_told_why_there_is_no_token() {
    let world = World::new();
    let registry = Registry::start();
    let run = world.run_with(cargo(&world, &registry, &["--profile", "work"]), "");
    assert!(run.code != 0 && run.stderr.contains("kraube login"), "{run:?}");
    let run = world.run_with(cargo(&world, &registry, &["--nonsense"]), "");
    assert!(run.code != 0 && run.stderr.contains("--nonsense"), "{run:?}");
    assert!(registry.seen().iter().all(Option::is_none));

    let asked = "{\"v\":1,\"kind\":\"login\",\"registry\":{\"index-url\":\"x\"},\"args\":[]}\nnonsense\n";
    let run = world.run_with(world.command(&["--cargo-plugin"]), asked);
    let lines: Vec<_> = run.stdout.lines().collect();
    assert_eq!(lines[..2], ["{\"v\":[1]}", "{\"Err\":{\"kind\":\"operation-not-supported\"}}"]);
    assert!(lines.len() == 3 && lines[2].starts_with("{\"Err\":{\"kind\":\"other\""), "{run:?}");
}

#[test]
fn without_a_login_cargo_asks_the_next_provider() {
    let mut world = World::new();
    let registry = Registry::start();
    let search = |world: &World| {
        let cargo = cargo(world, &registry, &[]);
        let file = |name| world.home().join("cargo").join(name);
        let config = std::fs::read_to_string(file("config.toml")).expect("it is there");
        // The last one is asked first.
        let several = "[registry]\nglobal-credential-providers = [\"cargo:token\", ";
        std::fs::write(file("config.toml"), config.replace("credential-provider = [", several)).expect("written");
        std::fs::write(file("credentials.toml"), "[registries.own]\ntoken = \"another\"\n").expect("written");
        world.run_with(cargo, "")
    };
    let run = search(&world);
    assert_eq!(run.code, 0, "{run:?}");
    run.says(&["hint: log in with `kraube login`"]);
    let seen = registry.seen();
    assert!(seen.len() > 1 && seen[1..].iter().all(|token| token.as_deref() == Some("another")), "{seen:?}");

    // The login is there, and a person has to know that it is of no use.
    world.log_in(-MINUTE);
    world.server.revoke_all();
    let run = search(&world);
    assert!(run.code != 0 && run.stderr.contains("refused"), "{run:?}");
    assert_eq!(registry.seen()[seen.len()..].iter().flatten().count(), 0);
}

#[test]
fn npm_finds_the_token_in_its_environment() {
    let mut world = World::new();
    let login = world.log_in(50 * MINUTE);
    let registry = Registry::start();
    let own = format!("//127.0.0.1:{}/:_authToken=${{NPM_TOKEN}}\n", registry.port);
    std::fs::write(world.home().join(".npmrc"), own).expect("written");
    let url = format!("http://127.0.0.1:{}/", registry.port);
    let mut exec = world.command(&["exec", "--env", "NPM_TOKEN", "--", "npm", "whoami", "--registry", &url]);
    exec.env("PATH", std::env::var_os("PATH").expect("a path"));
    let run = world.run_with(exec, "");
    assert_eq!((run.code, run.stdout.as_str()), (0, "me\n"), "npm is there (apt-get install npm): {run:?}");
    // It also asks for news of itself, at the same registry.
    let (seen, bearer) = (registry.seen(), format!("Bearer {}", login.access_token));
    assert!(!seen.is_empty() && seen.iter().all(|seen| seen.as_deref() == Some(&bearer)), "{seen:?}");
}

/// The real cargo, which searches in a registry that wants a token.
fn cargo(world: &World, registry: &Registry, options: &[&str]) -> Command {
    let home = world.home().join("cargo");
    std::fs::create_dir_all(&home).expect("made");
    let plugin = world.command(&[]);
    let program = plugin.get_program().to_str().expect("a plain path");
    let words = std::iter::once(program).chain(options.iter().copied()).map(|word| format!("{word:?}"));
    let provider = words.collect::<Vec<_>>().join(", ");
    let index = format!("sparse+http://127.0.0.1:{}/", registry.port);
    let config = format!("[registries.own]\nindex = \"{index}\"\ncredential-provider = [{provider}]\n");
    std::fs::write(home.join("config.toml"), config).expect("written");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.env_clear().env("HOME", world.home()).env("CARGO_HOME", &home).env("PATH", "/usr/bin:/bin");
    cargo.current_dir(world.home()).args(["search", "--registry", "own", "anything"]);
    cargo
}

/// A registry of cargo as far as a search goes: it wants a token, any token, and notes which it saw.
struct Registry {
    port: u16,
    seen: std::sync::Arc<std::sync::Mutex<Vec<Option<String>>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Registry {
    fn start() -> Self {
        use axum::http::{HeaderMap, StatusCode, Uri, header};
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let notes = std::sync::Arc::clone(&seen);
        let answer = move |uri: Uri, headers: HeaderMap| {
            let token = headers.get(header::AUTHORIZATION).map(|value| value.to_str().expect("text").to_owned());
            let known = token.is_some();
            notes.lock().expect("no panic").push(token);
            let body = match uri.path() {
                "/config.json" => {
                    let own = format!("http://127.0.0.1:{port}");
                    serde_json::json!({ "dl": format!("{own}/dl"), "api": own, "auth-required": true })
                }
                _ => serde_json::json!({ "crates": [], "meta": { "total": 0 }, "username": "me" }),
            };
            let status = if known { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            std::future::ready((status, body.to_string()))
        };
        runtime.spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
        Self { port, seen, _runtime: runtime }
    }

    fn seen(&self) -> Vec<Option<String>> {
        self.seen.lock().expect("no panic").clone()
    }
}
