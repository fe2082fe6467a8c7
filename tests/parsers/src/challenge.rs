//! `WWW-Authenticate` headers. What was read is written down in one canonical form, which must read the same.

use kraube_core::challenge::{Challenge, parse};
use std::collections::BTreeSet;

pub(crate) const WORDS: &[&str] = &[
    "Bearer",
    "Bearer ",
    "Basic realm=\"x\"",
    "Negotiate ",
    "dG9rZW4=",
    "DPoP algs=\"ES256 PS256\"",
    "realm",
    "error=\"invalid_token\"",
    "error_description=\"\u{1b}[2J\"",
    "resource_metadata=\"https://api.example/.well-known/oauth-protected-resource\"",
    "scope=\"a b\"",
    "scope",
    "=",
    " = ",
    "\"",
    "\\",
    "\\\"",
    ",",
    ", ",
    ",,",
    "\t",
    "é",
];

/// As long as that, the canonical form cannot be longer than what is looked at.
const SHORT: usize = 2048;

pub(crate) fn check(input: &[u8]) {
    let Ok(header) = str::from_utf8(input) else { return };
    let challenges = parse(header);
    for challenge in &challenges {
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()) && is_lower(name);
        assert!(is_name(&challenge.scheme), "{challenge:?}");
        let names: BTreeSet<_> = challenge.parameters.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), challenge.parameters.len(), "a parameter is there twice: {challenge:?}");
        assert!(names.into_iter().all(|name| is_name(name)), "{challenge:?}");
        for (name, value) in &challenge.parameters {
            assert_eq!(challenge.parameter(name), Some(value.as_str()));
            // Only escapes are undone: whatever it says was there, in this order.
            assert!(is_within(value, header), "{value:?} is not in {header:?}");
        }
    }
    if header.len() > SHORT {
        return;
    }
    let canonical = challenges.iter().map(written).collect::<Vec<_>>().join(", ");
    assert_eq!(parse(&canonical), challenges, "{canonical:?}");
    // Fields of the same name may be joined (RFC 9110 section 5.3): neither changes the meaning of the other.
    let other = Challenge { scheme: "x-other".to_owned(), parameters: vec![("a".to_owned(), "b".to_owned())] };
    let both = [challenges.clone(), vec![other.clone()]].concat();
    assert_eq!(parse(&[canonical.as_str(), &written(&other)].join(", ")), both, "{canonical:?}");
    // What came before the text stopped making sense stands.
    assert_eq!(parse(&format!("{canonical}, \"")), challenges, "{canonical:?}");
}

fn is_lower(name: &str) -> bool {
    !name.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn written(challenge: &Challenge) -> String {
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
    let parameters: Vec<String> =
        challenge.parameters.iter().map(|(name, value)| format!("{name}=\"{}\"", quoted(value))).collect();
    format!("{} {}", challenge.scheme, parameters.join(", ")).trim_end_matches(' ').to_owned()
}

/// Whether all characters are there, one after the other, with others in between perhaps.
fn is_within(value: &str, text: &str) -> bool {
    let mut rest = text.chars();
    value.chars().all(|wanted| rest.any(|c| c == wanted))
}
