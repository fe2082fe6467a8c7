//! Metadata of servers and resources. An input is how the search begins, `issuer URL` or `resource URL`, and then the
//! answers to what is fetched, each behind an empty line: the status and a `WWW-Authenticate` header on one line, then the
//! body.

use crate::{fit_for_display, members, text};
use kraube_core::discovery::{Discovery, DiscoveryError, Fetched, Found, Next};
use kraube_core::http::{Endpoint, SendError, SendErrorKind};
use kraube_core::login::{Login, Redirect};
use kraube_core::pkce::Entropy;
use std::net::Ipv4Addr;
use url::{Host, Url};

pub(crate) const WORDS: &[&str] = &[
    "issuer https://auth.example\n\n",
    "issuer http://127.0.0.1:1\n\n",
    "resource https://api.example/mcp\n\n",
    "\n\n200\n",
    "\n\n404\n",
    "\n\n401 Bearer resource_metadata=\"https://api.example/m\", scope=\"a b\"\n",
    "{",
    "}",
    ",",
    "[",
    "]",
    "\"issuer\":\"https://auth.example\"",
    "\"authorization_endpoint\":\"https://auth.example/authorize\"",
    "\"token_endpoint\":\"https://auth.example/token\"",
    "\"token_endpoint\":\"https://10.1/token\"",
    "\"revocation_endpoint\":\"https://0x7f.1/revoke\"",
    "\"device_authorization_endpoint\":\"http://localhost/device\"",
    "\"code_challenge_methods_supported\":[\"S256\"]",
    "\"code_challenge_methods_supported\":[\"plain\"]",
    "\"authorization_response_iss_parameter_supported\":true",
    "\"resource\":\"https://api.example/mcp\"",
    "\"authorization_servers\":[\"https://auth.example\"]",
    "\"authorization_servers\":[\"https://[::ffff:a00:1]\"]",
    "\"scopes_supported\":[\"a\",\"\\u001b[2J\"]",
    "169.254.169.254",
    "2130706433",
    "localhost.",
    "null",
];

/// The probe, two documents of the resource, three of the server.
const MOST_FETCHES: usize = 6;

pub(crate) fn check(input: &[u8]) {
    let Ok(input) = str::from_utf8(input) else { return };
    let mut parts = input.split("\n\n");
    let Some((how, named)) = parts.next().and_then(|first| first.split_once(' ')) else { return };
    let mut next = match how {
        "issuer" => Discovery::of_issuer(named),
        "resource" => Discovery::of_resource(named),
        _ => return,
    };
    let (mut fetches, mut last) = (Vec::new(), String::new());
    let found = loop {
        match next {
            Ok(Next::Fetch(search, url)) => {
                assert!(is_inside(named) || !is_inside(url.as_str()), "{named} leads inside, to {url}");
                fetches.push(url);
                assert!(fetches.len() <= MOST_FETCHES, "{fetches:?}");
                let answer = parts.next().map_or_else(lost, |part| answer(part, &mut last));
                next = search.receive(answer);
            }
            Ok(Next::Found(found)) => break found,
            Err(error) => return told(&error),
        }
    };
    judge(how, named, &found, &last);
    let provider = found.provider(Some("client".to_owned()));
    let redirect = Redirect::Loopback { uri: "http://127.0.0.1:1/callback".to_owned() };
    if let Ok((_, url)) = Login::begin(&provider, redirect, Entropy::new([7; Entropy::LEN])) {
        assert!(fit_for_display(url.as_str()) && !url.as_str().contains(' '), "{url:?}");
        assert!(url.as_str().starts_with(provider.authorization_endpoint.as_str()), "the login is begun elsewhere");
    }
}

fn answer(part: &str, last: &mut String) -> Result<Fetched, SendError> {
    let (head, body) = part.split_once('\n').unwrap_or((part, ""));
    let (status, challenge) = head.split_once(' ').unwrap_or((head, ""));
    let Ok(status) = status.parse() else { return lost() };
    body.clone_into(last);
    let www_authenticate = if challenge.is_empty() { Vec::new() } else { vec![challenge.to_owned()] };
    Ok(Fetched { status, www_authenticate, body: body.into() })
}

fn lost() -> Result<Fetched, SendError> {
    Err(SendError { kind: SendErrorKind::NotSent, detail: "no network".to_owned() })
}

fn told(error: &DiscoveryError) {
    assert!(fit_for_display(&error.to_string()) && !error.code().is_empty(), "{error}");
}

/// What was found, against the last document that was fetched.
fn judge(how: &str, named: &str, found: &Found, document: &str) {
    let document = members(document.as_bytes());
    let told = |name: &str| text(&document, name);
    let server = &found.server;
    assert_eq!(server.issuer, told("issuer"), "a document of another issuer is used");
    if how == "issuer" {
        assert_eq!((server.issuer.as_str(), found.resource.as_ref()), (named, None));
    } else {
        let resource = found.resource.as_ref().expect("a resource was named");
        let origin = Endpoint::parse(&named.to_ascii_lowercase()).expect("it was asked").origin().to_owned();
        let canonical = format!("{origin}{}", &named[origin.len()..]);
        let is_asked = [canonical, format!("{origin}/"), origin].contains(resource);
        assert!(is_asked, "{resource}, {named}");
        let methods = document.get("code_challenge_methods_supported").expect("it must say that it checks");
        assert!(serde_json::from_str::<Vec<String>>(methods).is_ok_and(|all| all.iter().any(|one| one == "S256")));
    }
    let endpoints = [
        ("authorization_endpoint", Some(&server.authorization_endpoint)),
        ("token_endpoint", Some(&server.token_endpoint)),
        ("revocation_endpoint", server.revocation_endpoint.as_ref()),
        ("device_authorization_endpoint", server.device_authorization_endpoint.as_ref()),
    ];
    for (name, endpoint) in endpoints {
        let url = endpoint.map(Endpoint::as_str).unwrap_or_default();
        assert_eq!(url, told(name), "{name}");
        assert!(is_inside(named) || !is_inside(url), "{named} leads inside, to {url}");
    }
    let sends_iss = document.get("authorization_response_iss_parameter_supported");
    assert_eq!(server.sends_iss, sends_iss.is_some_and(|raw| raw == "true"));
}

/// By the parser by which requests are sent, and by the addresses as numbers.
fn is_inside(url: &str) -> bool {
    let parsed = Url::parse(url).ok();
    match parsed.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => is_inside_v4(address),
        Some(Host::Ipv6(address)) => match address.segments() {
            [0, 0, 0, 0, 0, 0xffff, high, low] => is_inside_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
            [0, 0, 0, 0, 0, 0, 0, 0 | 1] | [0xfc00..=0xfdff, ..] | [0xfe80..=0xfebf, ..] => true,
            _ => false,
        },
        None => false,
    }
}

fn is_inside_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    matches!((a, b), (10 | 127, _) | (172, 16..=31) | (192, 168) | (169, 254) | (100, 64..=127))
        || address == Ipv4Addr::UNSPECIFIED
        || address == Ipv4Addr::BROADCAST
}
