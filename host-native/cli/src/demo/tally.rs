//! What was counted, whether the promise held, and how both are shown at the end.

use kraube_testserver::Counters;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// The count of everything.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) strict: bool,
    pub(super) processes: usize,
    pub(super) load: Duration,
    pub(super) tokens: u64,
    pub(super) kills: u64,
    /// Kills after the server had spent the token and before its successor was stored.
    pub(super) kills_inside: u64,
    pub(super) logins: u64,
    /// Logins that ended, as the processes reported it: `rotation_lost`.
    pub(super) losses: u64,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) resource: BTreeMap<u16, u64>,
    pub(super) calm: Waits,
    pub(super) after_kill: Waits,
    /// Promises that did not hold, found while it ran.
    pub(super) broken: Vec<String>,
}

/// How long calls for a token took that could not be answered from memory or by reading.
#[derive(Default)]
pub(super) struct Waits(Vec<Duration>);

impl Waits {
    pub(super) fn add(&mut self, waited: Duration) {
        self.0.push(waited);
    }

    /// The number, the median, the 99th percentile and the longest.
    fn summary(&self) -> (usize, [Duration; 3]) {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = |share: usize| sorted.get((sorted.len() * share).div_ceil(100).saturating_sub(1)).copied();
        (sorted.len(), [50, 99, 100].map(|share| at(share).unwrap_or_default()))
    }

    fn json(&self) -> Value {
        let (count, [p50, p99, max]) = self.summary();
        json!({"count": count, "p50_ms": millis(p50), "p99_ms": millis(p99), "max_ms": millis(max)})
    }
}

impl Tally {
    /// Judges the promise against what the server counted.
    pub(super) fn judge(&mut self, seen: &Counters) {
        let mut broken = Vec::new();
        let mut check = |holds: bool, what: String| {
            if !holds {
                broken.push(what);
            }
        };
        check(
            seen.in_flight_max <= 1,
            format!("{} redemptions of one login were under way at once", seen.in_flight_max),
        );
        // The code of each login, and one request for each rotation; beyond that, one for each kill inside the window.
        let again = seen.grace_retries + seen.replays;
        let due = seen.codes_redeemed + seen.rotations + again;
        check(
            seen.token_requests == due,
            format!("{} token requests, where {due} can be accounted for", seen.token_requests),
        );
        check(
            again == self.kills_inside,
            format!("{again} tokens were presented twice, and {} kills account for that", self.kills_inside),
        );
        if self.strict {
            check(self.losses == seen.replays, format!("{} logins ended, {} were reported", seen.replays, self.losses));
        } else {
            check(seen.replays == 0, format!("{} spent refresh tokens were presented", seen.replays));
            check(self.losses == 0, format!("{} logins were lost", self.losses));
        }
        check(
            seen.families_revoked == self.losses,
            format!("the server ended {} logins, and {} losses were reported", seen.families_revoked, self.losses),
        );
        check(self.tokens > 0, "no process got a token".to_owned());
        self.broken.append(&mut broken);
    }

    /// For programs.
    pub(super) fn json(&self, seen: &Counters) -> Value {
        json!({
            "kept": self.broken.is_empty(),
            "broken": self.broken,
            "strict": self.strict,
            "processes": self.processes,
            "load_ms": millis(self.load),
            "tokens": self.tokens,
            "rotations": seen.rotations,
            "token_requests": seen.token_requests,
            "codes_redeemed": seen.codes_redeemed,
            "grace_retries": seen.grace_retries,
            "replays": seen.replays,
            "in_flight_max": seen.in_flight_max,
            "kills": self.kills,
            "kills_inside": self.kills_inside,
            "logins": self.logins,
            "losses": self.losses,
            "waits": self.calm.json(),
            "waits_after_kill": self.after_kill.json(),
            "errors": self.errors,
            "resource": self.resource.iter().map(|(status, count)| (status.to_string(), *count)).collect::<BTreeMap<_, _>>(),
        })
    }

    /// For people: the lines of a table.
    pub(super) fn table(&self, seen: &Counters) -> String {
        let mut text = String::new();
        let mut row = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<25}{value}");
        };
        let calls = self.resource.iter().map(|(status, count)| format!("{count} answered {status}"));
        let waits = |waits: &Waits| {
            let (count, [p50, p99, max]) = waits.summary();
            match count {
                0 => "none".to_owned(),
                _ => format!(
                    "{count}: p50 {} ms, p99 {} ms, max {} ms",
                    p50.as_millis(),
                    p99.as_millis(),
                    max.as_millis()
                ),
            }
        };
        row("processes", format!("{}, for {:.1} s", self.processes, self.load.as_secs_f64()));
        row("tokens handed out", self.tokens.to_string());
        row("calls with them", calls.collect::<Vec<_>>().join(", "));
        row("rotations", seen.rotations.to_string());
        let mut parts = vec![format!("{} rotations", seen.rotations)];
        if seen.codes_redeemed > 0 {
            let logins = if seen.codes_redeemed == 1 { "login" } else { "logins" };
            parts.insert(0, format!("{} {logins}", seen.codes_redeemed));
        }
        if seen.grace_retries > 0 {
            parts.push(format!("{} again after a kill", seen.grace_retries));
        }
        if seen.replays > 0 {
            parts.push(format!("{} again after a kill", seen.replays));
        }
        row("token requests", format!("{} = {}", seen.token_requests, parts.join(" + ")));
        row("at the same time", format!("{} at most", seen.in_flight_max));
        let note = if self.strict { " (one for each kill in the window)" } else { "" };
        row("replays", format!("{}{note}", seen.replays));
        row("kills", format!("{}, {} of them between spent and stored", self.kills, self.kills_inside));
        if self.strict {
            row("logins lost", format!("{}, each reported as rotation_lost", self.losses));
        }
        row("waits for a refresh", waits(&self.calm));
        row("waits after such a kill", waits(&self.after_kill));
        let errors = self.errors.iter().map(|(code, count)| format!("{count} {code}")).collect::<Vec<_>>();
        row("errors", if errors.is_empty() { "none".to_owned() } else { errors.join(", ") });
        text
    }
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}
