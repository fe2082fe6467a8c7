//! The three machines as one, for worlds that step whichever a process runs.

use kraube_core::credential::{
    Forget, Forgotten, Install, InstallError, Installed, Obtain, Outcome, Ready, Settle, Unsaved,
};
use kraube_core::machine::{Action, Input, Machine, Step};
use kraube_core::time::Now;

#[derive(Clone, Hash)]
#[allow(clippy::large_enum_variant)] // It is behind a pointer, or moved seldom.
pub(crate) enum Running {
    Obtain(Obtain),
    Install(Install),
    Forget(Forget),
}

#[allow(clippy::large_enum_variant, reason = "it is looked at and dropped")]
pub(crate) enum Ending {
    Obtain(Outcome),
    Install(Installed),
    Forget(Forgotten),
}

/// What a machine did with an input.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Stepped {
    Runs(Running, Action),
    Done(Ending),
}

impl Running {
    pub(crate) fn step(self, input: Input, now: Now) -> Stepped {
        match self {
            Self::Obtain(machine) => machine.step(input, now).into(),
            Self::Install(machine) => machine.step(input, now).into(),
            Self::Forget(machine) => machine.step(input, now).into(),
        }
    }

    pub(crate) fn awaits(&self) -> &'static str {
        match self {
            Self::Obtain(machine) => machine.awaits(),
            Self::Install(machine) => machine.awaits(),
            Self::Forget(machine) => machine.awaits(),
        }
    }
}

impl From<Step<Obtain, Outcome>> for Stepped {
    fn from(step: Step<Obtain, Outcome>) -> Self {
        match step {
            Step::Continue(machine, action) => Self::Runs(Running::Obtain(machine), action),
            Step::Done(outcome) => Self::Done(Ending::Obtain(outcome)),
        }
    }
}

impl From<Step<Install, Installed>> for Stepped {
    fn from(step: Step<Install, Installed>) -> Self {
        match step {
            Step::Continue(machine, action) => Self::Runs(Running::Install(machine), action),
            Step::Done(installed) => Self::Done(Ending::Install(installed)),
        }
    }
}

impl From<Step<Forget, Forgotten>> for Stepped {
    fn from(step: Step<Forget, Forgotten>) -> Self {
        match step {
            Step::Continue(machine, action) => Self::Runs(Running::Forget(machine), action),
            Step::Done(forgotten) => Self::Done(Ending::Forget(forgotten)),
        }
    }
}

impl Ending {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Obtain(Outcome::Ready(ready)) => ready.stale.as_ref().map_or("ready", |_| "ready (stale)"),
            Self::Obtain(Outcome::Unsaved(_)) => "unsaved",
            Self::Obtain(Outcome::Failed(failure)) => failure.code(),
            Self::Install(Ok(_)) => "installed",
            Self::Install(Err(error)) => InstallError::code(error),
            Self::Forget(Forgotten::NothingStored) => "nothing stored",
            Self::Forget(Forgotten::Deleted { .. }) => "deleted",
            Self::Forget(Forgotten::AnotherLogin { .. }) => "another login",
            Self::Forget(Forgotten::StillStored { .. }) => "still stored",
            Self::Forget(Forgotten::Misuse(_)) => "misuse",
            Self::Obtain(_) | Self::Forget(_) => "other",
        }
    }

    /// What the process keeps.
    pub(crate) fn keep(&self, before: Option<Unsaved>) -> Option<Unsaved> {
        match self {
            Self::Obtain(outcome) => outcome.keep(before),
            Self::Install(installed) => installed.keep(before),
            Self::Forget(forgotten) => forgotten.keep(before),
        }
    }

    /// The token that is served, if one is.
    pub(crate) fn ready(&self) -> Option<&Ready> {
        match self {
            Self::Obtain(Outcome::Ready(ready)) => Some(ready),
            Self::Obtain(Outcome::Unsaved(unsaved)) => unsaved.ready.as_ref(),
            Self::Obtain(_) | Self::Install(_) | Self::Forget(_) => None,
        }
    }
}
