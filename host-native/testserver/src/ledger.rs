//! The judge: which codes and tokens exist, which are spent, and what a request for them leads to. No I/O.

use crate::canary::{Canaries, Canary};
use crate::config::{Config, Fault, Shape};
use crate::device::{self, Devices};
use crate::dpop::{Fits, Proofs};
use crate::observe::{Counters, Event};
use crate::params::Params;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

/// Everything that the server knows.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) config: Config,
    pub(crate) counters: Counters,
    pub(crate) canaries: Canaries,
    /// Request targets with a query.
    pub(crate) targets: Vec<String>,
    faults: VecDeque<Fault>,
    listeners: Vec<mpsc::Sender<Event>>,
    pub(crate) devices: Devices,
    pub(crate) proofs: Proofs,
    codes: HashMap<String, Code>,
    families: Vec<Family>,
    refresh_tokens: HashMap<String, RefreshToken>,
    access_tokens: HashMap<String, AccessToken>,
}

/// An authorization request that was found correct.
#[derive(Clone)]
pub(crate) struct AuthorizationRequest {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    pub(crate) challenge: String,
    pub(crate) scope: Option<String>,
}

/// What a token request was granted.
pub(crate) struct Granted {
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
    pub(crate) scope: Option<String>,
    /// Whether the tokens are bound to a key.
    pub(crate) bound: bool,
}

/// An error of the token or the revocation endpoint (RFC 6749 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) error: &'static str,
    pub(crate) description: &'static str,
    /// Whether a refresh token was refused.
    pub(crate) refresh: bool,
}

impl Refused {
    pub(crate) const fn new(error: &'static str, description: &'static str) -> Self {
        Self { error, description, refresh: false }
    }

    pub(crate) const fn grant(description: &'static str) -> Self {
        Self::new("invalid_grant", description)
    }

    pub(crate) const fn request(description: &'static str) -> Self {
        Self::new("invalid_request", description)
    }
}

struct Code {
    request: AuthorizationRequest,
    issued: Instant,
    /// What became of it when it was presented; the family, if tokens were issued for it.
    presented: Option<Option<usize>>,
}

struct Family {
    /// Any, for a login that the program took out itself.
    client_id: Option<String>,
    scope: Option<String>,
    /// The thumbprint of the key that its tokens are bound to.
    key: Option<String>,
    alive: bool,
    current: u64,
    /// The generation that a rotation replaced last, and when.
    previous: Option<(u64, Instant)>,
    in_flight: u32,
}

#[derive(Clone, Copy)]
struct RefreshToken {
    family: usize,
    generation: u64,
}

struct AccessToken {
    family: usize,
    issued: Instant,
    revoked: bool,
}

