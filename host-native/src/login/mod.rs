//! Logging in: the authorization code grant with PKCE (RFC 6749 section 4.1, RFC 7636) of a native application
//! (RFC 8252).
//!
//! | | when |
//! |---|---|
//! | [`login`] | a person is there, with a browser on this machine or on another one |
//! | [`device()`] | there is no browser here, and the server lets a person agree on another machine (RFC 8628) |
//! | [`login_manual`] | the program brings its own way to show a URL and to ask for a code, and its own store |
//! | [`start`], [`finish`] | two commands, with nothing running in between |
//!
//! All of these block, for minutes where a person is waited for: within a runtime use its `spawn_blocking`. None of them
//! prints anything.
//!
//! ```no_run
//! use kraube::login::{Event, LoginOptions};
//!
//! let provider = kraube::provider::find("claude", None, Some("your client id".into()))?;
//! let options = LoginOptions { paste: Some(Box::new(std::io::stdin())), ..LoginOptions::default() };
//! let logged_in = kraube::login(&provider, options, &mut |event: Event<'_>| match event {
//!     Event::OpenThis { url, .. } => eprintln!("open {url}"),
//!     Event::Ignored(reason) => eprintln!("{reason}"),
//!     _ => {}
//! })?;
//! println!("logged in: {}", logged_in.path.display());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This file holds the browser login; beside it: the listener (`loopback`), its `pages`, the `browser`, pasted lines
//! (`paste`), logins without a listener (`manual`), and with a code for another machine (`device`).

mod browser;
mod device;
mod error;
mod loopback;
mod manual;
mod pages;
mod paste;

pub use device::device;
pub use error::LoginError;
pub use kraube_core::device::Instructions;
pub use kraube_core::login::{AuthorizationUrl, Ignored, Redirect};
pub use manual::{finish, login_manual, start};

use crate::account;
use crate::dpop;
use crate::error::Error;
use crate::http::Http;
use crate::registrations;
use kraube_core::credential::NewLogin;
use kraube_core::login::{Callback, Exchange, Login, Pending, Started, Verdict};
use kraube_core::pkce::Entropy;
use kraube_core::provider::Provider;
use kraube_core::record::Credentials;
use kraube_core::secret::Secret;
use loopback::Loopback;
use pages::Page;
use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Logs in and stores the credentials: opens the browser, waits for its callback or for a pasted answer, whichever
/// is first, and exchanges the code. Blocks; see the [module](self).
///
/// Whatever can fail without a person is tried first: before the browser opens, the client id is there, the store is
/// proved to be writable, and the listener listens. Callbacks that are not the awaited answer never end the login.
///
/// # Errors
/// [`LoginError`]. What was stored before is still stored.
pub fn login(provider: &Provider, options: LoginOptions, prompt: &mut dyn Prompt) -> Result<LoggedIn, LoginError> {
    provider.client().map_err(kraube_core::login::BeginError::MissingClientId)?;
    let unavailable = if options.browser { browser::unavailable() } else { None };
    if unavailable.is_some() && provider.device_authorization_endpoint.is_some() {
        return device(provider, options.path.as_deref(), prompt);
    }
    let store = account::open_to_install(options.path.as_deref())?;
    let path = store.path().to_owned();

    let (sender, arrivals) = mpsc::channel();
    let opens = options.browser && unavailable.is_none();
    // One request has one redirect URI. Where the browser runs elsewhere, the page that shows the code serves better.
    let manual = !opens && options.paste.is_some() && provider.manual_redirect.is_some();
    let (loopback, redirect) = if manual {
        (None, Redirect::Manual)
    } else {
        let loopback = Loopback::start(&provider.redirect, sender.clone());
        let loopback = loopback.map_err(|error| LoginError::Listener(error.to_string()))?;
        let uri = loopback.uri.clone();
        (Some(loopback), Redirect::Loopback { uri })
    };
    let (mut pending, url) = begin(provider, redirect.clone())?;

    for addr in loopback.iter().flat_map(|loopback| &loopback.bound) {
        prompt.event(Event::Listening { addr: *addr });
    }
    if let Some(why) = unavailable {
        prompt.event(Event::BrowserFailed { why });
    }
    prompt.event(Event::OpenThis { url: &url, redirect: &redirect });
    if opens {
        let report = sender.clone();
        browser::open(&url, move |opened| drop(report.send(Arrival::Browser(opened))));
    }
    if let Some(reader) = options.paste {
        paste::start(reader, sender.clone()).map_err(|error| Error::System(format!("no thread: {error}")))?;
    }
    drop(sender);

    let (answer, by_callback) = wait(&mut pending, arrivals, options.timeout, prompt);
    let exchanged = answer.and_then(|exchange| {
        prompt.event(Event::Received);
        prompt.event(Event::Exchanging);
        Ok(account::install(store, new_login(exchange)?)?)
    });
    if let Some(loopback) = loopback.filter(|_| by_callback) {
        loopback.finish();
    }
    exchanged.map(|credentials| LoggedIn::new(credentials, path))
}

