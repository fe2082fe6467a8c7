//! Authorization servers as data: where to send what, and which client we are there.

use crate::dpop::Demand;
use crate::http::{Endpoint, EndpointError};
use crate::json::{self, Members, Value};
use crate::text::say;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use serde::{Deserialize, Serialize};

/// What a login needs to know about an authorization server. As a document (`providers.toml`) its members are named
/// like the fields here; a member that is not known is an error.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The name that it is chosen by.
    pub name: String,
    /// The issuer identifier (RFC 8414 section 2). With it, an `iss` in the authorization response is compared.
    pub issuer: Option<String>,
    /// The authorization endpoint (RFC 6749 section 3.1).
    pub authorization_endpoint: Endpoint,
    /// The token endpoint (RFC 6749 section 3.2).
    pub token_endpoint: Endpoint,
    /// The revocation endpoint (RFC 7009), where the server has one.
    pub revocation_endpoint: Option<Endpoint>,
    /// The device authorization endpoint (RFC 8628 section 3.1), where the server has one.
    pub device_authorization_endpoint: Option<Endpoint>,
    /// The client identifier (RFC 6749 section 2.2). It names an application that is registered at the server, so none
    /// is shipped for servers of others.
    pub client_id: Option<String>,
    /// The scopes to ask for; none leaves the parameter out.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// How token requests are encoded.
    #[serde(default)]
    pub body: TokenBody,
    /// Parameters of the authorization request beside the standard ones.
    #[serde(default)]
    pub authorization_parameters: BTreeMap<String, String>,
    /// What a loopback redirect URI must look like.
    #[serde(default)]
    pub redirect: RedirectRules,
    /// A page of the server that shows the code to copy, where it has one.
    pub manual_redirect: Option<Endpoint>,
    /// Statuses, beside the error code `invalid_grant`, by which this server says that a refresh token is refused.
    #[serde(default)]
    pub refused_statuses: Vec<u16>,
    /// Whether every authorization response has an `iss` (`authorization_response_iss_parameter_supported`, RFC 9207
    /// section 3): one without it is refused then.
    #[serde(default)]
    pub expects_iss: bool,
    /// The resource that the tokens are for (RFC 8707): an absolute URI without a fragment, sent with the authorization
    /// request and with each token request.
    pub resource: Option<String>,
    /// The pushed authorization request endpoint (RFC 9126), where the server has one.
    pub pushed_authorization_request_endpoint: Option<Endpoint>,
    /// Whether the server takes authorization requests only where they were pushed (RFC 9126 section 5).
    #[serde(default)]
    pub require_pushed_authorization_requests: bool,
    /// The client registration endpoint (RFC 7591), where the server has one.
    pub registration_endpoint: Option<Endpoint>,
    /// Whether the server takes the URL of a client's metadata document for a client identifier.
    #[serde(default)]
    pub client_id_metadata_document_supported: bool,
    /// Whether the tokens shall be bound to a key (DPoP, RFC 9449): for servers that issue no others to this client, and
    /// for resources that take no others. Each request with such a token needs a proof.
    #[serde(default)]
    pub dpop: Demand,
}

/// What a loopback redirect URI must look like (RFC 8252 section 7.3).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedirectRules {
    /// How the loopback interface is written.
    pub host: LoopbackHost,
    /// The path; begins with `/`.
    #[serde(deserialize_with = "rooted")]
    pub path: String,
    /// The registered ports, in the order to try. Empty: any port.
    pub ports: Vec<u16>,
}

/// How the loopback interface is written in a redirect URI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoopbackHost {
    /// The address itself (`127.0.0.1`, or `[::1]` where only that is there): it resolves to nothing else
    /// (RFC 8252 section 8.3).
    #[default]
    Literal,
    /// `localhost`, for servers where only that name is registered.
    Localhost,
}