impl Ledger {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, ..Self::default() }
    }

    pub(crate) fn listen(&mut self) -> Receiver<Event> {
        let (sender, receiver) = mpsc::channel();
        self.listeners.push(sender);
        receiver
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.listeners.retain(|listener| listener.send(event).is_ok());
    }

    pub(crate) fn inject(&mut self, fault: Fault) {
        if fault.times > 0 {
            self.faults.push_back(fault);
        }
    }

    pub(crate) fn next_fault(&mut self) -> Option<Fault> {
        let fault = self.faults.front_mut()?;
        fault.times -= 1;
        let fault = fault.clone();
        if fault.times == 0 {
            self.faults.pop_front();
        }
        Some(fault)
    }

    pub(crate) fn issue_code(&mut self, request: AuthorizationRequest) -> String {
        let code = random("kr_code_", 0);
        self.canaries.note(Canary::Code, &code);
        request.state.iter().for_each(|state| self.canaries.note(Canary::State, state));
        self.codes.insert(code.clone(), Code { request, issued: Instant::now(), presented: None });
        self.counters.authorizations += 1;
        code
    }

    /// Starts a family. The pair is its number and its tokens.
    pub(crate) fn issue_login(
        &mut self,
        client_id: Option<String>,
        scope: Option<String>,
        key: Option<String>,
    ) -> (usize, Granted) {
        let bound = key.is_some();
        let family = self.families.len();
        self.families.push(Family {
            client_id,
            scope: scope.clone(),
            key,
            alive: true,
            current: 0,
            previous: None,
            in_flight: 0,
        });
        self.tell(Event::Issued { family: family as u64 });
        let refresh_token = Some(self.new_refresh_token(family, 0));
        (family, Granted { access_token: self.new_access_token(family), refresh_token, scope, bound })
    }

    /// Notes the arrival of a token request. The family is that of its refresh token.
    pub(crate) fn arrived(&mut self, params: Option<&Params>) -> Option<usize> {
        self.counters.token_requests += 1;
        let refresh = params.filter(|params| params.get("grant_type") == Some("refresh_token"));
        self.counters.refresh_requests += u64::from(refresh.is_some());
        let known = refresh.and_then(|params| self.refresh_tokens.get(params.get("refresh_token")?)).copied();
        self.tell(Event::TokenRequest { family: known.map(|token| token.family as u64) });
        let family = known?.family;
        let in_flight = &mut self.families.get_mut(family)?.in_flight;
        *in_flight += 1;
        self.counters.in_flight_max = self.counters.in_flight_max.max(*in_flight);
        Some(family)
    }

    /// The request that [`Ledger::arrived`] found a family for is answered, or its client has gone.
    pub(crate) fn left(&mut self, family: usize) {
        if let Some(family) = self.families.get_mut(family) {
            family.in_flight -= 1;
        }
    }

    /// The key that a request proves. `proof`: its `DPoP` header fields.
    pub(crate) fn prove(
        &mut self,
        proof: &[String],
        method: &str,
        url: &str,
        access_token: Option<&str>,
    ) -> Result<Option<String>, Refused> {
        let proof = match proof {
            [] => return Ok(None),
            [proof] => proof,
            _ => return Err(Refused::new("invalid_dpop_proof", "there is more than one proof")),
        };
        let fits = Fits { method, url, access_token, uses: self.config.dpop_nonce_uses };
        let verified = self.proofs.verify(proof, &fits);
        match &verified {
            Ok(_) => self.counters.proofs += 1,
            Err(Refused { error: "use_dpop_nonce", .. }) => self.counters.nonces_asked += 1,
            Err(_) => self.counters.proofs_refused += 1,
        }
        verified.map(Some)
    }

    /// A token request takes effect. `key`: what its proof has shown.
    pub(crate) fn redeem(
        &mut self,
        params: Result<Params, Refused>,
        key: Result<Option<String>, Refused>,
    ) -> Result<Granted, Refused> {
        let result = params.and_then(|params| {
            let client_id = self.client(&params)?;
            let key = key?;
            if self.config.dpop && key.is_none() {
                return Err(Refused::new("invalid_dpop_proof", "this server binds tokens to keys"));
            }
            match params.get("grant_type") {
                Some("authorization_code") => self.redeem_code(&client_id, &params, key),
                Some("refresh_token") => self.redeem_refresh_token(&client_id, &params, key),
                Some(device::GRANT_TYPE) => self.redeem_device_code(&client_id, &params, key),
                Some(_) => Err(Refused::new("unsupported_grant_type", "this server has no such grant")),
                None => Err(Refused::request("grant_type is missing")),
            }
        });
        self.counters.refused += u64::from(result.is_err());
        result
    }

    /// A revocation request takes effect (RFC 7009 section 2.1).
    pub(crate) fn revoke(&mut self, params: &Params) -> Result<(), Refused> {
        let client_id = self.client(params)?;
        let token = params.get("token").ok_or(Refused::request("token is missing"))?;
        let refresh = self.refresh_tokens.get(token).map(|token| token.family);
        let family = refresh.or_else(|| self.access_tokens.get(token).map(|token| token.family));
        if let Some(family) = family {
            if !self.belongs(family, &client_id) {
                return Err(Refused::grant("the token was issued to another client"));
            }
            match self.access_tokens.get_mut(token) {
                Some(access) => access.revoked = true,
                None => self.end_family(family),
            }
        }
        self.counters.revocations += 1;
        Ok(())
    }

    /// `key`: what the proof of the request has shown. A token that is bound to a key is of no use without it.
    pub(crate) fn resource(&mut self, access_token: Option<&str>, key: Option<&str>) -> bool {
        let life = self.config.access_life;
        let live = access_token.and_then(|token| self.access_tokens.get(token)).is_some_and(|token| {
            let family = self.families.get(token.family);
            let fits = family.is_some_and(|family| family.alive && family.key.as_deref() == key);
            !token.revoked && token.issued.elapsed() < life && fits
        });
        *(if live { &mut self.counters.resource_ok } else { &mut self.counters.resource_401 }) += 1;
        live
    }

    pub(crate) fn expire_access_tokens(&mut self) {
        self.access_tokens.values_mut().for_each(|token| token.revoked = true);
    }

    pub(crate) fn revoke_all(&mut self) {
        (0..self.families.len()).for_each(|family| self.end_family(family));
    }

    /// Whether this is the refresh token that a client has to present next.
    pub(crate) fn is_current(&self, refresh_token: &str) -> bool {
        self.refresh_tokens.get(refresh_token).is_some_and(|token| {
            self.families.get(token.family).is_some_and(|f| f.alive && f.current == token.generation)
        })
    }

    pub(crate) fn is_registered(&self, client_id: &str) -> bool {
        self.config.client_ids.as_ref().is_none_or(|known| known.iter().any(|id| id == client_id))
    }

    pub(crate) fn client(&self, params: &Params) -> Result<String, Refused> {
        let id = params.get("client_id").ok_or(Refused::new("invalid_client", "client_id is missing"))?;
        match self.is_registered(id) {
            true => Ok(id.to_owned()),
            false => Err(Refused::new("invalid_client", "client_id is not registered")),
        }
    }

    fn redeem_code(&mut self, client_id: &str, params: &Params, key: Option<String>) -> Result<Granted, Refused> {
        let presented = params.get("code").ok_or(Refused::request("code is missing"))?;
        let verifier = params.get("code_verifier").ok_or(Refused::request("code_verifier is missing (RFC 7636)"))?;
        let redirect_uri = params.get("redirect_uri").ok_or(Refused::request("redirect_uri is missing"))?;
        if !is_verifier(verifier) {
            return Err(Refused::request("code_verifier is not 43 to 128 unreserved characters"));
        }
        self.canaries.note(Canary::Verifier, verifier);
        let code_life = self.config.code_life;
        let code = self.codes.get_mut(presented).ok_or(Refused::grant("the code was not issued here"))?;
        if let Some(family) = code.presented {
            if let Some(family) = family {
                self.end_family(family);
            }
            return Err(Refused::grant("the code was presented before; what it issued is revoked"));
        }
        // Spent by the first attempt, right or wrong: a verifier cannot be guessed.
        code.presented = Some(None);
        let request = code.request.clone();
        let refusal = if code.issued.elapsed() >= code_life {
            Some(Refused::grant("the code has expired"))
        } else if request.client_id != client_id {
            Some(Refused::grant("the code was issued to another client"))
        } else if request.redirect_uri != redirect_uri {
            Some(Refused::grant("redirect_uri differs from the one in the authorization request"))
        } else if request.challenge != challenge(verifier) {
            Some(Refused::grant("code_verifier does not match the code_challenge"))
        } else if self.config.shape == Shape::Claude && params.get("state") != request.state.as_deref() {
            Some(Refused::request("state differs from the one in the authorization request"))
        } else {
            None
        };
        if let Some(refused) = refusal {
            return Err(refused);
        }
        let (family, granted) = self.issue_login(Some(request.client_id), request.scope, key);
        if let Some(code) = self.codes.get_mut(presented) {
            code.presented = Some(Some(family));
        }
        self.counters.codes_redeemed += 1;
        Ok(granted)
    }

    fn redeem_device_code(
        &mut self,
        client_id: &str,
        params: &Params,
        key: Option<String>,
    ) -> Result<Granted, Refused> {
        let presented = params.get("device_code").ok_or(Refused::request("device_code is missing"))?;
        let agreed = self.devices.poll(&self.config, client_id, presented)?;
        self.counters.codes_redeemed += 1;
        Ok(self.issue_login(Some(agreed.client_id), agreed.scope, key).1)
    }

    fn redeem_refresh_token(
        &mut self,
        client_id: &str,
        params: &Params,
        key: Option<String>,
    ) -> Result<Granted, Refused> {
        let presented = params.get("refresh_token").ok_or(Refused::request("refresh_token is missing"))?;
        let known = self.refresh_tokens.get(presented).copied();
        let result = match known {
            Some(token) => self.rotate(token, client_id, params.get("scope"), key),
            None => Err(Refused::grant("the refresh token was not issued here")),
        };
        result.map_err(|refused| {
            self.tell(Event::RefreshRefused { family: known.map(|token| token.family as u64) });
            Refused { refresh: refused.error == "invalid_grant", ..refused }
        })
    }

    fn rotate(
        &mut self,
        token: RefreshToken,
        client_id: &str,
        scope: Option<&str>,
        key: Option<String>,
    ) -> Result<Granted, Refused> {
        let RefreshToken { family: number, generation } = token;
        if !self.belongs(number, client_id) {
            return Err(Refused::grant("the refresh token was issued to another client"));
        }
        let (grace, rotates) = (self.config.grace.unwrap_or_default(), self.config.rotate);
        let Some(family) = self.families.get_mut(number) else {
            return Err(Refused::grant("the refresh token was not issued here"));
        };
        // Before the token is judged: who has no key must not end the login of who has it.
        if family.key != key {
            return Err(Refused::grant("the refresh token is bound to another key, or to none"));
        }
        let bound = key.is_some();
        let current = generation == family.current;
        let spent_for = family.previous.filter(|(old, _)| *old == generation).map(|(_, at)| at.elapsed());
        let in_grace = spent_for.is_some_and(|spent_for| spent_for < grace);
        let spent_for = u64::try_from(spent_for.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
        self.counters.spent_for_max = self.counters.spent_for_max.max(spent_for);
        if !current && !in_grace {
            self.counters.replays += 1;
            self.tell(Event::Replay { family: number as u64, generation });
            self.end_family(number);
            return Err(Refused::grant("the refresh token is spent; its family is revoked"));
        }
        if !family.alive {
            return Err(Refused::grant("the refresh token is revoked"));
        }
        // A narrower scope holds for this access token alone (RFC 6749 section 6).
        let granted = family.scope.clone();
        if !scope.unwrap_or_default().split(' ').all(|one| one.is_empty() || holds(granted.as_deref(), one)) {
            return Err(Refused::new("invalid_scope", "scope exceeds what was granted"));
        }
        let scope = scope.map(str::to_owned).or(granted);
        if !rotates {
            self.tell(Event::RefreshCommitted { family: number as u64, generation });
            return Ok(Granted { access_token: self.new_access_token(number), refresh_token: None, scope, bound });
        }
        if current {
            family.previous = Some((generation, Instant::now()));
        }
        family.current += 1;
        let next = family.current;
        if current {
            self.counters.rotations += 1;
            self.tell(Event::RefreshCommitted { family: number as u64, generation: next });
        } else {
            self.counters.grace_retries += 1;
            self.tell(Event::GraceRetry { family: number as u64, generation: next });
        }
        let refresh_token = Some(self.new_refresh_token(number, next));
        Ok(Granted { access_token: self.new_access_token(number), refresh_token, scope, bound })
    }

    fn belongs(&self, family: usize, client_id: &str) -> bool {
        let owner = self.families.get(family).and_then(|family| family.client_id.as_deref());
        owner.is_none_or(|owner| owner == client_id)
    }

    fn end_family(&mut self, number: usize) {
        if let Some(family) = self.families.get_mut(number).filter(|family| family.alive) {
            family.alive = false;
            self.counters.families_revoked += 1;
            self.tell(Event::FamilyRevoked { family: number as u64 });
        }
    }

    fn new_refresh_token(&mut self, family: usize, generation: u64) -> String {
        let token = random("kr_rt_", self.config.token_size);
        self.canaries.note(Canary::RefreshToken, &token);
        self.refresh_tokens.insert(token.clone(), RefreshToken { family, generation });
        token
    }

    fn new_access_token(&mut self, family: usize) -> String {
        let token = random("kr_at_", self.config.token_size);
        self.canaries.note(Canary::AccessToken, &token);
        self.access_tokens.insert(token.clone(), AccessToken { family, issued: Instant::now(), revoked: false });
        token
    }
}