/// How a browser login is done.
pub struct LoginOptions {
    /// Where to store the credentials; `None` for [`default_credentials_path`](crate::default_credentials_path).
    pub path: Option<PathBuf>,
    /// Whether to open the browser. Where there is none for this person (an SSH session, no display), none is tried: a
    /// server that offers the [device flow](device()) is asked for that instead.
    pub browser: bool,
    /// For how long to wait for the answer.
    pub timeout: Duration,
    /// Where a person may paste the answer, such as standard input: the address of the page that the browser ended on,
    /// `code#state`, or the code, on one line. It is read on a thread of its own, which stays in a read that blocks.
    pub paste: Option<Box<dyn Read + Send>>,
}

impl Default for LoginOptions {
    /// The default path, the browser, five minutes, nothing to paste into.
    fn default() -> Self {
        Self { path: None, browser: true, timeout: Duration::from_secs(300), paste: None }
    }
}

/// Who shows a person how the login goes. Every closure that takes an [`Event`] is one.
pub trait Prompt {
    /// Something happened. The login goes on when this returns.
    fn event(&mut self, event: Event<'_>);
}

impl<F: FnMut(Event<'_>)> Prompt for F {
    fn event(&mut self, event: Event<'_>) {
        self(event);
    }
}

/// What happens during a login. No event holds a code or a token.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The callback will be received here: once for each family of addresses.
    Listening {
        /// The address, on the loopback interface.
        addr: SocketAddr,
    },
    /// The person has to agree at this URL. It is about to be opened, where a browser is opened.
    OpenThis {
        /// The URL.
        url: &'a AuthorizationUrl,
        /// Where the browser will end: at the listener, or at a page that shows the code to paste.
        redirect: &'a Redirect,
    },
    /// The person has to type a code in on another machine, and agree there.
    EnterCode {
        /// What to show them.
        instructions: &'a Instructions,
    },
    /// The browser was started.
    BrowserOpened,
    /// No browser was started. The login still waits. Where none is tried, that is known before there is a URL to open.
    BrowserFailed {
        /// Why, and what to do.
        why: &'a str,
    },
    /// A callback or a pasted text was not the awaited answer. The login still waits.
    Ignored(Ignored),
    /// The answer is in, with a code.
    Received,
    /// The code is being exchanged for tokens. With the [device flow](device()) each poll may be the one that brings them.
    /// A program that ends now may lose them: it waits for the end of the login, or for [`Pending`](Self::Pending).
    Exchanging,
    /// This poll has brought no tokens, and the code is still good. The login waits to ask again.
    Pending,
}

/// A login that was stored.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// What was stored.
    pub credentials: Credentials,
    /// Where.
    pub path: PathBuf,
}

impl LoggedIn {
    fn new(credentials: Credentials, path: PathBuf) -> Self {
        registrations::proved(&path, credentials.client.as_ref());
        Self { credentials, path }
    }
}

/// What reaches a login that waits.
enum Arrival {
    /// A request to the redirect URI: its query, and who shows the page.
    Callback { query: Secret, reply: tokio::sync::oneshot::Sender<Page> },
    /// A line.
    Pasted(Zeroizing<String>),
    /// How the browser started.
    Browser(Result<(), String>),
}

