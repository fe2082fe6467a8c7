//! One HTTP client for every call: performs a core [`Request`] and reports what is known about it.

use kraube_core::http::{Request, Response, SendError, SendErrorKind};
use std::error::Error as _;
use std::fmt::Write as _;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Name resolution, connection and TLS handshake take no longer.
const CONNECT: Duration = Duration::from_secs(5);
/// A whole exchange takes no longer. It bounds how long a lock is held.
const TOTAL: Duration = Duration::from_secs(15);

/// The client and the runtime that it runs on, made when the first request is sent: a process that finds a living token
/// never pays for them.
#[derive(Default)]
pub(crate) struct Http {
    ready: Option<(tokio::runtime::Runtime, Clients)>,
}

struct Clients {
    outside: reqwest::Client,
    /// A loopback address means this machine, so no proxy is asked for it.
    loopback: reqwest::Client,
}

/// Something to do while a request is under way, at a given moment. It says when it wants to be called next.
pub(crate) struct Meanwhile<'a> {
    pub(crate) at: Instant,
    pub(crate) act: &'a mut dyn FnMut() -> Option<Instant>,
}

impl Http {
    /// Sends the request and waits for the answer. Blocks; must not be called from within a runtime.
    pub(crate) fn send(&mut self, request: Request, meanwhile: Option<Meanwhile<'_>>) -> Result<Response, SendError> {
        let (runtime, clients) = match &self.ready {
            Some((runtime, clients)) => (runtime, clients),
            None => {
                let made = Clients::new().map_err(|detail| SendError { kind: SendErrorKind::NotSent, detail })?;
                let (runtime, clients) = self.ready.insert(made);
                (&*runtime, &*clients)
            }
        };
        let client = if request.url.is_loopback() { &clients.loopback } else { &clients.outside };
        runtime.block_on(interrupted(exchange(client, request), meanwhile))
    }
}

impl Clients {
    fn new() -> Result<(tokio::runtime::Runtime, Self), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| format!("no network runtime: {error}"))?;
        let build = |builder: reqwest::ClientBuilder| builder.build().map_err(|error| chain(&error));
        let outside = build(builder()?)?;
        let loopback = build(builder()?.no_proxy())?;
        Ok((runtime, Self { outside, loopback }))
    }
}

/// Nothing here may send a second request by itself: that would be a second redemption. So there are no redirects, no
/// retries, no HTTP/2 (whose connections can be refused and repeated underneath), and a new connection for each request
/// (a kept one may turn out dead after the request was written).
fn builder() -> Result<reqwest::ClientBuilder, String> {
    Ok(reqwest::Client::builder()
        .user_agent(concat!("kraube/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls()?)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only()
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT))
}

/// The platform's roots, and those of the file that `SSL_CERT_FILE` names.
fn tls() -> Result<rustls::ClientConfig, String> {
    use rustls::pki_types::pem::PemObject;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let extra = match std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) {
        Some(path) => rustls::pki_types::CertificateDer::pem_file_iter(&path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| format!("the certificates that SSL_CERT_FILE names cannot be read: {error}"))?,
        None => Vec::new(),
    };
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra, Arc::clone(&provider))
        .map_err(|error| format!("the certificates of this machine cannot be used: {error}"))?;
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
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
    let sent = client
        .post(request.url.as_str())
        .header(reqwest::header::ACCEPT, Request::ACCEPT)
        .header(reqwest::header::CONTENT_TYPE, request.content_type)
        .body(request.body.expose().to_owned())
        .send();
    match tokio::time::timeout(TOTAL, async { read(sent.await?).await }).await {
        Ok(Ok(response)) => Ok(response),
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

/// One byte more than the limit is kept, so that the core can tell a body that was cut.
async fn read(mut response: reqwest::Response) -> Result<Response, reqwest::Error> {
    let header = |name: reqwest::header::HeaderName| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let (content_type, retry_after) = (header(reqwest::header::CONTENT_TYPE), header(reqwest::header::RETRY_AFTER));
    let status = response.status().as_u16();
    let mut body = Vec::with_capacity(16 * 1024);
    while body.len() <= Response::MAX_BODY
        && let Some(chunk) = response.chunk().await?
    {
        let room = Response::MAX_BODY + 1 - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(Response { status, content_type, retry_after, body })
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
