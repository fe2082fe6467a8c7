//! Where the file really is, and whether it is one that kraube may lock and replace.

use super::{FileStore, failed, refused};
use crate::sys;
use kraube_core::machine::{StoreError, StoreErrorKind};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

const MAX_LINKS: usize = 16;

/// The end of a chain of symbolic links: no link itself.
pub(super) struct End {
    pub(super) path: PathBuf,
    /// `None` where nothing is there (yet).
    pub(super) meta: Option<Metadata>,
    foreign_link: Option<PathBuf>,
}

/// The canonical paths of the file and of what lies beside it. Fixed names: only the holder of the lock uses them, so
/// there is never more than one of each.
pub(super) struct Place {
    pub(super) dir: PathBuf,
    pub(super) target: PathBuf,
    /// The lock file.
    pub(super) lock: PathBuf,
    /// The new content, until it is renamed onto the target.
    pub(super) temp: PathBuf,
    /// The room set aside for the next write.
    pub(super) next: PathBuf,
    /// What [`probe`](crate::store::Store::probe) writes. It holds no secret and is not guarded by the lock.
    pub(super) probe: PathBuf,
}

impl Place {
    /// The directory of `end` must exist.
    pub(super) fn of(end: &End) -> Result<Self, StoreError> {
        let (dir, name) = parts(&end.path)?;
        let dir = dir.canonicalize().map_err(|error| failed("find", dir, &error))?;
        let beside = |before: &str, after: &str| {
            let mut file = OsString::from(before);
            file.push(name);
            file.push(after);
            dir.join(file)
        };
        Ok(Self {
            target: dir.join(name),
            lock: beside("", ".lock"),
            temp: beside(".", ".tmp"),
            next: beside(".", ".next"),
            probe: beside(".", ".probe"),
            dir,
        })
    }

    /// Removes what a holder that was killed left behind.
    pub(super) fn sweep(&self) {
        for path in [&self.temp, &self.next, &self.probe] {
            discard(path);
        }
    }
}

/// Follows the links of the last component. The kernel follows those before it.
pub(super) fn follow(start: &Path) -> Result<End, StoreError> {
    let mut path = start.to_owned();
    let mut foreign_link = None;
    for _ in 0..=MAX_LINKS {
        let meta = match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_symlink() => meta,
            Ok(meta) => return Ok(End { path, meta: Some(meta), foreign_link }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(End { path, meta: None, foreign_link });
            }
            Err(error) => return Err(failed("look at", &path, &error)),
        };
        if !sys::is_ours(&meta) {
            foreign_link = Some(path.clone());
        }
        match fs::read_link(&path) {
            Ok(link) => path = parts(&path)?.0.join(link),
            // Replaced by a file since, or gone.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {}
            Err(error) => return Err(failed("read the link", &path, &error)),
        }
    }
    Err(refused(
        StoreErrorKind::Irreplaceable,
        start,
        format_args!("is a symbolic link that runs in a circle, or over more than {MAX_LINKS} links; mend the link"),
    ))
}

impl FileStore {
    /// Where the path leads; while the lock is held, what was locked, for as long as something is there: a file that is
    /// moved meanwhile is looked for anew, lest what is to be stored in it be lost.
    pub(super) fn follow(&self) -> Result<End, StoreError> {
        match self.held().map(|held| follow(&held)).transpose()? {
            Some(end) if end.meta.is_some() => Ok(end),
            _ => follow(&self.path),
        }
    }

