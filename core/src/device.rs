//! The device authorization grant (RFC 8628) as typed legs: [`Device::begin`], [`Device::read`], and the [`Polling`] that
//! ends with tokens. For machines without a browser: a person agrees on another one.

use crate::dpop::Binding;
use crate::http::{Endpoint, Request, Response, SendError};
use crate::json::{self, Members};
use crate::provider::{Client, MissingClientId, Provider};
use crate::record::Credentials;
use crate::retry_after;
use crate::secret::Secret;
use crate::text::displayable;
use crate::time::{Millis, Now, Timestamp};
use crate::token::{self, Answer, Reading, form_request, read_error};
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::slice;

pub(crate) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The time between two polls where the server names none (RFC 8628 section 3.2), and what `slow_down` adds to it for
/// all later ones (section 3.5).
const INTERVAL: Millis = Millis::from_secs(5);

/// A server that does not answer is asked this often at least, so that the person is not left waiting.
const LONGEST_BACK_OFF: Millis = Millis::from_secs(60);

/// No code is waited for any longer.
const LONGEST_LIFE: Millis = Millis::from_secs(3600);

/// The first leg: the device authorization request was made, its answer is awaited.
#[derive(Debug)]
pub struct Device {
    client: Client,
    #[cfg(feature = "dpop")]
    dpop: crate::dpop::Demand,
    binding: Option<Binding>,
}

/// What the person is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Instructions {
    /// The code to type in, fit for display. It is no secret, but whoever has it can lead the person to agree.
    pub user_code: String,
    /// Where to type it in.
    pub verification_uri: Endpoint,
    /// The same with the code in it, for a link or a QR code.
    pub verification_uri_complete: Option<Endpoint>,
    /// For how long the code is good.
    pub life: Millis,
}

/// The last leg: the server is asked again and again whether the person has agreed.
pub struct Polling {
    client: Client,
    binding: Option<Binding>,
    /// The last poll was sent once more with a nonce (RFC 9449 section 8).
    #[cfg(feature = "dpop")]
    with_nonce: bool,
    device_code: Secret,
    interval: Millis,
    /// On the monotonic clock.
    next: Millis,
    /// On the monotonic clock.
    end: Millis,
    /// Why the last poll has no answer.
    silence: Option<String>,
}

/// What an answer to a poll means.
#[derive(Debug)]
pub enum Polled {
    /// Not yet: wait for [`Polling::wait`], then ask again.
    Pending(Polling),
    /// The person agreed. Store these at once.
    Done(Credentials),
}

impl Device {
    /// Makes the device authorization request (RFC 8628 section 3.1).
    ///
    /// # Errors
    /// [`DeviceError::NotOffered`], [`DeviceError::MissingClientId`]. Nothing was sent.
    pub fn begin(provider: &Provider) -> Result<(Self, Request), DeviceError> {
        let url = provider.device_authorization_endpoint.clone().ok_or(DeviceError::NotOffered)?;
        let client = provider.client().map_err(DeviceError::MissingClientId)?;
        let scope = provider.scopes.join(" ");
        let parameters = [
            ("client_id", client.client_id.as_str()),
            ("scope", &scope),
            ("resource", client.resource.as_deref().unwrap_or_default()),
        ];
        let request = form_request(url, &parameters);
        Ok((
            Self {
                client,
                #[cfg(feature = "dpop")]
                dpop: provider.dpop,
                binding: None,
            },
            request,
        ))
    }

    /// Whether the tokens shall be bound to a key: the host makes a new one then, and [binds](Self::bind) the login to it.
    #[cfg(feature = "dpop")]
    pub fn wants_key(&self) -> bool {
        self.dpop.is_made()
    }

    /// Binds the tokens to a key that no other login has (RFC 9449 section 5).
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn bind(self, binding: Binding) -> Self {
        Self { binding: Some(binding), ..self }
    }

