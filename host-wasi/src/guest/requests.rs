//! The interface `requests`: the core's pairs of a request and what its answer means.

use super::login::ExchangeResource;
use super::{Component, convert};
use crate::bindings::exports::kraube::auth::requests::{Answer, Exchange, Guest, Issued, UnknownAnswer};
use crate::bindings::types::{Client, Error, HttpRequest, HttpResponse, Now};
use kraube_core::revoke::{Revocation, read_revocation, revocation_request};
use kraube_core::secret::Secret;
use kraube_core::time::Millis;
use kraube_core::token::{Answer as CoreAnswer, read_answer, refresh_request};

impl Guest for Component {
    fn code_request(exchange: Exchange) -> (HttpRequest, Client) {
        let ExchangeResource(exchange) = exchange.into_inner();
        let (client, request) = exchange.request();
        (convert::request(request), convert::client_out(client))
    }

    fn refresh_request(client: Client, refresh_token: String) -> Result<HttpRequest, Error> {
        Ok(convert::request(refresh_request(&convert::client(client)?, &Secret::new(refresh_token))))
    }

    fn read_answer(client: Client, response: HttpResponse, now: Now) -> Result<Answer, Error> {
        let client = convert::client(client)?;
        Ok(match read_answer(&client, &convert::response(response), convert::now(now)) {
            CoreAnswer::Issued(issued) => Answer::Issued(Issued {
                access_token: issued.access_token.expose().into(),
                refresh_token: issued.refresh_token.map(|token| token.expose().into()),
                life: issued.life.0,
                scope: issued.scope,
            }),
            CoreAnswer::Refused { detail } => Answer::Refused(detail),
            CoreAnswer::RefusedByStatus(status) => Answer::RefusedByStatus(status),
            CoreAnswer::Throttled { retry_after } => Answer::Throttled(retry_after.map(|Millis(pause)| pause)),
            CoreAnswer::ClientRejected { detail } => Answer::ClientRejected(detail),
            CoreAnswer::Unknown { retry_after, detail } => {
                Answer::Unknown(UnknownAnswer { detail, retry_after: retry_after.map(|Millis(pause)| pause) })
            }
        })
    }

    fn revocation_request(client: Client, refresh_token: String) -> Result<Option<HttpRequest>, Error> {
        let client = convert::client(client)?;
        Ok(revocation_request(&client, &Secret::new(refresh_token)).map(convert::request))
    }

    fn read_revocation(response: HttpResponse) -> Result<(), String> {
        match read_revocation(&convert::response(response)) {
            Revocation::Done => Ok(()),
            Revocation::Unconfirmed { detail } => Err(detail),
            _ => Err("the answer is of a kind that this version does not know".into()),
        }
    }
}
