//! What the tests of the core share: a client, a clock, answers of a token endpoint.

use kraube_core::http::Response;
use kraube_core::provider::{Client, Provider, TokenBody};
use kraube_core::secret::Secret;
use kraube_core::time::{Millis, Now, Timestamp};
use kraube_core::token::{Answer, read_answer};
use std::borrow::Cow;
use std::collections::BTreeMap;

pub(crate) const ISSUER: &str = "https://auth.example";

/// A value that must appear nowhere but where it is meant for.
pub(crate) const CANARY: &str = "CANARYp7x1vQ";

pub(crate) fn client(body: TokenBody) -> Client {
    let mut provider = Provider::demo(ISSUER).expect("the issuer is valid");
    provider.body = body;
    provider.client().expect("the demo has a client id")
}

/// 6 November 1994, 08:00:00 GMT.
pub(crate) fn now() -> Now {
    Now { wall: Timestamp(784_108_800_000), monotonic: Millis(5) }
}

pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Response {
    response(status, Some("application/json"), None, body)
}

pub(crate) fn response(
    status: u16,
    content_type: Option<&str>,
    retry_after: Option<&str>,
    body: impl Into<Vec<u8>>,
) -> Response {
    let owned = |text: &str| text.to_owned();
    Response { status, content_type: content_type.map(owned), retry_after: retry_after.map(owned), body: body.into() }
}

pub(crate) fn read(response: &Response) -> Answer {
    read_answer(&client(TokenBody::Form), response, now())
}

/// The parameters of a form or a query; a repeated one fails the test.
pub(crate) fn parameters(form: &str) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(form.as_bytes()).map(|(n, v)| (Cow::into_owned(n), Cow::into_owned(v)))
    {
        assert!(!value.is_empty(), "the empty parameter {name} is sent");
        assert_eq!(seen.insert(name.clone(), value), None, "{name} is sent twice");
    }
    seen
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(text)
}
