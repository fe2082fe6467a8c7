//! A store in one file. This module says what the file store is; beside it: where the file is and whether it can be
//! replaced (`place`), the lock (`lock`), reading (`read`), writing (`write`).

mod examine;
mod lock;
mod place;
mod read;
mod write;

use crate::store::{Guard, NotLocked, Store};
use kraube_core::machine::{Blob, Revision, StoreError, StoreErrorKind, WriteError};
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, Weak};
use std::time::Duration;

/// Keeps the credentials in one file of mode 0600, with a lock file beside it (`<file>.lock`, never removed).
///
/// The path may be a symbolic link, also one that dangles: what is read, locked and replaced is its target, and the
/// link stays. Every operation looks the path up anew; but while a lock of this store is held, all of them stay with
/// the file that was locked, wherever the link leads meanwhile, and [`holds`](Store::holds) says no once it leads
/// elsewhere. Reading works wherever the file can be read; locking, writing and deleting need a directory that takes
/// new files, and a file of ours with one name that is not mounted by itself.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    warned_of_file: AtomicBool,
    warned_of_directory: AtomicBool,
    /// Where the path led when that could be told last.
    known: Mutex<Option<PathBuf>>,
    /// What was locked last, for as long as that lock is held.
    held: Mutex<Weak<PathBuf>>,
}

impl FileStore {
    /// Takes the path, relative to the present working directory. Nothing is opened or created, and nothing has to
    /// exist.
    ///
    /// # Errors
    /// The path names no file, or the working directory is gone.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        if place::file_name(&path).is_none() {
            return Err(refused(StoreErrorKind::Irreplaceable, &path, "names no file; give the path of a file"));
        }
        let path = std::path::absolute(&path).map_err(|error| failed("find", &path, &error))?;
        Ok(Self {
            path,
            warned_of_file: AtomicBool::new(false),
            warned_of_directory: AtomicBool::new(false),
            known: Mutex::new(None),
            held: Mutex::new(Weak::new()),
        })
    }

    /// The path, absolute, with links unresolved.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store for FileStore {
    fn lock(&self, wait: Duration, seen: Option<Revision>) -> Result<Guard, NotLocked> {
        self.acquire(wait, seen)
    }

    fn read(&self) -> Result<Option<Blob>, StoreError> {
        self.load()
    }

    fn write(&self, replaces: Option<Revision>, blob: &Blob, reserve: usize) -> Result<(), WriteError> {
        self.replace(replaces, blob, reserve)
    }

    fn delete(&self, replaces: Revision) -> Result<(), WriteError> {
        self.remove(replaces)
    }

    fn holds(&self, guard: &Guard, revision: Revision) -> bool {
        self.still_locked(guard) && matches!(self.load(), Ok(Some(blob)) if blob.revision() == revision)
    }

    fn key(&self) -> String {
        let path = self.canonical();
        path.to_str().map_or_else(|| format!("{path:?}"), str::to_owned)
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.try_out()
    }
}

/// What the system said, sorted by what people can do about it.
fn failed(doing: &str, path: &Path, error: &io::Error) -> StoreError {
    use StoreErrorKind as Kind;
    use io::ErrorKind as System;
    let (kind, advice) = if crate::sys::is_link_error(error) {
        (Kind::Irreplaceable, "; make it a link to a file, or no link")
    } else {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the standard library may add kinds")]
        match error.kind() {
            System::StorageFull | System::QuotaExceeded => (Kind::Full, "; make room on that disk"),
            System::ReadOnlyFilesystem => (Kind::ReadOnly, "; mount the directory so that it can be written to"),
            System::PermissionDenied => (Kind::Denied, "; give this user the right to, or choose another path"),
            System::ResourceBusy => (Kind::Irreplaceable, "; mount the directory, not the single file"),
            System::IsADirectory => (Kind::Irreplaceable, "; remove that directory, or choose another path"),
            System::NotADirectory => (Kind::Io, "; choose another path"),
            _ => (Kind::Io, ""),
        }
    };
    StoreError { kind, detail: format!("cannot {doing} {}: {error}{advice}", path.display()) }
}

fn refused(kind: StoreErrorKind, path: &Path, why: impl Display) -> StoreError {
    StoreError { kind, detail: format!("{} {why}", path.display()) }
}
