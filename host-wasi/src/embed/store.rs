//! The interface `kraube:auth/store` on a native store and its lock: what a component is lent that has the provider
//! inside.
//!
//! Whoever is lent a store sees the refresh token and can replace what is stored. It names no path: it has the one store
//! that the host put into the data of its wasmtime store. Its lock is released when it drops the handle, and with the
//! wasmtime store. What it has begun, a write above all, is done to its end when the component's call is dropped.

use super::convert;
use super::lent::{Held, LentStore};
use crate::bindings::kraube::auth::store::NotLocked as WitNotLocked;
use crate::bindings::types::{StoreError, WriteError};
use kraube_core::machine::Blob;
use std::result::Result as Std;
use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut};

const INTERFACE: &str = "kraube:auth/store@0.1.0";

/// The resource `lock`, as it is named in the types of components.
#[derive(Debug)]
pub enum Lock {}

type Locked = Std<Resource<Lock>, WitNotLocked>;
type Read = Std<Option<Vec<u8>>, StoreError>;

/// For hosts that call components without async. Waiting for the lock blocks the thread that the component runs on, for a
/// minute at most.
///
/// # Errors
/// The linker has the interface already.
pub fn add_to_linker<T: 'static>(linker: &mut Linker<T>, lent: fn(&mut T) -> &mut LentStore) -> Result<()> {
    let mut instance = linker.instance(INTERFACE)?;
    add_lock(&mut instance, lent)?;
    instance.func_wrap("[method]lock.holds", move |mut store, (lock, revision): (Resource<Lock>, String)| {
        let revision = convert::revision(&revision)?;
        let lent = lent(store.data_mut());
        let held = lent.get(lock.rep()).ok_or_else(no_lock)?;
        Ok((lent.place().holds(&held, revision),))
    })?;
    instance.func_wrap("acquire", move |mut store, (wait, seen): (u64, Option<String>)| {
        let seen = convert::revision_if(seen)?;
        let locked = lent(store.data_mut()).place().acquire(wait, seen);
        Ok((locked.map(|held| keep(&mut store, lent, held)).map_err(convert::not_locked),))
    })?;
    instance.func_wrap("read", move |mut store, (): ()| Ok((read(lent(store.data_mut()).place().read()),)))?;
    instance.func_wrap("write", move |mut store, (replaces, new, reserve): (Option<String>, Vec<u8>, u64)| {
        let (replaces, blob) = (convert::revision_if(replaces)?, Blob::new(new));
        let wrote = lent(store.data_mut()).place().write(replaces, &blob, reserve)?;
        Ok((wrote.map_err(convert::write_error),))
    })?;
    instance.func_wrap("delete", move |mut store, (replaces,): (String,)| {
        let replaces = convert::revision(&replaces)?;
        Ok((lent(store.data_mut()).place().delete(replaces)?.map_err(convert::write_error),))
    })?;
    instance.func_wrap("probe", move |mut store, (): ()| {
        Ok((lent(store.data_mut()).place().probe().map_err(convert::told),))
    })
}

/// For hosts that call components with async. What blocks is done on a thread of the lent store, and each wait for the lock on
/// one of its own: one that was given up ends by itself, within a minute, and keeps nothing waiting.
///
/// # Errors
/// The linker has the interface already.
pub fn add_to_linker_async<T: Send + 'static>(
    linker: &mut Linker<T>,
    lent: fn(&mut T) -> &mut LentStore,
) -> Result<()> {
    let mut instance = linker.instance(INTERFACE)?;
    add_lock(&mut instance, lent)?;
    instance.func_wrap_async("[method]lock.holds", move |mut store, (lock, revision): (Resource<Lock>, String)| {
        Box::new(async move {
            let revision = convert::revision(&revision)?;
            let lent = lent(store.data_mut());
            let held = lent.get(lock.rep()).ok_or_else(no_lock)?;
            Ok((lent.on_thread(move |place| place.holds(&held, revision))?.await?,))
        })
    })?;
    instance.func_wrap_async("acquire", move |mut store, (wait, seen): (u64, Option<String>)| {
        Box::new(async move {
            let seen = convert::revision_if(seen)?;
            let locked = lent(store.data_mut()).acquire_on_thread(wait, seen)?.await?;
            let locked: Locked = locked.map(|held| keep(&mut store, lent, held)).map_err(convert::not_locked);
            Ok((locked,))
        })
    })?;
    instance.func_wrap_async("read", move |mut store, (): ()| {
        Box::new(async move {
            let stored = lent(store.data_mut()).on_thread(|place| place.read())?.await?;
            Ok((read(stored),))
        })
    })?;
    instance.func_wrap_async("write", move |mut store, (replaces, new, reserve): (Option<String>, Vec<u8>, u64)| {
        Box::new(async move {
            let (replaces, blob) = (convert::revision_if(replaces)?, Blob::new(new));
            let write = lent(store.data_mut()).on_thread(move |place| place.write(replaces, &blob, reserve))?;
            let wrote: Std<(), WriteError> = write.await??.map_err(convert::write_error);
            Ok((wrote,))
        })
    })?;
    instance.func_wrap_async("delete", move |mut store, (replaces,): (String,)| {
        Box::new(async move {
            let replaces = convert::revision(&replaces)?;
            let deleted = lent(store.data_mut()).on_thread(move |place| place.delete(replaces))?.await??;
            Ok((deleted.map_err(convert::write_error),))
        })
    })?;
    instance.func_wrap_async("probe", move |mut store, (): ()| {
        Box::new(async move {
            let probed = lent(store.data_mut()).on_thread(|place| place.probe())?.await?;
            Ok((probed.map_err(convert::told),))
        })
    })
}

/// The resource: dropping it releases the lock.
fn add_lock<T: 'static>(instance: &mut LinkerInstance<'_, T>, lent: fn(&mut T) -> &mut LentStore) -> Result<()> {
    instance.resource("lock", ResourceType::host::<Lock>(), move |mut store, handle| {
        lent(store.data_mut()).drop_lock(handle);
        Ok(())
    })
}

fn keep<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    lent: fn(&mut T) -> &mut LentStore,
    held: Held,
) -> Resource<Lock> {
    Resource::new_own(lent(store.data_mut()).keep(held))
}

fn read(stored: Std<Option<Blob>, kraube_core::machine::StoreError>) -> Read {
    stored.map(|blob| blob.map(|blob| blob.bytes().to_vec())).map_err(convert::told)
}

fn no_lock() -> wasmtime::Error {
    wasmtime::format_err!("this lock was released by the host")
}
