//! The credentials record: the stored JSON, its members, and every change that is ever made to it.
//!
//! Three members are shared with other programs (`refreshToken`, `accessToken`, `expiresAt` in Unix milliseconds); one,
//! `kraube`, is ours. Members that are not known, at the top or in `kraube`, are kept to the letter.

use crate::dpop::{self, Binding};
use crate::json::{self, Malformed, Members, Sink, Writer};
use crate::machine::Blob;
use crate::number::decimal_in;
use crate::provider::Client;
use crate::secret::{Fingerprint, Secret};
use crate::text::hex;
use crate::time::Timestamp;
use crate::token::is_access_token;
use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// Identifies a login through all its rotations. A different one means that somebody logged in anew.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoginId(pub String);

/// Identifies a run of a machine, among all processes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0.to_be_bytes()))
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A login as a program may hold it: what `login` gives and what is saved.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "model", derive(PartialEq, Eq, Hash))]
pub struct Credentials {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token. Without one the login ends when the access token expires.
    pub refresh_token: Option<Secret>,
    /// When the access token expires.
    pub expires_at: Timestamp,
    /// When it was obtained.
    pub obtained_at: Option<Timestamp>,
    /// The granted scope, where the server named it.
    pub scope: Option<String>,
    /// The client it was issued to, and where to refresh it. Without one, the host's default is used.
    pub client: Option<Client>,
    /// The key that the tokens are bound to (RFC 9449), where they are.
    pub binding: Option<Binding>,
}

impl Credentials {
    /// A refresh token alone: the first call for an access token spends it.
    pub fn from_refresh_token(refresh_token: Secret, client: Client) -> Self {
        Self {
            access_token: Secret::new(""),
            refresh_token: Some(refresh_token),
            expires_at: Timestamp(0),
            obtained_at: None,
            scope: None,
            client: Some(client),
            binding: None,
        }
    }

    /// What a server issued in answer to a request that was sent at this moment.
    pub(crate) fn issued(
        issued: crate::token::Issued,
        client: Client,
        binding: Option<Binding>,
        sent_at: Timestamp,
    ) -> Self {
        Self {
            access_token: issued.access_token,
            refresh_token: issued.refresh_token,
            expires_at: sent_at.plus(issued.life),
            obtained_at: Some(sent_at),
            scope: issued.scope,
            client: Some(client),
            binding,
        }
    }

    /// An access token alone, whose expiry is not known: it counts as living until a resource rejects it.
    pub fn from_access_token(access_token: Secret) -> Self {
        let expires_at = Timestamp(u64::MAX);
        Self {
            access_token,
            refresh_token: None,
            expires_at,
            obtained_at: None,
            scope: None,
            client: None,
            binding: None,
        }
    }

    /// The bytes of a record with these credentials, for a store that holds nothing yet.
    pub fn to_blob(&self) -> Blob {
        Record { login: None, ..Record::install(self, LoginId(String::new()), None) }.to_blob()
    }
}

/// The stored record.
#[derive(Clone)]
#[cfg_attr(feature = "model", derive(PartialEq, Eq, Hash))]
pub struct Record {
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) access_token: Option<Secret>,
    pub(crate) expires_at: Option<Timestamp>,
    /// The three as they are stored: name and JSON text. They are written so until there are other tokens: who has stored
    /// seconds shall find seconds.
    as_stored: Vec<(String, Secret)>,
    pub(crate) login: Option<LoginId>,
    pub(crate) client: Option<Client>,
    /// There is something in the place of the client that cannot be read. Such a record is not written: what was there
    /// would be lost.
    pub(crate) provider_unreadable: bool,
    /// Where the tokens are bound to a key. They are stored with it then, and not where other tokens are.
    pub(crate) binding: Option<Binding>,
    pub(crate) scope: Option<String>,
    pub(crate) obtained_at: Option<Timestamp>,
    pub(crate) redeeming: Option<Mark>,
    pub(crate) retry_at: Option<Timestamp>,
    /// How many answers in a row were of no use, and the status of the last one.
    pub(crate) retries: u32,
    pub(crate) last_status: Option<u16>,
    pub(crate) refused: Option<Refusal>,
    /// Members of others: name and JSON text. They may hold secrets.
    unknown: Vec<(String, Secret)>,
    pub(crate) unknown_inside: Vec<(String, Secret)>,
}

/// The mark: a run is about to spend the refresh token, or died while it did.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// Whose mark it is.
    pub run: String,
    /// When it was set.
    pub at: Timestamp,
}

