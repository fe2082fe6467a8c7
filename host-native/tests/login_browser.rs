//! The browser login as a whole, with the real authorization server.
#![cfg(unix)]

mod browser;

use browser::{Seen, World, begin, get, parameter, send, shown_code, split, visit, with, world};
use kraube::TokenSource;
use kraube::core::provider::{LoopbackHost, RedirectRules};
use kraube::login::{Event, LoginError, LoginOptions, Redirect, login};
use kraube_testserver::{Config, Fault, FaultKind, Shape};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU16, Ordering};

fn standard() -> World {
    world(Config::default())
}

#[test]
fn a_whole_login_is_stored_and_usable() {
    let world = standard();
    let mut login = world.login();
    let (url, bound) = login.opened();
    let page = visit(&world.approve(&url));
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Answer received"), "{}", page.body);

    let (result, rest, _) = login.end();
    let logged_in = result.expect("the login succeeds");
    assert_eq!(rest, [Seen::Other("Received".into()), Seen::Other("Exchanging".into())]);
    assert_eq!(logged_in.path, world.file);
    let mode = std::fs::metadata(&world.file).expect("it is stored").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let token = TokenSource::from_file(Some(&world.file)).expect("a path").blocking_token().expect("a live token");
    assert_eq!(token.expose(), logged_in.credentials.access_token.expose());
    let counters = world.server.counters();
    assert_eq!((counters.authorizations, counters.token_requests, counters.codes_redeemed), (1, 1, 1));
    for addr in bound {
        assert!(TcpStream::connect(addr).is_err(), "{addr} is closed");
    }
}

#[test]
fn the_code_does_not_stay_in_the_history() {
    let world = standard();
    let mut login = world.login();
    let callback = world.approve(&login.url());
    let reply = get(&callback);
    assert_eq!((reply.status, reply.header("location").as_deref()), (303, Some("/done")));
    assert_eq!(get(&format!("http://{}/done", split(&callback).0)).status, 200);
    login.succeed();
}

#[test]
fn a_login_within_a_runtime_does_not_panic() {
    let world = standard();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut browser = None;
    runtime.block_on(async {
        let seen = login(&world.demo(), world.options(), &mut |event: Event<'_>| {
            if let Event::OpenThis { url, .. } = event {
                let callback = world.approve(url.as_str());
                browser = Some(std::thread::spawn(move || visit(&callback)));
            }
        });
        seen.expect("the login succeeds");
    });
    assert_eq!(browser.expect("the URL was shown").join().expect("it visits").status, 200);
}

#[test]
fn each_family_of_this_machine_serves_the_callback() {
    let with_v6 = TcpListener::bind("[::1]:0").is_ok();
    for index in 0..if with_v6 { 2 } else { 1 } {
        let world = standard();
        let mut login = world.login();
        let (url, bound) = login.opened();
        assert_eq!(bound.len(), if with_v6 { 2 } else { 1 });
        assert!(bound.iter().all(|addr| addr.ip().is_loopback() && addr.port() == bound[0].port()), "{bound:?}");
        let callback = world.approve(&url);
        assert!(callback.starts_with(&format!("http://127.0.0.1:{}/callback?", bound[0].port())), "{callback}");
        let other = callback.replace(&bound[0].to_string(), &bound[index].to_string());
        assert_eq!(visit(&other).status, 200);
        login.succeed();
    }
}

#[test]
fn the_shape_of_claude_goes_by_localhost_where_a_browser_can_come_back() {
    let world = world(Config { shape: Shape::Claude, ..Config::default() });
    let mut login = begin(world.claude(), world.options());
    let callback = world.approve(&login.url());
    assert!(callback.starts_with("http://localhost:"), "{callback}");
    assert_eq!(visit(&callback).status, 200);
    assert!(login.succeed().credentials.refresh_token.is_some());
}

