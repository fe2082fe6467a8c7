//! Between the core's types and those of the WIT package, as far as only components need it. Nothing is decided here.

pub(crate) use crate::convert::*;

use crate::bindings::exports::kraube::auth::login as wit_login;
use crate::bindings::types as wit;
#[cfg(feature = "token-provider")]
use kraube_core::credential::{Forgotten, Revoked};
use kraube_core::credential::{Ready, Unsaved};
use kraube_core::dpop::Demand;
use kraube_core::http::{Endpoint, EndpointError};
use kraube_core::login::{Callback, Redirect};
use kraube_core::machine::{StoreError, StoreErrorKind, WriteError};
use kraube_core::provider::{Client, Provider, RedirectRules, TokenBody};

#[cfg(feature = "sans-io")]
mod exchange;
#[cfg(feature = "sans-io")]
pub(crate) use exchange::*;

type Result<T> = std::result::Result<T, wit::Error>;

/// An argument that cannot be used.
pub(crate) fn invalid(code: &str, message: impl ToString) -> wit::Error {
    wit::Error::Invalid(problem(code, message, None))
}

/// Tokens that are not stored, none of which lives.
pub(crate) fn unsaved(unsaved: &Unsaved) -> wit::Error {
    wit::Error::Unsaved(problem("unsaved", unsaved, Some(unsaved.hint())))
}

pub(crate) fn token(ready: Ready) -> wit::Token {
    let stale = ready.stale.as_ref();
    let stale = stale.map(|failure| wit::Problem { detail: detail(failure), ..failure_problem(failure) });
    wit::Token {
        value: ready.access_token.expose().into(),
        expires_at: ready.expires_at.0,
        login: ready.login.map(|login| login.0),
        scope: ready.scope,
        short: ready.short,
        stale,
    }
}

pub(crate) fn store_error_in(error: wit::StoreError) -> StoreError {
    let kind = match error.kind {
        wit::StoreErrorKind::Denied => StoreErrorKind::Denied,
        wit::StoreErrorKind::NotOurs => StoreErrorKind::NotOurs,
        wit::StoreErrorKind::Full => StoreErrorKind::Full,
        wit::StoreErrorKind::ReadOnly => StoreErrorKind::ReadOnly,
        wit::StoreErrorKind::Irreplaceable => StoreErrorKind::Irreplaceable,
        wit::StoreErrorKind::TooLarge => StoreErrorKind::TooLarge,
        wit::StoreErrorKind::Io => StoreErrorKind::Io,
    };
    StoreError { kind, detail: error.detail }
}

pub(crate) fn write_error_in(error: wit::WriteError) -> WriteError {
    match error {
        wit::WriteError::Conflict => WriteError::Conflict,
        wit::WriteError::Failed(error) => WriteError::Failed(store_error_in(error)),
    }
}

pub(crate) fn client_out(client: Client) -> wit::Client {
    wit::Client {
        name: client.name,
        issuer: client.issuer,
        token_endpoint: client.token_endpoint.into(),
        revocation_endpoint: client.revocation_endpoint.map(String::from),
        client_id: client.client_id,
        body: body_out(client.body),
        refused_statuses: client.refused_statuses,
        resource: client.resource,
    }
}

/// The rules for redirects are left at their default: they only matter to a listener, which the caller has.
pub(crate) fn provider(provider: wit_login::Provider) -> Result<Provider> {
    Ok(Provider {
        name: provider.name,
        issuer: provider.issuer,
        authorization_endpoint: endpoint(&provider.authorization_endpoint)?,
        token_endpoint: endpoint(&provider.token_endpoint)?,
        revocation_endpoint: provider.revocation_endpoint.as_deref().map(endpoint).transpose()?,
        device_authorization_endpoint: provider.device_authorization_endpoint.as_deref().map(endpoint).transpose()?,
        client_id: provider.client_id,
        resource: provider.resource,
        scopes: provider.scopes,
        body: body(provider.body),
        authorization_parameters: provider.authorization_parameters.into_iter().collect(),
        redirect: RedirectRules::default(),
        manual_redirect: provider.manual_redirect.as_deref().map(endpoint).transpose()?,
        refused_statuses: provider.refused_statuses,
        expects_iss: provider.expects_iss,
        pushed_authorization_request_endpoint: None,
        require_pushed_authorization_requests: false,
        registration_endpoint: None,
        client_id_metadata_document_supported: false,
        dpop: Demand::default(),
    })
}