/// Why the server will not accept the refresh token again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It was expired, revoked or replaced: the server said so to a clear question.
    Revoked,
    /// It may have been spent by a request whose answer never arrived.
    RotationLost,
}

impl Refusal {
    /// The stable name, as it is stored.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::RotationLost => "rotation_lost",
        }
    }
}

/// Why stored bytes are no record. Never holds a part of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordError {
    /// Nothing but white space.
    Empty,
    /// No JSON object, cut off, or with a member whose name is no text (RFC 8259 section 8.2).
    NotJson,
    /// The same member twice.
    Repeated,
    /// A token that is no string, or an access token with characters that none has (RFC 6749 appendix A.12).
    Mistyped,
    /// The member `kraube`, or the provider in it, cannot be read. No default stands in for it: the tokens are of another
    /// server, as far as anybody knows. [`Record::parse`] reads the rest: an access token is served while it lives.
    Provider,
    /// The key that the tokens are bound to cannot be read, so that they are of no use.
    #[cfg(feature = "dpop")]
    Key,
}

impl From<Malformed> for RecordError {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::NotJson => Self::NotJson,
            Malformed::Repeated => Self::Repeated,
        }
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the credentials are empty",
            Self::NotJson => "the credentials are not a JSON object, or are cut off",
            Self::Repeated => "the credentials have a member twice",
            Self::Mistyped => "a token in the credentials is not a string, or has characters that no token has",
            Self::Provider => "what says where the credentials are refreshed (`kraube.provider`) cannot be read",
            #[cfg(feature = "dpop")]
            Self::Key => "the key that the tokens are bound to cannot be read",
        })
    }
}

impl core::error::Error for RecordError {}

