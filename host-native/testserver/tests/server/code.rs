//! Authorization request, redirect, and the redemption of the code.

use crate::client::{
    AUTHORIZATION, REDIRECT_URI, Reply, VERIFIER, authorize, changed, encode, form, get, is_live, refresh, send, server,
};
use kraube_testserver::{Config, Server, Shape};
use serde_json::json;
use std::time::Duration;

fn redemption(code: &str) -> Vec<(&str, &str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", "client"),
        ("redirect_uri", REDIRECT_URI),
        ("code", code),
        ("code_verifier", VERIFIER),
    ]
}

fn redeem(server: &Server, code: &str, changes: &[(&str, Option<&str>)]) -> Reply {
    form(&server.token_url(), &changed(&redemption(code), changes))
}

fn code(server: &Server) -> String {
    authorize(server, &[]).redirect("code").expect("a code")
}

#[test]
fn a_code_is_redeemed_for_tokens_that_work() {
    let server = server(Config::default());
    let redirect = authorize(&server, &[]);
    assert_eq!(redirect.status, 302);
    assert!(redirect.header("location").starts_with(&format!("{REDIRECT_URI}?")));
    assert_eq!(redirect.redirect("state").as_deref(), Some("st&te"));
    assert_eq!(redirect.redirect("iss"), Some(server.issuer()));
    let code = redirect.redirect("code").unwrap();

    let answer = redeem(&server, &code, &[]);
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    assert_eq!(answer.header("content-type"), "application/json");
    let mut body = answer.json();
    let tokens = body.as_object_mut().unwrap();
    let (access, next) = (tokens.remove("access_token").unwrap(), tokens.remove("refresh_token").unwrap());
    assert_eq!(body, json!({"token_type": "Bearer", "expires_in": 3600, "scope": "one two"}));
    for (token, prefix) in
        [(code.as_str(), "kr_code_"), (access.as_str().unwrap(), "kr_at_"), (next.as_str().unwrap(), "kr_rt_")]
    {
        assert!(token.starts_with(prefix), "{prefix}");
    }
    assert!(is_live(&server, access.as_str().unwrap()) && server.family_alive(next.as_str().unwrap()));
    let counters = server.counters();
    assert_eq!((counters.authorizations, counters.codes_redeemed, counters.refused), (1, 1, 0));
}

#[test]
fn a_code_that_is_used_twice_revokes_what_it_issued() {
    let server = server(Config::default());
    let code = code(&server);
    let first = redeem(&server, &code, &[]);
    assert_eq!(redeem(&server, &code, &[]).error(), (400, "invalid_grant".into()));
    assert!(!is_live(&server, &first.member("access_token")) && !server.family_alive(&first.member("refresh_token")));
}

#[test]
fn a_code_is_bound_to_its_request_and_spent_by_a_wrong_attempt() {
    let server = server(Config::default());
    let other = "a".repeat(43);
    for (name, value) in
        [("code_verifier", other.as_str()), ("redirect_uri", "http://127.0.0.1:1234/other"), ("client_id", "another")]
    {
        let code = code(&server);
        assert_eq!(redeem(&server, &code, &[(name, Some(value))]).error(), (400, "invalid_grant".into()), "{name}");
        assert_eq!(redeem(&server, &code, &[]).error(), (400, "invalid_grant".into()), "{name}");
    }
    assert_eq!(server.counters().codes_redeemed, 0);
}

#[test]
fn tokens_belong_to_the_client_of_the_request() {
    let server = server(Config::default());
    let token = redeem(&server, &code(&server), &[]).member("refresh_token");
    let stranger = [("client_id", "another"), ("refresh_token", token.as_str()), ("token", token.as_str())];
    let refreshed = form(&server.token_url(), &[&stranger[..], &[("grant_type", "refresh_token")]].concat());
    assert_eq!(refreshed.error(), (400, "invalid_grant".into()));
    assert_eq!(form(&server.revoke_url(), &stranger).error(), (400, "invalid_grant".into()));
    assert!(server.family_alive(&token));
}

#[test]
fn a_code_expires() {
    let server = server(Config { code_life: Duration::ZERO, ..Config::default() });
    assert_eq!(redeem(&server, &code(&server), &[]).error(), (400, "invalid_grant".into()));
}

