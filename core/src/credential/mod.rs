//! The credential machines. All rules about the lock, the mark, retries and what is written when are transitions in
//! this folder, and nowhere else: [`Obtain`] gives a living token, [`Install`] stores a new login, [`Forget`] revokes
//! and deletes one. They exclude each other through the one lock, so they are to be read together.

mod forget;
mod install;
mod obtain;
mod outcome;

pub use forget::{Forget, Forgotten, Revoked};
pub use install::{Install, InstallError, Installed, NewLogin};
pub use obtain::{Baseline, Obtain, Wanted};
use outcome::Replaces;
pub use outcome::{Cause, Failure, LoginReason, Outcome, Ready, Settle, Unsaved, Via};

use crate::machine::{Blob, Revision, StoreError};
use crate::record::{Record, RecordError};
use alloc::string::ToString;

/// What a read has shown.
enum Found {
    /// A record with at least one token.
    Record(Stored),
    /// No bytes, or a record whose tokens are blank: logged out. The revision is that of the blank record.
    Nothing(Option<Stored>),
    /// Bytes that are no record.
    Torn { revision: Revision, error: RecordError },
    /// A store that cannot be read.
    Unreadable(StoreError),
}

/// A record and the revision that it was read or written as.
#[cfg_attr(feature = "model", derive(Clone, PartialEq, Eq, Hash))]
struct Stored {
    revision: Revision,
    record: Record,
}

impl Stored {
    fn of(blob: &Blob, record: Record) -> Self {
        Self { revision: blob.revision(), record }
    }
}

impl Found {
    fn new(read: Result<Option<Blob>, StoreError>) -> Self {
        let blob = match read {
            Ok(Some(blob)) => blob,
            Ok(None) => return Self::Nothing(None),
            Err(error) => return Self::Unreadable(error),
        };
        match Record::parse(blob.bytes()) {
            Ok(record) if record.is_logged_out() => Self::Nothing(Some(Stored::of(&blob, record))),
            Ok(record) => Self::Record(Stored::of(&blob, record)),
            Err(error) => Self::Torn { revision: blob.revision(), error },
        }
    }

    /// Whether it is read again before it is believed: another program may be in the middle of a write. `seen`: something
    /// was stored before, as it was where what is `kept` came after another refresh token.
    fn is_odd(&self, seen: bool, kept: Option<&Unsaved>) -> bool {
        match self {
            Self::Record(_) => false,
            Self::Nothing(_) => seen || kept.is_some_and(|kept| kept.replaces.flatten().is_some()),
            Self::Torn { .. } | Self::Unreadable(_) => true,
        }
    }
}

/// For outcomes that carry text of the machine itself.
fn text(words: &str) -> alloc::string::String {
    words.to_string()
}