#[test]
fn the_shape_of_claude_without_a_browser_is_pasted_from_its_page() {
    let world = world(Config { shape: Shape::Claude, ..Config::default() });
    let (options, mut paste) = world.with_paste();
    let mut login = begin(world.claude(), options);
    let Some(Seen::OpenThis { url, redirect: Redirect::Manual }) = login.next() else { panic!("{}", login.shown) };
    let page = world.approve(&url);
    assert!(page.starts_with(&world.server.manual_redirect_uri()), "{page}");
    writeln!(paste, "{}", shown_code(&page)).expect("it is read");
    login.succeed();
    assert_eq!(world.server.counters().codes_redeemed, 1);
}

#[test]
fn a_paste_wins_the_race_and_a_wrong_one_does_not_end_it() {
    let world = standard();
    let (options, mut paste) = world.with_paste();
    let mut login = begin(world.demo(), options);
    let (url, bound) = login.opened();
    let callback = world.approve(&url);
    writeln!(paste, "{}", with(&callback, "state", Some("of-another-login"))).expect("it is read");
    login.expect_ignored("state_mismatch");
    writeln!(paste, "{callback}").expect("it is read");
    login.succeed();
    assert!(TcpStream::connect(bound[0]).is_err(), "the listener is gone");
    // The reading thread ends with its next line, or the pipe is closed already.
    let _ = writeln!(paste, "late");
}

#[test]
fn a_callback_wins_the_race_while_nobody_pastes() {
    let world = standard();
    let (options, paste) = world.with_paste();
    let mut login = begin(world.demo(), options);
    assert_eq!(visit(&world.approve(&login.url())).status, 200);
    login.succeed();
    drop(paste);
}

#[test]
fn input_that_ends_leaves_the_listener() {
    let world = standard();
    let (options, paste) = world.with_paste();
    drop(paste);
    let mut login = begin(world.demo(), options);
    assert_eq!(visit(&world.approve(&login.url())).status, 200);
    login.succeed();
}

#[test]
fn input_that_ends_is_the_end_where_nothing_listens() {
    let world = world(Config { shape: Shape::Claude, ..Config::default() });
    let (options, paste) = world.with_paste();
    drop(paste);
    assert_eq!(begin(world.claude(), options).fail().code(), "no_answer");
}

#[test]
fn the_time_is_over() {
    let world = standard();
    let options = LoginOptions { timeout: std::time::Duration::ZERO, ..world.options() };
    let mut login = begin(world.demo(), options);
    let (_, bound) = login.opened();
    assert!(matches!(login.fail(), LoginError::TimedOut { .. }));
    assert!(TcpStream::connect(bound[0]).is_err());
    assert!(!world.is_stored());
}

#[test]
fn what_fails_without_a_person_fails_before_anything_is_shown() {
    let world = standard();
    std::fs::write(world.dir.path().join("file"), "").expect("a file");
    let unwritable = LoginOptions { path: Some(world.dir.path().join("file/credentials.json")), ..world.options() };
    let (result, events, _) = begin(world.demo(), unwritable).end();
    assert_eq!((result.expect_err("the store is no store").code(), events), ("store_io", vec![]));

    let nameless = kraube::core::provider::Provider { client_id: None, ..world.demo() };
    let (result, events, _) = begin(nameless, world.options()).end();
    let error = result.expect_err("there is no client id");
    assert_eq!((error.code(), events), ("missing_client_id", vec![]));
    assert!(error.to_string().contains("--client-id"), "{error}");
    assert_eq!(std::fs::read_dir(world.dir.path()).expect("it is ours").count(), 1, "nothing was left behind");
}

fn at_ports(world: &World, ports: Vec<u16>) -> kraube::core::provider::Provider {
    let redirect = RedirectRules { host: LoopbackHost::Literal, path: "/cb".into(), ports };
    kraube::core::provider::Provider { redirect, ..world.demo() }
}

/// Below the ports that systems give out by themselves, so that no connection of another test takes it meanwhile.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % 8000) as u16;
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 8000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

