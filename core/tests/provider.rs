//! Providers and clients as data: normative lines A12, C2, C11, G2, G6; fault 14.

use crate::common::client;
use kraube_core::provider::{Client, LoopbackHost, Provider, RedirectRules, TokenBody};

fn provider(extra: &str) -> Result<Provider, serde_json::Error> {
    serde_json::from_str(&format!(
        r#"{{"name":"x","authorization_endpoint":"https://a.example/authorize","token_endpoint":"https://a.example/token"{extra}}}"#
    ))
}

#[test]
fn a_provider_needs_a_name_and_two_endpoints() {
    let provider = provider("").expect("complete");
    assert_eq!(provider.redirect, RedirectRules::default());
    assert_eq!(provider.body, TokenBody::Form);
    assert!(!provider.expects_iss);
    assert!(serde_json::from_str::<Provider>(r#"{"name":"x"}"#).is_err());
}

#[test]
fn every_member_of_a_provider_is_read() {
    let provider = provider(
        r#","issuer":"https://a.example","revocation_endpoint":"https://a.example/r","client_id":"me","scopes":["a","b"],
        "body":"json","authorization_parameters":{"prompt":"login"},"redirect":{"host":"localhost","ports":[1455,1457]},
        "manual_redirect":"https://a.example/show","refused_statuses":[404],"expects_iss":true"#,
    )
    .expect("complete");
    assert_eq!(provider.redirect.ports, [1455, 1457]);
    assert_eq!(provider.redirect.host, LoopbackHost::Localhost);
    assert_eq!(provider.redirect.path, "/callback");
    assert_eq!(provider.authorization_parameters["prompt"], "login");
    let client = provider.client().expect("it has a client id");
    assert_eq!(client.issuer.as_deref(), Some("https://a.example"));
    assert_eq!(client.body, TokenBody::Json);
    assert_eq!(client.refused_statuses, [404]);
}

#[test]
fn a_misspelt_member_is_an_error() {
    for extra in
        [r#","clientId":"me""#, r#","redirect":{"port":1}"#, r#","body":"JSON""#, r#","redirect":{"host":"0.0.0.0"}"#]
    {
        assert!(provider(extra).is_err(), "{extra}");
    }
}

#[test]
fn a12_c2_c11_fault_14_endpoints_are_checked_and_the_error_says_why() {
    for (url, why) in [
        ("javascript:alert(1)", "https://"),
        ("file:///etc/passwd", "host"),
        ("http://a.example/", "https://"),
        ("https://a.example/#x", "fragment"),
        ("https://a:b@a.example/", "user name"),
        ("https://a.example/`id`", "characters"),
        ("--option", "https://"),
    ] {
        let error = provider(&format!(r#","manual_redirect":"{url}""#)).expect_err(url).to_string();
        assert!(error.contains(why), "{url}: {error}");
    }
}

#[test]
fn the_built_in_urls_are_valid_endpoints() {
    let claude = Provider::claude();
    for url in [Some(claude.authorization_endpoint), Some(claude.token_endpoint), claude.manual_redirect] {
        let url = url.expect("claude has it");
        assert_eq!(kraube_core::http::Endpoint::parse(url.as_str()), Ok(url));
    }
    assert_eq!(claude.client_id, None, "no client id is shipped");
    assert_eq!(claude.redirect.host, LoopbackHost::Localhost, "as it is registered");
    assert_eq!(claude.refused_statuses, [404]);
}

#[test]
fn the_demo_has_both_shapes() {
    let standard = Provider::demo("http://127.0.0.1:9").expect("a loopback URL");
    assert_eq!(standard.token_endpoint.as_str(), "http://127.0.0.1:9/token");
    assert!(standard.expects_iss);
    let claude = Provider::demo_claude("http://127.0.0.1:9").expect("a loopback URL");
    assert_eq!(claude.authorization_endpoint.as_str(), "http://127.0.0.1:9/cai/oauth/authorize");
    assert_eq!(claude.token_endpoint.as_str(), "http://127.0.0.1:9/v1/oauth/token");
    assert_eq!(
        claude.manual_redirect.as_ref().map(ToString::to_string).as_deref(),
        Some("http://127.0.0.1:9/oauth/code/callback")
    );
    assert_eq!((claude.name.as_str(), claude.client_id.as_deref()), ("demo-claude", Some("kraube-demo")));
    assert_eq!(claude.revocation_endpoint, None);
    assert_eq!(claude.body, TokenBody::Json);
    assert_eq!(claude.authorization_parameters["code"], "true");
    assert!(Provider::demo("http://evil.example").is_err());
    assert!(Provider::demo_claude("ftp://127.0.0.1").is_err());
}

#[test]
fn g2_g6_the_redirect_uri_names_the_bound_address_unless_the_server_wants_localhost() {
    let mut rules = RedirectRules::default();
    let uri = |rules: &RedirectRules, bound: &str| rules.uri(bound.parse().expect("an address"));
    assert_eq!(uri(&rules, "127.0.0.1:80"), "http://127.0.0.1:80/callback");
    assert_eq!(uri(&rules, "[::1]:4711"), "http://[::1]:4711/callback");
    rules.host = LoopbackHost::Localhost;
    assert_eq!(uri(&rules, "[::1]:4711"), "http://localhost:4711/callback");
}

#[test]
fn the_redirect_path_begins_at_the_root() {
    let rules = |path: &str| serde_json::from_value::<RedirectRules>(serde_json::json!({ "path": path }));
    assert_eq!(rules("/").map(|rules| rules.path).ok().as_deref(), Some("/"));
    for bad in ["", "callback", "0/callback", "@evil.example/", "?a"] {
        let error = rules(bad).expect_err("no path").to_string();
        assert!(error.contains("begins with /"), "{bad}: {error}");
    }
}

#[test]
fn a_client_is_stored_under_these_names() {
    let mut client = client(TokenBody::Form);
    let stored = client.to_json();
    assert_eq!(
        stored,
        r#"{"name":"demo","issuer":"https://auth.example","tokenEndpoint":"https://auth.example/token","revocationEndpoint":"https://auth.example/revoke","clientId":"kraube-demo","body":"form"}"#
    );
    assert_eq!(Client::from_json(&stored), Some(client.clone()));
    assert_eq!(serde_json::to_string(&client).expect("JSON"), stored);
    assert_eq!(serde_json::from_str::<Client>(&stored).expect("it is read"), client);
    client.issuer = None;
    client.revocation_endpoint = None;
    client.refused_statuses = vec![404];
    client.body = TokenBody::Json;
    let stored = client.to_json();
    assert_eq!(
        stored,
        r#"{"name":"demo","tokenEndpoint":"https://auth.example/token","clientId":"kraube-demo","body":"json","refusedStatuses":[404]}"#
    );
    assert_eq!(Client::from_json(&stored), Some(client.clone()));
    assert_eq!(serde_json::to_string(&client).expect("JSON"), stored);
    assert_eq!(serde_json::from_str::<Client>(&stored).expect("it is read"), client);
}

#[test]
fn a_stored_client_may_have_members_of_a_later_version_but_no_bad_endpoint() {
    let with = |member: &str| {
        Client::from_json(&format!(
            r#"{{"name":"x","tokenEndpoint":"https://a.example/t","clientId":"me","issuer":null{member}}}"#
        ))
    };
    assert!(with(r#","later":{"x":1}"#).is_some());
    assert!(with(r#","later":1,"later":2"#).is_some(), "it is not known which of two, and not asked");
    assert!(with(r#","revocationEndpoint":null,"resource":null"#).is_some());
    assert!(with(r#","revocationEndpoint":"http://a.example/""#).is_none());
    assert!(with(r#","clientId":"other""#).is_none(), "a member that is there twice");
    for wrong in [r#"body":null"#, r#"body":"xml""#, r#"refusedStatuses":[70000]"#, r#"refusedStatuses":["404"]"#] {
        assert!(with(&format!(",\"{wrong}")).is_none(), "{wrong}");
    }
    assert_eq!(Client::from_json(r#"["x",null,"https://a.example/t",null,"me"]"#), None);
}
