//! Which authorization servers a program can log in at, and where their profiles come from.

use kraube_core::provider::{Client, Provider};

/// The environment variable with the client id of the user's own application.
pub const CLIENT_ID: &str = "KRAUBE_CLIENT_ID";

/// The default provider with the client id of [`CLIENT_ID`]: for a record that does not say where to refresh it.
pub(crate) fn default_client() -> Option<Client> {
    let client_id = std::env::var(CLIENT_ID).ok().filter(|id| !id.is_empty())?;
    Provider { client_id: Some(client_id), ..Provider::claude() }.client().ok()
}
