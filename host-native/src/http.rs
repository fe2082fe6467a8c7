//! One HTTP client for every call: performs a core [`Request`], or fetches a public document, and reports what is known
//! about it.

use crate::dpop;
use crate::drive::now;
use kraube_core::discovery::Fetched;
use kraube_core::dpop::{Call, Nonce};
use kraube_core::http::{Endpoint, Request, Response, SendError, SendErrorKind};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::error::Error as _;
use std::fmt::Write as _;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Name resolution, connection and TLS handshake take no longer.
const CONNECT: Duration = Duration::from_secs(5);
/// A whole exchange takes no longer. It bounds how long a lock is held.
const TOTAL: Duration = Duration::from_secs(15);

/// The runtime and the clients that run on it, each made when it is needed first: a process that finds a living token
/// never pays for them, and one that stays on this machine does not read its certificates.
#[derive(Default)]
pub(crate) struct Http {
    runtime: Option<tokio::runtime::Runtime>,
    clients: BTreeMap<Way, reqwest::Client>,
}

/// Where a request goes, as far as the clients differ.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// TLS, and a proxy where the environment names one.
    Outside,
    /// TLS to this machine. No proxy is asked for that.
    Loopback,
    /// In the clear, which endpoints are on the loopback interface alone.
    Clear,
}

/// Something to do while a request is under way, at a given moment. It says when it wants to be called next.
pub(crate) struct Meanwhile<'a> {
    pub(crate) at: Instant,
    pub(crate) act: &'a mut dyn FnMut() -> Option<Instant>,
}

/// The head of an answer.
pub(crate) struct Looked {
    pub(crate) status: u16,
    pub(crate) date: Option<String>,
    pub(crate) is_page: bool,
}

impl Http {
    /// Sends the request and waits for the answer. Blocks; must not be called from within a runtime.
    pub(crate) fn send(&mut self, request: Request, meanwhile: Option<Meanwhile<'_>>) -> Result<Response, SendError> {
        let (runtime, client) = self.ready(Way::to(&request.url))?;
        runtime.block_on(interrupted(exchange(client, request), meanwhile))
    }

    /// Fetches a document that anybody may read. Blocks; must not be called from within a runtime.
    pub(crate) fn fetch(&mut self, url: &Endpoint) -> Result<Fetched, SendError> {
        let (runtime, client) = self.ready(Way::to(url))?;
        let get = client.get(url.as_str()).header(reqwest::header::ACCEPT, Request::ACCEPT).send();
        runtime.block_on(bounded(async {
            let response = get.await?;
            let challenges = response.headers().get_all(reqwest::header::WWW_AUTHENTICATE).iter();
            let www_authenticate = challenges.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
            Ok(Fetched { status: response.status().as_u16(), www_authenticate, body: body(response).await? })
        }))
    }

    /// Asks with `GET` and looks at the head of the answer alone. Blocks; must not be called from within a runtime.
    pub(crate) fn look(&mut self, url: &Endpoint) -> Result<Looked, SendError> {
        let (runtime, client) = self.ready(Way::to(url))?;
        let get = client.get(url.as_str()).header(reqwest::header::ACCEPT, Request::ACCEPT).send();
        runtime.block_on(bounded(async {
            let response = get.await?;
            let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
            let is_page = header(reqwest::header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
            let date = header(reqwest::header::DATE).map(str::to_owned);
            Ok(Looked { status: response.status().as_u16(), date, is_page })
        }))
    }

    fn ready(&mut self, way: Way) -> Result<(&tokio::runtime::Runtime, &reqwest::Client), SendError> {
        self.make(way).map_err(|detail| SendError { kind: SendErrorKind::NotSent, detail })
    }

    fn make(&mut self, way: Way) -> Result<(&tokio::runtime::Runtime, &reqwest::Client), String> {
        let runtime = match &mut self.runtime {
            Some(runtime) => runtime,
            none => none.insert(runtime()?),
        };
        let client = match self.clients.entry(way) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(way.client()?),
        };
        Ok((runtime, client))
    }
}

impl Drop for Http {
    /// A name that is still being resolved must not hold up whoever drops the last source.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_io().enable_time().build().map_err(|error| format!("no network runtime: {error}"))
}

impl Way {
    fn to(url: &Endpoint) -> Self {
        match (url.as_str().starts_with("http:"), url.is_loopback()) {
            (true, _) => Self::Clear,
            (false, true) => Self::Loopback,
            (false, false) => Self::Outside,
        }
    }

    fn client(self) -> Result<reqwest::Client, String> {
        let client = match self {
            Self::Outside => builder(tls()?),
            Self::Loopback => builder(tls()?).no_proxy(),
            Self::Clear => builder(no_tls()?).no_proxy(),
        };
        client.build().map_err(|error| chain(&error))
    }
}

