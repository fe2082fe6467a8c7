//! Finding an authorization server: normative lines A5 and F1 to F8, faults 16 and 17.

use kraube_core::discovery::{Discovery, DiscoveryError, Fetched, Found, Next};
use kraube_core::http::{Response, SendError, SendErrorKind};
use serde_json::{Value, json};

/// The documents of a network, by URL; all else is 404.
type Network<'a> = &'a [(&'a str, Fetched)];

/// What was found, and what was fetched on the way.
fn search(start: Result<Next, DiscoveryError>, network: Network<'_>) -> (Result<Found, DiscoveryError>, Vec<String>) {
    let mut fetched = Vec::new();
    let mut next = start;
    loop {
        match next {
            Ok(Next::Fetch(discovery, url)) => {
                fetched.push(url.as_str().to_owned());
                let answer = network.iter().find(|(known, _)| *known == url.as_str()).map(|(_, answer)| answer.clone());
                next = discovery.receive(Ok(answer.unwrap_or(Fetched { status: 404, ..Fetched::default() })));
            }
            Ok(Next::Found(found)) => return (Ok(found), fetched),
            Err(error) => return (Err(error), fetched),
        }
    }
}

fn of_issuer(issuer: &str, network: Network<'_>) -> Result<Found, DiscoveryError> {
    search(Discovery::of_issuer(issuer), network).0
}

fn of_resource(resource: &str, network: Network<'_>) -> Result<Found, DiscoveryError> {
    search(Discovery::of_resource(resource), network).0
}

fn code<T: std::fmt::Debug>(result: Result<T, DiscoveryError>) -> &'static str {
    result.expect_err("it must not be used").code()
}

fn document(document: &Value) -> Fetched {
    Fetched { status: 200, body: document.to_string().into_bytes(), ..Fetched::default() }
}

fn metadata(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": "https://auth.example/authorize",
        "token_endpoint": "https://auth.example/token",
        "code_challenge_methods_supported": ["plain", "S256"],
    })
}

fn with(mut document: Value, name: &str, value: Value) -> Fetched {
    document[name] = value;
    self::document(&document)
}

const ISSUER: &str = "https://auth.example";
const AT_ROOT: &str = "https://auth.example/.well-known/oauth-authorization-server";
const MCP: &str = "https://mcp.example/v1";
const MCP_METADATA: &str = "https://mcp.example/.well-known/oauth-protected-resource/v1";

#[test]
fn f3_the_well_known_places_are_tried_in_their_order() {
    let (result, fetched) = search(Discovery::of_issuer("https://auth.example/tenant1/"), &[]);
    let expected = [
        "https://auth.example/.well-known/oauth-authorization-server/tenant1",
        "https://auth.example/.well-known/openid-configuration/tenant1",
        "https://auth.example/tenant1/.well-known/openid-configuration",
    ];
    assert_eq!(fetched, expected);
    let Err(DiscoveryError::NoServerMetadata { tried, .. }) = result else { panic!("{result:?}") };
    assert_eq!(tried, expected);

    let (_, fetched) = search(Discovery::of_issuer(ISSUER), &[]);
    assert_eq!(fetched, [AT_ROOT, "https://auth.example/.well-known/openid-configuration"]);
}

#[test]
fn f8_the_endpoints_come_from_the_metadata() {
    let mut document = metadata(ISSUER);
    document["revocation_endpoint"] = json!("https://auth.example/revoke");
    document["authorization_response_iss_parameter_supported"] = json!(true);
    let found = of_issuer(ISSUER, &[(AT_ROOT, self::document(&document))]).expect("it is there");
    assert!(found.server.sends_iss);
    let provider = found.provider(Some("me".into()));
    assert!(provider.expects_iss);
    let client = provider.client().expect("there is a client id");
    assert_eq!(client.issuer.as_deref(), Some(ISSUER));
    assert_eq!(client.token_endpoint.as_str(), "https://auth.example/token");
    assert_eq!(client.revocation_endpoint.map(String::from).as_deref(), Some("https://auth.example/revoke"));
}

#[test]
fn members_that_are_null_are_as_good_as_absent() {
    let null = |mut document: Value, names: &[&str]| {
        names.iter().for_each(|name| document[*name] = Value::Null);
        self::document(&document)
    };
    let resource = json!({"resource": MCP, "authorization_servers": [ISSUER]});
    let resource = null(resource, &["scopes_supported", "dpop_bound_access_tokens_required"]);
    let flags = [
        "authorization_response_iss_parameter_supported",
        "require_pushed_authorization_requests",
        "client_id_metadata_document_supported",
    ];
    let server = null(metadata(ISSUER), &[&flags[..], &["scopes_supported", "revocation_endpoint"]].concat());
    let found = of_resource(MCP, &[(MCP_METADATA, resource), (AT_ROOT, server)]).expect("nothing is missing");
    assert_eq!((found.scopes, found.server.sends_iss), (Vec::new(), false));
}

