//! `kraube providers`: what `kraube login --provider` knows.

use crate::exit::{Code, Failed};
use crate::ui;
use kraube::provider::Listed;
use std::io::{self, Write};
use std::path::Path;

/// List the providers: built-in ones, and those in providers.toml
///
/// The file is beside the credentials; a profile without one uses that of the default credentials. Any other server is
/// found by `kraube login --issuer URL`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print an array for programs
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, credentials: Option<&Path>) -> Result<Code, Failed> {
    let listed = kraube::provider::list(credentials).map_err(|error| Failed::of((&error).into(), &error))?;
    ui::print(|out| if args.json { write_json(&listed, out) } else { write_text(&listed, out) })?;
    Ok(Code::Ok)
}

fn write_text(listed: &[Listed], out: &mut dyn Write) -> io::Result<()> {
    let width = listed.iter().map(|listed| listed.provider.name.chars().count()).max().unwrap_or_default();
    for Listed { provider, file, .. } in listed {
        let id = provider.client_id.as_ref().map_or("no client id".to_owned(), |id| format!("client id {id}"));
        let from = file.as_ref().map_or("built in".to_owned(), |file| file.display().to_string());
        let name = ui::plain(&provider.name);
        writeln!(out, "{name:<width$}  {}", ui::plain(provider.token_endpoint.as_str()))?;
        writeln!(out, "{:width$}  {}, {}", "", ui::plain(&id), ui::plain(&from))?;
    }
    Ok(())
}

fn write_json(listed: &[Listed], out: &mut dyn Write) -> io::Result<()> {
    let all = listed.iter().map(|Listed { provider, file, .. }| Json {
        name: &provider.name,
        issuer: provider.issuer.as_deref(),
        authorization_endpoint: provider.authorization_endpoint.as_str(),
        token_endpoint: provider.token_endpoint.as_str(),
        client_id: provider.client_id.as_deref(),
        file: file.as_deref().map(|file| file.display().to_string()),
    });
    serde_json::to_writer(&mut *out, &all.collect::<Vec<_>>())?;
    writeln!(out)
}

/// What is not known is left out; `file` is missing where the provider is built in.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    authorization_endpoint: &'a str,
    token_endpoint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}
