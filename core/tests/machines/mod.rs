//! The credential machines, stepped by hand: each test plays one course of answers and names what must come of it.
//! Here is what plays them; the courses are in the modules.

#![allow(clippy::wildcard_enum_match_arm, reason = "what a test does not expect fails it")]

mod forget;
mod install;
mod keeping;
mod looking;
mod redeeming;
mod words;

use crate::common;
use kraube_core::credential::{Failure, Forget, Install, Obtain, Outcome, Ready, Wanted};
use kraube_core::http::{Response, SendError, SendErrorKind};
use kraube_core::machine::{
    Action, Blob, Input, Locked, Machine, Revision, Step, StoreError, StoreErrorKind, WriteError,
};
use kraube_core::policy::Policy;
use kraube_core::record::RunId;
use kraube_core::secret::Fingerprint;
use kraube_core::time::{Millis, Now, Timestamp};
use serde_json::Value;
use std::fmt::Debug;

const NOW: u64 = 1_800_000_000_000;
const HOUR: i64 = 3600;
const RUN: RunId = RunId(1);
const OTHER_RUN: RunId = RunId(2);

const ISSUED: &str = r#"{"access_token":"a1","refresh_token":"r1","token_type":"Bearer","expires_in":3600}"#;

/// A machine and the two clocks. Each answer is checked to be one to the outstanding action; each write, delete and
/// request, to be about the very bytes that were last read or written.
struct Play<M: Machine> {
    step: Option<Step<M, M::Outcome>>,
    now: Now,
    known: Option<Revision>,
}

/// What a machine says that it waits for.
trait Awaits: Machine {
    fn awaited(&self) -> &'static str;
}

impl Awaits for Obtain {
    fn awaited(&self) -> &'static str {
        self.awaits()
    }
}

impl Awaits for Install {
    fn awaited(&self) -> &'static str {
        self.awaits()
    }
}

impl Awaits for Forget {
    fn awaited(&self) -> &'static str {
        self.awaits()
    }
}

/// How the state that an action belongs to ends.
fn input_of(action: &Action) -> &'static str {
    match action {
        Action::Lock { .. } => ": Locked",
        Action::Read => ": Read",
        Action::Send { .. } => ": Replied",
        Action::Write { .. } => ": Wrote",
        Action::Delete { .. } => ": Deleted",
        Action::Wait { .. } => ": Woke",
    }
}

/// A run that wants any living token, with the documented figures.
fn obtain() -> Play<Obtain> {
    obtain_with(Wanted::default(), Policy::default())
}

fn obtain_with(wanted: Wanted, policy: Policy) -> Play<Obtain> {
    Play::new(|now| Obtain::start(wanted, policy, RUN, now))
}

impl<M: Awaits<Outcome: Debug> + Debug> Play<M> {
    fn new(start: impl FnOnce(Now) -> Step<M, M::Outcome>) -> Self {
        let now = Now { wall: Timestamp(NOW), monotonic: Millis(7) };
        Self { step: Some(start(now)), now, known: None }
    }

    fn machine(&self) -> &M {
        match self.step.as_ref().expect("there is a step between two answers") {
            Step::Continue(machine, _) => machine,
            Step::Done(outcome) => panic!("the machine is done: {outcome:?}"),
        }
    }

    fn action(&self) -> &Action {
        match self.step.as_ref().expect("there is a step between two answers") {
            Step::Continue(machine, action) => {
                let awaited = machine.awaited();
                assert!(awaited.ends_with(input_of(action)), "{awaited} after {action:?}");
                action
            }
            Step::Done(outcome) => panic!("the machine is done: {outcome:?}"),
        }
    }

    fn answer(&mut self, input: Input) {
        self.step = match self.step.take() {
            Some(Step::Continue(machine, _)) => Some(machine.step(input, self.now)),
            other => other,
        };
    }

    /// Both clocks go on.
    fn pass(&mut self, time: Millis) {
        self.now.wall = self.now.wall.plus(time);
        self.now.monotonic.0 += time.0;
    }

    fn read(&mut self, record: &Stored) {
        self.read_bytes(Ok(Some(record.text().as_str())));
    }

    fn read_bytes(&mut self, read: Result<Option<&str>, ()>) {
        assert!(matches!(self.action(), Action::Read), "{:?}", self.action());
        let read = read.map(|text| text.map(|text| Blob::new(text.into()))).map_err(|()| error());
        if let Ok(blob) = &read {
            self.known = blob.as_ref().map(Blob::revision);
        }
        self.answer(Input::Read(read));
    }

    /// What cannot be read is read again before it is believed.
    fn read_until_believed(&mut self, read: Result<Option<&str>, ()>) {
        self.read_bytes(read);
        while matches!(self.step, Some(Step::Continue(_, Action::Wait { .. }))) {
            self.woke();
            self.read_bytes(read);
        }
    }

    /// How long the machine waits for the lock.
    fn locked(&mut self, locked: Locked) -> Millis {
        let Action::Lock { wait, .. } = *self.action() else { panic!("{:?}", self.action()) };
        self.answer(Input::Locked(locked));
        wait
    }

