//! What must not end, divert or reveal a browser login: one test for each of the numbered faults.
#![cfg(unix)]

mod browser;

use browser::{LONG, Reply, Running, World, begin, get, parameter, read, send, shown_code, split, visit, with, world};
use kraube::core::http::Endpoint;
use kraube::core::provider::Provider;
use kraube::login::{Event, LoginError, LoginOptions, login};
use kraube_testserver::{Config, Shape};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

/// A login whose callback is known and not yet delivered.
struct Attempt {
    world: World,
    login: Running,
    callback: String,
}

fn attempt() -> Attempt {
    attempt_at(world(Config::default()))
}

fn attempt_at(world: World) -> Attempt {
    let mut login = world.login();
    let callback = world.approve(&login.url());
    Attempt { world, login, callback }
}

impl Attempt {
    fn authority(&self) -> &str {
        split(&self.callback).0
    }

    /// A wrong callback gets the one static page, is counted by its reason, and leads to no token request.
    fn ignores(&mut self, callback: &str, reason: &str) -> Reply {
        let reply = get(callback);
        assert_eq!(reply.status, 400, "{callback}");
        self.login.expect_ignored(reason);
        assert_eq!(self.world.server.counters().token_requests, 0);
        reply
    }

    /// The true callback is still taken.
    fn completes(self) {
        assert_eq!(visit(&self.callback).status, 200);
        self.login.succeed();
        assert_eq!(self.world.server.counters().token_requests, 1);
    }
}

#[test]
fn fault_01_callback_with_wrong_state() {
    let mut attempt = attempt();
    attempt.ignores(&with(&attempt.callback.clone(), "state", Some("of-another-login")), "state_mismatch");
    attempt.completes();
}

#[test]
fn fault_02_callback_without_state() {
    let mut attempt = attempt();
    attempt.ignores(&with(&attempt.callback.clone(), "state", None), "state_missing");
    attempt.completes();
}

#[test]
fn fault_03_error_without_our_state() {
    let mut attempt = attempt();
    let address = format!("http://{}/callback", attempt.authority());
    attempt.ignores(&format!("{address}?error=access_denied"), "state_missing");
    attempt.ignores(&format!("{address}?error=access_denied&state=x"), "state_mismatch");
    attempt.completes();
}

#[test]
fn fault_04_error_with_our_state_ends_the_login_and_its_text_is_harmless() {
    let attempt = attempt();
    let state = parameter(&attempt.callback, "state").expect("sent");
    let iss = attempt.world.server.issuer();
    let query =
        format!("error=access_denied&error_description=no%1B]0;terminal%07%0A%C2%9Bend&state={state}&iss={iss}");
    let reply = get(&format!("http://{}/callback?{query}", attempt.authority()));
    assert_eq!(reply.status, 200);
    assert!(reply.body.contains("Not logged in") && !reply.body.contains("terminal"), "{}", reply.body);
    let error = attempt.login.fail();
    let LoginError::Denied { code, description: Some(description) } = &error else { panic!("{error:?}") };
    assert_eq!(code, "access_denied");
    assert!(description.contains("end") && !description.chars().any(char::is_control), "{description:?}");
    assert!(!error.to_string().chars().any(char::is_control), "{error}");
    assert_eq!((attempt.world.server.counters().token_requests, attempt.world.is_stored()), (0, false));
}

#[test]
fn fault_05_right_state_twice() {
    let attempt = attempt();
    assert_eq!(get(&attempt.callback).status, 303);
    assert_eq!(get(&attempt.callback).status, 400, "it had its answer");
    assert_eq!(get(&with(&attempt.callback, "code", Some("other"))).status, 400);
    assert_eq!(get(&format!("http://{}/done", attempt.authority())).status, 200);
    attempt.login.succeed();
    assert_eq!(attempt.world.server.counters().token_requests, 1);
}

#[test]
fn fault_06_code_or_state_given_twice() {
    let mut attempt = attempt();
    let callback = attempt.callback.clone();
    for name in ["code", "state", "iss"] {
        let again = parameter(&callback, name).expect("sent");
        for value in [again.as_str(), "other"] {
            attempt.ignores(&format!("{callback}&{name}={value}"), "repeated_parameter");
        }
    }
    attempt.completes();
}