#[test]
fn an_incomplete_redemption_is_an_invalid_request_and_spends_nothing() {
    let server = server(Config::default());
    let code = code(&server);
    for name in ["code", "code_verifier", "redirect_uri", "grant_type"] {
        assert_eq!(redeem(&server, &code, &[(name, None)]).error(), (400, "invalid_request".into()), "{name}");
    }
    assert_eq!(redeem(&server, &code, &[("code_verifier", Some("short"))]).error(), (400, "invalid_request".into()));
    assert_eq!(redeem(&server, &code, &[("client_id", None)]).error(), (401, "invalid_client".into()));
    let unknown = redeem(&server, &code, &[("grant_type", Some("password"))]);
    assert_eq!(unknown.error(), (400, "unsupported_grant_type".into()));
    assert_eq!(redeem(&server, &code, &[]).status, 200);
}

#[test]
fn token_requests_are_read_strictly() {
    let server = server(Config::default());
    let login = server.issue_login();
    let (url, token) = (server.token_url(), login.refresh_token.as_str());
    let pairs = [("grant_type", "refresh_token"), ("client_id", "c"), ("refresh_token", token)];
    let body = encode(&pairs);
    let form_type = ("content-type", "application/x-www-form-urlencoded");

    let repeated = form(&url, &[&pairs[..], &[("scope", "a"), ("scope", "a")]].concat());
    assert_eq!(repeated.error(), (400, "invalid_request".into()));
    let json = send("POST", &url, &[("content-type", "application/json")], body.as_str());
    assert_eq!(json.error(), (400, "invalid_request".into()));
    assert_eq!(send("POST", &url, &[], body.as_str()).error(), (400, "invalid_request".into()));
    let in_url = send("POST", &format!("{url}?client_id=c"), &[form_type], body.as_str());
    assert_eq!(in_url.error(), (400, "invalid_request".into()));
    let with_secret = send("POST", &url, &[form_type, ("authorization", "Basic YTpi")], body.as_str());
    assert_eq!(with_secret.error(), (401, "invalid_client".into()));
    assert!(with_secret.header("www-authenticate").starts_with("Basic"));
    assert_eq!(get(&url).status, 405);
    assert!(server.family_alive(token));
    assert_eq!(server.counters().refused, 5);
    let charset = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    assert_eq!(send("POST", &url, &charset, body.as_str()).status, 200);
}

#[test]
fn a_wrong_authorization_request_is_told_to_the_client() {
    let server = server(Config::default());
    let cases: &[(&str, Option<&str>, &str)] = &[
        ("response_type", Some("token"), "unsupported_response_type"),
        ("response_type", None, "unsupported_response_type"),
        ("code_challenge", None, "invalid_request"),
        ("code_challenge", Some("short"), "invalid_request"),
        ("code_challenge_method", Some("plain"), "invalid_request"),
        ("code_challenge_method", None, "invalid_request"),
        ("resource", Some("https://api.example/#fragment"), "invalid_target"),
    ];
    for (name, value, error) in cases {
        let redirect = authorize(&server, &[(name, *value)]);
        assert_eq!((redirect.status, redirect.redirect("error").as_deref()), (302, Some(*error)), "{name}");
        assert_eq!(redirect.redirect("state").as_deref(), Some("st&te"));
        assert_eq!(redirect.redirect("iss"), Some(server.issuer()));
        assert_eq!(redirect.redirect("code"), None);
    }
    let url = format!("{}?{}&scope=again", server.authorize_url(), encode(AUTHORIZATION));
    assert_eq!(get(&url).redirect("error").as_deref(), Some("invalid_request"));
    let url = format!("{}?{}&state=again", server.authorize_url(), encode(AUTHORIZATION));
    assert_eq!(get(&url).redirect("state"), None);
    assert_eq!(server.counters().authorizations, 0);
}

