//! The authorization server of the model and the simulator: families of refresh tokens. A refresh token is
//! `r<family>-<generation>`, an access token `a<family>-<number>`, a code `c<family>`.

use kraube_core::credential::{Install, NewLogin};
use kraube_core::http::{Endpoint, Request, Response};
use kraube_core::machine::{Action, Blob, Input, Locked, Machine, Step};
use kraube_core::policy::Policy;
use kraube_core::provider::{Client, TokenBody};
use kraube_core::record::{Credentials, LoginId};
use kraube_core::secret::Secret;
use kraube_core::time::{Millis, Now, Timestamp};

/// What a server does when a spent refresh token comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Replay {
    /// It revokes the whole family.
    Revokes,
    /// The one before the current token still rotates, and supersedes the current one; any older one revokes.
    Grace,
    /// The same, for this long after the rotation.
    GraceFor(Millis),
}

/// How a server rotates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) replay: Replay,
    /// Whether an answer to a refresh has a new refresh token.
    pub(crate) rotates: bool,
    /// How long an access token lives, in seconds.
    pub(crate) life: f64,
}

/// The families, by number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    pub(crate) families: Vec<Family>,
}

/// The refresh tokens of one login.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Family {
    /// Its code is not spent yet.
    pub(crate) unborn: bool,
    /// The generation that may be redeemed.
    pub(crate) current: u8,
    /// The generation before, and until when it may be redeemed (`None`: for ever).
    previous: Option<(u8, Option<Timestamp>)>,
    /// How many access tokens were issued.
    pub(crate) issued: u8,
    pub(crate) revoked: bool,
    /// Revoked because a client asked for it.
    pub(crate) on_request: bool,
    /// One bit a generation: it may be spent and its successor lost.
    pub(crate) doubted: u128,
    /// One bit a generation: a client had no answer, or one that tells nothing.
    unknown: u128,
}

/// A token by its place: family and number.
pub(crate) type Token = (u8, u8);

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Asks {
    Refresh(Token),
    Code(u8),
    Revoke(u8),
}

/// How a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Manner {
    Properly,
    /// Does what is asked, and answers 500.
    Spends,
    Fails,
    Throttles,
    NotFound,
    /// 503 with `Retry-After`, and nothing is done.
    Overloaded,
    /// 307 to another host, and nothing is done.
    Redirects,
    /// Does what is asked, and answers with a page.
    Garbles,
}

/// An answer, and the access token in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Answered {
    pub(crate) response: Response,
    pub(crate) access: Option<Token>,
}

