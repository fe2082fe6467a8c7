//! A scripted world: a store, a server and clocks that do what is expected of them, but for the surprises that a scenario
//! prepares. Every step of every run in it is written down.

use crate::json;
use kraube_core::credential::{
    Baseline, Forget, Forgotten, Install, InstallError, Installed, NewLogin, Obtain, Outcome, Settle, Unsaved, Wanted,
};
use kraube_core::http::{Request, Response};
use kraube_core::machine::{Action, Blob, Input, Locked, Machine, Revision, Step, WriteError};
use kraube_core::policy::Policy;
use kraube_core::provider::Client;
use kraube_core::record::{Credentials, LoginId, RunId};
use kraube_core::secret::Secret;
use kraube_core::time::{Millis, Now, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

pub(crate) const NOW: u64 = 1_800_000_000_000;

/// The member of an entry that says where its scenario went another way than it is named for. None is ever recorded.
pub(crate) const WRONG: &str = "wrong";

/// What happens in place of the expected; `None`: the process dies.
type Surprise = Box<dyn FnOnce(&mut World, &Action) -> Option<Input>>;

pub(crate) struct World {
    pub(crate) stored: Option<Vec<u8>>,
    pub(crate) now: Now,
}

/// One entry of `machines.json`.
pub(crate) struct Scenario {
    name: &'static str,
    world: World,
    surprises: BTreeMap<&'static str, VecDeque<Option<Surprise>>>,
    runs: Vec<Value>,
    kept: Option<Unsaved>,
    policy: (Policy, Option<Value>),
    wrong: Vec<String>,
}

/// What is asked of `Obtain`.
#[derive(Clone, Default)]
pub(crate) struct Ask {
    pub(crate) run: u64,
    pub(crate) min_valid: u64,
    pub(crate) rejected: Option<&'static str>,
    pub(crate) baseline: Option<Option<&'static str>>,
    pub(crate) default_client: Option<Client>,
}

/// What a machine that has not ended would say of a token that lives.
type Living<M> = dyn Fn(&M, Now) -> Value;

impl Scenario {
    pub(crate) fn new(name: &'static str) -> Self {
        let now = Now { wall: Timestamp(NOW), monotonic: Millis(1000) };
        let world = World { stored: None, now };
        let policy = (Policy::default(), None);
        Self { name, world, surprises: BTreeMap::new(), runs: Vec::new(), kept: None, policy, wrong: Vec::new() }
    }

    /// Something is stored already.
    pub(crate) fn holding(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.world.stored = Some(bytes.into());
        self
    }

    /// Other figures, in the core's own terms and in those of the boundary.
    pub(crate) fn policy(mut self, policy: Policy, json: Value) -> Self {
        self.policy = (policy, Some(json));
        self
    }

    /// The next action of this kind gets another answer.
    pub(crate) fn at(&mut self, kind: &'static str, surprise: impl FnOnce(&mut World) -> Input + 'static) -> &mut Self {
        self.surprises.entry(kind).or_default().push_back(Some(Box::new(|world, _| Some(surprise(world)))));
        self
    }

    /// The next action of this kind is done as expected, and what stands at the place changes right before or after.
    pub(crate) fn meanwhile(&mut self, kind: &'static str, change: impl FnOnce(&mut World) + 'static) -> &mut Self {
        let surprise = |world: &mut World, action: &Action| {
            change(world);
            Some(world.perform(action))
        };
        self.surprises.entry(kind).or_default().push_back(Some(Box::new(surprise)));
        self
    }

    /// The next action of this kind goes as expected.
    pub(crate) fn pass(&mut self, kind: &'static str) -> &mut Self {
        self.surprises.entry(kind).or_default().push_back(None);
        self
    }

    /// The process dies when it is to do this.
    pub(crate) fn killed_at(&mut self, kind: &'static str) -> &mut Self {
        self.surprises.entry(kind).or_default().push_back(Some(Box::new(|_, _| None)));
        self
    }

    /// What goes wrong stops going wrong.
    pub(crate) fn heal(&mut self) -> &mut Self {
        self.surprises.clear();
        self
    }

    pub(crate) fn later(&mut self, millis: u64) -> &mut Self {
        self.world.pass_time(millis);
        self
    }

    pub(crate) fn stored(&self) -> String {
        let stored = self.world.stored.clone().expect("something is stored");
        String::from_utf8(stored).expect("it is text")
    }

    /// Runs `Obtain`, and checks that it ends as the scenario says.
    pub(crate) fn obtain(&mut self, ask: &Ask, end: &str) -> &mut Self {
        let run = RunId(0xa0 + ask.run);
        let mut options = json!({ "run": format!("{:016x}", run.0) });
        if ask.min_valid > 0 {
            options["minValid"] = json!(ask.min_valid);
        }
        if let Some(token) = ask.rejected {
            options["rejected"] = json!(token);
        }
        if let Some(login) = ask.baseline {
            options["baseline"] = json!({ "login": login });
        }
        if let Some(client) = &ask.default_client {
            options["defaultClient"] = json::client(client);
        }
        let wanted = Wanted {
            bound: false,
            min_valid: Millis(ask.min_valid),
            rejected: ask.rejected.map(|token| Secret::new(token).fingerprint()),
            baseline: ask
                .baseline
                .map_or(Baseline::FirstRead, |login| Baseline::Login(login.map(|id| LoginId(id.into())))),
            default_client: ask.default_client.clone(),
        };
        let (policy, now) = (self.policy.0.clone(), self.world.now);
        let step = match self.kept.clone() {
            None => Obtain::start(wanted, policy, run, now),
            Some(unsaved) => Obtain::start_unsaved(wanted, policy, run, unsaved, now),
        };
        let living = |machine: &Obtain, now| json!(machine.living(now).as_ref().map(json::ready));
        let outcome = self.run("obtain", options, step, json::outcome, Some(&living));
        let ended: String = outcome.map_or("killed".into(), |outcome| match outcome {
            Outcome::Ready(ready) => match ready.stale {
                None => format!("ready {}", ready.access_token.expose()),
                Some(failure) => format!("stale {}", failure.code()),
            },
            Outcome::Unsaved(_) => "unsaved".into(),
            Outcome::Failed(failure) => failure.code().into(),
            other => format!("{other:?}"),
        });
        self.judge(&ended, end)
    }

    pub(crate) fn install(&mut self, new: NewLogin, login: &str, end: &str) -> &mut Self {
        let new_json = match &new {
            NewLogin::Code { request, client } => {
                json!({ "type": "code", "exchange": { "client": json::client(client), "request": json::request(request) } })
            }
            NewLogin::Credentials(tokens) => json!({ "type": "credentials", "credentials": json::credentials(tokens) }),
        };
        let options = json!({ "login": login, "new": new_json });
        let step: Step<Install, Installed> = Install::start(new, LoginId(login.into()), self.policy.0.clone());
        let outcome = self.run("install", options, step, json::installed, None);
        let ended = outcome.map_or("killed", |outcome| match &outcome {
            Ok(_) => "installed",
            Err(error) => InstallError::code(error),
        });
        self.judge(ended, end)
    }

    pub(crate) fn forget(&mut self, revoke: bool, end: &str) -> &mut Self {
        let step: Step<Forget, Forgotten> = Forget::start(revoke, self.policy.0.clone(), self.kept.clone());
        let outcome = self.run("forget", json!({ "revoke": revoke }), step, json::forgotten, None);
        let ended = outcome.map_or("killed", |outcome| match outcome {
            Forgotten::NothingStored => "nothing stored",
            Forgotten::Deleted { .. } => "deleted",
            Forgotten::AnotherLogin { .. } => "another login",
            Forgotten::StillStored { .. } => "still stored",
            Forgotten::Misuse(_) => "misuse",
            _ => "unknown",
        });
        self.judge(ended, end)
    }

    /// The entry; no surprise may be left.
    pub(crate) fn write(&mut self) -> Value {
        for (kind, left) in &self.surprises {
            if !left.is_empty() {
                self.wrong.push(format!("{}: {} times it never came to {kind}", self.name, left.len()));
            }
        }
        let mut entry = json!({ "name": self.name, "runs": self.runs });
        if !self.wrong.is_empty() {
            entry[WRONG] = json!(self.wrong);
        }
        entry
    }

    fn judge(&mut self, ended: &str, expected: &str) -> &mut Self {
        if ended != expected {
            self.wrong.push(format!("{}: it ended with {ended:?} in place of {expected:?}", self.name));
        }
        self
    }

    fn run<M: Machine>(
        &mut self,
        machine: &str,
        mut options: Value,
        mut step: Step<M, M::Outcome>,
        outcome: impl Fn(&M::Outcome) -> Value,
        living: Option<&Living<M>>,
    ) -> Option<M::Outcome>
    where
        M::Outcome: Settle,
    {
        if let Some(policy) = &self.policy.1 {
            options["policy"] = policy.clone();
        }
        let start = json::now(self.world.now);
        let next = |step: &Step<M, M::Outcome>| match step {
            Step::Continue(_, action) => json!({ "action": json::action(action) }),
            Step::Done(done) => json!({ "done": outcome(done) }),
        };
        let first = next(&step);
        let mut steps = Vec::new();
        let ended = loop {
            let (machine, action) = match step {
                Step::Continue(machine, action) => (machine, action),
                Step::Done(done) => break Some(done),
            };
            let Some(input) = self.answer(&action) else { break None };
            let now = self.world.now;
            let mut entry = json!({ "input": json::input(&input), "now": json::now(now) });
            if let Some(living) = living {
                entry["living"] = living(&machine, now);
            }
            step = machine.step(input, now);
            entry["next"] = next(&step);
            steps.push(entry);
        };
        let before = self.kept.take();
        self.kept = ended.as_ref().and_then(|done| done.keep(before));
        let keeps = ended.is_some() && self.kept.is_some();
        self.runs.push(json!({
            "machine": machine, "options": options, "now": start, "first": first, "steps": steps, "keeps": keeps,
        }));
        ended
    }

    fn answer(&mut self, action: &Action) -> Option<Input> {
        self.world.pass_time(5);
        let surprise = self.surprises.get_mut(kind(action)).and_then(VecDeque::pop_front).flatten();
        match surprise {
            Some(surprise) => surprise(&mut self.world, action),
            None => Some(self.world.perform(action)),
        }
    }
}

impl World {
    pub(crate) fn pass_time(&mut self, millis: u64) {
        self.now.wall.0 += millis;
        self.now.monotonic.0 += millis;
    }

    fn perform(&mut self, action: &Action) -> Input {
        match action {
            Action::Lock { .. } => Input::Locked(Locked::Held),
            Action::Read => Input::Read(Ok(self.stored.clone().map(Blob::new))),
            Action::Send { .. } => Input::Replied(Ok(issued("a2", Some("r2")))),
            Action::Write { replaces, blob, .. } => {
                Input::Wrote(self.replace(replaces.as_ref(), Some(blob.bytes().to_vec())))
            }
            Action::Delete { replaces } => Input::Deleted(self.replace(Some(replaces), None)),
            Action::Wait { time } => {
                self.pass_time(time.0);
                Input::Woke
            }
        }
    }

    fn replace(&mut self, replaces: Option<&Revision>, bytes: Option<Vec<u8>>) -> Result<(), WriteError> {
        if self.stored.as_deref().map(Revision::of).as_ref() != replaces {
            return Err(WriteError::Conflict);
        }
        self.stored = bytes;
        Ok(())
    }
}

pub(crate) fn issued(access: &str, refresh: Option<&str>) -> Response {
    let refresh = refresh.map(|token| format!(r#","refresh_token":"{token}""#)).unwrap_or_default();
    reply(200, &format!(r#"{{"access_token":"{access}","token_type":"Bearer","expires_in":3600{refresh}}}"#))
}

pub(crate) fn reply(status: u16, body: &str) -> Response {
    Response {
        status,
        content_type: Some("application/json".into()),
        retry_after: None,
        dpop_nonce: None,
        body: body.into(),
    }
}

fn kind(action: &Action) -> &'static str {
    match action {
        Action::Lock { .. } => "lock",
        Action::Read => "read",
        Action::Send { .. } => "send",
        Action::Write { .. } => "write",
        Action::Delete { .. } => "delete",
        Action::Wait { .. } => "wait",
    }
}

/// A login with these tokens that ends `millis` from the start of a scenario.
pub(crate) fn credentials(access: &str, refresh: &str, millis: u64, client: Option<Client>) -> Credentials {
    Credentials {
        binding: None,
        access_token: Secret::new(access),
        refresh_token: Some(Secret::new(refresh)).filter(|token| !token.is_empty()),
        expires_at: Timestamp(NOW + millis),
        obtained_at: None,
        scope: None,
        client,
    }
}

/// A code that is ready to be spent.
pub(crate) fn code(client: Client) -> NewLogin {
    let request = Request {
        binding: None,
        url: client.token_endpoint.clone(),
        content_type: "application/x-www-form-urlencoded",
        body: Secret::new("grant_type=authorization_code&code=c1"),
    };
    NewLogin::Code { request, client }
}
