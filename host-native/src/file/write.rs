//! Replacing the file as a whole, and removing it.
//!
//! The room for the next write lies under a name of its own (`.<name>.next`), because the room must be had before the
//! record is renamed, and a file that is renamed takes its blocks along. The next write fills that very file and
//! renames it: it needs no block, no inode and no directory entry. A kill leaves at most one file with secrets in it
//! (the room is empty as long as the other one exists); the next lock sweeps both.

use super::place::{Place, discard};
use super::{FileStore, failed, read, refused};
use crate::sys;
use kraube_core::machine::{Blob, Revision, StoreError, StoreErrorKind, WriteError};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

impl FileStore {
    pub(super) fn replace(&self, replaces: Option<Revision>, blob: &Blob, reserve: usize) -> Result<(), WriteError> {
        if blob.bytes().len() > Blob::MAX {
            let why = format_args!("would become larger than {} bytes", Blob::MAX);
            return Err(WriteError::Failed(refused(StoreErrorKind::TooLarge, &self.path, why)));
        }
        let place = self.prepare().map_err(WriteError::Failed)?;
        compare(&place, replaces)?;
        match reserve {
            0 => write_last(&place, replaces, blob)?,
            _ => write_and_reserve(&place, replaces, blob, reserve)?,
        }
        sys::sync_dir(&place.dir).map_err(|error| WriteError::Failed(failed("make durable", &place.dir, &error)))
    }

    pub(super) fn remove(&self, replaces: Revision) -> Result<(), WriteError> {
        let end = self.follow().map_err(WriteError::Failed)?;
        if end.meta.is_none() {
            return Err(WriteError::Conflict);
        }
        end.check_owner().map_err(WriteError::Failed)?;
        let place = Place::of(&end).map_err(WriteError::Failed)?;
        let fail = |error: io::Error| WriteError::Failed(failed("remove", &place.target, &error));
        end.check_replaceable(&fs::metadata(&place.dir).map_err(fail)?).map_err(WriteError::Failed)?;
        compare(&place, Some(replaces))?;
        fs::remove_file(&place.target).map_err(fail)?;
        place.sweep();
        sys::sync_dir(&place.dir).map_err(fail)
    }

    /// A durable write of a file that nobody reads.
    pub(super) fn try_write(&self) -> Result<(), StoreError> {
        let place = self.prepare()?;
        let path = &place.probe;
        let done = fresh(path)
            .and_then(|file| fill(file, &[0; 4096]))
            .map_err(|error| failed("write", path, &error))
            .and_then(|_| sys::sync_dir(&place.dir).map_err(|error| failed("make durable", &place.dir, &error)));
        discard(path);
        done
    }
}

/// Uses up the room that was set aside, and leaves nothing behind. Room that was not touched outlives a failure.
fn write_last(place: &Place, replaces: Option<Revision>, blob: &Blob) -> Result<(), WriteError> {
    let (done, used, other) = match reserved(&place.next) {
        Some(room) => (put(place, &place.next, room, replaces, blob), &place.next, &place.temp),
        None => (write_fresh(place, replaces, blob), &place.temp, &place.next),
    };
    discard(if done.is_ok() { other } else { used });
    done
}

fn write_and_reserve(place: &Place, replaces: Option<Revision>, blob: &Blob, reserve: usize) -> Result<(), WriteError> {
    let done = fresh(&place.next)
        .and_then(|room| set_aside(&room, reserve as u64))
        .map_err(|error| WriteError::Failed(failed("set room aside in", &place.next, &error)))
        .and_then(|()| write_fresh(place, replaces, blob));
    if done.is_err() {
        place.sweep();
    }
    done
}

fn write_fresh(place: &Place, replaces: Option<Revision>, blob: &Blob) -> Result<(), WriteError> {
    let file = fresh(&place.temp).map_err(|error| WriteError::Failed(failed("create", &place.temp, &error)))?;
    put(place, &place.temp, file, replaces, blob)
}

/// Fills the file at `path` and renames it onto the target. A foreign program that writes between the second
/// comparison and the rename is not noticed.
fn put(place: &Place, path: &Path, file: File, replaces: Option<Revision>, blob: &Blob) -> Result<(), WriteError> {
    let fail = |doing: &str, error: &io::Error| WriteError::Failed(failed(doing, path, error));
    let file = fill(file, blob.bytes()).map_err(|error| fail("write", &error))?;
    compare(place, replaces)?;
    // Where the lock file was deleted, a second holder may have put a file of its own under this name.
    if !sys::is_at(&file, path) {
        return Err(fail("keep", &io::Error::other("another process has replaced it")));
    }
    drop(file);
    sys::rename(path, &place.target).map_err(|error| fail("rename", &error))
}

fn compare(place: &Place, replaces: Option<Revision>) -> Result<(), WriteError> {
    match read::revision(&place.target) {
        Ok(stored) if stored == replaces => Ok(()),
        Ok(_) => Err(WriteError::Conflict),
        Err(error) => Err(WriteError::Failed(error)),
    }
}

/// Writes from the beginning, within the blocks that the file has, and makes it durable.
fn fill(mut file: File, bytes: &[u8]) -> io::Result<File> {
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)?;
    file.sync_all()?;
    Ok(file)
}

/// A new, empty file of ours, whatever was there.
fn fresh(path: &Path) -> io::Result<File> {
    for _ in 0..8 {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match sys::create_private(path) {
            // Another process (a probe, or the second of two holders) was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The file that was set aside for this write, if it is just what we would have created.
fn reserved(path: &Path) -> Option<File> {
    let file = sys::open_to_overwrite(path).ok()?;
    let meta = file.metadata().ok()?;
    let ours_alone = sys::is_ours(&meta) && sys::is_private(&meta) && !sys::has_other_names(path, &meta);
    (meta.is_file() && ours_alone).then_some(file)
}

fn set_aside(mut file: &File, bytes: u64) -> io::Result<()> {
    match sys::allocate(file, bytes) {
        Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported) => {
            io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut file)?;
            // Some file systems find out only now that they are full.
            file.sync_all()
        }
        other => other,
    }
}
