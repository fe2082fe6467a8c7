//! The listener at the loopback redirect URI (RFC 8252 section 7.3): which connections and requests it takes, and
//! nothing of what they mean. It runs on a thread and a runtime of its own, so that it can be used from within any other.

use super::Arrival;
use super::pages::{DONE, Page};
use kraube_core::provider::{LoopbackHost, RedirectRules};
use kraube_core::secret::Secret;
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use zeroize::Zeroizing;

const MAX_LINE: usize = 8 * 1024;
const MAX_HEAD: usize = 16 * 1024;
const MAX_FIELDS: usize = 100;
const MAX_CONNECTIONS: usize = 8;
/// A whole request arrives within this time, and a whole response leaves within it.
const PATIENCE: Duration = Duration::from_secs(5);
/// The client closes first: a connection that we close first blocks a fixed port for a minute.
const LINGER: Duration = Duration::from_millis(500);
/// How long the last page is there to be fetched, once the login is over.
const AFTERLIFE: Duration = Duration::from_secs(2);
/// How many free ports are tried: the one that the system names may be taken in the other family.
const TRIES: usize = 8;

/// A running listener. Dropping it closes every connection.
pub(super) struct Loopback {
    /// The redirect URI that leads here.
    pub(super) uri: String,
    /// Where it listens, in one family or both, on one port.
    pub(super) bound: Vec<SocketAddr>,
    end: Arc<Notify>,
    /// Disconnected when the thread has ended.
    started: mpsc::Receiver<io::Result<Vec<SocketAddr>>>,
    thread: Option<JoinHandle<()>>,
}

impl Loopback {
    /// Binds and listens. Each callback is sent to `arrivals` and waits for its answer.
    pub(super) fn start(rules: &RedirectRules, arrivals: mpsc::Sender<Arrival>) -> io::Result<Self> {
        let (report, started) = mpsc::channel();
        let end = Arc::new(Notify::new());
        let service = run(rules.clone(), arrivals, Arc::clone(&end), report.clone());
        let thread = std::thread::Builder::new().name("kraube-loopback".into()).spawn(move || {
            match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
                Ok(runtime) => runtime.block_on(service),
                Err(error) => drop(report.send(Err(error))),
            }
        })?;
        let bound = started.recv().unwrap_or_else(|_| Err(io::Error::other("the thread of the listener has ended")))?;
        let first = bound.first().ok_or_else(|| io::Error::other("no address was bound"))?;
        Ok(Self { uri: rules.uri(*first), bound, end, started, thread: Some(thread) })
    }

    /// After the last answer: waits until the browser has its page, for a moment at most.
    pub(super) fn finish(self) {
        let _ = self.started.recv_timeout(AFTERLIFE);
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.end.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed by the panic hook; the login does not depend on its pages.
            let _ = thread.join();
        }
    }
}

async fn run(
    rules: RedirectRules,
    arrivals: mpsc::Sender<Arrival>,
    end: Arc<Notify>,
    report: mpsc::Sender<io::Result<Vec<SocketAddr>>>,
) {
    let bound = bind(&rules.ports).and_then(|listeners| {
        let bound = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
        let site = Arc::new(Site::new(&rules, &bound, arrivals, Arc::clone(&end)));
        for listener in listeners {
            tokio::spawn(accept(listener, Arc::clone(&site)));
        }
        Ok(bound)
    });
    let listens = bound.is_ok();
    if report.send(bound).is_ok() && listens {
        end.notified().await;
    }
}

