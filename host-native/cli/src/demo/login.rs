//! How the demo logs in.

use kraube::core::provider::Provider;
use kraube::core::record::Credentials;
use kraube::core::secret::Secret;
use kraube::core::time::Timestamp;
use kraube_testserver::Server;
use std::path::Path;
use std::time::SystemTime;

/// Logs in at the embedded server and stores the login.
pub(super) fn log_in(server: &Server, credentials: &Path) -> Result<(), String> {
    let provider = Provider::demo(&server.issuer()).map_err(|error| error.to_string())?;
    let issued = server.issue_login();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    let new = Credentials {
        access_token: Secret::new(issued.access_token),
        refresh_token: Some(Secret::new(issued.refresh_token)),
        expires_at: now.plus(super::LIFE),
        obtained_at: Some(now),
        scope: None,
        client: Some(provider.client().map_err(|error| error.to_string())?),
    };
    kraube::save_credentials(Some(credentials), &new).map_err(|error| error.to_string())
}
