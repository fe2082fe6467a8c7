//! Which client an application is at a server: registered there before, known by a document of its own (OAuth Client ID
//! Metadata Document), registered now (RFC 7591), or, where none of these is possible, the person is asked.

use crate::http::{Endpoint, EndpointError, Request, Response, SendError};
use crate::json::{self, Members, Value};
use crate::provider::{Client, LoopbackHost, Provider, RedirectRules};
use crate::registrations::{Registered, Registrations};
use crate::secret::{Fingerprint, Secret};
use crate::time::Timestamp;
use crate::token::read_error;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use serde::Deserialize;

/// The URL of a client's own metadata document, which is its client identifier: `https`, with a path, and without `.` and
/// `..` in it (OAuth Client ID Metadata Document section 3).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct MetadataUrl(Endpoint);

impl TryFrom<String> for MetadataUrl {
    type Error = EndpointError;

    fn try_from(url: String) -> Result<Self, EndpointError> {
        let url = Endpoint::parse(&url)?;
        let origin = url.origin();
        let path = url.as_str()[origin.len()..].split('?').next().unwrap_or_default();
        let fits =
            origin.starts_with("https:") && path.len() > 1 && !path.split('/').any(|part| matches!(part, "." | ".."));
        if fits { Ok(Self(url)) } else { Err(EndpointError::NoDocument) }
    }
}

/// How a provider gets its client identifier.
#[derive(Debug)]
pub enum Identity {
    /// The provider as it can be used; one that still has no client identifier is refused by the login, whose error asks
    /// the person for one.
    Settled(Provider),
    /// Send this, and give the answer to [`Registration::read`].
    Register(Registration, Request),
}

/// Decides on the client identifier, in this order: the one that the provider has; the one of a login that is stored and
/// was issued by the same server, unless it was registered; the URL of the application's own metadata document, where the
/// server takes one; an earlier registration for the same, unless the login that used it last came to no end; a new one,
/// where the server has an endpoint for it. The host stores `registrations` where they were changed.
pub fn identify(
    provider: Provider,
    stored: Option<&Client>,
    document: Option<&MetadataUrl>,
    registrations: &mut Registrations,
    now: Timestamp,
) -> Identity {
    if provider.client().is_ok() {
        return Identity::Settled(provider);
    }
    // Never one of another server (RFC 9700 section 4.4).
    let same_server = |client: &&Client| client.issuer.is_some() && client.issuer == provider.issuer;
    let before =
        stored.filter(same_server).filter(|client| !registrations.has(client)).map(|client| client.client_id.clone());
    let document = document.filter(|_| provider.client_id_metadata_document_supported);
    if let Some(client_id) = before.or_else(|| document.map(|url| url.0.as_str().into())) {
        return Identity::Settled(Provider { client_id: Some(client_id), ..provider });
    }
    match provider.registration_endpoint.clone() {
        None => Identity::Settled(provider),
        Some(url) => {
            let body = Secret::new(registration(&provider));
            let asked = body.fingerprint();
            let again = provider.issuer.as_deref().and_then(|issuer| registrations.begin(issuer, asked, now));
            if again.is_some() {
                return Identity::Settled(Provider { client_id: again, ..provider });
            }
            Identity::Register(Registration { provider, asked }, Request::new(url, "application/json", body))
        }
    }
}

/// A registration whose answer is awaited.
#[derive(Debug)]
pub struct Registration {
    provider: Provider,
    asked: Fingerprint,
}

