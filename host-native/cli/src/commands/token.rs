//! `kraube token`: a living access token on standard output.

use super::read_secret;
use crate::exit::{Code, Failed};
use crate::process;
use crate::ui;
use clap::ValueEnum;
use kraube::core::secret::Secret;
use kraube::core::status::{State, Status};
use kraube::core::time::Timestamp;
use kraube::paths::credentials_path;
use kraube::{Authorized, Error, Token, TokenSource};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The variable in which programs are given a token.
pub(crate) const ACCESS_TOKEN: &str = "KRAUBE_ACCESS_TOKEN";

/// Print a living access token, refreshed where that is due
///
/// The token is all that is on standard output. To use it without showing it to
/// other users of the machine:
///
///   kraube token --format header | curl -H @- https://api.example.com
///
/// A login that is bound to a key (DPoP) needs a proof for each request:
///
///   kraube token --dpop GET https://api.example.com/me |
///     curl -H @- https://api.example.com/me
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[allow(rustdoc::bare_urls, reason = "the text of `--help`, shown as it stands")]
pub(crate) struct Args {
    #[command(flatten)]
    life: Life,
    /// How to print it: raw, or with --dpop as header fields
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Of a login that is bound to a key: print a proof as well, for one request with this method to this address
    #[arg(long, num_args = 2, value_names = ["METHOD", "URL"])]
    dpop: Option<Vec<String>>,
    /// The nonce that the resource has answered with (DPoP-Nonce)
    #[arg(long, allow_hyphen_values = true, value_name = "NONCE", requires = "dpop")]
    nonce: Option<String>,
    /// Read a token that was answered with 401 from standard input, and print another one than that
    #[arg(long)]
    rejected: bool,
}

/// How long a token is to live.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Life {
    /// Refresh the token unless it lives for this long: 10m, 90s, 1h, or a number of seconds
    #[arg(long, value_name = "DURATION", value_parser = ui::parse_span)]
    min_valid: Option<Duration>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// The token and a line break
    Raw,
    /// An object: accessToken, expiresAt in Unix milliseconds, tokenType, dpop with --dpop, and scope where it is known
    Json,
    /// The header field of a request: Authorization: Bearer ...
    Header,
    /// A line for `curl --config -`: header = "Authorization: Bearer ..."
    Curl,
    /// An assignment that shells read: KRAUBE_ACCESS_TOKEN=...
    Env,
}

pub(crate) fn run(args: &Args, credentials: Option<&Path>) -> Result<Code, Failed> {
    let rejected = args.rejected.then(read_rejected).transpose()?;
    let source = Source::open(credentials)?;
    rejected.iter().for_each(|token| source.reject(token));
    match args.dpop.as_deref() {
        Some([method, url]) => {
            let format = args.format.unwrap_or(Format::Header);
            if matches!(format, Format::Raw | Format::Env) {
                return Err(Failed::new(Code::Usage, "a token with its proof is printed as header, curl or json"));
            }
            let authorized = source.authorize(&args.life, method, url, args.nonce.as_deref())?;
            ui::print(|out| format.write(authorized.token(), authorized.proof(), out))?;
        }
        _ => {
            let token = args.life.obtain(&source)?;
            ui::print(|out| args.format.unwrap_or(Format::Raw).write(&token, None, out))?;
        }
    }
    Ok(Code::Ok)
}

/// The tokens of a file.
pub(crate) struct Source {
    path: PathBuf,
    tokens: TokenSource,
}

impl Source {
    /// It stays with the login it begins with: that is the one the caller asked for.
    pub(crate) fn open(credentials: Option<&Path>) -> Result<Self, Failed> {
        let path = credentials_path(credentials).map_err(Error::from)?;
        let tokens = TokenSource::from_file(Some(&path))?.pin_login();
        Ok(Self { path, tokens })
    }

    /// This token was not accepted: another one is wanted.
    pub(crate) fn reject(&self, token: &Secret) {
        self.tokens.reject_secret(token);
    }

