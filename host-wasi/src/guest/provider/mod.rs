//! The world `token-provider`: the interfaces `tokens` and `account`, over the machines. `drive` performs their actions,
//! `http` one of them. What an instance keeps between calls is here.

mod drive;
mod http;

use super::{Component, convert, login};
use crate::bindings::exports::kraube::auth::account::{self, Begun, Exchange, Provider, Redirect};
use crate::bindings::exports::kraube::auth::tokens::{self, Options};
use crate::bindings::kraube::auth::store::{self, Lock};
use crate::bindings::types::{Error, Token};
use drive::{drive, now};
use kraube_core::credential::{
    Failure, Forget, Install, InstallError, NewLogin, Obtain, Outcome, Ready, Settle, Unsaved, Wanted,
};
use kraube_core::pkce::Entropy;
use kraube_core::policy::Policy;
use kraube_core::record::{LoginId, RunId};
use kraube_core::secret::{Fingerprint, Secret};
use kraube_core::time::Millis;
use std::cell::RefCell;
use wasip2::random::random::{get_random_bytes, get_random_u64};

/// What an instance keeps between calls. It is entered by one call at a time.
struct State {
    /// The token that callers find without a run.
    live: Option<Ready>,
    /// The one that a resource has rejected, which does not come back.
    rejected: Option<Fingerprint>,
    /// The token that the newest one came after, whether that lives or is the rejected one.
    before: Option<Fingerprint>,
    /// New tokens that could not be stored, and the lock that keeps everybody else from spending what they replace.
    kept: Option<(Unsaved, Lock)>,
}

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State { live: None, rejected: None, before: None, kept: None }) };
}

impl tokens::Guest for Component {
    fn get_token(options: Options) -> Result<Token, Error> {
        STATE.with_borrow_mut(|state| state.token(Millis(options.min_valid)))
    }

    fn reject(value: String) {
        STATE.with_borrow_mut(|state| state.reject(&Secret::new(value)));
    }
}

impl account::Guest for Component {
    fn begin(provider: Provider, redirect: Redirect) -> Result<Begun, Error> {
        store::probe().map_err(|error| {
            convert::install_error(&InstallError::NoLock { cause: Some(convert::store_error_in(error)) })
        })?;
        let mut bytes = [0; Entropy::LEN];
        bytes.copy_from_slice(&get_random_bytes(Entropy::LEN as u64));
        login::begin(provider, redirect, Entropy::new(bytes))
    }

    fn install(exchange: Exchange) -> Result<(), Error> {
        let login::ExchangeResource(exchange) = exchange.into_inner();
        STATE.with_borrow_mut(|state| state.install(exchange))
    }

    fn forget(revoke: bool) -> Result<bool, Error> {
        STATE.with_borrow_mut(|state| state.forget(revoke))
    }
}

impl State {
    fn token(&mut self, min_valid: Millis) -> Result<Token, Error> {
        let policy = Policy::default();
        let wall = now().wall;
        let fresh = |ready: &Ready| policy.is_fresh(ready.expires_at, ready.obtained_at, min_valid, wall);
        if let Some(ready) = self.live.clone().filter(fresh) {
            return Ok(convert::token(ready));
        }
        let wanted = Wanted { min_valid, rejected: self.rejected, ..Wanted::default() };
        let mut outcome = self.obtain(wanted.clone());
        if let Outcome::Failed(Failure::AccountChanged { .. }) = outcome {
            outcome = self.obtain(wanted);
        }
        let ready = match outcome {
            Outcome::Ready(ready) => *ready,
            Outcome::Unsaved(unsaved) => unsaved.ready.clone().ok_or_else(|| convert::unsaved(&unsaved))?,
            Outcome::Failed(failure) => return Err(convert::failure(&failure)),
            _ => return Err(convert::unknown()),
        };
        let newest = self.live.as_ref().map_or(self.rejected, |live| Some(live.access_token.fingerprint()));
        if newest != Some(ready.access_token.fingerprint()) {
            self.before = newest;
        }
        self.live = Some(ready.clone());
        Ok(convert::token(ready))
    }

    /// One that is not the newest any more is passed over; one that is not known is from elsewhere, and counts.
    fn reject(&mut self, value: &Secret) {
        let token = Some(value.fingerprint());
        match &self.live {
            Some(live) if token == Some(live.access_token.fingerprint()) => {}
            Some(_) => return,
            None if token == self.before || token == self.rejected => return,
            None => self.before = self.rejected,
        }
        self.rejected = token;
        self.live = None;
    }

    fn obtain(&mut self, wanted: Wanted) -> Outcome {
        let (before, guard) = self.kept.take().unzip();
        let (policy, run) = (Policy::default(), RunId(get_random_u64()));
        let step = match before.clone() {
            None => Obtain::start(wanted, policy, run, now()),
            Some(unsaved) => Obtain::start_unsaved(wanted, policy, run, unsaved, now()),
        };
        let (outcome, guard) = drive(guard, step);
        self.keep(&outcome, before, guard);
        outcome
    }

    fn install(&mut self, exchange: kraube_core::login::Exchange) -> Result<(), Error> {
        let (before, guard) = self.kept.take().unzip();
        let (client, request) = exchange.request();
        let login = LoginId(format!("{:016x}", get_random_u64()));
        let step = Install::start(NewLogin::Code { request, client }, login, Policy::default());
        let (installed, guard) = drive(guard, step);
        self.keep(&installed, before, guard);
        self.live = None;
        installed.map(drop).map_err(|error| convert::install_error(&error))
    }

    fn forget(&mut self, revoke: bool) -> Result<bool, Error> {
        let (before, guard) = self.kept.take().unzip();
        let (forgotten, guard) = drive(guard, Forget::start(revoke, Policy::default(), before.clone()));
        self.keep(&forgotten, before, guard);
        self.live = None;
        convert::forgotten(forgotten)
    }

    fn keep(&mut self, outcome: &impl Settle, before: Option<Unsaved>, guard: Option<Lock>) {
        self.kept = outcome.keep(before).zip(guard);
    }
}
