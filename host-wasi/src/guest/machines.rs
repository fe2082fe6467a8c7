//! The interface `credentials`: the core's machines as resources that a step consumes.

use super::login::ExchangeResource;
use super::{Component, convert};
use crate::bindings::exports::kraube::auth::credentials as wit;
use crate::bindings::types::{Error, Now, StoreError};
use kraube_core::credential::{
    Baseline, Forget, Forgotten, Install, Installed, NewLogin, Obtain, Outcome, Ready, Revoked, Settle, Unsaved, Via,
    Wanted,
};
use kraube_core::machine::{Action, Blob, Input, Locked, Machine, Step};
use kraube_core::policy::Policy;
use kraube_core::record::{Credentials, LoginId, RunId};
use kraube_core::secret::Secret;
use kraube_core::status::{State, status};
use kraube_core::time::{Millis, Timestamp};

/// A machine, and what was kept when it began: how it ends decides what is kept then.
pub(crate) struct Resource<M> {
    machine: M,
    kept: Option<Unsaved>,
}

/// New tokens that are not stored.
pub(crate) struct UnsavedResource(Unsaved);

impl wit::Guest for Component {
    type Unsaved = UnsavedResource;
    type Obtain = Resource<Obtain>;
    type Install = Resource<Install>;
    type Forget = Resource<Forget>;

    fn revision_of(bytes: Vec<u8>) -> String {
        Blob::new(bytes).revision().to_string()
    }

    fn record_of(tokens: wit::LoginTokens) -> Result<Vec<u8>, Error> {
        Ok(credentials(tokens)?.to_blob().bytes().to_vec())
    }

    fn margin(
        expires_at: u64,
        obtained_at: Option<u64>,
        min_valid: u64,
        policy: Vec<(wit::Figure, u64)>,
        now: u64,
    ) -> u64 {
        let (expires_at, obtained_at) = (Timestamp(expires_at), obtained_at.map(Timestamp));
        figures(policy).margin_of(expires_at, obtained_at, Millis(min_valid), Timestamp(now)).0
    }

    fn is_fresh(
        expires_at: u64,
        obtained_at: Option<u64>,
        min_valid: u64,
        policy: Vec<(wit::Figure, u64)>,
        now: u64,
    ) -> bool {
        let (expires_at, obtained_at) = (Timestamp(expires_at), obtained_at.map(Timestamp));
        figures(policy).is_fresh(expires_at, obtained_at, Millis(min_valid), Timestamp(now))
    }

    fn status(
        read: Result<Option<Vec<u8>>, StoreError>,
        policy: Vec<(wit::Figure, u64)>,
        now: u64,
    ) -> wit::StatusReport {
        let told = status(stored(read), &figures(policy), Timestamp(now));
        wit::StatusReport {
            state: told.state.code().into(),
            reason: reason(&told.state),
            expires_at: told.expires_at.map(|at| at.0),
            obtained_at: told.obtained_at.map(|at| at.0),
            retry_at: told.retry_at.map(|at| at.0),
            refreshable: told.refreshable,
            login: told.login.map(|login| login.0),
            scope: told.scope,
            client: told.client.map(convert::client_out),
        }
    }
}

impl wit::GuestUnsaved for UnsavedResource {
    fn ready(&self) -> Option<wit::Ready> {
        self.0.ready.clone().map(ready)
    }

    fn cause(&self) -> StoreError {
        convert::store_error(self.0.cause.clone())
    }
}

