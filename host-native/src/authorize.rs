//! Requests of programs, authorized: the header fields of each, whether or not the login is bound to a key.

use crate::dpop;
use crate::drive::timestamp;
use crate::error::Error;
use crate::source::TokenSource;
use crate::token::Token;
use kraube_core::dpop::{Call, Nonce, Repeat, Repeats, TargetError};
use kraube_core::http::Endpoint;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// The header fields that authorize one request, from [`TokenSource::authorize`]. Used once: a proof that a server sees
/// twice is refused.
pub struct Authorized {
    token: Token,
    method: String,
    url: Endpoint,
    proof: Option<String>,
    repeats: Repeats,
}

/// What a resource answered, as far as it matters to [`TokenSource::again`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Answered<'a> {
    /// The status code.
    pub status: u16,
    /// The `WWW-Authenticate` header fields.
    pub www_authenticate: &'a [&'a str],
    /// The `DPoP-Nonce` header field.
    pub dpop_nonce: Option<&'a str>,
}

/// The newest nonce of each resource, by origin. They live in memory alone: a lost one costs a request.
#[derive(Default)]
pub(crate) struct Nonces(Mutex<BTreeMap<String, Nonce>>);

/// More resources than any program has.
const MOST: usize = 256;

impl Authorized {
    /// The value of the `Authorization` header field: `Bearer ...`, or `DPoP ...`.
    pub fn authorization(&self) -> String {
        self.token.authorization()
    }

    /// The value of the `DPoP` header field, where the login is bound to a key. It is good for this request alone.
    pub fn proof(&self) -> Option<&str> {
        self.proof.as_deref()
    }

    /// The token.
    pub fn token(&self) -> &Token {
        &self.token
    }
}

impl fmt::Debug for Authorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorized({} {})", self.method, self.url.origin())
    }
}

/// Authorizing requests.
impl TokenSource {
    /// A living access token for one request, and the proof that goes with it where the login is bound to a key
    /// (RFC 9449 section 7). `url` is the whole address, `https` or of the loopback interface. Give the answer to
    /// [`again`](Self::again): it knows of nonces, and of tokens that were not accepted.
    ///
    /// ```no_run
    /// # async fn get(source: &kraube::TokenSource) -> Result<(), Box<dyn std::error::Error>> {
    /// use kraube::Answered;
    ///
    /// let url = "https://api.example.org/me";
    /// let mut authorized = source.authorize("GET", url).await?;
    /// let response = loop {
    ///     let mut request = reqwest::Client::new().get(url).header("authorization", authorized.authorization());
    ///     if let Some(proof) = authorized.proof() {
    ///         request = request.header("dpop", proof);
    ///     }
    ///     let response = request.send().await?;
    ///     let text = |value: &'_ reqwest::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    ///     let asked: Vec<_> = response.headers().get_all("www-authenticate").iter().map(text).collect();
    ///     let asked: Vec<_> = asked.iter().map(String::as_str).collect();
    ///     let nonce = response.headers().get("dpop-nonce").map(text);
    ///     let status = response.status().as_u16();
    ///     let answered = Answered { status, www_authenticate: &asked, dpop_nonce: nonce.as_deref() };
    ///     match source.again(authorized, answered).await? {
    ///         Some(next) => authorized = next,
    ///         None => break response,
    ///     }
    /// };
    /// # let _ = response;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error`], sorted by what may be done next; [`Error::Target`] where the address is none to send a token to.
    pub async fn authorize(&self, method: &str, url: &str) -> Result<Authorized, Error> {
        let url = TargetError::check(method, url).map_err(Error::Target)?;
        let token = self.with_proofs().token().await?;
        self.authorized(token, method.into(), url, Repeats::default())
    }

    /// The same, for programs without a runtime.
    ///
    /// # Errors
    /// As for [`authorize`](Self::authorize).
    pub fn blocking_authorize(&self, method: &str, url: &str) -> Result<Authorized, Error> {
        let url = TargetError::check(method, url).map_err(Error::Target)?;
        let token = self.with_proofs().blocking_token()?;
        self.authorized(token, method.into(), url, Repeats::default())
    }

    /// What the resource answered to an authorized request. `Some`: send the request once more with these header fields,
    /// because the server named a nonce (RFC 9449 section 9) or did not accept the token; each of the two happens once.
    ///
    /// # Errors
    /// As for [`authorize`](Self::authorize).
    pub async fn again(&self, sent: Authorized, answered: Answered<'_>) -> Result<Option<Authorized>, Error> {
        let Some((sent, another)) = self.judge(sent, answered) else { return Ok(None) };
        let token = if another { self.with_proofs().token().await? } else { sent.token };
        self.authorized(token, sent.method, sent.url, sent.repeats).map(Some)
    }

    /// The same, for programs without a runtime.
    ///
    /// # Errors
    /// As for [`authorize`](Self::authorize).
    pub fn blocking_again(&self, sent: Authorized, answered: Answered<'_>) -> Result<Option<Authorized>, Error> {
        let Some((sent, another)) = self.judge(sent, answered) else { return Ok(None) };
        let token = if another { self.with_proofs().blocking_token()? } else { sent.token };
        self.authorized(token, sent.method, sent.url, sent.repeats).map(Some)
    }

    /// A nonce of the resource at this address, where one is known from elsewhere: another process has met it, say.
    ///
    /// # Errors
    /// [`Error::Target`]
    pub fn note_nonce(&self, url: &str, nonce: &str) -> Result<(), Error> {
        let url = TargetError::check("GET", url).map_err(Error::Target)?;
        Nonce::parse(nonce).into_iter().for_each(|nonce| self.nonces().note(&url, nonce));
        Ok(())
    }

    /// Whether the request is sent once more, and with another token.
    fn judge(&self, mut sent: Authorized, answered: Answered<'_>) -> Option<(Authorized, bool)> {
        let nonce = answered.dpop_nonce.and_then(Nonce::parse);
        nonce.iter().for_each(|nonce| self.nonces().note(&sent.url, nonce.clone()));
        let asked = answered.www_authenticate.iter().copied();
        match sent.repeats.after(answered.status, asked, nonce.as_ref()) {
            Repeat::WithNonce => Some((sent, false)),
            Repeat::WithAnotherToken => {
                self.reject(&sent.token);
                Some((sent, true))
            }
            Repeat::No => None,
        }
    }

    fn authorized(&self, token: Token, method: String, url: Endpoint, repeats: Repeats) -> Result<Authorized, Error> {
        let nonce = self.nonces().of(&url);
        let live = token.live();
        let proof = live.binding.as_ref().map(|binding| {
            let access_token = Some(&live.access_token);
            let call = Call { method: &method, url: &url, access_token, nonce: nonce.as_ref() };
            let proof = dpop::proof(binding, call, timestamp(SystemTime::now()));
            proof.ok_or_else(|| Error::System(dpop::NO_PROOF.into()))
        });
        let proof = proof.transpose()?;
        Ok(Authorized { token, method, url, proof, repeats })
    }
}

impl Nonces {
    fn of(&self, url: &Endpoint) -> Option<Nonce> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&url.origin().to_ascii_lowercase()).cloned()
    }

    fn note(&self, url: &Endpoint, nonce: Nonce) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(url.origin().to_ascii_lowercase(), nonce);
    }
}
