//! The authorization code grant with PKCE (RFC 6749 section 4.1, RFC 7636, RFC 8252) as typed legs, each used once:
//! [`Login::begin`], [`Pending::receive`], [`Exchange::request`].

pub use crate::callback::{Callback, Ignored, state_in_pasted};

use crate::callback::{self, Parameters};
use crate::dpop::Demand;
use crate::http::{Endpoint, Request, Response, SendError};
use crate::json::{self, Members, Value};
use crate::machine::Blob;
use crate::pkce::{Entropy, Verifier};
use crate::provider::{Client, MissingClientId, Provider};
use crate::secret::{Fingerprint, Secret};
use crate::text::{displayable, said, say};
use crate::time::{Millis, Timestamp};
use crate::token;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::slice;

/// How long a saved [`Pending`] can be restored.
pub const PENDING_LIFE: Millis = Millis::from_secs(600);

/// The scope by which OpenID providers give refresh tokens (OpenID Connect Core section 11).
pub(crate) const OFFLINE_ACCESS: &str = "offline_access";

/// The first leg.
#[derive(Debug)]
pub enum Login {}

impl Login {
    /// Makes the authorization request (RFC 6749 section 4.1.1) for one attempt; another attempt needs other entropy.
    ///
    /// # Errors
    /// [`BeginError`]: the provider or the redirect URI cannot be used, or it takes requests only where they were pushed
    /// ([`start`](Self::start)). Nothing was sent.
    pub fn begin(
        provider: &Provider,
        redirect: Redirect,
        entropy: Entropy,
    ) -> Result<(Pending, AuthorizationUrl), BeginError> {
        match Self::start(provider, redirect, entropy)? {
            Started::Ready(pending, url) => Ok((pending, url)),
            Started::Push(..) => Err(BeginError::PushRequired),
        }
    }

    /// Makes the authorization request like [`begin`](Self::begin); where the server requires it, one to be pushed first
    /// (RFC 9126).
    ///
    /// # Errors
    /// [`BeginError`]: the provider or the redirect URI cannot be used. Nothing was sent.
    pub fn start(provider: &Provider, redirect: Redirect, entropy: Entropy) -> Result<Started, BeginError> {
        let client = provider.client().map_err(BeginError::MissingClientId)?;
        if provider.expects_iss && provider.issuer.is_none() {
            return Err(BeginError::IssuerUnknown);
        }
        // RFC 8707 section 2: an absolute URI without a fragment.
        if provider
            .resource
            .as_ref()
            .is_some_and(|uri| !uri.as_bytes().contains(&b':') || uri.as_bytes().contains(&b'#'))
        {
            return Err(BeginError::InvalidResource);
        }
        let redirect_uri = redirect.into_uri(provider)?;
        let (verifier, state) = entropy.split();
        let scope = provider.scopes.join(" ");
        let challenge = verifier.challenge();
        let standard = [
            ("response_type", "code"),
            ("client_id", &client.client_id),
            ("redirect_uri", &redirect_uri),
            ("scope", &scope),
            ("state", state.expose()),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", client.resource.as_deref().unwrap_or_default()),
        ];
        let extra = provider.authorization_parameters.iter();
        let mut parameters: Vec<(&str, &str)> = extra.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // OpenID Connect Core section 11: a server may leave the scope out of a request without it, and with that the
        // refresh token. A profile that names the parameter itself knows its server better, also where it names it empty.
        let offline = provider.scopes.iter().any(|scope| scope == OFFLINE_ACCESS);
        let named = parameters.iter().any(|(name, _)| *name == "prompt")
            || provider.authorization_endpoint.as_str().split(['?', '&']).any(|part| part.starts_with("prompt="));
        parameters.extend(standard);
        if offline && !named {
            parameters.push(("prompt", "consent"));
        }
        let url = AuthorizationUrl::build(&provider.authorization_endpoint, &parameters)?;
        let push = if provider.require_pushed_authorization_requests {
            let endpoint = provider.pushed_authorization_request_endpoint.clone();
            Some(token::form_request(endpoint.ok_or(BeginError::PushRequired)?, &parameters))
        } else {
            None
        };
        let (verifier, expects_iss, dpop) = (Some(verifier), provider.expects_iss, provider.dpop);
        let pending = Pending { client, redirect_uri, state, verifier, expects_iss, dpop };
        Ok(match push {
            None => Started::Ready(pending, url),
            Some(request) => {
                Started::Push(Push { pending, endpoint: provider.authorization_endpoint.clone() }, request)
            }
        })
    }
}

