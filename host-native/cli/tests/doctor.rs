//! `kraube doctor`: real locks, real files, a real server; and nothing changed or given away.

mod support;

use kraube_testserver::Config;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use support::{MINUTE, Run, World};

/// The findings by their check: level and text.
fn findings(run: &Run) -> BTreeMap<String, (String, String)> {
    let json: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    let text = |finding: &serde_json::Value, name: &str| finding[name].as_str().expect("text").to_owned();
    let findings = json["findings"].as_array().expect("a list").iter();
    findings.map(|it| (text(it, "check"), (text(it, "level"), text(it, "text")))).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|it| it.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_good_place_and_a_living_login_are_all_ok() {
    let mut world = World::new();
    let login = world.log_in(50 * MINUTE);
    let dir = world.path().parent().expect("a directory").to_owned();
    let before = (names(&dir), fs::read(world.path()).expect("credentials"));
    let run = world.run(&["doctor", "--json"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let found = findings(&run);
    for check in [
        "path",
        "file",
        "directory",
        "locks",
        "lock file",
        "write",
        "certificates",
        "proxy",
        "server",
        "clock",
        "login",
    ] {
        assert_eq!(found[check].0, "ok", "{check}: {found:?}");
    }
    assert_eq!(found["locks"].1, "two processes kept each other out");
    assert_eq!(found["metadata"].0, "ok");
    assert_eq!((names(&dir), fs::read(world.path()).expect("credentials")), before, "nothing is changed");
    let counters = world.server.counters();
    assert_eq!((counters.rotations, counters.replays), (0, 0));
    assert!(!run.stdout.contains(&login.access_token) && !run.stdout.contains(&login.refresh_token));
    let text = world.run(&["doctor"]);
    assert!(text.stdout.contains("ok       locks        two processes"), "{text:?}");
    assert!(!text.stdout.contains(&login.access_token) && !text.stdout.contains('\u{1b}'));
}

#[test]
fn without_a_login_nothing_is_created() {
    let world = World::new();
    let run = world.run(&["doctor", "--json"]);
    let found = findings(&run);
    assert_eq!((run.code, found["login"].0.as_str()), (0, "warning"), "{run:?}");
    assert_eq!((found["locks"].0.as_str(), found["write"].0.as_str()), ("ok", "ok"));
    assert_eq!(names(world.home()), Vec::<String>::new());
}

#[test]
#[cfg(unix)]
fn modes_that_let_others_in_are_told_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = World::new();
    world.log_in(50 * MINUTE);
    fs::set_permissions(world.path(), fs::Permissions::from_mode(0o644)).expect("it is ours");
    let run = world.run(&["doctor"]);
    assert_eq!(run.code, 0);
    assert!(run.stdout.contains("warning  file") && run.stdout.contains("-> chmod 600 "), "{run:?}");
}

#[test]
fn a_record_that_is_none_and_a_server_that_is_gone_are_failures() {
    let mut world = World::new();
    world.log_in(50 * MINUTE);
    let stored = fs::read_to_string(world.path()).expect("credentials");
    let gone = kraube_testserver::Server::spawn(Config::default()).expect("a free port");
    let (issuer, elsewhere) = (world.server.issuer(), gone.issuer());
    drop(gone);
    fs::write(world.path(), stored.replace(&issuer, &elsewhere)).expect("written");
    let run = world.run(&["doctor", "--json"]);
    assert_eq!((run.code, findings(&run)["server"].0.as_str()), (1, "failure"), "{run:?}");

    fs::write(world.path(), "canary").expect("written");
    let run = world.run(&["doctor", "--json"]);
    assert_eq!((run.code, findings(&run)["login"].0.as_str()), (1, "failure"), "{run:?}");
    assert!(!run.stdout.contains("canary"));
}

#[test]
fn the_password_of_a_proxy_is_not_shown() {
    let world = World::new();
    let mut command = world.command(&["doctor"]);
    command.env("HTTPS_PROXY", "http://me:canary@127.0.0.1:1").env("NO_PROXY", "intern.example");
    let run = world.run_with(command, "");
    assert!(run.stdout.contains("HTTPS_PROXY=http://***@127.0.0.1:1 NO_PROXY=intern.example"), "{run:?}");
    assert!(!run.stdout.contains("canary"));
}

#[test]
fn certificates_that_cannot_be_read_are_a_failure() {
    let world = World::new();
    for (variable, content) in [("KRAUBE_EXTRA_CERTS", "no certificate"), ("SSL_CERT_FILE", "")] {
        let file = world.home().join("certs.pem");
        fs::write(&file, content).expect("written");
        let mut command = world.command(&["doctor", "--json"]);
        command.env(variable, &file);
        let run = world.run_with(command, "");
        let found = &findings(&run)["certificates"];
        assert!(run.code == 1 && found.0 == "failure" && found.1.contains(variable), "{run:?}");
    }
}

/// Locks that do nothing and a disk that fails are seen for what they are, by failing the calls of the real trial.
#[test]
#[cfg(target_os = "linux")]
fn locks_that_keep_nobody_out_and_calls_that_fail_are_failures() {
    let mut world = World::new();
    world.log_in(50 * MINUTE);
    let dir = world.path().parent().expect("a directory").to_owned();
    let before = names(&dir);
    for (inject, check, level, said) in [
        ("flock:retval=0", "locks", "failure", "at once"),
        ("flock:error=ENOLCK", "locks", "failure", "they cannot be tried"),
        ("flock:error=EINTR:when=1", "locks", "ok", "kept each other out"),
        ("fsync:error=EIO", "write", "failure", "cannot write"),
        ("rename:error=EPERM", "write", "failure", "cannot rename"),
    ] {
        let plain = world.command(&["doctor", "--json"]);
        let mut command = std::process::Command::new("strace");
        command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={inject}")]).current_dir(world.home());
        command.arg(plain.get_program()).args(plain.get_args());
        let run = world.run_with(command, "");
        let found = &findings(&run)[check];
        assert!(found.0 == level && found.1.contains(said), "{inject}: {run:?}");
        assert_eq!((run.code, names(&dir)), (i32::from(level == "failure"), before.clone()), "{inject}");
    }
}

/// A process that holds the lock. It is ended however the test ends.
#[cfg(target_os = "linux")]
struct Holder(std::process::Child);

#[cfg(target_os = "linux")]
impl Holder {
    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), signal).expect("it lives");
    }
}

