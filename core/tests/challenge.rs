//! Challenges of resources: normative line E7.

use kraube_core::challenge::{Challenge, parse};

fn challenge(scheme: &str, parameters: &[(&str, &str)]) -> Challenge {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Challenge { scheme: scheme.to_owned(), parameters: parameters.iter().map(owned).collect() }
}

#[test]
fn e7_several_challenges_quoted_commas_and_unknown_schemes_are_read() {
    for (header, expected) in [
        ("Bearer", vec![challenge("bearer", &[])]),
        (
            r#"Basic realm="a, b\"c", BEARER Error=invalid_token , error_description="gone, or spent""#,
            vec![
                challenge("basic", &[("realm", "a, b\"c")]),
                challenge("bearer", &[("error", "invalid_token"), ("error_description", "gone, or spent")]),
            ],
        ),
        // Credentials without a name, and a scheme that nothing follows.
        (
            "Negotiate YII+/abc==, Unknown, Bearer scope=\"a b\"",
            vec![challenge("negotiate", &[]), challenge("unknown", &[]), challenge("bearer", &[("scope", "a b")])],
        ),
        // Spaces around `=` and empty list elements (RFC 9110 section 5.6.1).
        (
            ",, Bearer realm = \"x\",, resource_metadata=\"https://a.example/m\",",
            vec![challenge("bearer", &[("realm", "x"), ("resource_metadata", "https://a.example/m")])],
        ),
    ] {
        assert_eq!(parse(header), expected, "{header}");
    }
}

#[test]
fn a_parameter_given_twice_is_not_guessed_at() {
    let header =
        "Bearer resource_metadata=\"https://a.example\", resource_metadata=\"https://b.example\", Basic realm=x";
    assert_eq!(parse(header), [challenge("basic", &[("realm", "x")])]);
}

#[test]
fn what_came_before_nonsense_stands() {
    for nonsense in ["=", "\"", "Bearer error=\"never closed", "Bearer error=\"a\\", "(", "é", "Bearer\u{1}x=y"] {
        let challenges = parse(&format!("Basic realm=x, {nonsense}"));
        assert_eq!(challenges.first(), Some(&challenge("basic", &[("realm", "x")])), "{nonsense}");
        let value = challenges.iter().find_map(|challenge| challenge.parameter("error"));
        assert_eq!(value, None, "{nonsense}");
    }
    assert_eq!(parse(&"a".repeat(9000)), []);
}

#[test]
fn credentials_without_a_name_may_come_last() {
    let parsed = parse("Bearer realm=x, Negotiate YII+/abc==");
    assert_eq!(parsed, [challenge("bearer", &[("realm", "x")]), challenge("negotiate", &[])]);
    assert_eq!(parse("Bearer scope=,"), [challenge("bearer", &[])], "a parameter without a value is nonsense");
}

#[test]
fn a_header_of_eight_kibibytes_is_read_and_a_longer_one_is_not() {
    let of_length = |length: usize| format!("Bearer realm={}", "a".repeat(length - "Bearer realm=".len()));
    assert_eq!(parse(&of_length(8192)).len(), 1);
    assert_eq!(parse(&of_length(8193)), []);
}

#[test]
fn padding_is_no_credentials() {
    assert_eq!(parse("Negotiate =, Basic realm=x"), [challenge("negotiate", &[])], "what follows makes no sense");
}
