//! The stored record: read, judged, refreshed by the real machine, written. Nothing that others stored may be lost.

use crate::{NOW, is_telling, text};
use kraube_core::credential::{Failure, Obtain, Outcome, Wanted};
use kraube_core::http::{Response, SendError, SendErrorKind};
use kraube_core::machine::{Action, Blob, Input, Locked, Machine, Revision, Step, WriteError};
use kraube_core::policy::Policy;
use kraube_core::record::{Record, RunId};
use kraube_core::status::status;
use kraube_core::time::{Millis, Now, Timestamp};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::BTreeMap;

pub(crate) const WORDS: &[&str] = &[
    "{",
    "}",
    ",",
    "\"refreshToken\":\"a~refresh-token-that-is-stored\"",
    "\"accessToken\":\"an~access-token-that-is-stored\"",
    "\"expiresAt\":784108800000",
    "\"expiresAt\":784108800000000",
    "\"expiresAt\":\"1\"",
    "\"expiresAt\":784108700.5",
    "\"kraube\":{\"provider\":{\"name\":\"x\",\"tokenEndpoint\":\"https://auth.example/token\",\"clientId\":\"me\",\"body\":\"json\"}}",
    "\"kraube\":{\"login\":\"1\",\"later\":[1, 2.50]}",
    "\"redeeming\":{\"run\":\"0000000000000001\",\"at\":1}",
    "\"refused\":{\"reason\":\"revoked\"}",
    "\"retryAt\":784108900000",
    "\"somebody else's\": [1, 2.50, \"\\u00fc\"]",
    "\"\\u006braube\":1",
    "\u{feff}",
    "null",
    "1e999",
];

const OURS: [&str; 4] = ["refreshToken", "accessToken", "expiresAt", "kraube"];
const OURS_INSIDE: [&str; 10] =
    ["for", "login", "provider", "scope", "obtainedAt", "redeeming", "retryAt", "retries", "lastStatus", "refused"];

pub(crate) fn check(input: &[u8]) {
    let parsed = Record::parse(input);
    let now = Timestamp(NOW);
    let told = status(Ok(Some(Blob::new(input.to_vec()))), &Policy::default(), now);
    let before = members(input);
    let shown = format!("{told:?} {:?}", parsed.as_ref().err());
    for name in ["refreshToken", "accessToken"] {
        let token = text(&before, name);
        assert!(!is_telling(&before, name) || !shown.contains(&token), "{name} is shown: {shown}");
    }
    for answer in [issues, fails, loses] {
        let (stored, outcome, requests) = run(input, answer);
        assert!(!matches!(outcome, Outcome::Failed(Failure::Misuse { .. })), "{outcome:?}");
        assert!(requests <= 3, "{requests} requests by one run");
        if parsed.is_err() {
            assert_eq!((stored.as_slice(), requests), (input, 0), "what cannot be read is left alone");
            continue;
        }
        if stored == input {
            continue;
        }
        Record::parse(&stored).expect("what is written can be read");
        let after = members(&stored);
        kept(&before, &after, &OURS);
        let inside = |members: &BTreeMap<String, String>| {
            members.get("kraube").map(|raw| self::members(raw.as_bytes())).unwrap_or_default()
        };
        kept(&inside(&before), &inside(&after), &OURS_INSIDE);
        if !matches!(outcome, Outcome::Ready(_)) {
            for name in &OURS[..3] {
                assert_eq!(before.get(*name), after.get(*name), "a failed refresh changes {name}");
            }
        }
    }
}

/// The members, where none is there twice: such an object is no record.
fn members(json: &[u8]) -> BTreeMap<String, String> {
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    let members = crate::members(json);
    let count = serde_json::from_slice(json).map_or(0, |Each(names)| names.len());
    if count == members.len() { members } else { BTreeMap::new() }
}

/// The name of each member, also where one is there twice.
struct Each(Vec<String>);

impl<'de> Deserialize<'de> for Each {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Each;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Each, A::Error> {
                let mut names = Vec::new();
                while let Some((name, _)) = map.next_entry::<String, IgnoredAny>()? {
                    names.push(name);
                }
                Ok(Each(names))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

fn kept(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>, ours: &[&str]) {
    for (name, raw) in before.iter().filter(|(name, _)| !ours.contains(&name.as_str())) {
        assert_eq!(after.get(name), Some(raw), "the member {name:?} of somebody else is not kept to the letter");
    }
}

type Answer = fn() -> Result<Response, SendError>;

fn issues() -> Result<Response, SendError> {
    let body = r#"{"access_token":"new","refresh_token":"next","token_type":"Bearer","expires_in":3600,"scope":"s"}"#;
    json(200, body)
}

fn fails() -> Result<Response, SendError> {
    json(503, "")
}

fn loses() -> Result<Response, SendError> {
    Err(SendError { kind: SendErrorKind::MaybeSent, detail: "the connection was cut".to_owned() })
}

fn json(status: u16, body: &str) -> Result<Response, SendError> {
    Ok(Response {
        status,
        content_type: Some("application/json".to_owned()),
        retry_after: None,
        dpop_nonce: None,
        body: body.into(),
    })
}

/// One run of the machine on these bytes: what is stored then, how it ended, and how many requests it sent.
fn run(input: &[u8], answer: Answer) -> (Vec<u8>, Outcome, u32) {
    let mut stored = Blob::new(input.to_vec());
    let (mut requests, mut time) = (0, 0);
    let mut at = |span: u64| {
        time += span;
        Now { wall: Timestamp(NOW + time), monotonic: Millis(time) }
    };
    let mut step = Obtain::start(Wanted::default(), Policy::default(), RunId(7), at(0));
    for _ in 0..1000 {
        let (machine, action) = match step {
            Step::Continue(machine, action) => (machine, action),
            Step::Done(outcome) => return (stored.bytes().to_vec(), outcome, requests),
        };
        let mut span = 1;
        let input = match action {
            Action::Lock { .. } => Input::Locked(Locked::Held),
            Action::Read => Input::Read(Ok(Some(Blob::new(stored.bytes().to_vec())))),
            Action::Send { .. } => {
                requests += 1;
                Input::Replied(answer())
            }
            Action::Write { replaces, blob, .. } => Input::Wrote(replace(&mut stored, replaces, blob)),
            Action::Delete { .. } => panic!("a refresh deletes nothing"),
            Action::Wait { time } => {
                span = time.0;
                Input::Woke
            }
        };
        step = machine.step(input, at(span));
    }
    panic!("the run does not end");
}

fn replace(stored: &mut Blob, replaces: Option<Revision>, blob: Blob) -> Result<(), WriteError> {
    if Some(stored.revision()) != replaces {
        return Err(WriteError::Conflict);
    }
    *stored = blob;
    Ok(())
}
