//! `kraube keep-fresh`: refreshes ahead of expiry, in the foreground.

use crate::exit::{Code, Failed};
use crate::process;
use crate::ui;
use kraube::core::keeping::Health;
use std::path::Path;
use std::sync::mpsc;

/// Refresh the token ahead of expiry, until told to end
///
/// For systemd and launchd, so that no program has to wait for a refresh; nothing depends on it. It stays in the
/// foreground, and ends with 0 on SIGTERM, SIGINT or SIGHUP, after an answer that is under way was stored. How it goes is
/// in a file beside the credentials (`<credentials>.health`: JSON, no secrets), which `kraube doctor` reads.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(Args {}: &Args, credentials: Option<&Path>) -> Result<Code, Failed> {
    let (end, ended) = mpsc::channel();
    // `end` itself stays here: where the system gives no way to ask for the end, its absence is no such request.
    let tell_end = end.clone();
    process::tell_when_to_end(move || {
        let _ = tell_end.send(());
    });
    let path = kraube::paths::credentials_path(credentials).map_err(kraube::Error::from)?;
    let mut told = None;
    kraube::keep_fresh(Some(&path), &ended, &mut |health| {
        let now = (health.healthy, health.state.clone(), health.error.clone(), health.expires_at);
        if told.as_ref() != Some(&now) {
            tell(health);
        }
        told = Some(now);
    })?;
    Ok(Code::Ok)
}

fn tell(health: &Health) {
    let state = health.state.replace('_', " ");
    match (&health.error, health.expires_at) {
        (Some(error), _) => ui::warn(error),
        (None, Some(at)) if health.healthy => {
            let at = kraube::core::time::Timestamp(at);
            ui::say(format_args!("{state}: the token lives until {}", ui::date(at)));
        }
        (None, _) if state == "unreadable" => ui::warn("unreadable: `kraube status` says why"),
        (None, _) => ui::warn(&format!("{state}: a person has to log in with `kraube login`")),
    }
}
