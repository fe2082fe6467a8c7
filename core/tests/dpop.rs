//! Tokens that are bound to a key (RFC 9449): with the feature `dpop`, what a proof says and how nonces are taken; without
//! it, that such a login is left alone.

#![allow(clippy::wildcard_enum_match_arm, reason = "any other variant fails the test")]

use crate::common::{self, now};
use kraube_core::credential::{Forget, Forgotten, Obtain, Outcome, Wanted};
use kraube_core::machine::{Action, Blob, Input, Locked, Machine, Step};
use kraube_core::policy::Policy;
use kraube_core::record::RunId;
use kraube_core::status::{State, status};

/// The key of the example in RFC 9449 section 4.2, with a private part that is not its own: nothing is signed here.
const KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
    "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","d":"CANARYp7x1vQCANARYp7x1vQCANARYp7x1vQCANARYo"}"#;

fn record() -> Blob {
    let client = common::client(Default::default()).to_json();
    let text = format!(
        r#"{{"theirs":[1],"kraube":{{"provider":{client},"dpop":{{"key":{KEY},"refreshToken":"r0","accessToken":"a0",
            "expiresAt":784108000000,"nonce":"n0"}},"later":true}}}}"#
    );
    Blob::new(text.into_bytes())
}

fn start(wanted: Wanted) -> Step<Obtain, Outcome> {
    Obtain::start(wanted, Policy::default(), RunId(1), now())
}

/// The first read and no more.
fn refused(wanted: Wanted) -> &'static str {
    let Step::Continue(machine, Action::Read) = start(wanted) else { panic!("it looks first") };
    match machine.step(Input::Read(Ok(Some(record()))), now()) {
        Step::Done(Outcome::Failed(failure)) => failure.code(),
        other => panic!("neither lock nor request: {other:?}"),
    }
}

#[test]
fn c6_l4_who_makes_no_proofs_is_given_no_token_that_needs_one() {
    assert_eq!(refused(Wanted::default()), "key_bound");
    let status = status(Ok(Some(record())), &Policy::default(), now().wall);
    assert!(status.bound && status.state != State::LoggedOut, "{status:?}");
}

#[test]
fn l4_a_logout_removes_key_and_tokens() {
    let Step::Continue(machine, Action::Lock { .. }) = Forget::start(false, Policy::default(), None) else {
        panic!("the lock comes first")
    };
    let Step::Continue(machine, Action::Read) = machine.step(Input::Locked(Locked::Held), now()) else {
        panic!("then it looks")
    };
    let Step::Continue(machine, Action::Delete { replaces }) = machine.step(Input::Read(Ok(Some(record()))), now())
    else {
        panic!("then it deletes")
    };
    assert_eq!(replaces, record().revision());
    assert!(matches!(machine.step(Input::Deleted(Ok(())), now()), Step::Done(Forgotten::Deleted { .. })));
}

#[cfg(not(feature = "dpop"))]
#[test]
fn c6_a_host_without_proofs_has_no_use_for_the_login_whatever_it_asks() {
    assert_eq!(refused(Wanted { bound: true, ..Wanted::default() }), "key_bound");
    let asked = serde_json::from_str::<kraube_core::dpop::Demand>("true");
    assert!(asked.expect_err("it cannot bind tokens").to_string().contains("DPoP"));
}

#[cfg(feature = "dpop")]
mod on {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use kraube_core::credential::{Install, NewLogin};
    use kraube_core::device::{Device, DeviceError, Polled, Polling};
    use kraube_core::dpop::{Binding, Call, Demand, Key, Nonce, Repeat, Repeats, TargetError};
    use kraube_core::http::{Endpoint, Request, Response};
    use kraube_core::login::{Callback, Login, Pending, Redirect, Verdict};
    use kraube_core::pkce::Entropy;
    use kraube_core::provider::Provider;
    use kraube_core::record::LoginId;
    use kraube_core::secret::Secret;
    use kraube_core::time::{Millis, Now, Timestamp};
    use kraube_core::token::{Answer, read_answer};
    use serde_json::{Value, json};