#[test]
fn fault_07_iss_of_another_issuer_or_with_a_slash() {
    let mut attempt = attempt();
    let slash = format!("{}/", attempt.world.server.issuer());
    for issuer in ["https://attacker.example", &slash] {
        let callback = with(&attempt.callback, "iss", Some(issuer));
        attempt.ignores(&callback, "issuer_mismatch");
        let error = with(&with(&callback, "code", None), "error", Some("access_denied"));
        attempt.ignores(&error, "issuer_mismatch");
    }
    assert!(!attempt.login.shown.contains("attacker") && !attempt.login.shown.contains("access_denied"));
    attempt.completes();
}

#[test]
fn fault_08_iss_missing_though_advertised() {
    let mut attempt = attempt();
    attempt.ignores(&with(&attempt.callback.clone(), "iss", None), "issuer_missing");
    attempt.completes();
}

#[test]
fn fault_09_nothing_of_a_query_is_echoed() {
    let mut attempt = attempt();
    let address = format!("http://{}/callback", attempt.authority());
    let plain = attempt.ignores(&format!("{address}?state=x"), "state_mismatch");
    for text in ["<script>alert(1)</script>", "</script>", "\u{1b}]0;title\u{7}", "\"><img src=x>", "{{7*7}}"] {
        let text: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let query = format!("error={text}&error_description={text}&error_uri={text}&state={text}");
        assert_eq!(attempt.ignores(&format!("{address}?{query}"), "state_mismatch"), plain, "the same bytes");
    }
    let policy = plain.header("content-security-policy").expect("there is one");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert_eq!(plain.header("x-content-type-options").as_deref(), Some("nosniff"));
    attempt.completes();
}

