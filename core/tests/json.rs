//! The reader of JSON against another one: what is an object, what are its members, what are its strings and lists.

use kraube_core::json::{Members, append, decimal, list, text, texts};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

const WORDS: &[&str] = &[
    "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\n", "\\/", "\\x", "\"a\"", "\"a\":", "\"\":", "{\"a\":",
    "null", "true", "false", "nul", "-", "0", "1", "10", "01", "-0", "1.5", ".5", "1.", "e", "E+7", "1e5", "d83d",
    "\\ud83d", "\\udd11", "\\u0000", "00e9", " ", "\n", "\t", "\r", "\u{b}", "\u{a0}", "\0", "\u{1f}", "\u{7f}", "é",
    "🔑", "/",
];

/// The members in order, by `serde_json`.
struct Each(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Each {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Each;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Each, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Each(members))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

fn agrees(json: &[u8]) {
    let (ours, theirs) = (Members::parse(json), serde_json::from_slice::<Each>(json).ok());
    let shown = String::from_utf8_lossy(json);
    assert_eq!(ours.is_some(), theirs.is_some(), "{shown}");
    let (Some(mut ours), Some(Each(theirs))) = (ours, theirs) else { return };
    for (name, raw) in theirs {
        let value = ours.take(&name).expect("a member");
        assert_eq!(value, raw.get(), "{shown}");
        assert_eq!(text(value), serde_json::from_str(value).ok(), "{shown}");
        let elements: Option<Vec<&RawValue>> = serde_json::from_str(value).ok();
        let elements = elements.map(|all| all.into_iter().map(RawValue::get).collect::<Vec<_>>());
        assert_eq!(list(value).map(Iterator::collect::<Vec<_>>), elements, "{shown}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((".*", inner), 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_no_json_is_refused_and_all_else_is_read(words in vec(select(WORDS), 0..12)) {
        let inner = words.concat();
        for json in [inner.clone(), format!("{{\"a\":{inner}}}"), format!("{{\"a\":[{inner}],\"b\":1}}"), format!("{{\"a\":\"{inner}\"}}")] {
            agrees(json.as_bytes());
        }
    }

    #[test]
    fn documents_are_read_whole_cut_off_and_with_another_byte(value in value(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for json in [value.to_string(), serde_json::to_string_pretty(&value).expect("JSON")] {
            let json = format!("{{\"m\":{json}, \"m\" : {json} }}\n");
            agrees(json.as_bytes());
            let mut json = json.into_bytes();
            let at = at.index(json.len());
            agrees(&json[..at]);
            json[at] = byte;
            agrees(&json);
        }
    }
}

#[test]
fn nesting_of_any_depth_is_passed_over() {
    let depth = 200_000;
    let deep = format!("{{\"a\":{}1{}}}", "[{\"b\":".repeat(depth), "}]".repeat(depth));
    agrees(deep.as_bytes());
    assert!(Members::parse(deep.as_bytes()).is_some());
    agrees(&deep.as_bytes()[..deep.len() - 2]);
}

#[test]
fn what_is_twice_is_read_and_noticed() {
    let mut members = Members::parse(br#"{"a":1,"a":2}"#).expect("an object");
    assert_eq!((members.take("a"), members.take("a"), members.take("a")), (Some("1"), Some("2"), None));
}

#[test]
fn members_are_taken_from_the_end_with_their_names() {
    let mut members = Members::parse(br#"{"a":1,"b\n":"c"}"#).expect("an object");
    assert_eq!(members.pop(), Some(("b\n".to_owned(), "\"c\"")));
    assert_eq!(members.pop(), Some(("a".to_owned(), "1")));
    assert_eq!(members.pop(), None);
}

#[test]
fn a_name_that_is_no_text_is_passed_over() {
    let mut members = Members::parse(br#"{"\ud83d":1,"a":2,"":3}"#).expect("an object");
    assert_eq!((members.take("a"), members.take(""), members.take("")), (Some("2"), Some("3"), None));
    assert_eq!(members.pop(), Some((String::new(), "1")));
}

#[test]
fn values_are_what_they_say_and_nothing_else() {
    assert_eq!((decimal("1.9"), decimal("3e2"), decimal("-1"), decimal("\"1\"")), (Some(1), Some(300), None, None));
    assert_eq!(texts(r#"["a", "b\u0000"]"#), Some(vec!["a".to_owned(), "b\0".to_owned()]));
    assert_eq!((texts("[1]"), texts("\"a\""), texts("[]")), (None, None, Some(Vec::new())));
    let mut json = String::from(":");
    append(&mut json, "a\"\\\n");
    assert_eq!(json, r#":"a\"\\\u000a""#);
}

#[test]
fn a_zero_byte_is_no_end() {
    for json in [&b"{}\0"[..], b"{}\0 ", b"{\"a\":1}\0}", b"{\"a\":1\0}", b"\0{}"] {
        agrees(json);
        assert!(Members::parse(json).is_none());
    }
}

#[test]
fn two_escapes_may_be_one_character() {
    for (json, expected) in [
        (r#""\ud83d\udd11""#, Some("🔑")),
        (r#""\uD800\uDC00""#, Some("\u{10000}")),
        (r#""\udbff\udfff\u00e9""#, Some("\u{10ffff}é")),
        (r#""\ud83d""#, None),
        (r#""\ud83dx""#, None),
        (r#""\ud83d\u0041""#, None),
        (r#""\ud83d\ue000""#, None),
        (r#""\udd11""#, None),
    ] {
        assert_eq!(text(json).as_deref(), expected, "{json}");
        assert_eq!(serde_json::from_str::<String>(json).ok().as_deref(), expected, "{json}");
    }
}
