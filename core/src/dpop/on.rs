//! The key, the proof, and how both are stored.

use super::MEMBER;
use crate::http::{Endpoint, EndpointError, Response};
use crate::json::{self, Members, Value, Writer};
use crate::record::{Record, RecordError};
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::token::read_error;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use base64ct::{Base64UrlUnpadded as Base64, Encoding};
use core::fmt;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Whether the tokens of a login are to be bound to a key. In a document it is `true` or `false`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct Demand(bool);

impl Demand {
    /// They are to be bound.
    pub const BOUND: Self = Self(true);

    pub(crate) const MOST: Self = Self::BOUND;

    /// Whether they are to be bound.
    pub const fn is_made(self) -> bool {
        self.0
    }

    pub(crate) fn from_json(json: &str) -> Option<Self> {
        json::flag(json).map(Self)
    }

    /// The version of a saved login with this demand, and how it says so: other versions of kraube must not take it up and
    /// ask for tokens that are not bound.
    pub(crate) const fn saved_as(self) -> (u64, Option<&'static str>) {
        if self.0 { (2, Some("true")) } else { (1, None) }
    }

    /// Made, where either is.
    #[must_use]
    pub const fn or(self, other: bool) -> Self {
        Self(self.0 || other)
    }
}

/// A key pair on the curve P-256, for ES256 (RFC 7518 section 3.4). Its `Debug` prints no part of the private key, whose
/// memory is wiped when it is dropped.
#[derive(Clone)]
#[cfg_attr(feature = "model", derive(PartialEq, Eq, Hash))]
pub struct Key {
    /// As a JWK has them (RFC 7518 section 6.2): 32 bytes each, in base64url.
    x: String,
    y: String,
    d: Secret,
}

impl Key {
    /// Takes a key pair over that the host has made for one login. `private` is the scalar, `public` the point without
    /// the byte in front that says it is not compressed; both big-endian. Whether they belong together is the host's to know.
    pub fn new(private: &[u8; 32], public: &[u8; 64]) -> Self {
        let (x, y) = public.split_at(32);
        let [x, y] = [x, y].map(Base64::encode_string);
        Self { x, y, d: Secret::new(Base64::encode_string(private)) }
    }

    /// The scalar, for the one place where it signs.
    pub fn private(&self) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        // It was decoded when the key was read.
        let _ = Base64::decode(self.d.expose(), bytes.as_mut_slice());
        bytes
    }

    /// The point, without the byte in front.
    pub fn public(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        for (half, text) in bytes.chunks_mut(32).zip([&self.x, &self.y]) {
            let _ = Base64::decode(text, half);
        }
        bytes
    }

    /// The public key as a JWK, members in the order of RFC 7638, so that its SHA-256 is the thumbprint.
    fn jwk(&self) -> String {
        let members = [("crv", "P-256"), ("kty", "EC"), ("x", &self.x), ("y", &self.y)];
        json::object(&members.map(|(name, value)| (name, Some(Value::Text(value)))))
    }

    /// The thumbprint of the public key (RFC 7638): what servers know it by (`cnf.jkt`, RFC 9449 section 6).
    pub fn thumbprint(&self) -> String {
        Base64::encode_string(&Sha256::digest(self.jwk()))
    }

    /// From a JWK with the private part.
    fn from_json(json: &str) -> Option<Self> {
        let mut jwk = Members::parse(json.as_bytes())?;
        let (kty, crv) = (jwk.text("kty")?, jwk.text("crv")?);
        let (x, y, d) = (jwk.text("x")?, jwk.text("y")?, jwk.secret("d")?);
        let fits = jwk.fits() && kty == "EC" && crv == "P-256" && [&x, &y, d.expose()].into_iter().all(is_coordinate);
        fits.then_some(Self { x, y, d })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.thumbprint())
    }
}

/// A nonce that a server gave (RFC 9449 section 8). It is no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Nonce(Box<str>);

impl Nonce {
    /// From a `DPoP-Nonce` header: `None` where it is none (RFC 9449 section 8.1: printable characters without space,
    /// quote and backslash), or longer than 1,024 bytes.
    pub fn parse(header: &str) -> Option<Self> {
        let fits = |byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
        let length = 1..=1024;
        (length.contains(&header.len()) && header.bytes().all(fits)).then(|| Self(header.into()))
    }

    /// The nonce as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What binds a login: its key, and the newest nonce of its authorization server. Both are stored with the tokens, in one
/// record.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "model", derive(PartialEq, Eq, Hash))]
pub struct Binding {
    key: Box<Key>,
    nonce: Option<Nonce>,
}

/// The request that a proof is for (RFC 9449 section 4.2).
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The URL, with or without a query, without a fragment.
    pub url: &'a Endpoint,
    /// The access token that the request carries, if it does.
    pub access_token: Option<&'a Secret>,
    /// The newest nonce of the server that the request goes to.
    pub nonce: Option<&'a Nonce>,
}

/// A proof that the host has to sign.
#[derive(Debug)]
pub struct Unsigned {
    input: String,
}

impl Unsigned {
    /// What is to be signed (RFC 7515 section 5.1).
    pub fn input(&self) -> &[u8] {
        self.input.as_bytes()
    }