#[test]
fn a_document_with_a_member_of_another_type_is_none() {
    for (name, value) in [
        ("issuer", json!(null)),
        ("token_endpoint", json!(1)),
        ("scopes_supported", json!("a")),
        ("code_challenge_methods_supported", json!(["S256", 1])),
        ("require_pushed_authorization_requests", json!("true")),
    ] {
        let network = [(AT_ROOT, with(metadata(ISSUER), name, value))];
        assert_eq!(code(of_issuer(ISSUER, &network)), "no_server_metadata", "{name}");
    }
    let twice = document(&metadata(ISSUER)).body;
    let twice = [b"{\"issuer\":\"https://auth.example\",", &twice[1..]].concat();
    let network = [(AT_ROOT, Fetched { status: 200, body: twice, ..Fetched::default() })];
    assert_eq!(code(of_issuer(ISSUER, &network)), "no_server_metadata");
    for (name, value) in
        [("resource", json!(null)), ("authorization_servers", json!(ISSUER)), ("scopes_supported", json!([1]))]
    {
        let resource = json!({"resource": MCP, "authorization_servers": [ISSUER]});
        let network = [(MCP_METADATA, with(resource, name, value)), (AT_ROOT, document(&metadata(ISSUER)))];
        assert_eq!(code(of_resource(MCP, &network)), "no_resource_metadata", "{name}");
    }
}

#[test]
fn a_refresh_token_is_asked_for_where_the_server_knows_that_scope() {
    let scopes = |needed: Value, known: Value| {
        let resource = json!({"resource": MCP, "authorization_servers": [ISSUER], "scopes_supported": needed});
        let mut server = metadata(ISSUER);
        server["scopes_supported"] = known;
        let network = [(MCP_METADATA, document(&resource)), (AT_ROOT, document(&server))];
        of_resource(MCP, &network).expect("it is there").scopes
    };
    let known = json!(["openid", "offline_access"]);
    assert_eq!(scopes(json!(["read"]), known.clone()), ["read", "offline_access"]);
    assert_eq!(scopes(json!(["offline_access"]), known.clone()), ["offline_access"]);
    assert_eq!(scopes(json!(["read"]), json!(["openid"])), ["read"]);
    assert_eq!(scopes(json!([]), known), Vec::<String>::new(), "what the server gives by default is left alone");
}

#[test]
fn a_page_that_is_shown_for_every_path_is_no_document() {
    let values = json!([ISSUER, "https://evil.example/a", "https://evil.example/t", null, null, ["S256"], true]);
    for page in ["<!doctype html>".to_owned(), values.to_string()] {
        let page = Fetched { status: 200, body: page.into_bytes(), ..Fetched::default() };
        let openid = "https://auth.example/.well-known/openid-configuration";
        let network = [(AT_ROOT, page), (openid, document(&metadata(ISSUER)))];
        let found = of_issuer(ISSUER, &network).expect("the next place has one");
        assert_eq!(found.server.token_endpoint.as_str(), "https://auth.example/token");
    }
}

#[test]
fn f1_fault_16_the_issuer_of_the_document_must_be_the_one_asked_for_letter_by_letter() {
    for other in ["https://auth.example/", "https://AUTH.example", "https://auth.example:443", "https://evil.example"] {
        assert_eq!(code(of_issuer(ISSUER, &[(AT_ROOT, document(&metadata(other)))])), "metadata_issuer_mismatch");
    }
}

#[test]
fn f2_an_issuer_is_https_without_query_and_fragment() {
    for bad in
        ["http://auth.example", "https://auth.example?a=b", "https://auth.example#a", "auth.example", "", "\u{1b}"]
    {
        assert_eq!(code(Discovery::of_issuer(bad)), "invalid_address", "{bad}");
    }
    assert!(Discovery::of_issuer("http://127.0.0.1:8080").is_ok());
}

