//! What the harsh suites stand on: logins of the embedded server in files, and what is found on the disk afterwards.

use kraube::core::policy::Policy;
use kraube::core::provider::Provider;
use kraube::core::record::Credentials;
use kraube::core::secret::Secret;
use kraube::core::time::{Millis, Timestamp};
use kraube::store::FileStore;
use kraube::{Options, TokenSource};
use kraube_testserver::{Login, Server};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// Anything that stops a suite.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What the server's refresh tokens begin with.
const REFRESH_TOKEN: &str = "kr_rt_";

/// The credentials file in a directory.
pub fn credentials_in(dir: &Path) -> PathBuf {
    dir.join("credentials.json")
}

/// A directory in memory where there is such a place: many durable writes, and how long a disk takes does not matter.
///
/// # Errors
/// There is no room for temporary files.
pub fn directory() -> Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    Ok(dir?)
}

/// Stores a new login of this server, whose access token was obtained an hour ago and lives for so many milliseconds
/// more.
///
/// # Errors
/// The login cannot be stored.
pub fn log_in(server: &Server, file: &Path, left: i64) -> Result<Login> {
    let login = server.issue_login();
    kraube::save_credentials(Some(file), &credentials(&server.issuer(), &login, left)?)?;
    Ok(login)
}

/// A login of the server at this issuer, with an access token like that of [`log_in`].
///
/// # Errors
/// The issuer is none.
pub fn credentials(issuer: &str, login: &Login, left: i64) -> Result<Credentials> {
    Ok(Credentials {
        binding: None,
        access_token: Secret::new(login.access_token.clone()),
        refresh_token: Some(Secret::new(login.refresh_token.clone())),
        expires_at: from_now(left)?,
        obtained_at: Some(from_now(-3_600_000)?),
        scope: None,
        client: Some(Provider::demo(issuer)?.client()?),
    })
}

/// The figures of the machines as they are, but that a rejected token is refreshed at once, however young it is.
pub fn eager() -> Policy {
    Policy { reject_floor: Millis::ZERO, ..Policy::default() }
}

/// The options with these figures.
pub fn options(policy: Policy) -> Options {
    let mut options = Options::default();
    options.policy = policy;
    options
}

/// A source on this file.
///
/// # Errors
/// The path names no file.
pub fn source_at(file: &Path, policy: Policy) -> Result<TokenSource> {
    Ok(TokenSource::from_store(FileStore::open(file).map_err(|error| error.detail)?, options(policy)))
}

/// The stored record.
///
/// # Errors
/// It is not there, or torn.
pub fn record(file: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(file)?)?)
}

/// A text member of a record.
///
/// # Errors
/// It is missing.
pub fn text<'a>(record: &'a Value, name: &str) -> Result<&'a str> {
    record.get(name).and_then(Value::as_str).ok_or_else(|| format!("{name} is missing").into())
}

/// Other files beside the credentials and their lock that hold a refresh token.
///
/// # Errors
/// The directory cannot be read.
pub fn strays(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in dir.read_dir()? {
        let path = entry?.path();
        if path != credentials_in(dir) && String::from_utf8_lossy(&std::fs::read(&path)?).contains(REFRESH_TOKEN) {
            found.push(path);
        }
    }
    Ok(found)
}

/// A random number below this one.
pub fn below(bound: u64) -> u64 {
    // Without random numbers the kraube under test does not work either.
    getrandom::u64().unwrap_or_default() % bound.max(1)
}

fn from_now(millis: i64) -> Result<Timestamp> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    Ok(Timestamp(u64::try_from(now + millis)?))
}
