//! The same types without the feature: they have no values, and nothing of them is left in a module.

use crate::http::Response;
use crate::json::{Members, Writer};
use crate::record::{Record, RecordError};
use core::convert::Infallible;
use serde::{Deserialize, Deserializer, de};

/// The key that the tokens of a login are bound to. Without the feature `dpop` there is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Binding(Infallible);

/// A nonce of a server (RFC 9449 section 8). Without the feature `dpop` there is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Nonce(Infallible);

/// Whether tokens are to be bound to a key. Without the feature `dpop` they cannot be, and a document that asks for it is
/// not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Demand(());

impl Demand {
    pub(crate) const MOST: Self = Self(());

    pub(crate) fn from_json(json: &str) -> Option<Self> {
        (json == "false").then_some(Self(()))
    }

    pub(crate) const fn saved_as(self) -> (u64, Option<&'static str>) {
        (1, None)
    }
}

impl Binding {
    pub(crate) fn learn(&mut self, _response: &Response) {
        match self.0 {}
    }

    pub(crate) fn write(&self, _ours: &mut Writer<'_>, _record: &Record) {
        match self.0 {}
    }
}

impl<'de> Deserialize<'de> for Demand {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match bool::deserialize(deserializer)? {
            false => Ok(Self(())),
            true => Err(de::Error::custom("this program cannot bind tokens to a key (DPoP)")),
        }
    }
}

/// The member stays among those that are not known, and is found there.
pub(crate) fn read(_ours: &mut Members<'_>, _record: &mut Record) -> Result<(), RecordError> {
    Ok(())
}

/// The key is among the members that are not known. Tokens in the usual place are of a later login, which has none.
pub(crate) fn is_bound(record: &Record) -> bool {
    let keyed = record.unknown_inside.iter().any(|(name, _)| name == super::MEMBER);
    keyed && record.refresh_token.is_none() && record.access_token.is_none()
}
