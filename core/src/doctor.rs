//! What is to be thought of the place of a login and of the way to its server. The host looks and tries ([`Facts`]); what
//! is good, and what to do where it is not, is decided here ([`examine`]).

use crate::keeping::Health;
use crate::retry_after::imf_fixdate;
use crate::status::{State, Status};
use crate::text::displayable;
use crate::time::{Millis, Timestamp};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// How a [`Finding`] is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and something is to be known.
    Warning,
    /// It does not work.
    Failure,
}

impl Level {
    /// A stable name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What was looked at: a stable name.
    pub check: &'static str,
    /// How it is.
    pub level: Level,
    /// What was found.
    pub text: String,
    /// What to do about it.
    pub advice: Option<String>,
}

/// What the host has seen. Whatever is text comes from the host or the system and may be shown.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The path of the credentials.
    pub path: String,
    /// Where its links lead, if it is one.
    pub target: Option<String>,
    /// The file, where there is one.
    pub file: Option<Entry>,
    /// Its directory, where there is one.
    pub directory: Option<Entry>,
    /// Why the file must not be replaced where it is; says what to do.
    pub irreplaceable: Option<String>,
    /// The type of the file system, as the system names it.
    pub file_system: Option<String>,
    /// What became of the locks of two processes.
    pub locks: Locks,
    /// What can be told of the lock file of the credentials without locking it.
    pub lock_file: LockFile,
    /// Whether a file could be written, made durable and renamed; why not.
    pub write: Result<(), String>,
    /// How many certificates are trusted beside those of the system; why none can be used.
    pub roots: Result<usize, String>,
    /// The variables that name proxies, or what goes past them, with their values.
    pub proxies: Vec<(String, String)>,
    /// What became of a request to the server.
    pub server: Server,
    /// The state of the login.
    pub status: Status,
    /// What the process that keeps it fresh said last.
    pub health: Option<Health>,
    /// The clock, when the server answered.
    pub now: Timestamp,
}

/// What a look at a file or a directory tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whether it belongs to this user.
    pub ours: bool,
    /// The permission bits, where there are such.
    pub mode: Option<u32>,
}

/// What became of the locks of two processes on a scratch file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locks {
    /// One was kept out while the other held the lock, and got it afterwards.
    Exclude,
    /// Both had the lock at once.
    Shared,
    /// The lock outlived its holder.
    Stuck,
    /// They could not be tried.
    Failed(String),
}

/// What a look at the lock file of the credentials tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockFile {
    /// There is none.
    Missing,
    /// It cannot be locked, and why.
    Unusable(String),
    /// No process that the system tells of has locked it.
    Free,
    /// This process has locked it.
    Held {
        /// Its id.
        pid: u32,
        /// Whether it is stopped, as by SIGSTOP or a debugger.
        stopped: bool,
    },
    /// The system does not tell.
    Unknown,
}

/// What became of a request to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// No login says where it is.
    Unknown,
    /// It answered.
    Answered {
        /// Where it was asked.
        url: String,
        /// The status.
        status: u16,
        /// Its `Date`.
        date: Option<String>,
        /// Whether the answer is a page for people, as of a proxy.
        is_page: bool,
        /// Whether its metadata were found and are those of the issuer; why not. `None` where the login names no issuer.
        metadata: Option<Result<(), String>>,
    },
    /// It did not.
    Silent {
        /// Where it was asked.
        url: String,
        /// Why.
        detail: String,
    },
}

/// Judges it all, one line for each check, in a fixed order.
pub fn examine(facts: &Facts) -> Vec<Finding> {
    let place = [Some(path(facts)), file(facts), directory(facts), Some(file_system(facts))];
    let lock = [Some(locks(facts)), lock_file(facts), Some(write(facts))];
    let network = [Some(roots(facts)), Some(proxies(facts)), server(facts), metadata(facts), clock(facts)];
    let login = [login(facts), keeper(facts)];
    place.into_iter().chain(lock).chain(network).chain(login).flatten().collect()
}

/// A proxy's address without the user name and password that it may hold.
pub fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    // Where it is malformed, whatever is before an `@` may be a password.
    let hidden = match rest.rsplit_once('@') {
        Some((_, place)) => format!("***@{place}"),
        None => rest.to_owned(),
    };
    displayable(&if scheme.is_empty() { hidden } else { format!("{scheme}://{hidden}") })
}

const OTHER_PATH: &str = "choose another path with --credentials or KRAUBE_CREDENTIALS_PATH";

fn ok(check: &'static str, text: impl Into<String>) -> Finding {
    Finding { check, level: Level::Ok, text: text.into(), advice: None }
}

fn warning(check: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { check, level: Level::Warning, text: text.into(), advice: Some(advice.into()) }
}

fn failure(check: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { check, level: Level::Failure, text: text.into(), advice: Some(advice.into()) }
}

