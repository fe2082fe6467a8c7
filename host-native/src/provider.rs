//! Which authorization servers a program can log in at, and where their profiles come from.

pub use kraube_core::discovery::DiscoveryError;
pub use kraube_core::provider::Provider;
pub use kraube_core::register::RegistrationError;

use crate::account;
use crate::http::Http;
use crate::paths::{self, PathError};
use crate::registrations;
use kraube_core::discovery::{Discovery, Found, Next};
use kraube_core::http::EndpointError;
use kraube_core::provider::Client;
use kraube_core::register::{self, Identity, MetadataUrl};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The environment variable with the client id of the user's own application.
pub const CLIENT_ID: &str = "KRAUBE_CLIENT_ID";

/// The environment variable with the issuer of the embedded server, for the providers `demo` and `demo-claude`.
pub const DEMO_ISSUER: &str = "KRAUBE_DEMO_ISSUER";

/// The name of the default provider.
pub const DEFAULT: &str = "claude";

/// The file with the user's own profiles, beside the credentials.
pub const FILE: &str = "providers.toml";

/// The profile of this name: one of [`FILE`], beside the credentials at `path` (`None`: the
/// [default path](crate::default_credentials_path)), or else a built-in one: `claude`, `demo`, `demo-claude`.
///
/// Its client id is `client_id` where that is given, else its own, else the one of [`CLIENT_ID`]. Without any, the
/// login fails at once.
///
/// ```toml
/// # The metadata of your own application, for servers that take their address for a client id.
/// client_id_metadata_document = "https://you.example/kraube.json"
///
/// [[provider]]
/// name = "work"
/// issuer = "https://id.example"
/// authorization_endpoint = "https://id.example/authorize"
/// token_endpoint = "https://id.example/token"
/// client_id = "the id of an application that you registered there"
/// scopes = ["openid", "offline_access"]
///
/// [client_ids]
/// claude = "for a built-in provider"
/// "https://login.example" = "for a server that is found by its issuer"
/// ```
///
/// # Errors
/// [`ProviderError`]
pub fn find(name: &str, path: Option<&Path>, client_id: Option<String>) -> Result<Provider, ProviderError> {
    let (file, text) = own(path)?;
    choose(name, &file, &text, client_id, var)
}

/// All profiles that [`find`] knows, each with the client id that it would have: those of [`FILE`], then the built-in ones
/// that it does not replace. Those of the embedded server are there where [`DEMO_ISSUER`] is set.
///
/// # Errors
/// [`ProviderError`]: one of them cannot be used.
pub fn list(path: Option<&Path>) -> Result<Vec<Listed>, ProviderError> {
    let (file, text) = own(path)?;
    let own: Vec<_> = parse(&file, &text)?.provider.into_iter().map(|provider| provider.name).collect();
    let built_in = BUILT_IN.iter().map(|name| (*name).to_owned()).filter(|name| !own.contains(name));
    let demo = var(DEMO_ISSUER).is_some();
    let names = own.iter().cloned().map(|name| (name, false)).chain(built_in.map(|name| (name, true)));
    let names = names.filter(|(name, built_in)| demo || !built_in || name == DEFAULT);
    let listed = names.map(|(name, built_in)| {
        Ok(Listed { provider: choose(&name, &file, &text, None, var)?, file: (!built_in).then(|| file.clone()) })
    });
    listed.collect()
}

/// A profile and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// The profile.
    pub provider: Provider,
    /// The file that it is in; `None` for a built-in one.
    pub file: Option<PathBuf>,
}

const BUILT_IN: [&str; 3] = [DEFAULT, "demo", "demo-claude"];

