//! What the store tests share: helper processes (the test binary starts itself), mount namespaces, temporary places.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use kraube::store::{FileStore, Store};
use kraube_core::machine::{Blob, Revision};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
#[cfg(unix)]
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Longer than anything takes that is going to happen at all.
pub const LONG: Duration = Duration::from_secs(60);
/// Enough to see that something does not happen.
pub const SHORT: Duration = Duration::from_millis(50);

/// A directory of our own and a store in it, at `credentials.json`.
pub struct Place {
    pub dir: TempDir,
    pub file: PathBuf,
    pub store: FileStore,
}

pub fn place() -> Place {
    place_in(tempfile::tempdir().expect("a temporary directory"))
}

/// In memory where there is such a place: for tests with thousands of durable writes, where it does not matter how long
/// the disk takes.
pub fn quick_place() -> Place {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    place_in(dir.expect("a temporary directory"))
}

fn place_in(dir: TempDir) -> Place {
    let file = dir.path().canonicalize().expect("it exists").join("credentials.json");
    let store = store(&file);
    Place { dir, file, store }
}

/// A place with something stored.
pub fn filled(content: &str) -> (Place, Revision) {
    let place = place();
    let revision = write(&place.store, None, content);
    (place, revision)
}

pub fn store(path: &Path) -> FileStore {
    FileStore::open(path).expect("a path to a file")
}

pub fn blob(content: &str) -> Blob {
    Blob::new(content.as_bytes().to_vec())
}

pub fn write(store: &impl Store, replaces: Option<Revision>, content: &str) -> Revision {
    let blob = blob(content);
    store.write(replaces, &blob, 0).expect("the write works");
    blob.revision()
}

pub fn text(store: &impl Store) -> Option<String> {
    let blob = store.read().expect("the read works")?;
    Some(String::from_utf8(blob.bytes().to_vec()).expect("tests store text"))
}

#[cfg(unix)]
pub fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it exists").mode() & 0o7777
}

#[cfg(unix)]
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

pub fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).expect("the directory can be read");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("tests use plain names")).collect()
}

pub fn beside(file: &Path, name: &str) -> PathBuf {
    file.with_file_name(name)
}

pub const LOCK: &str = "credentials.json.lock";
pub const TEMP: &str = ".credentials.json.tmp";
pub const NEXT: &str = ".credentials.json.next";
pub const PROBE: &str = ".credentials.json.probe";

#[cfg(unix)]
/// Runs a shell script with the path as `$1`, and fails with what it said.
pub fn sh(script: &str, path: &Path) {
    let done = Command::new("sh").arg("-ec").arg(script).arg("sh").arg(path).output().expect("there is a shell");
    assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
}

const ROLE: &str = "KRAUBE_TEST_ROLE";
const PATH: &str = "KRAUBE_TEST_PATH";

/// The body of the test `helper`, which every test binary has: in a helper process it plays the role that its starter
/// asked for, in an ordinary run there is nothing to do.
pub fn play(roles: impl FnOnce(&str, &Path)) {
    if let (Ok(role), Some(path)) = (std::env::var(ROLE), std::env::var_os(PATH)) {
        roles(&role, Path::new(&path));
    }
}

/// In a helper: tells the starter something.
pub fn tell(what: &str) {
    // Directly, since the test harness captures the printing macros.
    writeln!(io::stderr(), "@{what}").expect("the starter listens");
}

/// In a helper: waits until the starter lets it go on, or is gone.
pub fn wait_for_starter() {
    io::stdin().read_to_end(&mut Vec::new()).expect("standard input is a pipe");
}

/// A running helper process. Dropping it kills it.
pub struct Helper {
    child: Child,
    said: BufReader<ChildStderr>,
}

/// Starts a helper.
pub fn start(role: &str, path: &Path) -> Helper {
    start_under(&[], role, path)
}

/// Starts a helper whose command is run by another one, such as `["setpriv", "--reuid", "65534"]`.
pub fn start_under(wrapper: &[&str], role: &str, path: &Path) -> Helper {
    let exe = std::env::current_exe().expect("tests know themselves");
    start_at(&exe, wrapper, role, path)
}

fn start_at(exe: &Path, wrapper: &[&str], role: &str, path: &Path) -> Helper {
    let mut command = match wrapper.split_first() {
        None => Command::new(exe),
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(exe);
            command
        }
    };
    command.args(["--exact", "helper", "--nocapture", "--test-threads=1"]).env(ROLE, role).env(PATH, path);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let said = BufReader::new(child.stderr.take().expect("it is a pipe"));
    Helper { child, said }
}

#[cfg(unix)]
/// Runs a helper to its end after a shell script of its own, in a mount namespace where the script may mount. The
/// path is `$1`. Where there can be no such namespace this fails.
pub fn in_namespace(setup: &str, role: &str, path: &Path) {
    let script = format!("{setup}\nshift; exec \"$@\"");
    let path_text = path.to_str().expect("tests use plain names");
    // As another user than root this needs a user namespace, in which that user is root.
    let user: &[&str] = if is_root() { &[] } else { &["--map-root-user"] };
    let mut wrapper = vec!["unshare", "--mount", "--propagation", "private"];
    wrapper.extend(user);
    wrapper.extend(["sh", "-ec", &script, "sh", path_text]);
    start_under(&wrapper, role, path).finish();
}

#[cfg(unix)]
/// Runs a helper to its end as a user whom permission bits stop. `dir` is given to that user.
pub fn as_plain_user(dir: &Path, role: &str, path: &Path) {
    if !is_root() {
        return start(role, path).finish();
    }
    sh("chown -R 65534:65534 \"$1\"", dir);
    // The build directory may be closed to that user.
    let tools = tempfile::tempdir().expect("a temporary directory");
    set_mode(tools.path(), 0o755);
    let exe = tools.path().join("helper");
    // Copied by a child: a file that this process writes could be open in what another test is just starting, and what
    // is open for writing cannot be run.
    sh("cp \"/proc/$PPID/exe\" \"$1\"", &exe);
    start_at(&exe, &["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"], role, path).finish();
}

#[cfg(unix)]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Helper {
    /// Waits until the helper tells this.
    pub fn expect(&mut self, what: &str) {
        let mut heard = String::new();
        loop {
            let start = heard.len();
            let length = self.said.read_line(&mut heard).expect("it is text");
            assert!(length > 0, "the helper ended before it said {what}:\n{heard}");
            if heard[start..].trim_end() == format!("@{what}") {
                return;
            }
        }
    }

    /// Lets the helper go on after [`wait_for_starter`].
    pub fn go_on(&mut self) {
        drop(self.child.stdin.take());
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    /// Waits for its end and fails where the helper did.
    pub fn finish(mut self) {
        self.go_on();
        let mut heard = String::new();
        self.said.read_to_string(&mut heard).expect("it is text");
        let status = self.child.wait().expect("it is our child");
        assert!(status.success(), "the helper failed ({status}):\n{heard}");
        // A wrapper that ran nothing must not look like a success.
        assert!(heard.lines().any(|line| line == "@done"), "the helper did not play its role:\n{heard}");
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
