//! Places that refuse for real: a full disk, a read-only mount, a file that is mounted by itself. Each in a mount
//! namespace of its own.

use crate::case::subject;
use crate::subject::Work;
use kraube_harsh::{Result, log_in};
use kraube_testserver::{Config, Server};
use std::process::Command;

/// What is mounted, what the program says then, and whether it gets on when that is undone.
struct Place {
    name: &'static str,
    /// A shell script; `$1` is the directory.
    mount: &'static str,
    answer: &'static str,
    undo: &'static str,
}

/// How many there are.
pub(crate) const COUNT: usize = PLACES.len();

const PLACES: &[Place] = &[
    Place {
        name: "full disk",
        mount: "saved=$(cat \"$1/credentials.json\"); \
                mount -t tmpfs -o size=64k,mode=700 tmpfs \"$1\"; umask 077; printf %s \"$saved\" >\"$1/credentials.json\"; \
                : >\"$1/credentials.json.lock\"; cat /dev/zero >\"$1/fill\" 2>/dev/null || true",
        answer: "error store",
        undo: "rm \"$1/fill\"",
    },
    Place {
        name: "read-only mount",
        mount: "mount --bind \"$1\" \"$1\"; mount -o remount,bind,ro \"$1\"",
        answer: "error no_lock",
        undo: "umount \"$1\"",
    },
    Place {
        name: "mounted file",
        mount: "mount --bind \"$1/credentials.json\" \"$1/credentials.json\"",
        answer: "error no_lock",
        undo: "umount \"$1/credentials.json\"",
    },
];

/// What did not hold.
pub(crate) fn all() -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for place in PLACES {
        if let Err(error) = place.try_out() {
            broken.push(format!("{}: {error}", place.name));
        }
    }
    Ok(broken)
}

impl Place {
    fn try_out(&self) -> Result<()> {
        let server = Server::spawn(Config::default())?;
        let dir = kraube_harsh::directory()?;
        let file = kraube_harsh::credentials_in(dir.path());
        log_in(&server, &file, -1000)?;
        // The record before and after, and what the program said, with the mount and without it.
        let script = format!(
            "{}; before=$(cat \"$1/credentials.json\"); dir=$1; shift; \"$@\"; set -- \"$dir\" \"$@\"; \
             [ \"$before\" = \"$(cat \"$1/credentials.json\")\" ] && echo same; {}; shift; \"$@\"",
            self.mount, self.undo
        );
        let mut wrapper = Command::new("unshare");
        // As another user than root this needs a user namespace, in which that user is root.
        if !rustix::process::geteuid().is_root() {
            wrapper.arg("--map-root-user");
        }
        wrapper.args(["--mount", "--propagation", "private", "sh", "-ec", &script, "sh"]).arg(dir.path());
        let said = subject(&mut wrapper, Work::Token, &file)?;
        let [refused, same, token] = said.lines().collect::<Vec<_>>()[..] else {
            return Err(format!("it said {said:?}").into());
        };
        let seen = server.counters();
        match (refused == self.answer, same, token.starts_with("token "), seen.rotations, seen.refresh_requests) {
            (true, "same", true, 1, 1) => Ok(()),
            _ => Err(format!("it said {said:?}, and the server {seen:?}").into()),
        }
    }
}