impl Record {
    /// Reads stored bytes. A leading byte order mark is passed over.
    ///
    /// # Errors
    /// [`RecordError`], which never repeats what was read.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(RecordError::Empty);
        }
        let mut members = Members::each_once(bytes)?;
        let mut record = Self::blank();
        record.take_tokens(&mut members)?;
        let ours = members.take("kraube").filter(|raw| *raw != "null").map(str::as_bytes);
        record.unknown = members.rest();
        match ours.map(Members::each_once) {
            Some(Ok(mut ours)) => {
                dpop::read(&mut ours, &mut record)?;
                record.read_ours(&mut ours);
            }
            Some(Err(_)) => record.provider_unreadable = true,
            None => {}
        }
        Ok(record)
    }

    /// A new login. Its own members begin anew; those that others stored are kept.
    pub(crate) fn install(credentials: &Credentials, login: LoginId, replaces: Option<&Self>) -> Self {
        Self {
            refresh_token: credentials.refresh_token.clone(),
            access_token: Some(credentials.access_token.clone()).filter(|token| !token.is_empty()),
            expires_at: Some(credentials.expires_at).filter(|at| at.0 > 0),
            obtained_at: credentials.obtained_at,
            scope: credentials.scope.clone(),
            client: credentials.client.clone(),
            binding: credentials.binding.clone(),
            login: Some(login),
            unknown: replaces.map(|old| old.unknown.clone()).unwrap_or_default(),
            ..Self::blank()
        }
    }

    /// Sets a mark. The back-off has run out, or the token would not be spent now.
    pub(crate) fn mark(&mut self, run: RunId, at: Timestamp) {
        self.redeeming = Some(Mark { run: run.to_string(), at });
        self.retry_at = None;
    }

    /// The tokens are to be left alone until `retry_at`. The mark stays where the outcome is in doubt.
    pub(crate) fn park(&mut self, retry_at: Timestamp, retries: u32, status: Option<u16>, doubt: bool) {
        if !doubt {
            self.redeeming = None;
        }
        self.retry_at = Some(retry_at);
        self.retries = retries;
        self.last_status = status;
    }

    /// The server refuses the refresh token.
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.redeeming = None;
        self.retry_at = None;
        self.refused = Some(refusal);
    }

    /// Takes the next tokens of the same login. What was recorded of the old ones is void.
    pub(crate) fn renew(&mut self, issued: crate::token::Issued, sent_at: Timestamp) {
        if issued.refresh_token.is_some() {
            self.refresh_token = issued.refresh_token;
        }
        if issued.scope.is_some() {
            self.scope = issued.scope;
        }
        self.access_token = Some(issued.access_token);
        self.expires_at = Some(sent_at.plus(issued.life));
        self.as_stored.clear();
        self.obtained_at = Some(sent_at);
        self.redeeming = None;
        self.retry_at = None;
        self.retries = 0;
        self.last_status = None;
        self.refused = None;
    }

    /// Takes the members that others have stored meanwhile. Those in `kraube` are of one login.
    pub(crate) fn lay_over(&mut self, stored: Self) {
        self.unknown = stored.unknown;
        if self.login == stored.login {
            self.unknown_inside = stored.unknown_inside;
        }
    }

    /// Whether there is nothing to log in with: absent or blanked tokens.
    pub fn is_logged_out(&self) -> bool {
        self.refresh_token.is_none() && self.access_token.is_none() && !self.is_bound()
    }

    /// Whether the tokens are bound to a key (RFC 9449): each request with them needs a proof.
    pub fn is_bound(&self) -> bool {
        dpop::is_bound(self)
    }

    /// The access token and its expiry, where both are there.
    pub(crate) fn access(&self) -> Option<(&Secret, Timestamp)> {
        self.access_token.as_ref().zip(self.expires_at)
    }

    /// Tells access tokens apart.
    pub(crate) fn access_fingerprint(&self) -> Option<Fingerprint> {
        self.access_token.as_ref().map(Secret::fingerprint)
    }

    /// Tells refresh tokens apart.
    pub(crate) fn refresh_fingerprint(&self) -> Option<Fingerprint> {
        self.refresh_token.as_ref().map(Secret::fingerprint)
    }

    /// Whether both tokens are the same.
    pub(crate) fn same_tokens(&self, other: &Self) -> bool {
        self.pair() == other.pair()
    }

    /// Whether another run than this one was about to spend the refresh token, or died while it did.
    pub(crate) fn marked_by_other(&self, run: RunId) -> bool {
        self.redeeming.as_ref().is_some_and(|mark| mark.run != run.to_string())
    }

    /// Until when nobody shall try, where that is not over. A moment further ahead than any back-off cannot be true.
    pub(crate) fn backing_off(&self, now: Timestamp) -> Option<Timestamp> {
        self.retry_at.filter(|&until| until > now && until.since(now) <= crate::policy::Policy::RETRY_MAX)
    }

    /// The bytes to store: pretty enough to be read by a person.
    pub(crate) fn to_blob(&self) -> Blob {
        Blob::new(self.to_text().into_bytes())
    }

    fn to_text(&self) -> String {
        json::exactly(&|sink| {
            let mut top = Writer::open(sink, "  ");
            if self.binding.is_none() {
                self.write_tokens(&mut top);
            }
            top.name("kraube");
            self.write_ours(top.sink);
            top.all(&self.unknown);
            top.close("\n}\n");
        })
    }

    /// The members that a login cannot do without, from where they are.
    pub(crate) fn take_tokens(&mut self, members: &mut Members<'_>) -> Result<(), RecordError> {
        self.as_stored.clear();
        let mut take = |name: &str| {
            let raw = members.take(name)?;
            self.as_stored.push((name.to_owned(), Secret::new(raw)));
            Some(raw)
        };
        self.refresh_token = token(take("refreshToken"))?;
        self.access_token = token(take("accessToken"))?;
        if !self.access_token.as_ref().is_none_or(|token| is_access_token(token.expose())) {
            return Err(RecordError::Mistyped);
        }
        self.expires_at = take("expiresAt").and_then(time);
        Ok(())
    }

    pub(crate) fn write_tokens(&self, object: &mut Writer<'_>) {
        if !self.as_stored.is_empty() {
            return object.all(&self.as_stored);
        }
        if let Some(token) = &self.refresh_token {
            object.string("refreshToken", token.expose());
        }
        if let Some(token) = &self.access_token {
            object.string("accessToken", token.expose());
        }
        if let Some(at) = self.expires_at {
            object.number("expiresAt", at.0);
        }
    }

    fn blank() -> Self {
        Self {
            refresh_token: None,
            access_token: None,
            expires_at: None,
            as_stored: Vec::new(),
            login: None,
            client: None,
            provider_unreadable: false,
            binding: None,
            scope: None,
            obtained_at: None,
            redeeming: None,
            retry_at: None,
            retries: 0,
            last_status: None,
            refused: None,
            unknown: Vec::new(),
            unknown_inside: Vec::new(),
        }
    }

    /// Ties our members to the tokens they speak of.
    fn pair(&self) -> Fingerprint {
        let bytes = |token: &Option<Secret>| {
            token.as_ref().map(|token| token.expose().as_bytes().to_owned()).unwrap_or_default()
        };
        Fingerprint::of(&[&bytes(&self.refresh_token), &bytes(&self.access_token)])
    }

    fn read_ours(&mut self, ours: &mut Members<'_>) {
        self.client = ours.nullable("provider", Client::from_json);
        self.provider_unreadable = !ours.fits();
        let fits = ours.text("for").is_some_and(|text| text == self.pair().to_string());
        self.login = ours.text("login").filter(|id| !id.is_empty() && id.len() <= 256).map(LoginId);
        let scope = ours.text("scope");
        let obtained_at = ours.value("obtainedAt", time);
        let redeeming = ours.take("redeeming").map(mark);
        let retry_at = ours.value("retryAt", time);
        let retries = ours.value("retries", json::whole).unwrap_or(0);
        let last_status = ours.value("lastStatus", json::whole);
        let refused = ours.take("refused").map(refusal);
        self.unknown_inside = core::mem::take(ours).rest();
        // Other tokens than these members were written for: another program was here, and they say nothing any more.
        if fits {
            self.scope = scope;
            self.obtained_at = obtained_at;
            self.redeeming = redeeming;
            self.retry_at = retry_at;
            self.retries = retries;
            self.last_status = last_status;
            self.refused = refused;
        }
    }

    fn write_ours(&self, sink: &mut dyn Sink) {
        let mut ours = Writer::open(sink, "    ");
        ours.string("for", &self.pair().to_string());
        if let Some(login) = &self.login {
            ours.string("login", &login.0);
        }
        if let Some(client) = &self.client {
            ours.raw("provider", &client.to_json());
        }
        if let Some(binding) = &self.binding {
            binding.write(&mut ours, self);
        }
        if let Some(scope) = &self.scope {
            ours.string("scope", scope);
        }
        if let Some(at) = self.obtained_at {
            ours.number("obtainedAt", at.0);
        }
        if let Some(mark) = &self.redeeming {
            ours.name("redeeming");
            let mut inner = Writer::open(ours.sink, "      ");
            inner.string("run", &mark.run);
            inner.number("at", mark.at.0);
            inner.close("\n    }");
        }
        if let Some(at) = self.retry_at {
            ours.number("retryAt", at.0);
        }
        if self.retries > 0 {
            ours.number("retries", self.retries.into());
        }
        if let Some(status) = self.last_status {
            ours.number("lastStatus", status.into());
        }
        if let Some(refusal) = self.refused {
            ours.name("refused");
            let mut inner = Writer::open(ours.sink, "      ");
            inner.string("reason", refusal.code());
            inner.close("\n    }");
        }
        ours.all(&self.unknown_inside);
        ours.close("\n  }");
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("refresh_token", &self.refresh_fingerprint())
            .field("access_token", &self.access_fingerprint())
            .field("expires_at", &self.expires_at)
            .field("login", &self.login)
            .field("redeeming", &self.redeeming)
            .field("retry_at", &self.retry_at)
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

/// A token: absent, null and blank are all "none".
fn token(raw: Option<&str>) -> Result<Option<Secret>, RecordError> {
    let Some(raw) = raw.filter(|raw| *raw != "null") else { return Ok(None) };
    let text = json::text(raw).ok_or(RecordError::Mistyped)?;
    Ok(Some(text).filter(|text| !text.is_empty()).map(Secret::new))
}

/// A moment in Unix milliseconds. Other programs write fractions, strings and seconds: a value below 10^11 is before
/// 1973 as milliseconds, so it is in seconds.
fn time(raw: &str) -> Option<Timestamp> {
    match decimal_in(raw, 0)? {
        0 => None,
        seconds if seconds < 100_000_000_000 => Some(Timestamp(seconds * 1000)),
        millis => Some(Timestamp(millis)),
    }
}

/// A mark that cannot be read in full is a mark all the same: somebody was about to spend the token.
fn mark(raw: &str) -> Mark {
    let mut members = Members::each_once(raw.as_bytes()).unwrap_or_default();
    let at = members.value("at", time).unwrap_or_default();
    Mark { run: members.text("run").unwrap_or_default(), at }
}

fn refusal(raw: &str) -> Refusal {
    let reason = Members::each_once(raw.as_bytes()).unwrap_or_default().text("reason");
    match reason.as_deref() {
        Some("rotation_lost") => Refusal::RotationLost,
        Some(_) | None => Refusal::Revoked,
    }
}

#[cfg(test)]
mod tests {
    use super::Record;

    #[test]
    fn a_record_has_just_the_room_that_it_needs() {
        let marked = include_bytes!("../tests/golden/record_marked.json");
        for bytes in [&marked[..], br#"{"refreshToken":"\u0001\"\\"}"#, br#"{"accessToken":"","theirs":[]}"#] {
            let text = Record::parse(bytes).expect("a record").to_text();
            assert_eq!(text.capacity(), text.len(), "a buffer that grows leaves copies of tokens behind");
        }
    }
}
