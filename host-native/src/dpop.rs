//! ES256 for keys that logins are bound to (DPoP, RFC 9449): makes a key, and signs what the core gives. Nothing is decided
//! here.

use crate::error::Error;
use kraube_core::dpop::{Binding, Call, Key};
use kraube_core::time::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

/// Why there is no proof.
pub(crate) const NO_PROOF: &str = "the key of this login cannot be used; log in again with `kraube login`";

/// A key that no other login has.
pub(crate) fn binding() -> Result<Binding, Error> {
    make().ok_or_else(|| Error::System("this system makes no keys".into()))
}

/// The value of the `DPoP` header field of one request. `None` where the key is none, or the system has no randomness.
pub(crate) fn proof(binding: &Binding, call: Call<'_>, now: Timestamp) -> Option<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).ok()?;
    let unsigned = binding.proof(call, random, now);
    let key = binding.key();
    let pair = pair(&key.private(), &key.public())?;
    let signature = pair.sign(&SystemRandom::new(), unsigned.input()).ok()?;
    Some(unsigned.signed(signature.as_ref().try_into().ok()?))
}

fn make() -> Option<Binding> {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).ok()?;
    let made = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).ok()?;
    // The private scalar of a PKCS #8 document on this curve (RFC 5915 section 3). That it is this is checked at once: a
    // pair of halves that do not belong together is refused.
    let private: [u8; 32] = document.as_ref().get(36..68)?.try_into().ok()?;
    let public: [u8; 64] = made.public_key().as_ref().get(1..)?.try_into().ok()?;
    pair(&private, &public)?;
    Some(Binding::new(Key::new(&private, &public)))
}

fn pair(private: &[u8; 32], public: &[u8; 64]) -> Option<EcdsaKeyPair> {
    const UNCOMPRESSED: u8 = 4;
    let mut point = vec![UNCOMPRESSED];
    point.extend(public);
    let random = SystemRandom::new();
    EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, private, &point, &random).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kraube_core::http::Endpoint;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    #[test]
    fn a_made_key_signs_what_its_public_half_verifies() {
        let (one, other) = (binding().expect("a key"), binding().expect("a key"));
        assert_ne!(one.key().thumbprint(), other.key().thumbprint());
        let url = Endpoint::parse("https://id.example/token").expect("a URL");
        let call = Call { method: "POST", url: &url, access_token: None, nonce: None };
        let jwt = proof(&one, call, Timestamp(1)).expect("a proof");
        let (input, signature) = jwt.rsplit_once('.').expect("three parts");
        let signature = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature);
        let signature = signature.expect("base64url");
        let verify = |binding: &Binding| {
            let point = [&[4][..], &binding.key().public()].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(input.as_bytes(), &signature).is_ok()
        };
        assert!(verify(&one) && !verify(&other));
    }
}
