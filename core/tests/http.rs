//! Endpoints: what is one, where it is, and what is said of the rest; what a request and an answer show of themselves.

use crate::common::{CANARY, json};
use kraube_core::http::{Endpoint, EndpointError, Request};
use kraube_core::machine::{Blob, StoreErrorKind};
use kraube_core::secret::Secret;
use kraube_core::time::Timestamp;

fn endpoint(url: &str) -> Endpoint {
    Endpoint::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

#[test]
fn endpoints_of_every_shape_are_kept_as_they_are_written() {
    let long = format!("https://a.example/{}", "x".repeat(2048 - 18));
    for url in [
        "https://a.example",
        "https://A-b_c.example:1/p?q=1",
        "https://a.example:65535/",
        "https://[2001:db8::1]:443/t",
        "https://[::ffff:1.2.3.4]",
        "http://127.0.0.1:8/t",
        "http://localhost",
        "http://[::1]:8?x",
        long.as_str(),
    ] {
        assert_eq!(endpoint(url).to_string(), url);
    }
}

#[test]
fn what_is_no_endpoint_says_which_rule_it_breaks() {
    use EndpointError::{Characters, Fragment, Host, Scheme, UserInfo};
    let long = format!("https://a.example/{}", "x".repeat(2048 - 17));
    for (url, error) in [
        (long.as_str(), Characters),
        ("https://a.example/a b", Characters),
        ("https://a.example/\n", Characters),
        ("https://b\u{fc}cher.example/", Characters),
        ("https://a.example/\"", Characters),
        ("https:/a.example", Scheme),
        ("http://a.example", Scheme),
        ("http://[::2]/", Scheme),
        ("ftp://localhost", Scheme),
        ("https://", Host),
        ("https:///path", Host),
        ("https://:80", Host),
        ("https://a!example", Host),
        ("https://a.example:", Host),
        ("https://a.example:x", Host),
        ("https://a.example:+1", Host),
        ("https://a.example:65536", Host),
        ("https://[]", Host),
        ("https://[::1", Host),
        ("https://[::1]x", Host),
        ("https://[fe80::1%eth0]/", Host),
        ("https://[1::2::3]", Host),
        ("https://2130706433/", Host),
        ("https://0x7f.1", Host),
        ("https://0X/", Host),
        ("https://10.1:443/", Host),
        ("https://127.0.0.1./", Host),
        ("https://a.example.0177", Host),
        ("https://a@b.example", UserInfo),
        ("https://a.example/?x#y", Fragment),
    ] {
        assert_eq!(Endpoint::parse(url), Err(error), "{url}");
    }
}

#[test]
fn an_endpoint_knows_its_origin_and_whether_it_is_on_this_machine() {
    for (url, origin, here) in [
        ("https://a.example:8443/t?u", "https://a.example:8443", false),
        ("https://a.example?u/t", "https://a.example", false),
        ("https://a", "https://a", false),
        ("https://a.0xg", "https://a.0xg", false),
        ("https://1.example.", "https://1.example.", false),
        ("https://1..", "https://1..", false),
        ("https://10.0.0.1", "https://10.0.0.1", false),
        ("https://a/b/c/d/e/f", "https://a", false),
        ("https://a.example", "https://a.example", false),
        ("http://127.0.0.1:8/t", "http://127.0.0.1:8", true),
        ("https://localhost/", "https://localhost", true),
        ("http://[::1]:9/", "http://[::1]:9", true),
        ("https://[::2]:9/", "https://[::2]:9", false),
        ("https://127.0.0.1.example/", "https://127.0.0.1.example", false),
    ] {
        let endpoint = endpoint(url);
        assert_eq!((endpoint.origin(), endpoint.is_loopback()), (origin, here), "{url}");
    }
}

#[test]
fn a_request_and_an_answer_show_their_size_alone() {
    let request =
        Request { url: endpoint("https://a.example/t"), content_type: "application/json", body: Secret::new(CANARY) };
    assert_eq!(format!("{request:?}"), "POST https://a.example/t (12 bytes)");
    assert_eq!(format!("{:?}", json(200, CANARY)), "HTTP 200 (12 bytes)");
    let blob = Blob::new(CANARY.into());
    assert_eq!(format!("{blob:?}"), "Blob(12 bytes)");
    // The first bytes of SHA-256("abc").
    assert_eq!(format!("{:?}", Blob::new(b"abc".to_vec()).revision()), "ba7816bf8f01");
}

#[test]
fn every_failure_of_a_store_has_a_name() {
    use StoreErrorKind::{Denied, Full, Io, Irreplaceable, NotOurs, ReadOnly, TooLarge};
    let names = [Denied, NotOurs, Full, ReadOnly, Irreplaceable, TooLarge, Io].map(StoreErrorKind::code);
    let expected = ["denied", "not_ours", "full", "read_only", "irreplaceable", "too_large", "io"];
    assert_eq!(names, expected.map(|name| format!("store_{name}")));
}

#[test]
fn a_moment_says_what_it_counts() {
    assert_eq!(Timestamp(5).to_string(), "5 ms since the Unix epoch");
}