    /// What is written.
    fn wrote(&mut self, wrote: Result<(), WriteError>) -> Value {
        let Action::Write { blob, replaces, .. } = self.action() else { panic!("{:?}", self.action()) };
        assert_eq!(*replaces, self.known, "a write replaces what is known to be there, and nothing else");
        let written = serde_json::from_slice(blob.bytes()).expect("a record is JSON");
        if wrote.is_ok() {
            self.known = Some(blob.revision());
        }
        self.answer(Input::Wrote(wrote));
        written
    }

    /// What is sent.
    fn replied(&mut self, reply: Result<Response, SendErrorKind>) -> String {
        let Action::Send { request, holds } = self.action() else { panic!("{:?}", self.action()) };
        assert!(holds.is_none() || *holds == self.known, "it is sent while the record is the one that we wrote");
        let body = request.body.expose().to_owned();
        self.answer(Input::Replied(reply.map_err(|kind| SendError { kind, detail: "the wire".into() })));
        body
    }

    /// Waits as long as it is asked to.
    fn woke(&mut self) -> Millis {
        let Action::Wait { time } = *self.action() else { panic!("{:?}", self.action()) };
        self.pass(time);
        self.answer(Input::Woke);
        time
    }

    fn outcome(&mut self) -> M::Outcome {
        match self.step.take() {
            Some(Step::Done(outcome)) => outcome,
            other => panic!("the machine goes on: {other:?}"),
        }
    }
}

impl Play<Obtain> {
    /// From the first look over an expired record to the moment that the mark is written.
    fn reach_mark(&mut self, record: &Stored) {
        self.read(record);
        self.locked(Locked::Held);
        self.read(record);
    }

    /// The same, to the moment that the request is sent.
    fn reach_exchange(&mut self, record: &Stored) {
        self.reach_mark(record);
        self.wrote(Ok(()));
    }

    fn failure(&mut self) -> Failure {
        match self.outcome() {
            Outcome::Failed(failure) => failure,
            other => panic!("it does not fail: {other:?}"),
        }
    }

    fn ready(&mut self) -> Ready {
        match self.outcome() {
            Outcome::Ready(ready) => *ready,
            other => panic!("no token: {other:?}"),
        }
    }
}

/// A stored record; its members are what the tests are about.
#[derive(Clone)]
struct Stored {
    refresh: &'static str,
    access: &'static str,
    expires_at: u64,
    ours: Vec<String>,
}

/// Of the login `L0`, with these tokens; the access token has so many seconds left, of a life of two hours.
fn stored(refresh: &'static str, access: &'static str, left: i64) -> Stored {
    Stored { refresh, access, expires_at: NOW.saturating_add_signed(left * 1000), ours: Vec::new() }
        .with(r#""login":"L0""#)
        .obtained_at(NOW.saturating_add_signed((left - 2 * HOUR).min(0) * 1000))
        .with(r#""provider":{"name":"p","tokenEndpoint":"https://e.org/t","revocationEndpoint":"https://e.org/r","clientId":"me","refusedStatuses":[404]}"#)
}

fn expired() -> Stored {
    stored("r0", "a0", -10)
}

/// As another program writes it, without the member that is ours.
fn foreign(refresh: &str, access: &str, left: i64) -> String {
    let expires_at = NOW.saturating_add_signed(left * 1000);
    format!(r#"{{"refreshToken":"{refresh}","accessToken":"{access}","expiresAt":{expires_at}}}"#)
}

impl Stored {
    fn with(mut self, member: impl Into<String>) -> Self {
        self.ours.push(member.into());
        self
    }

    fn login(mut self, login: &str) -> Self {
        self.ours.retain(|member| !member.starts_with(r#""login""#));
        self.with(format!(r#""login":"{login}""#))
    }

    fn obtained_at(mut self, at: u64) -> Self {
        self.ours.retain(|member| !member.starts_with(r#""obtainedAt""#));
        self.with(format!(r#""obtainedAt":{at}"#))
    }

    fn marked(self, run: RunId) -> Self {
        self.with(format!(r#""redeeming":{{"run":"{run}","at":{NOW}}}"#))
    }

    fn refused(self, reason: &str) -> Self {
        self.with(format!(r#""refused":{{"reason":"{reason}"}}"#))
    }

    fn text(&self) -> String {
        let fits = Fingerprint::of(&[self.refresh.as_bytes(), self.access.as_bytes()]);
        format!(
            r#"{{"refreshToken":"{}","accessToken":"{}","expiresAt":{},"kraube":{{"for":"{fits}",{}}}}}"#,
            self.refresh,
            self.access,
            self.expires_at,
            self.ours.join(",")
        )
    }
}

/// The stable name of an outcome.
fn code(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Ready(_) => "ready",
        Outcome::Unsaved(_) => "unsaved",
        Outcome::Failed(failure) => failure.code(),
        other => panic!("an outcome that the tests do not know: {other:?}"),
    }
}

fn issued() -> Result<Response, SendErrorKind> {
    Ok(common::json(200, ISSUED))
}

/// An error document with this description.
fn said(description: &str) -> String {
    serde_json::json!({ "error": "invalid_request", "error_description": description }).to_string()
}

fn error() -> StoreError {
    StoreError { kind: StoreErrorKind::Full, detail: "no space left".into() }
}

fn failed() -> Result<(), WriteError> {
    Err(WriteError::Failed(error()))
}
