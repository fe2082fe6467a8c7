//! Tokens that are bound to a key (DPoP, RFC 9449): each request that uses one carries a proof, a JWT that is signed with
//! the key and good for that request alone.
//!
//! The core makes the text of a proof and decides when there has to be one; the host signs it (ES256) and gives the
//! randomness. All this is there with the feature `dpop`. Without it the types are there and have no values, so that
//! code for hosts is the same: a login that is bound to a key is then told from others, and refused
//! ([`Cause::KeyBound`](crate::credential::Cause::KeyBound)).
//!
//! A login is bound where the server asks for it, and that is known from one of these: the profile of the provider says
//! so, or the person; the resource says so (RFC 9728 section 2, `dpop_bound_access_tokens_required`); the answer to a
//! registration says so (`dpop_bound_access_tokens`, RFC 9449 section 5.2). That a server merely can issue such tokens
//! (`dpop_signing_alg_values_supported`) does not bind a login, since most resources take bearer tokens alone.

#[cfg(not(feature = "dpop"))]
mod off;
#[cfg(feature = "dpop")]
mod on;
#[cfg(feature = "dpop")]
mod resource;

#[cfg(not(feature = "dpop"))]
pub use off::{Binding, Demand, Nonce};
#[cfg(feature = "dpop")]
pub use on::{Binding, Call, Demand, Key, Nonce, TargetError, Unsigned};
#[cfg(feature = "dpop")]
pub use resource::{Repeat, Repeats};

#[cfg(not(feature = "dpop"))]
pub(crate) use off::{is_bound, read};
#[cfg(feature = "dpop")]
pub(crate) use on::{is_bound, read, wants_nonce};

/// The member of `kraube` in a record that holds the key and its tokens.
const MEMBER: &str = "dpop";
