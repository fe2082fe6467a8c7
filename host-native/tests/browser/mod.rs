//! What the login tests share: a browser that is a plain TCP client, and a login that runs while a test acts as the
//! person.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use kraube::core::provider::Provider;
use kraube::login::{Event, LoggedIn, LoginError, LoginOptions, Redirect, login};
use kraube_testserver::{Config, Server};
use std::io::{PipeWriter, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

/// Longer than anything takes that is going to happen at all.
pub const LONG: Duration = Duration::from_secs(60);

/// An authorization server, and a place for the credentials.
pub struct World {
    pub server: Server,
    pub dir: TempDir,
    pub file: PathBuf,
}

pub fn world(config: Config) -> World {
    let server = Server::spawn(config).expect("a free port on the loopback interface");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("credentials.json");
    World { server, dir, file }
}

impl World {
    pub fn demo(&self) -> Provider {
        Provider::demo(&self.server.issuer()).expect("the issuer is a loopback URL")
    }

    pub fn claude(&self) -> Provider {
        Provider::demo_claude(&self.server.issuer()).expect("the issuer is a loopback URL")
    }

    /// No browser, nothing to paste into: the test is the browser.
    pub fn options(&self) -> LoginOptions {
        options(&self.file)
    }

    /// The same, and a pipe to paste into.
    pub fn with_paste(&self) -> (LoginOptions, PipeWriter) {
        let (reader, writer) = std::io::pipe().expect("there are pipes");
        (LoginOptions { paste: Some(Box::new(reader)), ..self.options() }, writer)
    }

    pub fn login(&self) -> Running {
        begin(self.demo(), self.options())
    }

    /// Lets the server approve, and returns the callback that it sends the browser to.
    pub fn approve(&self, url: &str) -> String {
        let reply = get(url);
        assert_eq!(reply.status, 302, "{}", reply.body);
        reply.header("location").expect("a redirect has a location")
    }

    pub fn is_stored(&self) -> bool {
        self.file.exists()
    }
}

pub fn options(file: &Path) -> LoginOptions {
    LoginOptions { path: Some(file.to_owned()), browser: false, timeout: LONG, paste: None }
}

/// What the tests look at of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Listening(SocketAddr),
    OpenThis { url: String, redirect: Redirect },
    Ignored(&'static str),
    Other(String),
}

impl Seen {
    #[expect(clippy::wildcard_enum_match_arm, reason = "of the others only the order is looked at")]
    fn of(event: Event<'_>) -> Self {
        match event {
            Event::Listening { addr } => Self::Listening(addr),
            Event::OpenThis { url, redirect } => {
                Self::OpenThis { url: url.as_str().to_owned(), redirect: redirect.clone() }
            }
            Event::Ignored(reason) => Self::Ignored(reason.code()),
            other => Self::Other(format!("{other:?}")),
        }
    }
}

/// A login under way.
pub struct Running {
    events: Receiver<(Seen, String)>,
    thread: JoinHandle<Result<LoggedIn, LoginError>>,
    /// Everything that was shown, as `Debug` prints it.
    pub shown: String,
}

pub fn begin(provider: Provider, options: LoginOptions) -> Running {
    let (sender, events) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        login(&provider, options, &mut |event: Event<'_>| {
            sender.send((Seen::of(event), format!("{event:?}\n"))).expect("the test listens");
        })
    });
    Running { events, thread, shown: String::new() }
}

impl Running {
    /// The next event; `None` when the login is over.
    pub fn next(&mut self) -> Option<Seen> {
        match self.events.recv_timeout(LONG) {
            Ok((seen, text)) => {
                self.shown.push_str(&text);
                Some(seen)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("nothing happens; until now:\n{}", self.shown),
        }
    }

    /// The URL to open, and the addresses of the listener.
    pub fn opened(&mut self) -> (String, Vec<SocketAddr>) {
        let mut bound = Vec::new();
        loop {
            match self.next() {
                Some(Seen::Listening(addr)) => bound.push(addr),
                Some(Seen::OpenThis { url, .. }) => return (url, bound),
                other => panic!("{other:?} before the URL"),
            }
        }
    }

    pub fn url(&mut self) -> String {
        self.opened().0
    }

    pub fn expect_ignored(&mut self, code: &str) {
        match self.next() {
            Some(Seen::Ignored(seen)) => assert_eq!(seen, code),
            other => panic!("{other:?} in place of {code}"),
        }
    }

    /// The rest of the events, and how it ended.
    pub fn end(mut self) -> (Result<LoggedIn, LoginError>, Vec<Seen>, String) {
        let rest: Vec<_> = std::iter::from_fn(|| self.next()).collect();
        let result = self.thread.join().expect("the login does not panic");
        (result, rest, self.shown)
    }

    pub fn succeed(self) -> LoggedIn {
        self.end().0.expect("the login succeeds")
    }

    pub fn fail(self) -> LoginError {
        self.end().0.expect_err("the login fails")
    }
}

/// What a browser gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<String> {
        let mut lines = self.head.split("\r\n").filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    }
}

/// Authority, and path with query.
pub fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").expect("tests use http");
    let at = rest.find('/').expect("there is a path");
    rest.split_at(at)
}

pub fn get(url: &str) -> Reply {
    let (authority, target) = split(url);
    send(authority, format!("GET {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"))
}

/// Follows redirects within the listener, as a browser does, to the last page.
pub fn visit(callback: &str) -> Reply {
    let reply = get(callback);
    match reply.header("location") {
        Some(location) => get(&format!("http://{}{location}", split(callback).0)),
        None => reply,
    }
}

pub fn send(authority: &str, request: impl AsRef<[u8]>) -> Reply {
    let mut stream = TcpStream::connect(authority).expect("it listens");
    // The listener may have seen enough before all of it is written.
    let _ = stream.write_all(request.as_ref());
    read(&mut stream)
}

/// One whole response.
pub fn read(stream: &mut TcpStream) -> Reply {
    stream.set_read_timeout(Some(LONG)).expect("a time that is not zero");
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut reply = Reply { status: 0, head: head.to_owned(), body: String::new() };
            reply.status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
            let length: usize = reply.header("content-length").map_or(0, |text| text.parse().expect("a number"));
            if body.len() >= length {
                reply.body = body[..length].to_owned();
                return reply;
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).expect("a response") {
            0 => panic!("the response ends early: {:?}", String::from_utf8_lossy(&bytes)),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

/// A parameter of a URL's query.
pub fn parameter(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The URL with a parameter set anew, added, or with `None` taken out.
pub fn with(url: &str, name: &str, value: Option<&str>) -> String {
    let (address, query) = url.split_once('?').expect("there is a query");
    let kept = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key != name);
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(kept).extend_pairs(value.map(|value| (name, value)));
    format!("{address}?{}", query.finish())
}

/// `code#state`, as a page shows it to be copied.
pub fn shown_code(callback: &str) -> String {
    let part = |name| parameter(callback, name).expect("the server sends it");
    format!("{}#{}", part("code"), part("state"))
}
