//! What a test chooses: how the server behaves, and which faults it commits.

use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// How the server behaves. The default is the strictest server that still serves everybody: any client, rotation at
/// every refresh, no grace, no latency.
#[derive(Clone, Debug)]
pub struct Config {
    /// The port on the loopback interface; 0 takes a free one. Read once, at the start.
    pub port: u16,
    /// Paths, encodings and refusals.
    pub shape: Shape,
    /// Whether an authorization request is approved at once, with a redirect, or by a person on a page. A device code
    /// likewise.
    pub auto_approve: bool,
    /// The client identifiers that are registered; `None` accepts any.
    pub client_ids: Option<Vec<String>>,
    /// The life of an authorization code, and of a device code.
    pub code_life: Duration,
    /// The least time between two polls with a device code; what is announced is this in whole seconds.
    pub device_interval: Duration,
    /// The life of an access token. `expires_in` is this in whole seconds.
    pub access_life: Duration,
    /// Whether a refresh spends the refresh token and issues the next one. Without it, the answer to a refresh has no
    /// `refresh_token` member.
    pub rotate: bool,
    /// For how long after its rotation the previous refresh token, and no older one, is still accepted. Its answer
    /// holds a fresh successor, which takes the place of the one issued before.
    pub grace: Option<Duration>,
    /// For how long the token endpoint holds back an answer.
    pub latency: Duration,
    /// Whether a token request takes effect when the latency is over rather than before it. It takes effect in both
    /// cases, though the client may have gone.
    pub commit_after_latency: bool,
    /// The least length of access and refresh tokens, in characters; they are padded to it.
    pub token_size: usize,
    /// Members put into, and with `None` taken out of, a success answer of the token endpoint: an absurd `expires_in`,
    /// another `token_type`, a narrower `scope`.
    pub token_members: Members,
    /// The same for the authorization server metadata.
    pub metadata_members: Members,
    /// Whether tokens are bound to a key (DPoP, RFC 9449): no token request without a proof is granted then.
    pub dpop: bool,
    /// For how many proofs a nonce of the server is good; `None` wants no nonces.
    pub dpop_nonce_uses: Option<u64>,
    /// The status of the revocation endpoint. With any but 200 nothing is revoked.
    pub revocation_status: u16,
    /// Whether a browser page of another origin may read the answers of the token and the revocation endpoint, of the
    /// metadata and of the protected resource. Without it, requests still take effect: the browser keeps back the answer.
    pub cors: bool,
    /// Folders whose files are served as well, for a browser application under test. Read once, at the start.
    pub files: Vec<Files>,
    /// Whether programs may change all this while the server runs, with a `POST` of JSON to `/control`. Read once, at the
    /// start.
    pub control: bool,
}

/// A folder to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The path that its files are below, without a slash at the end: `/app`.
    pub path: String,
    /// The folder.
    pub folder: PathBuf,
}

/// Members of a JSON object to set, or with `None` to remove.
pub type Members = Vec<(String, Option<Value>)>;

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 0,
            shape: Shape::Standard,
            auto_approve: true,
            client_ids: None,
            code_life: Duration::from_secs(60),
            device_interval: Duration::from_secs(5),
            access_life: Duration::from_secs(3600),
            rotate: true,
            grace: None,
            latency: Duration::ZERO,
            commit_after_latency: false,
            token_size: 0,
            token_members: Members::new(),
            metadata_members: Members::new(),
            dpop: false,
            dpop_nonce_uses: None,
            revocation_status: 200,
            cors: true,
            files: Vec::new(),
            control: false,
        }
    }
}

/// Paths, encodings and refusals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// As the RFCs have it: `/authorize`, `/token` with a form body, 400 `invalid_grant`, `iss` in the redirect.
    #[default]
    Standard,
    /// As claude.com has it: `/cai/oauth/authorize` with `code=true`, `/v1/oauth/token` with a JSON body which repeats
    /// `state` when it redeems a code, 404 for a refused refresh token, a page that shows `code#state` to copy.
    Claude,
}

impl Shape {
    pub(crate) fn authorize_path(self) -> &'static str {
        match self {
            Self::Standard => "/authorize",
            Self::Claude => "/cai/oauth/authorize",
        }
    }

    pub(crate) fn token_path(self) -> &'static str {
        match self {
            Self::Standard => "/token",
            Self::Claude => "/v1/oauth/token",
        }
    }
}

/// A fault that the token endpoint commits, for the next requests that reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// For how many token requests.
    pub times: u32,
    /// Whether the requests take effect.
    pub when: When,
    /// What the client sees.
    pub kind: FaultKind,
}

impl Fault {
    /// Once, instead of handling the request: a refresh token is not spent.
    pub fn before(kind: FaultKind) -> Self {
        Self { times: 1, when: When::Before, kind }
    }

    /// Once, after the request took effect: a refresh token is spent and its successor is lost.
    pub fn after(kind: FaultKind) -> Self {
        Self { times: 1, when: When::After, kind }
    }

    /// The same fault for this number of requests.
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
}

/// Whether a request that meets a fault takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The request changes nothing. Where the fault deals with an answer, it is a success without any token.
    Before,
    /// The request is handled. Where the fault deals with an answer, it is the true one.
    After,
}

/// What the client sees of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// This answer in place of the true one.
    Answer {
        /// The status.
        status: u16,
        /// Names and values of the header fields.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// The connection is reset (RST) without a byte of an answer.
    Reset,
    /// Half of the answer's body under a `Content-Length` for the whole of it, then the end of the connection.
    Truncated,
    /// Head and half of the body at once, the rest after this time.
    SlowBody(Duration),
    /// No answer until the client goes.
    Hang,
    /// A well-formed success, sent in chunks, whose access token has this many bytes.
    HugeBody(u64),
}

impl FaultKind {
    /// An empty answer with this status.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: Vec::new() }
    }

    /// An empty answer with this status and this `Retry-After`.
    pub fn retry_after(status: u16, value: impl Into<String>) -> Self {
        Self::Answer { status, headers: vec![("retry-after".into(), value.into())], body: Vec::new() }
    }

    /// An answer of this status and media type.
    pub fn body(status: u16, content_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer { status, headers: vec![("content-type".into(), content_type.into())], body: body.into() }
    }

    /// The page of a captive portal, with status 200.
    pub fn html() -> Self {
        Self::body(200, "text/html", "<!doctype html><title>Welcome</title><p>Please sign in to the network.")
    }

    /// A redirect that keeps method and body (307).
    pub fn redirect(location: impl Into<String>) -> Self {
        Self::Answer { status: 307, headers: vec![("location".into(), location.into())], body: Vec::new() }
    }
}
