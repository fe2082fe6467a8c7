//! A new login: the code is sent once, under the lock, and what it brought is stored.

use super::*;
use kraube_core::credential::{Install, InstallError, NewLogin};
use kraube_core::http::Request;
use kraube_core::provider::TokenBody;
use kraube_core::record::LoginId;
use kraube_core::secret::Secret;

/// With a code, to the moment that it is sent.
fn to_the_exchange() -> Play<Install> {
    let client = common::client(TokenBody::Form);
    let request = Request {
        url: client.token_endpoint.clone(),
        content_type: "application/x-www-form-urlencoded",
        body: Secret::new("code=c"),
    };
    let new = NewLogin::Code { request, client };
    let mut run = Play::new(|_| Install::start(new, LoginId("L1".into()), Policy::default()));
    run.locked(Locked::Held);
    run.read_bytes(Ok(None));
    run
}

fn answered(reply: Result<Response, SendErrorKind>) -> InstallError {
    let mut run = to_the_exchange();
    run.replied(reply);
    run.outcome().expect_err("it is not a token")
}

#[test]
fn a_code_may_be_sent_again_unless_it_was_spent_or_refused_for_certain() {
    let error = |status, body: &str| Ok(common::json(status, body));
    let pause = |header| Ok(common::response(429, None, header, ""));
    let cases = [
        (answered(pause(Some("7"))), "throttled", true),
        (answered(pause(None)), "throttled", true),
        (answered(error(500, "")), "code_in_doubt", true),
        (answered(Err(SendErrorKind::MaybeSent)), "code_in_doubt", true),
        (answered(Err(SendErrorKind::TimedOut)), "code_in_doubt", true),
        (answered(Err(SendErrorKind::NotSent)), "unreachable", true),
        (answered(Err(SendErrorKind::LockLost)), "busy", true),
        (answered(error(400, r#"{"error":"invalid_grant"}"#)), "code_refused", false),
        (answered(error(401, r#"{"error":"invalid_client"}"#)), "client_rejected", false),
    ];
    for (error, code, may_repeat) in cases {
        assert_eq!((error.code(), error.may_repeat()), (code, may_repeat), "{error}");
    }
    assert!(answered(pause(Some("7"))).to_string().contains("7 s"));
}
