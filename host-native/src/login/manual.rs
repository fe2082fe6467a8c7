//! Logins without a listener: a person copies the answer. Either a closure asks for it, or it comes in another process,
//! which takes the saved login up again.

use super::{LoggedIn, LoginError, new_login};
use crate::account;
use crate::drive::timestamp;
use crate::error::Error;
use crate::store::{FileStore, MemoryStore, Store};
use crate::sys;
use kraube_core::login::{
    AuthorizationUrl, Callback, Exchange, Ignored, PENDING_LIFE, Pending, Redirect, RestoreError, Verdict,
    state_in_pasted,
};
use kraube_core::machine::{Blob, StoreError, StoreErrorKind};
use kraube_core::provider::Provider;
use kraube_core::record::Credentials;
use kraube_core::time::Timestamp;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Logs in without a listener, and stores nothing: `code` shows the URL to a person and returns what they copied, in
/// any of the forms of [`LoginOptions::paste`](super::LoginOptions::paste). Blocks; see the [module](super).
///
/// Where the provider has a page that shows the code, the browser ends there; otherwise at an address on which nothing
/// listens, and the person copies it from the address bar.
///
/// # Errors
/// [`LoginError`]; [`LoginError::NotTheAnswer`] where something else was copied.
pub fn login_manual(
    provider: &Provider,
    code: impl FnOnce(&AuthorizationUrl) -> String,
) -> Result<Credentials, LoginError> {
    let (mut pending, url) = begin(provider)?;
    let pasted = zeroize::Zeroizing::new(code(&url));
    let exchange = answer(&mut pending, &pasted)?;
    Ok(account::install(MemoryStore::new(), new_login(exchange)?)?)
}

/// Begins a login that [`finish`] completes within ten minutes, in this process or another one. Returns the URL that the
/// person has to open, and the file in which the login waits: beside the credentials, of mode 0600, since it holds the
/// code verifier.
///
/// # Errors
/// [`LoginError`]. The store was proved to be writable first, so that nobody logs in for nothing.
pub fn start(provider: &Provider, path: Option<&Path>) -> Result<(AuthorizationUrl, PathBuf), LoginError> {
    let (pending, url) = begin(provider)?;
    let store = account::open_to_install(path)?;
    // An expired login of before must not count when the answer comes.
    waiting(&store, now())?;
    let file = dir(&store).join(format!("{PREFIX}{}{SUFFIX}", pending.state_fingerprint()));
    let blob = pending.save(now()).ok_or(LoginError::NothingPending)?;
    save(&file, &blob)?;
    Ok((url, file))
}

/// Completes a login that [`start`] began: picks it by the state in the pasted answer, or takes the only one; exchanges
/// the code, and stores the credentials. Blocks; see the [module](super).
///
/// The login that waited is used up by this, unless the code was certainly not spent or nothing is known of it: then the
/// same answer can be given again.
///
/// # Errors
/// [`LoginError`]
pub fn finish(path: Option<&Path>, pasted: &str) -> Result<LoggedIn, LoginError> {
    let store = account::open(path)?;
    let Waiting { file, blob, mut pending } = pick(waiting(&store, now())?, pasted)?;
    let exchange = match answer(&mut pending, pasted) {
        Err(denied @ LoginError::Denied { .. }) => {
            claim(&file)?;
            return Err(denied);
        }
        other => other?,
    };
    store.probe().map_err(Error::Store)?;
    let new = new_login(exchange)?;
    // Whoever removes the file may send the code, nobody else.
    claim(&file)?;
    let path = store.path().to_owned();
    match account::install(store, new) {
        Ok(credentials) => Ok(LoggedIn::new(credentials, path)),
        Err(error) => {
            let over = matches!(&error, Error::Login(error) if !error.may_repeat());
            if !over {
                save(&file, &blob)?;
            }
            Err(error.into())
        }
    }
}

const PREFIX: &str = "pending-";
const SUFFIX: &str = ".json";
/// The characters of a fingerprint.
const STATE: usize = 24;

/// A login that waits in a file.
struct Waiting {
    file: PathBuf,
    blob: Blob,
    pending: Pending,
}

/// What lies beside the credentials.
#[derive(Default)]
struct Found {
    waiting: Vec<Waiting>,
    /// Why another one cannot be taken up.
    unfit: Option<RestoreError>,
}

