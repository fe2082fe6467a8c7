//! Time as the core sees it: values that the host passes in. The core reads no clock.

use core::fmt;

/// A span of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A whole number of seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// What is left of `self` after `spent`; never negative.
    pub const fn minus(self, spent: Self) -> Self {
        Self(self.0.saturating_sub(spent.0))
    }

    /// Half of the span.
    pub const fn half(self) -> Self {
        Self(self.0 / 2)
    }
}

/// A moment of wall-clock time: milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// This moment and a span more. Saturates.
    pub const fn plus(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// How long after `earlier` this moment is; zero where it is before.
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms since the Unix epoch", self.0)
    }
}

/// The two clocks of the host, read together.
///
/// Expiries are stored and shared between processes, so they are wall time. Waits and deadlines are monotonic, so that
/// a clock that is set back cannot stretch them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Now {
    /// Wall-clock time.
    pub wall: Timestamp,
    /// Time since any fixed moment of this process, on a clock that never goes back.
    pub monotonic: Millis,
}