    /// Reads the answer (RFC 8628 section 3.2).
    ///
    /// # Errors
    /// [`DeviceError`]: the server gave no code.
    pub fn read(self, answer: Result<Response, SendError>, now: Now) -> Result<(Instructions, Polling), DeviceError> {
        let response = answer.map_err(|error| DeviceError::Unreachable(error.detail))?;
        let error = read_error(&response.body);
        if response.status != 200 || response.body.len() > Response::MAX_BODY {
            return Err(DeviceError::Refused(error.detail(response.status, &[])));
        }
        let document = Document::read(&response.body).ok_or_else(|| match error.error {
            Some(_) => DeviceError::Refused(error.detail(response.status, &[])),
            None => DeviceError::Unreadable,
        })?;
        let device_code = document.device_code.filter(|code| !code.is_empty()).ok_or(DeviceError::Unreadable)?;
        let user_code = displayable(&document.user_code);
        let endpoint = |uri: &str| Endpoint::parse(uri).ok();
        let verification_uri = endpoint(&document.verification_uri).ok_or(DeviceError::Unreadable)?;
        if user_code.is_empty() {
            return Err(DeviceError::Unreadable);
        }
        let life = Millis::from_secs(document.expires_in).min(LONGEST_LIFE);
        let interval = document.interval.map_or(INTERVAL, Millis::from_secs).max(Millis(1000));
        let verification_uri_complete = document.verification_uri_complete.as_deref().and_then(endpoint);
        let polling = Polling {
            client: self.client,
            binding: self.binding,
            #[cfg(feature = "dpop")]
            with_nonce: false,
            device_code,
            interval,
            next: later(now.monotonic, interval),
            end: later(now.monotonic, life),
            silence: None,
        };
        Ok((Instructions { user_code, verification_uri, verification_uri_complete, life }, polling))
    }
}

impl Polling {
    /// How long to wait before the next poll.
    ///
    /// # Errors
    /// The code has expired, and the person has to begin again: [`DeviceError::Unreachable`] where the last poll had no
    /// answer, else [`DeviceError::Expired`].
    pub fn wait(&self, now: Now) -> Result<Millis, DeviceError> {
        if self.next < self.end && now.monotonic < self.end {
            return Ok(self.next.minus(now.monotonic));
        }
        Err(self.silence.clone().map_or(DeviceError::Expired, DeviceError::Unreachable))
    }

    /// The poll (RFC 8628 section 3.4).
    pub fn request(&self) -> Request {
        let parameters = [
            ("grant_type", GRANT_TYPE),
            ("device_code", self.device_code.expose()),
            ("client_id", self.client.client_id.as_str()),
            ("resource", self.client.resource.as_deref().unwrap_or_default()),
        ];
        Request { binding: self.binding.clone(), ..form_request(self.client.token_endpoint.clone(), &parameters) }
    }

    /// Judges the answer to a poll (RFC 8628 section 3.5). `sent` is the moment before the poll was sent, from which the
    /// life of the tokens counts.
    ///
    /// # Errors
    /// [`DeviceError`]: it is over.
    pub fn receive(
        mut self,
        answer: Result<Response, SendError>,
        sent: Timestamp,
        now: Now,
    ) -> Result<Polled, DeviceError> {
        if let Ok(response) = &answer {
            self.binding.iter_mut().for_each(|binding| binding.learn(response));
        }
        #[cfg(feature = "dpop")]
        let again = core::mem::take(&mut self.with_nonce);
        self.silence = answer.as_ref().err().map(|error| error.detail.clone());
        let wait = match &answer {
            // A server that does not answer is asked less often.
            Err(_) => self.slower(),
            Ok(response) if matches!(response.status, 408 | 429 | 500..) => {
                retry_after::of(response, now.wall).unwrap_or_default().max(self.slower())
            }
            Ok(response) => {
                let code = slice::from_ref(&self.device_code);
                let reading = token::read(&self.client, response, code, self.binding.is_some(), now);
                #[cfg(feature = "dpop")]
                if matches!(reading, Reading::UseNonce) && !again {
                    self.with_nonce = true;
                    self.next = now.monotonic;
                    return Ok(Polled::Pending(self));
                }
                let error = read_error(&response.body);
                // Some servers say it with the status of a success. What brings tokens is one.
                match error.error.as_deref() {
                    _ if matches!(reading, Reading::Answer(Answer::Issued(_))) => return self.ended(reading, sent),
                    Some("authorization_pending") => self.interval,
                    Some("slow_down") => {
                        self.interval = later(self.interval, INTERVAL);
                        self.interval
                    }
                    Some("access_denied") => return Err(DeviceError::Denied),
                    Some("expired_token") => return Err(DeviceError::Expired),
                    Some(_) if response.status < 300 => {
                        return Err(DeviceError::Refused(error.detail(response.status, code)));
                    }
                    _ => return self.ended(reading, sent),
                }
            }
        };
        self.next = later(now.monotonic, wait);
        Ok(Polled::Pending(self))
    }

    /// RFC 8628 section 3.5: exponentially.
    fn slower(&mut self) -> Millis {
        self.interval = Millis(self.interval.0.saturating_mul(2)).min(LONGEST_BACK_OFF).max(self.interval);
        self.interval
    }