/// Where the server is.
#[allow(clippy::expect_used)]
pub(crate) fn client() -> Client {
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

/// The first tokens of a family.
pub(crate) fn credentials(family: u8, expires_at: Timestamp, obtained_at: Timestamp) -> Credentials {
    Credentials {
        binding: None,
        access_token: Secret::new(format!("a{family}-0")),
        refresh_token: Some(Secret::new(format!("r{family}-0"))),
        expires_at,
        obtained_at: Some(obtained_at),
        scope: None,
        client: Some(client()),
    }
}

/// What an `Install` of the first tokens stores, beside a member of somebody else.
pub(crate) fn first_record(credentials: Credentials, policy: Policy, now: Now) -> Blob {
    let note = Blob::new(br#"{"note":{"keep":[1, 2]}}"#.to_vec());
    let mut step = Install::start(NewLogin::Credentials(credentials), LoginId("L0".into()), policy);
    loop {
        step = match step {
            Step::Continue(machine, Action::Lock { .. }) => machine.step(Input::Locked(Locked::Held), now),
            Step::Continue(machine, Action::Read) => machine.step(Input::Read(Ok(Some(note.clone()))), now),
            Step::Continue(_, Action::Write { blob, .. }) => return blob,
            Step::Continue(..) | Step::Done(_) => return note,
        }
    }
}

/// The request that spends the code of a family.
pub(crate) fn code_request(family: u8) -> Request {
    let body = Secret::new(format!("grant_type=authorization_code&code=c{family}"));
    Request { binding: None, url: client().token_endpoint, content_type: "application/x-www-form-urlencoded", body }
}

/// `r1-2` or `a1-2`.
pub(crate) fn token(text: &str) -> Option<Token> {
    let (family, number) = text.get(1..)?.split_once('-')?;
    Some((family.parse().ok()?, number.parse().ok()?))
}

impl Asks {
    pub(crate) fn of(request: &Request) -> Option<Self> {
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

    pub(crate) fn family(self) -> u8 {
        match self {
            Self::Refresh((family, _)) | Self::Code(family) | Self::Revoke(family) => family,
        }
    }
}

impl Server {
    /// A request arrives.
    pub(crate) fn answer(&mut self, asks: Asks, manner: Manner, rules: Rules, now: Timestamp) -> Answered {
        let status = |status: u16, body: &str| {
            let retry_after = matches!(status, 429 | 503).then(|| "60".to_owned());
            let content_type = Some("application/json".to_owned());
            Answered {
                response: Response { status, content_type, retry_after, dpop_nonce: None, body: body.into() },
                access: None,
            }
        };
        match manner {
            Manner::Fails => return status(500, ""),
            Manner::Throttles => return status(429, ""),
            Manner::NotFound => return status(404, ""),
            Manner::Overloaded => return status(503, ""),
            Manner::Redirects => return status(307, ""),
            Manner::Properly | Manner::Spends | Manner::Garbles => {}
        }
        let number = asks.family();
        let family = &mut self.families[usize::from(number)];
        let issues = match asks {
            Asks::Revoke(_) => {
                (family.revoked, family.on_request) = (true, true);
                return status(200, "");
            }
            Asks::Code(_) => std::mem::take(&mut family.unborn),
            Asks::Refresh((_, generation)) => family.redeem(generation, rules, now),
        };
        if manner == Manner::Spends {
            return status(500, "");
        }
        if manner == Manner::Garbles {
            return status(200, "<html>");
        }
        if !issues {
            return status(400, r#"{"error":"invalid_grant"}"#);
        }
        let (current, access) = (family.current, family.issued);
        let refresh = match asks {
            Asks::Refresh(_) if !rules.rotates => String::new(),
            Asks::Refresh(_) | Asks::Code(_) | Asks::Revoke(_) => format!(r#","refresh_token":"r{number}-{current}""#),
        };
        let life = rules.life;
        let body = format!(r#"{{"access_token":"a{number}-{access}","expires_in":{life}{refresh}}}"#);
        Answered { access: Some((number, access)), ..status(200, &body) }
    }
}

impl Family {
    /// Whether tokens are issued.
    fn redeem(&mut self, generation: u8, rules: Rules, now: Timestamp) -> bool {
        if self.revoked || self.unborn {
            return false;
        }
        let again =
            self.previous.is_some_and(|(known, until)| known == generation && until.is_none_or(|until| now <= until));
        if generation != self.current && !again {
            self.revoked = true;
            return false;
        }
        self.issued += 1;
        if rules.rotates {
            self.previous = match rules.replay {
                Replay::Revokes => None,
                Replay::Grace => Some((generation, None)),
                Replay::GraceFor(time) => Some((generation, Some(now.plus(time)))),
            };
            self.current += 1;
        }
        true
    }

    pub(crate) fn is_spent(&self, generation: u8) -> bool {
        generation < self.current
    }

    pub(crate) fn is_doubted(&self, generation: u8) -> bool {
        self.doubted & (1 << generation) != 0
    }

    pub(crate) fn is_unknown(&self, generation: u8) -> bool {
        self.unknown & (1 << generation) != 0
    }

    pub(crate) fn leave_unknown(&mut self, generation: u8) {
        self.unknown |= 1 << generation;
    }

    pub(crate) fn settle(&mut self, generation: u8) {
        self.doubted &= !(1 << generation);
        self.unknown &= !(1 << generation);
    }

    pub(crate) fn doubt(&mut self, generation: u8) {
        self.doubted |= 1 << generation;
    }
}
