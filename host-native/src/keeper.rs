//! A process that does nothing but keep a login fresh, and says in a file how it goes.

use crate::account;
use crate::drive::{duration, now, timestamp};
use crate::error::Error;
use crate::source::TokenSource;
use crate::store::FileStore;
use crate::sys;
use crate::worker::schedule;
use kraube_core::keeping::{Health, Schedule};
use kraube_core::policy::Policy;
use kraube_core::status::Status;
use kraube_core::time::Millis;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, SystemTime};

/// Refreshes the login at `path` ahead of expiry until `end` gets a message or loses its senders. Blocks. `observe` is
/// told after each look; the same is in the [health file](health_path) until the end.
///
/// # Errors
/// The path cannot be told or used. What fails later is told to `observe`, and tried again.
pub fn keep_fresh(path: Option<&Path>, end: &Receiver<()>, observe: &mut dyn FnMut(&Health)) -> Result<(), Error> {
    let store = account::open(path)?;
    let file = HealthFile { path: health_path(store.path()) };
    let mut keeper = Keeper::new(&store);
    loop {
        let (health, next) = keeper.look();
        file.write(&health);
        observe(&health);
        // A timer of zero would hide the end.
        let wait = next.map_or(duration(Schedule::GLANCE), duration).max(Duration::from_millis(1));
        match end.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

struct Keeper<'a> {
    store: &'a FileStore,
    policy: Policy,
    schedule: Schedule,
    /// What the login was before the last refresh, and why that failed, for people.
    failed: Option<(Status, String)>,
}

impl<'a> Keeper<'a> {
    fn new(store: &'a FileStore) -> Self {
        Self { store, policy: Policy::default(), schedule: schedule(), failed: None }
    }

    /// Looks at the login, refreshes it where that is due, and tells how it goes and how long to wait.
    fn look(&mut self) -> (Health, Option<Millis>) {
        let mut status = account::look(self.store);
        let mut next = self.schedule.next(&self.policy, &status, now());
        if next.is_some_and(|wait| wait.0 == 0) {
            self.failed = self.refresh().err().map(|error| (status, error));
            self.schedule.ended(self.failed.is_none(), now());
            status = account::look(self.store);
            next = self.schedule.next(&self.policy, &status, now());
        }
        let failed = self.failed.as_ref().map(|(before, error)| (before, error.as_str()));
        let wall = timestamp(SystemTime::now());
        (Health::of(&status, failed, next, std::process::id(), wall), next)
    }

    /// The error is for people.
    fn refresh(&self) -> Result<(), String> {
        // A source of its own, so that what others have stored since is seen.
        let source = TokenSource::from_file(Some(self.store.path())).map_err(|error| error.to_string())?;
        let min_valid = duration(self.schedule.min_valid(&self.policy));
        let token = source.with_proofs().min_valid(min_valid).blocking_token();
        let token = token.map_err(|error| error.to_string())?;
        token.stale().map_or(Ok(()), |failure| Err(failure.to_string()))
    }
}

/// Where [`keep_fresh`] says how it goes: `<credentials>.health`, JSON, a [`Health`].
pub fn health_path(credentials: &Path) -> PathBuf {
    let mut name = OsString::from(credentials);
    name.push(".health");
    name.into()
}

/// What the process that keeps a login fresh said last.
pub(crate) fn health(credentials: &Path) -> Option<Health> {
    const LONGEST: u64 = 64 * 1024;
    let file = sys::open_to_read(&health_path(credentials)).ok()?;
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(file, LONGEST), &mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// The file goes with its process.
struct HealthFile {
    path: PathBuf,
}

impl HealthFile {
    fn write(&self, health: &Health) {
        // Without a directory there is no login either, and nobody who looks.
        if let Err(error) = self.try_write(health)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot write the health file");
        }
    }

    fn try_write(&self, health: &Health) -> io::Result<()> {
        let text = serde_json::to_vec(health)?;
        let mut temp = OsString::from(&self.path);
        temp.push(format!(".{}", health.pid));
        let temp = PathBuf::from(temp);
        let done = fs::remove_file(&temp).or(Ok(())).and_then(|()| {
            sys::create_private(&temp)?.write_all(&text)?;
            sys::rename(&temp, &self.path)
        });
        if done.is_err() {
            let _ = fs::remove_file(&temp);
        }
        done
    }
}

impl Drop for HealthFile {
    fn drop(&mut self) {
        // Another process may have taken over meanwhile.
        let text = fs::read(&self.path).unwrap_or_default();
        let ours = serde_json::from_slice::<Health>(&text).is_ok_and(|health| health.pid == std::process::id());
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "cannot remove");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kraube_core::provider::Provider;
    use kraube_core::record::Credentials;
    use kraube_core::secret::Secret;

    fn log_in(path: &Path, expires: SystemTime) {
        let provider = Provider::demo("http://127.0.0.1:1").expect("a loopback URL");
        let credentials = Credentials {
            binding: None,
            access_token: Secret::new("access"),
            refresh_token: Some(Secret::new("refresh")),
            expires_at: timestamp(expires),
            obtained_at: None,
            scope: None,
            client: Some(provider.client().expect("a client id")),
        };
        account::save_credentials(Some(path), &credentials).expect("the login is stored");
    }

    #[test]
    fn a_failure_goes_with_the_tokens_that_it_was_about() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("credentials.json");
        let store = account::open(Some(&path)).expect("a path to a file");
        let mut keeper = Keeper::new(&store);
        log_in(&path, SystemTime::UNIX_EPOCH);
        for _ in 0..2 {
            let (health, _) = keeper.look();
            assert!(!health.healthy && health.error.is_some(), "{health:?}");
        }
        log_in(&path, SystemTime::now() + Duration::from_secs(3600));
        let (health, _) = keeper.look();
        assert!(health.healthy && health.error.is_none(), "{health:?}");
    }

    #[test]
    #[cfg(unix)]
    fn a_file_that_others_may_read_is_warned_of_once() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("credentials.json");
        log_in(&path, SystemTime::now() + Duration::from_secs(3600));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
        let store = account::open(Some(&path)).expect("a path to a file");
        let (mut log, writer) = io::pipe().expect("there are pipes");
        let subscriber = tracing_subscriber::fmt().with_writer(std::sync::Arc::new(writer)).finish();
        tracing::subscriber::with_default(subscriber, || {
            let mut keeper = Keeper::new(&store);
            assert!(keeper.look().0.healthy && keeper.look().0.healthy);
        });
        let mut said = String::new();
        io::Read::read_to_string(&mut log, &mut said).expect("text");
        assert_eq!(said.matches("other users may read").count(), 1, "{said}");
    }
}