    /// Most calls find a token that is stored, and are to cost no more than that.
    fn token(&self, min_valid: Duration) -> Result<Token, Failed> {
        let tokens = self.tokens.min_valid(min_valid);
        if let Some(token) = tokens.stored_token() {
            return Ok(token);
        }
        self.end_when_not_spending();
        let token = tokens.blocking_token()?;
        process::go_on()?;
        Ok(token)
    }

    /// The header fields of one request of a login that is bound to a key. Of another login there is no proof, and who
    /// asked for one is not given less.
    fn authorize(&self, life: &Life, method: &str, url: &str, nonce: Option<&str>) -> Result<Authorized, Failed> {
        let tokens = self.tokens.min_valid(life.min_valid.unwrap_or_default());
        nonce.map_or(Ok(()), |nonce| tokens.note_nonce(url, nonce))?;
        self.end_when_not_spending();
        let authorized = tokens.blocking_authorize(method, url)?;
        process::go_on()?;
        if authorized.proof().is_none() {
            let advice = "leave out --dpop, or log in again with `kraube login --dpop`";
            return Err(Failed::new(Code::Error, "this login is not bound to a key").hint(advice));
        }
        life.tell(authorized.token());
        Ok(authorized)
    }

    /// While the record says that the refresh token is being spent, by this process perhaps, the answer is awaited.
    fn end_when_not_spending(&self) {
        let path = self.path.clone();
        process::end_when_not(move || matches!(kraube::status(Some(&path)), Ok(Status { state: State::InDoubt, .. })));
    }
}

impl Life {
    /// A token of the source. Where it is not all that was asked for, that is told.
    pub(crate) fn obtain(&self, source: &Source) -> Result<Token, Failed> {
        let token = source.token(self.min_valid.unwrap_or_default())?;
        self.tell(&token);
        Ok(token)
    }

    fn tell(&self, token: &Token) {
        let left = token.expires_at().duration_since(SystemTime::now()).unwrap_or_default();
        if let Some(failure) = token.stale() {
            ui::hint(&format!("the token was not refreshed and lives for {} more: {failure}", ui::span(left)));
            failure.hint().into_iter().for_each(ui::hint);
        } else if token.is_short() {
            ui::hint(&format!(
                "the token lives for {} and not for {}: the server issues no longer ones",
                ui::span(left),
                ui::span(self.min_valid.unwrap_or_default())
            ));
        }
    }
}

impl Format {
    fn write(self, token: &Token, proof: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Raw => writeln!(out, "{}", token.expose()),
            Self::Header => {
                writeln!(out, "Authorization: {}", token.authorization())?;
                proof.map_or(Ok(()), |proof| writeln!(out, "DPoP: {proof}"))
            }
            // In quotes, curl knows the escapes of `\` and `"` (curl(1), --config).
            Self::Curl => {
                let authorization = token.authorization().replace('\\', "\\\\").replace('"', "\\\"");
                writeln!(out, "header = \"Authorization: {authorization}\"")?;
                proof.map_or(Ok(()), |proof| writeln!(out, "header = \"DPoP: {proof}\""))
            }
            Self::Env => {
                writeln!(out, "{ACCESS_TOKEN}={}", shlex::try_quote(token.expose()).map_err(io::Error::other)?)
            }
            Self::Json => {
                serde_json::to_writer(&mut *out, &Json::of(token, proof))?;
                writeln!(out)
            }
        }
    }
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    access_token: &'a str,
    expires_at: u64,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dpop: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
}

impl<'a> Json<'a> {
    fn of(token: &'a Token, proof: Option<&'a str>) -> Self {
        Self {
            access_token: token.expose(),
            expires_at: expires_at(token).0,
            token_type: token.token_type(),
            dpop: proof,
            scope: token.scope(),
        }
    }
}

/// When the token expires.
pub(crate) fn expires_at(token: &Token) -> Timestamp {
    let since = token.expires_at().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn read_rejected() -> Result<Secret, Failed> {
    let whole = read_secret("the token that was answered with 401")?;
    match whole.expose().trim() {
        "" => Err(Failed::new(Code::Usage, "there is no token on standard input")
            .hint("pass the token that was answered with 401: printf %s \"$token\" | kraube token --rejected")),
        token => Ok(Secret::new(token)),
    }
}
