//! No secret in what the real command says, writes, starts and asks for, whatever it does and however it ends; and no
//! file of its own that anybody else could read at any moment. strace sees to it that nothing is missed.
//!
//! | where a secret might show | looked at in |
//! |---|---|
//! | standard output, standard error, the log at its finest | each run here |
//! | arguments and environment of the programs that are started | the `execve` calls of each run here |
//! | URLs | all request targets with a query, at the server |
//! | names and contents of files other than the credentials and the pending login | all files of the home, after each run here |
//! | core dumps | the order of the system calls here |
//! | errors, `Debug`, panics, logs of all crates, `/proc` of a running process | `host-native/tests/secrets.rs` |
#![cfg(target_os = "linux")]

mod support;

use kraube_testserver::{Canary, Config, Fault, FaultKind};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{MINUTE, Run, World};

/// Where the browser finds the address.
const URL: &str = "KRAUBE_TEST_URL";

/// What strace writes, beside the home and not in it.
fn trace_of(world: &World) -> PathBuf {
    world.home().with_extension("trace")
}

/// The command under strace, which sees it and all that it starts.
fn traced(world: &World, calls: &str, plain: &Command) -> Command {
    let mut command = Command::new("strace");
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args(["-f", "-qq", "-y", "-v", "-s", "100000", "-e", calls, "-o"]).arg(trace_of(world));
    command.arg(plain.get_program()).args(plain.get_args()).current_dir(world.home());
    command
}

/// Where secrets belong.
#[derive(Default)]
struct Allowed {
    stdout: BTreeSet<Canary>,
    stderr: BTreeSet<Canary>,
    started: BTreeSet<Canary>,
}

/// Runs this to its end, and searches everything that it said, started and wrote.
#[track_caller]
fn search(world: &World, plain: &mut Command, input: &str, allowed: &Allowed) -> Run {
    plain.env("KRAUBE_LOG", "trace");
    let run = world.run_with(traced(world, "trace=execve,execveat", plain), input);
    let trace = fs::read(trace_of(world)).expect("strace wrote it");
    assert!(trace.windows(7).any(|window| window == b"execve("), "the trace shows no start");
    for (what, text, allowed) in [
        ("standard output", run.stdout.as_bytes(), &allowed.stdout),
        ("standard error", run.stderr.as_bytes(), &allowed.stderr),
        ("the started programs", &trace, &allowed.started),
    ] {
        let found = world.server.canaries_in(text);
        assert!(found.is_subset(allowed), "{found:?} in {what} of {plain:?}:\n{}", String::from_utf8_lossy(text));
    }
    search_files(world, world.home());
    for target in world.server.targets_with_query() {
        let found = world.server.canaries_in(target.as_bytes());
        assert!(found.is_subset(&[Canary::State].into()), "{found:?} in a URL: {target}");
    }
    run
}

#[track_caller]
fn search_files(world: &World, dir: &Path) {
    for entry in fs::read_dir(dir).expect("our home").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        assert_eq!(world.server.canaries_in(name.as_bytes()), [].into(), "in the name {name}");
        if path.is_dir() {
            search_files(world, &path);
        } else if path != world.path() && !name.starts_with("pending-") {
            let found = world.server.canaries_in(&fs::read(&path).expect("ours"));
            assert_eq!(found, [].into(), "in the file {}", path.display());
        }
    }
}

/// What the browser brings back for this address.
fn answer(url: &str) -> String {
    let config = ureq::Agent::config_builder().max_redirects(0).max_redirects_will_error(false).build();
    let reply = ureq::Agent::new_with_config(config).get(url.trim()).call().expect("an answer");
    reply.headers().get("location").expect("a redirect").to_str().expect("ASCII").to_owned()
}

fn login(world: &World, args: &[&str]) -> Command {
    let mut command = world.command(&["login"]);
    command.args(args).env("KRAUBE_DEMO_ISSUER", world.server.issuer());
    command
}

fn allow(stdout: &[Canary], stderr: &[Canary], started: &[Canary]) -> Allowed {
    let set = |kinds: &[Canary]| kinds.iter().copied().collect();
    Allowed { stdout: set(stdout), stderr: set(stderr), started: set(started) }
}

#[test]
fn the_search_finds_a_leak() {
    let mut world = World::new();
    let login = world.log_in(60 * MINUTE);
    let run = world.run_with(
        traced(&world, "trace=execve", &{
            let mut leaking = world.command(&[]);
            leaking.env("LEAK", &login.refresh_token);
            leaking
        }),
        "",
    );
    assert_eq!(run.code, 2);
    let trace = fs::read(trace_of(&world)).expect("strace wrote it");
    assert_eq!(world.server.canaries_in(&trace), [Canary::RefreshToken].into());
}

