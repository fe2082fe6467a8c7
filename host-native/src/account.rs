//! A login as a whole: store it, look at it, end it. Each of these goes through the same lock as a refresh.

use crate::drive::{Io, Unwatched, timestamp};
use crate::error::Error;
use crate::http::Http;
use crate::paths;
use crate::store::{FileStore, Store};
use crate::unsaved;
use crate::worker::login_id;
use kraube_core::credential::{Forget, Forgotten, Install, InstallError, NewLogin};
use kraube_core::policy::Policy;
use kraube_core::record::Credentials;
use kraube_core::status::{Status, status as judge};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// Stores credentials at `path`, or at the [default path](crate::default_credentials_path), through the lock: as a new
/// login, which replaces what is there. Members of other programs are kept. Blocks.
///
/// # Errors
/// [`Error::Login`]: nothing was stored.
pub fn save_credentials(path: Option<&Path>, credentials: &Credentials) -> Result<(), Error> {
    install(open(path)?, NewLogin::Credentials(credentials.clone())).map(drop)
}

/// What can be told of the login at `path` by reading alone: no lock, no request, no change.
///
/// # Errors
/// The path cannot be told or used.
pub fn status(path: Option<&Path>) -> Result<Status, Error> {
    Ok(look(&open(path)?))
}

/// The same of a store that is open already, which warns of what is wrong with it once.
pub(crate) fn look(store: &FileStore) -> Status {
    judge(store.read(), &Policy::default(), timestamp(SystemTime::now()))
}

/// Ends the login at `path`: revokes it at the server, where `revoke` is wanted and the server has an endpoint for it,
/// and deletes what is stored, whatever the server says and even where the lock cannot be had. Blocks.
///
/// # Errors
/// The path cannot be told or used. How it went otherwise is in [`Forgotten`].
pub fn logout(path: Option<&Path>, revoke: bool) -> Result<Forgotten, Error> {
    let store = open(path)?;
    on_own_thread(move || {
        let (guard, before, turn) = unsaved::take_in_turn(store.key());
        let mut io = Io { store: Arc::new(store), http: Http::default() };
        let step = Forget::start(revoke, Policy::default(), before.clone());
        let (forgotten, guard) = io.drive(guard, step, &mut Unwatched);
        turn.end(&*io.store, &forgotten, before, guard);
        Ok(forgotten)
    })
}

/// Drives a new login into a store. Blocks; nothing else may cancel it: a code that was sent must be answered, and an
/// answer must be stored.
pub(crate) fn install(store: impl Store, new: NewLogin) -> Result<Credentials, Error> {
    on_own_thread(move || {
        let login = login_id()?;
        let (guard, before, turn) = unsaved::take_in_turn(store.key());
        let mut io = Io { store: Arc::new(store), http: Http::default() };
        let step = Install::start(new, login, Policy::default());
        let (installed, guard) = io.drive(guard, step, &mut Unwatched);
        turn.end(&*io.store, &installed, before, guard);
        installed.map_err(|error: InstallError| Error::Login(error))
    })
}

pub(crate) fn open(path: Option<&Path>) -> Result<FileStore, Error> {
    FileStore::open(paths::credentials_path(path)?).map_err(Error::Store)
}

/// The store, proved to take a login before a person is sent to make one.
pub(crate) fn open_to_install(path: Option<&Path>) -> Result<FileStore, Error> {
    let store = open(path)?;
    store.probe().map_err(Error::Store)?;
    Ok(store)
}

/// Callers may be within a runtime, where another one cannot be driven.
pub(crate) fn on_own_thread<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("kraube-login".into()).spawn_scoped(scope, work);
        let thread = thread.map_err(|error| Error::System(format!("no thread can be started: {error}")))?;
        thread.join().unwrap_or_else(|_| Err(Error::System("the thread that logs in has ended".into())))
    })
}
