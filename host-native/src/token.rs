//! The access token as a program holds it.

use crate::drive::timestamp;
use crate::worker::Ask;
use arc_swap::{ArcSwap, Guard};
use kraube_core::credential::{Failure, Ready};
use kraube_core::dpop::Binding;
use kraube_core::policy::Policy;
use kraube_core::record::LoginId;
use kraube_core::secret::{Fingerprint, Secret};
use kraube_core::time::{Millis, Now, Timestamp};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// A living access token. `Debug` does not show it, and there is no `Display`: [`expose`](Token::expose) it where it
/// belongs.
pub struct Token {
    live: Guard<Arc<Live>>,
    min_valid: Millis,
}

impl Token {
    pub(crate) fn new(live: Arc<Live>) -> Self {
        Self::from_guard(Guard::from_inner(live))
    }

    pub(crate) fn from_guard(live: Guard<Arc<Live>>) -> Self {
        Self { live, min_valid: Millis::ZERO }
    }

    /// For how long the caller has asked it to live; one run serves callers who ask for different times.
    pub(crate) fn asked(self, min_valid: Millis) -> Self {
        Self { min_valid, ..self }
    }

    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// The token itself.
    pub fn expose(&self) -> &str {
        self.live.access_token.expose()
    }

    /// The value of the `Authorization` header (RFC 6750 section 2.1; RFC 9449 section 7.1).
    pub fn authorization(&self) -> String {
        format!("{} {}", self.token_type(), self.expose())
    }

    /// `Bearer`, or `DPoP` where it [is bound](Self::is_bound).
    pub fn token_type(&self) -> &'static str {
        if self.is_bound() { "DPoP" } else { "Bearer" }
    }

    /// Whether it is bound to a key (DPoP, RFC 9449): each request with it needs a proof. Only
    /// [`authorize`](crate::TokenSource::authorize) gives such tokens.
    pub fn is_bound(&self) -> bool {
        self.live.binding.is_some()
    }

    /// When it expires.
    pub fn expires_at(&self) -> SystemTime {
        // The file may say any number, and how far a system's clock reaches differs.
        let year_9999 = Duration::from_secs(253_402_300_799);
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.live.expires_at.0).min(year_9999)
    }

    /// Identifies the login that it belongs to; `None` where another program wrote the credentials.
    pub fn login(&self) -> Option<&str> {
        self.live.login.as_ref().map(|login| login.0.as_str())
    }

    /// The granted scope, where the server named it.
    pub fn scope(&self) -> Option<&str> {
        self.live.scope.as_deref()
    }

    /// Why it was not refreshed although that was due. It lives, but nothing better is to be had at the moment.
    pub fn stale(&self) -> Option<&Failure> {
        self.live.stale.as_ref()
    }

    /// Whether less than the asked [`min_valid`](crate::TokenSource::min_valid) is left of it by now.
    pub fn is_short(&self) -> bool {
        self.live.expires_at.since(timestamp(SystemTime::now())) < self.min_valid
    }

    /// Whether it answers what a caller asks.
    pub(crate) fn serves(&self, ask: &Ask, policy: &Policy, now: Now) -> bool {
        let Live { expires_at, obtained_at, .. } = self.live();
        policy.is_fresh(*expires_at, *obtained_at, ask.min_valid, now.wall) && self.suits(ask)
    }

    /// A token that is bound to a key is of use to those alone who make proofs.
    pub(crate) fn is_of_use(&self, makes_proofs: bool) -> bool {
        makes_proofs || !self.is_bound()
    }

    /// Whether it is of the login that a caller stays with, and not the one that was rejected.
    pub(crate) fn suits(&self, ask: &Ask) -> bool {
        let mine = ask.baseline.admits(self.live.login.as_ref());
        self.is_of_use(ask.bound) && mine && Some(self.live.access_token.fingerprint()) != ask.rejected
    }
}

impl Clone for Token {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.live)).asked(self.min_valid)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires_at", &self.live.expires_at).finish_non_exhaustive()
    }
}

/// The token that callers find without a run, and the one that a resource has rejected, which does not come back.
pub(crate) struct Memory {
    live: ArcSwap<Live>,
    rejected: Mutex<Rejected>,
}

