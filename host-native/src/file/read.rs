//! Reading: no lock, no cached file, nothing that can block.

use super::place::irregular;
use super::{FileStore, failed, refused};
use crate::sys;
use kraube_core::machine::{Blob, Revision, StoreError, StoreErrorKind};
use std::fs::Metadata;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::Ordering;

impl FileStore {
    pub(super) fn load(&self) -> Result<Option<Blob>, StoreError> {
        let end = self.follow()?;
        match &end.meta {
            None => Ok(None),
            // Not even opened: opening a device can do something.
            Some(meta) if !meta.is_file() => Err(not_a_file(&end.path, meta)),
            Some(meta) => {
                if sys::is_wide(meta) && !self.warned_of_file.swap(true, Ordering::Relaxed) {
                    tracing::warn!(path = %end.path.display(), "other users may read the credentials; the next write ends that");
                }
                load_file(&end.path)
            }
        }
    }
}

/// The revision of what is at this very path.
pub(super) fn revision(path: &Path) -> Result<Option<Revision>, StoreError> {
    Ok(load_file(path)?.map(|blob| blob.revision()))
}

fn load_file(path: &Path) -> Result<Option<Blob>, StoreError> {
    let fail = |error: &io::Error| failed("read", path, error);
    let file = match sys::open_to_read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(&error)),
    };
    let meta = file.metadata().map_err(|error| fail(&error))?;
    if !meta.is_file() {
        return Err(not_a_file(path, &meta));
    }
    // Room for all of it at once: a buffer that grows leaves copies of secrets behind.
    let size = usize::try_from(meta.len()).unwrap_or(usize::MAX).min(Blob::MAX);
    let mut bytes = Vec::with_capacity(size + 1);
    let read = file.take(Blob::MAX as u64 + 1).read_to_end(&mut bytes);
    let blob = Blob::new(bytes);
    read.map_err(|error| fail(&error))?;
    if blob.bytes().len() > Blob::MAX {
        let why = format_args!("is larger than {} bytes, so it holds no credentials; move it away", Blob::MAX);
        return Err(refused(StoreErrorKind::TooLarge, path, why));
    }
    Ok(Some(blob))
}

fn not_a_file(path: &Path, meta: &Metadata) -> StoreError {
    refused(StoreErrorKind::Irreplaceable, path, irregular(meta))
}
