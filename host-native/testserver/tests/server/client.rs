//! A client without any cleverness: it sends what it is told and shows what came back.

use kraube_testserver::{Config, Event, Server};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use ureq::Agent;
use ureq::http::{Request, Response};

/// RFC 7636 appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1:1234/callback";

pub(crate) fn server(config: Config) -> Server {
    Server::spawn(config).expect("a free port on the loopback interface")
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) response: Response<()>,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} {}", self.status, self.text))
    }

    pub(crate) fn member(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.text)).to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The status and the OAuth error, to compare at a glance.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.member("error"))
    }

    /// A parameter of the redirect.
    pub(crate) fn redirect(&self, name: &str) -> Option<String> {
        let (_, query) = self.header("location").split_once('?').expect("a redirect with a query");
        form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

pub(crate) fn send(method: &str, url: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Reply {
    let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).allow_non_standard_methods(true);
    let agent = Agent::new_with_config(config.build());
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = body.into();
    let answer = match method {
        "POST" => agent.run(request.body(body).unwrap()),
        _ => agent.run(request.body(()).unwrap()),
    };
    let (parts, mut body) = answer.expect("an answer").into_parts();
    let text = body.with_config().limit(64 << 20).read_to_string().expect("a body");
    Reply { status: parts.status.as_u16(), response: Response::from_parts(parts, ()), text }
}

pub(crate) fn get(url: &str) -> Reply {
    send("GET", url, &[], "")
}

pub(crate) fn encode(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

pub(crate) fn form(url: &str, pairs: &[(&str, &str)]) -> Reply {
    send("POST", url, &[("content-type", "application/x-www-form-urlencoded")], encode(pairs))
}

pub(crate) fn refresh(server: &Server, refresh_token: &str) -> Reply {
    form(&server.token_url(), &refresh_form(refresh_token))
}

pub(crate) fn refresh_form(refresh_token: &str) -> [(&str, &str); 3] {
    [("grant_type", "refresh_token"), ("client_id", "client"), ("refresh_token", refresh_token)]
}

/// Whether the resource accepts this access token.
pub(crate) fn is_live(server: &Server, access_token: &str) -> bool {
    send("GET", &server.resource_url(), &[("authorization", &format!("Bearer {access_token}"))], "").status == 200
}

/// A good authorization request, with these parameters set, or with `None` taken out.
pub(crate) fn authorize(server: &Server, changes: &[(&str, Option<&str>)]) -> Reply {
    get(&format!("{}?{}", server.authorize_url(), encode(&changed(AUTHORIZATION, changes))))
}

pub(crate) const AUTHORIZATION: &[(&str, &str)] = &[
    ("response_type", "code"),
    ("client_id", "client"),
    ("redirect_uri", REDIRECT_URI),
    ("state", "st&te"),
    ("code_challenge", CHALLENGE),
    ("code_challenge_method", "S256"),
    ("scope", "one two"),
];

pub(crate) fn changed<'a>(
    pairs: &[(&'a str, &'a str)],
    changes: &[(&'a str, Option<&'a str>)],
) -> Vec<(&'a str, &'a str)> {
    let kept = pairs.iter().copied().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let set = changes.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    kept.chain(set).collect()
}

/// A connection on which a refresh request has been sent.
pub(crate) fn raw_refresh(server: &Server, refresh_token: &str) -> TcpStream {
    let url = server.token_url();
    let (authority, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).unwrap();
    let body = encode(&refresh_form(refresh_token));
    let mut stream = TcpStream::connect(authority).unwrap();
    let length = body.len();
    let head = format!(
        "POST /{path} HTTP/1.1\r\nhost: {authority}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    stream
}

/// Everything up to the end of the connection.
pub(crate) fn read_all(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map(|_| String::from_utf8_lossy(&bytes).into_owned())
}

/// Waits for this event. The time only bounds how long a failure takes.
pub(crate) fn wait(events: &Receiver<Event>, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = events.recv_timeout(Duration::from_secs(60)).expect("the event never came");
        if wanted(&event) {
            return event;
        }
    }
}