/// How a login goes on after [`Login::start`].
#[derive(Debug)]
pub enum Started {
    /// The URL can be opened.
    Ready(Pending, AuthorizationUrl),
    /// Send this first, and give the answer to [`Push::read`].
    Push(Push, Request),
}

/// An authorization request on its way to the server (RFC 9126 section 2).
#[derive(Debug)]
pub struct Push {
    pending: Pending,
    endpoint: Endpoint,
}

impl Push {
    /// Reads the answer (RFC 9126 section 2.2). The URL names the request that the server has by now; it is good for a
    /// short time, often a minute.
    ///
    /// # Errors
    /// [`BeginError::PushUnreachable`], [`BeginError::PushRefused`], [`BeginError::PushUnreadable`]
    pub fn read(self, answer: Result<Response, SendError>) -> Result<(Pending, AuthorizationUrl), BeginError> {
        let response = answer.map_err(|error| BeginError::PushUnreachable(error.detail))?;
        if !matches!(response.status, 200 | 201) {
            let sent = slice::from_ref(&self.pending.state);
            return Err(BeginError::PushRefused(token::read_error(&response.body).detail(response.status, sent)));
        }
        let mut document = Members::answer(&response.body).ok_or(BeginError::PushUnreadable)?;
        let request_uri = document.text("request_uri").filter(|uri| document.fits() && !uri.is_empty());
        let request_uri = request_uri.ok_or(BeginError::PushUnreadable)?;
        let parameters = [("client_id", self.pending.client.client_id.as_str()), ("request_uri", &request_uri)];
        let url = AuthorizationUrl::build(&self.endpoint, &parameters)?;
        Ok((self.pending, url))
    }
}

/// Where the authorization response shall go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// To a listener on this machine (RFC 8252 section 7.3).
    Loopback {
        /// From [`RedirectRules::uri`](crate::provider::RedirectRules::uri).
        uri: String,
    },
    /// To a page of a browser application (RFC 10017), as it is registered.
    Page {
        /// The `https` URL, or one of the loopback interface while developing.
        uri: String,
    },
    /// To the page of the server that shows the code to copy ([`Provider::manual_redirect`]).
    Manual,
}

impl Redirect {
    fn into_uri(self, provider: &Provider) -> Result<String, BeginError> {
        let (uri, loopback) = match self {
            Self::Manual => {
                let uri = provider.manual_redirect.as_ref().ok_or(BeginError::NoManualRedirect)?;
                return Ok(uri.as_str().into());
            }
            Self::Loopback { uri } => (uri, true),
            Self::Page { uri } => (uri, false),
        };
        let endpoint = Endpoint::parse(&uri).map_err(|_| BeginError::InvalidRedirect)?;
        // Among http URLs, an endpoint can only be one of the loopback interface.
        if loopback && !endpoint.as_str().starts_with("http://") {
            return Err(BeginError::InvalidRedirect);
        }
        Ok(uri)
    }
}

/// The URL to open in the browser. It holds the state and the code challenge, never the verifier; its `Debug` prints
/// the origin alone.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorizationUrl {
    url: String,
    origin: String,
}

impl AuthorizationUrl {
    /// The URL, on one line, in ASCII.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Appends the parameters to the query that the endpoint has. Empty ones are not sent, none is sent twice
    /// (RFC 6749 section 3.1).
    fn build(endpoint: &Endpoint, parameters: &[(&str, &str)]) -> Result<Self, BeginError> {
        let query = endpoint.as_str().split_once('?').map(|(_, query)| query);
        let there = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).map(|(name, _)| name);
        let sent = parameters.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| Cow::Borrowed(*name));
        let names: Vec<Cow<'_, str>> = there.chain(sent).collect();
        if let Some((_, name)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            return Err(BeginError::RepeatedParameter { name: displayable(name) });
        }
        let separator = match query {
            None => "?",
            Some(query) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        let mut url = [endpoint.as_str(), separator].concat();
        token::push_form(&mut url, parameters);
        Ok(Self { url, origin: endpoint.origin().into() })
    }
}