#[test]
fn f5_fault_16_documents_of_the_world_do_not_lead_inside() {
    for inside in [
        "http://127.0.0.1/token",
        "http://localhost/token",
        "https://LOCALHOST./token",
        "https://a.localhost/token",
        "https://169.254.169.254/token",
        "https://10.1.2.3/token",
        "https://192.168.0.1/token",
        "https://100.64.0.1/token",
        "https://[::1]/token",
        "https://[fd00::1]/token",
        "https://[fe80::1]/token",
        "https://[::ffff:10.0.0.1]/token",
        "https://0.0.0.0/token",
    ] {
        for member in ["token_endpoint", "authorization_endpoint", "revocation_endpoint"] {
            let network = [(AT_ROOT, with(metadata(ISSUER), member, json!(inside)))];
            assert_eq!(code(of_issuer(ISSUER, &network)), "inside_address", "{member} {inside}");
        }
        let resource = json!({"resource": MCP, "authorization_servers": [inside]});
        let (result, fetched) = search(Discovery::of_resource(MCP), &[(MCP_METADATA, document(&resource))]);
        assert_eq!(code(result), "inside_address", "{inside}");
        assert_eq!(fetched, [MCP, MCP_METADATA]);
    }
    let public = [(AT_ROOT, with(metadata(ISSUER), "token_endpoint", json!("https://8.8.8.8/token")))];
    assert!(of_issuer(ISSUER, &public).is_ok());
    // A person who names a server of their own network gets it.
    let own = "https://10.0.0.5";
    let network = [("https://10.0.0.5/.well-known/oauth-authorization-server", {
        with(metadata(own), "token_endpoint", json!("https://10.0.0.6/token"))
    })];
    assert!(of_issuer(own, &network).is_ok());
}

#[test]
fn endpoints_that_are_no_https_urls_are_refused() {
    for bad in ["http://auth.example/token", "javascript:alert(1)", "file:///etc/passwd", "https://a@auth.example/"] {
        let network = [(AT_ROOT, with(metadata(ISSUER), "authorization_endpoint", json!(bad)))];
        assert_eq!(code(of_issuer(ISSUER, &network)), "invalid_address", "{bad}");
    }
    for member in ["token_endpoint", "authorization_endpoint"] {
        let network = [(AT_ROOT, with(metadata(ISSUER), member, Value::Null))];
        assert_eq!(code(of_issuer(ISSUER, &network)), "metadata_incomplete", "{member}");
    }
}

#[test]
fn a5_fault_17_a_server_that_does_not_check_the_verifier_is_refused() {
    let methods = |methods: Value| with(metadata(ISSUER), "code_challenge_methods_supported", methods);
    let resource = (MCP_METADATA, document(&json!({"resource": MCP, "authorization_servers": [ISSUER]})));
    for none in [json!([]), json!(["plain"])] {
        assert_eq!(code(of_issuer(ISSUER, &[(AT_ROOT, methods(none.clone()))])), "no_pkce");
        assert_eq!(code(of_resource(MCP, &[resource.clone(), (AT_ROOT, methods(none))])), "no_pkce");
    }
    // One that says nothing is used where a person named it; a resource must not choose it for them.
    assert!(of_issuer(ISSUER, &[(AT_ROOT, methods(Value::Null))]).is_ok());
    assert_eq!(code(of_resource(MCP, &[resource, (AT_ROOT, methods(Value::Null))])), "no_pkce");
}

#[test]
fn a_challenge_names_the_document_of_the_resource() {
    let elsewhere = "https://mcp.example/about";
    let challenge = format!("Bearer scope=\"files:read files:write\", resource_metadata=\"{elsewhere}\"");
    let unauthorized = Fetched { status: 401, www_authenticate: vec!["Basic".into(), challenge], ..Fetched::default() };
    let resource = json!({"resource": MCP, "authorization_servers": [ISSUER], "scopes_supported": ["all"]});
    let network = [(MCP, unauthorized), (elsewhere, document(&resource)), (AT_ROOT, document(&metadata(ISSUER)))];
    let (result, fetched) = search(Discovery::of_resource(MCP), &network);
    let found = result.expect("it is there");
    assert_eq!(fetched, [MCP, elsewhere, AT_ROOT]);
    assert_eq!(found.resource.as_deref(), Some(MCP));
    assert_eq!(found.scopes, ["files:read", "files:write"]);
}