/// Where the metadata of a server are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// Its issuer identifier (RFC 8414, OpenID Connect Discovery).
    Issuer(&'a str),
    /// A resource that it protects, such as an MCP server (RFC 9728). Tokens are asked for that resource (RFC 8707).
    Resource(&'a str),
}

/// Finds a server by its metadata: fetches what the core asks for, which may be several documents. Blocks.
///
/// Its client id is `client_id` where that is given, else the one that `client_ids` of [`FILE`] has for its issuer, else
/// the one of [`CLIENT_ID`].
///
/// # Errors
/// [`ProviderError`]; [`ProviderError::Discovery`] where the server cannot be found, or must not be used.
pub fn discover(source: Source<'_>, path: Option<&Path>, client_id: Option<String>) -> Result<Provider, ProviderError> {
    let (file, text) = own(path)?;
    let document = parse(&file, &text)?;
    let found = account::on_own_thread(|| Ok(search(source)));
    let found = found.map_err(|error| ProviderError::System(error.to_string()))?.map_err(ProviderError::Discovery)?;
    let in_file = document.client_ids.get(&found.server.issuer).cloned();
    Ok(found.provider(client_id.or(in_file).or_else(|| var(CLIENT_ID))))
}

/// Must not be called from within a runtime.
pub(crate) fn search(source: Source<'_>) -> Result<Found, DiscoveryError> {
    let mut http = Http::default();
    let mut next = match source {
        Source::Issuer(issuer) => Discovery::of_issuer(issuer),
        Source::Resource(resource) => Discovery::of_resource(resource),
    };
    loop {
        match next? {
            Next::Fetch(discovery, url) => next = discovery.receive(http.fetch(&url)),
            Next::Found(found) => return Ok(found),
        }
    }
}

/// Sees to a client identifier for a provider that has none: that of the login which is stored, where it is of the same
/// issuer; the document that `client_id_metadata_document` of [`FILE`] names, where the server takes one; or a
/// registration (RFC 7591), where the server has an endpoint for it. That is kept in `registrations.json` beside the
/// credentials, or the default ones where these are of a profile, beyond a logout; it is made anew once it has expired, or
/// where the last login with it came to no end. Where nothing of this is possible, the provider comes back as it is, and a
/// login with it fails and says what to do. Blocks.
///
/// # Errors
/// [`ProviderError`]; [`ProviderError::Registration`] where the server does not register the application.
pub fn identify(provider: Provider, path: Option<&Path>) -> Result<Provider, ProviderError> {
    // Nothing is read for one that has a client identifier.
    if provider.client().is_ok() {
        return Ok(provider);
    }
    let (file, text) = own(path)?;
    let document = parse(&file, &text)?.client_id_metadata_document;
    let stored = crate::status(path).ok().and_then(|status| status.client);
    let identity = registrations::change(path, |kept, now| {
        register::identify(provider.clone(), stored.as_ref(), document.as_ref(), kept, now)
    })?;
    match identity {
        Identity::Settled(provider) => Ok(provider),
        Identity::Register(registration, request) => {
            let answer = account::on_own_thread(|| Ok(Http::default().send(request, None)));
            let answer = answer.map_err(|error| ProviderError::System(error.to_string()))?;
            let (provider, registered) = registration.read(answer).map_err(ProviderError::Registration)?;
            if let Some(registered) = registered {
                registrations::change(path, |kept, _| kept.keep(registered.clone()))?;
            }
            Ok(provider)
        }
    }
}

/// There is no such profile, or it cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProviderError {
    /// No profile has this name.
    Unknown {
        /// The name.
        name: String,
        /// Where it could be.
        file: PathBuf,
    },
    /// The file cannot be read or understood.
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        detail: String,
    },
    /// [`DEMO_ISSUER`] is not set.
    NoDemoIssuer,
    /// [`DEMO_ISSUER`] is no URL of a server.
    DemoIssuer(EndpointError),
    /// The path of the credentials, beside which the file is, cannot be told.
    Path(PathError),
    /// The metadata of the server were not found, or must not be used.
    Discovery(DiscoveryError),
    /// The server does not register the application.
    Registration(RegistrationError),
    /// The operating system gives no thread.
    System(String),
}

impl ProviderError {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown_provider",
            Self::File { .. } => "providers_file",
            Self::NoDemoIssuer => "no_demo_issuer",
            Self::DemoIssuer(_) => "demo_issuer",
            Self::Path(error) => error.code(),
            Self::Discovery(error) => error.code(),
            Self::Registration(error) => error.code(),
            Self::System(_) => "system",
        }
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, file } => write!(
                f,
                "there is no provider {name:?}; built in are claude, demo and demo-claude, others go into {}",
                file.display()
            ),
            Self::File { file, detail } => write!(f, "{} cannot be used: {detail}", file.display()),
            Self::NoDemoIssuer => write!(f, "set {DEMO_ISSUER} to the address that `kraube demo --serve` prints"),
            Self::DemoIssuer(error) => write!(f, "{DEMO_ISSUER} cannot be used: {error}"),
            Self::Path(error) => error.fmt(f),
            Self::Discovery(error) => error.fmt(f),
            Self::Registration(error) => error.fmt(f),
            Self::System(detail) => f.write_str(detail),
        }
    }
}

impl std::error::Error for ProviderError {}

/// The default provider with the client id of [`CLIENT_ID`]: for a record that does not say where to refresh it.
pub(crate) fn default_client() -> Option<Client> {
    let client_id = var(CLIENT_ID)?;
    Provider { client_id: Some(client_id), ..Provider::claude() }.client().ok()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    provider: Vec<Provider>,
    #[serde(default)]
    client_ids: BTreeMap<String, String>,
    client_id_metadata_document: Option<MetadataUrl>,
}