impl fmt::Display for AuthorizationUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl fmt::Debug for AuthorizationUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorizationUrl({})", self.origin)
    }
}

/// The second leg: one attempt that waits for its response. It is the record of what that response must fit.
pub struct Pending {
    client: Client,
    redirect_uri: String,
    state: Secret,
    /// `None` after the one response that it was for.
    verifier: Option<Verifier>,
    expects_iss: bool,
    dpop: Demand,
}

impl Pending {
    /// Judges a callback. After [`Verdict::Denied`] or [`Verdict::Code`] every further one is ignored.
    pub fn receive(&mut self, callback: Callback<'_>) -> Verdict {
        self.judge(callback).unwrap_or_else(Verdict::Ignored)
    }

    /// The redirect URI of this attempt.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Tells this attempt from others: compare with [`state_in_pasted`].
    pub fn state_fingerprint(&self) -> Fingerprint {
        self.state.fingerprint()
    }

    /// The attempt as bytes, to be finished by another process or after the page was left. They hold the verifier:
    /// store them where only the user can read them, and delete them after use. `None`: it has had its response.
    pub fn save(&self, now: Timestamp) -> Option<Blob> {
        let client = self.client.to_json();
        let created = now.0.to_string();
        let (version, dpop) = self.dpop.saved_as();
        let version = version.to_string();
        let saved = json::object(&[
            ("version", Some(Value::Json(&version))),
            ("created", Some(Value::Json(&created))),
            ("client", Some(Value::Json(&client))),
            ("redirectUri", Some(Value::Text(&self.redirect_uri))),
            ("state", Some(Value::Text(self.state.expose()))),
            ("verifier", Some(Value::Text(self.verifier.as_ref()?.expose()))),
            ("expectsIss", Some(Value::Json(if self.expects_iss { "true" } else { "false" }))),
            ("dpop", dpop.map(Value::Json)),
        ]);
        Some(Blob::new(saved.into_bytes()))
    }

    /// Takes a saved attempt up again, within [`PENDING_LIFE`].
    ///
    /// # Errors
    /// [`RestoreError`]: a new login is needed.
    pub fn restore(bytes: &[u8], now: Timestamp) -> Result<Self, RestoreError> {
        let mut members = Members::parse(bytes).ok_or(RestoreError::Unreadable)?;
        let version: Option<u64> = members.value("version", json::whole);
        let version = version.filter(|_| members.fits()).ok_or(RestoreError::Unreadable)?;
        if !(1..=Demand::MOST.saved_as().0).contains(&version) {
            return Err(RestoreError::Version);
        }
        let saved = Saved::read(members).ok_or(RestoreError::Unreadable)?;
        if version != saved.dpop.saved_as().0 {
            return Err(RestoreError::Version);
        }
        let created = saved.created;
        if now.since(created) > PENDING_LIFE || created.since(now) > PENDING_LIFE {
            return Err(RestoreError::Expired);
        }
        let Saved { client, redirect_uri, state, verifier, expects_iss, dpop, .. } = saved;
        Ok(Self { client, redirect_uri: redirect_uri.into(), state, verifier: Some(verifier), expects_iss, dpop })
    }