#[test]
fn without_a_challenge_the_well_known_places_of_the_resource_are_tried() {
    let root = "https://mcp.example/.well-known/oauth-protected-resource";
    let (result, fetched) = search(Discovery::of_resource(MCP), &[]);
    assert_eq!(
        (code(result), fetched),
        ("no_resource_metadata", [MCP, MCP_METADATA, root].map(str::to_owned).to_vec())
    );

    // A challenge that names no document is none of a resource that has one.
    let unauthorized = Fetched { status: 401, www_authenticate: vec!["Bearer".into()], ..Fetched::default() };
    let (_, fetched) = search(Discovery::of_resource(MCP), &[(MCP, unauthorized)]);
    assert_eq!(fetched, [MCP, MCP_METADATA, root]);

    let resource = json!({"resource": "https://mcp.example/", "authorization_servers": [ISSUER]});
    let network = [(root, document(&resource)), (AT_ROOT, document(&metadata(ISSUER)))];
    let found = of_resource(MCP, &network).expect("it is there");
    assert_eq!(found.resource.as_deref(), Some("https://mcp.example/"), "what is sent is what the document names");
}

#[test]
fn f4_metadata_of_another_resource_are_not_used() {
    for other in ["https://mcp.example/v2", "https://mcp.example/v1/", "https://mcp.example", "https://evil.example/v1"]
    {
        let resource = json!({"resource": other, "authorization_servers": [ISSUER]});
        assert_eq!(code(of_resource(MCP, &[(MCP_METADATA, document(&resource))])), "resource_mismatch", "{other}");
    }
    let nobody = json!({"resource": MCP});
    assert_eq!(code(of_resource(MCP, &[(MCP_METADATA, document(&nobody))])), "no_authorization_server");
}

#[test]
fn a_server_in_trouble_is_not_taken_for_one_without_metadata() {
    for status in [429, 500, 503] {
        let network = [(AT_ROOT, Fetched { status, ..Fetched::default() })];
        assert_eq!(code(of_issuer(ISSUER, &network)), "metadata_unreachable", "{status}");
    }
    let Ok(Next::Fetch(discovery, _)) = Discovery::of_issuer(ISSUER) else { panic!("a fetch comes first") };
    let error = SendError { kind: SendErrorKind::NotSent, detail: "no route".into() };
    let error = discovery.receive(Err(error)).expect_err("there is no answer");
    assert!(error.to_string().contains("no route"), "{error}");
}

#[test]
fn a_redirect_is_not_followed_and_a_flood_is_not_read() {
    let redirect = Fetched { status: 302, ..Fetched::default() };
    assert_eq!(code(of_issuer(ISSUER, &[(AT_ROOT, redirect)])), "no_server_metadata");
    let mut flood = document(&metadata(ISSUER));
    flood.body.resize(Response::MAX_BODY + 1, b' ');
    assert_eq!(code(of_issuer(ISSUER, &[(AT_ROOT, flood)])), "no_server_metadata");
}

#[test]
fn what_servers_name_is_made_fit_for_a_terminal() {
    let named = "https://evil.example/\u{1b}]0;title\u{7}";
    let error = of_issuer(ISSUER, &[(AT_ROOT, document(&metadata(named)))]).expect_err("another issuer");
    assert!(!error.to_string().contains(['\u{1b}', '\u{7}']), "{error:?}");
}

