//! The authorization server of the model: families of refresh tokens. A refresh token is `r<family>-<generation>`, an
//! access token `a<family>-<number>`, a code `c<family>`.

use super::Replay;
use kraube_core::http::{Endpoint, Request, Response};
use kraube_core::provider::{Client, TokenBody};

/// The families, by number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Server {
    pub(super) families: Vec<Family>,
}

/// The refresh tokens of one login.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Family {
    /// Its code is not spent yet.
    pub(super) unborn: bool,
    /// The generation that may be redeemed.
    pub(super) current: u8,
    previous: Option<u8>,
    /// How many access tokens were issued.
    issued: u8,
    pub(super) revoked: bool,
    /// Revoked because a client asked for it.
    pub(super) on_request: bool,
    /// One bit a generation: it may be spent and its successor lost.
    pub(super) doubted: u32,
    /// One bit a generation: a client had no answer, or one that tells nothing.
    unknown: u32,
}

/// A token by its place: family and number.
pub(super) type Token = (u8, u8);

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Asks {
    Refresh(Token),
    Code(u8),
    Revoke(u8),
}

/// How a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Manner {
    Properly,
    /// Does what is asked, and answers 500.
    Spends,
    Fails,
    Throttles,
    NotFound,
}

/// An answer, and the access token in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Answered {
    pub(super) response: Response,
    pub(super) access: Option<Token>,
}

/// Where the server is.
#[allow(clippy::expect_used)]
pub(super) fn client() -> Client {
    let endpoint = |url| Endpoint::parse(url).expect("a valid URL");
    Client {
        name: "m".into(),
        issuer: None,
        token_endpoint: endpoint("https://s/t"),
        revocation_endpoint: Some(endpoint("https://s/r")),
        client_id: "c".into(),
        body: TokenBody::Form,
        refused_statuses: vec![404],
        resource: None,
    }
}

/// `r1-2` or `a1-2`.
pub(super) fn token(text: &str) -> Option<Token> {
    let (family, number) = text.get(1..)?.split_once('-')?;
    Some((family.parse().ok()?, number.parse().ok()?))
}

impl Asks {
    pub(super) fn of(request: &Request) -> Option<Self> {
        let body = request.body.expose();
        let parameter = |name: &str| body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        if request.url.as_str().ends_with("/r") {
            return Some(Self::Revoke(token(parameter("token")?)?.0));
        }
        match parameter("code") {
            Some(code) => Some(Self::Code(code.get(1..)?.parse().ok()?)),
            None => Some(Self::Refresh(token(parameter("refresh_token")?)?)),
        }
    }

    pub(super) fn family(self) -> u8 {
        match self {
            Self::Refresh((family, _)) | Self::Code(family) | Self::Revoke(family) => family,
        }
    }
}

impl Server {
    /// A request arrives.
    pub(super) fn answer(&mut self, asks: Asks, manner: Manner, replay: Replay, rotates: bool, life: f64) -> Answered {
        let status = |status: u16, body: &str| {
            let retry_after = (status == 429).then(|| "60".to_owned());
            let content_type = Some("application/json".to_owned());
            Answered { response: Response { status, content_type, retry_after, body: body.into() }, access: None }
        };
        match manner {
            Manner::Fails => return status(500, ""),
            Manner::Throttles => return status(429, ""),
            Manner::NotFound => return status(404, ""),
            Manner::Properly | Manner::Spends => {}
        }
        let number = asks.family();
        let family = &mut self.families[usize::from(number)];
        let issues = match asks {
            Asks::Revoke(_) => {
                (family.revoked, family.on_request) = (true, true);
                return status(200, "");
            }
            Asks::Code(_) => std::mem::take(&mut family.unborn),
            Asks::Refresh((_, generation)) => family.redeem(generation, replay, rotates),
        };
        if manner == Manner::Spends {
            return status(500, "");
        }
        if !issues {
            return status(400, r#"{"error":"invalid_grant"}"#);
        }
        let (current, access) = (family.current, family.issued);
        let refresh = match asks {
            Asks::Refresh(_) if !rotates => String::new(),
            Asks::Refresh(_) | Asks::Code(_) | Asks::Revoke(_) => format!(r#","refresh_token":"r{number}-{current}""#),
        };
        let body = format!(r#"{{"access_token":"a{number}-{access}","expires_in":{life}{refresh}}}"#);
        Answered { access: Some((number, access)), ..status(200, &body) }
    }
}

impl Family {
    /// Whether tokens are issued.
    fn redeem(&mut self, generation: u8, replay: Replay, rotates: bool) -> bool {
        if self.revoked || self.unborn {
            return false;
        }
        let again = replay == Replay::Grace && self.previous == Some(generation);
        if generation != self.current && !again {
            self.revoked = true;
            return false;
        }
        self.issued += 1;
        if rotates {
            self.previous = Some(generation);
            self.current += 1;
        }
        true
    }

    pub(super) fn is_spent(&self, generation: u8) -> bool {
        generation < self.current
    }

    pub(super) fn is_doubted(&self, generation: u8) -> bool {
        self.doubted & (1 << generation) != 0
    }

    pub(super) fn is_unknown(&self, generation: u8) -> bool {
        self.unknown & (1 << generation) != 0
    }

    pub(super) fn leave_unknown(&mut self, generation: u8) {
        self.unknown |= 1 << generation;
    }

    pub(super) fn doubt(&mut self, generation: u8) {
        self.doubted |= 1 << generation;
    }
}
