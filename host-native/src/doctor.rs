//! Looks at the place of a login and at the way to its server, and tries both, without changing anything: what
//! [`examine`] then judges.

pub use kraube_core::doctor::{Facts, Finding, Level, LockFile, Locks, examine};

use crate::account;
use crate::drive::timestamp;
use crate::error::Error;
use crate::http::{self, Http};
use crate::keeper;
use crate::provider;
use crate::sys;
use fs4::{FileExt, TryLockError};
use kraube_core::doctor::Server;
use kraube_core::http::Endpoint;
use kraube_core::status::Status;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Looks and tries. `locks` is given the path of a scratch file to try the locks of two processes on: it can be opened
/// with [`try_lock`], and is removed afterwards. Blocks, for as long as the server takes to answer.
///
/// # Errors
/// The path cannot be told or used.
pub fn look(path: Option<&Path>, locks: impl FnOnce(&Path) -> Locks) -> Result<Facts, Error> {
    let store = account::open(path)?;
    let status = account::status(Some(store.path()))?;
    let seen = store.examine(locks);
    let server = account::on_own_thread(|| Ok(ask(&status)))?;
    Ok(Facts {
        path: store.path().display().to_string(),
        target: seen.target,
        file: seen.file,
        directory: seen.directory,
        irreplaceable: seen.irreplaceable,
        file_system: seen.file_system,
        locks: seen.locks,
        lock_file: seen.lock_file,
        write: seen.write,
        roots: http::roots(),
        proxies: proxies(),
        server,
        status,
        health: keeper::health(store.path()),
        now: timestamp(SystemTime::now()),
    })
}

/// Tries once to take the lock on a scratch file, as kraube locks the credentials. Whoever has the file open then has it;
/// `None`: somebody else has.
///
/// # Errors
/// The file cannot be opened, or not be locked.
pub fn try_lock(scratch: &Path) -> io::Result<Option<File>> {
    let file = sys::open_lock(scratch)?;
    loop {
        match FileExt::try_lock(&file) {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// The variables that reqwest reads, in both ways to write them.
fn proxies() -> Vec<(String, String)> {
    const NAMES: [&str; 8] =
        ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"];
    let set = |name: &&str| std::env::var_os(name).filter(|value| !value.is_empty());
    NAMES.iter().filter_map(|name| Some(((*name).to_owned(), set(name)?.to_string_lossy().into_owned()))).collect()
}

/// A `GET` of the token endpoint, which does nothing there, and the metadata of the issuer.
fn ask(status: &Status) -> Server {
    let Some(client) = &status.client else { return Server::Unknown };
    let url: &Endpoint = &client.token_endpoint;
    let looked = match Http::default().look(url) {
        Ok(looked) => looked,
        Err(error) => return Server::Silent { url: url.as_str().to_owned(), detail: error.detail },
    };
    let issuer = client.issuer.as_deref();
    let search =
        |issuer| provider::search(provider::Source::Issuer(issuer)).map(drop).map_err(|error| error.to_string());
    Server::Answered {
        url: url.as_str().to_owned(),
        status: looked.status,
        date: looked.date,
        is_page: looked.is_page,
        metadata: issuer.map(search),
    }
}
