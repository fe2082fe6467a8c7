//! Finding an authorization server: by its issuer (RFC 8414, OpenID Connect Discovery), or by a resource that it protects
//! (RFC 9728). The host fetches one document at a time and reports it; which one is next, and what may be believed, is
//! decided here.

use crate::challenge::{self, Challenge};
use crate::dpop::Demand;
use crate::http::{Endpoint, EndpointError, SendError};
use crate::json::{self, Members};
use crate::login::OFFLINE_ACCESS;
use crate::provider::{Provider, RedirectRules, TokenBody};
use crate::text::displayable;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A search under way. One fetch is outstanding at a time.
#[derive(Debug)]
pub struct Discovery {
    /// What the person named. Documents of others may lead inside this network only if this does.
    start: Endpoint,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The resource itself was asked, without a token.
    Probe,
    /// A document about the resource was asked for.
    Resource(Asked, Vec<Asked>, Vec<String>),
    /// A document of the server was asked for.
    Server(Wanted, Endpoint, Vec<Endpoint>),
}

/// A document about a resource, and the identifiers that it may name (RFC 9728 section 3.3).
#[derive(Debug)]
struct Asked {
    url: Endpoint,
    identifiers: Vec<String>,
}

/// The server that is looked for, and what is known of the resource that led there.
#[derive(Debug)]
struct Wanted {
    issuer: String,
    resource: Option<String>,
    scopes: Vec<String>,
    dpop: Demand,
    tried: Vec<String>,
}

/// What a host does next.
#[derive(Debug)]
pub enum Next {
    /// Fetch this with `GET`, follow no redirect, send no credentials, and give the answer to
    /// [`Discovery::receive`].
    Fetch(Discovery, Endpoint),
    /// It is found.
    Found(Found),
}

/// An answer to a fetch, of any status.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// The status code.
    pub status: u16,
    /// Each `WWW-Authenticate` header.
    pub www_authenticate: Vec<String>,
    /// At most [`Response::MAX_BODY`](crate::http::Response::MAX_BODY) bytes, and one more where there were more.
    pub body: Vec<u8>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The server.
    pub server: Metadata,
    /// The resource identifier to send as `resource` (RFC 8707), where a resource led here.
    pub resource: Option<String>,
    /// The scopes that the resource asks for, where it names them.
    pub scopes: Vec<String>,
    /// Whether the resource takes no tokens but such as are bound to a key.
    pub dpop: Demand,
}

/// The part of the authorization server metadata (RFC 8414 section 2) that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// The issuer identifier, as it was asked for.
    pub issuer: String,
    /// `authorization_endpoint`.
    pub authorization_endpoint: Endpoint,
    /// `token_endpoint`.
    pub token_endpoint: Endpoint,
    /// `revocation_endpoint`.
    pub revocation_endpoint: Option<Endpoint>,
    /// `device_authorization_endpoint` (RFC 8628 section 4).
    pub device_authorization_endpoint: Option<Endpoint>,
    /// `authorization_response_iss_parameter_supported` (RFC 9207 section 3).
    pub sends_iss: bool,
    /// `pushed_authorization_request_endpoint` (RFC 9126 section 5).
    pub pushed_authorization_request_endpoint: Option<Endpoint>,
    /// `require_pushed_authorization_requests` (RFC 9126 section 5).
    pub require_pushed_authorization_requests: bool,
    /// `registration_endpoint` (RFC 7591).
    pub registration_endpoint: Option<Endpoint>,
    /// `client_id_metadata_document_supported`.
    pub client_id_metadata_document_supported: bool,
}

impl Discovery {
    /// Finds the server with this issuer identifier: an `https` URL, or an `http` URL of the loopback interface, without
    /// query and fragment (RFC 8414 section 2).
    ///
    /// # Errors
    /// [`DiscoveryError::Address`]
    pub fn of_issuer(issuer: &str) -> Result<Next, DiscoveryError> {
        let start = address(issuer)?;
        let wanted = Wanted {
            issuer: issuer.into(),
            resource: None,
            scopes: Vec::new(),
            dpop: Demand::default(),
            tried: Vec::new(),
        };
        Self::server(start, wanted)
    }

    /// Finds the server that protects this resource: an `https` URL, or an `http` URL of the loopback interface, without
    /// a fragment. The first of its authorization servers is taken.
    ///
    /// # Errors
    /// [`DiscoveryError::Address`]
    pub fn of_resource(resource: &str) -> Result<Next, DiscoveryError> {
        let start = Endpoint::canonical(resource)
            .map_err(|why| DiscoveryError::Address { url: displayable(resource), why: Some(why) })?;
        Ok(Next::Fetch(Self { start: start.clone(), stage: Stage::Probe }, start))
    }