/// The file with the user's own profiles, and what is in it.
fn own(path: Option<&Path>) -> Result<(PathBuf, String), ProviderError> {
    let credentials = paths::credentials_path(path).map_err(ProviderError::Path)?;
    let beside = credentials.with_file_name(FILE);
    let shared = paths::shared(&credentials, FILE).filter(|shared| !beside.exists() && shared.exists());
    let file = shared.unwrap_or(beside);
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok((file, text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((file, String::new())),
        Err(error) => Err(ProviderError::File { file, detail: error.to_string() }),
    }
}

fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn parse(file: &Path, text: &str) -> Result<Document, ProviderError> {
    toml::from_str(text).map_err(|error| ProviderError::File { file: file.to_owned(), detail: describe(text, &error) })
}

fn choose(
    name: &str,
    file: &Path,
    text: &str,
    client_id: Option<String>,
    var: impl Fn(&str) -> Option<String>,
) -> Result<Provider, ProviderError> {
    let invalid = |detail| ProviderError::File { file: file.to_owned(), detail };
    let document = parse(file, text)?;
    let mut named = document.provider.into_iter().filter(|provider| provider.name == name);
    let own = named.next();
    if named.next().is_some() {
        return Err(invalid(format!("the provider {name:?} is there twice")));
    }
    let issuer = || var(DEMO_ISSUER).ok_or(ProviderError::NoDemoIssuer);
    let mut provider = match (own, name) {
        (Some(own), _) => own,
        (None, DEFAULT) => Provider::claude(),
        (None, "demo") => Provider::demo(&issuer()?).map_err(ProviderError::DemoIssuer)?,
        (None, "demo-claude") => Provider::demo_claude(&issuer()?).map_err(ProviderError::DemoIssuer)?,
        (None, _) => return Err(ProviderError::Unknown { name: name.to_owned(), file: file.to_owned() }),
    };
    let in_file = document.client_ids.get(name).cloned();
    provider.client_id = client_id.or(in_file).or(provider.client_id).or_else(|| var(CLIENT_ID));
    Ok(provider)
}

/// On one line, with the number of the line it is about.
fn describe(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| before.matches('\n').count() + 1);
    format!("line {line}: {}", error.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "[[provider]]\nname = \"work\"\nclient_id = \"own\"\n\
                       authorization_endpoint = \"https://id.example/authorize\"\n\
                       token_endpoint = \"https://id.example/token\"\n";

    fn with(name: &str, text: &str, arg: Option<&str>, vars: &[(&str, &str)]) -> Result<Provider, ProviderError> {
        let var = |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        choose(name, Path::new("/c/providers.toml"), text, arg.map(str::to_owned), var)
    }

    fn client_id(name: &str, text: &str, arg: Option<&str>, vars: &[(&str, &str)]) -> Option<String> {
        with(name, text, arg, vars).expect("there is one").client_id
    }

    #[test]
    fn a_client_id_is_given_or_of_the_profile_or_of_the_environment() {
        let env: &[_] = &[(CLIENT_ID, "env"), (DEMO_ISSUER, "http://127.0.0.1:1")];
        assert_eq!(client_id("claude", "", None, &[]), None);
        assert_eq!(client_id("claude", "", None, env).as_deref(), Some("env"));
        assert_eq!(client_id("claude", "", Some("arg"), env).as_deref(), Some("arg"));
        assert_eq!(client_id("claude", "[client_ids]\nclaude = \"file\"", None, env).as_deref(), Some("file"));
        // An id is registered at one server: that of the default provider is of no use at another one.
        assert_eq!(client_id("work", OWN, None, env).as_deref(), Some("own"));
        assert_eq!(client_id("work", OWN, Some("arg"), env).as_deref(), Some("arg"));
        assert_eq!(client_id("demo", "", None, env).as_deref(), Some("kraube-demo"));
    }

    #[test]
    fn own_profiles_stand_beside_and_before_the_built_in_ones() {
        let own = with("work", OWN, None, &[]).expect("it is in the file");
        assert_eq!((own.name.as_str(), own.redirect.path.as_str()), ("work", "/callback"));
        let replaced = OWN.replace("work", "claude");
        let claude = with("claude", &replaced, None, &[]).expect("it is in the file");
        assert_eq!(claude.token_endpoint.as_str(), "https://id.example/token");
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let code = |name, text: &str, vars: &[_]| with(name, text, None, vars).map_err(|error| error.code());
        assert_eq!(code("other", OWN, &[]), Err("unknown_provider"));
        assert_eq!(code("demo", "", &[]), Err("no_demo_issuer"));
        assert_eq!(code("demo-claude", "", &[(DEMO_ISSUER, "http://example.org")]), Err("demo_issuer"));
        let twice = OWN.repeat(2);
        assert_eq!(code("work", &twice, &[]), Err("providers_file"));
        let error = with("work", &format!("{OWN}scope = [\"a\"]\n"), None, &[]).expect_err("a member nobody knows");
        let text = error.to_string();
        assert!(text.starts_with("/c/providers.toml cannot be used: line ") && !text.contains('\n'), "{text}");
        let path = format!("{OWN}[provider.redirect]\npath = \"callback\"\n");
        assert_eq!(code("work", &path, &[]), Err("providers_file"));
    }

    #[test]
    fn fault_14_an_endpoint_that_is_no_url_of_a_server_is_refused() {
        for bad in ["javascript:alert(1)", "file:///etc/passwd", "--option", "vbscript:x", "data:text/html,x"] {
            let text = OWN.replace("https://id.example/authorize", bad);
            assert_eq!(with("work", &text, None, &[]).map_err(|error| error.code()), Err("providers_file"), "{bad}");
        }
    }
}