#[derive(Default)]
struct Rejected {
    last: Option<Fingerprint>,
    /// The token that the living one came after; where none lives, the one that the rejected one came after.
    before: Option<Fingerprint>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self { live: ArcSwap::from_pointee(Live::none()), rejected: Mutex::default() }
    }

    pub(crate) fn load(&self) -> Guard<Arc<Live>> {
        self.live.load()
    }

    pub(crate) fn load_full(&self) -> Arc<Live> {
        self.live.load_full()
    }

    pub(crate) fn rejected(&self) -> Option<Fingerprint> {
        self.lock().last
    }

    /// Takes a token out. An older one than the newest is passed over. One that is not known is none of these: it was served
    /// while a run was under way.
    pub(crate) fn reject(&self, token: &Secret) {
        let mut rejected = self.lock();
        let (live, token) = (self.live.load(), Some(token.fingerprint()));
        if !live.is_none() {
            if token != Some(live.access_token.fingerprint()) {
                return;
            }
        } else if token == rejected.before || token == rejected.last {
            return;
        } else {
            rejected.before = rejected.last;
        }
        rejected.last = token;
        self.live.store(Arc::new(Live::none()));
    }

    /// What a run has brought, unless it was rejected while the run was under way.
    pub(crate) fn keep(&self, live: &Arc<Live>) {
        let mut rejected = self.lock();
        let old = self.live.load();
        let newest = if old.is_none() { rejected.last } else { Some(old.access_token.fingerprint()) };
        let token = Some(live.access_token.fingerprint());
        if token == rejected.last {
            return;
        }
        if token != newest {
            rejected.before = newest;
        }
        self.live.store(Arc::clone(live));
    }

    fn lock(&self) -> MutexGuard<'_, Rejected> {
        self.rejected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One token with all that is known of it.
pub(crate) struct Live {
    pub(crate) access_token: Secret,
    pub(crate) expires_at: Timestamp,
    pub(crate) obtained_at: Option<Timestamp>,
    pub(crate) login: Option<LoginId>,
    pub(crate) scope: Option<String>,
    pub(crate) stale: Option<Failure>,
    pub(crate) binding: Option<Binding>,
}

impl Live {
    /// Nothing, which is never fresh.
    pub(crate) fn none() -> Self {
        Self {
            access_token: Secret::new(""),
            expires_at: Timestamp(0),
            obtained_at: None,
            login: None,
            scope: None,
            stale: None,
            binding: None,
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.access_token.is_empty()
    }
}

impl From<Ready> for Live {
    fn from(ready: Ready) -> Self {
        Self {
            access_token: ready.access_token,
            expires_at: ready.expires_at,
            obtained_at: ready.obtained_at,
            login: ready.login,
            scope: ready.scope,
            stale: ready.stale,
            binding: ready.binding,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(token: &str) -> Arc<Live> {
        Arc::new(Live { access_token: Secret::new(token), ..Live::none() })
    }

    fn reject(memory: &Memory, token: &str) -> bool {
        memory.reject(&Secret::new(token));
        memory.rejected() == Some(Secret::new(token).fingerprint())
    }

    #[test]
    fn a_late_rejection_of_an_older_token_changes_nothing() {
        let memory = Memory::new();
        memory.keep(&live("a0"));
        memory.keep(&live("a1"));
        memory.keep(&live("a1"));
        assert!(!reject(&memory, "a0") && !memory.load().is_none());
        assert!(reject(&memory, "a1") && memory.load().is_none());
        assert!(!reject(&memory, "a0"), "a1 would come back");
        memory.keep(&live("a1"));
        assert!(memory.load().is_none(), "it was rejected while the run was under way");
        memory.keep(&live("a2"));
        memory.reject(&Secret::new("a1"));
        assert!(!memory.load().is_none(), "it is not the newest");
        assert!(reject(&memory, "a2") && memory.load().is_none());
        assert!(!reject(&memory, "a1"), "a2 would come back");
    }

    #[test]
    fn a_token_that_was_served_while_a_run_was_under_way_can_be_rejected() {
        let memory = Memory::new();
        assert!(reject(&memory, "a0"), "it is from elsewhere");
        assert!(reject(&memory, "a1"), "nobody has kept it");
        assert!(reject(&memory, "a1"));
        assert!(!reject(&memory, "a0"), "a1 would come back");
    }
}