fn begin(provider: &Provider) -> Result<(Pending, AuthorizationUrl), LoginError> {
    let redirect = match provider.manual_redirect {
        Some(_) => Redirect::Manual,
        None => {
            Redirect::Loopback { uri: silent_uri(provider).map_err(|error| LoginError::Listener(error.to_string()))? }
        }
    };
    super::begin(provider, redirect)
}

/// A redirect URI at which nothing listens: the port is free at this moment, or is one of the registered ones.
fn silent_uri(provider: &Provider) -> io::Result<String> {
    let port = match provider.redirect.ports.first() {
        Some(port) => *port,
        None => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port(),
    };
    Ok(provider.redirect.uri((Ipv4Addr::LOCALHOST, port).into()))
}

fn answer(pending: &mut Pending, pasted: &str) -> Result<Exchange, LoginError> {
    match pending.receive(Callback::Pasted(pasted)) {
        Verdict::Code(exchange) => Ok(exchange),
        Verdict::Denied { code, description } => Err(LoginError::Denied { code, description }),
        Verdict::Ignored(reason) => Err(LoginError::NotTheAnswer(reason)),
    }
}

fn pick(found: Found, pasted: &str) -> Result<Waiting, LoginError> {
    let Found { mut waiting, unfit } = found;
    let count = waiting.len();
    let state = state_in_pasted(pasted);
    if let Some(state) = state {
        waiting.retain(|one| one.pending.state_fingerprint() == state);
    }
    match (waiting.pop(), count) {
        (Some(one), _) if waiting.is_empty() => Ok(one),
        (Some(_), _) => Err(LoginError::SeveralPending(count)),
        (None, 1..) => Err(LoginError::NotTheAnswer(Ignored::StateMismatch)),
        (None, 0) => Err(unfit.map_or(LoginError::NothingPending, LoginError::Restore)),
    }
}

/// The logins that wait beside the credentials. Those that have expired are removed.
fn waiting(store: &FileStore, now: Timestamp) -> Result<Found, LoginError> {
    let mut found = Found::default();
    let entries = match fs::read_dir(dir(store)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(failed("look into", dir(store), &error)),
    };
    for entry in entries.flatten() {
        if !entry.file_name().to_str().is_some_and(is_of_ours) {
            continue;
        }
        let file = entry.path();
        // Somebody else's, too large, or gone by now: none of ours.
        let Ok(Some(blob)) = FileStore::open(&file).and_then(|file| file.read()) else { continue };
        match Pending::restore(blob.bytes(), now) {
            Ok(pending) => found.waiting.push(Waiting { file, blob, pending }),
            Err(error) => {
                found.unfit = Some(error);
                if error == RestoreError::Expired || is_old(&entry, now) {
                    drop(fs::remove_file(&file));
                }
            }
        }
    }
    Ok(found)
}

/// Whether it is a name that [`start`] gives. The directory may be one where people keep files of similar names.
fn is_of_ours(name: &str) -> bool {
    let state = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
    state.is_some_and(|state| state.len() == STATE && state.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// What a process that was killed has half written cannot be read, and ends by its age.
fn is_old(entry: &fs::DirEntry, now: Timestamp) -> bool {
    let modified = entry.metadata().and_then(|meta| meta.modified());
    modified.is_ok_and(|modified| now.since(timestamp(modified)) > PENDING_LIFE)
}

fn save(file: &Path, blob: &Blob) -> Result<(), LoginError> {
    let write = || {
        let mut open = sys::create_private(file)?;
        open.write_all(blob.bytes())?;
        open.sync_all()?;
        sys::sync_dir(file.parent().unwrap_or(file))
    };
    write().map_err(|error| {
        drop(fs::remove_file(file));
        failed("write", file, &error)
    })
}

fn claim(file: &Path) -> Result<(), LoginError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(LoginError::NothingPending),
        other => other.map_err(|error| failed("remove", file, &error)),
    }
}

fn dir(store: &FileStore) -> &Path {
    store.path().parent().unwrap_or(store.path())
}

fn failed(doing: &str, path: &Path, error: &io::Error) -> LoginError {
    let detail = format!("cannot {doing} {}: {error}", path.display());
    Error::Store(StoreError { kind: StoreErrorKind::Io, detail }).into()
}

fn now() -> Timestamp {
    timestamp(SystemTime::now())
}
