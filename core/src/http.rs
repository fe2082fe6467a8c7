//! One HTTP exchange as data. The host performs it; what it means is decided here in the core.

use crate::dpop::{Binding, Nonce};
use crate::json;
use crate::secret::Secret;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// An `https` URL, or an `http` URL of the loopback interface, without user information and without a fragment.
///
/// RFC 6749 section 3.1 and 3.2: an endpoint may have a query, which is kept, and has no fragment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint(String);

/// Why a string is no [`Endpoint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointError {
    /// It is longer than 2,048 bytes, or has white space, control characters, quotes or non-ASCII characters.
    Characters,
    /// Its scheme is neither `https` nor, for a loopback host, `http`.
    Scheme,
    /// The host is missing or malformed.
    Host,
    /// It has a user name or a password.
    UserInfo,
    /// It has a fragment.
    Fragment,
    /// It cannot be the URL of a client's [metadata document](crate::register::MetadataUrl).
    NoDocument,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Characters => "the URL has characters that no URL may have, or is longer than 2,048 bytes",
            Self::Scheme => "the URL must begin with https:// (http:// is for 127.0.0.1, [::1] and localhost alone)",
            Self::Host => "the URL has no valid host",
            Self::UserInfo => "the URL must not hold a user name or a password",
            Self::Fragment => "the URL must not have a fragment (#...)",
            Self::NoDocument => {
                "the URL of a client's metadata document must begin with https:// and have a path, without . and .. in it"
            }
        })
    }
}

impl core::error::Error for EndpointError {}

impl Endpoint {
    /// Checks and keeps the URL as it is written; nothing is normalised.
    ///
    /// # Errors
    /// [`EndpointError`] says which rule the URL breaks.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        let fits = |byte: u8| {
            byte.is_ascii_graphic()
                && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'\\' | b'`' | b'|' | b'^' | b'{' | b'}')
        };
        if url.len() > 2048 || !url.bytes().all(fits) {
            return Err(EndpointError::Characters);
        }
        let (scheme, rest) = url.split_once(':').ok_or(EndpointError::Scheme)?;
        let rest = rest.strip_prefix("//").ok_or(EndpointError::Scheme)?;
        if rest.as_bytes().contains(&b'#') {
            return Err(EndpointError::Fragment);
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.as_bytes().contains(&b'@') {
            return Err(EndpointError::UserInfo);
        }
        let host = host_of(authority).ok_or(EndpointError::Host)?;
        match scheme {
            "https" => Ok(Self(url.into())),
            "http" if is_loopback(host) => Ok(Self(url.into())),
            _ => Err(EndpointError::Scheme),
        }
    }

    /// The same of a URL whose scheme and host may be in capitals; the canonical form has them in lower case (RFC 3986
    /// section 6.2.2.1).
    pub(crate) fn canonical(url: &str) -> Result<Self, EndpointError> {
        let lower = Self::parse(&url.to_ascii_lowercase())?;
        let origin = lower.origin();
        Ok(Self([origin, &url[origin.len()..]].concat()))
    }

    pub(crate) fn from_json(json: &str) -> Option<Self> {
        Self::parse(&json::text(json)?).ok()
    }

    /// A URL of this program, which the tests have parsed.
    pub(crate) fn constant(url: &'static str) -> Self {
        Self(url.into())
    }

    /// The URL as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.host())
    }

    /// The host, an IPv6 address in its brackets.
    pub(crate) fn host(&self) -> &str {
        let origin = self.origin();
        host_of(&origin[authority_at(origin)..]).unwrap_or_default()
    }

    /// Scheme, host and port: `https://example.org:8443`.
    pub fn origin(&self) -> &str {
        let start = authority_at(&self.0);
        let end = self.0[start..].find(['/', '?']).map_or(self.0.len(), |at| start + at);
        &self.0[..end]
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(url: String) -> Result<Self, EndpointError> {
        Self::parse(&url)
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the authority of an endpoint begins, behind `https://`.
fn authority_at(url: &str) -> usize {
    url.find(':').map_or(0, |colon| colon + 3)
}

fn is_loopback(host: &str) -> bool {
    matches!(host, "127.0.0.1" | "[::1]" | "localhost")
}

fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')?;
            rest[..end].parse::<Ipv6Addr>().ok()?;
            (&authority[..end + 2], &rest[end + 1..])
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let host = &authority[..end];
            let valid = !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
            (valid && (!ends_in_a_number(host) || host.parse::<Ipv4Addr>().is_ok())).then_some(())?;
            (host, &authority[end..])
        }
    };
    let port_fits = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| {
            digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse().is_ok_and(|port: u64| port <= u16::MAX.into())
        });
    port_fits.then_some(host)
}

/// What others read as an IPv4 address, also as one number or in another base (WHATWG URL, "ends in a number"): such a host
/// must be an address here too, or it would be judged by its name and reached by its number.
fn ends_in_a_number(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// One request, always a `POST`. The host adds nothing but what HTTP itself needs, follows no redirect and retries
/// nothing by itself: a second `POST` would be a second redemption.
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
pub struct Request {
    /// Where to.
    pub url: Endpoint,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body. It holds secrets.
    pub body: Secret,
    /// Where the tokens of the login are bound to a key: the host adds a `DPoP` header field with a
    /// [proof](crate::dpop) that it signs, made for this request alone, each time it is sent.
    pub binding: Option<Binding>,
}

impl Request {
    /// A request without a proof.
    pub const fn new(url: Endpoint, content_type: &'static str, body: Secret) -> Self {
        Self { url, content_type, body, binding: None }
    }

    #[cfg(feature = "dpop")]
    /// The same request, to be sent once more after an answer by which the first one certainly did nothing.
    pub(crate) fn repeat(&self) -> Self {
        let Self { url, content_type, body, binding } = self;
        Self { url: url.clone(), content_type, body: body.clone(), binding: binding.clone() }
    }

    /// The value for the `Accept` header.
    pub const ACCEPT: &'static str = "application/json";
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "POST {} ({} bytes)", self.url, self.body.expose().len())
    }
}

/// What came back: any status, the headers that are used, and at most [`Response::MAX_BODY`] bytes of body.
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The `Content-Type` header, where there is one.
    pub content_type: Option<String>,
    /// The `Retry-After` header, where there is one.
    pub retry_after: Option<String>,
    /// The `DPoP-Nonce` header, where there is one.
    pub dpop_nonce: Option<Nonce>,
    /// The body. It may hold secrets.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer without a nonce.
    pub const fn new(status: u16, content_type: Option<String>, retry_after: Option<String>, body: Vec<u8>) -> Self {
        Self { status, content_type, retry_after, dpop_nonce: None, body }
    }

    /// The host stops reading one byte after this: a body that is longer is unreadable.
    pub const MAX_BODY: usize = 1024 * 1024;
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {} ({} bytes)", self.status, self.body.len())
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        self.body.zeroize();
    }
}

/// No answer was had. Which of the cases it was decides whether the token may be spent, so a host must never say
/// [`NotSent`](SendErrorKind::NotSent) unless it knows that no byte of the request left this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SendError {
    /// What is known.
    pub kind: SendErrorKind,
    /// For people: what the system said. Never holds a secret.
    pub detail: String,
}

/// What a host may know about a request without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendErrorKind {
    /// Name resolution, connection or TLS failed: the request never left.
    NotSent,
    /// It left, or may have left, and no complete answer came: reset, cut off, closed.
    MaybeSent,
    /// The same, and the time ran out: the request may still be travelling.
    TimedOut,
    /// The check right before sending found the lock gone or the record changed: nothing was sent.
    LockLost,
}