    fn ended(self, reading: Reading, sent: Timestamp) -> Result<Polled, DeviceError> {
        #[allow(clippy::infallible_destructuring_match, reason = "there are more with the feature `dpop`")]
        let answer = match reading {
            Reading::Answer(answer) => answer,
            #[cfg(feature = "dpop")]
            Reading::UseNonce => return Err(DeviceError::Refused("use_dpop_nonce".into())),
            #[cfg(feature = "dpop")]
            Reading::NotBound => return Err(DeviceError::NotBound),
        };
        match answer {
            Answer::Issued(issued) => Ok(Polled::Done(Credentials::issued(issued, self.client, self.binding, sent))),
            Answer::Refused { detail } | Answer::ClientRejected { detail } => Err(DeviceError::Refused(detail)),
            Answer::RefusedByStatus(status) => Err(DeviceError::Refused(format!("HTTP status {status}"))),
            Answer::Unknown { detail, .. } => Err(DeviceError::InDoubt(detail)),
            Answer::Throttled { .. } => Err(DeviceError::InDoubt("HTTP status 429".into())),
        }
    }
}

impl fmt::Debug for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instructions({})", self.verification_uri.origin())
    }
}

impl fmt::Debug for Polling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Polling({}, every {} ms)", self.client.name, self.interval.0)
    }
}

/// A login with a code on another machine did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceError {
    /// The provider has no device authorization endpoint.
    NotOffered,
    /// The provider has no client identifier.
    MissingClientId(MissingClientId),
    /// The server could not be reached.
    Unreachable(String),
    /// The server gave no code, or does not accept it: its error, fit for display.
    Refused(String),
    /// The answer with the code is not readable.
    Unreadable,
    /// The person said no.
    Denied,
    /// The code was not used in time.
    Expired,
    /// The answer that should have held the tokens is not readable. The code may be spent.
    InDoubt(String),
    /// The server issued tokens that are not bound to the key of this login, though that was asked for. They are not used
    /// (RFC 9449 section 5).
    #[cfg(feature = "dpop")]
    NotBound,
}

impl DeviceError {
    /// A stable identifier.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotOffered => "no_device_flow",
            Self::MissingClientId(error) => error.code(),
            Self::Unreachable(_) => "unreachable",
            Self::Refused(_) => "device_refused",
            Self::Unreadable => "device_unreadable",
            Self::Denied => "denied",
            Self::Expired => "device_code_expired",
            Self::InDoubt(_) => "code_in_doubt",
            #[cfg(feature = "dpop")]
            Self::NotBound => "not_bound",
        }
    }

    /// What to do next, where the message does not say it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotOffered => Some("log in with a browser, or paste the code"),
            Self::Unreachable(_) => Some("check the network, the proxy settings and the certificates"),
            Self::Refused(_) => Some("check the client id, and whether it may use the device flow"),
            Self::Denied => Some("start the login again and agree to it"),
            Self::Expired | Self::InDoubt(_) => Some("start the login again"),
            #[cfg(feature = "dpop")]
            Self::NotBound => Some(crate::credential::InstallError::NotBound.hint()),
            Self::Unreadable | Self::MissingClientId(_) => None,
        }
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOffered => f.write_str("this provider has no device flow (device_authorization_endpoint)"),
            Self::MissingClientId(error) => error.fmt(f),
            Self::Unreachable(detail) => write!(f, "the server could not be reached: {detail}"),
            Self::Refused(detail) => write!(f, "the server does not accept this login: {detail}"),
            Self::Unreadable => f.write_str("the server's answer holds no code that can be used"),
            Self::Denied => f.write_str("the login was denied"),
            Self::Expired => f.write_str("the code was not used in time"),
            Self::InDoubt(detail) => write!(f, "the server gave no usable answer to the code: {detail}"),
            #[cfg(feature = "dpop")]
            Self::NotBound => crate::credential::InstallError::NotBound.fmt(f),
        }
    }
}

impl core::error::Error for DeviceError {}

/// RFC 8628 section 3.2. Other members are passed over.
struct Document {
    device_code: Option<Secret>,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

impl Document {
    fn read(body: &[u8]) -> Option<Self> {
        let mut members = Members::parse(body)?;
        let document = Self {
            device_code: members.secret("device_code"),
            user_code: members.text("user_code")?,
            verification_uri: members.text("verification_uri")?,
            verification_uri_complete: members.text("verification_uri_complete"),
            expires_in: members.value("expires_in", json::whole)?,
            interval: members.nullable("interval", json::whole),
        };
        members.fits().then_some(document)
    }
}

fn later(moment: Millis, span: Millis) -> Millis {
    Millis(moment.0.saturating_add(span.0))
}