    fn judge(&mut self, callback: Callback<'_>) -> Result<Verdict, Ignored> {
        let (parameters, has_state, has_iss) = match callback {
            Callback::Query(query) => (callback::parse_query(query)?, true, true),
            Callback::Pasted(text) => {
                let answer = callback::parse_pasted(text, &self.redirect_uri)?;
                (answer.parameters, answer.has_state, answer.is_url)
            }
        };
        let Parameters { code, state, iss, error, error_description } = parameters;
        if has_state {
            let state = state.ok_or(Ignored::StateMissing)?;
            if !self.state.same(state.expose()) {
                return Err(Ignored::StateMismatch);
            }
        }
        if self.verifier.is_none() {
            return Err(Ignored::Answered);
        }
        // Before anything of the response is used, its error text included (RFC 9207 section 2.4). What a page showed
        // to be copied has no `iss`; it is bound to this login by the verifier.
        if has_iss {
            self.check_issuer(iss.as_deref())?;
        }
        match (code, error) {
            (Some(_), Some(_)) => Err(Ignored::Contradictory),
            (None, None) => Err(Ignored::NoCode),
            (None, Some(error)) => {
                self.verifier = None;
                let sent = slice::from_ref(&self.state);
                let code = Some(said(&error, sent)).filter(|code| !code.is_empty());
                Ok(Verdict::Denied {
                    code: code.unwrap_or_else(|| "unreadable_error".into()),
                    description: error_description.map(|text| said(&text, sent)).filter(|text| !text.is_empty()),
                })
            }
            (Some(code), None) => {
                let verifier = self.verifier.take().ok_or(Ignored::Answered)?;
                let request = token::code_request(&self.client, &code, &verifier, &self.redirect_uri, &self.state);
                let request = Box::new(request);
                Ok(Verdict::Code(Exchange {
                    client: self.client.clone(),
                    request,
                    #[cfg(feature = "dpop")]
                    dpop: self.dpop,
                }))
            }
        }
    }

    /// `iss` is compared as it is: no case folding, no default port, no trailing slash.
    fn check_issuer(&self, iss: Option<&str>) -> Result<(), Ignored> {
        match (self.client.issuer.as_deref(), iss) {
            (Some(issuer), Some(iss)) if issuer != iss => Err(Ignored::IssuerMismatch),
            (_, None) if self.expects_iss => Err(Ignored::IssuerMissing),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answered = if self.verifier.is_none() { ", answered" } else { "" };
        write!(f, "Pending({}, {}{answered})", self.client.name, self.state_fingerprint())
    }
}

/// What a callback is.
#[derive(Debug)]
pub enum Verdict {
    /// Not the awaited response: go on waiting.
    Ignored(Ignored),
    /// The server or the user said no. The login is over.
    Denied {
        /// The error code, such as `access_denied`, made fit for display.
        code: String,
        /// What the server says about it, made fit for display.
        description: Option<String>,
    },
    /// The authorization code, ready to be exchanged.
    Code(Exchange),
}

impl Verdict {
    /// What to do about a login that was denied.
    pub const DENIED_HINT: &'static str = "start the login again and agree to it";

    /// [`Verdict::Denied`] in words.
    pub fn denied(code: &str, description: Option<&str>) -> String {
        match description {
            None => ["the login was denied (", code, ")"].concat(),
            Some(text) => ["the login was denied (", code, "): ", text].concat(),
        }
    }
}

/// The third leg: a validated code. It is used once, so it is not `Clone`.
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
pub struct Exchange {
    client: Client,
    request: Box<Request>,
    #[cfg(feature = "dpop")]
    dpop: Demand,
}

impl Exchange {
    /// Whether the tokens shall be bound to a key: the host makes a new one then, and [binds](Self::bind) the exchange to
    /// it.
    #[cfg(feature = "dpop")]
    pub fn wants_key(&self) -> bool {
        self.dpop.is_made()
    }

    /// Binds the tokens to a key that no other login has (RFC 9449 section 5).
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn bind(mut self, binding: crate::dpop::Binding) -> Self {
        self.request.binding = Some(binding);
        self
    }

