//! Metadata, revocation, the resource, cross-origin access, and the life of the server itself.

use crate::client::{form, get, is_live, raw_refresh, read_all, refresh, send, server, wait};
use kraube_testserver::{Canary, Config, Event, Fault, FaultKind, Files, Server};
use serde_json::json;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

#[test]
fn metadata_names_the_endpoints() {
    let server = server(Config::default());
    let answer = get(&format!("{}/.well-known/oauth-authorization-server", server.issuer()));
    let document = answer.json();
    assert_eq!(document["issuer"], server.issuer());
    assert_eq!(document["authorization_endpoint"], server.authorize_url());
    assert_eq!(document["token_endpoint"], server.token_url());
    assert_eq!(document["revocation_endpoint"], server.revoke_url());
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(
        document["grant_types_supported"],
        json!(["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"])
    );
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
}

#[test]
fn members_of_answers_can_be_set_and_removed() {
    let server = server(Config {
        metadata_members: vec![("code_challenge_methods_supported".into(), None)],
        token_members: vec![("expires_in".into(), Some(json!(null))), ("refresh_token".into(), None)],
        ..Config::default()
    });
    let metadata = get(&format!("{}/.well-known/oauth-authorization-server", server.issuer())).json();
    assert!(metadata.get("code_challenge_methods_supported").is_none());
    let answer = refresh(&server, &server.issue_login().refresh_token).json();
    assert_eq!((answer.get("expires_in"), answer.get("refresh_token")), (Some(&json!(null)), None));
}

#[test]
fn revoking_a_refresh_token_ends_the_login() {
    let server = server(Config::default());
    let login = server.issue_login();
    let revoke = |token: &str| form(&server.revoke_url(), &[("client_id", "client"), ("token", token)]);
    assert_eq!(revoke(&login.refresh_token).status, 200);
    assert!(!is_live(&server, &login.access_token));
    assert_eq!(refresh(&server, &login.refresh_token).error(), (400, "invalid_grant".into()));
    assert_eq!(revoke("never issued").status, 200);
    assert_eq!((server.counters().revocations, server.counters().families_revoked), (2, 1));
    assert_eq!(form(&server.revoke_url(), &[("client_id", "client")]).error(), (400, "invalid_request".into()));
    assert_eq!(form(&server.revoke_url(), &[("token", "x")]).error(), (401, "invalid_client".into()));
}

#[test]
fn revoking_an_access_token_leaves_the_login() {
    let server = server(Config::default());
    let login = server.issue_login();
    form(&server.revoke_url(), &[("client_id", "client"), ("token", &login.access_token)]);
    assert!(!is_live(&server, &login.access_token) && server.family_alive(&login.refresh_token));
}

#[test]
fn a_revocation_endpoint_that_is_unavailable_revokes_nothing() {
    let server = server(Config { revocation_status: 503, ..Config::default() });
    let login = server.issue_login();
    let answer = form(&server.revoke_url(), &[("client_id", "client"), ("token", &login.refresh_token)]);
    assert_eq!(answer.status, 503);
    assert!(server.family_alive(&login.refresh_token));
    assert_eq!(server.counters().revocations, 0);
}

#[test]
fn the_resource_wants_a_live_access_token() {
    let server = server(Config::default());
    let login = server.issue_login();
    let url = server.resource_url();
    let with = |value: &str| send("GET", &url, &[("authorization", value)], "");
    assert_eq!(with(&format!("bearer {}", login.access_token)).status, 200);
    let challenge = get(&url).header("www-authenticate").to_owned();
    assert!(challenge.starts_with("Bearer ") && !challenge.contains("error"), "{challenge}");
    let metadata = challenge.split_once("resource_metadata=\"").expect("where its metadata are").1;
    let document = get(metadata.split('"').next().expect("its end"));
    assert_eq!(document.member("resource"), url);
    let refused = with("Bearer kr_at_unknown");
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").contains("error=\"invalid_token\""));
    assert_eq!(with(&format!("Bearer {}", login.refresh_token)).status, 401);
    assert_eq!(get(&format!("{url}?access_token={}", login.access_token)).status, 401);
    server.expire_access_tokens();
    assert_eq!(with(&format!("Bearer {}", login.access_token)).status, 401);
    assert!(server.family_alive(&login.refresh_token));
    assert!(is_live(&server, &refresh(&server, &login.refresh_token).member("access_token")));
    server.set_config(|config| config.access_life = Duration::ZERO);
    assert!(!is_live(&server, &refresh(&server, &server.issue_login().refresh_token).member("access_token")));
    let counters = get(&format!("{}/counters", server.issuer())).json();
    assert_eq!((&counters["resource_ok"], &counters["resource_401"]), (&json!(2), &json!(6)));
    assert_eq!(counters, serde_json::to_value(server.counters()).unwrap());
}

