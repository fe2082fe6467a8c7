//! Mistakes that hosts make, as switches: each must show.

macro_rules! mistakes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// A mistake of a host. The machines and all the rest are as they are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mistake {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Mistake {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// For the command line.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

mistakes! {
    /// There is no lock, and no write is conditional.
    NoLock = "no-lock",
    /// What was read before the lock is taken for what is stored, for reads, writes and the check before a request.
    ReadBeforeLock = "read-before-lock",
    /// The lock is on the credentials file, which a rename replaces; nobody checks which file a lock is of.
    LockOnFile = "lock-on-file",
    /// The lock file is deleted when the lock is released; nobody checks which file a lock is of.
    LockFileDeleted = "lock-file-deleted",
    /// The caller's time-out drops the machine between the answer and the write.
    FutureDropped = "future-dropped",
    /// Every read after the first one of a process comes from its memory, until it writes itself.
    CachedRead = "cached-read",
    /// A refused or failed refresh blanks the tokens in the file.
    BlanksOnFailure = "blanks-on-failure",
    /// The file is truncated and written in place.
    WritesInPlace = "writes-in-place",
    /// A new file gets the permissions of the old one.
    KeepsMode = "keeps-mode",
    /// A new file takes the place of a symbolic link.
    ReplacesLink = "replaces-link",
    /// The wait for the lock blocks the one thread of a runtime, and with it the task that holds the lock.
    BlockingLock = "blocking-lock",
    /// The HTTP client follows redirects, with the body.
    FollowsRedirects = "follows-redirects",
    /// The HTTP client sends a request again by itself when the connection is reset.
    HiddenRetry = "hidden-retry",
    /// A time-out is reported as "not sent".
    TimeoutNotSent = "timeout-not-sent",
    /// A clock that stands still while the machine sleeps is taken for the wall clock.
    ClockWithoutSleep = "clock-without-sleep",
    /// The time is told in seconds.
    SecondsForMillis = "seconds-for-millis",
    /// Every process refreshes as soon as half of the life of a token is over.
    EagerMargin = "eager-margin",
    /// A write drops the members that are not known.
    DropsMembers = "drops-members",
    /// The room that is to be set aside for the next write is not.
    NoReserve = "no-reserve",
    /// Tokens that cannot be stored are not kept.
    UnsavedDropped = "unsaved-dropped",
}
