//! `kraube helper`: the protocols by which other tools ask a program for credentials, so that they never touch the file.

use super::read_input;
use super::token::{Life, Source, expires_at};
use crate::exit::{Code, Failed};
use crate::ui;
use clap::{Subcommand, ValueEnum};
use kraube::Token;
use kraube::core::secret::Secret;
use std::path::Path;

/// Give tokens to git, docker, kubectl, cargo, or what reads a .netrc
///
/// git:      git config --global credential.https://git.example.com.helper \
///             '!kraube helper git'
/// kubectl:  in the kubeconfig, users[].user.exec: command kraube,
///           args [helper, kubernetes], interactiveMode Never,
///           apiVersion client.authentication.k8s.io/v1
/// docker:   in PATH, a program docker-credential-kraube of the two lines
///           `#!/bin/sh` and `exec kraube helper docker "$@"`; in config.json,
///           {"credHelpers": {"registry.example.com": "kraube"}}
/// cargo:    in config.toml, [registries.NAME] credential-provider = ["kraube"];
///           options follow it in the list: "--profile", "NAME", or "--scheme",
///           "Bearer" where the registry wants that word before the token
/// netrc:    curl --netrc-file <(kraube helper netrc api.example.com) \
///             https://api.example.com/
///
/// Name the hosts, as above: a helper that is set for all of them would give the
/// token to each.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[allow(rustdoc::bare_urls, reason = "the text of `--help`, shown as it stands")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(super) tool: Tool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Tool {
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
    /// The credential provider protocol of cargo
    Cargo(super::cargo::Options),
    /// The line of a .netrc, for servers that take the token as a password
    Netrc {
        #[command(flatten)]
        user: User,
        /// The host that it is for
        #[arg(value_parser = host)]
        host: String,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct User {
    /// The user name that the server wants beside a token
    #[arg(long, value_name = "NAME", default_value = "oauth2", value_parser = word)]
    username: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Docker {
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
        Tool::Cargo(options) => super::cargo::run(options, credentials)?,
        Tool::Netrc { user, host } => {
            let token = obtain(&Source::open(credentials)?)?;
            let line = netrc(user, host, token.expose())?;
            ui::print(|out| out.write_all(line.as_bytes()))?;
        }
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
            let token = match obtain(&Source::open(credentials)?) {
                // By these words docker knows that it may go on without credentials. What else fails ends what it does.
                Err(failed) if failed.code == Code::LoggedOut => {
                    ui::print(|out| writeln!(out, "credentials not found in native keychain"))?;
                    return Err(failed);
                }
                token => token?,
            };
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

/// Words in a line: what is behind a space in one of them would be read as something else.
fn netrc(user: &User, host: &str, token: &str) -> Result<String, Failed> {
    if !is_word(token) {
        return Err(Failed::new(Code::Error, "this token is not one word, and no other can be in a .netrc"));
    }
    Ok(format!("machine {host} login {} password {token}\n", user.username))
}

/// In each of the protocols a name is one word of one line.
fn word(name: &str) -> Result<String, &'static str> {
    if is_word(name) { Ok(name.to_owned()) } else { Err("it must be one word") }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn host(name: &str) -> Result<String, &'static str> {
    if name.contains('/') { Err("give the host alone, without a scheme or a path") } else { word(name) }
}

/// A living token, however long it lives.
pub(super) fn obtain(source: &Source) -> Result<Token, Failed> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_two_words_is_in_no_netrc() {
        let user = User { username: "me".into() };
        let line = netrc(&user, "api.example", "one.word").expect("it can be written");
        assert_eq!(line, "machine api.example login me password one.word\n");
        for token in ["canary login root", "canary\nmachine other.example", "canary\t", ""] {
            let Failed { code, report } = netrc(&user, "api.example", token).expect_err("it cannot be written");
            assert_eq!(code, Code::Error, "{token:?}");
            assert!(!format!("{report:?}").contains("canary"), "{report:?}");
        }
    }
}