/// What a refresh and a revocation need to know, kept beside the tokens since the login: so every process on every host
/// refreshes from the stored record alone. Stored as JSON; members that are not known are ignored.
///
/// [`to_json`](Self::to_json) and [`from_json`](Self::from_json) are how the core does it; `serde`, for other documents that
/// hold one, does the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// The name of the provider profile at login.
    pub name: String,
    /// The issuer identifier (RFC 8414 section 2), where the server has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The token endpoint (RFC 6749 section 3.2).
    pub token_endpoint: Endpoint,
    /// The revocation endpoint (RFC 7009), where the server has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<Endpoint>,
    /// The client identifier (RFC 6749 section 2.2) that the tokens were issued to.
    pub client_id: String,
    /// How token requests are encoded.
    #[serde(default)]
    pub body: TokenBody,
    /// Statuses, beside the error code `invalid_grant`, by which this server says that a refresh token is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_statuses: Vec<u16>,
    /// The resource that the tokens are for (RFC 8707), where one was named at login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

impl Client {
    /// As it is stored: a JSON object, with the members in camel case.
    pub fn to_json(&self) -> String {
        let statuses: Vec<String> = self.refused_statuses.iter().map(ToString::to_string).collect();
        let statuses = ["[", &statuses.join(","), "]"].concat();
        json::object(&[
            ("name", Some(Value::Text(&self.name))),
            ("issuer", self.issuer.as_deref().map(Value::Text)),
            ("tokenEndpoint", Some(Value::Text(self.token_endpoint.as_str()))),
            ("revocationEndpoint", self.revocation_endpoint.as_ref().map(|url| Value::Text(url.as_str()))),
            ("clientId", Some(Value::Text(&self.client_id))),
            ("body", Some(Value::Text(self.body.name()))),
            ("refusedStatuses", (!self.refused_statuses.is_empty()).then_some(Value::Json(&statuses))),
            ("resource", self.resource.as_deref().map(Value::Text)),
        ])
    }

    /// Reads what [`to_json`](Self::to_json) writes; `None` where it is anything else.
    pub fn from_json(json: &str) -> Option<Self> {
        let mut members = Members::parse(json.as_bytes())?;
        let client = Self {
            name: members.text("name")?,
            issuer: members.text("issuer"),
            token_endpoint: members.value("tokenEndpoint", Endpoint::from_json)?,
            revocation_endpoint: members.nullable("revocationEndpoint", Endpoint::from_json),
            client_id: members.text("clientId")?,
            body: members.value("body", TokenBody::from_json).unwrap_or_default(),
            refused_statuses: members.value("refusedStatuses", json::statuses).unwrap_or_default(),
            resource: members.text("resource"),
        };
        members.fits().then_some(client)
    }
}

/// How token requests are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenBody {
    /// `application/x-www-form-urlencoded`, the standard (RFC 6749 section 4.1.3).
    #[default]
    Form,
    /// A JSON object with the same members.
    Json,
}

impl TokenBody {
    /// Its name, as it is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Json => "json",
        }
    }

    /// The one that this JSON text names.
    pub fn from_json(json: &str) -> Option<Self> {
        let name = json::text(json)?;
        [Self::Form, Self::Json].into_iter().find(|body| body.name() == name)
    }
}

/// The provider has no client identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingClientId {
    /// The name of the provider.
    pub provider: String,
}

impl MissingClientId {
    /// `missing_client_id`.
    pub fn code(&self) -> &'static str {
        "missing_client_id"
    }
}

impl fmt::Display for MissingClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = ": a client id names an application that you registered there, and kraube ships none; give yours with \
                      --client-id, KRAUBE_CLIENT_ID or providers.toml";
        say(f, &["there is no client id for the provider ", &self.provider, advice])
    }
}

impl core::error::Error for MissingClientId {}

impl Provider {
    /// A standard server with these endpoints, and nothing else said of it.
    pub fn new(name: &str, authorization_endpoint: Endpoint, token_endpoint: Endpoint) -> Self {
        Self {
            name: name.to_owned(),
            issuer: None,
            authorization_endpoint,
            token_endpoint,
            revocation_endpoint: None,
            device_authorization_endpoint: None,
            client_id: None,
            scopes: Vec::new(),
            body: TokenBody::Form,
            authorization_parameters: BTreeMap::new(),
            redirect: RedirectRules::default(),
            manual_redirect: None,
            refused_statuses: Vec::new(),
            expects_iss: false,
            resource: None,
            pushed_authorization_request_endpoint: None,
            require_pushed_authorization_requests: false,
            registration_endpoint: None,
            client_id_metadata_document_supported: false,
            dpop: Demand::default(),
        }
    }