    /// Judges the answer to the outstanding fetch.
    ///
    /// # Errors
    /// [`DiscoveryError`]. The search is over.
    pub fn receive(self, answer: Result<Fetched, SendError>) -> Result<Next, DiscoveryError> {
        let Self { start, stage } = self;
        match stage {
            Stage::Probe => {
                let fetched = answer.map_err(|error| unreachable(&start, error))?;
                Self::probed(start, &fetched)
            }
            Stage::Resource(asked, rest, scopes) => match document(&asked.url, answer, ResourceDocument::read)? {
                Some(document) => Self::resource(start, &asked, document, scopes),
                None => Self::ask(start, rest, scopes),
            },
            Stage::Server(mut wanted, url, rest) => match document(&url, answer, ServerDocument::read)? {
                Some(document) => Self::found(&start, wanted, document),
                None => {
                    wanted.tried.push(url.as_str().into());
                    Self::next_server(start, wanted, rest)
                }
            },
        }
    }

    /// RFC 9728 section 5.1: the challenge of a 401 names the document; without one it is at its well-known places.
    fn probed(start: Endpoint, fetched: &Fetched) -> Result<Next, DiscoveryError> {
        let challenges: Vec<Challenge> =
            fetched.www_authenticate.iter().flat_map(|header| challenge::parse(header)).collect();
        let value = |name| challenges.iter().find_map(|challenge| challenge.parameter(name));
        let scopes = value("scope").map(split_scope).unwrap_or_default();
        let origin = start.origin();
        let of_root = || vec![origin.into(), format!("{origin}/")];
        // An empty path and `/` are one (RFC 3986 section 6.2.3).
        let is_root = matches!(&start.as_str()[origin.len()..], "" | "/");
        let identifiers = if is_root { of_root() } else { vec![start.as_str().into()] };
        if fetched.status == 401
            && let Some(url) = value("resource_metadata")
        {
            let url = inside(&start, url)?;
            return Self::ask(start, vec![Asked { url, identifiers }], scopes);
        }
        let url = inside(&start, &well_known(&start, "oauth-protected-resource"))?;
        let mut asked = vec![Asked { url, identifiers }];
        if !is_root {
            let url = inside(&start, &format!("{origin}/.well-known/oauth-protected-resource"))?;
            asked.push(Asked { url, identifiers: of_root() });
        }
        Self::ask(start, asked, scopes)
    }

    fn ask(start: Endpoint, mut asked: Vec<Asked>, scopes: Vec<String>) -> Result<Next, DiscoveryError> {
        if asked.is_empty() {
            return Err(DiscoveryError::NoResourceMetadata { resource: start.as_str().into() });
        }
        let first = asked.remove(0);
        let url = first.url.clone();
        Ok(Next::Fetch(Self { start, stage: Stage::Resource(first, asked, scopes) }, url))
    }

    fn resource(
        start: Endpoint,
        asked: &Asked,
        document: ResourceDocument,
        scopes: Vec<String>,
    ) -> Result<Next, DiscoveryError> {
        if !asked.identifiers.contains(&document.resource) {
            return Err(DiscoveryError::ResourceMismatch {
                asked: start.as_str().into(),
                named: displayable(&document.resource),
            });
        }
        let issuer = document.authorization_servers.into_iter().next();
        let issuer = issuer.ok_or_else(|| DiscoveryError::NoServer { resource: start.as_str().into() })?;
        inside(&start, address(&issuer)?.as_str())?;
        // The challenge says what this very request needs; the document, what there is (RFC 9728 section 2).
        let scopes = if scopes.is_empty() { document.scopes_supported } else { scopes };
        #[cfg(feature = "dpop")]
        let dpop = Demand::default().or(document.dpop_bound_access_tokens_required);
        #[cfg(not(feature = "dpop"))]
        let dpop = Demand::default();
        Self::server(start, Wanted { issuer, resource: Some(document.resource), scopes, dpop, tried: Vec::new() })
    }

    /// RFC 8414 section 3.1 and OpenID Connect Discovery section 4.1: between host and path, or behind the path.
    fn server(start: Endpoint, wanted: Wanted) -> Result<Next, DiscoveryError> {
        let issuer = address(&wanted.issuer)?;
        let appended = format!("{}/.well-known/openid-configuration", wanted.issuer.trim_end_matches('/'));
        let mut candidates = vec![
            well_known(&issuer, "oauth-authorization-server"),
            well_known(&issuer, "openid-configuration"),
            appended,
        ];
        candidates.dedup();
        let candidates = candidates.iter().map(|url| inside(&start, url)).collect::<Result<_, _>>()?;
        Self::next_server(start, wanted, candidates)
    }

