//! Where the registrations of this application are kept: `registrations.json` beside the credentials, and the same for all
//! profiles. It has a lock of its own, so a login does not wait for a refresh.

use crate::drive::timestamp;
use crate::paths;
use crate::provider::ProviderError;
use crate::store::{FileStore, Store};
use kraube_core::machine::WriteError;
use kraube_core::provider::Client;
use kraube_core::registrations::Registrations;
use kraube_core::time::Timestamp;
use std::path::Path;
use std::time::{Duration, SystemTime};

const FILE: &str = "registrations.json";

/// How long it is waited for a process that writes.
const WAIT: Duration = Duration::from_secs(10);

/// Reads the registrations, and writes them where `work` has changed them. It is called again where another process was
/// faster.
pub(crate) fn change<T>(
    path: Option<&Path>,
    mut work: impl FnMut(&mut Registrations, Timestamp) -> T,
) -> Result<T, ProviderError> {
    let credentials = paths::credentials_path(path).map_err(ProviderError::Path)?;
    let file = paths::shared(&credentials, FILE).unwrap_or_else(|| credentials.with_file_name(FILE));
    let fails = |detail: String| ProviderError::File { file: file.clone(), detail };
    let store = FileStore::open(&file).map_err(|error| fails(error.to_string()))?;
    loop {
        let blob = store.read().map_err(|error| fails(error.to_string()))?;
        let before = match &blob {
            None => Registrations::default(),
            Some(blob) => Registrations::parse(blob.bytes()).ok_or_else(|| fails(DAMAGED.into()))?,
        };
        let mut after = before.clone();
        let result = work(&mut after, timestamp(SystemTime::now()));
        if after == before {
            return Ok(result);
        }
        let _guard = store.lock(WAIT, None).map_err(|error| fails(error.to_string()))?;
        match store.write(blob.map(|blob| blob.revision()), &after.to_blob(), 0) {
            Ok(()) => return Ok(result),
            Err(WriteError::Conflict) => {}
            Err(WriteError::Failed(error)) => return Err(fails(error.to_string())),
        }
    }
}

/// Notes that a login with this client was done.
pub(crate) fn proved(path: &Path, client: Option<&Client>) {
    if let Some(client) = client {
        // The login is stored; where this is not, the next one registers anew.
        let _ = change(Some(path), |kept, _| kept.proved(client));
    }
}

const DAMAGED: &str = "it holds no registrations; remove it, and the next login registers anew";
