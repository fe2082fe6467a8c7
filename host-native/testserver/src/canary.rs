//! Secrets as canaries: which of them a text holds, so that a test can search what a client says for them.

use std::collections::{BTreeMap, BTreeSet};

/// A secret of a client of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Canary {
    /// An access token that was issued.
    AccessToken,
    /// A refresh token that was issued.
    RefreshToken,
    /// An authorization code that was issued.
    Code,
    /// A `code_verifier` (RFC 7636) that was presented.
    Verifier,
    /// A `state` that an authorization request had. The URL of that request, and that of its answer, hold it rightly.
    State,
}

/// The secrets that were met.
#[derive(Default)]
pub(crate) struct Canaries(BTreeMap<String, Canary>);

/// So many characters of a secret are not in other text by chance.
const PART: usize = 12;
/// The random characters of a token of this server: 32 bytes in base64url.
const RANDOM: usize = 43;

/// What the secrets of this server begin with.
const PREFIXES: [&str; 3] = ["kr_at_", "kr_rt_", "kr_code_"];

impl Canaries {
    /// Neither the beginning of its random characters nor their end is to be found anywhere. What is too short to be
    /// told from other text is passed over.
    pub(crate) fn note(&mut self, kind: Canary, secret: &str) {
        let random = PREFIXES.iter().find_map(|prefix| secret.strip_prefix(prefix)).unwrap_or(secret);
        let random = random.get(..RANDOM).unwrap_or(random);
        if random.len() < 2 * PART || !random.is_ascii() {
            return;
        }
        for part in [&random[..PART], &random[random.len() - PART..]] {
            self.0.insert(part.to_owned(), kind);
        }
    }

    pub(crate) fn found_in(&self, text: &[u8]) -> BTreeSet<Canary> {
        let parts = text.windows(PART).filter_map(|window| self.0.get(std::str::from_utf8(window).ok()?));
        parts.copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_each_secret_are_found_and_nothing_else() {
        let random = "abcdefghijklmnopqrstuvwxyz0123456789-_ABCDE";
        let mut canaries = Canaries::default();
        canaries.note(Canary::RefreshToken, &format!("kr_rt_{random}xxxxxxxxxxxxxxxxx"));
        canaries.note(Canary::State, "short");
        for leaking in ["abcdefghijkl", "..56789-_ABCDE..", "Bearer kr_rt_abcdefghijklm"] {
            assert_eq!(canaries.found_in(leaking.as_bytes()), [Canary::RefreshToken].into(), "{leaking}");
        }
        for clean in ["", "abcdefghijk", "xxxxxxxxxxxxxxxxxxxxxx", "kr_rt_", "short"] {
            assert_eq!(canaries.found_in(clean.as_bytes()), [].into(), "{clean}");
        }
    }
}
