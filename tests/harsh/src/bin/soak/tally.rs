//! What was counted, and whether the promise held.

use kraube_testserver::Counters;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// What the processes told.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) tokens: u64,
    pub(crate) dropped_futures: u64,
    pub(crate) dropped_runtimes: u64,
    pub(crate) interrupts: u64,
    pub(crate) stops: u64,
    pub(crate) kills: u64,
    /// Those between the mark and the stored tokens.
    pub(crate) kills_inside: u64,
    /// How many of each kind.
    pub(crate) moments: BTreeMap<String, u64>,
    /// Logins that ended, each told by a process as `rotation_lost`.
    pub(crate) losses_reported: u64,
    /// Further reports of the same.
    pub(crate) reports: u64,
    /// Looks at a file whose processes are all dead.
    pub(crate) looks: u64,
    /// Files with a token in them that were found then.
    pub(crate) strays: u64,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) broken: Vec<String>,
}

/// What may happen in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terms {
    /// Nobody is killed: nothing is ever sent twice.
    Calm,
    /// Kills, and a server that accepts the last token once more for some time: no login is lost.
    Grace,
    /// Kills, and a strict server: a kill in the window may end a login, and that is told.
    Strict,
}

impl Tally {
    /// Adds what did not hold, by what the server counted.
    pub(crate) fn judge(&mut self, terms: Terms, seen: &Counters) {
        let mut broken = Vec::new();
        let mut check = |holds: bool, what: String| {
            if !holds {
                broken.push(what);
            }
        };
        let again = seen.grace_retries + seen.replays;
        check(seen.in_flight_max <= 1, format!("{} redemptions of one token at once", seen.in_flight_max));
        check(
            seen.refresh_requests == seen.rotations + again,
            format!("{} requests, of which {} rotated and {again} came again", seen.refresh_requests, seen.rotations),
        );
        check(
            again <= self.kills_inside,
            format!("{again} tokens were sent twice, and {} kills explain that", self.kills_inside),
        );
        check(
            seen.families_revoked == self.losses_reported,
            format!("the server ended {} logins, and {} were reported", seen.families_revoked, self.losses_reported),
        );
        check(terms != Terms::Strict || seen.grace_retries == 0, "a strict server forgave".to_owned());
        check(
            terms == Terms::Strict || (seen.replays, seen.families_revoked, self.reports) == (0, 0, 0),
            format!(
                "{} replays, the latest {} ms after the token was spent; {} logins lost",
                seen.replays, seen.spent_for_max, seen.families_revoked
            ),
        );
        // Where logins end and others are made, a call may meet two new ones, and says so.
        let due = |code: &str| terms == Terms::Strict && code == "account_changed";
        check(self.errors.keys().all(|code| due(code)), format!("processes met errors: {:?}", self.errors));
        self.broken.append(&mut broken);
    }

    /// The lines of a phase.
    pub(crate) fn table(&self, terms: Terms, seen: &Counters, took: Duration) -> String {
        let mut text = String::new();
        let mut row = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<22}{value}");
        };
        row("forced refreshes", format!("{} in {} s", seen.rotations, took.as_secs()));
        row("tokens", self.tokens.to_string());
        match terms {
            Terms::Calm => {
                row("dropped futures", self.dropped_futures.to_string());
                row("dropped runtimes", self.dropped_runtimes.to_string());
                row("interrupts (SIGINT)", self.interrupts.to_string());
                row("stopped holders", self.stops.to_string());
            }
            Terms::Grace | Terms::Strict => {
                row("kills", format!("{}, {} of them between mark and stored tokens", self.kills, self.kills_inside));
                for (moment, count) in &self.moments {
                    row("", format!("{count} {moment}"));
                }
            }
        }
        let latest = Duration::from_millis(seen.spent_for_max);
        row(
            "sent again",
            format!("{} in grace, {} replays, {latest:?} later at most", seen.grace_retries, seen.replays),
        );
        row("at the same time", format!("{} at most", seen.in_flight_max));
        row(
            "logins lost",
            format!("{}, {} of them reported as rotation_lost", seen.families_revoked, self.losses_reported),
        );
        row(
            "looks at the remains",
            format!("{}, with {} stray files in all, never two at once", self.looks, self.strays),
        );
        text
    }
}