    fn key() -> Key {
        let jwk: Value = serde_json::from_str(KEY).expect("JSON");
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().expect("a string")).expect("base64url");
        let public = [bytes("x"), bytes("y")].concat();
        Key::new(&[7; 32], public.as_slice().try_into().expect("64 bytes"))
    }

    fn parts(jwt: &str) -> [Value; 2] {
        let mut parts = jwt.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url"));
        [0, 1].map(|_| serde_json::from_slice(&parts.next().expect("a part")).expect("JSON"))
    }

    #[test]
    fn l1_a_proof_says_what_the_standard_wants_and_no_more() {
        let url = Endpoint::parse("https://resource.example.org/protectedresource?a=b").expect("a URL");
        let token = Secret::new("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
        let nonce = Nonce::parse("eyJ7S_zG.eyJbYu3.xGsd").expect("a nonce");
        let call = Call { method: "GET", url: &url, access_token: Some(&token), nonce: Some(&nonce) };
        let proof = Binding::new(key()).proof(call, [1; 16], Timestamp(1_562_262_618_999)).signed(&[2; 64]);
        let [header, claims] = parts(&proof);
        let jwk: Value = serde_json::from_str(KEY).expect("JSON");
        let public = json!({ "kty": "EC", "crv": "P-256", "x": jwk["x"], "y": jwk["y"] });
        assert_eq!(header, json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public }));
        // The hash is that of RFC 9449 section 7.1.
        assert_eq!(
            claims,
            json!({ "jti": "AQEBAQEBAQEBAQEBAQEBAQ", "htm": "GET", "htu": "https://resource.example.org/protectedresource",
                "iat": 1_562_262_618, "nonce": "eyJ7S_zG.eyJbYu3.xGsd", "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo" })
        );
        let call = Call { access_token: None, nonce: None, ..call };
        let [_, claims] = parts(&Binding::new(key()).proof(call, [1; 16], Timestamp(0)).signed(&[2; 64]));
        assert_eq!(claims.as_object().map(serde_json::Map::len), Some(4), "{claims}");
        // RFC 9449 section 6.1.
        assert_eq!(key().thumbprint(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        assert_eq!(*key().private(), [7; 32]);
    }

    #[test]
    fn a_login_that_was_saved_still_asks_for_a_key() {
        let now = Timestamp(1);
        for (dpop, wants_key) in [(Demand::BOUND, true), (Demand::default(), false)] {
            let provider = Provider { dpop, ..Provider::demo("https://auth.example").expect("valid") };
            let redirect = Redirect::Loopback { uri: "http://127.0.0.1:1/callback".to_owned() };
            let (pending, url) = Login::begin(&provider, redirect, Entropy::new([7; Entropy::LEN])).expect("it begins");
            let (_, state) = url.as_str().split_once("state=").expect("a state");
            let state = state.split('&').next().unwrap_or_default();
            let saved = pending.save(now).expect("it had no response");
            let mut pending = Pending::restore(saved.bytes(), now).expect("it was saved just now");
            let query = format!("code=c&state={state}&iss=https://auth.example");
            let Verdict::Code(exchange) = pending.receive(Callback::Query(&query)) else { panic!("a code") };
            assert_eq!(exchange.wants_key(), wants_key);
        }
    }

    /// To the request, which is looked at by `see`.
    fn to_the_exchange(see: impl Fn(&Request)) -> (Obtain, Vec<u8>) {
        let wanted = Wanted { bound: true, ..Wanted::default() };
        let mut step = start(wanted);
        let mut stored = record();
        loop {
            let Step::Continue(machine, action) = step else { panic!("it is refreshed") };
            let input = match action {
                Action::Read => Input::Read(Ok(Some(stored.clone()))),
                Action::Lock { .. } => Input::Locked(Locked::Held),
                Action::Write { blob, replaces, .. } => {
                    assert_eq!(replaces, Some(stored.revision()));
                    stored = blob;
                    Input::Wrote(Ok(()))
                }
                Action::Send { request, .. } => {
                    see(&request);
                    return (machine, stored.bytes().to_vec());
                }
                Action::Delete { .. } | Action::Wait { .. } => panic!("nothing of the kind"),
            };
            step = machine.step(input, now());
        }
    }

    fn nonce_of(request: &Request) -> Option<&str> {
        request.binding.as_ref().expect("a proof is made").nonce().map(Nonce::as_str)
    }

    fn answer(status: u16, nonce: Option<&str>, body: &str) -> Input {
        let nonce = nonce.and_then(Nonce::parse);
        let response = common::json(status, body);
        let (content_type, body) = (response.content_type.clone(), response.body.clone());
        Input::Replied(Ok(Response { status, content_type, retry_after: None, dpop_nonce: nonce, body }))
    }

    const WANTS_NONCE: &str = r#"{"error":"use_dpop_nonce"}"#;
    const ISSUED: &str = r#"{"access_token":"a1","refresh_token":"r1","token_type":"dpop","expires_in":3600}"#;

    #[test]
    fn l2_the_same_token_is_sent_once_more_with_the_nonce_under_the_same_lock_and_no_more() {
        let (machine, _) = to_the_exchange(|request| assert_eq!(nonce_of(request), Some("n0")));
        let Step::Continue(machine, Action::Send { request, holds }) =
            machine.step(answer(400, Some("n1"), WANTS_NONCE), now())
        else {
            panic!("it is sent once more, at once")
        };
        assert_eq!(nonce_of(&request), Some("n1"));
        assert!(request.body.expose().contains("refresh_token=r0") && holds.is_some());
        let Step::Continue(_, Action::Write { blob, .. }) = machine.step(answer(400, Some("n2"), WANTS_NONCE), now())
        else {
            panic!("it is parked")
        };
        let stored: Value = serde_json::from_slice(blob.bytes()).expect("JSON");
        assert_eq!(stored["kraube"]["dpop"]["nonce"], "n2");
        assert!(stored["kraube"]["retryAt"].is_u64() && stored["kraube"]["redeeming"].is_null(), "nothing is in doubt");
    }

    #[test]
    fn l2_l4_the_next_tokens_are_stored_with_the_key_and_the_newest_nonce_in_one_write() {
        let (machine, _) = to_the_exchange(|_| ());
        let Step::Continue(_, Action::Write { blob, .. }) = machine.step(answer(200, Some("n1"), ISSUED), now()) else {
            panic!("they are stored")
        };
        let stored: Value = serde_json::from_slice(blob.bytes()).expect("JSON");
        let (before, dpop) = (serde_json::from_str::<Value>(KEY).expect("JSON"), &stored["kraube"]["dpop"]);
        assert_eq!((&dpop["key"], &dpop["nonce"]), (&before, &json!("n1")));
        assert_eq!((&dpop["refreshToken"], &dpop["accessToken"]), (&json!("r1"), &json!("a1")));
        assert_eq!((&stored["theirs"], &stored["kraube"]["later"]), (&json!([1]), &json!(true)));
        assert_eq!((&stored["refreshToken"], &stored["accessToken"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn l2_a_login_with_a_code_proves_its_key_in_each_poll_and_takes_a_nonce_at_once() {
        let response = |status, nonce: Option<&str>, body: &str| {
            let Input::Replied(replied) = answer(status, nonce, body) else { panic!("it is an answer") };
            replied
        };
        let document =
            r#"{"device_code":"d","user_code":"AB-CD","verification_uri":"https://auth.example/d","expires_in":60}"#;
        let provider = Provider::demo("https://auth.example").expect("a valid issuer");
        let (device, _) = Device::begin(&provider).expect("it is offered");
        let device = device.bind(Binding::new(key()));
        let (_, polling) = device.read(response(200, None, document), now()).expect("a code");
        assert_eq!((nonce_of(&polling.request()), polling.wait(now())), (None, Ok(Millis(5000))));
        let receive = |polling: Polling, replied| polling.receive(replied, Timestamp(0), now()).expect("it goes on");
        let Polled::Pending(polling) = receive(polling, response(400, Some("n1"), WANTS_NONCE)) else {
            panic!("no tokens were issued")
        };
        assert_eq!((nonce_of(&polling.request()), polling.wait(now())), (Some("n1"), Ok(Millis::ZERO)));
        let Polled::Done(credentials) = receive(polling, response(200, Some("n2"), ISSUED)) else {
            panic!("tokens were issued")
        };
        let nonce = credentials.binding.as_ref().and_then(Binding::nonce).map(Nonce::as_str);
        assert_eq!(nonce, Some("n2"), "it comes with the tokens");
        let new = NewLogin::Credentials(credentials);
        let mut step = Install::start(new, LoginId("L1".into()), Policy::default());
        let stored = loop {
            let Step::Continue(machine, action) = step else { panic!("it is stored") };
            step = match action {
                Action::Lock { .. } => machine.step(Input::Locked(Locked::Held), now()),
                Action::Read => machine.step(Input::Read(Ok(None)), now()),
                Action::Write { blob, .. } => break blob,
                _ => panic!("nothing of the kind"),
            };
        };
        let stored: Value = serde_json::from_slice(stored.bytes()).expect("JSON");
        let dpop = &stored["kraube"]["dpop"];
        assert_eq!((&dpop["refreshToken"], &dpop["nonce"]), (&json!("r1"), &json!("n2")));
        assert_eq!(dpop["key"]["x"], serde_json::from_str::<Value>(KEY).expect("JSON")["x"]);
    }

    /// What is said of an error of this code by the server, in a run whose tokens are bound.
    fn said_of_a_bound_run(code: &str) -> String {
        let (machine, _) = to_the_exchange(|_| ());
        let refusal = answer(401, None, &format!(r#"{{"error":"{code}"}}"#));
        let Step::Continue(machine, Action::Write { .. }) = machine.step(refusal, now()) else {
            panic!("it is parked")
        };
        match machine.step(Input::Wrote(Ok(())), now()) {
            Step::Done(Outcome::Failed(failure)) => failure.to_string(),
            other => panic!("it has no token: {other:?}"),
        }
    }

    #[test]
    fn l2_a_server_that_wants_a_key_is_said_to_want_one_where_there_is_none() {
        for code in ["use_dpop_nonce", "invalid_dpop_proof", "invalid_client"] {
            let response = common::json(401, format!(r#"{{"error":"{code}"}}"#));
            let Answer::ClientRejected { detail } = read_answer(&common::client(Default::default()), &response, now())
            else {
                panic!("{code} refuses no grant")
            };
            assert_eq!(detail.contains("--dpop"), code != "invalid_client", "{detail}");
            assert!(!said_of_a_bound_run(code).contains("--dpop"));
        }
    }

    #[test]
    fn l2_a_poll_is_repeated_at_once_for_a_nonce_alone_and_where_there_is_a_key() {
        let document =
            r#"{"device_code":"d","user_code":"AB-CD","verification_uri":"https://auth.example/d","expires_in":60}"#;
        let begin = |dpop| {
            let provider = Provider { dpop, ..Provider::demo("https://auth.example").expect("a valid issuer") };
            Device::begin(&provider).expect("it is offered").0
        };
        let replied = |status, body: &str| {
            let Input::Replied(replied) = answer(status, Some("n1"), body) else { panic!("it is an answer") };
            replied
        };
        let polling = |device: Device| device.read(replied(200, document), now()).expect("a code").1;
        let receive = |device, body: &str| polling(device).receive(replied(400, body), Timestamp(0), now());

        let (bound, free) = (begin(Demand::BOUND), begin(Demand::default()));
        assert!(bound.wants_key() && !free.wants_key());
        let Ok(Polled::Pending(polling)) =
            receive(bound.bind(Binding::new(key())), r#"{"error":"authorization_pending"}"#)
        else {
            panic!("it goes on")
        };
        assert_eq!(polling.wait(now()), Ok(Millis(5000)));
        let again = |polling: Polling, body: &str| polling.receive(replied(400, body), Timestamp(0), now());
        let Ok(Polled::Pending(polling)) = again(polling, WANTS_NONCE) else { panic!("it goes on") };
        // Once for each poll that is answered otherwise.
        let Ok(Polled::Pending(polling)) = again(polling, r#"{"error":"authorization_pending"}"#) else {
            panic!("it goes on")
        };
        let Ok(Polled::Pending(polling)) = again(polling, WANTS_NONCE) else { panic!("it goes on") };
        let refused = again(polling, WANTS_NONCE).expect_err("a nonce that is never right");
        assert_eq!(refused, DeviceError::Refused("use_dpop_nonce".into()));
        assert!(receive(free, WANTS_NONCE).is_err(), "nothing can be proved without a key");
    }

    #[test]
    fn l3_tokens_that_are_not_bound_are_not_used() {
        for kind in [r#""token_type":"Bearer","#, r#""token_type":"bearer","#, ""] {
            let (machine, marked) = to_the_exchange(|_| ());
            let body = format!(r#"{{"access_token":"a1","refresh_token":"r1",{kind}"expires_in":3600}}"#);
            let Step::Continue(_, Action::Write { blob, .. }) = machine.step(answer(200, None, &body), now()) else {
                panic!("it is parked")
            };
            let [before, after] =
                [&marked[..], blob.bytes()].map(|bytes| serde_json::from_slice::<Value>(bytes).expect("JSON"));
            assert_eq!(after["kraube"]["dpop"], before["kraube"]["dpop"]);
            assert!(after["kraube"]["redeeming"].is_object(), "it may be spent: {after}");
        }
    }

    #[test]
    fn a_foreign_login_in_the_usual_place_makes_the_key_void() {
        let text = String::from_utf8(record().bytes().to_vec()).expect("text");
        let foreign = text.replacen('{', r#"{"refreshToken":"f","accessToken":"g","expiresAt":9000000000000,"#, 1);
        let status = status(Ok(Some(Blob::new(foreign.into_bytes()))), &Policy::default(), now().wall);
        assert!(!status.bound, "{status:?}");
    }

    #[test]
    fn l2_a_resource_is_asked_once_more_with_a_nonce_and_once_with_another_token() {
        let nonce = Nonce::parse("n").expect("a nonce");
        let mut repeats = Repeats::default();
        let wants = [r#"DPoP error="use_dpop_nonce", algs="ES256""#];
        assert_eq!(repeats.after(401, wants, Some(&nonce)), Repeat::WithNonce);
        assert_eq!(repeats.after(401, wants, Some(&nonce)), Repeat::No);
        let rejects = [r#"DPoP error="invalid_token""#];
        assert_eq!(repeats.after(401, rejects, Some(&nonce)), Repeat::WithAnotherToken);
        assert_eq!(repeats.after(401, rejects, Some(&nonce)), Repeat::No);
        let mut fresh = Repeats::default();
        assert_eq!(fresh.after(401, wants, None), Repeat::No, "there is no nonce to send");
        assert_eq!(fresh.after(200, [], Some(&nonce)), Repeat::No);
        assert_eq!(Repeats::default().after(401, [r#"DPoP error="invalid_dpop_proof""#], None), Repeat::No);
    }

    #[test]
    fn nonces_and_targets_are_judged() {
        for bad in ["", "a b", "a\"b", "a\\b", "ü", &"n".repeat(1025)] {
            assert_eq!(Nonce::parse(bad), None, "{bad:?}");
        }
        assert!(
            TargetError::check("GET", "https://a.example/b#c").is_ok_and(|url| url.as_str() == "https://a.example/b")
        );
        assert!(
            TargetError::check("GET", "http://a.example/").is_err() && TargetError::check("", "https://a/").is_err()
        );
    }

    #[test]
    fn l2_nothing_is_sent_once_more_without_a_nonce_or_for_another_error() {
        for (nonce, body) in [(None, WANTS_NONCE), (Some("n1"), r#"{"error":"invalid_request"}"#)] {
            let (machine, _) = to_the_exchange(|_| ());
            let next = machine.step(answer(400, nonce, body), now());
            assert!(!matches!(next, Step::Continue(_, Action::Send { .. })), "{nonce:?} {body}");
        }
    }

    #[test]
    fn l2_a_code_is_sent_once_more_with_the_nonce_and_the_tokens_live_from_then() {
        let client = common::client(Default::default());
        let request = Request::new(client.token_endpoint.clone(), "text/plain", Secret::new("code=c"));
        let request = Request { binding: Some(Binding::new(key())), ..request };
        let new = NewLogin::Code { request, client };
        let Step::Continue(machine, _) = Install::start(new, LoginId("L1".into()), Policy::default()) else {
            panic!("the lock comes first")
        };
        let Step::Continue(machine, _) = machine.step(Input::Locked(Locked::Held), now()) else {
            panic!("then it looks")
        };
        let Step::Continue(machine, Action::Send { request, .. }) = machine.step(Input::Read(Ok(None)), now()) else {
            panic!("then the code is sent")
        };
        assert_eq!(nonce_of(&request), None);
        assert!(format!("{machine:?}").contains("Exchange { client"), "{machine:?}");
        let later = Now { wall: Timestamp(now().wall.0 + 2000), ..now() };
        let Step::Continue(machine, Action::Send { request, .. }) =
            machine.step(answer(400, Some("n1"), WANTS_NONCE), later)
        else {
            panic!("it is sent once more")
        };
        assert_eq!((nonce_of(&request), request.body.expose()), (Some("n1"), "code=c"));
        let Step::Continue(_, Action::Write { blob, .. }) = machine.step(answer(200, None, ISSUED), later) else {
            panic!("the tokens are stored")
        };
        let stored: Value = serde_json::from_slice(blob.bytes()).expect("JSON");
        let dpop = &stored["kraube"]["dpop"];
        assert_eq!((&dpop["nonce"], &dpop["accessToken"]), (&json!("n1"), &json!("a1")));
        assert_eq!(dpop["expiresAt"], json!(later.wall.0 + 3_600_000), "{stored}");
    }

    #[test]
    fn l4_a_key_that_is_none_makes_the_record_corrupt_and_a_good_one_is_read_as_it_was_given() {
        let given = key();
        let jwk: Value = serde_json::from_str(KEY).expect("JSON");
        let half = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().expect("a string")).expect("base64url");
        assert_eq!(given.public().as_slice(), [half("x"), half("y")].concat());
        let text = String::from_utf8(record().bytes().to_vec()).expect("JSON");
        let state = |text: &str| {
            status(Ok(Some(Blob::new(text.as_bytes().to_vec()))), &Policy::default(), now().wall).state.code()
        };
        assert_eq!(state(&text), "needs_refresh");
        for (good, bad) in [
            (r#""EC""#, r#""RSA""#),
            ("P-256", "P-384"),
            (r#""x":"l8"#, r#""x":""#),
            (r#""y":"9V"#, r#""y":""#),
            (r#""d":"CA"#, r#""d":""#),
            (r#""d":"#, r#""e":"#),
        ] {
            assert_eq!(state(&text.replacen(good, bad, 1)), "corrupt", "{bad}");
        }
    }

    #[test]
    fn a_demand_is_made_where_either_makes_it() {
        let made = |a: Demand, b: bool| a.or(b).is_made();
        assert!(!Demand::default().is_made() && Demand::BOUND.is_made());
        assert!(made(Demand::BOUND, false) && made(Demand::default(), true) && !made(Demand::default(), false));
    }

    #[test]
    fn a_target_that_gets_no_token_says_why() {
        for (method, url, code, text) in [
            ("GET /", "https://a.example", "invalid_method", "such as GET"),
            ("GET", "ftp://a.example", "invalid_target_url", "this address"),
        ] {
            let error = TargetError::check(method, url).expect_err(code);
            assert_eq!(error.code(), code);
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn only_who_has_no_key_is_told_to_log_in_with_one() {
        for error in ["use_dpop_nonce", "invalid_dpop_proof"] {
            let body = format!(r#"{{"error":"{error}"}}"#);
            let free = crate::common::read(&crate::common::json(400, body.as_str()));
            assert!(format!("{free:?}").contains("log in again with --dpop"), "{free:?}");
            let (machine, _) = to_the_exchange(|_| ());
            let Step::Continue(machine, _) = machine.step(answer(400, None, &body), now()) else {
                panic!("it is parked")
            };
            let bound = format!("{:?}", machine.step(Input::Wrote(Ok(())), now()));
            assert!(bound.contains(error) && !bound.contains("--dpop"), "{bound}");
        }
    }

    #[test]
    fn the_private_key_is_in_no_debug_text() {
        assert!(format!("{:?}", key()).contains(&key().thumbprint()), "one sees which key it is");
        let secret = URL_SAFE_NO_PAD.encode([7; 32]);
        let shown = format!("{:?} {:?}", key(), Binding::new(key()));
        assert!(!shown.contains(&secret[..12]), "{shown}");
        let (machine, stored) = to_the_exchange(|request| assert!(!format!("{request:?}").contains("CANARY")));
        assert!(!format!("{machine:?}").contains("CANARY") && String::from_utf8_lossy(&stored).contains("CANARY"));
    }
}
