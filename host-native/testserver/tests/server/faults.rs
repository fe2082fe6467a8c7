//! Every fault as it looks on the socket.

use crate::client::{raw_refresh, read_all, refresh, server, wait};
use kraube_testserver::{Config, Event, Fault, FaultKind, Server};
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

/// The answer to a refresh that meets this fault. Then whether the refresh token was spent, which must be so if and only
/// if the fault came after the refresh.
fn on_the_wire(kind: FaultKind) -> String {
    let [before, after] = [Fault::before, Fault::after].map(|fault| {
        let server = server(Config::default());
        let login = server.issue_login();
        let spends = fault(kind.clone()).when == kraube_testserver::When::After;
        server.inject(fault(kind.clone()));
        let answer = read_all(&mut raw_refresh(&server, &login.refresh_token)).expect("an orderly end");
        assert_eq!(!server.family_alive(&login.refresh_token), spends);
        assert_eq!(server.counters().faults_injected, 1);
        answer
    });
    assert_eq!(before.lines().next(), after.lines().next(), "both have one status");
    after
}

#[test]
fn status() {
    let answer = on_the_wire(FaultKind::status(503));
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn retry_after() {
    for value in ["120", "Fri, 31 Dec 2100 23:59:59 GMT"] {
        let answer = on_the_wire(FaultKind::retry_after(429, value));
        assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains(&format!("\r\nretry-after: {value}\r\n")));
    }
}

#[test]
fn any_body() {
    let answer = on_the_wire(FaultKind::body(400, "application/json", r#"{"error":"slow_down"}"#));
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("content-type: application/json\r\n"));
    assert!(answer.ends_with("\r\n\r\n{\"error\":\"slow_down\"}"), "{answer}");
}

#[test]
fn html() {
    let answer = on_the_wire(FaultKind::html());
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("content-type: text/html\r\n"));
}

#[test]
fn redirect() {
    let answer = on_the_wire(FaultKind::redirect("http://127.0.0.1:1/elsewhere"));
    assert!(answer.starts_with("HTTP/1.1 307 ") && answer.contains("location: http://127.0.0.1:1/elsewhere\r\n"));
}

#[test]
fn truncated() {
    let answer = on_the_wire(FaultKind::Truncated);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    assert_eq!(body.len(), length.parse::<usize>().unwrap() / 2);
    assert!(body.starts_with('{') && head.starts_with("HTTP/1.1 200 "));
}

#[test]
fn huge_body() {
    let size = 3_000_001;
    let answer = on_the_wire(FaultKind::HugeBody(size));
    assert!(answer.contains("transfer-encoding: chunked\r\n") && !answer.contains("content-length"));
    let server = server(Config::default());
    server.inject(Fault::before(FaultKind::HugeBody(size)));
    let answer = refresh(&server, &server.issue_login().refresh_token);
    assert_eq!(answer.member("access_token").len() as u64, size);
}

#[test]
fn reset() {
    for fault in [Fault::before(FaultKind::Reset), Fault::after(FaultKind::Reset)] {
        let server = server(Config::default());
        let login = server.issue_login();
        let spends = fault.when == kraube_testserver::When::After;
        server.inject(fault);
        let error = read_all(&mut raw_refresh(&server, &login.refresh_token)).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(!server.family_alive(&login.refresh_token), spends);
    }
}

#[test]
fn hang() {
    let (server, mut stream) = committed(FaultKind::Hang);
    assert_silent(&server, &mut stream);
}

#[test]
fn slow_body() {
    let (server, mut stream) = committed(FaultKind::SlowBody(Duration::from_secs(3600)));
    let mut start = Vec::new();
    while !String::from_utf8_lossy(&start).contains("access_token") {
        let mut byte = [0; 512];
        let read = stream.read(&mut byte).unwrap();
        assert!(read > 0, "the connection ended: {}", String::from_utf8_lossy(&start));
        start.extend_from_slice(&byte[..read]);
    }
    let start = String::from_utf8_lossy(&start);
    assert!(start.starts_with("HTTP/1.1 200 ") && !start.contains('}'), "{start}");
    assert_silent(&server, &mut stream);
}

#[test]
fn a_slow_body_arrives_whole() {
    let server = server(Config::default());
    let login = server.issue_login();
    server.inject(Fault::after(FaultKind::SlowBody(Duration::from_millis(1))));
    assert!(server.family_alive(&refresh(&server, &login.refresh_token).member("refresh_token")));
}

#[test]
fn faults_are_committed_in_order_and_as_often_as_asked() {
    let server = server(Config::default());
    let login = server.issue_login();
    server.inject(Fault::before(FaultKind::status(500)).times(2));
    server.inject(Fault::before(FaultKind::status(503)));
    server.inject(Fault::before(FaultKind::status(504)).times(0));
    let statuses = [(); 4].map(|()| refresh(&server, &login.refresh_token).status);
    assert_eq!(statuses, [500, 500, 503, 200]);
    assert_eq!(server.counters().faults_injected, 3);
}

/// A server on which a refresh just met this fault, and the connection of that refresh.
fn committed(kind: FaultKind) -> (Server, TcpStream) {
    let server = server(Config::default());
    let login = server.issue_login();
    let events = server.events();
    server.inject(Fault::after(kind));
    let stream = raw_refresh(&server, &login.refresh_token);
    wait(&events, |event| *event == Event::FaultInjected);
    (server, stream)
}

/// The server has answered a later request, and still nothing more has come on this connection; which is open.
fn assert_silent(server: &Server, stream: &mut TcpStream) {
    assert_eq!(refresh(server, &server.issue_login().refresh_token).status, 200);
    stream.set_nonblocking(true).unwrap();
    let error = stream.read(&mut [0; 512]).expect_err("nothing to read");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}