    fn next_server(start: Endpoint, wanted: Wanted, mut rest: Vec<Endpoint>) -> Result<Next, DiscoveryError> {
        if rest.is_empty() {
            return Err(DiscoveryError::NoServerMetadata { issuer: wanted.issuer, tried: wanted.tried });
        }
        let url = rest.remove(0);
        Ok(Next::Fetch(Self { start, stage: Stage::Server(wanted, url.clone(), rest) }, url))
    }

    fn found(start: &Endpoint, wanted: Wanted, document: ServerDocument) -> Result<Next, DiscoveryError> {
        let Wanted { issuer, resource, mut scopes, dpop, .. } = wanted;
        // As a plain string (RFC 8414 section 3.3): another issuer's document must not be used.
        if document.issuer != issuer {
            return Err(DiscoveryError::IssuerMismatch { asked: issuer, named: displayable(&document.issuer) });
        }
        // A resource names what it needs, and a refresh token is not that. Alone it would replace the server's default.
        let known = |scopes: &[String]| scopes.iter().any(|scope| scope == OFFLINE_ACCESS);
        if known(&document.scopes_supported) && !scopes.is_empty() && !known(&scopes) {
            scopes.push(OFFLINE_ACCESS.into());
        }
        let s256 = |methods: &Vec<String>| methods.iter().any(|method| method == "S256");
        // A resource's server must say that it checks the code verifier. One that a person named may be silent: `S256`
        // is sent, and the state is checked, whatever it says (RFC 9700 section 4.7.1).
        let protected = match &document.code_challenge_methods_supported {
            Some(methods) => s256(methods),
            None => resource.is_none(),
        };
        if !protected {
            return Err(DiscoveryError::NoPkce { issuer });
        }
        let missing = |what| DiscoveryError::Incomplete { issuer: issuer.clone(), what };
        let required = |url: Option<String>, what| inside(start, &url.ok_or_else(|| missing(what))?);
        let optional = |url: Option<String>| url.map(|url| inside(start, &url)).transpose();
        let server = Metadata {
            authorization_endpoint: required(document.authorization_endpoint, "authorization_endpoint")?,
            token_endpoint: required(document.token_endpoint, "token_endpoint")?,
            revocation_endpoint: optional(document.revocation_endpoint)?,
            device_authorization_endpoint: optional(document.device_authorization_endpoint)?,
            sends_iss: document.authorization_response_iss_parameter_supported,
            pushed_authorization_request_endpoint: optional(document.pushed_authorization_request_endpoint)?,
            require_pushed_authorization_requests: document.require_pushed_authorization_requests,
            registration_endpoint: optional(document.registration_endpoint)?,
            client_id_metadata_document_supported: document.client_id_metadata_document_supported,
            issuer,
        };
        Ok(Next::Found(Found { server, resource, scopes, dpop }))
    }
}

impl Found {
    /// The server as a provider. It is named like its issuer; `client_id` was given to the application there.
    pub fn provider(self, client_id: Option<String>) -> Provider {
        let Self { server, resource, scopes, dpop } = self;
        Provider {
            name: server.issuer.clone(),
            issuer: Some(server.issuer),
            authorization_endpoint: server.authorization_endpoint,
            token_endpoint: server.token_endpoint,
            revocation_endpoint: server.revocation_endpoint,
            device_authorization_endpoint: server.device_authorization_endpoint,
            client_id,
            scopes,
            body: TokenBody::Form,
            authorization_parameters: BTreeMap::new(),
            redirect: RedirectRules::default(),
            manual_redirect: None,
            refused_statuses: Vec::new(),
            expects_iss: server.sends_iss,
            resource,
            pushed_authorization_request_endpoint: server.pushed_authorization_request_endpoint,
            require_pushed_authorization_requests: server.require_pushed_authorization_requests,
            registration_endpoint: server.registration_endpoint,
            client_id_metadata_document_supported: server.client_id_metadata_document_supported,
            dpop,
        }
    }
}