/// Nothing here may send a second request by itself: that would be a second redemption. So there are no redirects, no
/// retries, no HTTP/2 (whose connections can be refused and repeated underneath), and a new connection for each request
/// (a kept one may turn out dead after the request was written).
fn builder(tls: rustls::ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("kraube/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only()
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT)
}

/// Certificates that are trusted beside those of the platform: a file in PEM.
const EXTRA_CERTS: &str = "KRAUBE_EXTRA_CERTS";
/// The same file as of other programs. On Linux it takes the place of the platform's, as it does there.
const CERT_FILE: &str = "SSL_CERT_FILE";

/// Whether TLS can be used, and how many certificates were given beside those of the platform.
pub(crate) fn roots() -> Result<usize, String> {
    tls()?;
    Ok(certificates(EXTRA_CERTS)?.len())
}

fn certificates(variable: &str) -> Result<Vec<rustls::pki_types::CertificateDer<'static>>, String> {
    use rustls::pki_types::pem::PemObject;
    let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) else { return Ok(Vec::new()) };
    let read = rustls::pki_types::CertificateDer::pem_file_iter(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| format!("the certificates that {variable} names cannot be read: {error}"))?;
    if read.is_empty() {
        return Err(format!("the file that {variable} names holds no certificate; it must be PEM"));
    }
    Ok(read)
}

/// The platform's roots, and those of the files that [`CERT_FILE`] and [`EXTRA_CERTS`] name.
fn tls() -> Result<rustls::ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let extra = [certificates(CERT_FILE)?, certificates(EXTRA_CERTS)?].concat();
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra, Arc::clone(&provider))
        .map_err(|error| format!("the certificates of this machine cannot be used: {error}"))?;
    let config = versions(provider)?.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(config.with_no_client_auth())
}

/// Trusts nobody.
fn no_tls() -> Result<rustls::ClientConfig, String> {
    let config = versions(Arc::new(rustls::crypto::ring::default_provider()))?;
    Ok(config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

fn versions(
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier>, String> {
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    config.map_err(|error| error.to_string())
}

async fn interrupted<T>(work: impl Future<Output = T>, meanwhile: Option<Meanwhile<'_>>) -> T {
    tokio::pin!(work);
    let Some(Meanwhile { at, act }) = meanwhile else { return work.await };
    let mut next = Some(at);
    while let Some(at) = next {
        match tokio::time::timeout_at(at.into(), &mut work).await {
            Ok(done) => return done,
            Err(_) => next = act(),
        }
    }
    work.await
}

async fn exchange(client: &reqwest::Client, request: Request) -> Result<Response, SendError> {
    let mut post = client
        .post(request.url.as_str())
        .header(reqwest::header::ACCEPT, Request::ACCEPT)
        .header(reqwest::header::CONTENT_TYPE, request.content_type)
        .body(request.body.expose().to_owned());
    if let Some(binding) = &request.binding {
        let call = Call { method: "POST", url: &request.url, access_token: None, nonce: binding.nonce() };
        let Some(proof) = dpop::proof(binding, call, now().wall) else {
            return Err(SendError { kind: SendErrorKind::NotSent, detail: dpop::NO_PROOF.to_owned() });
        };
        post = post.header("dpop", proof);
    }
    let sent = post.send();
    bounded(async { read(sent.await?).await }).await
}

/// Gives up after [`TOTAL`], and says of each failure whether the request may have left.
async fn bounded<T>(work: impl Future<Output = Result<T, reqwest::Error>>) -> Result<T, SendError> {
    match tokio::time::timeout(TOTAL, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            let kind = match (error.is_connect() || error.is_builder(), error.is_timeout()) {
                (true, _) => SendErrorKind::NotSent,
                (false, true) => SendErrorKind::TimedOut,
                (false, false) => SendErrorKind::MaybeSent,
            };
            Err(SendError { kind, detail: chain(&error.without_url()) })
        }
        Err(_) => {
            let detail = format!("no complete answer within {} s", TOTAL.as_secs());
            Err(SendError { kind: SendErrorKind::TimedOut, detail })
        }
    }
}

async fn read(response: reqwest::Response) -> Result<Response, reqwest::Error> {
    let header = |name: reqwest::header::HeaderName| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let (content_type, retry_after) = (header(reqwest::header::CONTENT_TYPE), header(reqwest::header::RETRY_AFTER));
    let dpop_nonce = header(reqwest::header::HeaderName::from_static("dpop-nonce"));
    let dpop_nonce = dpop_nonce.as_deref().and_then(Nonce::parse);
    let status = response.status().as_u16();
    Ok(Response { status, content_type, retry_after, dpop_nonce, body: body(response).await? })
}

/// One byte more than the limit is kept, so that the core can tell a body that was cut.
async fn body(mut response: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::with_capacity(16 * 1024);
    while body.len() <= Response::MAX_BODY
        && let Some(chunk) = response.chunk().await?
    {
        let room = Response::MAX_BODY + 1 - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(body)
}

/// The error and its sources in one line. The URL was taken out; it holds no secret, but may hold a client's query.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}