impl wit::GuestObtain for Resource<Obtain> {
    fn start(
        wanted: wit::Wanted,
        policy: Vec<(wit::Figure, u64)>,
        run: u64,
        kept: Option<wit::Unsaved>,
        now: Now,
    ) -> wit::ObtainStep {
        let (policy, run, now, kept) = (figures(policy), RunId(run), convert::now(now), taken(kept));
        let default_client = match wanted.default_client.map(convert::client).transpose() {
            Ok(client) => client,
            Err(error) => return wit::ObtainStep::Done(wit::Obtained { outcome: Err(error), kept: given_back(kept) }),
        };
        let wanted = Wanted {
            bound: false,
            min_valid: Millis(wanted.min_valid),
            rejected: wanted.rejected.map(|token| Secret::new(token).fingerprint()),
            baseline: match wanted.baseline {
                wit::Baseline::FirstRead => Baseline::FirstRead,
                wit::Baseline::Login(login) => Baseline::Login(login.map(LoginId)),
            },
            default_client,
        };
        let step = match kept.clone() {
            None => Obtain::start(wanted, policy, run, now),
            Some(unsaved) => Obtain::start_unsaved(wanted, policy, run, unsaved, now),
        };
        obtain_step(step, kept)
    }

    fn step(machine: wit::Obtain, input: wit::Input, now: Now) -> wit::ObtainStep {
        let Self { machine, kept } = machine.into_inner();
        obtain_step(machine.step(self::input(input), convert::now(now)), kept)
    }

    fn living(&self, now: Now) -> Option<wit::Ready> {
        self.machine.living(convert::now(now)).map(ready)
    }

    fn awaits(&self) -> String {
        self.machine.awaits().into()
    }
}

impl wit::GuestInstall for Resource<Install> {
    fn start(
        new: wit::NewLogin,
        login: String,
        policy: Vec<(wit::Figure, u64)>,
        kept: Option<wit::Unsaved>,
    ) -> wit::InstallStep {
        let kept = taken(kept);
        match new_login(new) {
            Ok(new) => install_step(Install::start(new, LoginId(login), figures(policy)), kept),
            Err(error) => wit::InstallStep::Done(wit::Installed { outcome: Err(error), kept: given_back(kept) }),
        }
    }

    fn step(machine: wit::Install, input: wit::Input, now: Now) -> wit::InstallStep {
        let Self { machine, kept } = machine.into_inner();
        install_step(machine.step(self::input(input), convert::now(now)), kept)
    }

    fn awaits(&self) -> String {
        self.machine.awaits().into()
    }
}

impl wit::GuestForget for Resource<Forget> {
    fn start(revoke: bool, policy: Vec<(wit::Figure, u64)>, kept: Option<wit::Unsaved>) -> wit::ForgetStep {
        let kept = taken(kept);
        forget_step(Forget::start(revoke, figures(policy), kept.clone()), kept)
    }

    fn step(machine: wit::Forget, input: wit::Input, now: Now) -> wit::ForgetStep {
        let Self { machine, kept } = machine.into_inner();
        forget_step(machine.step(self::input(input), convert::now(now)), kept)
    }

    fn awaits(&self) -> String {
        self.machine.awaits().into()
    }
}

fn obtain_step(step: Step<Obtain, Outcome>, kept: Option<Unsaved>) -> wit::ObtainStep {
    let outcome = match step {
        Step::Continue(machine, action) => {
            let machine = wit::Obtain::new(Resource { machine, kept });
            return wit::ObtainStep::Perform((machine, self::action(action)));
        }
        Step::Done(outcome) => outcome,
    };
    let kept = leave(&outcome, kept);
    let outcome = match outcome {
        Outcome::Ready(token) => Ok(ready(*token)),
        Outcome::Unsaved(unsaved) => unsaved.ready.clone().map(ready).ok_or_else(|| convert::unsaved(&unsaved)),
        Outcome::Failed(failure) => Err(convert::detailed(convert::failure(&failure), &failure)),
        _ => Err(convert::unknown()),
    };
    wit::ObtainStep::Done(wit::Obtained { outcome, kept })
}

