//! The component that the tests misuse the embedding with: each of its deeds is named by a few words.
#![cfg(target_family = "wasm")]
#![allow(missing_docs, unsafe_code, clippy::all, reason = "bindings are generated here")]

use kraube::auth::store::{self, Lock, NotLocked};
use kraube::auth::tokens::{self, Options};
use kraube::auth::types::{StoreErrorKind, WriteError};

wit_bindgen::generate!({
    path: "wit",
    inline: "
        package test:guest;
        world guest {
            import kraube:auth/tokens@0.1.0;
            import kraube:auth/store@0.1.0;
            export run: func(deed: string, size: u64) -> result<string, string>;
        }
    ",
    world: "test:guest/guest",
    generate_all,
});

const PAGE: usize = 64 * 1024;

struct Component;

export!(Component);

impl Guest for Component {
    fn run(deed: String, size: u64) -> Result<String, String> {
        match deed.as_str() {
            // A copy stays in memory, so that whoever searches that finds something.
            "token" => token(size).inspect(|token| core::mem::forget(token.clone())),
            "token, trap" => {
                let _ = token(size);
                core::arch::wasm32::unreachable()
            }
            "token, spin" => {
                let _ = token(size);
                spin()
            }
            "reject" => {
                let value = token(0)?;
                tokens::reject(&value);
                Ok(value)
            }
            "reject filler" => {
                tokens::reject(&filler(size));
                Ok(String::new())
            }
            "memory" => memory(size as usize),
            "lock" => locked().map(|_| String::new()),
            "lock, forget" => {
                core::mem::forget(locked()?);
                Ok(String::new())
            }
            "lock, trap" => {
                let _lock = locked()?;
                core::arch::wasm32::unreachable()
            }
            "lock, spin" => {
                let _lock = locked()?;
                spin()
            }
            "lock twice" => {
                let _lock = locked()?;
                locked().map(|_| String::new())
            }
            "lock, lock for ever" => {
                let _lock = locked()?;
                store::acquire(u64::MAX, None).map(|_| String::new()).map_err(not_locked)
            }
            "lock for ever" => store::acquire(u64::MAX, None).map(|_| String::new()).map_err(not_locked),
            "write filler" => {
                let _lock = locked()?;
                write(filler(size).as_bytes(), 0)
            }
            "write, reserve" => {
                let _lock = locked()?;
                write(b"{}", size)
            }
            "write without lock" => write(b"{}", 0),
            "delete without lock" => store::delete(&revision(&[])).map(|()| String::new()).map_err(not_written),
            "delete filler" => {
                let _lock = locked()?;
                store::delete(&filler(size)).map(|()| String::new()).map_err(not_written)
            }
            "seen filler" => store::acquire(0, Some(&filler(size))).map(|_| String::new()).map_err(not_locked),
            "holds filler" => Ok(locked()?.holds(&filler(size)).to_string()),
            other => Err(format!("no such deed: {other}")),
        }
    }
}

/// All that is told of an error.
fn token(min_valid: u64) -> Result<String, String> {
    let token = tokens::get_token(Options { min_valid });
    token.map(|token| token.value).map_err(|error| format!("{error:?}"))
}

/// A page of this component's memory, from this place on, and the beginning of the next one.
fn memory(from: usize) -> Result<String, String> {
    let end = core::arch::wasm32::memory_size(0) * PAGE;
    let places = from.max(1)..end.min(from.saturating_add(PAGE + 64));
    if places.is_empty() {
        return Err("the end".into());
    }
    // SAFETY: these places are in the memory, and reading what others write to tears bytes at worst.
    let bytes = places.map(|at| unsafe { core::ptr::with_exposed_provenance::<u8>(at).read_volatile() });
    Ok(String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned())
}

fn locked() -> Result<Lock, String> {
    store::acquire(0, None).map_err(not_locked)
}

fn write(bytes: &[u8], reserve: u64) -> Result<String, String> {
    let stored = store::read().map_err(|error| kind(error.kind))?;
    let replaces = stored.map(|stored| revision(&stored));
    store::write(replaces.as_deref(), bytes, reserve).map(|()| String::new()).map_err(not_written)
}

fn revision(bytes: &[u8]) -> String {
    kraube_core::machine::Revision::of(bytes).to_string()
}

fn filler(size: u64) -> String {
    "x".repeat(size as usize)
}

fn spin() -> ! {
    loop {
        core::hint::black_box(());
    }
}

fn not_locked(reason: NotLocked) -> String {
    match reason {
        NotLocked::Changed => "changed".into(),
        NotLocked::TimedOut => "timed out".into(),
        NotLocked::Unsupported(error) => kind(error.kind),
    }
}

fn not_written(error: WriteError) -> String {
    match error {
        WriteError::Conflict => "conflict".into(),
        WriteError::Failed(error) => kind(error.kind),
    }
}

fn kind(kind: StoreErrorKind) -> String {
    format!("{kind:?}")
}
