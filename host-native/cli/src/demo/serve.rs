//! `kraube demo --serve`: the embedded server alone, to try the other commands against.

use super::{DemoArgs, GRACE, on_interrupt};
use kraube_testserver::{Config, Files, Server};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

/// Long enough to look at, short enough to see it refreshed.
const LIFE: Duration = Duration::from_secs(60);

/// Serves until it is interrupted.
pub(super) fn run(args: &DemoArgs) -> Result<ExitCode, String> {
    let grace = (!args.strict).then_some(GRACE);
    let config = Config {
        port: args.port,
        access_life: LIFE,
        grace,
        auto_approve: false,
        files: args.files.clone(),
        control: args.control,
        ..Config::default()
    };
    let server = Server::spawn(config).map_err(|error| format!("the server cannot start: {error}"))?;
    let (stop, stopped) = mpsc::channel();
    on_interrupt(move || {
        let _ = stop.send(());
    })?;
    // By the other name of this machine they are pages of another origin than the server, as in earnest.
    let own = server.issuer().replace("127.0.0.1", "localhost");
    let pages: String = args.files.iter().map(|Files { path, .. }| format!("pages       {own}{path}/\n")).collect();
    let text = format!(
        "issuer      {issuer}
authorize   {}
token       {}
revoke      {}
resource    {}
client id   any; the provider `demo` uses kraube-demo
tokens      live for {} s; a refresh token works once{}
{pages}
Log in against it, from another terminal:
  export KRAUBE_DEMO_ISSUER={issuer}
  kraube login --provider demo --out demo-credentials.json
  kraube token --credentials demo-credentials.json

What it sees is on {issuer}/ and, for programs, below it on
/counters. Ctrl-C ends it.
",
        server.authorize_url(),
        server.token_url(),
        server.revoke_url(),
        server.resource_url(),
        LIFE.as_secs(),
        grace.map(|grace| format!(", and again for {} s", grace.as_secs())).unwrap_or_default(),
        issuer = server.issuer(),
    );
    let mut out = io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| error.to_string())?;
    // An error means that the handler has gone, and with it every way to end this but a kill.
    let _ = stopped.recv();
    Ok(ExitCode::SUCCESS)
}

/// `/app=folder`.
pub(super) fn parse_files(text: &str) -> Result<Files, String> {
    let (path, folder) = text.split_once('=').ok_or("give a path and a folder: /app=folder")?;
    let path = path.trim_end_matches('/');
    let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte));
    if !path.starts_with('/') || !plain {
        return Err("the path begins with / and is one of letters, digits, - _ . and /".into());
    }
    match Path::new(folder).is_dir() {
        true => Ok(Files { path: path.into(), folder: folder.into() }),
        false => Err("there is no such folder".into()),
    }
}
