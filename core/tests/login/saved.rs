//! A login that another process finishes: normative line A11.

use super::*;
use kraube_core::login::RestoreError;
use kraube_core::time::Millis;

#[test]
fn a11_a_saved_login_is_finished_by_another_process() {
    let begun = Timestamp(1_000_000);
    for (provider, redirect) in [(demo(), Redirect::Loopback { uri: LOOPBACK.into() }), (claude(), Redirect::Manual)] {
        let (mut pending, url) = Login::begin(&provider, redirect, entropy(1)).expect("a valid login");
        let saved = pending.save(begun).expect("not answered yet");
        let now = begun.plus(Millis::from_secs(600));
        let mut restored = Pending::restore(saved.bytes(), now).expect("within its life");
        assert_eq!(restored.state_fingerprint(), pending.state_fingerprint());
        let query = format!("code=c&state={}", state(&url));
        if provider.expects_iss {
            assert_eq!(ignored(&mut restored, Callback::Query(&query)), Ignored::IssuerMissing);
        }
        let query = format!("{query}&iss={ISS}");
        let (client, request) = exchange(&mut restored, Callback::Query(&query)).request();
        let (same_client, same_request) = exchange(&mut pending, Callback::Query(&query)).request();
        assert_eq!(client, same_client);
        assert_eq!(request.body.expose(), same_request.body.expose());
    }
}

#[test]
fn a_saved_login_ends_after_ten_minutes() {
    let begun = Timestamp(10_000_000);
    let saved = begin(&demo()).0.save(begun).expect("not answered yet");
    let restore = |now| Pending::restore(saved.bytes(), now).map(|_| ());
    assert_eq!(restore(Timestamp(begun.0 + 600_000)), Ok(()));
    assert_eq!(restore(Timestamp(begun.0 + 600_001)), Err(RestoreError::Expired));
    assert_eq!(restore(Timestamp(begun.0 - 600_000)), Ok(()), "a clock that was set back a little");
    assert_eq!(restore(Timestamp(begun.0 - 600_001)), Err(RestoreError::Expired), "a time that cannot be true");
}

#[test]
fn what_is_no_saved_login_is_refused() {
    let saved = begin(&demo()).0.save(Timestamp(0)).expect("not answered yet");
    let text = core::str::from_utf8(saved.bytes()).expect("JSON").to_owned();
    let restore = |text: &str| Pending::restore(text.as_bytes(), Timestamp(0)).map(|_| ());
    assert_eq!(restore(&text), Ok(()));
    for end in 0..text.len() {
        assert_eq!(restore(&text[..end]), Err(RestoreError::Unreadable));
    }
    assert_eq!(restore(&text.replace(r#""version":1"#, r#""version":2,"more":[]"#)), Err(RestoreError::Version));
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for (name, bad) in [
        ("verifier", "short"),
        ("state", ""),
        ("redirectUri", "http://evil.example/"),
        ("client", "x"),
        ("created", "x"),
        ("expectsIss", "x"),
    ] {
        let mut value = value.clone();
        value[name] = bad.into();
        assert_eq!(restore(&value.to_string()), Err(RestoreError::Unreadable), "{name}");
    }
}
