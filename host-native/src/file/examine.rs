//! What can be told of the place of the file by looking, and by trying on scratch files beside it, which are removed.

use super::place::{End, Place, discard};
use super::{FileStore, failed, refused};
use crate::sys;
use kraube_core::doctor::{Entry, LockFile, Locks};
use kraube_core::machine::{StoreError, StoreErrorKind};
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What was seen.
pub(crate) struct Seen {
    pub(crate) target: Option<String>,
    pub(crate) file: Option<Entry>,
    pub(crate) directory: Option<Entry>,
    pub(crate) irreplaceable: Option<String>,
    pub(crate) file_system: Option<String>,
    pub(crate) locks: Locks,
    pub(crate) lock_file: LockFile,
    pub(crate) write: Result<(), String>,
}

impl FileStore {
    pub(crate) fn examine(&self, locks: impl FnOnce(&Path) -> Locks) -> Seen {
        let end = self.follow();
        let path = end.as_ref().map_or(self.path.clone(), |end| end.path.clone());
        // What does not exist yet is not created: its first directory that exists will hold it.
        let near = path.ancestors().skip(1).find(|dir| dir.is_dir()).unwrap_or(&path);
        let near = near.canonicalize().unwrap_or_else(|_| near.to_owned());
        let entry = |meta: &Metadata| Entry { ours: sys::is_ours(meta), mode: sys::mode(meta) };
        let lock_file = end.as_ref().map_or(LockFile::Missing, lock_file);
        let irreplaceable = end.as_ref().map_err(|error| error.detail.clone()).and_then(replaceable);
        Seen {
            target: (path != self.path).then(|| path.display().to_string()),
            file: end.as_ref().ok().and_then(|end| end.meta.as_ref()).map(entry),
            directory: path.parent().and_then(|dir| fs::metadata(dir).ok()).as_ref().map(entry),
            irreplaceable: irreplaceable.err(),
            file_system: sys::file_system(&near),
            locks: with_scratch(&near, "lock", |scratch| Ok(locks(scratch)))
                .unwrap_or_else(|error| Locks::Failed(error.detail)),
            lock_file,
            write: with_scratch(&near, "write", |scratch| try_write(&near, scratch)).map_err(|error| error.detail),
        }
    }
}

fn replaceable(end: &End) -> Result<(), String> {
    let checked = end.check_owner().and_then(|()| match end.path.parent().and_then(|dir| fs::metadata(dir).ok()) {
        Some(dir) => Place::of(end).and_then(|_| end.check_replaceable(&dir)),
        None => Ok(()),
    });
    checked.map_err(|error| error.detail)
}

/// The lock file, which is neither created nor locked for this.
fn lock_file(end: &End) -> LockFile {
    let Ok(Place { lock, .. }) = Place::of(end) else { return LockFile::Missing };
    let unusable = |error: StoreError| LockFile::Unusable(error.detail);
    match fs::symlink_metadata(&lock) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => LockFile::Missing,
        Err(error) => unusable(failed("look at", &lock, &error)),
        Ok(meta) if !meta.is_file() => unusable(refused(StoreErrorKind::Irreplaceable, &lock, "is not a regular file")),
        // One of ours is given the mode that it needs.
        Ok(meta) if !sys::is_ours(&meta) => match sys::open_to_overwrite(&lock) {
            Ok(_) => sys::lock_holder(&lock, &meta),
            Err(error) => unusable(failed("open the lock file", &lock, &error)),
        },
        Ok(meta) => sys::lock_holder(&lock, &meta),
    }
}

/// A scratch name of this process, which nothing else uses, and nothing is left of.
fn with_scratch<T>(dir: &Path, what: &str, act: impl FnOnce(&Path) -> Result<T, StoreError>) -> Result<T, StoreError> {
    let scratch = dir.join(format!(".kraube-doctor-{}.{what}", std::process::id()));
    let done = act(&scratch);
    discard(&scratch);
    done
}

fn try_write(dir: &Path, scratch: &Path) -> Result<(), StoreError> {
    let renamed: PathBuf = scratch.with_extension("renamed");
    let write = || -> io::Result<()> {
        let mut file = sys::create_private(scratch)?;
        file.write_all(&[0; 4096])?;
        file.sync_all()
    };
    write().map_err(|error| failed("write", scratch, &error))?;
    let done = sys::rename(scratch, &renamed).map_err(|error| failed("rename", scratch, &error));
    discard(&renamed);
    done.and_then(|()| sys::sync_dir(dir).map_err(|error| failed("make durable", dir, &error)))
}