#[test]
fn fault_12_a_registered_port_that_is_taken_gives_way_to_the_next() {
    let world = standard();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken_port = taken.local_addr().expect("it is bound").port();
    let free = free_port();
    let mut login = begin(at_ports(&world, vec![taken_port, free]), world.options());
    let (url, bound) = login.opened();
    assert_eq!(bound[0], SocketAddr::from(([127, 0, 0, 1], free)));
    assert_eq!(parameter(&url, "redirect_uri"), Some(format!("http://127.0.0.1:{free}/cb")));
    assert_eq!(visit(&world.approve(&url)).status, 200);
    login.succeed();

    let (result, events, _) = begin(at_ports(&world, vec![taken_port]), world.options()).end();
    assert_eq!((result.expect_err("the port is taken").code(), events), ("no_listener", vec![]));
}

#[test]
fn a_registered_port_can_be_used_again_at_once() {
    let world = standard();
    let port = free_port();
    for _ in 0..3 {
        let mut login = begin(at_ports(&world, vec![port]), world.options());
        let (url, bound) = login.opened();
        // Browsers open connections in advance.
        let idle = TcpStream::connect(bound[0]).expect("it listens");
        let favicon = format!("GET /favicon.ico HTTP/1.1\r\nHost: {}\r\n\r\n", bound[0]);
        assert_eq!(send(&bound[0].to_string(), favicon).status, 404);
        assert_eq!(visit(&world.approve(&url)).status, 200);
        login.succeed();
        drop(idle);
    }
}

#[test]
fn a_refused_code_is_said_and_nothing_is_stored() {
    let world = standard();
    let mut login = world.login();
    let callback = world.approve(&login.url());
    assert_eq!(visit(&with(&callback, "code", Some("kr_code_of_somebody_else"))).status, 200);
    let error = login.fail();
    assert_eq!(error.code(), "code_refused");
    assert!(error.hint().is_some());
    assert!(!world.is_stored());
}

/// Canaries: no secret is in what is shown, in the pages, or in an error.
#[test]
fn secrets_are_nowhere_but_where_they_belong() {
    let world = standard();
    let mut pages = String::new();
    let mut secrets = Vec::new();
    let mut shown = String::new();
    for failing in [false, true] {
        let mut login = world.login();
        let (url, bound) = login.opened();
        let callback = world.approve(&url);
        let wrong = [with(&callback, "state", Some("x")), with(&callback, "iss", None), format!("{callback}&code=b")];
        for wrong in &wrong {
            pages.push_str(&format!("{:?}", get(wrong)));
        }
        let post = format!("POST {} HTTP/1.1\r\nHost: {}\r\n\r\n", split(&callback).1, bound[0]);
        pages.push_str(&format!("{:?}", send(&bound[0].to_string(), post)));
        secrets.extend([parameter(&callback, "code"), parameter(&callback, "state")].map(|part| part.expect("sent")));
        secrets.push(parameter(&url, "code_challenge").expect("sent"));
        if failing {
            world.server.inject(Fault::before(FaultKind::body(
                400,
                "application/json",
                format!(r#"{{"error":"invalid_grant","hint":"{}"}}"#, secrets[0]),
            )));
        }
        pages.push_str(&format!("{:?}{:?}", get(&callback), get(&format!("http://{}/done", bound[0]))));
        let (result, _, text) = login.end();
        shown.push_str(&text);
        match result {
            Ok(logged_in) => {
                let credentials = &logged_in.credentials;
                secrets.push(credentials.access_token.expose().to_owned());
                secrets.extend(credentials.refresh_token.as_ref().map(|token| token.expose().to_owned()));
                shown.push_str(&format!("{logged_in:?}"));
            }
            Err(error) => shown.push_str(&format!("{error} {error:?} {:?}", error.hint())),
        }
    }
    assert_eq!(secrets.len(), 8);
    for secret in &secrets {
        assert!(!pages.contains(secret), "{secret} is on a page");
        assert!(!shown.contains(secret), "{secret} is shown in {shown}");
    }
}
