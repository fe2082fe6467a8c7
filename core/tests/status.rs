//! What is told of a login by reading alone, and the margin that it goes by.

use kraube_core::machine::{Blob, StoreError, StoreErrorKind};
use kraube_core::policy::Policy;
use kraube_core::record::{RecordError, Refusal};
use kraube_core::secret::Fingerprint;
use kraube_core::status::{State, Status, status};
use kraube_core::time::{Millis, Timestamp};

const NOW: u64 = 1_800_000_000_000;

fn told(text: &str) -> Status {
    status(Ok(Some(Blob::new(text.into()))), &Policy::default(), Timestamp(NOW))
}

/// A record whose access token has so many seconds left, with these members of ours.
fn record(refresh: &str, left: i64, ours: &str) -> String {
    let fits = Fingerprint::of(&[refresh.as_bytes(), b"a"]);
    let expires_at = NOW.saturating_add_signed(left * 1000);
    format!(
        r#"{{"refreshToken":"{refresh}","accessToken":"a","expiresAt":{expires_at},"kraube":{{"for":"{fits}"{ours}}}}}"#
    )
}

#[test]
fn every_state_has_its_name() {
    let error = StoreError { kind: StoreErrorKind::Denied, detail: "no".into() };
    let unreadable = status(Err(error.clone()), &Policy::default(), Timestamp(NOW));
    let nothing = status(Ok(None), &Policy::default(), Timestamp(NOW));
    let marked = r#","redeeming":{"run":"x","at":1}"#;
    let cases = [
        (told(&record("r", 61, "")), State::Valid, "valid"),
        (told(&record("r", 60, "")), State::NeedsRefresh, "needs_refresh"),
        (told(&record("r", -1, "")), State::NeedsRefresh, "needs_refresh"),
        (told(&record("r", 3600, marked)), State::InDoubt, "in_doubt"),
        (told(&record("r", 3600, r#","refused":{"reason":"revoked"}"#)), State::Refused(Refusal::Revoked), "refused"),
        // Without a refresh token there is nothing to do early.
        (told(&record("", 1, "")), State::Valid, "valid"),
        (told(&record("", 0, "")), State::Expired, "expired"),
        (told(&record("", -1, "")), State::Expired, "expired"),
        (told("{}"), State::LoggedOut, "logged_out"),
        (nothing, State::LoggedOut, "logged_out"),
        (told("{"), State::Corrupt(RecordError::NotJson), "corrupt"),
        (unreadable, State::Unreadable(error), "unreadable"),
    ];
    for (status, state, code) in cases {
        assert_eq!(status.state.code(), code);
        assert_eq!(status.state, state);
    }
}

#[test]
fn the_particulars_are_those_of_the_record() {
    let ours = format!(r#","login":"L","scope":"s","obtainedAt":{},"retryAt":{}"#, NOW - 1, NOW + 1);
    let status = told(&record("r", 3600, &ours));
    assert_eq!(status.expires_at, Some(Timestamp(NOW + 3_600_000)));
    assert_eq!((status.obtained_at, status.retry_at), (Some(Timestamp(NOW - 1)), Some(Timestamp(NOW + 1))));
    assert_eq!((status.refreshable, status.scope.as_deref()), (true, Some("s")));
    assert_eq!(status.login.map(|login| login.0).as_deref(), Some("L"));
    let status = told(&record("", 3600, &format!(r#","retryAt":{NOW}"#)));
    assert_eq!((status.refreshable, status.retry_at), (false, None), "the time has come");
    let hour = Policy::RETRY_MAX.0;
    let retry_at = |at: u64| told(&record("r", -1, &format!(r#","retryAt":{at}"#))).retry_at;
    assert_eq!((retry_at(NOW + hour), retry_at(NOW + hour + 1)), (Some(Timestamp(NOW + hour)), None));
}

#[test]
fn the_margin_is_half_of_a_short_life_where_the_life_is_known() {
    let policy = Policy::default();
    let margin = |obtained: Option<u64>, expires: u64, min_valid: u64| {
        let obtained = obtained.map(Timestamp);
        policy.margin_of(Timestamp(expires), obtained, Millis::from_secs(min_valid), Timestamp(NOW))
    };
    let minute = Millis::from_secs(60);
    assert_eq!(margin(None, NOW + 30_000, 0), minute);
    assert_eq!(margin(None, NOW + 30_000, 90), Millis::from_secs(90));
    assert_eq!(margin(Some(NOW), NOW + 30_000, 0), Millis::from_secs(15));
    assert_eq!(margin(Some(NOW - 3_600_000), NOW + 30_000, 0), minute);
    assert_eq!(margin(Some(NOW + 1), NOW + 30_000, 0), minute, "a moment in the future is not believed");
    assert_eq!(margin(Some(NOW), NOW, 0), minute, "no life at all is not believed");
    assert_eq!(margin(Some(NOW), NOW - 1, 0), minute);
}