    pub(super) fn keep(&self, target: PathBuf) -> Arc<PathBuf> {
        let target = Arc::new(target);
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&target);
        target
    }

    fn held(&self) -> Option<PathBuf> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).upgrade().map(|held| PathBuf::clone(&held))
    }

    /// Checks everything that a lock and a write need, before anything is created; then creates the directory.
    pub(super) fn prepare(&self) -> Result<Place, StoreError> {
        let end = self.follow()?;
        end.check_owner()?;
        let (dir, _) = parts(&end.path)?;
        create_dirs(dir).map_err(|error| failed("create the directory", dir, &error))?;
        let place = Place::of(&end)?;
        let dir = fs::metadata(&place.dir).map_err(|error| failed("look at", &place.dir, &error))?;
        if sys::is_open_to_others(&dir) && !self.warned_of_directory.swap(true, Ordering::Relaxed) {
            tracing::warn!(directory = %place.dir.display(), "other users can replace the credentials in this directory");
        }
        end.check_replaceable(&dir)?;
        Ok(place)
    }

    /// The path that identifies the file, also where not all of its directories exist yet: what this process could not
    /// store yet is kept under it, with the lock. So it stays while the lock is held, and where it cannot be told, as
    /// while a disk fails.
    pub(super) fn canonical(&self) -> PathBuf {
        if let Some(held) = self.held() {
            return held;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = self.resolve() {
            *known = Some(path);
        }
        known.clone().unwrap_or_else(|| self.path.clone())
    }

    fn resolve(&self) -> Option<PathBuf> {
        let end = self.follow().ok()?.path;
        for known in end.ancestors().skip(1) {
            match known.canonicalize() {
                Ok(real) => return Some(real.join(end.strip_prefix(known).ok()?)),
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(_) => return None,
            }
        }
        Some(end)
    }
}

impl End {
    /// One `sudo` over another user's file would leave a lock file, or credentials, that only root can open.
    pub(super) fn check_owner(&self) -> Result<(), StoreError> {
        let foreign_file = self.meta.as_ref().is_some_and(|meta| !sys::is_ours(meta)).then_some(&self.path);
        match self.foreign_link.as_ref().or(foreign_file) {
            None => Ok(()),
            Some(path) => Err(refused(
                StoreErrorKind::NotOurs,
                path,
                "belongs to another user; run this as that user, or choose another path",
            )),
        }
    }

    pub(super) fn check_replaceable(&self, dir: &Metadata) -> Result<(), StoreError> {
        let Some(meta) = &self.meta else { return Ok(()) };
        let why = if !meta.is_file() {
            irregular(meta)
        } else if sys::has_other_names(&self.path, meta) {
            "is a hard link, and its other names would keep the old credentials; make it a symbolic link"
        } else if sys::is_mounted(&self.path, meta, dir) {
            "is mounted as a single file, which cannot be locked or replaced; mount its directory"
        } else {
            return Ok(());
        };
        Err(refused(StoreErrorKind::Irreplaceable, &self.path, why))
    }
}

/// Why no credentials are kept in this, which is no regular file.
pub(super) fn irregular(meta: &Metadata) -> &'static str {
    match meta.is_dir() {
        true => "is a directory; give the path of a file",
        false => "is not a regular file; remove it, or choose another path",
    }
}

/// Removes a file beside the target, if it is there. What cannot be removed is found when its name is needed.
pub(super) fn discard(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(path = %path.display(), %error, "cannot remove");
    }
}

/// The last name, where it can be that of a file: `name/` and `name/.` are directories to the system.
pub(super) fn file_name(path: &Path) -> Option<&OsStr> {
    path.file_name().filter(|name| path.as_os_str().as_encoded_bytes().ends_with(name.as_encoded_bytes()))
}

fn parts(path: &Path) -> Result<(&Path, &OsStr), StoreError> {
    match (path.parent(), file_name(path)) {
        (Some(dir), Some(name)) => Ok((dir, name)),
        _ => Err(refused(StoreErrorKind::Irreplaceable, path, "names no file; mend the link")),
    }
}

/// Creates what is missing, each for us alone, and makes it durable. What exists is left as it is.
fn create_dirs(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().unwrap_or(dir);
    if parent != dir {
        create_dirs(parent)?;
    }
    match sys::create_private_dir(dir) {
        Ok(()) => sys::sync_dir(parent),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}