#[test]
fn a_login_says_nothing_but_its_address() {
    let world = World::new();
    // The address is for the person, on standard output alone; its state is all that it holds of ours.
    let begun =
        search(&world, &mut login(&world, &["--provider", "demo", "--start"]), "", &allow(&[Canary::State], &[], &[]));
    assert_eq!(begun.code, 0, "{begun:?}");
    let callback = answer(&begun.stdout);
    assert_eq!(world.server.canaries_in(callback.as_bytes()), [Canary::Code, Canary::State].into());
    let finish = |pasted: &str| search(&world, &mut login(&world, &["--finish"]), pasted, &Allowed::default());
    assert_eq!(finish(&callback.replace("state=", "state=x")).code, 1);
    world.server.inject(Fault::before(FaultKind::status(500)));
    assert_eq!(finish(&callback).code, 6, "the answer is lost");

    let begun =
        search(&world, &mut login(&world, &["--provider", "demo", "--start"]), "", &allow(&[Canary::State], &[], &[]));
    let run = finish(&answer(&begun.stdout));
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run:?}");
}

#[test]
fn a_browser_is_given_the_address_and_nothing_else() {
    let world = World::new();
    let program = world.home().join("browser");
    let this = std::env::current_exe().expect("tests know themselves");
    let script = format!("#!/bin/sh\n{URL}=$1 exec '{}' --exact browser --quiet\n", this.display());
    fs::write(&program, script).expect("room");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
    let mut command = login(&world, &["--provider", "demo"]);
    command.env("BROWSER", &program).env("PATH", "/usr/bin:/bin");
    let run = search(&world, &mut command, "", &allow(&[], &[Canary::State], &[Canary::State]));
    assert_eq!(run.code, 0, "{run:?}");
    let status = search(&world, &mut world.command(&["status"]), "", &Allowed::default());
    assert_eq!(status.code, 0, "{status:?}");
}

/// The browser, where one is asked for; in an ordinary run there is nothing to do.
#[test]
fn browser() {
    if let Ok(url) = std::env::var(URL) {
        let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().proxy(None).build());
        assert_eq!(agent.get(&url).call().expect("the way back").status(), 200);
    }
}

#[test]
fn a_token_is_printed_where_it_is_asked_for_and_nowhere_else() {
    let config = Config { grace: Some(std::time::Duration::from_secs(60)), ..Config::default() };
    let mut world = World::with(config.clone());
    let access = || allow(&[Canary::AccessToken], &[], &[]);
    world.log_in(-MINUTE);
    for format in ["raw", "json", "header", "env"] {
        let run = search(&world, &mut world.command(&["token", "--format", format]), "", &access());
        assert_eq!(run.code, 0, "{run:?}");
    }
    // A token that got a 401 comes on standard input, and another one is printed.
    let rejected = world.stored("accessToken").as_str().expect("text").to_owned();
    let run = search(&world, &mut world.command(&["token", "--rejected"]), &rejected, &access());
    assert!(!run.stdout.contains(&rejected), "{run:?}");
    for state in [&["status"][..], &["status", "--json"]] {
        assert_eq!(search(&world, &mut world.command(state), "", &Allowed::default()).code, 0);
    }
    // The program that is started finds the access token in its environment, and nothing else of ours.
    let mut exec = world.command(&["exec", "--", "sh", "-c", "exec true"]);
    exec.env("PATH", "/usr/bin:/bin");
    let run = search(&world, &mut exec, "", &allow(&[], &[], &[Canary::AccessToken]));
    assert_eq!(run.code, 0, "{run:?}");

    for fault in [
        Fault::after(FaultKind::Reset),
        Fault::after(FaultKind::Truncated),
        Fault::after(FaultKind::html()),
        Fault::before(FaultKind::status(503)),
        Fault::before(FaultKind::body(400, "application/json", r#"{"error":"invalid_client"}"#)),
    ] {
        let mut world = World::with(config.clone());
        world.log_in(-MINUTE);
        world.server.inject(fault.times(3));
        let run = search(&world, &mut world.command(&["token"]), "", &access());
        assert!(matches!(run.code, 0 | 1 | 6 | 7), "{run:?}");
        let run = search(&world, &mut world.command(&["status", "--json"]), "", &Allowed::default());
        assert!(run.stdout.contains("state"), "{run:?}");
    }
    world.log_in(-MINUTE);
    world.server.revoke_all();
    let refused = search(&world, &mut world.command(&["token"]), "", &Allowed::default());
    assert_eq!(refused.code, 5, "{refused:?}");
    world.log_in(MINUTE);
    let forgotten = search(&world, &mut world.command(&["logout"]), "", &Allowed::default());
    assert_eq!(forgotten.code, 0, "{forgotten:?}");
}

/// What was there before.
#[derive(Clone, Copy, Debug)]
enum Start {
    Nothing,
    Wide,
    Link,
    HardLink,
}

#[test]
fn fault_36_no_file_is_open_to_others_at_any_moment() {
    for umask in ["000", "002", "022", "077", "777"] {
        for start in [Start::Nothing, Start::Wide, Start::Link, Start::HardLink] {
            let mut world = World::new();
            let folder = world.path().parent().expect("a directory").to_owned();
            let elsewhere = world.home().join("elsewhere");
            match start {
                Start::Nothing => {}
                Start::Wide | Start::Link | Start::HardLink => drop(world.log_in(-MINUTE)),
            }
            match start {
                Start::Nothing => {}
                Start::Wide => fs::set_permissions(world.path(), fs::Permissions::from_mode(0o644)).expect("ours"),
                Start::Link => {
                    fs::rename(world.path(), &elsewhere).expect("ours");
                    symlink(&elsewhere, world.path()).expect("room");
                }
                Start::HardLink => fs::hard_link(world.path(), &elsewhere).expect("room"),
            }
            let what = format!("umask {umask}, {start:?}");
            let under_umask = |plain: &Command, input: &str| {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", "umask \"$1\"; shift; exec \"$@\"", "sh", umask]);
                command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
                command.arg(plain.get_program()).args(plain.get_args());
                // Not every system has all of them.
                let calls = "trace=?open,openat,?creat,?chmod,fchmod,fchmodat,?fchmodat2,?mkdir,mkdirat,?mknod,mknodat,\
                             ?link,linkat,prctl,read";
                let run = world.run_with(traced(&world, calls, &command), input);
                let trace = fs::read_to_string(trace_of(&world));
                let trace = trace.unwrap_or_else(|_| panic!("{what}: no trace: {run:?}"));
                let created = private(&trace, world.home(), &what);
                not_dumpable(&trace, &what);
                (run, created)
            };
            let (begun, created) = under_umask(&login(&world, &["--provider", "demo", "--start"]), "");
            if let Start::HardLink = start {
                // What cannot be replaced is refused before anything is created.
                assert_eq!((begun.code, created), (1, 0), "{what}: {begun:?}");
                continue;
            }
            assert_eq!(begun.code, 0, "{what}: {begun:?}");
            assert!(created > 0, "{what}: the trace shows no file");
            if let Start::Wide | Start::Link = start {
                let (run, created) = under_umask(&world.command(&["token"]), "");
                assert_eq!(run.code, 0, "{what}: {run:?}");
                assert!(created >= 2, "{what}: the trace shows no write");
            }
            let (run, created) = under_umask(&login(&world, &["--finish"]), &answer(&begun.stdout));
            assert_eq!(run.code, 0, "{what}: {run:?}");
            assert!(created > 0, "{what}: the trace shows no write");
            let stored = fs::canonicalize(world.path()).expect("stored");
            for dir in [&folder, stored.parent().expect("a directory")] {
                for entry in fs::read_dir(dir).expect("ours").flatten() {
                    let meta = entry.metadata().expect("ours");
                    assert!(!meta.is_file() || meta.mode() & 0o7777 == 0o600, "{what}: {:?}", entry.path());
                }
            }
        }
    }
}