/// An authorization server could not be found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// An issuer or a resource is no URL that can be used.
    Address {
        /// The URL.
        url: String,
        /// Why; `None` where it is an issuer with a query.
        why: Option<EndpointError>,
    },
    /// A document of another machine points to an address of this network (RFC 9728 section 7.7).
    Inside {
        /// The address.
        url: String,
    },
    /// A document could not be fetched.
    Unreachable {
        /// Where it should be.
        url: String,
        /// What the system or the server said.
        detail: String,
    },
    /// The resource says nothing of its authorization server.
    NoResourceMetadata {
        /// The resource.
        resource: String,
    },
    /// The document is about another resource (RFC 9728 section 3.3).
    ResourceMismatch {
        /// The one that was named.
        asked: String,
        /// The one of the document.
        named: String,
    },
    /// The resource has no authorization server.
    NoServer {
        /// The resource.
        resource: String,
    },
    /// The server has no metadata at any of the well-known places.
    NoServerMetadata {
        /// The issuer.
        issuer: String,
        /// The places.
        tried: Vec<String>,
    },
    /// The document is of another issuer (RFC 8414 section 3.3).
    IssuerMismatch {
        /// The one that was named.
        asked: String,
        /// The one of the document.
        named: String,
    },
    /// The document lacks what a login needs.
    Incomplete {
        /// The issuer.
        issuer: String,
        /// The member.
        what: &'static str,
    },
    /// The server does not say that it checks S256 code verifiers (RFC 7636).
    NoPkce {
        /// The issuer.
        issuer: String,
    },
}

impl DiscoveryError {
    /// A stable identifier.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Address { .. } => "invalid_address",
            Self::Inside { .. } => "inside_address",
            Self::Unreachable { .. } => "metadata_unreachable",
            Self::NoResourceMetadata { .. } => "no_resource_metadata",
            Self::ResourceMismatch { .. } => "resource_mismatch",
            Self::NoServer { .. } => "no_authorization_server",
            Self::NoServerMetadata { .. } => "no_server_metadata",
            Self::IssuerMismatch { .. } => "metadata_issuer_mismatch",
            Self::Incomplete { .. } => "metadata_incomplete",
            Self::NoPkce { .. } => "no_pkce",
        }
    }
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { url, why: Some(why) } => write!(f, "{url} cannot be used: {why}"),
            Self::Address { url, why: None } => {
                write!(f, "{url} is no issuer: it must have neither query nor fragment")
            }
            Self::Inside { url } => {
                write!(
                    f,
                    "the server's metadata point to {url}, an address inside this network; nothing was sent there"
                )
            }
            Self::Unreachable { url, detail } => write!(f, "{url} could not be fetched ({detail}); try again later"),
            Self::NoResourceMetadata { resource } => {
                write!(f, "{resource} does not say who issues tokens for it; name the server with --issuer")
            }
            Self::ResourceMismatch { asked, named } => {
                write!(f, "the metadata found for {asked} are about {named}; use the address that the resource names")
            }
            Self::NoServer { resource } => {
                write!(f, "{resource} names no authorization server; name one with --issuer")
            }
            Self::NoServerMetadata { issuer, tried } => write!(
                f,
                "{issuer} publishes no metadata (tried {}); check the address, or put its endpoints into providers.toml",
                tried.join(", ")
            ),
            Self::IssuerMismatch { asked, named } => {
                write!(
                    f,
                    "{asked} calls itself {named}; if that is the server you mean, use that issuer, letter by letter"
                )
            }
            Self::Incomplete { issuer, what } => {
                write!(f, "the metadata of {issuer} have no {what}, so nobody can log in there with a browser")
            }
            Self::NoPkce { issuer } => write!(
                f,
                "{issuer} does not say that it supports PKCE with S256 (code_challenge_methods_supported); a login there \
                 would not be safe"
            ),
        }
    }
}

impl core::error::Error for DiscoveryError {}

/// RFC 8414 section 2. Other members are passed over.
struct ServerDocument {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    code_challenge_methods_supported: Option<Vec<String>>,
    scopes_supported: Vec<String>,
    authorization_response_iss_parameter_supported: bool,
    pushed_authorization_request_endpoint: Option<String>,
    require_pushed_authorization_requests: bool,
    registration_endpoint: Option<String>,
    client_id_metadata_document_supported: bool,
}