#[test]
fn a_request_with_a_wrong_client_or_redirect_uri_goes_nowhere() {
    let server = server(Config { client_ids: Some(vec!["client".into()]), ..Config::default() });
    for (name, value) in [
        ("client_id", None),
        ("client_id", Some("stranger")),
        ("redirect_uri", None),
        ("redirect_uri", Some("http://attacker.example/")),
        ("redirect_uri", Some("/relative")),
    ] {
        let page = authorize(&server, &[(name, value)]);
        assert_eq!((page.status, page.header("location")), (400, ""), "{name} {value:?}");
    }
    let twice = format!("{}?{}&redirect_uri=https://b.example/", server.authorize_url(), encode(AUTHORIZATION));
    assert_eq!(get(&twice).status, 400);
    assert_eq!(authorize(&server, &[("redirect_uri", Some("http://[::1]:9/cb?a=b"))]).status, 302);
    assert_eq!(
        redeem(&server, "kr_code_x", &[("client_id", Some("stranger"))]).error(),
        (401, "invalid_client".into())
    );
}

#[test]
fn the_query_of_a_redirect_uri_is_kept() {
    let server = server(Config::default());
    let redirect = authorize(&server, &[("redirect_uri", Some("https://app.example/cb?keep=1"))]);
    assert!(redirect.header("location").starts_with("https://app.example/cb?keep=1&code=kr_code_"));
}

#[test]
fn the_shape_of_claude() {
    let server = server(Config { shape: Shape::Claude, ..Config::default() });
    assert!(
        server.authorize_url().ends_with("/cai/oauth/authorize") && server.token_url().ends_with("/v1/oauth/token")
    );
    for wrong in [[("code", None), ("scope", None)], [("code", Some("true")), ("state", None)]] {
        assert_eq!(authorize(&server, &wrong).redirect("error").as_deref(), Some("invalid_request"));
    }

    let manual = server.manual_redirect_uri();
    let redirect = authorize(&server, &[("code", Some("true")), ("redirect_uri", Some(&manual))]);
    assert_eq!(redirect.redirect("iss"), None);
    let page = get(redirect.header("location"));
    let code = redirect.redirect("code").unwrap();
    assert!(page.text.contains(&format!(">{code}#st&amp;te<")), "{}", page.text);
    assert_eq!(get(&format!("{}&code=again", redirect.header("location"))).status, 400);

    let json_type = [("content-type", "application/json")];
    let redemption = |state: Option<&str>, code: &str| {
        let mut body = json!({
            "grant_type": "authorization_code", "client_id": "client", "redirect_uri": manual,
            "code": code, "code_verifier": VERIFIER,
        });
        if let Some(state) = state {
            body["state"] = state.into();
        }
        send("POST", &server.token_url(), &json_type, body.to_string())
    };
    let answer = redemption(Some("st&te"), &code);
    assert_eq!(answer.status, 200, "{}", answer.text);
    let again = authorize(&server, &[("code", Some("true")), ("redirect_uri", Some(&manual))]);
    assert_eq!(redemption(None, &again.redirect("code").unwrap()).error(), (400, "invalid_request".into()));

    assert_eq!(refresh(&server, &answer.member("refresh_token")).error(), (400, "invalid_request".into()), "a form");
    let refresh = |token: &str| {
        let body = json!({"grant_type": "refresh_token", "client_id": "client", "refresh_token": token});
        send("POST", &server.token_url(), &json_type, body.to_string())
    };
    let first = answer.member("refresh_token");
    assert_eq!(refresh(&first).status, 200);
    let refused = refresh(&first);
    assert_eq!((refused.status, refused.json()["error"]["type"].as_str()), (404, Some("not_found_error")));
    assert_eq!(server.counters().replays, 1);
    let body = format!(r#"{{"grant_type":"refresh_token","client_id":"a","client_id":"b","refresh_token":"{first}"}}"#);
    assert_eq!(send("POST", &server.token_url(), &json_type, body).error(), (400, "invalid_request".into()));
}

#[test]
fn the_paths_of_the_other_shape_do_not_exist() {
    let server = server(Config::default());
    assert_eq!(form(&format!("{}/v1/oauth/token", server.issuer()), &[]).status, 404);
    assert_eq!(get(&format!("{}/cai/oauth/authorize?{}", server.issuer(), encode(AUTHORIZATION))).status, 404);
    server.set_config(|config| config.shape = Shape::Claude);
    assert_eq!(form(&format!("{}/token", server.issuer()), &[]).status, 404);
}
