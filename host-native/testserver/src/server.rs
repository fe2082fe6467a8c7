//! The thread, the sockets, and the handle that a test holds.

use crate::canary::Canary;
use crate::config::{Config, Fault};
use crate::ledger::Ledger;
use crate::observe::{Counters, Event};
use crate::routes;
use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tower_service::Service;

/// A running authorization server. Dropping it closes every connection and waits until the server's thread has ended.
///
/// It runs on a thread and a runtime of its own, so it serves blocking and asynchronous programs alike, and it survives
/// whatever a test does to its own runtime.
#[must_use = "the server stops when it is dropped"]
pub struct Server {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The tokens of a login that was issued without a browser.
///
/// Any client may use them; the first refresh does not bind them to one.
#[derive(Clone)]
pub struct Login {
    /// The refresh token, generation 0 of the family.
    pub refresh_token: String,
    /// The access token.
    pub access_token: String,
    /// The number by which [`Event`]s name the family.
    pub family: u64,
}

impl Server {
    /// Starts the server on `127.0.0.1`, and on `[::1]` with the same port where that can be had. It accepts connections
    /// when this returns.
    ///
    /// # Errors
    ///
    /// The port is taken, or the system has no thread or socket left.
    pub fn spawn(config: Config) -> io::Result<Self> {
        let v4 = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, config.port))?;
        let port = v4.local_addr()?.port();
        let v6 = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, port)).ok();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared =
            Arc::new(Shared { issuer: format!("http://127.0.0.1:{port}"), ledger: Mutex::new(Ledger::new(config)) });
        let router = routes::router(Arc::clone(&shared));
        for listener in [Some(v4), v6].into_iter().flatten() {
            listener.set_nonblocking(true)?;
            let _within = runtime.enter();
            runtime.spawn(accept(TcpListener::from_std(listener)?, router.clone()));
        }
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("kraube-testserver".into()).spawn(move || {
            // An error means that the handle is gone, which is the same. With the runtime go all its connections.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { shared, stop: Some(stop), thread: Some(thread) })
    }

    /// The issuer identifier (RFC 8414): `http://127.0.0.1:PORT`.
    pub fn issuer(&self) -> String {
        self.shared.issuer.clone()
    }

    /// The authorization endpoint of the present shape.
    pub fn authorize_url(&self) -> String {
        self.url(self.shared.ledger().config.shape.authorize_path())
    }

    /// The token endpoint of the present shape.
    pub fn token_url(&self) -> String {
        self.url(self.shared.ledger().config.shape.token_path())
    }

    /// The revocation endpoint.
    pub fn revoke_url(&self) -> String {
        self.url(routes::REVOKE)
    }

    /// The protected resource: 200 for a live access token, else 401.
    pub fn resource_url(&self) -> String {
        self.url(routes::RESOURCE)
    }

    /// A redirect URI whose page shows `code#state` to copy, for a login without a listener.
    pub fn manual_redirect_uri(&self) -> String {
        self.url(routes::CALLBACK)
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.shared.ledger().counters.clone()
    }

    /// Everything that happens from now on. Each receiver gets every event.
    pub fn events(&self) -> Receiver<Event> {
        self.shared.ledger().listen()
    }

    /// Changes the behaviour, from the next request on. The port stays.
    pub fn set_config(&self, change: impl FnOnce(&mut Config)) {
        change(&mut self.shared.ledger().config);
    }

    /// Queues a fault behind those that are still to be committed.
    pub fn inject(&self, fault: Fault) {
        self.shared.ledger().inject(fault);
    }

    /// Starts a login without the authorization request.
    pub fn issue_login(&self) -> Login {
        let (family, granted) = self.shared.ledger().issue_login(None, None, None);
        Login {
            refresh_token: granted.refresh_token.unwrap_or_default(),
            access_token: granted.access_token,
            family: family as u64,
        }
    }

    /// The kinds of secrets that the text holds: of all that this server has issued or was sent so far. A test searches
    /// with it whatever its client says and writes, where no secret belongs.
    pub fn canaries_in(&self, text: &[u8]) -> BTreeSet<Canary> {
        self.shared.ledger().canaries.found_in(text)
    }

    /// The targets of all requests that had a query, in the order of their arrival.
    pub fn targets_with_query(&self) -> Vec<String> {
        self.shared.ledger().targets.clone()
    }

    /// Takes another nonce for proofs of a key. Clients hear of it by an error (RFC 9449 section 8).
    pub fn change_nonce(&self) {
        self.shared.ledger().proofs.change();
    }

    /// Makes every access token issued so far invalid at the resource. Refresh tokens stay.
    pub fn expire_access_tokens(&self) {
        self.shared.ledger().expire_access_tokens();
    }

    /// Revokes every login.
    pub fn revoke_all(&self) {
        self.shared.ledger().revoke_all();
    }

    /// Whether this is the one refresh token by which its family goes on.
    pub fn family_alive(&self, refresh_token: &str) -> bool {
        self.shared.ledger().is_current(refresh_token)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.shared.issuer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed by the panic hook; a second one here would hide the test's own.
            let _ = thread.join();
        }
    }
}

/// What the handlers share.
pub(crate) struct Shared {
    pub(crate) issuer: String,
    ledger: Mutex<Ledger>,
}

impl Shared {
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way from a handler to the socket under its connection.
#[derive(Clone)]
pub(crate) struct Socket(mpsc::UnboundedSender<Takeover>);

/// What becomes of the socket in place of an HTTP answer.
pub(crate) enum Takeover {
    /// A reset.
    Reset,
    /// These bytes, then the end of the connection.
    Last(Vec<u8>),
}

impl Socket {
    /// Takes the socket away from the connection, which ends the handler: this does not return.
    pub(crate) async fn take(self, takeover: Takeover) -> ! {
        // An error means that the connection is gone, and with it whoever polls this.
        let _ = self.0.send(takeover);
        match std::future::pending::<std::convert::Infallible>().await {}
    }
}

async fn accept(listener: TcpListener, router: Router) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, router.clone()))),
            // No file descriptor left: one becomes free when a connection ends.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    let (sender, mut takeovers) = mpsc::unbounded_channel();
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Socket(sender.clone()));
        router.clone().call(request)
    });
    // Nagle's algorithm would hold back the second half of a slow answer's head.
    let _ = stream.set_nodelay(true);
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let takeover = poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => takeovers.poll_recv(cx),
    })
    .await;
    let Some(takeover) = takeover else { return };
    let mut stream = connection.into_parts().io.into_inner();
    // The client may be gone already: then there is nothing to show it.
    let _ = match takeover {
        Takeover::Reset => stream.set_zero_linger(),
        Takeover::Last(bytes) => stream.write_all(&bytes).await,
    };
}
