//! What a measurement stands on: a server, and credentials in a directory on the disk that the build lies on.

use crate::Result;
use kraube::core::http::Endpoint;
use kraube::core::provider::{Client, TokenBody};
use kraube::core::record::Credentials;
use kraube::core::secret::Secret;
use kraube::core::time::{Millis, Timestamp};
use kraube::store::FileStore;
use kraube::{Options, TokenSource};
use kraube_testserver::{Config, Login, Server};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// The client that all logins belong to.
pub(crate) const CLIENT: &str = "bench";

pub(crate) struct Stage {
    pub(crate) server: Server,
    dir: TempDir,
}

impl Stage {
    /// A server whose token endpoint takes this long.
    pub(crate) fn new(latency: Duration) -> Result<Self> {
        let server = Server::spawn(Config { latency, ..Config::default() })?;
        // Not the system's temporary directory, which may be in memory.
        let beside = std::env::current_exe()?;
        let dir = tempfile::Builder::new().prefix("bench-").tempdir_in(beside.parent().ok_or("no directory")?)?;
        Ok(Self { server, dir })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("credentials.json")
    }

    /// A new login, with an access token that lives for an hour, or whose hour is over.
    pub(crate) fn log_in(&self, live: bool) -> Result<Login> {
        let login = self.server.issue_login();
        kraube::save_credentials(Some(&self.path()), &credentials(&login, &self.server.token_url(), live)?)?;
        Ok(login)
    }
}

pub(crate) fn credentials(login: &Login, token_url: &str, live: bool) -> Result<Credentials> {
    let hour = 3_600_000;
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let obtained_at = Timestamp(if live { now } else { now - 2 * hour });
    Ok(Credentials {
        binding: None,
        access_token: Secret::new(&login.access_token),
        refresh_token: Some(Secret::new(&login.refresh_token)),
        expires_at: obtained_at.plus(Millis(hour)),
        obtained_at: Some(obtained_at),
        scope: None,
        client: Some(Client {
            name: CLIENT.into(),
            issuer: None,
            token_endpoint: Endpoint::parse(token_url)?,
            revocation_endpoint: None,
            client_id: CLIENT.into(),
            body: TokenBody::Form,
            refused_statuses: Vec::new(),
            resource: None,
        }),
    })
}

/// A source on this file in which a rejected token is refreshed at once, however young it is.
pub(crate) fn eager_source(path: &Path) -> Result<TokenSource> {
    let mut options = Options::default();
    options.policy.reject_floor = Millis::ZERO;
    Ok(TokenSource::from_store(FileStore::open(path).map_err(|error| error.detail)?, options))
}
