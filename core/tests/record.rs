//! The stored record: what is read, what is kept, what is written.

use crate::common;
use kraube_core::credential::{Cause, Failure, LoginReason, Obtain, Outcome, Wanted};
use kraube_core::http::{Response, SendError, SendErrorKind};
use kraube_core::machine::{Action, Blob, Input, Locked, Machine, Step};
use kraube_core::policy::Policy;
use kraube_core::provider::TokenBody;
use kraube_core::record::{Credentials, Record, RecordError, Refusal, RunId};
use kraube_core::secret::Secret;
use kraube_core::status::{State, Status, status};
use kraube_core::time::{Millis, Now, Timestamp};

const NOW: u64 = 1_800_000_000_000;
const ISSUED: &str = r#"{"access_token":"new","refresh_token":"next","token_type":"Bearer","expires_in":3600}"#;

fn now() -> Now {
    Now { wall: Timestamp(NOW), monotonic: Millis::ZERO }
}

/// What a process that died in mid-refresh leaves behind, as it was written before.
fn golden() -> String {
    include_str!("golden/record.json").to_owned()
}

/// Runs a refresh over `text`; every write is kept, and the server issues `new` and `next`.
fn refresh(text: &str) -> (Outcome, Vec<String>) {
    refresh_as(text, Wanted::default(), || Ok(common::json(200, ISSUED)))
}

fn refresh_as(text: &str, wanted: Wanted, answer: impl Fn() -> Result<Response, SendError>) -> (Outcome, Vec<String>) {
    let mut stored = Blob::new(text.into());
    let mut writes = Vec::new();
    let mut step = Obtain::start(wanted, Policy::default(), RunId(0xabc), now());
    loop {
        let (machine, action) = match step {
            Step::Continue(machine, action) => (machine, action),
            Step::Done(outcome) => return (outcome, writes),
        };
        let input = match action {
            Action::Lock { .. } => Input::Locked(Locked::Held),
            Action::Read => Input::Read(Ok(Some(stored.clone()))),
            Action::Send { .. } => Input::Replied(answer()),
            Action::Write { blob, .. } => {
                writes.push(String::from_utf8(blob.bytes().to_vec()).expect("the record is text"));
                stored = blob;
                Input::Wrote(Ok(()))
            }
            Action::Delete { .. } => panic!("a refresh deletes nothing"),
            Action::Wait { .. } => Input::Woke,
        };
        step = machine.step(input, now());
    }
}

/// For records that do not say where to refresh them.
fn with_default() -> Wanted {
    Wanted { default_client: Some(common::client(TokenBody::Form)), ..Wanted::default() }
}

fn told(text: &str) -> Status {
    status(Ok(Some(Blob::new(text.into()))), &Policy::default(), Timestamp(NOW))
}

#[test]
fn the_stored_form_does_not_change_unseen() {
    let (_, writes) = refresh(&golden());
    let expected = include_str!("golden/record_marked.json");
    assert_eq!(writes[0], expected, "the mark");
    assert_eq!(writes[1], include_str!("golden/record_renewed.json"), "the new tokens");
}

#[test]
fn c5_fault_37_members_of_others_are_kept_to_the_letter() {
    let theirs = [r#""scopes": [ "a",  "b" ]"#, r#""big": 123456789012345678901234567890"#, r#""odd\u0041": 1.50e+3"#];
    let text = format!(
        r#"{{ {}, "refreshToken": "old", {}, "accessToken": "gone", "expiresAt": 1, {} , "kraube": {{ "future": {{"x":  1}},
        "provider": {{"name":"p","tokenEndpoint":"https://e.org/t","clientId":"c"}} }} }}"#,
        theirs[0], theirs[1], theirs[2]
    );
    let (_, writes) = refresh(&text);
    for write in &writes {
        for member in [theirs[0], theirs[1], r#""oddA": 1.50e+3"#, r#""future": {"x":  1}"#] {
            assert!(write.contains(member), "{member} is missing in {write}");
        }
    }
    assert_eq!(writes.len(), 2);
}

#[test]
fn a_foreign_writer_voids_everything_but_the_login_and_its_provider() {
    let foreign = golden().replace("\"access-1\"", "\"access-of-somebody-else\"");
    let status = told(&foreign);
    assert_eq!(status.state, State::NeedsRefresh, "the mark and the refusal spoke of other tokens");
    assert_eq!((status.retry_at, status.obtained_at, status.scope), (None, None, None));
    assert_eq!(status.login.expect("the login is kept").0, "0011223344556677");
    assert_eq!(status.client.expect("the provider is kept").client_id, "me");
}

