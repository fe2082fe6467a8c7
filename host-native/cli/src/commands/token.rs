//! `kraube token`: a living access token on standard output.

use crate::exit::{Code, Failed};
use crate::ui;
use clap::ValueEnum;
use kraube::core::secret::Secret;
use kraube::{Token, TokenSource};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The variable in which programs are given a token.
pub(crate) const ACCESS_TOKEN: &str = "KRAUBE_ACCESS_TOKEN";
/// What is read from standard input at most; no token is as long.
const LONGEST: u64 = 1 << 20;

/// Print a living access token, refreshed where that is due
///
/// The token is all that is on standard output. To use it without showing it to other users of the machine:
/// `kraube token --format header | curl -H @- https://api.example.com`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    life: Life,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Raw)]
    format: Format,
    /// Read a token that was answered with 401 from standard input, and print another one than that
    #[arg(long)]
    rejected: bool,
}

/// How long a token is to live.
#[derive(Debug, clap::Args)]
pub(crate) struct Life {
    /// Refresh the token unless it lives for this long: 10m, 90s, 1h, or a number of seconds
    #[arg(long, value_name = "DURATION", value_parser = ui::parse_span)]
    min_valid: Option<Duration>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// The token and a line break
    Raw,
    /// An object: accessToken, expiresAt in Unix milliseconds, tokenType, and scope where it is known
    Json,
    /// The header field of a request: Authorization: Bearer ...
    Header,
    /// An assignment that shells read: KRAUBE_ACCESS_TOKEN=...
    Env,
}

pub(crate) fn run(args: &Args, credentials: Option<&Path>) -> Result<Code, Failed> {
    // The login it begins with is the one that the caller asked for.
    let source = TokenSource::from_file(credentials)?.pin_login();
    if args.rejected {
        source.reject_secret(&read_rejected()?);
    }
    let token = args.life.obtain(&source)?;
    ui::print(|out| args.format.write(&token, out))?;
    Ok(Code::Ok)
}

impl Life {
    /// A token of the source. Where it is not all that was asked for, that is told.
    pub(crate) fn obtain(&self, source: &TokenSource) -> Result<Token, Failed> {
        let min_valid = self.min_valid.unwrap_or_default();
        let token = source.min_valid(min_valid).blocking_token()?;
        let left = token.expires_at().duration_since(SystemTime::now()).unwrap_or_default();
        if let Some(failure) = token.stale() {
            ui::hint(&format!("the token was not refreshed and lives for {} more: {failure}", ui::span(left)));
            failure.hint().into_iter().for_each(ui::hint);
        } else if token.is_short() {
            ui::hint(&format!(
                "the token lives for {} and not for {}: the server issues no longer ones",
                ui::span(left),
                ui::span(min_valid)
            ));
        }
        Ok(token)
    }
}

impl Format {
    fn write(self, token: &Token, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Raw => writeln!(out, "{}", token.expose()),
            Self::Header => writeln!(out, "Authorization: Bearer {}", token.expose()),
            Self::Env => {
                writeln!(out, "{ACCESS_TOKEN}={}", shlex::try_quote(token.expose()).map_err(io::Error::other)?)
            }
            Self::Json => {
                serde_json::to_writer(&mut *out, &Json::of(token))?;
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
    scope: Option<&'a str>,
}

impl<'a> Json<'a> {
    fn of(token: &'a Token) -> Self {
        let expires_at = token.expires_at().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            access_token: token.expose(),
            expires_at: u64::try_from(expires_at.as_millis()).unwrap_or(u64::MAX),
            token_type: "Bearer",
            scope: token.scope(),
        }
    }
}

fn read_rejected() -> Result<Secret, Failed> {
    let mut text = String::with_capacity(16 * 1024);
    io::stdin()
        .lock()
        .take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|error| Failed::new(Code::Error, "standard input cannot be read").caused_by(error))?;
    let whole = Secret::new(text);
    match whole.expose().trim() {
        "" => Err(Failed::new(Code::Usage, "there is no token on standard input")
            .hint("with --rejected, pass the token that was answered with 401: printf %s \"$token\" | kraube token --rejected")),
        token => Ok(Secret::new(token)),
    }
}
