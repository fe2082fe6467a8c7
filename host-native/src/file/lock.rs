//! The lock: a kernel lock on a file of its own, asked for again and again, never waited for in the kernel, so that
//! every wait has an end and can notice that somebody else has done the work.

use super::place::{Place, follow};
use super::{FileStore, failed, read, refused};
use crate::store::{Guard, NotLocked};
use crate::sys;
use fs4::{FileExt, TryLockError};
use kraube_core::machine::{Revision, StoreError, StoreErrorKind};
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The open lock file. Closing it releases the lock; an explicit unlock would also release it for the parent of a
/// process that was forked while it was held.
struct Held {
    /// Keeps the store with this file. Declared first, so that it ends before the lock does.
    _target: Arc<PathBuf>,
    file: File,
}

enum Try {
    Held,
    /// Somebody else has it.
    Busy,
    /// We have it, and the path names another file by now: whoever comes next locks that one.
    Stale,
}

impl FileStore {
    pub(super) fn acquire(&self, wait: Duration, seen: Option<Revision>) -> Result<Guard, NotLocked> {
        let start = Instant::now();
        let mut pauses = Pauses::new();
        let mut look = None;
        let mut open: Option<(Place, File)> = None;
        let mut stale_tries = 0;
        loop {
            if open.is_none() {
                open = self.open_lock().map_err(NotLocked::Unsupported)?;
            }
            if let Some((place, file)) = open.take() {
                match self.try_lock(&place, &file).map_err(NotLocked::Unsupported)? {
                    Try::Held => {
                        if let Err(error) = sys::touch(&file) {
                            tracing::debug!(%error, "cannot touch the lock file");
                        }
                        place.sweep();
                        return Ok(Guard::new(Held { _target: self.keep(place.target), file }));
                    }
                    Try::Busy => open = Some((place, file)),
                    Try::Stale if stale_tries < 8 => {
                        stale_tries += 1;
                        continue;
                    }
                    Try::Stale => {}
                }
            }
            if let Some(seen) = seen
                && self.differs(seen, &mut look)
            {
                return Err(NotLocked::Changed);
            }
            let left = wait.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(NotLocked::TimedOut);
            }
            std::thread::sleep(pauses.next().min(left));
        }
    }

    pub(super) fn still_locked(&self, guard: &Guard) -> bool {
        guard.get::<Held>().is_some_and(|held| self.is_current(&held.file))
    }

    pub(super) fn try_out(&self) -> Result<(), StoreError> {
        if let Some((place, file)) = self.open_lock()? {
            // Busy is an answer too: locks work here.
            self.try_lock(&place, &file)?;
        }
        self.try_write()
    }

    /// `None` where it may work in a moment.
    fn open_lock(&self) -> Result<Option<(Place, File)>, StoreError> {
        let place = self.prepare()?;
        let file = match sys::open_lock(&place.lock) {
            Ok(file) => file,
            Err(error) if sys::is_passing(&error) => return Ok(None),
            Err(error) => return Err(failed("open the lock file", &place.lock, &error)),
        };
        let meta = file.metadata().map_err(|error| failed("look at", &place.lock, &error))?;
        if !meta.is_file() {
            return Err(refused(StoreErrorKind::Irreplaceable, &place.lock, "is not a regular file; remove it"));
        }
        Ok(Some((place, file)))
    }

    fn try_lock(&self, place: &Place, file: &File) -> Result<Try, StoreError> {
        // Spelled out: the method of the same name in the standard library would win silently.
        match FileExt::try_lock(file) {
            Ok(()) if self.is_current(file) => Ok(Try::Held),
            Ok(()) => Ok(Try::Stale),
            Err(TryLockError::WouldBlock) => Ok(Try::Busy),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => Ok(Try::Busy),
            Err(TryLockError::Error(error)) => Err(no_locks(&place.lock, &error)),
        }
    }

    /// Whether this is the file that others would lock now: links are looked up anew as well.
    fn is_current(&self, file: &File) -> bool {
        follow(&self.path).and_then(|end| Place::of(&end)).is_ok_and(|place| sys::is_at(file, &place.lock))
    }

    /// Whether something else than `seen` is stored. Reads only where the file looks other than the last time, which
    /// is why the look comes before the reading.
    fn differs(&self, seen: Revision, last: &mut Option<Option<sys::Look>>) -> bool {
        let end = self.follow();
        let look = end.as_ref().ok().and_then(|end| end.meta.as_ref()).map(sys::Look::of);
        if last.as_ref() == Some(&look) {
            return false;
        }
        *last = Some(look);
        let now = end.and_then(|end| read::revision(&end.path));
        matches!(now, Ok(revision) if revision != Some(seen))
    }
}

fn no_locks(path: &Path, error: &io::Error) -> StoreError {
    let detail = format!("cannot lock {}: {error}; keep the credentials on a file system with locks", path.display());
    StoreError { kind: failed("lock", path, error).kind, detail }
}

/// Pauses between tries: from 1 ms to 10 ms, each shortened by up to a half so that waiters do not march in step.
struct Pauses {
    longest: u64,
    random: RandomState,
    count: u64,
}

impl Pauses {
    fn new() -> Self {
        Self { longest: 1000, random: RandomState::new(), count: 0 }
    }

    fn next(&mut self) -> Duration {
        self.count += 1;
        let mut hasher = self.random.build_hasher();
        hasher.write_u64(self.count);
        let half = self.longest / 2;
        let pause = self.longest - hasher.finish() % (half + 1);
        self.longest = (self.longest * 3 / 2).min(10_000);
        Duration::from_micros(pause)
    }
}
