//! `kraube helper`: the protocols by which other tools ask a program for credentials, so that they never touch the file.

use super::read_input;
use super::token::{Life, Source, expires_at};
use crate::exit::{Code, Failed};
use crate::ui;
use clap::{Subcommand, ValueEnum};
use kraube::Token;
use kraube::core::secret::Secret;
use std::path::Path;

/// Give tokens to git, docker or kubectl, in their own words
///
/// git:      git config --global credential.https://git.example.com.helper '!kraube helper git'
/// kubectl:  in the kubeconfig, users[].user.exec: apiVersion client.authentication.k8s.io/v1, command kraube,
///           args [helper, kubernetes], interactiveMode Never
/// docker:   a program docker-credential-kraube in PATH, with the two lines `#!/bin/sh` and
///           `exec kraube helper docker "$@"`, and {"credHelpers": {"registry.example.com": "kraube"}} in config.json
/// cargo:    needs no helper: credential-provider = "cargo:token-from-stdout kraube token"
///
/// Name the hosts, as above: a helper that is set for all of them would give the token to each.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[allow(rustdoc::bare_urls, reason = "the text of `--help`, shown as it stands")]
pub(crate) struct Args {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    /// The credential helper protocol of git (gitcredentials(7))
    Git {
        #[command(flatten)]
        user: User,
        /// What git asks for; all else is ignored, as the protocol wants it
        operation: String,
    },
    /// The credential helper protocol of docker
    Docker {
        #[command(flatten)]
        user: User,
        /// What docker asks for
        operation: Docker,
    },
    /// The exec credential of kubectl (client.authentication.k8s.io)
    Kubernetes,
}

#[derive(Debug, clap::Args)]
struct User {
    /// The user name that the server wants beside a token
    #[arg(long, value_name = "NAME", default_value = "oauth2")]
    username: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Docker {
    Get,
    Store,
    Erase,
    List,
}

pub(crate) fn run(Args { tool }: &Args, credentials: Option<&Path>) -> Result<Code, Failed> {
    match tool {
        Tool::Git { user, operation } => git(user, operation, credentials)?,
        Tool::Docker { user, operation } => docker(user, *operation, credentials)?,
        Tool::Kubernetes => kubernetes(credentials)?,
    }
    Ok(Code::Ok)
}

fn git(user: &User, operation: &str, credentials: Option<&Path>) -> Result<(), Failed> {
    match operation {
        "get" => {
            let asked = read_input()?;
            let username = member(asked.expose(), "username").unwrap_or(&user.username);
            let token = obtain(&Source::open(credentials)?)?;
            let expiry = expires_at(&token).0 / 1000;
            ui::print(|out| {
                writeln!(out, "username={username}\npassword={}", token.expose())?;
                writeln!(out, "password_expiry_utc={expiry}")
            })
        }
        // The server did not accept it. Where it is the stored one, another one is had at once.
        "erase" => {
            let asked = read_input()?;
            let Some(rejected) = member(asked.expose(), "password") else { return Ok(()) };
            let source = Source::open(credentials)?;
            source.reject(&Secret::new(rejected));
            obtain(&source).map(drop)
        }
        _ => Ok(()),
    }
}

fn docker(user: &User, operation: Docker, credentials: Option<&Path>) -> Result<(), Failed> {
    match operation {
        Docker::Get => {
            let server = read_input()?;
            let token = obtain(&Source::open(credentials)?)?;
            let server_url = server.expose().trim();
            let answer = DockerLogin { server_url, username: &user.username, secret: token.expose() };
            ui::print(|out| Ok(serde_json::to_writer(out, &answer)?))
        }
        Docker::List => ui::print(|out| write!(out, "{{}}")),
        Docker::Store => {
            let advice = "there is nothing to store: log in with `kraube login`, not with `docker login`";
            Err(Failed::new(Code::Usage, advice))
        }
        Docker::Erase => Ok(()),
    }
}

fn kubernetes(credentials: Option<&Path>) -> Result<(), Failed> {
    let token = obtain(&Source::open(credentials)?)?;
    let version = std::env::var("KUBERNETES_EXEC_INFO").ok().and_then(|info| {
        let info: serde_json::Value = serde_json::from_str(&info).ok()?;
        Some(info["apiVersion"].as_str()?.to_owned())
    });
    let answer = ExecCredential {
        api_version: version.unwrap_or_else(|| "client.authentication.k8s.io/v1".to_owned()),
        kind: "ExecCredential",
        status: ExecStatus { token: token.expose(), expiration_timestamp: ui::date(expires_at(&token)) },
    };
    ui::print(|out| {
        serde_json::to_writer(&mut *out, &answer)?;
        writeln!(out)
    })
}

/// A living token, however long it lives.
fn obtain(source: &Source) -> Result<Token, Failed> {
    Life::default().obtain(source)
}

#[derive(serde::Serialize)]
struct DockerLogin<'a> {
    #[serde(rename = "ServerURL")]
    server_url: &'a str,
    #[serde(rename = "Username")]
    username: &'a str,
    #[serde(rename = "Secret")]
    secret: &'a str,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential<'a> {
    api_version: String,
    kind: &'static str,
    status: ExecStatus<'a>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct ExecStatus<'a> {
    token: &'a str,
    expiration_timestamp: String,
}

/// The value of a `name=value` line.
fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}