pub(crate) fn provider_out(provider: Provider) -> wit_login::Provider {
    wit_login::Provider {
        name: provider.name,
        issuer: provider.issuer,
        authorization_endpoint: provider.authorization_endpoint.into(),
        token_endpoint: provider.token_endpoint.into(),
        revocation_endpoint: provider.revocation_endpoint.map(String::from),
        device_authorization_endpoint: provider.device_authorization_endpoint.map(String::from),
        client_id: provider.client_id,
        resource: provider.resource,
        scopes: provider.scopes,
        body: body_out(provider.body),
        authorization_parameters: provider.authorization_parameters.into_iter().collect(),
        manual_redirect: provider.manual_redirect.map(String::from),
        refused_statuses: provider.refused_statuses,
        expects_iss: provider.expects_iss,
    }
}

pub(crate) fn redirect(redirect: wit_login::Redirect) -> Redirect {
    match redirect {
        wit_login::Redirect::Loopback(uri) => Redirect::Loopback { uri },
        wit_login::Redirect::Page(uri) => Redirect::Page { uri },
        wit_login::Redirect::Manual => Redirect::Manual,
    }
}

pub(crate) fn callback(callback: &wit_login::Callback) -> Callback<'_> {
    match callback {
        wit_login::Callback::Query(query) => Callback::Query(query),
        wit_login::Callback::Pasted(text) => Callback::Pasted(text),
    }
}

/// What the store said is for the host that lends it, and not for an application.
#[cfg(feature = "token-provider")]
fn detail(_: &dyn std::error::Error) -> Option<String> {
    None
}

/// Whether the server confirmed that the login is void.
#[cfg(feature = "token-provider")]
pub(crate) fn forgotten(forgotten: Forgotten) -> Result<bool> {
    match forgotten {
        Forgotten::NothingStored => Ok(false),
        Forgotten::Deleted { revoked } => Ok(revoked == Revoked::Yes),
        Forgotten::AnotherLogin { .. } => {
            let message = "another login was stored meanwhile; it was left alone";
            Err(wit::Error::AccountChanged(problem("account_changed", message, None)))
        }
        Forgotten::StillStored { .. } => {
            let message = "the credentials could not be deleted and are still stored";
            Err(wit::Error::Unavailable(problem("store", message, Some("try again"))))
        }
        Forgotten::Misuse(_) => Err(unknown()),
        _ => Err(unknown()),
    }
}

fn endpoint(url: &str) -> Result<Endpoint> {
    Endpoint::parse(url).map_err(invalid_endpoint)
}

pub(crate) fn invalid_endpoint(error: EndpointError) -> wit::Error {
    invalid("invalid_endpoint", error)
}

fn body(body: wit::TokenBody) -> TokenBody {
    match body {
        wit::TokenBody::Form => TokenBody::Form,
        wit::TokenBody::Json => TokenBody::Json,
    }
}

fn body_out(body: TokenBody) -> wit::TokenBody {
    match body {
        TokenBody::Form => wit::TokenBody::Form,
        TokenBody::Json => wit::TokenBody::Json,
    }
}

/// For the ends that are not known yet: the core may get more of them.
pub(crate) fn unknown() -> wit::Error {
    wit::Error::Misuse(problem("misuse", "the core ended in a way that this version does not know", None))
}