#[test]
fn only_a_401_has_a_challenge_that_counts() {
    let header = vec![format!(r#"Bearer resource_metadata="https://mcp.example/elsewhere""#)];
    for (status, first) in [(401, "https://mcp.example/elsewhere"), (403, MCP_METADATA), (200, MCP_METADATA)] {
        let probed = Fetched { status, www_authenticate: header.clone(), ..Fetched::default() };
        let (_, fetched) = search(Discovery::of_resource(MCP), &[(MCP, probed)]);
        assert_eq!(fetched[1], first, "{status}");
    }
}

#[test]
fn a_resource_at_the_root_has_one_well_known_place() {
    let root = "https://mcp.example/.well-known/oauth-protected-resource";
    for resource in ["https://mcp.example", "https://mcp.example/"] {
        let (result, fetched) = search(Discovery::of_resource(resource), &[]);
        assert_eq!(fetched, [resource, root]);
        assert_eq!(code(result), "no_resource_metadata");
    }
}

#[test]
fn a_resource_at_the_root_is_named_with_a_slash_or_without() {
    let about = "https://mcp.example/about";
    let header = vec![format!(r#"Bearer resource_metadata="{about}""#)];
    for (asked, named) in
        [("https://mcp.example", "https://mcp.example/"), ("https://mcp.example/", "https://mcp.example")]
    {
        let resource = json!({"resource": named, "authorization_servers": [ISSUER]});
        let probed = Fetched { status: 401, www_authenticate: header.clone(), ..Fetched::default() };
        let network = [(asked, probed), (about, document(&resource)), (AT_ROOT, document(&metadata(ISSUER)))];
        let found = of_resource(asked, &network).expect("they are one resource");
        assert_eq!(found.resource.as_deref(), Some(named), "what is sent is what the document names");
    }
}

#[test]
fn scheme_and_host_of_a_resource_may_be_written_in_capitals() {
    let resource = json!({"resource": "https://m.io/V1", "authorization_servers": [ISSUER]});
    let place = "https://m.io/.well-known/oauth-protected-resource/V1";
    let network = [(place, document(&resource)), (AT_ROOT, document(&metadata(ISSUER)))];
    let found = of_resource("HTTPS://M.io/V1", &network).expect("it is the same");
    assert_eq!(found.resource.as_deref(), Some("https://m.io/V1"));
    // The path is another one.
    assert_eq!(code(of_resource("https://m.io/v1", &network)), "no_resource_metadata");
    assert_eq!(code(Discovery::of_resource("MCP.example")), "invalid_address");
}

#[test]
fn every_kind_of_inside_address_is_one() {
    for host in [
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "127.1.2.3",
        "169.254.169.254",
        "0.0.0.0",
        "255.255.255.255",
        "100.64.0.1",
        "100.127.0.1",
        "[::1]",
        "[::]",
        "[fc00::1]",
        "[fe80::1]",
        "[::ffff:10.0.0.1]",
        "localhost",
        "a.LOCALHOST.",
    ] {
        let document = with(metadata(ISSUER), "token_endpoint", json!(format!("https://{host}:8/token")));
        assert_eq!(code(of_issuer(ISSUER, &[(AT_ROOT, document)])), "inside_address", "{host}");
    }
    for host in ["100.63.0.1", "100.128.0.1", "172.32.0.1", "[2001:db8::1]", "[::ffff:8.8.8.8]", "notlocalhost"] {
        let document = with(metadata(ISSUER), "token_endpoint", json!(format!("https://{host}/token")));
        assert!(of_issuer(ISSUER, &[(AT_ROOT, document)]).is_ok(), "{host}");
    }
}

#[test]
fn f5_an_address_in_disguise_is_none() {
    for host in ["2130706433", "0x7f000001", "0x7f.1", "10.1", "0300.0250.0.1", "169.254.169.254.", "[::ffff:127.1]"] {
        let document = with(metadata(ISSUER), "token_endpoint", json!(format!("https://{host}/token")));
        assert_eq!(code(of_issuer(ISSUER, &[(AT_ROOT, document)])), "invalid_address", "{host}");
    }
}

#[test]
fn a_network_that_fails_on_the_way_is_told_with_the_address() {
    let lost = || SendError { kind: SendErrorKind::NotSent, detail: "the wire".into() };
    for start in [Discovery::of_resource(MCP), Discovery::of_issuer(ISSUER)] {
        let Ok(Next::Fetch(discovery, url)) = start else { panic!("it begins") };
        let error = discovery.receive(Err(lost())).expect_err("nothing came");
        assert_eq!(error.code(), "metadata_unreachable");
        let text = error.to_string();
        assert!(text.contains(url.as_str()) && text.contains("the wire"), "{text}");
    }
}

#[test]
fn every_error_says_what_to_do() {
    let named = |name: &str| name.to_owned();
    for (error, code, text) in [
        (DiscoveryError::Inside { url: named("u") }, "inside_address", "nothing was sent there"),
        (DiscoveryError::Address { url: named("u"), why: None }, "invalid_address", "neither query nor fragment"),
        (Discovery::of_resource("x").expect_err("no URL"), "invalid_address", "x cannot be used: the URL must begin"),
        (DiscoveryError::NoResourceMetadata { resource: named("r") }, "no_resource_metadata", "--issuer"),
        (DiscoveryError::ResourceMismatch { asked: named("a"), named: named("n") }, "resource_mismatch", "about n"),
        (DiscoveryError::NoServer { resource: named("r") }, "no_authorization_server", "r names no"),
        (
            DiscoveryError::NoServerMetadata { issuer: named("i"), tried: vec![named("x"), named("y")] },
            "no_server_metadata",
            "tried x, y",
        ),
        (
            DiscoveryError::IssuerMismatch { asked: named("a"), named: named("n") },
            "metadata_issuer_mismatch",
            "itself n",
        ),
        (DiscoveryError::Incomplete { issuer: named("i"), what: "w" }, "metadata_incomplete", "have no w"),
        (DiscoveryError::NoPkce { issuer: named("i") }, "no_pkce", "S256"),
    ] {
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains(text), "{error}");
    }
}
