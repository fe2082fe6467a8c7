//! URLs of endpoints, against the parser by which requests are sent: both must see the same host.

use kraube_core::http::Endpoint;
use url::{Host, Url};

pub(crate) const WORDS: &[&str] = &[
    "https://",
    "http://",
    "HTTPS://",
    "javascript:",
    "127.0.0.1",
    "[::1]",
    "localhost",
    "auth.example",
    "0x7f.1",
    "2130706433",
    "10.1",
    "0X",
    "[::ffff:7f00:1]",
    ":8443",
    ":",
    "@",
    "\\",
    "/",
    "?",
    "#",
    "%2f",
    ".",
    "..",
    "xn--",
    "user:password@",
    "/path",
    "?query=1",
    "\t",
    "é",
];

pub(crate) fn check(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let endpoint = match Endpoint::parse(text) {
        Ok(endpoint) => endpoint,
        Err(error) => return assert!(crate::fit_for_display(&error.to_string())),
    };
    assert_eq!(endpoint.as_str(), text, "nothing is normalised");
    assert!(text.starts_with(endpoint.origin()));
    // Where the other parser refuses it, nothing is sent.
    let Ok(url) = Url::parse(text) else { return };
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{text}");
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => {
            assert!(text.contains(&address.to_string()), "{text} is judged by its name, and leads to {address}");
            address.is_loopback()
        }
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => panic!("{text} has no host"),
    };
    match url.scheme() {
        "https" => assert!(!endpoint.is_loopback() || loopback, "{text} leaves this machine"),
        "http" => assert!(endpoint.is_loopback() && loopback, "{text} would be sent in the clear"),
        other => panic!("{other} is no scheme of an endpoint: {text}"),
    }
}
