//! What a person sees and clicks.

use crate::client::{AUTHORIZATION, authorize, changed, form, get, refresh, server};
use kraube_testserver::Config;

fn asking() -> Config {
    Config { auto_approve: false, ..Config::default() }
}

#[test]
fn a_person_approves() {
    let server = server(asking());
    let page = authorize(&server, &[]);
    assert_eq!((page.status, server.counters().authorizations), (200, 0));
    for text in
        ["<strong>client</strong>", "<code>one</code>", "127.0.0.1:1234", "value=\"approve\"", "value=\"st&amp;te\""]
    {
        assert!(page.text.contains(text), "{text} in {}", page.text);
    }
    let approved = form(&server.authorize_url(), &changed(AUTHORIZATION, &[("decision", Some("approve"))]));
    assert_eq!((approved.status, approved.redirect("state").as_deref()), (303, Some("st&te")));
    assert!(approved.redirect("code").is_some());
}

#[test]
fn a_person_denies() {
    let server = server(asking());
    for decision in [Some("deny"), None] {
        let denied = form(&server.authorize_url(), &changed(AUTHORIZATION, &[("decision", decision)]));
        assert_eq!((denied.status, denied.redirect("error").as_deref()), (303, Some("access_denied")));
        assert_eq!(denied.redirect("iss"), Some(server.issuer()));
    }
    assert_eq!(server.counters().authorizations, 0);
}

#[test]
fn the_form_cannot_skip_a_check() {
    let server = server(asking());
    let pairs = changed(AUTHORIZATION, &[("decision", Some("approve")), ("code_challenge", None)]);
    assert_eq!(form(&server.authorize_url(), &pairs).redirect("error").as_deref(), Some("invalid_request"));
}

#[test]
fn pages_escape_what_they_show_and_allow_no_script() {
    let server = server(asking());
    let evil = "\"><script>alert('1')</script>";
    let pages = [
        authorize(
            &server,
            &[("client_id", Some(evil)), ("scope", Some(evil)), ("state", Some(evil)), (evil, Some("x"))],
        ),
        authorize(&server, &[("redirect_uri", Some(evil))]),
        get(&format!("{}?code=%22%3E%3Cscript%3E&state=%3Cscript%3E", server.manual_redirect_uri())),
        get(&format!("{}?error=%3Cscript%3E", server.manual_redirect_uri())),
        get(&server.issuer()),
    ];
    for page in pages {
        assert!(!page.text.contains("<script") && !page.text.contains("\">\""), "{}", page.text);
        assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
        assert_eq!(page.header("referrer-policy"), "no-referrer");
    }
}

#[test]
fn the_front_page_shows_endpoints_and_counters_and_no_secret() {
    let server = server(Config::default());
    let next = refresh(&server, &server.issue_login().refresh_token);
    let page = get(&format!("{}/", server.issuer()));
    assert!(page.text.contains("<th>rotations<td>1") && page.text.contains(&server.token_url()));
    assert!(!page.text.contains("kr_") && !page.text.contains(&next.member("access_token")));
    let style = get(&format!("{}/style.css", server.issuer()));
    assert_eq!((style.status, style.header("content-type")), (200, "text/css"));
}
