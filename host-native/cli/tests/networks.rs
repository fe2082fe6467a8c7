//! Networks as they are: a server with a certificate that the system does not know, reached through real proxies under a
//! name that only they can resolve.
#![cfg(target_os = "linux")]

mod support;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{MINUTE, Run, World};
use tokio_rustls::rustls;

const HOST: &str = "id.kraube.test";

/// The embedded server behind TLS, at `https://id.kraube.test:PORT`.
struct Secure {
    port: u16,
    certificate: PathBuf,
    _runtime: tokio::runtime::Runtime,
}

impl Secure {
    fn before(world: &World, name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
        let certificate = world.home().join(format!("{name}.pem"));
        std::fs::write(&certificate, made.cert.pem()).expect("written");
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_no_client_auth();
        let config = config.with_single_cert(vec![made.cert.der().clone()], key).expect("they belong together");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let issuer = world.server.issuer();
        let behind = issuer.trim_start_matches("http://").to_owned();
        runtime.spawn(async move {
            while let Ok((outside, _)) = listener.accept().await {
                let (acceptor, behind) = (acceptor.clone(), behind.clone());
                tokio::spawn(async move {
                    // A client that does not trust us hangs up.
                    let Ok(mut outside) = acceptor.accept(outside).await else { return };
                    let mut inside = tokio::net::TcpStream::connect(behind).await.expect("the server listens");
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
        Self { port, certificate, _runtime: runtime }
    }

    fn issuer(&self) -> String {
        format!("https://{HOST}:{}", self.port)
    }
}

/// A real proxy, in a mount namespace where `/etc/hosts` knows the name.
struct Proxy {
    child: Child,
    port: u16,
}

impl Proxy {
    fn tinyproxy(world: &World, more: &str) -> Self {
        let port = free_port();
        let config = world.home().join("tinyproxy.conf");
        let text = format!("Port {port}\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\nLogLevel Connect\n{more}\n");
        std::fs::write(&config, text).expect("written");
        let config = config.to_str().expect("a plain path");
        Self::start(world, port, &["tinyproxy", "-d", "-c", config])
    }

    fn microsocks(world: &World) -> Self {
        let port = free_port();
        Self::start(world, port, &["microsocks", "-i", "127.0.0.1", "-p", &port.to_string()])
    }

    fn start(world: &World, port: u16, program: &[&str]) -> Self {
        let hosts = world.home().join("hosts");
        std::fs::write(&hosts, format!("127.0.0.1 localhost {HOST}\n")).expect("written");
        let output = std::fs::File::create(log(world)).expect("created");
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "--propagation", "private", "sh", "-ec"]);
        command.arg("mount --bind \"$1\" /etc/hosts; shift; exec \"$@\"").arg("sh").arg(hosts).args(program);
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("a file")).stderr(output);
        let child = command.spawn().expect("unshare is there: apt-get install util-linux");
        let mut proxy = Self { child, port };
        let end = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = proxy.child.try_wait().expect("it is our child");
            let said = || std::fs::read_to_string(log(world)).unwrap_or_default();
            assert!(
                ended.is_none() && Instant::now() < end,
                "{program:?} does not listen (apt-get install tinyproxy-bin microsocks): {}",
                said()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log(world: &World) -> PathBuf {
    world.home().join("proxy.log")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

fn token(world: &World, certificate: &Path, environment: &[(&str, String)]) -> Run {
    let mut command = world.command(&["token"]);
    command.env("KRAUBE_EXTRA_CERTS", certificate).envs(environment.iter().map(|(name, value)| (name, value)));
    world.run_with(command, "")
}

/// A world whose login is at the server behind TLS, and due.
fn world() -> (World, Secure) {
    let mut world = World::new();
    let secure = Secure::before(&world, "certificate");
    world.log_in_at(-MINUTE, &secure.issuer());
    (world, secure)
}

#[track_caller]
fn spends_nothing(world: &World, run: &Run) {
    assert_eq!((run.code, run.stdout.as_str()), (7, ""), "{run:?}");
    assert_eq!(world.server.counters().token_requests, 0);
}

#[test]
fn a_refresh_goes_through_an_http_proxy_that_wants_a_password() {
    let (world, secure) = world();
    let proxy = Proxy::tinyproxy(&world, "BasicAuth me canary");
    let at = |login: &str| [("HTTPS_PROXY", format!("http://{login}127.0.0.1:{}", proxy.port))];
    spends_nothing(&world, &token(&world, &secure.certificate, &at("me:wrong@")));
    let run = until_tried(&world, &secure.certificate, &at("me:canary@"));
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    assert_eq!(world.server.counters().rotations, 1);
    let log = std::fs::read_to_string(log(&world)).expect("a log");
    assert!(log.contains(&format!("CONNECT {HOST}:{}", secure.port)), "{log}");

    let mut doctor = world.command(&["doctor"]);
    doctor.env("KRAUBE_EXTRA_CERTS", &secure.certificate).envs(at("me:canary@"));
    let run = world.run_with(doctor, "");
    assert!(run.stdout.contains("ok       server") && !run.stdout.contains("canary"), "{run:?}");
    assert!(run.stdout.contains("and 1 of KRAUBE_EXTRA_CERTS"), "{run:?}");
}

#[test]
fn a_refresh_goes_through_a_socks_proxy() {
    let (world, secure) = world();
    let proxy = Proxy::microsocks(&world);
    let environment = [("ALL_PROXY", format!("socks5h://127.0.0.1:{}", proxy.port))];
    let run = token(&world, &secure.certificate, &environment);
    assert_eq!((run.code, world.server.counters().rotations), (0, 1), "{run:?}");
}

#[test]
fn what_no_proxy_names_goes_past_the_proxy() {
    let (world, secure) = world();
    let proxy = Proxy::tinyproxy(&world, "");
    let url = format!("http://127.0.0.1:{}", proxy.port);
    // Past the proxy there is nobody of this name.
    let environment = [("HTTPS_PROXY", url.clone()), ("NO_PROXY", "other.example,.kraube.test".to_owned())];
    spends_nothing(&world, &token(&world, &secure.certificate, &environment));
    let log = std::fs::read_to_string(log(&world)).expect("a log");
    assert!(!log.contains("Request ("), "{log}");
    // That was no answer of a server: nothing is held up for long.
    let run =
        until_tried(&world, &secure.certificate, &[("https_proxy", url), ("no_proxy", "other.example".to_owned())]);
    assert_eq!((run.code, world.server.counters().rotations), (0, 1), "{run:?}");
}

#[test]
fn a_proxy_that_answers_with_a_page_costs_nothing() {
    let (world, secure) = world();
    // It connects to no other port, and says so in HTML.
    let proxy = Proxy::tinyproxy(&world, "ConnectPort 443");
    let environment = [("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port))];
    let run = token(&world, &secure.certificate, &environment);
    spends_nothing(&world, &run);
    assert!(!run.stderr.contains("<html"), "{run:?}");
    drop(proxy);
    let proxy = Proxy::tinyproxy(&world, "");
    let environment = [("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port))];
    let run = until_tried(&world, &secure.certificate, &environment);
    assert_eq!((run.code, world.server.counters().rotations), (0, 1), "{run:?}");
}

#[test]
fn certificates_are_trusted_beside_the_others_and_not_in_their_place() {
    let (mut world, first) = world();
    let second = Secure::before(&world, "second");
    let proxy = Proxy::tinyproxy(&world, "");
    let proxy = ("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port));
    let text = |path: &Path| path.to_str().expect("a plain path").to_owned();
    // The certificate of another server of the same name is none.
    spends_nothing(&world, &token(&world, &second.certificate, std::slice::from_ref(&proxy)));
    // Each of two files counts.
    for (count, server) in [(1, &first), (2, &second)] {
        world.log_in_at(-MINUTE, &server.issuer());
        let both = [proxy.clone(), ("SSL_CERT_FILE", text(&first.certificate))];
        let run = until_tried(&world, &second.certificate, &both);
        assert_eq!((run.code, world.server.counters().rotations), (0, count), "{run:?}");
    }
}

/// After a server could not be reached, nobody asks for a moment.
fn until_tried(world: &World, certificate: &Path, environment: &[(&str, String)]) -> Run {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let run = token(world, certificate, environment);
        if run.code != 7 || Instant::now() >= end {
            return run;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
