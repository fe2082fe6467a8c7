//! What a test sees: counters and events. Nothing in here holds a token.

use serde::Serialize;

/// What happened since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counters {
    /// Authorization codes issued.
    pub authorizations: u64,
    /// Requests at the token endpoint.
    pub token_requests: u64,
    /// Those of them with the grant type `refresh_token`.
    pub refresh_requests: u64,
    /// Authorization codes redeemed.
    pub codes_redeemed: u64,
    /// Refresh tokens redeemed, for the first time each, and replaced by a successor.
    pub rotations: u64,
    /// Refresh tokens redeemed once more within the grace.
    pub grace_retries: u64,
    /// Spent refresh tokens presented outside the grace.
    pub replays: u64,
    /// The longest time, in milliseconds, that passed between the rotation of a refresh token and a request that
    /// presented it again before the next rotation, whether within the grace or not.
    pub spent_for_max: u64,
    /// Token requests refused with an OAuth error (RFC 6749 section 5.2).
    pub refused: u64,
    /// Families of tokens that ended, whatever the reason.
    pub families_revoked: u64,
    /// Revocation requests that were accepted (RFC 7009), whether or not the token was known.
    pub revocations: u64,
    /// The largest number of refresh requests of one family that were handled at the same time. A request whose client
    /// has closed the connection no longer counts.
    pub in_flight_max: u32,
    /// Proofs of a key that were accepted (DPoP, RFC 9449).
    pub proofs: u64,
    /// Proofs that were not, but for their nonce.
    pub proofs_refused: u64,
    /// Proofs that lacked the present nonce.
    pub nonces_asked: u64,
    /// Requests for the protected resource that carried a live access token.
    pub resource_ok: u64,
    /// Requests for the protected resource that did not.
    pub resource_401: u64,
    /// Token requests that met a fault.
    pub faults_injected: u64,
}

/// Something that happened. A family is the tokens that descend from one login, numbered from 0; its refresh tokens are
/// its generations, numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A token request arrived; with a refresh token that was once issued, of this family.
    TokenRequest {
        /// The family of the refresh token.
        family: Option<u64>,
    },
    /// A login: the first tokens of this family were issued.
    Issued {
        /// The new family.
        family: u64,
    },
    /// A refresh took effect. Its answer has not been sent.
    RefreshCommitted {
        /// The family.
        family: u64,
        /// The generation that is valid now.
        generation: u64,
    },
    /// The previous refresh token was accepted once more, within the grace. The answer has not been sent.
    GraceRetry {
        /// The family.
        family: u64,
        /// The generation that is valid now.
        generation: u64,
    },
    /// A spent refresh token was presented outside the grace.
    Replay {
        /// The family.
        family: u64,
        /// The generation that was presented.
        generation: u64,
    },
    /// A refresh was refused, for a replay as for any other reason.
    RefreshRefused {
        /// The family, where the refresh token was once issued.
        family: Option<u64>,
    },
    /// A family ended: none of its tokens is valid any more.
    FamilyRevoked {
        /// The family.
        family: u64,
    },
    /// A token request met a fault. It took effect before this event, if at all.
    FaultInjected,
}
