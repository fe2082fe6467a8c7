//! A login that was saved by one process and is finished by another.

use crate::{NOW, is_telling, members, text};
use kraube_core::login::Pending;
use kraube_core::time::Timestamp;

pub(crate) const WORDS: &[&str] = &[
    "{",
    "}",
    "\"version\":1",
    "\"version\":2",
    ",",
    "\"created\":784108800000",
    "\"client\":{\"name\":\"x\",\"tokenEndpoint\":\"https://auth.example/token\",\"clientId\":\"me\"}",
    "\"redirectUri\":\"http://127.0.0.1:1/callback\"",
    "\"state\":\"a~state-that-nobody-knows\"",
    "\"verifier\":\"01234567890123456789~1234567890123456789012345\"",
    "\"expectsIss\":true",
    "null",
    "\\u0000",
];

pub(crate) fn check(input: &[u8]) {
    let now = Timestamp(NOW);
    let restored = Pending::restore(input, now);
    let shown = match &restored {
        Ok(pending) => format!("{pending:?}"),
        Err(error) => format!("{error:?} {error} {}", error.code()),
    };
    let document = members(input);
    for name in ["state", "verifier"] {
        assert!(!is_telling(&document, name) || !shown.contains(&text(&document, name)), "{name} is shown: {shown}");
    }
    if let Ok(pending) = restored {
        let saved = pending.save(now).expect("it had no answer");
        let again = Pending::restore(saved.bytes(), now).expect("what was saved can be restored");
        assert_eq!(again.state_fingerprint(), pending.state_fingerprint());
        assert_eq!(again.redirect_uri(), pending.redirect_uri());
        assert_eq!(again.save(now).expect("no answer").bytes(), saved.bytes());
    }
}
