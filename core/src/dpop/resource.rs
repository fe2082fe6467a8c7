//! What a resource says to a request that carried a token, and whether that request is sent once more.

use super::Nonce;
use crate::challenge;

/// How a request that was answered goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The answer stands.
    No,
    /// Once more, with a proof that has the nonce of the answer (RFC 9449 section 9).
    WithNonce,
    /// Once more, with another token: this one was not accepted.
    WithAnotherToken,
}

/// Which repetitions a request has had: each kind is done once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeats {
    nonce: bool,
    token: bool,
}

impl Repeats {
    /// Judges an answer of the resource by its status, its `WWW-Authenticate` header fields and its `DPoP-Nonce`.
    pub fn after<'a>(
        &mut self,
        status: u16,
        www_authenticate: impl IntoIterator<Item = &'a str>,
        nonce: Option<&Nonce>,
    ) -> Repeat {
        if status != 401 {
            return Repeat::No;
        }
        let errors = www_authenticate.into_iter().flat_map(challenge::parse);
        let errors = errors.filter_map(|challenge| challenge.parameter("error").map(alloc::borrow::ToOwned::to_owned));
        let errors: alloc::vec::Vec<_> = errors.collect();
        let says = |error: &str| errors.iter().any(|said| said == error);
        if says("use_dpop_nonce") {
            let again = !self.nonce && nonce.is_some();
            self.nonce = true;
            return if again { Repeat::WithNonce } else { Repeat::No };
        }
        // Another token would fare no better: the clock of this machine is wrong, or a proof was seen before.
        if says("invalid_dpop_proof") || self.token {
            return Repeat::No;
        }
        self.token = true;
        Repeat::WithAnotherToken
    }
}
