//! `kraube logout`: end the login here and at the server.

use crate::exit::{Code, Failed};
use crate::ui;
use kraube::core::credential::{Forgotten, Revoked};
use std::path::Path;

/// End the login: revoke it at the server, and delete what is stored
///
/// What is stored is deleted even where the server cannot be reached.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not tell the server
    #[arg(long)]
    no_revoke: bool,
}

pub(crate) fn run(args: &Args, credentials: Option<&Path>) -> Result<Code, Failed> {
    match kraube::logout(credentials, !args.no_revoke)? {
        Forgotten::NothingStored => ui::say("There was no login."),
        Forgotten::Deleted { revoked } => {
            ui::say("The login is deleted.");
            tell(&revoked, args.no_revoke);
        }
        Forgotten::AnotherLogin { revoked } => {
            tell(&revoked, args.no_revoke);
            return Err(Failed::new(Code::AccountChanged, "somebody logged in anew meanwhile; that login is kept")
                .hint("log out again to end it as well"));
        }
        Forgotten::StillStored { revoked, cause } => {
            tell(&revoked, args.no_revoke);
            let failed = Failed::new(Code::Error, "the credentials are still stored");
            return Err(match cause {
                Some(cause) => failed.caused_by(cause.detail),
                None => failed.caused_by("other programs kept changing them"),
            }
            .hint("mend that, and log out again"));
        }
        Forgotten::Misuse(awaited) => {
            return Err(Failed::new(Code::Error, format!("the machine awaited {awaited}"))
                .hint("this is a bug; please report it"));
        }
        _ => return Err(Failed::new(Code::Error, "the core ended in a way that this version does not know")),
    }
    Ok(Code::Ok)
}

fn tell(revoked: &Revoked, unwanted: bool) {
    match revoked {
        Revoked::Yes => ui::say("The server confirmed that it is revoked."),
        Revoked::NotAsked if unwanted => ui::say("The server was not told: its tokens live until they expire."),
        Revoked::NotAsked => ui::say(
            "The server was not told, because it has no revocation endpoint or no refresh token could be read: its tokens live until they expire.",
        ),
        Revoked::Unconfirmed(detail) => {
            ui::warn(&format!("the server did not confirm that it is revoked: {detail}"));
            ui::say("");
            ui::hint("end the session on the provider's own pages, if it is still shown there");
        }
    }
}
