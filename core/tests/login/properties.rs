//! Whatever arrives: no panic, no leak.

use super::pasted::pasted;
use super::*;
use kraube_core::login::state_in_pasted;
use proptest::prelude::*;

/// Pieces that responses are made of, so that random ones come near to real ones.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("code=".into()),
        Just("state=".into()),
        Just("iss=https%3A%2F%2Fauth.example".into()),
        Just("error=".into()),
        Just("error_description=".into()),
        Just("&".into()),
        Just("#".into()),
        Just("?".into()),
        Just("%".into()),
        Just("\u{1b}[200~".into()),
        Just("\"".into()),
        Just(LOOPBACK.into()),
        Just(CANARY.into()),
        Just("STATE".into()),
        ".{0,6}".prop_map(String::from),
    ]
}

proptest! {
    /// Whatever arrives: no panic, no secret shown, no code without our state in a query, never two codes.
    #[test]
    fn any_callback_is_judged_without_a_panic_or_a_leak(pieces in proptest::collection::vec(fragment(), 0..14)) {
        let (mut pending, url) = begin(&Provider { expects_iss: false, ..demo() });
        let state = state(&url);
        let raw = pieces.concat();
        let text = raw.replace("STATE", &state);
        let error_text = text.contains("error");
        for callback in [Callback::Query(&text), Callback::Pasted(&text)] {
            let verdict = pending.receive(callback);
            let shown = format!("{callback:?} {verdict:?} {pending:?}");
            // The text of an error with our state is there to be shown.
            prop_assert!(error_text || !shown.contains(CANARY), "{}", shown);
            prop_assert!(!shown.contains(&state) || error_text, "{}", shown);
            if let (Callback::Query(_), Verdict::Code(_) | Verdict::Denied { .. }) = (callback, verdict) {
                prop_assert!(raw.contains("state=") && text.contains(&state));
                let again = pending.receive(callback);
                prop_assert!(matches!(again, Verdict::Ignored(Ignored::Answered)));
            }
        }
        let _ = state_in_pasted(&text);
    }

    #[test]
    fn any_bytes_are_restored_without_a_panic(bytes: Vec<u8>, now: u64) {
        prop_assert!(Pending::restore(&bytes, Timestamp(now)).is_err());
    }

    /// A damaged file is refused or, where the damage is in a value, still not shown.
    #[test]
    fn a_damaged_saved_login_shows_nothing(at in 0_usize..600, byte: u8) {
        let saved = begin(&demo()).0.save(Timestamp(0)).expect("not answered yet");
        let mut bytes = saved.bytes().to_vec();
        let document: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        let index = at % bytes.len();
        bytes[index] = byte;
        let restored = Pending::restore(&bytes, Timestamp(0));
        let shown = match &restored {
            Ok(pending) => format!("{pending:?}"),
            Err(error) => format!("{error:?} {error}"),
        };
        for secret in ["verifier", "state"] {
            prop_assert!(!shown.contains(&document[secret].as_str().expect("a string")[..12]), "{}", shown);
        }
    }

    /// Any way in which a terminal wraps or a chat quotes it, the same code arrives.
    #[test]
    fn wrapped_and_quoted_pastes_give_the_same_code(
        code in "[A-Za-z0-9_.~-]{1,60}",
        breaks in proptest::collection::vec((0_usize..120, "[ \t\r\n]{1,3}"), 0..5),
        quote in prop_oneof![Just(""), Just("\""), Just("'"), Just("`")],
        bracketed: bool,
    ) {
        let state = state(&begin_manual().1);
        let mut text = format!("{quote}{code}#{state}{quote}");
        for (at, space) in breaks {
            text.insert_str(at % (text.len() + 1), &space);
        }
        if bracketed {
            text = format!("\u{1b}[200~{text}\u{1b}[201~");
        }
        prop_assert_eq!(pasted(&text), code);
    }
}