    /// The token request, and the client to store beside the tokens. Read the answer with
    /// [`read_answer`](crate::token::read_answer).
    pub fn request(self) -> (Client, Request) {
        (self.client, *self.request)
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exchange({})", self.client.name)
    }
}

/// A login could not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BeginError {
    /// The provider has no client identifier.
    MissingClientId(MissingClientId),
    /// The provider has no page that shows a code.
    NoManualRedirect,
    /// The redirect URI is not of the loopback interface, where it has to be, is no URL that can be used, or has a fragment.
    InvalidRedirect,
    /// The provider is said to send `iss`, but its issuer is not known.
    IssuerUnknown,
    /// The resource is no absolute URI, or has a fragment.
    InvalidResource,
    /// A parameter would be sent twice.
    RepeatedParameter {
        /// Its name.
        name: String,
    },
    /// The server takes authorization requests only where they were pushed (RFC 9126), and there is no endpoint for that,
    /// or this host pushes none.
    PushRequired,
    /// The request could not be pushed: the server could not be reached.
    PushUnreachable(String),
    /// The server does not accept the request that was pushed: its error, fit for display.
    PushRefused(String),
    /// The answer to the request that was pushed does not name it.
    PushUnreadable,
}

impl BeginError {
    /// A stable identifier.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingClientId(error) => error.code(),
            Self::NoManualRedirect => "no_manual_redirect",
            Self::InvalidRedirect => "invalid_redirect",
            Self::IssuerUnknown => "issuer_unknown",
            Self::InvalidResource => "invalid_resource",
            Self::RepeatedParameter { .. } => "repeated_parameter",
            Self::PushRequired => "push_required",
            Self::PushUnreachable(_) => "unreachable",
            Self::PushRefused(_) => "push_refused",
            Self::PushUnreadable => "push_unreadable",
        }
    }
}

impl fmt::Display for BeginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingClientId(error) => return error.fmt(f),
            Self::NoManualRedirect => "this provider has no page that shows a code; log in with the browser",
            Self::InvalidRedirect => {
                "the redirect URI is not valid; check the provider's redirect rules: the path begins with / and has no #"
            }
            Self::IssuerUnknown => "the provider has expects_iss but no issuer; add its issuer",
            Self::InvalidResource => "the provider's resource must be an absolute URI without a fragment (#...)",
            Self::RepeatedParameter { name } => {
                let advice = "remove it from the provider's authorization_parameters or endpoint";
                return say(f, &["the parameter ", name, " would be sent twice; ", advice]);
            }
            Self::PushRequired => {
                "this server takes pushed authorization requests alone (RFC 9126); log in with the command, and where \
                 that does not help either, name its pushed_authorization_request_endpoint"
            }
            Self::PushUnreachable(detail) => {
                return say(f, &["the authorization request could not be pushed: ", detail, "; check the network"]);
            }
            Self::PushRefused(detail) => {
                return say(f, &["the server does not accept the authorization request: ", detail, "; check the client id"]);
            }
            Self::PushUnreadable => "the server's answer to the pushed authorization request names no request; try again",
        })
    }
}

impl core::error::Error for BeginError {}

/// A saved login could not be taken up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreError {
    /// The bytes are no saved login.
    Unreadable,
    /// Another version of kraube wrote them.
    Version,
    /// More than ten minutes have passed.
    Expired,
}

impl RestoreError {
    /// A stable identifier.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "pending_unreadable",
            Self::Version => "pending_version",
            Self::Expired => "pending_expired",
        }
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "the login that was begun cannot be read; begin a new one",
            Self::Version => "the login was begun by another version of kraube; begin a new one",
            Self::Expired => "the login was begun more than ten minutes ago; begin a new one",
        })
    }
}

impl core::error::Error for RestoreError {}

/// What [`Pending::save`] writes.
struct Saved {
    created: Timestamp,
    client: Client,
    redirect_uri: Endpoint,
    state: Secret,
    verifier: Verifier,
    expects_iss: bool,
    dpop: Demand,
}

impl Saved {
    fn read(mut members: Members<'_>) -> Option<Self> {
        let saved = Self {
            created: members.value("created", json::whole).map(Timestamp)?,
            client: members.value("client", Client::from_json)?,
            redirect_uri: members.value("redirectUri", Endpoint::from_json)?,
            state: members.secret("state").filter(|state| !state.is_empty())?,
            verifier: members.secret("verifier").and_then(Verifier::restore)?,
            expects_iss: members.value("expectsIss", json::flag)?,
            dpop: members.value("dpop", Demand::from_json).unwrap_or_default(),
        };
        members.fits().then_some(saved)
    }
}