    /// The proof, for the `DPoP` header field: the signature is r and s, 32 bytes each, big-endian (RFC 7518 section 3.4).
    pub fn signed(self, signature: &[u8; 64]) -> String {
        format!("{}.{}", self.input, Base64::encode_string(signature))
    }
}

impl Binding {
    /// A new login's, with a key that no other login has.
    pub fn new(key: Key) -> Self {
        Self { key: Box::new(key), nonce: None }
    }

    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The newest nonce of the authorization server.
    pub fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }

    /// The proof for one request (RFC 9449 section 4.2). `random` is new for each, from the generator of the operating
    /// system: it tells proofs apart (`jti`).
    pub fn proof(&self, call: Call<'_>, random: [u8; 16], now: Timestamp) -> Unsigned {
        let jwk = self.key.jwk();
        let header = json::object(&[
            ("typ", Some(Value::Text("dpop+jwt"))),
            ("alg", Some(Value::Text("ES256"))),
            ("jwk", Some(Value::Json(&jwk))),
        ]);
        let (jti, iat) = (Base64::encode_string(&random), (now.0 / 1000).to_string());
        let url = call.url.as_str();
        let htu = url.split(['?', '#']).next().unwrap_or(url);
        let ath = call.access_token.map(|token| Base64::encode_string(&Sha256::digest(token.expose())));
        let claims = json::object(&[
            ("jti", Some(Value::Text(&jti))),
            ("htm", Some(Value::Text(call.method))),
            ("htu", Some(Value::Text(htu))),
            ("iat", Some(Value::Json(&iat))),
            ("nonce", call.nonce.map(|nonce| Value::Text(nonce.as_str()))),
            ("ath", ath.as_deref().map(Value::Text)),
        ]);
        let [header, claims] = [header, claims].map(|json| Base64::encode_string(json.as_bytes()));
        Unsigned { input: format!("{header}.{claims}") }
    }

    /// Remembers the newest nonce (RFC 9449 section 8.2).
    pub(crate) fn learn(&mut self, response: &Response) {
        if let Some(nonce) = &response.dpop_nonce {
            self.nonce = Some(nonce.clone());
        }
    }

    /// The key and the tokens as one member of a record. They are not where the tokens of other logins are: a program that
    /// knows nothing of keys finds no token there that it would use wrongly.
    pub(crate) fn write(&self, ours: &mut Writer<'_>, record: &Record) {
        ours.name(MEMBER);
        let mut bound = Writer::open(ours.sink, "      ");
        bound.name("key");
        let mut key = Writer::open(bound.sink, "        ");
        for (name, value) in
            [("kty", "EC"), ("crv", "P-256"), ("x", &self.key.x), ("y", &self.key.y), ("d", self.key.d.expose())]
        {
            key.string(name, value);
        }
        key.close("\n      }");
        record.write_tokens(&mut bound);
        if let Some(nonce) = &self.nonce {
            bound.string("nonce", nonce.as_str());
        }
        bound.close("\n    }");
    }
}

/// Reads the member of [`Binding::write`]. Tokens in the usual place are those of another program, which was here since.
pub(crate) fn read(ours: &mut Members<'_>, record: &mut Record) -> Result<(), RecordError> {
    let Some(json) = ours.take(MEMBER) else { return Ok(()) };
    if !record.is_logged_out() {
        return Ok(());
    }
    let mut bound = Members::each_once(json.as_bytes()).map_err(|_| RecordError::Key)?;
    let key = bound.value("key", Key::from_json).ok_or(RecordError::Key)?;
    let nonce = bound.text("nonce").and_then(|nonce| Nonce::parse(&nonce));
    record.take_tokens(&mut bound)?;
    record.binding = Some(Binding { key: Box::new(key), nonce });
    Ok(())
}

pub(crate) fn is_bound(record: &Record) -> bool {
    record.binding.is_some()
}

/// Whether a token request is to be sent once more with the nonce of this answer (RFC 9449 section 8): a definite answer,
/// after which nothing was redeemed.
pub(crate) fn wants_nonce(response: &Response) -> bool {
    response.dpop_nonce.is_some()
        && (400..500).contains(&response.status)
        && read_error(&response.body).error.as_deref() == Some("use_dpop_nonce")
}

/// Why a request of a program cannot have a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetError {
    /// The URL is no target for a token.
    Url(EndpointError),
    /// The method is none.
    Method,
}

impl TargetError {
    /// A stable identifier.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Url(_) => "invalid_target_url",
            Self::Method => "invalid_method",
        }
    }

    /// The target of a request. A fragment, which is never sent, is cut off.
    ///
    /// # Errors
    /// It is no `https` URL nor one of the loopback interface, or the method is no word.
    pub fn check(method: &str, url: &str) -> Result<Endpoint, Self> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err(Self::Method);
        }
        Endpoint::parse(url.split('#').next().unwrap_or(url)).map_err(Self::Url)
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(why) => write!(f, "no token is sent to this address: {why}"),
            Self::Method => f.write_str("this is no HTTP method; give one such as GET"),
        }
    }
}

impl core::error::Error for TargetError {}

/// 32 bytes in base64url.
fn is_coordinate(text: &str) -> bool {
    let mut bytes = Zeroizing::new([0; 32]);
    Base64::decode(text, bytes.as_mut_slice()).is_ok_and(|decoded| decoded.len() == 32)
}
