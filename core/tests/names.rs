//! The names and words of errors and states that no machine gives: programs compare the names, so that each stands here;
//! of the words, that each case has its own, and that what a person has to do is in them.

use kraube_core::device::{Device, DeviceError};
use kraube_core::login::{BeginError, Verdict};
use kraube_core::machine::{StoreError, StoreErrorKind};
use kraube_core::provider::Provider;
use kraube_core::record::{RecordError, Refusal};
use kraube_core::register::RegistrationError;
use kraube_core::status::State;
use std::collections::BTreeSet;
use std::fmt::Display;

fn detail() -> String {
    "no route to host".into()
}

fn nameless() -> Provider {
    Provider { client_id: None, ..Provider::demo("https://auth.example").expect("a valid issuer") }
}

#[track_caller]
fn each_has_its_own(named: &[(&dyn Display, &str, &str)]) {
    let mut texts = BTreeSet::new();
    for (case, code, expected) in named {
        assert_eq!(code, expected);
        let text = case.to_string();
        assert!(text.len() > 4 && texts.insert(text.clone()), "{code}: {text}");
    }
}

#[test]
fn states_of_a_login() {
    let error = StoreError { kind: StoreErrorKind::Denied, detail: detail() };
    let states = [
        (State::Valid, "valid", ""),
        (State::NeedsRefresh, "needs_refresh", "kraube token"),
        (State::InDoubt, "in_doubt", "kraube token"),
        (State::Refused(Refusal::Revoked), "refused", "kraube login"),
        (State::Refused(Refusal::RotationLost), "refused", "kraube login"),
        (State::Expired, "expired", "kraube login"),
        (State::LoggedOut, "logged_out", "kraube login"),
        (State::Corrupt(RecordError::NotJson), "corrupt", "from a copy"),
        (State::Unreadable(error), "unreadable", "belong to you"),
    ];
    each_has_its_own(&states.each_ref().map(|(state, code, _)| (state as &dyn Display, state.code(), *code)));
    for (state, code, advice) in &states {
        assert_eq!(state.hint().is_none(), advice.is_empty(), "{code}");
        assert!(state.hint().unwrap_or_default().contains(advice), "{code}: {:?}", state.hint());
    }
    assert!(states[8].0.to_string().contains(&detail()));
}

#[test]
fn logins_with_a_code_on_another_machine() {
    let offers_none = Provider { device_authorization_endpoint: None, ..nameless() };
    let not_offered = Device::begin(&offers_none).expect_err("it has no endpoint");
    let no_client = Device::begin(&nameless()).expect_err("it has no client");
    let errors = [
        (not_offered, "no_device_flow", "with a browser"),
        (no_client, "missing_client_id", ""),
        (DeviceError::Unreachable(detail()), "unreachable", "network"),
        (DeviceError::Refused(detail()), "device_refused", "client id"),
        (DeviceError::Unreadable, "device_unreadable", ""),
        (DeviceError::Denied, "denied", "agree"),
        (DeviceError::Expired, "device_code_expired", "again"),
        (DeviceError::InDoubt(detail()), "code_in_doubt", "again"),
    ];
    each_has_its_own(&errors.each_ref().map(|(error, code, _)| (error as &dyn Display, error.code(), *code)));
    for (error, code, advice) in &errors {
        assert_eq!(error.hint().is_none(), advice.is_empty(), "{code}");
        assert!(error.hint().unwrap_or_default().contains(advice), "{code}: {:?}", error.hint());
    }
    assert!([2, 3, 7].iter().all(|at| errors[*at].0.to_string().contains(&detail())));
}

#[test]
fn logins_that_cannot_begin() {
    let missing = BeginError::MissingClientId(nameless().client().expect_err("it has none"));
    assert!(missing.to_string().contains("--client-id"), "{missing}");
    let errors = [
        (missing, "missing_client_id"),
        (BeginError::PushRequired, "push_required"),
        (BeginError::PushUnreachable(detail()), "unreachable"),
        (BeginError::PushRefused(detail()), "push_refused"),
        (BeginError::PushUnreadable, "push_unreadable"),
    ];
    each_has_its_own(&errors.each_ref().map(|(error, code)| (error as &dyn Display, error.code(), *code)));
    assert!([2, 3].iter().all(|at| errors[*at].0.to_string().contains(&detail())));
}

#[test]
fn registrations_that_fail() {
    let errors = [
        (RegistrationError::Unreachable(detail()), "unreachable"),
        (RegistrationError::Refused(detail()), "registration_refused"),
        (RegistrationError::Unreadable, "registration_unreadable"),
        (RegistrationError::NeedsSecret, "registration_needs_secret"),
    ];
    each_has_its_own(&errors.each_ref().map(|(error, code)| (error as &dyn Display, error.code(), *code)));
    assert!([0, 1].iter().all(|at| errors[*at].0.to_string().contains(&detail())));
}

#[test]
fn what_the_server_said_of_a_denied_login_is_told() {
    let (bare, described) = (Verdict::denied("access_denied", None), Verdict::denied("access_denied", Some("not you")));
    assert!(bare.contains("access_denied") && described.starts_with(&bare) && described.contains("not you"));
}
