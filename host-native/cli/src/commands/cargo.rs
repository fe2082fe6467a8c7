//! `kraube helper cargo`: the credential provider protocol of cargo, version 1: lines of JSON, until cargo ends it.

use super::helper::{Tool, obtain};
use super::token::{Source, expires_at};
use super::{Cli, Command, credentials_of};
use crate::exit::{Code, Failed, Report};
use crate::ui;
use clap::Parser;
use kraube::core::secret::Secret;
use std::io::{self, BufRead};
use std::path::Path;

/// The argument with which cargo starts a credential provider. Those of its configuration come with each request.
pub(super) const PLUGIN: &str = "--cargo-plugin";

/// What is meant by that.
pub(super) const COMMAND: [&str; 3] = ["kraube", "helper", "cargo"];

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// The word that the registry wants before the token, such as Bearer
    #[arg(long, value_name = "WORD")]
    scheme: Option<String>,
}

pub(super) fn run(options: &Options, credentials: Option<&Path>) -> Result<(), Failed> {
    ui::print(|out| writeln!(out, r#"{{"v":[1]}}"#))?;
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|error| Failed::new(Code::Error, "cargo cannot be read").caused_by(error))?;
        let answer = match serde_json::from_str(&line) {
            Ok(request) => answer(&request, options, credentials),
            Err(error) => {
                Answer::Err(Refusal::other("the request is not understood".to_owned(), vec![error.to_string()]))
            }
        };
        // The line holds the token.
        let answer = serde_json::to_string(&answer).map_err(|error| Failed::of(Code::Error, &error))?;
        let answer = Secret::new(answer);
        ui::print(|out| writeln!(out, "{}", answer.expose()))?;
    }
    Ok(())
}

fn answer(request: &Request, options: &Options, credentials: Option<&Path>) -> Answer {
    if request.kind != "get" {
        return Answer::Err(Refusal::bare("operation-not-supported"));
    }
    match token(request, options, credentials) {
        Ok(token) => Answer::Ok(token),
        // Cargo then asks the next provider, and shows nothing of this one by itself.
        Err(Failed { code: Code::LoggedOut, report }) => {
            report.iter().for_each(ui::report);
            Answer::Err(Refusal::bare("not-found"))
        }
        Err(Failed { report, .. }) => {
            let Report { error, causes, hints } = report.unwrap_or_else(|| Report {
                error: "interrupted".to_owned(),
                causes: Vec::new(),
                hints: Vec::new(),
            });
            Answer::Err(Refusal::other(error, causes.into_iter().chain(hints).collect()))
        }
    }
}

fn token(request: &Request, options: &Options, credentials: Option<&Path>) -> Result<Got, Failed> {
    let named;
    let (scheme, credentials) = if request.args.is_empty() {
        (options.scheme.clone(), credentials)
    } else {
        let words = COMMAND.iter().copied().chain(request.args.iter().map(String::as_str));
        let cli = Cli::try_parse_from(words).map_err(|error| {
            Failed::new(Code::Usage, "the options in the configuration of cargo are wrong").caused_by(error)
        })?;
        named = credentials_of(cli.profile.as_deref(), cli.credentials.as_deref())?;
        let Command::Helper(super::helper::Args { tool: Tool::Cargo(options) }) = cli.command else {
            return Err(Failed::new(Code::Usage, "the configuration of cargo names another command"));
        };
        (options.scheme, named.as_deref())
    };
    let token = obtain(&Source::open(credentials)?)?;
    let value = scheme.map_or(token.expose().to_owned(), |scheme| format!("{scheme} {}", token.expose()));
    Ok(Got {
        kind: "get",
        token: value,
        cache: "expires",
        expiration: expires_at(&token).0 / 1000,
        operation_independent: true,
    })
}

/// What cargo asks. Other members are ignored.
#[derive(serde::Deserialize)]
struct Request {
    kind: String,
    #[serde(default)]
    args: Vec<String>,
}

#[derive(serde::Serialize)]
enum Answer {
    Ok(Got),
    Err(Refusal),
}

#[derive(serde::Serialize)]
struct Got {
    kind: &'static str,
    token: String,
    cache: &'static str,
    /// In seconds since the Unix epoch.
    expiration: u64,
    operation_independent: bool,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "kebab-case")]
struct Refusal {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    caused_by: Vec<String>,
}

impl Refusal {
    fn bare(kind: &'static str) -> Self {
        Self { kind, message: None, caused_by: Vec::new() }
    }

    fn other(message: String, caused_by: Vec<String>) -> Self {
        Self { kind: "other", message: Some(message), caused_by }
    }
}