/// A verifier's S256 challenge (RFC 7636 section 4.2).
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

fn is_verifier(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

fn holds(granted: Option<&str>, scope: &str) -> bool {
    granted.is_some_and(|granted| granted.split(' ').any(|one| one == scope))
}

pub(crate) fn random(prefix: &str, size: usize) -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes");
    let mut token = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes));
    token.extend(std::iter::repeat_n('x', size.saturating_sub(token.len())));
    token
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_challenge_of_rfc_7636_appendix_b() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(is_verifier(verifier) && !is_verifier(&verifier[1..]) && !is_verifier(&verifier.replace('-', "+")));
    }

    #[test]
    fn a_retry_does_not_prolong_the_grace() {
        let config = Config { grace: Some(Duration::from_secs(3600)), ..Config::default() };
        let mut ledger = Ledger::new(config);
        let first = ledger.issue_login(None, None, None).1.refresh_token.expect("a refresh token");
        let mut refresh = || {
            let body = format!("grant_type=refresh_token&client_id=client&refresh_token={first}");
            let granted = ledger.redeem(Ok(Params::form(body.as_bytes())), Ok(None));
            (granted.is_ok(), ledger.families.first().and_then(|family| family.previous))
        };
        let (rotated, retried) = (refresh(), refresh());
        assert!(rotated.0 && retried.0);
        assert_eq!(rotated.1, retried.1, "the grace counts from the rotation");
    }

    #[test]
    fn padding_keeps_prefix_and_randomness() {
        let (a, b) = (random("kr_rt_", 100), random("kr_rt_", 100));
        assert_eq!((a.len(), b.len()), (100, 100));
        assert!(a.starts_with("kr_rt_") && a != b);
    }
}