    /// Claude. The client id is the user's own.
    pub fn claude() -> Self {
        Self::like_claude(
            "claude",
            Endpoint::constant("https://claude.com/cai/oauth/authorize"),
            Endpoint::constant("https://platform.claude.com/v1/oauth/token"),
            Endpoint::constant("https://platform.claude.com/oauth/code/callback"),
        )
    }

    fn like_claude(name: &str, authorization: Endpoint, token: Endpoint, manual_redirect: Endpoint) -> Self {
        let mut provider = Self::new(name, authorization, token);
        provider.scopes = ["user:profile", "user:inference"].map(ToOwned::to_owned).into();
        provider.body = TokenBody::Json;
        provider.authorization_parameters.insert("code".to_owned(), "true".to_owned());
        provider.redirect.host = LoopbackHost::Localhost;
        provider.manual_redirect = Some(manual_redirect);
        provider.refused_statuses.push(404);
        provider
    }

    /// The embedded authorization server at this issuer, in the standard shape.
    ///
    /// # Errors
    /// [`EndpointError`]: the issuer is no `https` or loopback URL.
    pub fn demo(issuer: &str) -> Result<Self, EndpointError> {
        let mut provider = Self::new("demo", at(issuer, "/authorize")?, at(issuer, "/token")?);
        provider.issuer = Some(issuer.to_owned());
        provider.revocation_endpoint = Some(at(issuer, "/revoke")?);
        provider.device_authorization_endpoint = Some(at(issuer, "/device_authorization")?);
        provider.client_id = Some(DEMO_CLIENT.to_owned());
        provider.expects_iss = true;
        Ok(provider)
    }

    /// The embedded authorization server at this issuer, in the shape of [`claude`](Self::claude).
    ///
    /// # Errors
    /// [`EndpointError`]: the issuer is no `https` or loopback URL.
    pub fn demo_claude(issuer: &str) -> Result<Self, EndpointError> {
        let (authorization, token) = (at(issuer, "/cai/oauth/authorize")?, at(issuer, "/v1/oauth/token")?);
        let mut provider = Self::like_claude("demo-claude", authorization, token, at(issuer, "/oauth/code/callback")?);
        provider.client_id = Some(DEMO_CLIENT.to_owned());
        Ok(provider)
    }

    /// Which client we are at this server, for token requests.
    ///
    /// # Errors
    /// [`MissingClientId`]: there is none, or it is empty.
    pub fn client(&self) -> Result<Client, MissingClientId> {
        let client_id = self.client_id.as_ref().filter(|id| !id.trim().is_empty());
        Ok(Client {
            name: self.name.clone(),
            issuer: self.issuer.clone(),
            token_endpoint: self.token_endpoint.clone(),
            revocation_endpoint: self.revocation_endpoint.clone(),
            client_id: client_id.cloned().ok_or_else(|| MissingClientId { provider: self.name.clone() })?,
            body: self.body,
            refused_statuses: self.refused_statuses.clone(),
            resource: self.resource.clone(),
        })
    }
}

/// The client that the embedded server knows.
const DEMO_CLIENT: &str = "kraube-demo";

fn at(issuer: &str, path: &str) -> Result<Endpoint, EndpointError> {
    Endpoint::parse(&[issuer, path].concat())
}

impl RedirectRules {
    /// The redirect URI of a listener that is bound to this address.
    pub fn uri(&self, bound: SocketAddr) -> String {
        let authority = match self.host {
            LoopbackHost::Literal => bound.to_string(),
            LoopbackHost::Localhost => format!("localhost:{}", bound.port()),
        };
        format!("http://{authority}{}", self.path)
    }
}

/// Behind the port, anything else would be another port or nothing that a browser asks for.
fn rooted<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let path = String::deserialize(deserializer)?;
    match path.starts_with('/') {
        true => Ok(path),
        false => Err(serde::de::Error::custom("the path of a redirect URI begins with /")),
    }
}

impl Default for RedirectRules {
    fn default() -> Self {
        Self { host: LoopbackHost::Literal, path: "/callback".to_owned(), ports: Vec::new() }
    }
}
