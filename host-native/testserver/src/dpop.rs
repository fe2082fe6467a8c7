//! Proofs of a key (DPoP, RFC 9449): each is verified in full, and accepted once.

use crate::ledger::{Refused, random};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// How far the clock of a client may be off, in seconds.
const WINDOW: u64 = 60;

/// What is known of proofs.
#[derive(Default)]
pub(crate) struct Proofs {
    seen: HashSet<String>,
    nonce: String,
    /// How many proofs had the present nonce.
    uses: u64,
}

/// What a proof must fit.
pub(crate) struct Fits<'a> {
    pub(crate) method: &'a str,
    pub(crate) url: &'a str,
    pub(crate) access_token: Option<&'a str>,
    /// For how many proofs a nonce is good. `None`: no nonces.
    pub(crate) uses: Option<u64>,
}

#[derive(Deserialize)]
struct Header {
    typ: String,
    alg: String,
    jwk: Jwk,
}

/// Any other member, `d` above all, makes it unreadable.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    y: String,
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: u64,
    ath: Option<String>,
    nonce: Option<String>,
}

impl Proofs {
    /// The present nonce, which an answer carries. That it is used up is heard by an error.
    pub(crate) fn nonce(&mut self) -> String {
        if self.nonce.is_empty() {
            self.change();
        }
        self.nonce.clone()
    }

    pub(crate) fn change(&mut self) {
        self.nonce = random("kr_nonce_", 0);
        self.uses = 0;
    }

    /// The thumbprint of the key (RFC 7638).
    pub(crate) fn verify(&mut self, proof: &str, fits: &Fits<'_>) -> Result<String, Refused> {
        let wrong = |what| Refused::new("invalid_dpop_proof", what);
        let (input, signature) = proof.rsplit_once('.').ok_or(wrong("not a JWT"))?;
        let (header, claims) = input.split_once('.').ok_or(wrong("not a JWT"))?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| wrong("not base64url"));
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| wrong("the header is wrong"))?;
        let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_| wrong("a claim is wrong"))?;
        let Jwk { kty, crv, x, y } = &header.jwk;
        if (header.typ.as_str(), header.alg.as_str(), kty.as_str(), crv.as_str())
            != ("dpop+jwt", "ES256", "EC", "P-256")
        {
            return Err(wrong("type, algorithm or key is another one"));
        }
        let point = [vec![4], decode(x)?, decode(y)?].concat();
        let verified = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        verified.verify(input.as_bytes(), &decode(signature)?).map_err(|_| wrong("the signature is wrong"))?;
        if claims.htm != fits.method || claims.htu != fits.url {
            return Err(wrong("it is for another request"));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if now.abs_diff(claims.iat) > WINDOW {
            return Err(wrong("it is too old, or of the future"));
        }
        let ath = fits.access_token.map(|token| URL_SAFE_NO_PAD.encode(Sha256::digest(token)));
        if claims.ath != ath {
            return Err(wrong("ath does not fit the access token"));
        }
        if claims.jti.is_empty() || !self.seen.insert(claims.jti) {
            return Err(wrong("it was seen before"));
        }
        if let Some(uses) = fits.uses {
            if self.nonce.is_empty() || self.uses >= uses {
                self.change();
            }
            if claims.nonce.as_deref() != Some(&self.nonce) {
                return Err(Refused::new("use_dpop_nonce", "the proof needs the nonce of the header"));
            }
            self.uses += 1;
        }
        let members = format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}","y":"{y}"}}"#);
        Ok(URL_SAFE_NO_PAD.encode(Sha256::digest(members)))
    }
}