/// Every call that gives a file of ours its mode gives 0600, or 0700 to a directory, and none gets its mode otherwise.
/// The number of files that were created.
#[track_caller]
fn private(trace: &str, home: &Path, what: &str) -> usize {
    let home = home.canonicalize().expect("it exists");
    let home = home.to_str().expect("plain");
    let mut created = 0;
    for line in trace.lines().filter(|line| line.contains(home) && !line.contains(" = -1 ")) {
        let Some((_, call)) = line.split_once(' ') else { continue };
        let Some((name, rest)) = call.trim_start().split_once('(') else { continue };
        let Some((arguments, _)) = rest.rsplit_once(") ") else { continue };
        let mode = || {
            let last = arguments.rsplit(", ").next().unwrap_or_default();
            u32::from_str_radix(last, 8).unwrap_or_else(|_| panic!("{what}: no mode in {line}"))
        };
        let widest = match name {
            "open" | "openat" if arguments.contains("O_CREAT") => {
                created += 1;
                0o600
            }
            "chmod" | "fchmod" | "fchmodat" | "fchmodat2" => 0o700,
            "mkdir" | "mkdirat" => 0o700,
            "creat" | "mknod" | "mknodat" | "link" | "linkat" => panic!("{what}: {line}"),
            _ => continue,
        };
        assert_eq!(mode() & !widest, 0, "{what}: {line}");
        // Only what is a directory needs the bit that lets one enter it.
        assert!(mode() & 0o100 == 0 || !arguments.contains("json"), "{what}: {line}");
    }
    created
}

/// The process gives up its core dumps before it opens or reads anything of ours.
#[track_caller]
fn not_dumpable(trace: &str, what: &str) {
    let forbidden = trace.lines().position(|line| line.contains("prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE) = 0"));
    let ours = trace.lines().position(|line| line.contains("credentials.json") || line.contains("read(0<"));
    assert!(forbidden.is_some() && ours.is_none_or(|ours| forbidden < Some(ours)), "{what}: {trace}");
}