fn path(facts: &Facts) -> Finding {
    let text = match &facts.target {
        Some(target) => format!("{} -> {target}", facts.path),
        None => facts.path.clone(),
    };
    match &facts.irreplaceable {
        None => ok("path", text),
        Some(why) => failure("path", why, OTHER_PATH),
    }
}

/// What cannot be seen is missing, unless the path cannot be followed: that is told already.
fn missing(facts: &Facts, check: &'static str, text: &str) -> Option<Finding> {
    facts.irreplaceable.is_none().then(|| ok(check, text))
}

fn file(facts: &Facts) -> Option<Finding> {
    const CHECK: &str = "file";
    let Some(file) = facts.file else { return missing(facts, CHECK, "there is none yet") };
    let path = facts.target.as_ref().unwrap_or(&facts.path);
    Some(match file.mode {
        _ if !file.ours => {
            failure(CHECK, "it belongs to another user", format!("run this as that user, or {OTHER_PATH}"))
        }
        Some(mode) if mode & 0o077 != 0 => warning(
            CHECK,
            format!("it is yours, and its mode {mode:04o} lets others read or write it"),
            format!("chmod 600 {path}"),
        ),
        Some(mode) => ok(CHECK, format!("it is yours, mode {mode:04o}")),
        None => ok(CHECK, "it is yours"),
    })
}

fn directory(facts: &Facts) -> Option<Finding> {
    const CHECK: &str = "directory";
    let Some(dir) = facts.directory else { return missing(facts, CHECK, "there is none yet; a login creates it") };
    Some(match dir.mode {
        Some(mode) if mode & 0o022 != 0 && mode & 0o1000 == 0 => warning(
            CHECK,
            format!("its mode {mode:04o} lets others replace the credentials"),
            "take the right to write from them: chmod go-w on it",
        ),
        _ if !dir.ours => warning(CHECK, "it belongs to another user, who can replace the credentials", OTHER_PATH),
        Some(mode) => ok(CHECK, format!("it is yours, mode {mode:04o}")),
        None => ok(CHECK, "it is yours"),
    })
}

fn file_system(facts: &Facts) -> Finding {
    const CHECK: &str = "file system";
    const NETWORK: [&str; 16] = [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "gpfs",
        "9p",
        "virtiofs",
        "vboxsf",
        "davfs",
        "ncpfs",
        "webdav",
    ];
    let Some(name) = &facts.file_system else { return ok(CHECK, "its type cannot be told on this system") };
    if NETWORK.contains(&name.as_str()) || name.starts_with("fuse") {
        let text = format!("{name}: its locks may not hold for other machines");
        return warning(CHECK, text, format!("use this login on one machine at a time, or {OTHER_PATH}"));
    }
    match name.as_str() {
        "tmpfs" | "ramfs" => warning(CHECK, format!("{name}: the login ends with this machine's memory"), OTHER_PATH),
        _ => ok(CHECK, displayable(name)),
    }
}

fn locks(facts: &Facts) -> Finding {
    const CHECK: &str = "locks";
    match &facts.locks {
        Locks::Exclude => ok(CHECK, "two processes kept each other out"),
        Locks::Shared => failure(
            CHECK,
            "two processes had the lock at once: each of them would spend the refresh token",
            format!("keep the credentials on a file system with locks; {OTHER_PATH}"),
        ),
        Locks::Stuck => failure(
            CHECK,
            "the lock outlived the process that held it",
            format!("keep the credentials on a file system with locks; {OTHER_PATH}"),
        ),
        Locks::Failed(why) => failure(CHECK, format!("they cannot be tried: {why}"), OTHER_PATH),
    }
}

fn lock_file(facts: &Facts) -> Option<Finding> {
    const CHECK: &str = "lock file";
    Some(match &facts.lock_file {
        LockFile::Missing => return missing(facts, CHECK, "there is none yet; whoever locks first creates it"),
        LockFile::Free => ok(CHECK, "no process that can be seen here holds it"),
        LockFile::Unknown => ok(CHECK, "it is there; this system does not tell who holds it"),
        LockFile::Unusable(why) => {
            failure(CHECK, why, "remove it while no program uses these credentials; the next one creates it anew")
        }
        LockFile::Held { pid, stopped: false } => warning(
            CHECK,
            format!("process {pid} holds it, as for a refresh; others wait"),
            "look again in a minute; where it is still that process, see what it waits for",
        ),
        LockFile::Held { pid, stopped: true } => failure(
            CHECK,
            format!("process {pid} holds it and is stopped: nobody can refresh or log in meanwhile"),
            format!("kill -CONT {pid} lets it go on, kill -KILL {pid} ends it"),
        ),
    })
}

fn write(facts: &Facts) -> Finding {
    match &facts.write {
        Ok(()) => ok("write", "a file was written, made durable and renamed"),
        Err(why) => failure("write", why, "without this no login is stored and no token refreshed"),
    }
}

