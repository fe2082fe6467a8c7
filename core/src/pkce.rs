//! Proof Key for Code Exchange (RFC 7636), S256 alone, and the randomness that one login attempt is made of.

use crate::secret::Secret;
use alloc::string::String;
use base64ct::{Base64UrlUnpadded as Base64, Encoding};
use core::fmt;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The randomness of one login attempt, from the generator of the operating system. It cannot be cloned, and a login
/// consumes it: no two attempts share a verifier or a state.
///
/// ```compile_fail
/// let entropy = kraube_core::pkce::Entropy::new([7; 64]);
/// let again = entropy.clone();
/// ```
pub struct Entropy(Zeroizing<[u8; Entropy::LEN]>);

impl Entropy {
    /// How many bytes are needed: 32 for the verifier (RFC 7636 section 7.1) and 32 for the state.
    pub const LEN: usize = 64;

    /// Takes the bytes over. The caller fills them anew for each attempt and keeps no copy.
    pub fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The two values, which share no byte: neither tells anything about the other.
    pub(crate) fn split(self) -> (Verifier, Secret) {
        let (verifier, state) = self.0.split_at(32);
        let [verifier, state] = [verifier, state].map(|bytes| Secret::new(Base64::encode_string(bytes)));
        (Verifier(verifier), state)
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entropy({} bytes)", Self::LEN)
    }
}

/// A code verifier (RFC 7636 section 4.1): 43 to 128 unreserved characters.
#[derive(Debug)]
pub struct Verifier(Secret);

impl Verifier {
    /// Takes a stored verifier over; `None` where it is none.
    pub fn restore(text: Secret) -> Option<Self> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        let value = text.expose();
        ((43..=128).contains(&value.len()) && value.bytes().all(unreserved)).then_some(Self(text))
    }

    /// The code challenge of the method `S256`: the base64url of the SHA-256 of the verifier (RFC 7636 section 4.2).
    pub fn challenge(&self) -> String {
        Base64::encode_string(&Sha256::digest(self.0.expose()))
    }

    /// The verifier itself, for the token request alone.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}
