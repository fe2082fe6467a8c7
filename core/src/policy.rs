//! Every figure that the machines go by, and the one function that says whether a token is still good.

use crate::time::{Millis, Timestamp};

/// The figures. Each has one documented default; tests set them to small values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Access tokens are refreshed this long before they expire. 60 s.
    pub margin: Millis,
    /// One run takes no longer waits than this in all. 60 s.
    pub deadline: Millis,
    /// How long a caller who has a living token waits for a fresher one. 2 s.
    pub patience: Millis,
    /// How long after the lock was had a doubted token is left alone: the request of a process that was killed may
    /// still be travelling. 2 s.
    pub settle: Millis,
    /// The pause before an unreadable read is repeated: a foreign writer may be in the middle of it. 50 ms.
    pub torn_pause: Millis,
    /// How often it is repeated before it is believed. 3.
    pub torn_tries: u8,
    /// How often a run begins anew under the lock when others interfere. 3.
    pub returns: u8,
    /// A rejected token that is still fresh and younger than this is not refreshed: a resource that answers 401 to
    /// everything would rotate without end. 30 s, and never more than half of the token's life.
    pub reject_floor: Millis,
    /// How often the same token is sent again after an answer that tells nothing. 2.
    pub resends: u8,
    /// The pause before it is sent again after a time-out: the first request may still travel. 2 s.
    pub resend_pause: Millis,
    /// The last of them leaves within this time of the first such answer: servers that forgive a repetition do so
    /// for seconds. 5 s.
    pub resend_window: Millis,
    /// The pause before a failed write of new tokens is repeated. 50 ms.
    pub save_pause: Millis,
    /// For how long it is repeated. 2 s.
    pub save_time: Millis,
    /// When to try again after the server could not be reached at all. Never grows: networks come back. 2 s.
    pub unreachable_pause: Millis,
    /// When to try again after the first failed answer; doubled with each further one. 1 s.
    pub backoff_first: Millis,
    /// The longest of these. 5 min.
    pub backoff_max: Millis,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            margin: Millis::from_secs(60),
            deadline: Millis::from_secs(60),
            patience: Millis::from_secs(2),
            settle: Millis::from_secs(2),
            torn_pause: Millis(50),
            torn_tries: 3,
            returns: 3,
            reject_floor: Millis::from_secs(30),
            resends: 2,
            resend_pause: Millis::from_secs(2),
            resend_window: Millis::from_secs(5),
            save_pause: Millis(50),
            save_time: Millis::from_secs(2),
            unreachable_pause: Millis::from_secs(2),
            backoff_first: Millis::from_secs(1),
            backoff_max: Millis::from_secs(300),
        }
    }
}

impl Policy {
    /// The longest time ahead that a stored `retryAt` can be true: the cap of a `Retry-After`. 1 h.
    pub const RETRY_MAX: Millis = Millis::from_secs(3600);

    /// How long before its expiry a token stops being fresh.
    ///
    /// This is the larger of the margin and `min_valid`, but never more than half of the token's whole life where that
    /// is known, so that a token of 30 s does not mean a refresh for each call. `obtained_at` in the future is not
    /// believed.
    pub fn margin_of(
        &self,
        expires_at: Timestamp,
        obtained_at: Option<Timestamp>,
        min_valid: Millis,
        now: Timestamp,
    ) -> Millis {
        let margin = self.margin.max(min_valid);
        match obtained_at {
            Some(obtained) if obtained <= now && expires_at > obtained => margin.min(expires_at.since(obtained).half()),
            Some(_) | None => margin,
        }
    }

    /// Whether more than the margin is left.
    pub fn is_fresh(
        &self,
        expires_at: Timestamp,
        obtained_at: Option<Timestamp>,
        min_valid: Millis,
        now: Timestamp,
    ) -> bool {
        expires_at.since(now) > self.margin_of(expires_at, obtained_at, min_valid, now)
    }

    /// The pause after the `retries`-th failed answer in a row (0 is the first).
    pub(crate) fn backoff(&self, retries: u32) -> Millis {
        let doubled = self.backoff_first.0.saturating_mul(1_u64.checked_shl(retries.min(32)).unwrap_or(u64::MAX));
        Millis(doubled).min(self.backoff_max)
    }
}