fn install_step(step: Step<Install, Installed>, kept: Option<Unsaved>) -> wit::InstallStep {
    let installed = match step {
        Step::Continue(machine, action) => {
            let machine = wit::Install::new(Resource { machine, kept });
            return wit::InstallStep::Perform((machine, self::action(action)));
        }
        Step::Done(installed) => installed,
    };
    let kept = leave(&installed, kept);
    let outcome =
        installed.map(login_tokens).map_err(|error| convert::detailed(convert::install_error(&error), &error));
    wit::InstallStep::Done(wit::Installed { outcome, kept })
}

fn forget_step(step: Step<Forget, Forgotten>, kept: Option<Unsaved>) -> wit::ForgetStep {
    let forgotten = match step {
        Step::Continue(machine, action) => {
            let machine = wit::Forget::new(Resource { machine, kept });
            return wit::ForgetStep::Perform((machine, self::action(action)));
        }
        Step::Done(forgotten) => forgotten,
    };
    let kept = leave(&forgotten, kept);
    let (outcome, revoked) = match forgotten {
        Forgotten::NothingStored => (wit::Deletion::NothingStored, Revoked::NotAsked),
        Forgotten::Deleted { revoked } => (wit::Deletion::Deleted, revoked),
        Forgotten::AnotherLogin { revoked } => (wit::Deletion::AnotherLogin, revoked),
        Forgotten::StillStored { revoked, cause } => {
            (wit::Deletion::StillStored(cause.map(convert::store_error)), revoked)
        }
        Forgotten::Misuse(awaited) => (wit::Deletion::Misuse(awaited.into()), Revoked::NotAsked),
        _ => (wit::Deletion::Misuse("an end that this version does not know".into()), Revoked::NotAsked),
    };
    let revoked = match revoked {
        Revoked::Yes => Some(Ok(())),
        Revoked::NotAsked => None,
        Revoked::Unconfirmed(detail) => Some(Err(detail)),
    };
    wit::ForgetStep::Done(wit::Forgotten { outcome, revoked, kept })
}

fn reason(state: &State) -> Option<String> {
    match state {
        State::Refused(refusal) => Some(refusal.code().into()),
        State::Corrupt(error) => Some(error.to_string()),
        State::Unreadable(error) => Some(error.detail.clone()),
        _ => None,
    }
}

fn ready(ready: Ready) -> wit::Ready {
    let obtained_at = ready.obtained_at.map(|at| at.0);
    let via = match ready.via {
        Via::Store => wit::Via::Store,
        Via::Exchange => wit::Via::Exchange,
    };
    wit::Ready { token: convert::token(ready), obtained_at, via }
}

fn taken(kept: Option<wit::Unsaved>) -> Option<Unsaved> {
    kept.map(|unsaved| unsaved.into_inner::<UnsavedResource>().0)
}

fn leave(outcome: &impl Settle, before: Option<Unsaved>) -> Option<wit::Unsaved> {
    given_back(outcome.keep(before))
}

fn given_back(kept: Option<Unsaved>) -> Option<wit::Unsaved> {
    kept.map(|unsaved| wit::Unsaved::new(UnsavedResource(unsaved)))
}

fn action(action: Action) -> wit::Action {
    match action {
        Action::Lock { wait, seen } => {
            wit::Action::Lock(wit::Lock { wait: wait.0, seen: seen.map(|revision| revision.to_string()) })
        }
        Action::Read => wit::Action::Read,
        Action::Send { request, holds } => {
            let holds = holds.map(|revision| revision.to_string());
            wit::Action::Send(wit::Send { request: convert::request(request), holds })
        }
        Action::Write { replaces, blob, reserve } => wit::Action::Write(wit::Write {
            replaces: replaces.map(|revision| revision.to_string()),
            new: blob.bytes().to_vec(),
            reserve: reserve as u64,
        }),
        Action::Delete { replaces } => wit::Action::Delete(replaces.to_string()),
        Action::Wait { time } => wit::Action::Wait(time.0),
    }
}