/// Waits for the one answer, and tells whether a browser has brought it. The arrivals end with this, so that callbacks
/// that come later are turned away.
fn wait(
    pending: &mut Pending,
    arrivals: mpsc::Receiver<Arrival>,
    patience: Duration,
    prompt: &mut dyn Prompt,
) -> (Result<Exchange, LoginError>, bool) {
    let start = Instant::now();
    let mut ignored = Vec::new();
    loop {
        let arrival = match arrivals.recv_timeout(patience.saturating_sub(start.elapsed())) {
            Ok(arrival) => arrival,
            Err(RecvTimeoutError::Timeout) => return (Err(LoginError::TimedOut { after: patience, ignored }), false),
            Err(RecvTimeoutError::Disconnected) => return (Err(LoginError::NoAnswer), false),
        };
        let (verdict, reply) = match arrival {
            Arrival::Callback { query, reply } => (pending.receive(Callback::Query(query.expose())), Some(reply)),
            Arrival::Pasted(line) => (pending.receive(Callback::Pasted(&line)), None),
            Arrival::Browser(opened) => {
                match &opened {
                    Ok(()) => prompt.event(Event::BrowserOpened),
                    Err(why) => prompt.event(Event::BrowserFailed { why }),
                }
                continue;
            }
        };
        let by_callback = reply.is_some();
        let show = |page| {
            if let Some(reply) = reply {
                // The browser may be gone.
                let _ = reply.send(page);
            }
        };
        match verdict {
            Verdict::Ignored(reason) => {
                show(Page::Ignored);
                count(&mut ignored, reason);
                prompt.event(Event::Ignored(reason));
            }
            Verdict::Denied { code, description } => {
                show(Page::Denied);
                return (Err(LoginError::Denied { code, description }), by_callback);
            }
            Verdict::Code(exchange) => {
                show(Page::Received);
                return (Ok(exchange), by_callback);
            }
        }
    }
}

fn count(ignored: &mut Vec<(Ignored, u32)>, reason: Ignored) {
    match ignored.iter_mut().find(|(known, _)| *known == reason) {
        Some((_, count)) => *count += 1,
        None => ignored.push((reason, 1)),
    }
}

fn new_login(exchange: Exchange) -> Result<NewLogin, Error> {
    let exchange = if exchange.wants_key() { exchange.bind(dpop::binding()?) } else { exchange };
    let (client, request) = exchange.request();
    Ok(NewLogin::Code { request, client })
}

/// The authorization request, pushed where the server requires that.
fn begin(provider: &Provider, redirect: Redirect) -> Result<(Pending, AuthorizationUrl), LoginError> {
    match Login::start(provider, redirect, entropy()?)? {
        Started::Ready(pending, url) => Ok((pending, url)),
        Started::Push(push, request) => {
            // On a thread of its own: the caller may be within a runtime.
            let answer = account::on_own_thread(|| Ok(Http::default().send(request, None)))?;
            Ok(push.read(answer)?)
        }
    }
}

/// The randomness of one attempt.
fn entropy() -> Result<Entropy, Error> {
    let mut bytes = Zeroizing::new([0; Entropy::LEN]);
    getrandom::fill(bytes.as_mut_slice())
        .map_err(|error| Error::System(format!("the operating system gives no random numbers: {error}")))?;
    Ok(Entropy::new(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_says_what_was_ignored_meanwhile() {
        let provider = Provider::demo("http://127.0.0.1:1").expect("a loopback URL");
        let redirect = Redirect::Loopback { uri: "http://127.0.0.1:2/callback".into() };
        let (mut pending, _) = Login::begin(&provider, redirect, Entropy::new([7; Entropy::LEN])).expect("it begins");
        let (sender, arrivals) = mpsc::channel();
        for line in ["a#b", "", "c#d\n"] {
            sender.send(Arrival::Pasted(Zeroizing::new(line.into()))).expect("the receiver is there");
        }
        let (reply, page) = tokio::sync::oneshot::channel();
        let query = Secret::new("code=a&state=b");
        sender.send(Arrival::Callback { query, reply }).expect("the receiver is there");
        let mut events = 0;
        let prompt = &mut |_: Event<'_>| events += 1;
        let (answer, by_callback) = wait(&mut pending, arrivals, Duration::ZERO, prompt);
        let error = answer.expect_err("nothing else arrives");
        assert_eq!(error.to_string(), "there was no answer within 0 s; ignored: 3 x state_mismatch, 1 x empty");
        assert_eq!((page.blocking_recv(), by_callback, events), (Ok(Page::Ignored), false, 4));
        drop(sender);
    }
}