#[test]
fn fault_37_what_is_no_record_is_told_apart_and_never_written_over() {
    let cases = [
        ("", RecordError::Empty),
        (" \r\n\t", RecordError::Empty),
        ("\u{feff}", RecordError::Empty),
        (r#"{"refreshToken": "a""#, RecordError::NotJson),
        ("[]", RecordError::NotJson),
        (r#"{"refreshToken":"a"}{"refreshToken":"b"}"#, RecordError::NotJson),
        (r#"{"refreshToken":"a","refreshToken":"b"}"#, RecordError::Repeated),
        (r#"{"other":1,"other":2}"#, RecordError::Repeated),
        (r#"{"\ud83d":1}"#, RecordError::NotJson),
        (r#"{"refreshToken":"a","\ud83d":1,"\udd11":2}"#, RecordError::NotJson),
        (r#"{"refreshToken": 5}"#, RecordError::Mistyped),
        (r#"{"accessToken": 5}"#, RecordError::Mistyped),
        (r#"{"accessToken": "a\nurl = file:///"}"#, RecordError::Mistyped),
        (r#"{"accessToken": "a\u007f"}"#, RecordError::Mistyped),
        (r#"{"accessToken": "é"}"#, RecordError::Mistyped),
    ];
    for (text, error) in cases {
        assert_eq!(Record::parse(text.as_bytes()).err(), Some(error), "{text}");
        let (outcome, writes) = refresh(text);
        assert!(matches!(outcome, Outcome::Failed(Failure::Unavailable { .. })), "{text}: {outcome:?}");
        assert_eq!(writes, [] as [String; 0], "{text}");
    }
}

#[test]
fn d4_f7_a_provider_that_cannot_be_read_is_not_replaced_by_the_default() {
    let provider = r#"{"name":"p","tokenEndpoint":"https://e.org/t","clientId":"c"}"#;
    let inside = |provider: &str| format!(r#"{{"provider":{provider}}}"#);
    let unreadable = [
        inside(&provider.replace("https://e.org", "http://10.0.0.5")),
        inside(&provider.replace("\"c\"}", "\"c\",\"body\":\"of a newer version\"}")),
        inside(&provider.replace("\"c\"}", "\"c\",\"clientId\":\"d\"}")),
        inside(&provider.replace("\"name\"", "\"label\"")),
        inside("{}"),
        inside("\"p\""),
        format!(r#"{{"login":"l","provider":{provider},"login":"l"}}"#),
        "5".into(),
        "[]".into(),
        format!("{:?}", inside(provider)),
    ];
    for ours in unreadable {
        let text = format!(r#"{{"refreshToken":"r","accessToken":"a","expiresAt":1,"kraube":{ours}}}"#);
        assert_eq!(told(&text).state, State::Corrupt(RecordError::Provider), "{text}");
        let (outcome, writes) = refresh_as(&text, with_default(), || panic!("it is sent: {text}"));
        let Outcome::Failed(failure) = outcome else { panic!("{text}: {outcome:?}") };
        let cause = Cause::Corrupt(RecordError::Provider);
        assert_eq!(failure, Failure::Unavailable { retry_at: None, cause }, "{text}");
        assert_eq!(writes, [] as [String; 0], "{text}");
        let living = text.replace(r#""expiresAt":1"#, &format!(r#""expiresAt":{}"#, NOW + 3_600_000));
        assert_eq!(told(&living).state, State::Valid, "{living}");
        let (outcome, writes) = refresh_as(&living, with_default(), || panic!("it is sent: {living}"));
        assert!(matches!(outcome, Outcome::Ready(ready) if ready.stale.is_none()), "it lives: {living}");
        assert_eq!(writes, [] as [String; 0], "{living}");
    }
    // Of a login without one, or of another program: the default is meant for them.
    for ours in ["null", "{}", &inside("null"), r#"{"login":5}"#] {
        let text = format!(r#"{{"refreshToken":"r","accessToken":"a","expiresAt":1,"kraube":{ours}}}"#);
        let (outcome, writes) = refresh_as(&text, with_default(), || Ok(common::json(400, "{}")));
        assert!(matches!(outcome, Outcome::Failed(Failure::Unavailable { .. })), "{text}: {outcome:?}");
        assert_eq!(writes.len(), 2, "{text}");
    }
}

#[test]
fn fault_37_a_byte_order_mark_and_other_line_ends_are_read() {
    let text = format!("\u{feff}{}", golden().replace('\n', "\r\n"));
    assert!(Record::parse(text.as_bytes()).is_ok());
}

#[test]
fn fault_37_blanked_tokens_are_logged_out() {
    for text in [r#"{"refreshToken":"","accessToken":"","expiresAt":0}"#, "{}", r#"{"refreshToken":null}"#] {
        assert_eq!(told(text).state, State::LoggedOut, "{text}");
        let (outcome, writes) = refresh(text);
        let Outcome::Failed(failure) = outcome else { panic!("{text}: {outcome:?}") };
        assert_eq!(failure, Failure::LoginRequired(LoginReason::LoggedOut));
        assert_eq!(writes, [] as [String; 0], "a logout is not undone");
    }
}

#[test]
fn fault_37_expiry_forms_of_other_programs() {
    let hour = NOW + 3_600_000;
    let forms = [
        (hour.to_string(), Some(hour)),
        (format!("\"{hour}\""), Some(hour)),
        (format!("{hour}.75"), Some(hour)),
        ((hour / 1000).to_string(), Some(hour)),
        ("1e30".into(), Some(u64::MAX)),
        ("-5".into(), None),
        ("1e999".into(), Some(u64::MAX)),
        ("99999999999".into(), Some(99_999_999_999_000)),
        ("100000000000".into(), Some(100_000_000_000)),
        ("null".into(), None),
        ("true".into(), None),
        ("0".into(), None),
    ];
    for (form, expected) in forms {
        let status = told(&format!(r#"{{"refreshToken":"r","accessToken":"a","expiresAt":{form}}}"#));
        assert_eq!(status.expires_at.map(|at| at.0), expected, "{form}");
    }
}

#[test]
fn a_failed_refresh_leaves_the_three_members_as_they_are_written() {
    let expiries =
        ["1700000000", "1799999999000.75", "1.7e12", "-5", "\"2026-11-28T07:00:00Z\"", "\"1\"", "null", "0", "true"];
    let as_they_are = expiries.map(|expiry| [r#""r\u0031""#, r#""a""#, expiry]);
    let blank = [[r#""r1""#, "\"\"", "0"], [r#""r1""#, "null", "null"], [r#""r1""#, r#""\/""#, "1"]];
    for [refresh, access, expiry] in as_they_are.into_iter().chain(blank) {
        let lines = [("refreshToken", refresh), ("accessToken", access), ("expiresAt", expiry)]
            .map(|(name, raw)| format!(r#"  "{name}": {raw},"#));
        let text = format!("{{\n{}\n  \"theirs\": 1\n}}", lines.join("\n"));
        for status in [429, 400] {
            let (outcome, writes) =
                refresh_as(&text, with_default(), || Ok(common::json(status, r#"{"error":"invalid_grant"}"#)));
            assert!(matches!(outcome, Outcome::Failed(_)), "{text}: {outcome:?}");
            assert_eq!(writes.len(), 2, "{text}");
            for write in &writes {
                assert!(write.starts_with(&format!("{{\n{}\n", lines.join("\n"))), "{text} became {write}");
            }
        }
        let (_, writes) = refresh_as(&text, with_default(), || Ok(common::json(200, ISSUED)));
        let renewed =
            "{\n  \"refreshToken\": \"next\",\n  \"accessToken\": \"new\",\n  \"expiresAt\": 1800003600000,\n";
        assert!(writes[1].starts_with(renewed), "{}", writes[1]);
    }
}

#[cfg(feature = "dpop")]
#[test]
fn tokens_that_are_bound_stay_as_they_are_written_beside_their_key() {
    let [x, y, d] = ["A", "B", "C"].map(|letter| letter.repeat(42) + "A");
    let key = format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}","d":"{d}"}}"#);
    let text = format!(
        r#"{{"refreshToken":"","accessToken":"","expiresAt":0,
        "kraube":{{"dpop":{{"key":{key},"refreshToken":"r","accessToken":"a","expiresAt":1700000000}}}}}}"#
    );
    let wanted = Wanted { bound: true, ..with_default() };
    let (_, writes) = refresh_as(&text, wanted, || Ok(common::json(429, "")));
    assert_eq!(writes.len(), 2);
    for write in &writes {
        assert!(Record::parse(write.as_bytes()).expect("a record").is_bound(), "{write}");
        assert_eq!(write.matches("expiresAt").count(), 1, "{write}");
        assert!(write.contains("\"expiresAt\": 1700000000\n"), "{write}");
    }
}

#[test]
fn members_that_are_not_there_are_not_added_by_a_failed_refresh() {
    for member in [
        r#""refreshToken": "r1""#,
        r#""refreshToken": "r1",
  "expiresAt": 5"#,
    ] {
        let lost = || Err(SendError { kind: SendErrorKind::NotSent, detail: String::new() });
        let (_, writes) = refresh_as(&format!("{{{member}}}"), with_default(), lost);
        assert_eq!(writes.len(), 2);
        for write in &writes {
            assert!(write.starts_with(&format!("{{\n  {member},\n  \"kraube\": {{")), "{write}");
        }
    }
}

#[test]
fn a_mark_that_cannot_be_read_is_a_mark_all_the_same() {
    let odd = golden().replace("\"run\": \"00000000000000aa\"", "\"run\": 5");
    assert_eq!(told(&odd).state, State::InDoubt);
    let refused = golden().replace("\"redeeming\"", "\"refused\"");
    assert_eq!(told(&refused).state, State::Refused(Refusal::Revoked));
}

#[test]
fn fault_39_a_time_that_cannot_be_true_holds_nobody_up() {
    let ten_years = NOW + 315_360_000_000;
    let text = golden().replace("\"redeeming\"", &format!("\"retryAt\": {ten_years}, \"redeeming\""));
    let (outcome, writes) = refresh(&text);
    assert!(matches!(outcome, Outcome::Ready(_)), "{outcome:?}");
    assert_eq!(writes.len(), 2);
}

#[test]
fn nothing_that_is_debugged_shows_a_token() {
    let text = golden().replace("refresh-1", "CANARY-r").replace("access-1", "CANARY-a").replace("theirs", "CANARY-x");
    let record = Record::parse(text.as_bytes()).expect("it is a record");
    let status = told(&text);
    let (outcome, _) = refresh(&text);
    let shown = format!("{record:?} {status:?} {outcome:?} {:?}", Blob::new(text.into_bytes()));
    assert!(!shown.contains("CANARY"), "{shown}");
    for part in ["refresh_token: Some(", "login: Some(LoginId("] {
        assert!(shown.contains(part), "{part} is not among {shown}");
    }
}

#[test]
fn what_is_no_record_is_told_without_a_part_of_it() {
    for (text, why) in [
        ("", "are empty"),
        ("CANARY", "not a JSON object, or are cut off"),
        (r#"{"CANARY":1,"CANARY":2}"#, "a member twice"),
        (r#"{"refreshToken":["CANARY"]}"#, "not a string"),
        (r#"{"refreshToken":"r","kraube":"CANARY"}"#, "`kraube.provider`"),
    ] {
        let State::Corrupt(error) = told(text).state else { panic!("it is none: {text}") };
        let error = error.to_string();
        assert!(error.contains(why) && !error.contains("CANARY"), "{error}");
    }
}

#[test]
fn a_login_id_has_a_length_that_an_id_may_have() {
    for (length, read) in [(0, false), (1, true), (256, true), (257, false)] {
        let text = format!(r#"{{"refreshToken":"r","kraube":{{"login":"{}"}}}}"#, "x".repeat(length));
        assert_eq!(told(&text).login.is_some(), read, "{length}");
    }
}

#[test]
fn a_login_is_saved_with_all_that_it_is_known_by() {
    let credentials = Credentials {
        binding: None,
        access_token: Secret::new("a"),
        refresh_token: Some(Secret::new("r")),
        expires_at: Timestamp(NOW + 3_600_000),
        obtained_at: Some(Timestamp(NOW)),
        scope: Some("s".into()),
        client: None,
    };
    let blob = credentials.to_blob();
    let text = std::str::from_utf8(blob.bytes()).expect("a record is text");
    assert!(!text.contains("login"), "it has none yet: {text}");
    let status = told(text);
    assert_eq!((status.expires_at, status.obtained_at), (Some(Timestamp(NOW + 3_600_000)), Some(Timestamp(NOW))));
    assert_eq!((status.scope.as_deref(), status.refreshable), (Some("s"), true));
    assert_eq!(status.login, None, "another program may store it; the id is given where it is installed");
}

#[test]
fn a_run_is_told_as_its_mark_tells_it() {
    let (_, writes) = refresh(&golden());
    assert!(writes[0].contains(&format!(r#""run": "{:?}""#, RunId(0xabc))), "{}", writes[0]);
}
