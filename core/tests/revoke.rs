//! Revocation: normative line J1.

use crate::common::{client, json, parameters, secret};
use kraube_core::provider::TokenBody;
use kraube_core::revoke::{Revocation, read_revocation, revocation_request};

#[test]
fn j1_the_refresh_token_is_revoked_by_a_form_whatever_the_token_body_is() {
    for body in [TokenBody::Form, TokenBody::Json] {
        let request = revocation_request(&client(body), &secret("r&t")).expect("the demo has an endpoint");
        assert_eq!(request.url.as_str(), "https://auth.example/revoke");
        assert_eq!(request.content_type, "application/x-www-form-urlencoded");
        let sent: Vec<_> = parameters(request.body.expose()).into_iter().collect();
        let expected = [("client_id", "kraube-demo"), ("token", "r&t"), ("token_type_hint", "refresh_token")];
        assert_eq!(sent, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}

#[test]
fn a_server_without_the_endpoint_is_asked_nothing() {
    let mut client = client(TokenBody::Form);
    client.revocation_endpoint = None;
    assert!(revocation_request(&client, &secret("rt")).is_none());
}

#[test]
fn j1_only_200_confirms() {
    assert_eq!(read_revocation(&json(200, "anything")), Revocation::Done);
    for (status, body, expected) in [
        (503, "", "the token still exists"),
        (400, r#"{"error":"unsupported_token_type","error_description":"no\u001b"}"#, "unsupported_token_type: no"),
        (401, "CANARYp7x1vQ", "HTTP status 401"),
        (302, "", "HTTP status 302"),
        (204, "", "HTTP status 204"),
    ] {
        let Revocation::Unconfirmed { detail } = read_revocation(&json(status, body)) else {
            panic!("{status} confirms");
        };
        assert!(detail.contains(expected) && !detail.contains("CANARY"), "{status}: {detail}");
    }
}
