//! A store as it is lent to the components of one wasmtime store: the native store, the locks that they hold, and for
//! asynchronous hosts the threads that block in their place.

use kraube::store::{Guard, NotLocked, Store};
use kraube_core::machine::{Blob, Revision, StoreError, StoreErrorKind, WriteError};
use kraube_core::policy::Policy;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A store that is lent to the components of one wasmtime store, in whose data it is kept. A lock that they hold is
/// released when they drop it, and at the latest when this is dropped, as it is with the wasmtime store: after a trap, drop
/// that. (An instance that trapped cannot be entered again in any case.)
///
/// Whoever is lent a store sees the whole login. An application component is given [`tokens`](crate::tokens) instead.
pub struct LentStore {
    store: Arc<dyn Store>,
    held: BTreeMap<u32, Held>,
    next: u32,
    thread: Option<mpsc::Sender<Job>>,
}

/// A held lock. Work that has begun under it keeps it until it is done.
#[derive(Clone)]
pub(super) struct Held(Arc<Mutex<Guard>>);

/// What comes of work on the thread.
pub(super) type Answer<R> = Pin<Box<dyn Future<Output = wasmtime::Result<R>> + Send>>;

type Job = Box<dyn FnOnce() + Send>;

impl LentStore {
    /// Lends this one.
    pub fn new(store: impl Store) -> Self {
        Self { store: Arc::new(store), held: BTreeMap::new(), next: 0, thread: None }
    }

    /// Releases every lock that is held: for hosts that keep a wasmtime store although a component in it trapped.
    pub fn release(&mut self) {
        self.held.clear();
    }

    pub(super) fn place(&self) -> Place {
        Place { store: Arc::clone(&self.store), held: self.held.values().cloned().collect() }
    }

    /// Makes a handle of a lock.
    pub(super) fn keep(&mut self, held: Held) -> u32 {
        // A handle that is in use for four thousand million locks is skipped.
        while self.held.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let handle = self.next;
        self.next = self.next.wrapping_add(1);
        self.held.insert(handle, held);
        handle
    }

    pub(super) fn get(&self, handle: u32) -> Option<Held> {
        self.held.get(&handle).cloned()
    }

    pub(super) fn drop_lock(&mut self, handle: u32) {
        self.held.remove(&handle);
    }

    /// Waits for the lock on a thread of its own. The wait may outlive the call, so no other work waits for it, and it keeps
    /// none of the locks: it could not get one that it held itself.
    pub(super) fn acquire_on_thread(
        &self,
        wait: u64,
        seen: Option<Revision>,
    ) -> wasmtime::Result<Answer<Result<Held, NotLocked>>> {
        let place = Place { store: Arc::clone(&self.store), held: Vec::new() };
        let (job, answer) = job(place, move |place| place.acquire(wait, seen));
        std::thread::Builder::new().name("kraube-lock".into()).spawn(job)?;
        Ok(answer)
    }

    /// Does the work on the thread of this store. It is done to its end, also when the future is dropped.
    pub(super) fn on_thread<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Place) -> R + Send + 'static,
    ) -> wasmtime::Result<Answer<R>> {
        let (job, answer) = job(self.place(), work);
        let thread = match &self.thread {
            Some(thread) => thread,
            None => {
                let (jobs, waiting) = mpsc::channel::<Job>();
                let serve = move || waiting.into_iter().for_each(|job| job());
                std::thread::Builder::new().name("kraube-store".into()).spawn(serve)?;
                self.thread.insert(jobs)
            }
        };
        thread.send(job).map_err(|_| gone())?;
        Ok(answer)
    }
}

/// The work as a thread is given it, and what comes of it.
fn job<R: Send + 'static>(place: Place, work: impl FnOnce(&Place) -> R + Send + 'static) -> (Job, Answer<R>) {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let job = move || drop(answer.send(work(&place)));
    (Box::new(job), Box::pin(async move { answered.await.map_err(|_| gone()) }))
}

fn gone() -> wasmtime::Error {
    wasmtime::format_err!("the thread of the lent store has ended")
}

/// The store and the locks under which something is done, so that they outlive it.
pub(super) struct Place {
    store: Arc<dyn Store>,
    held: Vec<Held>,
}

impl Place {
    /// A component cannot wait for longer than a run of the machines would.
    pub(super) fn acquire(&self, wait: u64, seen: Option<Revision>) -> Result<Held, NotLocked> {
        let wait = Duration::from_millis(wait.min(Policy::default().deadline.0));
        Ok(Held(Arc::new(Mutex::new(self.store.lock(wait, seen)?))))
    }

    pub(super) fn read(&self) -> Result<Option<Blob>, StoreError> {
        self.store.read()
    }

    /// A component that changes what is stored without holding the lock has a bug; it traps.
    pub(super) fn write(
        &self,
        replaces: Option<Revision>,
        blob: &Blob,
        reserve: u64,
    ) -> wasmtime::Result<Result<(), WriteError>> {
        self.must_hold()?;
        let reserve = usize::try_from(reserve).ok().filter(|reserve| *reserve <= Blob::MAX);
        let Some(reserve) = reserve else {
            let detail = format!("no more than {} bytes are set aside", Blob::MAX);
            return Ok(Err(WriteError::Failed(StoreError { kind: StoreErrorKind::TooLarge, detail })));
        };
        Ok(self.store.write(replaces, blob, reserve))
    }

    pub(super) fn delete(&self, replaces: Revision) -> wasmtime::Result<Result<(), WriteError>> {
        self.must_hold()?;
        Ok(self.store.delete(replaces))
    }

    fn must_hold(&self) -> wasmtime::Result<()> {
        if self.held.is_empty() { Err(wasmtime::format_err!("the component does not hold the lock")) } else { Ok(()) }
    }

    pub(super) fn holds(&self, held: &Held, revision: Revision) -> bool {
        self.store.holds(&held.0.lock().unwrap_or_else(PoisonError::into_inner), revision)
    }

    pub(super) fn probe(&self) -> Result<(), StoreError> {
        self.store.probe()
    }
}

impl std::fmt::Debug for LentStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LentStore").field("locks", &self.held.len()).finish_non_exhaustive()
    }
}
