//! The interfaces `pkce` and `login`: the core's legs as resources. What may be done once is consumed.

use super::{Component, convert};
use crate::bindings::exports::kraube::auth::login::{self as wit, Begun, Guest, GuestExchange, GuestPending, Verdict};
use crate::bindings::exports::kraube::auth::pkce::{self, GuestEntropy};
use crate::bindings::types::{Client, Error};
use kraube_core::http::EndpointError;
use kraube_core::login::{Exchange, Login, Pending, Verdict as CoreVerdict, state_in_pasted};
use kraube_core::pkce::{Entropy, Verifier};
use kraube_core::provider::Provider;
use kraube_core::secret::Secret;
use kraube_core::time::Timestamp;
use std::cell::RefCell;

/// The randomness of one attempt.
pub(crate) struct EntropyResource(Entropy);

/// One attempt.
pub(crate) struct PendingResource(RefCell<Pending>);

/// A validated code.
pub(crate) struct ExchangeResource(pub(crate) Exchange);

impl pkce::Guest for Component {
    type Entropy = EntropyResource;

    fn challenge(verifier: String) -> Result<String, Error> {
        let verifier = Verifier::restore(Secret::new(verifier)).ok_or_else(|| {
            convert::invalid("invalid_verifier", "a code verifier has 43 to 128 unreserved characters")
        })?;
        Ok(verifier.challenge())
    }
}

impl GuestEntropy for EntropyResource {
    fn take(bytes: Vec<u8>) -> Result<pkce::Entropy, Error> {
        let bytes = bytes.try_into().map_err(|_| convert::invalid("invalid_entropy", "entropy is 64 random bytes"))?;
        Ok(pkce::Entropy::new(Self(Entropy::new(bytes))))
    }
}

impl Guest for Component {
    type Pending = PendingResource;
    type Exchange = ExchangeResource;

    fn claude(client_id: Option<String>) -> wit::Provider {
        convert::provider_out(Provider { client_id, ..Provider::claude() })
    }

    fn demo(issuer: String) -> Result<wit::Provider, Error> {
        built_in(Provider::demo(&issuer))
    }

    fn demo_claude(issuer: String) -> Result<wit::Provider, Error> {
        built_in(Provider::demo_claude(&issuer))
    }

    fn client_of(provider: wit::Provider) -> Result<Client, Error> {
        let client = convert::provider(provider)?.client();
        client.map(convert::client_out).map_err(|error| convert::invalid(error.code(), error))
    }

    fn state_in_pasted(text: String) -> Option<String> {
        state_in_pasted(&text).map(|fingerprint| fingerprint.to_string())
    }
}

impl GuestPending for PendingResource {
    fn begin(provider: wit::Provider, redirect: wit::Redirect, entropy: pkce::Entropy) -> Result<Begun, Error> {
        let EntropyResource(entropy) = entropy.into_inner();
        begin(provider, redirect, entropy)
    }

    fn restore(saved: Vec<u8>, now: u64) -> Result<wit::Pending, Error> {
        let pending = Pending::restore(&saved, Timestamp(now));
        let pending = pending.map_err(|error| Error::LoginRequired(convert::problem(error.code(), error, None)))?;
        Ok(wit::Pending::new(Self(RefCell::new(pending))))
    }

    fn receive(&self, callback: wit::Callback) -> Verdict {
        match self.0.borrow_mut().receive(convert::callback(&callback)) {
            CoreVerdict::Ignored(reason) => Verdict::Ignored(convert::problem(reason.code(), reason, None)),
            CoreVerdict::Denied { code, description } => {
                let message = CoreVerdict::denied(&code, description.as_deref());
                let problem = convert::problem("denied", message, Some(CoreVerdict::DENIED_HINT));
                Verdict::Denied(wit::Denial { error: code, problem })
            }
            CoreVerdict::Code(exchange) => Verdict::Code(wit::Exchange::new(ExchangeResource(exchange))),
        }
    }

    fn redirect_uri(&self) -> String {
        self.0.borrow().redirect_uri().into()
    }

    fn state_fingerprint(&self) -> String {
        self.0.borrow().state_fingerprint().to_string()
    }

    fn save(&self, now: u64) -> Option<Vec<u8>> {
        Some(self.0.borrow().save(Timestamp(now))?.bytes().to_vec())
    }
}

impl GuestExchange for ExchangeResource {}

fn built_in(provider: std::result::Result<Provider, EndpointError>) -> Result<wit::Provider, Error> {
    provider.map(convert::provider_out).map_err(convert::invalid_endpoint)
}

pub(crate) fn begin(provider: wit::Provider, redirect: wit::Redirect, entropy: Entropy) -> Result<Begun, Error> {
    let begun = Login::begin(&convert::provider(provider)?, convert::redirect(redirect), entropy);
    let (pending, url) = begun.map_err(|error| convert::invalid(error.code(), error))?;
    let pending = wit::Pending::new(PendingResource(RefCell::new(pending)));
    Ok(Begun { pending, url: url.as_str().into() })
}