#[cfg(target_os = "linux")]
impl Drop for Holder {
    fn drop(&mut self) {
        // SIGKILL: it takes a stopped one too.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lock of a refresh whose process runs, is stopped, and is dead.
#[test]
#[cfg(target_os = "linux")]
fn who_holds_the_lock_is_told_without_touching_it() {
    use kraube_testserver::{Fault, FaultKind};
    use rustix::process::{Pid, Signal, WaitOptions, waitpid};
    let mut world = World::new();
    world.log_in(-MINUTE);
    world.server.inject(Fault::before(FaultKind::Hang));
    let events = world.server.events();
    let holder = Holder(support::start(world.command(&["token"]), ""));
    events.recv_timeout(std::time::Duration::from_secs(60)).expect("it asks, and has the lock");
    let pid = holder.0.id();
    let dir = world.path().parent().expect("a directory").to_owned();
    let lock = dir.join("credentials.json.lock");
    let place = || {
        let touched = fs::metadata(&lock).expect("a lock file").modified().expect("a time");
        (names(&dir), fs::read(world.path()).expect("credentials"), touched)
    };
    let before = place();

    let running = world.run(&["doctor"]);
    assert_eq!((running.code, place()), (0, before.clone()), "{running:?}");
    assert!(running.stdout.contains(&format!("warning  lock file    process {pid} holds it, as for")), "{running:?}");

    holder.signal(Signal::STOP);
    let stopped = waitpid(Some(Pid::from_child(&holder.0)), WaitOptions::UNTRACED).expect("it stops");
    assert!(stopped.is_some_and(|(_, status)| status.stopped()));
    let stopped = world.run(&["doctor"]);
    assert_eq!((stopped.code, place()), (1, before.clone()), "{stopped:?}");
    for said in [
        &format!("failure  lock file    process {pid} holds it and is stopped"),
        &format!("kill -CONT {pid} lets it go on"),
        "warning  login        in doubt",
        "-> see to the process that holds the lock file",
    ] {
        assert!(stopped.stdout.contains(said), "{said:?} is not in {stopped:?}");
    }

    drop(holder);
    let dead = world.run(&["doctor"]);
    assert_eq!((dead.code, place()), (0, before), "{dead:?}");
    assert!(dead.stdout.contains("ok       lock file    no process"), "{dead:?}");
    assert!(dead.stdout.contains("-> the next `kraube token` settles it"), "{dead:?}");
    assert_eq!(world.run(&["token"]).code, 0);
    assert_eq!(findings(&world.run(&["doctor", "--json"]))["login"].0, "ok");
}

/// `flock(1)` starts a program with the lock; the lock goes on with that.
#[test]
#[cfg(target_os = "linux")]
fn a_lock_that_outlived_its_process_is_held_by_a_child() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let mut world = World::new();
    world.log_in(50 * MINUTE);
    let lock = world.path().with_extension("json.lock");
    let mut command = Command::new("flock");
    command.arg(&lock).args(["sh", "-c", "echo $$; exec cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = Holder(command.spawn().expect("it starts"));
    let (stdin, stdout) = (holder.0.stdin.take(), holder.0.stdout.take().expect("a pipe"));
    let mut child = String::new();
    BufReader::new(stdout).read_line(&mut child).expect("it has the lock");
    drop(holder);
    let run = world.run(&["doctor"]);
    drop(stdin);
    assert!(run.stdout.contains(&format!("lock file    process {} holds it", child.trim())), "{run:?}");
}

#[test]
fn a_lock_file_that_is_none_is_a_failure() {
    let mut world = World::new();
    world.log_in(50 * MINUTE);
    let lock = world.path().with_extension("json.lock");
    fs::remove_file(&lock).expect("it is there");
    let run = world.run(&["doctor", "--json"]);
    assert_eq!((run.code, findings(&run)["lock file"].0.as_str(), lock.exists()), (0, "ok", false), "{run:?}");
    fs::create_dir(&lock).expect("created");
    let run = world.run(&["doctor", "--json"]);
    let found = &findings(&run)["lock file"];
    assert!(run.code == 1 && found.0 == "failure" && found.1.contains("is not a regular file"), "{run:?}");
}