impl Registration {
    /// Reads the answer (RFC 7591 section 3.2): the provider with its client, and what to keep of it for later logins, where
    /// the server has an issuer to keep it by.
    ///
    /// # Errors
    /// [`RegistrationError`]: there is no client identifier.
    pub fn read(
        self,
        answer: Result<Response, SendError>,
    ) -> Result<(Provider, Option<Registered>), RegistrationError> {
        let response = answer.map_err(|error| RegistrationError::Unreachable(error.detail))?;
        if !matches!(response.status, 200 | 201) {
            return Err(RegistrationError::Refused(read_error(&response.body).detail(response.status, &[])));
        }
        // Other members of the document (section 3.2.1) are passed over.
        let mut document = Members::answer(&response.body).ok_or(RegistrationError::Unreadable)?;
        let fits = |id: &String| !id.is_empty() && id.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let client_id = document.text("client_id").filter(fits);
        let auth_method = document.text("token_endpoint_auth_method");
        #[cfg(feature = "dpop")]
        let dpop = {
            // RFC 9449 section 5.2.
            let bound = document.nullable("dpop_bound_access_tokens", json::flag);
            self.provider.dpop.or(bound.unwrap_or_default())
        };
        #[cfg(not(feature = "dpop"))]
        let dpop = self.provider.dpop;
        let expires: Option<u64> = document.take("client_secret_expires_at").and_then(json::whole);
        let client_id = client_id.filter(|_| document.fits()).ok_or(RegistrationError::Unreadable)?;
        // The server may change what was asked for (section 3.2.1), and a program on a person's machine keeps no secret.
        if auth_method.is_some_and(|method| method != "none") {
            return Err(RegistrationError::NeedsSecret);
        }
        let expires = expires.filter(|seconds| *seconds > 0).map(|seconds| Timestamp(seconds.saturating_mul(1000)));
        let issuer = self.provider.issuer.clone();
        let kept = issuer.map(|issuer| Registered::new(issuer, self.asked, client_id.clone(), expires));
        Ok((Provider { client_id: Some(client_id), dpop, ..self.provider }, kept))
    }
}

/// The application could not be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrationError {
    /// The server could not be reached.
    Unreachable(String),
    /// The server does not register this application: its error, fit for display.
    Refused(String),
    /// The answer holds no client identifier.
    Unreadable,
    /// The server wants this client to authenticate with a secret.
    NeedsSecret,
}

impl RegistrationError {
    /// A stable identifier.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Refused(_) => "registration_refused",
            Self::Unreadable => "registration_unreadable",
            Self::NeedsSecret => "registration_needs_secret",
        }
    }
}

impl fmt::Display for RegistrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(detail) => {
                write!(f, "the server that registers applications could not be reached: {detail}")
            }
            Self::Refused(detail) => write!(f, "the server does not register this application: {detail}"),
            Self::Unreadable => f.write_str("the server's answer to the registration holds no client id"),
            Self::NeedsSecret => f.write_str("the server registers applications with a secret alone"),
        }?;
        f.write_str("; register one there yourself, and give its client id with --client-id, KRAUBE_CLIENT_ID or providers.toml")
    }
}

impl core::error::Error for RegistrationError {}

/// The metadata of this application (RFC 7591 section 2): a public client on a person's machine.
fn registration(provider: &Provider) -> String {
    let device = provider.device_authorization_endpoint.as_ref().map(|_| crate::device::GRANT_TYPE);
    let grant_types: Vec<&str> = ["authorization_code", "refresh_token"].into_iter().chain(device).collect();
    let redirect_uris = redirect_uris(&provider.redirect, provider.manual_redirect.as_ref());
    let scope = provider.scopes.join(" ");
    let (grant_types, redirect_uris) = (json::strings(&grant_types), json::strings(&redirect_uris));
    let members = [
        ("client_name", Some(Value::Text("kraube"))),
        ("application_type", Some(Value::Text("native"))),
        ("token_endpoint_auth_method", Some(Value::Text("none"))),
        ("grant_types", Some(Value::Json(&grant_types))),
        ("response_types", Some(Value::Json(r#"["code"]"#))),
        ("redirect_uris", Some(Value::Json(&redirect_uris))),
        ("scope", (!scope.is_empty()).then_some(Value::Text(&scope))),
        #[cfg(feature = "dpop")]
        ("dpop_bound_access_tokens", provider.dpop.is_made().then_some(Value::Json("true"))),
    ];
    json::object(&members)
}

/// Without a port where any will do: servers take every one for the loopback interface (RFC 8252 section 7.3).
fn redirect_uris(rules: &RedirectRules, manual: Option<&Endpoint>) -> Vec<String> {
    let hosts = match rules.host {
        LoopbackHost::Literal => vec!["127.0.0.1", "[::1]"],
        LoopbackHost::Localhost => vec!["localhost"],
    };
    let mut uris = Vec::new();
    for host in hosts {
        if rules.ports.is_empty() {
            uris.push(format!("http://{host}{}", rules.path));
        }
        uris.extend(rules.ports.iter().map(|port| format!("http://{host}:{port}{}", rules.path)));
    }
    uris.extend(manual.map(|page| page.as_str().to_string()));
    uris
}