#[test]
fn pages_of_any_origin_may_use_the_endpoints() {
    let server = server(Config::default());
    let metadata = format!("{}/.well-known/oauth-authorization-server", server.issuer());
    for url in [server.token_url(), server.revoke_url(), server.resource_url(), metadata] {
        let asks = [
            ("origin", "https://app.example"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type"),
        ];
        let preflight = send("OPTIONS", &url, &asks, "");
        assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, "*"), "{url}");
        assert!(preflight.header("access-control-allow-methods").contains("POST"));
        assert!(preflight.header("access-control-allow-headers").contains("authorization, content-type"));
    }
    let refused = form(&server.token_url(), &[]);
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, "*"));
    assert_eq!(get(&server.authorize_url()).header("access-control-allow-origin"), "");
}

#[test]
fn without_cors_a_request_takes_effect_and_no_page_may_read_the_answer() {
    let server = server(Config { cors: false, ..Config::default() });
    let answer = refresh(&server, &server.issue_login().refresh_token);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, ""));
    assert_eq!(server.counters().rotations, 1);
}

#[test]
fn files_are_served_below_their_path_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("app")).unwrap();
    std::fs::write(folder.path().join("app/page.js"), "export {}").unwrap();
    std::fs::write(folder.path().join("secret"), "").unwrap();
    let files = vec![Files { path: "/page".into(), folder: folder.path().join("app") }];
    let server = server(Config { files, ..Config::default() });
    let at = |path: &str| get(&format!("{}{path}", server.issuer()));
    let script = at("/page/page.js");
    assert_eq!(
        (script.status, script.text.as_str(), script.header("content-type")),
        (200, "export {}", "text/javascript")
    );
    assert_eq!(script.header("content-security-policy"), "frame-ancestors 'none'");
    assert_eq!(script.header("x-content-type-options"), "nosniff");
    for missing in ["/page/secret", "/page/../secret", "/page/%2e%2e/secret", "/secret"] {
        assert_eq!(at(missing).status, 404, "{missing}");
    }
    assert_eq!(at("/counters").status, 200);
}

#[test]
fn a_program_without_the_handle_can_change_the_server() {
    let server = server(Config { control: true, ..Config::default() });
    let post = |path: &str, body: &str| {
        let content_type = [("content-type", "application/json")];
        send("POST", &format!("{}{path}", server.issuer()), &content_type, body)
    };
    let login = post("/control/login", "").json();
    let (first, token) = (login["accessToken"].as_str().unwrap(), login["refreshToken"].as_str().unwrap());
    assert!(is_live(&server, first) && server.family_alive(token));
    assert_eq!(post("/control", r#"{"accessLife": 2000, "grace": 60000, "expireAccessTokens": true}"#).status, 200);
    assert!(!is_live(&server, first));
    assert_eq!(refresh(&server, token).json()["expires_in"], 2);
    assert_eq!(refresh(&server, token).status, 200);
    assert_eq!(post("/control", r#"{"grace": null}"#).status, 200);
    assert_eq!(refresh(&server, token).error(), (400, "invalid_grant".into()));
    assert_eq!(post("/control", r#"{"acessLife": 1}"#).status, 422);
    let plain = send("POST", &format!("{}/control", server.issuer()), &[("content-type", "text/plain")], "{}");
    assert_eq!(plain.status, 415, "what a page of another origin can send without a preflight");
}

#[test]
fn nobody_changes_a_server_that_does_not_allow_it() {
    let server = server(Config::default());
    let content_type = [("content-type", "application/json")];
    for path in ["/control", "/control/login"] {
        assert_eq!(send("POST", &format!("{}{path}", server.issuer()), &content_type, "{}").status, 404);
    }
}

#[test]
fn tokens_can_be_large() {
    let server = server(Config { token_size: 65536, ..Config::default() });
    let login = server.issue_login();
    assert_eq!((login.refresh_token.len(), login.access_token.len()), (65536, 65536));
    let next = refresh(&server, &login.refresh_token);
    assert_eq!(next.member("refresh_token").len(), 65536);
    assert!(is_live(&server, &next.member("access_token")));
}

#[test]
fn dropping_the_server_ends_its_connections_and_its_thread() {
    let server = server(Config::default());
    let events = server.events();
    server.inject(Fault::before(FaultKind::Hang));
    let mut hanging = raw_refresh(&server, &server.issue_login().refresh_token);
    wait(&events, |event| *event == Event::FaultInjected);
    drop(server);
    assert!(read_all(&mut hanging).unwrap_or_default().is_empty());
    assert!(events.recv().is_err(), "nothing of the server is left that could send");
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    assert!(Server::spawn(Config { port, ..Config::default() }).is_err());
}

#[test]
fn canaries_are_found_in_what_a_client_says() {
    let server = server(Config::default());
    let login = server.issue_login();
    let said = format!("Bearer {}", login.access_token);
    assert_eq!(server.canaries_in(said.as_bytes()), [Canary::AccessToken].into());
    assert_eq!(server.canaries_in(&login.refresh_token.as_bytes()[20..]), [Canary::RefreshToken].into());
    assert_eq!(server.canaries_in(b"kr_rt_ and nothing that was ever issued"), [].into());
    assert_eq!(server.targets_with_query(), [""; 0]);
    let leaking = format!("{}?access_token={}", server.resource_url(), login.access_token);
    assert_eq!(get(&leaking).status, 401);
    let targets = server.targets_with_query().concat();
    assert_eq!(server.canaries_in(targets.as_bytes()), [Canary::AccessToken].into(), "{targets}");
}
