//! `kraube status`: what can be told of the login by reading alone.

use crate::exit::{Code, Failed};
use crate::ui;
use kraube::core::provider::Client;
use kraube::core::status::Status;
use std::io::{self, Write};
use std::path::Path;

/// Tell the state of the login, without a request or a change
///
/// The exit code is 0 where the token is valid, 3 where the next call refreshes it, and 4, 5 or 6 where the login has
/// ended, was refused, or is in doubt.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print an object for programs
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, credentials: Option<&Path>) -> Result<Code, Failed> {
    let path = kraube::paths::credentials_path(credentials).map_err(kraube::Error::from)?;
    let status = kraube::status(Some(&path))?;
    ui::print(|out| if args.json { write_json(&status, &path, out) } else { write_text(&status, &path, out) })?;
    if let (false, Some(hint)) = (args.json, status.state.hint()) {
        ui::say("");
        ui::hint(hint);
    }
    Ok((&status.state).into())
}

fn write_text(status: &Status, path: &Path, out: &mut dyn Write) -> io::Result<()> {
    let mut line = |name: &str, value: &str| writeln!(out, "{name:<13}{}", ui::plain(value));
    line("state", &status.state.to_string())?;
    line("credentials", &path.display().to_string())?;
    if let Some(at) = status.expires_at {
        line("expires", &format!("{} ({})", ui::date(at), ui::relative(at)))?;
    }
    if status.bound {
        line("bound", "to a key (DPoP): each request with the token needs a proof")?;
    }
    if let Some(at) = status.retry_at {
        line("next attempt", &format!("{} ({})", ui::date(at), ui::relative(at)))?;
    }
    if let Some(scope) = &status.scope {
        line("scope", scope)?;
    }
    if let Some(Client { name, client_id, .. }) = &status.client {
        line("provider", &format!("{name} (client id {client_id})"))?;
    }
    Ok(())
}

fn write_json(status: &Status, path: &Path, out: &mut dyn Write) -> io::Result<()> {
    let json = Json {
        state: status.state.code(),
        credentials: path.display().to_string(),
        expires_at: status.expires_at.map(|at| at.0),
        obtained_at: status.obtained_at.map(|at| at.0),
        retry_at: status.retry_at.map(|at| at.0),
        refreshable: status.refreshable,
        bound: status.bound,
        login: status.login.as_ref().map(|login| login.0.as_str()),
        scope: status.scope.as_deref(),
        provider: status.client.as_ref(),
    };
    serde_json::to_writer(&mut *out, &json)?;
    writeln!(out)
}

/// Times in Unix milliseconds; what is not known is left out.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    state: &'static str,
    credentials: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    obtained_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<u64>,
    refreshable: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    bound: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a Client>,
}