impl ServerDocument {
    fn read(mut members: Members<'_>) -> Option<Self> {
        let mut flag = |name| members.nullable(name, json::flag).unwrap_or_default();
        let sends_iss = flag("authorization_response_iss_parameter_supported");
        let requires_push = flag("require_pushed_authorization_requests");
        let takes_document = flag("client_id_metadata_document_supported");
        let document = Self {
            issuer: members.text("issuer")?,
            authorization_endpoint: members.text("authorization_endpoint"),
            token_endpoint: members.text("token_endpoint"),
            revocation_endpoint: members.text("revocation_endpoint"),
            device_authorization_endpoint: members.text("device_authorization_endpoint"),
            code_challenge_methods_supported: members.nullable("code_challenge_methods_supported", json::texts),
            scopes_supported: members.nullable("scopes_supported", json::texts).unwrap_or_default(),
            authorization_response_iss_parameter_supported: sends_iss,
            pushed_authorization_request_endpoint: members.text("pushed_authorization_request_endpoint"),
            require_pushed_authorization_requests: requires_push,
            registration_endpoint: members.text("registration_endpoint"),
            client_id_metadata_document_supported: takes_document,
        };
        members.fits().then_some(document)
    }
}

/// RFC 9728 section 2. Other members are passed over.
struct ResourceDocument {
    resource: String,
    authorization_servers: Vec<String>,
    scopes_supported: Vec<String>,
    #[cfg(feature = "dpop")]
    dpop_bound_access_tokens_required: bool,
}

impl ResourceDocument {
    fn read(mut members: Members<'_>) -> Option<Self> {
        let mut texts = |name| members.nullable(name, json::texts).unwrap_or_default();
        let (authorization_servers, scopes_supported) = (texts("authorization_servers"), texts("scopes_supported"));
        let document = Self {
            resource: members.text("resource")?,
            authorization_servers,
            scopes_supported,
            #[cfg(feature = "dpop")]
            dpop_bound_access_tokens_required: members
                .nullable("dpop_bound_access_tokens_required", json::flag)
                .unwrap_or_default(),
        };
        members.fits().then_some(document)
    }
}

/// `None` where there is no such document here: an error of the client's side, or a page that is shown for everything.
fn document<T>(
    url: &Endpoint,
    answer: Result<Fetched, SendError>,
    read: fn(Members<'_>) -> Option<T>,
) -> Result<Option<T>, DiscoveryError> {
    let fetched = answer.map_err(|error| unreachable(url, error))?;
    match fetched.status {
        200 => Ok(Members::answer(&fetched.body).and_then(read)),
        429 | 500.. => {
            let detail = format!("HTTP status {}", fetched.status);
            Err(DiscoveryError::Unreachable { url: url.as_str().into(), detail })
        }
        _ => Ok(None),
    }
}

fn unreachable(url: &Endpoint, error: SendError) -> DiscoveryError {
    DiscoveryError::Unreachable { url: url.as_str().into(), detail: error.detail }
}

/// An issuer identifier (RFC 8414 section 2) as an address.
fn address(issuer: &str) -> Result<Endpoint, DiscoveryError> {
    let error = |why| DiscoveryError::Address { url: displayable(issuer), why };
    let address = Endpoint::parse(issuer).map_err(|why| error(Some(why)))?;
    if issuer.contains('?') { Err(error(None)) } else { Ok(address) }
}

/// `https://host/.well-known/NAME/path` (RFC 8414 section 3.1): between the host and its path, whose last `/` goes.
fn well_known(of: &Endpoint, name: &str) -> String {
    let (origin, path) = (of.origin(), &of.as_str()[of.origin().len()..]);
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    format!("{origin}/.well-known/{name}{}{query}", path.strip_suffix('/').unwrap_or(path))
}

/// An address from a document. A server of the outside world must not make us knock at doors inside.
fn inside(start: &Endpoint, url: &str) -> Result<Endpoint, DiscoveryError> {
    let endpoint =
        Endpoint::parse(url).map_err(|why| DiscoveryError::Address { url: displayable(url), why: Some(why) })?;
    if is_inside(&endpoint) && !is_inside(start) {
        return Err(DiscoveryError::Inside { url: endpoint.as_str().into() });
    }
    Ok(endpoint)
}

/// Names of this machine, and addresses that are private, local to a link, or of this machine.
fn is_inside(endpoint: &Endpoint) -> bool {
    let host = endpoint.host().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => is_inside_v4(v4),
        Ok(IpAddr::V6(v6)) => is_inside_v6(v6),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

fn is_inside_v4(ip: Ipv4Addr) -> bool {
    let shared = matches!(ip.octets(), [100, 64..=127, ..]);
    ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || ip.is_broadcast() || shared
}

fn is_inside_v6(ip: Ipv6Addr) -> bool {
    match ip.to_ipv4_mapped() {
        Some(v4) => is_inside_v4(v4),
        None => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn split_scope(scope: &str) -> Vec<String> {
    scope.split(' ').filter(|scope| !scope.is_empty()).map(ToOwned::to_owned).collect()
}