fn input(input: wit::Input) -> Input {
    match input {
        wit::Input::Locked(locked) => Input::Locked(match locked {
            wit::Locked::Held => Locked::Held,
            wit::Locked::Changed => Locked::Changed,
            wit::Locked::TimedOut => Locked::TimedOut,
            wit::Locked::Unsupported(error) => Locked::Unsupported(convert::store_error_in(error)),
        }),
        wit::Input::Read(read) => Input::Read(stored(read)),
        wit::Input::Replied(replied) => Input::Replied(replied.map(convert::response).map_err(convert::send_error)),
        wit::Input::Wrote(wrote) => Input::Wrote(wrote.map_err(convert::write_error_in)),
        wit::Input::Deleted(deleted) => Input::Deleted(deleted.map_err(convert::write_error_in)),
        wit::Input::Woke => Input::Woke,
    }
}

fn stored(read: Result<Option<Vec<u8>>, StoreError>) -> Result<Option<Blob>, kraube_core::machine::StoreError> {
    read.map(|blob| blob.map(Blob::new)).map_err(convert::store_error_in)
}

fn new_login(new: wit::NewLogin) -> Result<NewLogin, Error> {
    Ok(match new {
        wit::NewLogin::Code(exchange) => {
            let ExchangeResource(exchange) = exchange.into_inner();
            let (client, request) = exchange.request();
            NewLogin::Code { request, client }
        }
        wit::NewLogin::Request((request, client)) => {
            NewLogin::Code { request: convert::request_in(request)?, client: convert::client(client)? }
        }
        wit::NewLogin::Tokens(tokens) => NewLogin::Credentials(credentials(tokens)?),
    })
}

fn credentials(tokens: wit::LoginTokens) -> Result<Credentials, Error> {
    Ok(Credentials {
        binding: None,
        access_token: Secret::new(tokens.access_token),
        refresh_token: tokens.refresh_token.map(Secret::new),
        expires_at: Timestamp(tokens.expires_at),
        obtained_at: tokens.obtained_at.map(Timestamp),
        scope: tokens.scope,
        client: tokens.client.map(convert::client).transpose()?,
    })
}

fn login_tokens(credentials: Credentials) -> wit::LoginTokens {
    wit::LoginTokens {
        access_token: credentials.access_token.expose().into(),
        refresh_token: credentials.refresh_token.map(|token| token.expose().into()),
        expires_at: credentials.expires_at.0,
        obtained_at: credentials.obtained_at.map(|at| at.0),
        scope: credentials.scope,
        client: credentials.client.map(convert::client_out),
    }
}

fn figures(given: Vec<(wit::Figure, u64)>) -> Policy {
    let mut policy = Policy::default();
    for (figure, value) in given {
        let times = u8::try_from(value).unwrap_or(u8::MAX);
        match figure {
            wit::Figure::Margin => policy.margin = Millis(value),
            wit::Figure::Deadline => policy.deadline = Millis(value),
            wit::Figure::Patience => policy.patience = Millis(value),
            wit::Figure::Settle => policy.settle = Millis(value),
            wit::Figure::TornPause => policy.torn_pause = Millis(value),
            wit::Figure::TornTries => policy.torn_tries = times,
            wit::Figure::Returns => policy.returns = times,
            wit::Figure::RejectFloor => policy.reject_floor = Millis(value),
            wit::Figure::Resends => policy.resends = times,
            wit::Figure::ResendPause => policy.resend_pause = Millis(value),
            wit::Figure::ResendWindow => policy.resend_window = Millis(value),
            wit::Figure::SavePause => policy.save_pause = Millis(value),
            wit::Figure::SaveTime => policy.save_time = Millis(value),
            wit::Figure::UnreachablePause => policy.unreachable_pause = Millis(value),
            wit::Figure::BackoffFirst => policy.backoff_first = Millis(value),
            wit::Figure::BackoffMax => policy.backoff_max = Millis(value),
        }
    }
    policy
}