#[test]
fn fault_10_the_host_of_an_attacker() {
    let attempt = attempt();
    let (authority, target) = split(&attempt.callback);
    let port = authority.rsplit(':').next().expect("there is a port");
    for host in [&format!("attacker.example:{port}"), "127.0.0.1", &format!("localhost:{port}")] {
        let reply = send(authority, format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(reply.status, 403, "{host}");
    }
    attempt.completes();
}

#[test]
fn fault_11_other_requests_are_turned_away() {
    let attempt = attempt();
    let (authority, target) = split(&attempt.callback);
    let status = |line: &str, fields: &str| send(authority, format!("{line}\r\nHost: {authority}\r\n{fields}\r\n"));
    for method in ["POST", "HEAD", "OPTIONS", "PUT", "DELETE"] {
        let reply = status(&format!("{method} {target} HTTP/1.1"), "Origin: https://attacker.example\r\n");
        assert_eq!((reply.status, reply.header("allow").as_deref()), (405, Some("GET")), "{method}");
        assert!(!reply.head.to_lowercase().contains("access-control"), "{}", reply.head);
    }
    for path in ["/", "/favicon.ico", "/callback/", "/done", "//callback", "/Callback"] {
        assert_eq!(status(&format!("GET {path} HTTP/1.1"), "").status, 404, "{path}");
    }
    assert_eq!(status(&format!("GET {target} HTTP/1.0"), "").status, 505);
    assert_eq!(send(authority, format!("GET {target}\r\n\r\n")).status, 400, "HTTP/0.9");
    assert_eq!(send(authority, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").status, 505);
    assert_eq!(send(authority, "\x16\x03\x01\x02\0\r\n").status, 400, "TLS");
    assert_eq!(status(&format!("GET {target} HTTP/1.1"), "Content-Length: 3\r\n").status, 400);
    let long = "a".repeat(1 << 20);
    assert_eq!(status(&format!("GET /callback?{long} HTTP/1.1"), "").status, 414);
    assert_eq!(status("GET /callback HTTP/1.1", &format!("X: {long}\r\n")).status, 431);
    assert_eq!(attempt.world.server.counters().token_requests, 0);
    attempt.completes();
}

#[test]
fn fault_11_fifty_half_open_slow_clients() {
    let attempt = attempt();
    let slow: Vec<_> = (0..50)
        .map(|index| {
            let mut stream = TcpStream::connect(attempt.authority()).expect("it listens");
            // Some say nothing at all, the others stop in the middle.
            if index % 2 == 0 {
                let _ = stream.write_all(b"GET /callback?code=");
            }
            stream
        })
        .collect();
    // The slow ones stay for longer than a whole read may take: were they waited for, this would be refused.
    let mut stream = TcpStream::connect(attempt.authority()).expect("it listens");
    let (authority, target) = split(&attempt.callback);
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {authority}\r\n\r\n").expect("it is taken");
    assert_eq!(read(&mut stream).status, 303);
    let still_open = slow.iter().filter(|stream| is_open(stream)).count();
    assert!(still_open <= 8, "{still_open} of them are open");
    assert_eq!(get(&format!("http://{authority}/done")).status, 200);
    attempt.login.succeed();
}

fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("it is a socket");
    stream.peek(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn fault_13_browser_cannot_be_opened() {
    // Without a path, so that no browser of this machine is found.
    for (tried, vars) in [
        (true, &[("BROWSER", "/nonexistent/browser"), ("PATH", "/nonexistent")][..]),
        (false, &[]),
        (false, &[("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")]),
    ] {
        let world = world(Config::default());
        let mut person = Person::start(&world.demo(), &world.file, vars);
        // What a person is asked to do comes last.
        let early = (!tried).then(|| person.expect("failed "));
        let url = person.expect("url ");
        let why = early.unwrap_or_else(|| person.expect("failed "));
        assert!(!why.is_empty() && !why.contains(&url));
        assert_eq!(visit(&world.approve(&url)).status, 200, "the listener is still there");
        person.expect("ok");
        assert!(world.is_stored());
    }
}

/// The URL is one argument, unchanged, whatever is in it; and what the browser prints does not reach our output.
#[test]
fn fault_14_the_url_is_one_argument() {
    let world = world(Config::default());
    let script = world.dir.path().join("browser");
    let heard = world.dir.path().join("heard");
    let text = format!("#!/bin/sh\necho on-our-output\nprintf '%s\\n' \"$#\" \"$@\" > {}\n", heard.display());
    std::fs::write(&script, text).expect("a file");
    let sh = |command: &str, path: &Path| {
        assert!(Command::new(command).arg(path).status().expect("it is there").success());
    };
    assert!(Command::new("chmod").arg("0700").arg(&script).status().expect("it is there").success());
    sh("mkfifo", &heard);
    let endpoint = "http://127.0.0.1:1/$(id);id&id?x=--option&y=%2e%s";
    let provider = Provider { authorization_endpoint: Endpoint::parse(endpoint).expect("a URL"), ..world.demo() };
    let vars = [("BROWSER", script.to_str().expect("tests use plain names"))];
    let mut person = Person::start(&provider, &world.file, &vars);
    let url = person.expect("url ");
    let arguments = std::fs::read_to_string(&heard).expect("the browser tells");
    assert_eq!(arguments, format!("1\n{url}\n"));
    assert!(url.starts_with(endpoint));
    person.expect("opened");
    person.stop();
    assert_eq!(person.output(), "");
}

#[test]
fn fault_14_endpoints_that_are_no_urls_are_refused() {
    for bad in ["javascript:alert(1)", "file:///etc/passwd", "--option", "data:text/html,x", "http://example.org/"] {
        assert!(Endpoint::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn fault_15_pasted_text() {
    let world = world(Config::default());
    let (options, mut paste) = world.with_paste();
    let mut login = begin(world.demo(), options);
    let callback = world.approve(&login.url());
    let (authority, target) = split(&callback);
    let mut huge = "a".repeat(1 << 20);
    huge.push_str(&callback);
    let elsewhere = callback.replace(authority, "127.0.0.1:1");
    for (text, reason) in [
        (format!("https://attacker.example{target}"), "other_address"),
        (elsewhere, "other_address"),
        (huge, "too_long"),
        (format!("{callback}\0"), "invalid_characters"),
        (format!("\u{1b}]0;x{callback}"), "invalid_characters"),
        (String::new(), "empty"),
        (with(&callback, "state", None), "state_missing"),
        (format!("{}x", shown_code(&callback)), "state_mismatch"),
    ] {
        writeln!(paste, "{text}").expect("it is read");
        login.expect_ignored(reason);
    }
    assert_eq!(world.server.counters().token_requests, 0);
    writeln!(paste, "  {callback}\r").expect("it is read");
    login.succeed();
}

#[test]
fn fault_15_the_three_forms_are_taken() {
    let forms: [fn(&str) -> String; 3] =
        [|page| page.to_owned(), shown_code, |page| parameter(page, "code").expect("sent")];
    for form in forms {
        let world = world(Config { shape: Shape::Claude, ..Config::default() });
        let (options, mut paste) = world.with_paste();
        let mut login = begin(world.claude(), options);
        let page = world.approve(&login.url());
        writeln!(paste, "{}", form(&page)).expect("it is read");
        login.succeed();
    }
}

/// A process of its own in which somebody logs in with a browser: this test binary, playing the test `person`.
struct Person {
    child: Child,
    said: BufReader<ChildStderr>,
}

impl Person {
    fn start(provider: &Provider, file: &Path, vars: &[(&str, &str)]) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("tests know themselves"));
        command.args(["--exact", "person", "--nocapture", "--test-threads=1", "-q"]);
        for name in ["BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "WSL_DISTRO_NAME"] {
            command.env_remove(name);
        }
        let issuer = provider.issuer.as_deref().expect("the embedded server has one");
        command.env("PERSON_ISSUER", issuer).env("PERSON_FILE", file).envs(vars.iter().copied());
        command.env("PERSON_ENDPOINT", provider.authorization_endpoint.as_str());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it is executable");
        let said = BufReader::new(child.stderr.take().expect("it is a pipe"));
        Self { child, said }
    }

    /// The rest of the next line that begins like this.
    fn expect(&mut self, what: &str) -> String {
        let mut heard = String::new();
        loop {
            let start = heard.len();
            assert!(self.said.read_line(&mut heard).expect("it is text") > 0, "no {what:?} in:\n{heard}");
            if let Some(rest) = heard[start..].trim_end().strip_prefix('@').and_then(|line| line.strip_prefix(what)) {
                return rest.to_owned();
            }
        }
    }

    fn stop(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    /// What it printed, but for the test harness.
    fn output(&mut self) -> String {
        let output = BufReader::new(self.child.stdout.take().expect("it is a pipe"));
        let lines = output.lines().map(|line| line.expect("it is text"));
        lines.filter(|line| !line.trim().is_empty() && !line.starts_with("running ")).collect()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nothing to do in an ordinary run.
#[test]
fn person() {
    let (Ok(issuer), Some(file)) = (std::env::var("PERSON_ISSUER"), std::env::var_os("PERSON_FILE")) else { return };
    // Directly, since the test harness captures the printing macros.
    let tell = |what: &str| writeln!(std::io::stderr(), "@{what}").expect("the starter listens");
    let endpoint = std::env::var("PERSON_ENDPOINT").expect("the starter sets it");
    let authorization_endpoint = Endpoint::parse(&endpoint).expect("the starter has parsed it");
    let demo = Provider::demo(&issuer).expect("a loopback URL");
    let provider = Provider { authorization_endpoint, device_authorization_endpoint: None, ..demo };
    let options = LoginOptions { path: Some(PathBuf::from(file)), timeout: LONG, ..LoginOptions::default() };
    let result = login(&provider, options, &mut |event: Event<'_>| match event {
        Event::OpenThis { url, .. } => tell(&format!("url {url}")),
        Event::BrowserFailed { why } => tell(&format!("failed {why}")),
        Event::BrowserOpened => tell("opened"),
        Event::Listening { .. } | Event::Ignored(_) | Event::Received | Event::Exchanging | _ => {}
    });
    tell(&result.map_or_else(|error| format!("error {error}"), |_| "ok".into()));
}