fn bind(ports: &[u16]) -> io::Result<Vec<TcpListener>> {
    let any = [0; TRIES];
    let ports = if ports.is_empty() { &any } else { ports };
    let mut last = io::Error::other("there is no port to try");
    for port in ports {
        match bind_families(*port, listen, |listener| listener.local_addr().map(|addr| addr.port())) {
            Ok(listeners) => return Ok(listeners),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Both families on one port, or the one that this machine has. Where another program has the port in one of them, the
/// browser could go there.
fn bind_families<L>(
    port: u16,
    listen: impl Fn(SocketAddr) -> io::Result<L>,
    port_of: impl Fn(&L) -> io::Result<u16>,
) -> io::Result<Vec<L>> {
    let v4 = listen((Ipv4Addr::LOCALHOST, port).into());
    let port = v4.as_ref().ok().map_or(Ok(port), port_of)?;
    let v6 = listen((Ipv6Addr::LOCALHOST, port).into());
    let is_taken = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
    match (v4, v6) {
        (Ok(v4), Ok(v6)) => Ok(vec![v4, v6]),
        (Ok(only), Err(error)) | (Err(error), Ok(only)) if !is_taken(&error) => Ok(vec![only]),
        (_, Err(error)) if is_taken(&error) => Err(error),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

/// Without `SO_REUSEADDR`, which the standard library sets: a port that is in use is not shared.
fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.bind(addr)?;
    socket.listen(128)
}

/// What all connections share.
struct Site {
    path: String,
    hosts: Vec<String>,
    arrivals: mpsc::Sender<Arrival>,
    /// The login has its answer: no callback is passed on any more.
    answered: AtomicBool,
    end: Arc<Notify>,
    /// The open connections, the oldest first.
    open: Mutex<VecDeque<Open>>,
}

impl Site {
    fn new(rules: &RedirectRules, bound: &[SocketAddr], arrivals: mpsc::Sender<Arrival>, end: Arc<Notify>) -> Self {
        let mut hosts: Vec<_> = bound.iter().map(SocketAddr::to_string).collect();
        if let (LoopbackHost::Localhost, Some(addr)) = (rules.host, bound.first()) {
            hosts.push(format!("localhost:{}", addr.port()));
        }
        let path = rules.path.split('?').next().unwrap_or_default().to_owned();
        Self { path, hosts, arrivals, answered: AtomicBool::new(false), end, open: Mutex::default() }
    }

    /// Where a request leads, once its head is complete.
    fn route(&self, request: &httparse::Request<'_, '_>) -> Result<Route, Page> {
        let fields = |name: &str| {
            let named = request.headers.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
            named.map(|field| field.value).collect::<Vec<_>>()
        };
        if request.version != Some(1) {
            return Err(Page::Version);
        }
        match fields("host")[..] {
            [host] if self.hosts.iter().any(|ours| host.eq_ignore_ascii_case(ours.as_bytes())) => {}
            [_] => return Err(Page::WrongHost),
            _ => return Err(Page::BadRequest),
        }
        if request.method != Some("GET") {
            return Err(Page::NotGet);
        }
        if !fields("transfer-encoding").is_empty() || fields("content-length").iter().any(|length| *length != b"0") {
            return Err(Page::BadRequest);
        }
        let target = request.path.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match self.answered.load(Ordering::Acquire) {
            false if path == self.path => Ok(Route::Callback(Secret::new(query))),
            true if path == DONE => Ok(Route::Done),
            true if path == self.path => Err(Page::Ignored),
            _ => Err(Page::NotFound),
        }
    }

    /// Has the login judge a callback.
    async fn ask(&self, query: Secret) -> Page {
        let (reply, answer) = oneshot::channel();
        // Errors mean that the login goes by another answer already.
        let page = match self.arrivals.send(Arrival::Callback { query, reply }) {
            Ok(()) => answer.await.unwrap_or(Page::Ignored),
            Err(_) => Page::Ignored,
        };
        if matches!(page, Page::Received | Page::Denied) {
            self.answered.store(true, Ordering::Release);
        }
        page
    }

    /// Keeps few connections open. The oldest gives way: one that is slow or idle must not keep the browser out. One
    /// that may carry the answer does so only where all of them may.
    fn admit(self: &Arc<Self>, stream: TcpStream) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|connection| !connection.task.is_finished());
        if open.len() >= MAX_CONNECTIONS {
            let oldest = open.iter().position(|connection| !connection.asks.load(Ordering::Relaxed));
            if let Some(oldest) = open.remove(oldest.unwrap_or_default()) {
                oldest.task.abort();
            }
        }
        let asks = Arc::<AtomicBool>::default();
        let connection = Connection { stream, asks: Arc::clone(&asks), answered: false };
        open.push_back(Open { asks, task: tokio::spawn(connection.serve(Arc::clone(self))).abort_handle() });
    }
}

/// A connection, as the others know it.
struct Open {
    /// Its callback is being judged, or is the answer.
    asks: Arc<AtomicBool>,
    task: AbortHandle,
}

enum Route {
    Callback(Secret),
    Done,
}

async fn accept(listener: TcpListener, site: Arc<Site>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => site.admit(stream),
            // No file descriptor left: one becomes free when a connection ends.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

struct Connection {
    stream: TcpStream,
    asks: Arc<AtomicBool>,
    answered: bool,
}

impl Connection {
    async fn serve(mut self, site: Arc<Site>) {
        let page = match timeout(PATIENCE, self.read(&site)).await {
            Ok(Ok(Some(Ok(Route::Callback(query))))) => {
                self.asks.store(true, Ordering::Relaxed);
                let page = site.ask(query).await;
                self.asks.store(page != Page::Ignored, Ordering::Relaxed);
                page
            }
            Ok(Ok(Some(Ok(Route::Done)))) => Page::Done,
            Ok(Ok(Some(Err(page)))) => page,
            // Slow, closed or broken.
            Ok(Ok(None) | Err(_)) | Err(_) => return,
        };
        if let Ok(Ok(())) = timeout(PATIENCE, self.stream.write_all(&page.response())).await {
            self.answered = true;
            let _ = timeout(LINGER, self.drain()).await;
        }
        if matches!(page, Page::Done | Page::Denied) {
            site.end.notify_one();
        }
    }

    /// `None`: the client is gone.
    async fn read(&mut self, site: &Site) -> io::Result<Option<Result<Route, Page>>> {
        let mut buffer = Zeroizing::new(vec![0; MAX_HEAD + 1]);
        let mut length = 0;
        loop {
            let read = self.stream.read(&mut buffer[length..]).await?;
            if read == 0 {
                return Ok(None);
            }
            length += read;
            let head = &buffer[..length];
            // Only the end of a line can change the verdict: bytes that come one by one are not parsed one by one.
            if length > MAX_LINE || head[length - read..].contains(&b'\n') {
                match parse(head, |request| site.route(request)) {
                    Ok(None) => {}
                    Ok(Some(route)) => return Ok(Some(Ok(route))),
                    Err(page) => return Ok(Some(Err(page))),
                }
            }
        }
    }

    /// Until the client closes. What it still sends would otherwise reset the connection before it has read the page.
    async fn drain(&mut self) {
        let mut rest = [0; 1024];
        while matches!(self.stream.read(&mut rest).await, Ok(1..)) {}
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.answered {
            let _ = self.stream.set_zero_linger();
        }
    }
}

/// `Ok(None)`: there must be more to come.
fn parse<T>(
    head: &[u8],
    complete: impl FnOnce(&httparse::Request<'_, '_>) -> Result<T, Page>,
) -> Result<Option<T>, Page> {
    let line = head.iter().position(|byte| *byte == b'\n').unwrap_or(head.len());
    if line > MAX_LINE {
        return Err(Page::LineTooLong);
    }
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => complete(&request).map(Some),
        Ok(httparse::Status::Partial) if head.len() <= MAX_HEAD => Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Err(Page::HeadTooLong),
        Err(httparse::Error::Version) => Err(Page::Version),
        Err(_) => Err(Page::BadRequest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    use std::io::{Read, Write};

    /// Longer than anything takes that is going to happen at all.
    const LONG: Duration = Duration::from_secs(30);

    fn families(v4: Result<u16, io::ErrorKind>, v6: Option<io::ErrorKind>) -> Result<Vec<SocketAddr>, io::ErrorKind> {
        let listen = |addr: SocketAddr| match (addr, v4, v6) {
            (SocketAddr::V4(mut addr), Ok(port), _) => {
                addr.set_port(port);
                Ok(addr.into())
            }
            (SocketAddr::V4(_), Err(kind), _) | (SocketAddr::V6(_), _, Some(kind)) => Err(kind.into()),
            (SocketAddr::V6(_), _, None) => Ok(addr),
        };
        bind_families(7, listen, |addr| Ok(addr.port())).map_err(|error| error.kind())
    }

    #[test]
    fn fault_12_either_family_does_alone_and_both_have_one_port() {
        let (v4, v6) = ("127.0.0.1:9".parse().expect("an address"), "[::1]:9".parse().expect("an address"));
        assert_eq!(families(Ok(9), None), Ok(vec![v4, v6]));
        assert_eq!(families(Ok(9), Some(AddrNotAvailable)), Ok(vec![v4]));
        assert_eq!(families(Err(AddrNotAvailable), None), Ok(vec!["[::1]:7".parse().expect("an address")]));
        assert_eq!(families(Err(PermissionDenied), Some(AddrNotAvailable)), Err(PermissionDenied));
    }

    #[test]
    fn fault_12_a_port_that_another_program_has_in_one_family_is_not_used() {
        assert_eq!(families(Ok(9), Some(AddrInUse)), Err(AddrInUse));
        assert_eq!(families(Err(AddrInUse), None), Err(AddrInUse));
        assert_eq!(families(Err(AddrNotAvailable), Some(AddrInUse)), Err(AddrInUse));
    }

    fn judge(head: &str) -> Result<Option<()>, Page> {
        let rules = RedirectRules { host: LoopbackHost::Localhost, ..RedirectRules::default() };
        let bound = ["127.0.0.1:5".parse().expect("an address"), "[::1]:5".parse().expect("an address")];
        let site = Site::new(&rules, &bound, mpsc::channel().0, Arc::new(Notify::new()));
        parse(head.as_bytes(), |request| site.route(request)).map(|route| route.map(drop))
    }

    #[test]
    fn requests_are_judged_by_line_host_method_and_path() {
        let good = "GET /callback?a HTTP/1.1\r\nHost: 127.0.0.1:5\r\n\r\n";
        let with = |from: &str, to: &str| judge(&good.replacen(from, to, 1));
        assert_eq!(judge(good), Ok(Some(())));
        for host in ["[::1]:5", "localhost:5", "LOCALHOST:5"] {
            assert_eq!(with("127.0.0.1:5", host), Ok(Some(())), "{host}");
        }
        for host in ["127.0.0.1", "127.0.0.1:6", "attacker.example:5", "localhost.:5", "a@127.0.0.1:5", "", "::1:5"] {
            assert_eq!(with("127.0.0.1:5", host), Err(Page::WrongHost), "{host}");
        }
        for (from, to, page) in [
            ("Host: 127.0.0.1:5\r\n", "", Page::BadRequest),
            ("\r\n\r\n", "\r\nHost: 127.0.0.1:5\r\n\r\n", Page::BadRequest),
            ("\r\n\r\n", "\r\nContent-Length: 1\r\n\r\n", Page::BadRequest),
            ("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n", Page::BadRequest),
            ("GET", "POST", Page::NotGet),
            ("GET", "get", Page::NotGet),
            ("HTTP/1.1", "HTTP/1.0", Page::Version),
            ("HTTP/1.1", "HTTP/2.0", Page::Version),
            (" HTTP/1.1", "", Page::BadRequest),
            ("/callback?a", "/callback/?a", Page::NotFound),
            ("/callback?a", "http://127.0.0.1:5/callback?a", Page::NotFound),
            ("/callback?a", "/done", Page::NotFound),
            ("/callback?a", "/favicon.ico", Page::NotFound),
        ] {
            assert_eq!(with(from, to), Err(page), "{to:?} for {from:?}");
        }
        assert_eq!(judge(&good[..good.len() - 2]), Ok(None));
    }

    #[test]
    fn the_limits_hold_to_the_byte() {
        let line = |length: usize| {
            let frame = "GET /callback? HTTP/1.1\r".len();
            format!("GET /callback?{} HTTP/1.1\r\nHost: localhost:5\r\n\r\n", "q".repeat(length - frame))
        };
        assert_eq!(judge(&line(MAX_LINE)), Ok(Some(())));
        assert_eq!(judge(&line(MAX_LINE + 1)), Err(Page::LineTooLong));
        assert_eq!(judge(&line(MAX_LINE + 1)[..MAX_LINE + 1]), Err(Page::LineTooLong));
        let head = |length: usize| {
            let (before, after) = ("GET /callback HTTP/1.1\r\nHost: localhost:5\r\nX: ", "\r\n\r\n");
            format!("{before}{}{after}", "x".repeat(length - before.len() - after.len()))
        };
        assert_eq!(judge(&head(MAX_HEAD)), Ok(Some(())));
        assert_eq!(judge(&head(MAX_HEAD + 1)), Err(Page::HeadTooLong));
        assert_eq!(judge(&head(2 * MAX_HEAD)[..MAX_HEAD + 1]), Err(Page::HeadTooLong));
        let many = "a: b\r\n".repeat(MAX_FIELDS);
        assert_eq!(judge(&line(100).replace("\r\n\r\n", &format!("\r\n{many}\r\n"))), Err(Page::HeadTooLong));
    }

    fn started() -> (Loopback, mpsc::Receiver<Arrival>) {
        let (sender, arrivals) = mpsc::channel();
        (Loopback::start(&RedirectRules::default(), sender).expect("a free port"), arrivals)
    }

    impl Loopback {
        fn connect(&self) -> std::net::TcpStream {
            std::net::TcpStream::connect(self.bound[0]).expect("it listens")
        }

        fn get(&self, target: &str) -> std::net::TcpStream {
            let mut stream = self.connect();
            write!(stream, "GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", self.bound[0]).expect("it is taken");
            stream
        }
    }

    fn status(mut stream: std::net::TcpStream) -> String {
        stream.set_read_timeout(Some(LONG)).expect("a time that is not zero");
        let mut line = [0; "HTTP/1.1 200".len()];
        stream.read_exact(&mut line).expect("a response");
        String::from_utf8_lossy(&line).into_owned()
    }

    fn verdict(arrivals: &mpsc::Receiver<Arrival>) -> oneshot::Sender<Page> {
        let Ok(Arrival::Callback { reply, .. }) = arrivals.recv_timeout(LONG) else { panic!("no callback") };
        reply
    }

    fn finish(loopback: Loopback) {
        let (ended, waiting) = mpsc::channel();
        std::thread::spawn(move || {
            loopback.finish();
            ended.send(())
        });
        waiting.recv_timeout(LONG).expect("it waits for ever");
    }

    #[test]
    fn a_callback_that_is_judged_does_not_give_way_to_newer_connections() {
        let (loopback, arrivals) = started();
        let browser = loopback.get("/callback?a");
        let reply = verdict(&arrivals);
        let idle: Vec<_> = (0..MAX_CONNECTIONS).map(|_| loopback.connect()).collect();
        // They are admitted in this order.
        assert_eq!(status(loopback.get("/")), "HTTP/1.1 404");
        reply.send(Page::Received).expect("the browser waits");
        assert_eq!(status(browser), "HTTP/1.1 303");
        assert_eq!(status(loopback.get(DONE)), "HTTP/1.1 200");
        finish(loopback);
        drop(idle);
    }

    #[test]
    fn a_browser_that_never_has_its_page_does_not_hold_up_the_end() {
        let (loopback, arrivals) = started();
        let browser = loopback.get("/callback?a");
        let reply = verdict(&arrivals);
        let others: Vec<_> = (0..MAX_CONNECTIONS).map(|_| (loopback.get("/callback?b"), verdict(&arrivals))).collect();
        assert_eq!(reply.send(Page::Received), Err(Page::Received), "the oldest of them gave way");
        finish(loopback);
        drop((browser, others));
    }
}
