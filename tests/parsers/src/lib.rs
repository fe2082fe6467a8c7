//! One function for each parser of outside input. It takes any bytes, and panics where the parser breaks a rule. The same
//! function is fuzzed (`cargo xtask fuzz`), run on random input and on the committed inputs (`cargo test`).

mod callback;
mod challenge;
mod credentials;
mod device;
mod endpoint;
mod metadata;
mod providers;
mod retry_after;
mod saved;
mod token;

use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A parser under test.
pub struct Target {
    /// The name of the fuzz target and of the folder with its committed inputs.
    pub name: &'static str,
    /// Panics where a rule is broken.
    pub check: fn(&[u8]),
    /// Pieces that its inputs are made of.
    pub words: &'static [&'static str],
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "callback_query", check: callback::query, words: callback::WORDS },
    Target { name: "pasted_code", check: callback::pasted, words: callback::WORDS },
    Target { name: "saved_login", check: saved::check, words: saved::WORDS },
    Target { name: "token_response", check: token::check, words: token::WORDS },
    Target { name: "retry_after", check: retry_after::check, words: retry_after::WORDS },
    Target { name: "credentials", check: credentials::check, words: credentials::WORDS },
    Target { name: "providers_file", check: providers::check, words: providers::WORDS },
    Target { name: "endpoint", check: endpoint::check, words: endpoint::WORDS },
    Target { name: "metadata", check: metadata::check, words: metadata::WORDS },
    Target { name: "www_authenticate", check: challenge::check, words: challenge::WORDS },
    Target { name: "device_response", check: device::check, words: device::WORDS },
];

/// Checks one input for the target of this name.
///
/// # Panics
/// A rule is broken, or there is no such target.
pub fn check(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("there is no target {name}")).check)(input);
}

/// 6 November 1994, 08:00:00 GMT.
pub(crate) const NOW: u64 = 784_108_800_000;

/// The members of a JSON object and their values, to the letter. Of one that is there twice, the last; none where it is
/// no object.
pub(crate) fn members(json: &[u8]) -> BTreeMap<String, String> {
    let raw = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(json).unwrap_or_default();
    raw.into_iter().map(|(name, raw)| (name, raw.get().to_owned())).collect()
}

/// The member, where it is a string; else nothing.
pub(crate) fn text(members: &BTreeMap<String, String>, name: &str) -> String {
    members.get(name).and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default()
}

/// Whether a text that people see has nothing but visible ASCII characters and spaces, on one line.
pub(crate) fn fit_for_display(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Whether this member is found in a text only where it was put there: no other member has it, and no text of ours has a
/// tilde, whatever a fuzzer thinks of.
pub(crate) fn is_telling(members: &BTreeMap<String, String>, name: &str) -> bool {
    let secret = text(members, name);
    let has_it = |(other, raw): (&String, &String)| {
        other != name && (raw.contains(&secret) || text(members, other).contains(&secret))
    };
    secret.len() >= 12 && secret.contains('~') && !members.iter().any(has_it)
}
