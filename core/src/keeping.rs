//! Refreshing ahead of need: when the next refresh is due, and what is told of a process that does nothing else. Pure;
//! the host waits, asks for the token and writes the [`Health`] where others can read it.

use crate::policy::Policy;
use crate::status::{State, Status};
use crate::time::{Millis, Now, Timestamp};
use alloc::borrow::ToOwned;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// When background refreshes are due: a few seconds before anybody would need one, other ones in each process, so that
/// they do not all wake at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    jitter: Millis,
    not_before: Millis,
}

impl Schedule {
    /// The clock is looked at this often: a machine that slept does not wake a timer, and somebody may have logged in
    /// anew. 30 s.
    pub const GLANCE: Millis = Millis::from_secs(30);
    /// The shortest time between two refreshes. 1 s.
    const BREATH: Millis = Millis::from_secs(1);
    /// How much earlier a process refreshes at most. 10 s.
    const JITTER: u64 = 10_000;

    /// `random` is any number; `now` the monotonic clock.
    pub fn new(random: u64, now: Millis) -> Self {
        Self { jitter: Millis(random % Self::JITTER), not_before: now }
    }

    /// How long a token must live to be left alone, for a [`Wanted::min_valid`](crate::credential::Wanted).
    pub fn min_valid(&self, policy: &Policy) -> Millis {
        Millis(policy.margin.0.saturating_add(self.jitter.0))
    }

    /// How long to wait from `now`, at most [`GLANCE`](Self::GLANCE); zero where a refresh is due. Tokens of a short life
    /// are refreshed at half of it, as by everybody.
    pub fn wait(&self, policy: &Policy, expires_at: Timestamp, obtained_at: Option<Timestamp>, now: Now) -> Millis {
        let lead = policy.margin_of(expires_at, obtained_at, self.min_valid(policy), now.wall);
        let left = expires_at.since(now.wall).minus(lead);
        left.max(self.not_before.minus(now.monotonic)).min(Self::GLANCE)
    }

    /// The same for a stored login. `None` where only a person can do something; look again after
    /// [`GLANCE`](Self::GLANCE).
    pub fn next(&self, policy: &Policy, status: &Status, now: Now) -> Option<Millis> {
        let wait = match status.state {
            State::Valid if !status.refreshable => Self::GLANCE,
            State::Valid | State::NeedsRefresh => {
                let expires_at = status.expires_at.unwrap_or_default();
                self.wait(policy, expires_at, status.obtained_at, now)
            }
            State::InDoubt => self.not_before.minus(now.monotonic).min(Self::GLANCE),
            State::Refused(_) | State::Expired | State::LoggedOut | State::Corrupt(_) | State::Unreadable(_) => {
                return None;
            }
        };
        let held_up = status.retry_at.map_or(Millis::ZERO, |at| at.since(now.wall));
        Some(wait.max(held_up).min(Self::GLANCE))
    }

    /// A refresh has ended, with a fresh token or without one.
    pub fn ended(&mut self, fresh: bool, now: Now) {
        let pause = if fresh { Self::BREATH } else { Self::GLANCE };
        self.not_before = Millis(now.monotonic.0.saturating_add(pause.0));
    }
}

/// What a process that keeps a login fresh says of itself, for others to read. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Health {
    /// Whether tokens can be had.
    pub healthy: bool,
    /// The [code](State::code) of the login's state.
    pub state: String,
    /// The process.
    pub pid: u32,
    /// When this was written, in Unix milliseconds.
    pub updated_at: u64,
    /// When the process acts next at the latest, in Unix milliseconds.
    pub next_at: u64,
    /// When the access token expires, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// Why the last refresh of the tokens that are stored failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Health {
    /// After a look at the login; `failed` is why the last refresh gave no fresh token, with what the login was before
    /// it, and `next` what [`Schedule::next`] said. A failure says nothing of tokens that were stored since.
    pub fn of(
        status: &Status,
        failed: Option<(&Status, &str)>,
        next: Option<Millis>,
        pid: u32,
        now: Timestamp,
    ) -> Self {
        let tokens = |status: &Status| (status.login.clone(), status.expires_at);
        let failed = failed.filter(|(before, _)| tokens(before) == tokens(status)).map(|(_, why)| why);
        let healthy = next.is_some() && failed.is_none();
        Self {
            healthy,
            state: status.state.code().to_owned(),
            pid,
            updated_at: now.0,
            next_at: now.plus(next.unwrap_or(Schedule::GLANCE)).0,
            expires_at: status.expires_at.map(|at| at.0),
            error: failed.map(ToOwned::to_owned),
        }
    }

    /// Whether its process has kept its word so far. One that was killed, or a machine that slept, has not.
    pub fn is_current(&self, now: Timestamp) -> bool {
        /// A refresh may wait for its lock and its answer.
        const PATIENCE: Millis = Millis::from_secs(90);
        now <= Timestamp(self.next_at).plus(PATIENCE) && Timestamp(self.updated_at) <= now.plus(PATIENCE)
    }
}