fn roots(facts: &Facts) -> Finding {
    const CHECK: &str = "certificates";
    const ADVICE: &str = "install the certificates of the system (Debian: ca-certificates), or mend SSL_CERT_FILE and \
                          KRAUBE_EXTRA_CERTS";
    match &facts.roots {
        Ok(0) => ok(CHECK, "those of the system"),
        Ok(count) => ok(CHECK, format!("those of the system, and {count} of KRAUBE_EXTRA_CERTS")),
        Err(why) => failure(CHECK, why, ADVICE),
    }
}

fn proxies(facts: &Facts) -> Finding {
    if facts.proxies.is_empty() {
        return ok("proxy", "none");
    }
    let all: Vec<_> = facts.proxies.iter().map(|(name, value)| format!("{name}={}", without_password(value))).collect();
    ok("proxy", all.join(" "))
}

fn server(facts: &Facts) -> Option<Finding> {
    const CHECK: &str = "server";
    Some(match &facts.server {
        Server::Unknown => ok(CHECK, "no login names one yet"),
        Server::Silent { url, detail } => failure(
            CHECK,
            format!("{url} does not answer: {detail}"),
            "see to the network, the proxy and the certificates; nothing is lost meanwhile",
        ),
        Server::Answered { url, status: 407, .. } => failure(
            CHECK,
            format!("a proxy before {url} wants a login"),
            "put its user name and password into HTTPS_PROXY",
        ),
        Server::Answered { url, status, .. } if *status >= 500 => {
            warning(CHECK, format!("{url} answers with status {status}"), "try again later")
        }
        Server::Answered { url, is_page: true, metadata: Some(Err(_)), .. } => warning(
            CHECK,
            format!("{url} answers with a page for people, which may be one of a proxy"),
            "open the address in a browser: a network may want you to log in first",
        ),
        Server::Answered { url, .. } => ok(CHECK, format!("{url} answers")),
    })
}

fn metadata(facts: &Facts) -> Option<Finding> {
    let Server::Answered { metadata: Some(metadata), .. } = &facts.server else { return None };
    Some(match metadata {
        Ok(()) => ok("metadata", "they are found and name the issuer of the login"),
        Err(why) => warning("metadata", why, "refreshes go on without them; a new login needs them"),
    })
}

fn clock(facts: &Facts) -> Option<Finding> {
    const CHECK: &str = "clock";
    const NEAR: Millis = Millis::from_secs(30);
    const DAY: Millis = Millis::from_secs(86_400);
    let Server::Answered { date, .. } = &facts.server else { return None };
    let Some(server) = date.as_deref().and_then(imf_fixdate) else {
        return Some(ok(CHECK, "the server does not tell the time"));
    };
    let server = Timestamp(server.saturating_mul(1000));
    let (ahead, behind) = (facts.now.since(server), server.since(facts.now));
    let (off, way) = if ahead > behind { (ahead, "ahead of") } else { (behind, "behind") };
    let text = format!("this machine is {} s {way} the server", off.0 / 1000);
    const ADVICE: &str = "set the clock of this machine, by NTP for instance";
    Some(match off {
        _ if off <= NEAR => ok(CHECK, text),
        _ if off <= DAY => warning(CHECK, text, ADVICE),
        _ => failure(CHECK, text, ADVICE),
    })
}

fn login(facts: &Facts) -> Option<Finding> {
    const CHECK: &str = "login";
    let state = &facts.status.state;
    let level = match state {
        State::Valid | State::NeedsRefresh => Level::Ok,
        State::InDoubt | State::Expired | State::LoggedOut => Level::Warning,
        State::Refused(_) | State::Corrupt(_) | State::Unreadable(_) => Level::Failure,
    };
    let hint = match (state, &facts.lock_file) {
        (State::InDoubt, LockFile::Held { .. }) => Some("see to the process that holds the lock file"),
        _ => state.hint(),
    };
    let advice = if level == Level::Ok { None } else { hint.map(ToOwned::to_owned) };
    Some(Finding { check: CHECK, level, text: state.to_string(), advice })
}

fn keeper(facts: &Facts) -> Option<Finding> {
    const CHECK: &str = "keep-fresh";
    let health = facts.health.as_ref()?;
    let pid = health.pid;
    Some(match &health.error {
        _ if !health.is_current(facts.now) => warning(
            CHECK,
            format!("process {pid} has said nothing for {} s", facts.now.since(Timestamp(health.updated_at)).0 / 1000),
            "start `kraube keep-fresh` again; tokens are refreshed on demand meanwhile",
        ),
        _ if health.healthy => ok(CHECK, format!("process {pid} keeps the login fresh")),
        Some(error) => warning(
            CHECK,
            format!("process {pid} could not refresh: {}", displayable(error)),
            "it tries again by itself",
        ),
        None => warning(CHECK, format!("process {pid} has no login to keep fresh"), "log in with `kraube login`"),
    })
}
