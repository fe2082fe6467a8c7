//! The core of kraube for JavaScript. Text crosses as JSON and bytes as bytes; what the members are called stands in
//! `js/core.ts`, which gives both sides their types. Nothing is decided here.
//!
//! A panic would end the whole module, so there is none: what JavaScript hands over is read with errors that name the
//! member, and never its value.

mod calls;
mod input;
mod json;
mod options;
mod write;

use input::{Given, Read, misuse, whole};
use json::Json;
use kraube_core::credential::{Forget, Install, Obtain, Settle, Unsaved};
use kraube_core::machine::{Blob, Machine, Step};
use kraube_core::policy::Policy;
use kraube_core::time::{Millis, Now, Timestamp};
use wasm_bindgen::prelude::wasm_bindgen;
use write::Cross;

/// One question that no machine is needed for: `{"ok": ...}` or `{"error": ...}`.
#[wasm_bindgen]
pub fn call(name: &str, given: &str, bytes: Option<Vec<u8>>, wall: f64, monotonic: f64) -> String {
    either(now(wall, monotonic).and_then(|now| calls::call(name, given, bytes, now)))
}

/// The revision of stored bytes.
#[wasm_bindgen]
pub fn revision(bytes: Vec<u8>) -> String {
    Blob::new(bytes).revision().to_string()
}

/// Whether more than the margin is left. A number that is none counts as absent, for `margin` and `obtained_at`; as one
/// that ended long ago, for `expires_at`.
#[wasm_bindgen]
pub fn fresh(expires_at: f64, obtained_at: f64, min_valid: f64, now: f64, margin: f64) -> bool {
    let (policy, expires_at, obtained_at, min_valid, now) = figures(expires_at, obtained_at, min_valid, now, margin);
    policy.is_fresh(expires_at, obtained_at, min_valid, now)
}

/// How long before its expiry a token stops being fresh.
#[wasm_bindgen]
pub fn margin(expires_at: f64, obtained_at: f64, min_valid: f64, now: f64, margin: f64) -> f64 {
    let (policy, expires_at, obtained_at, min_valid, now) = figures(expires_at, obtained_at, min_valid, now, margin);
    policy.margin_of(expires_at, obtained_at, min_valid, now).0 as f64
}

/// A run of a machine, and what it keeps.
#[wasm_bindgen]
#[derive(Default)]
pub struct Run {
    state: State,
    unsaved: Option<Box<Unsaved>>,
}

#[derive(Default)]
enum State {
    /// Not begun, or done.
    #[default]
    Idle,
    Obtain(Box<Obtain>),
    Install(Box<Install>),
    Forget(Box<Forget>),
}

#[wasm_bindgen]
impl Run {
    /// A run that is to be started.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// The run after this one on the same store, which takes over what this one keeps.
    pub fn after(&self) -> Self {
        Self { state: State::Idle, unsaved: self.unsaved.clone() }
    }

    /// Starts the machine that is named: `{"action": ...}`, `{"done": ...}` or `{"error": ...}`.
    pub fn start(&mut self, given: &str, wall: f64, monotonic: f64) -> String {
        either(self.started(given, wall, monotonic))
    }

    /// Takes the answer to the outstanding action. What is malformed changes nothing.
    pub fn step(&mut self, given: &str, bytes: Option<Vec<u8>>, wall: f64, monotonic: f64) -> String {
        either(self.stepped(given, bytes, wall, monotonic))
    }

    /// The token that was read last, while it lives; or `null`.
    pub fn living(&self, wall: f64, monotonic: f64) -> String {
        let living = match (&self.state, now(wall, monotonic)) {
            (State::Obtain(obtain), Ok(now)) => obtain.living(now),
            _ => None,
        };
        Json::of(&mut |json| living.cross(json))
    }

    /// Whether the run is done and holds tokens that are stored nowhere.
    #[wasm_bindgen(getter)]
    pub fn keeps(&self) -> bool {
        matches!(self.state, State::Idle) && self.unsaved.is_some()
    }
}

impl Run {
    fn started(&mut self, given: &str, wall: f64, monotonic: f64) -> Read<String> {
        let now = now(wall, monotonic)?;
        let mut given = Given::parse(given);
        let policy = options::policy(&mut given);
        match given.needed("machine").as_str() {
            "obtain" => {
                let wanted = options::wanted(&mut given);
                let (wanted, id) = given.end(wanted)?;
                Ok(match self.kept() {
                    None => self.next(Obtain::start(wanted, policy, id, now), State::Obtain),
                    Some(unsaved) => self.next(Obtain::start_unsaved(wanted, policy, id, unsaved, now), State::Obtain),
                })
            }
            "install" => {
                let new = options::new_login(&mut given);
                let (new, login) = given.end(new)?;
                Ok(self.next(Install::start(new, login, policy), State::Install))
            }
            "forget" => {
                let revoke = given.flag("revoke").unwrap_or(true);
                let revoke = given.end(Some(revoke))?;
                Ok(self.next(Forget::start(revoke, policy, self.kept()), State::Forget))
            }
            _ => Err(misuse("machine must be obtain, install or forget")),
        }
    }

    fn stepped(&mut self, given: &str, bytes: Option<Vec<u8>>, wall: f64, monotonic: f64) -> Read<String> {
        let now = now(wall, monotonic)?;
        let mut given = Given::parse(given);
        let input = options::input(&mut given, bytes);
        let input = given.end(input)?;
        match std::mem::take(&mut self.state) {
            State::Idle => Err(misuse("the run is done")),
            State::Obtain(machine) => Ok(self.next(machine.step(input, now), State::Obtain)),
            State::Install(machine) => Ok(self.next(machine.step(input, now), State::Install)),
            State::Forget(machine) => Ok(self.next(machine.step(input, now), State::Forget)),
        }
    }

    fn kept(&self) -> Option<Unsaved> {
        self.unsaved.as_deref().cloned()
    }

    fn next<M: Machine>(&mut self, step: Step<M, M::Outcome>, state: fn(Box<M>) -> State) -> String
    where
        M::Outcome: Cross + Settle,
    {
        match step {
            Step::Continue(machine, action) => {
                self.state = state(Box::new(machine));
                member("action", &action)
            }
            Step::Done(outcome) => {
                self.unsaved = outcome.keep(self.unsaved.take().map(|kept| *kept)).map(Box::new);
                member("done", &outcome)
            }
        }
    }
}

fn member(name: &str, value: &dyn Cross) -> String {
    Json::of(&mut |json| {
        json.open();
        json.name(name);
        value.cross(json);
        json.close();
    })
}

fn now(wall: f64, monotonic: f64) -> Read<Now> {
    match (whole(wall), whole(monotonic)) {
        (Some(wall), Some(monotonic)) => Ok(Now { wall: Timestamp(wall), monotonic: Millis(monotonic) }),
        _ => Err(misuse("now must hold two numbers that are not negative")),
    }
}

fn figures(
    expires_at: f64,
    obtained_at: f64,
    min_valid: f64,
    now: f64,
    margin: f64,
) -> (Policy, Timestamp, Option<Timestamp>, Millis, Timestamp) {
    let mut policy = Policy::default();
    if let Some(margin) = whole(margin) {
        policy.margin = Millis(margin);
    }
    // The conversion of a number that is none gives zero.
    (
        policy,
        Timestamp(expires_at as u64),
        whole(obtained_at).map(Timestamp),
        Millis(min_valid as u64),
        Timestamp(now as u64),
    )
}

fn either(result: Result<String, String>) -> String {
    result.unwrap_or_else(|error| error)
}
