//! What is said of each fact.

use kraube_core::doctor::{Entry, Facts, Finding, Level, LockFile, Locks, Server, examine, without_password};
use kraube_core::keeping::Health;
use kraube_core::machine::Blob;
use kraube_core::policy::Policy;
use kraube_core::secret::Fingerprint;
use kraube_core::status::{Status, status};
use kraube_core::time::{Millis, Timestamp};

/// 2027-01-15 08:00:00 UTC.
const NOW: u64 = 1_800_000_000_000;

fn good() -> Facts {
    let ours = |mode| Some(Entry { ours: true, mode: Some(mode) });
    Facts {
        path: "/c/credentials.json".into(),
        target: None,
        file: ours(0o600),
        directory: ours(0o700),
        irreplaceable: None,
        file_system: Some("ext4".into()),
        locks: Locks::Exclude,
        lock_file: LockFile::Free,
        write: Ok(()),
        roots: Ok(0),
        proxies: Vec::new(),
        server: answered(Some("Fri, 15 Jan 2027 08:00:00 GMT")),
        status: status(Ok(None), &Policy::default(), Timestamp(NOW)),
        health: None,
        now: Timestamp(NOW),
    }
}

fn answered(date: Option<&str>) -> Server {
    let date = date.map(str::to_owned);
    Server::Answered {
        url: "https://id.example/token".into(),
        status: 405,
        date,
        is_page: false,
        metadata: Some(Ok(())),
    }
}

#[track_caller]
fn finds(facts: &Facts, check: &str, level: Level, text: &str) {
    let found = examine(facts);
    let finding: &Finding = found.iter().find(|finding| finding.check == check).expect("it is checked");
    assert!(finding.level == level && finding.text.contains(text), "{finding:?}");
    assert_eq!(finding.advice.is_some(), level > Level::Ok, "what is not ok says what to do: {finding:?}");
}

#[test]
fn the_names_of_levels_are_stable() {
    assert_eq!([Level::Ok, Level::Warning, Level::Failure].map(Level::code), ["ok", "warning", "failure"]);
}

#[test]
fn everything_good_is_ok_but_for_the_login_that_is_missing() {
    let found = examine(&good());
    let bad: Vec<_> = found.iter().filter(|finding| finding.level > Level::Ok).map(|finding| finding.check).collect();
    assert_eq!((found.len(), bad), (13, vec!["login"]));
}

#[test]
fn each_bad_fact_is_told_with_what_to_do() {
    use Level::{Failure, Warning};
    let entry = |ours, mode| Some(Entry { ours, mode: Some(mode) });
    let text = |text: &str| Some(text.to_owned());
    finds(&Facts { file: entry(false, 0o600), ..good() }, "file", Failure, "another user");
    finds(&Facts { file: entry(true, 0o640), ..good() }, "file", Warning, "0640");
    finds(&Facts { directory: entry(true, 0o777), ..good() }, "directory", Warning, "0777");
    finds(&Facts { directory: entry(true, 0o1777), ..good() }, "directory", Level::Ok, "1777");
    finds(&Facts { directory: entry(false, 0o755), ..good() }, "directory", Warning, "another user");
    finds(&Facts { irreplaceable: text("it is a hard link"), ..good() }, "path", Failure, "a hard link");
    finds(&Facts { file_system: text("nfs4"), ..good() }, "file system", Warning, "nfs4");
    finds(&Facts { file_system: text("fuse.sshfs"), ..good() }, "file system", Warning, "sshfs");
    finds(&Facts { file_system: text("tmpfs"), ..good() }, "file system", Warning, "memory");
    finds(&Facts { locks: Locks::Shared, ..good() }, "locks", Failure, "at once");
    finds(&Facts { locks: Locks::Stuck, ..good() }, "locks", Failure, "outlived");
    finds(&Facts { locks: Locks::Failed("ENOLCK".into()), ..good() }, "locks", Failure, "ENOLCK");
    let lock_file = |lock_file| Facts { lock_file, ..good() };
    finds(&lock_file(LockFile::Unusable("it is a directory".into())), "lock file", Failure, "a directory");
    finds(&lock_file(LockFile::Held { pid: 7, stopped: false }), "lock file", Warning, "process 7 holds it");
    finds(
        &lock_file(LockFile::Held { pid: 7, stopped: true }),
        "lock file",
        Failure,
        "process 7 holds it and is stopped",
    );
    finds(&Facts { write: Err("disk full".into()), ..good() }, "write", Failure, "disk full");
    finds(&Facts { roots: Err("not PEM".into()), ..good() }, "certificates", Failure, "not PEM");
}

#[test]
fn what_cannot_be_looked_at_is_not_called_missing() {
    let none = || Facts { file: None, directory: None, lock_file: LockFile::Missing, ..good() };
    for check in ["file", "directory", "lock file"] {
        finds(&none(), check, Level::Ok, "there is none yet");
        let found = examine(&Facts { irreplaceable: Some("it is a link in a circle".into()), ..none() });
        assert!(!found.iter().any(|finding| finding.check == check), "{check}");
    }
}

#[test]
fn the_clock_is_compared_with_the_server() {
    let off = |date| Facts { server: answered(date), ..good() };
    finds(&off(Some("Fri, 15 Jan 2027 08:00:29 GMT")), "clock", Level::Ok, "29 s behind");
    finds(&off(Some("Fri, 15 Jan 2027 07:58:00 GMT")), "clock", Level::Warning, "120 s ahead of");
    finds(&off(Some("Fri, 15 Jan 2021 07:58:00 GMT")), "clock", Level::Failure, "ahead of");
    finds(&off(Some("Fri, 15 Jan 2027 08:00:00 GMT")), "clock", Level::Ok, "0 s behind");
    finds(&off(Some("Fri, 15 Jan 2027 08:00:30 GMT")), "clock", Level::Ok, "30 s behind");
    finds(&off(Some("Fri, 15 Jan 2027 08:00:31 GMT")), "clock", Level::Warning, "31 s behind");
    finds(&off(Some("Thu, 14 Jan 2027 08:00:00 GMT")), "clock", Level::Warning, "86400 s ahead of");
    finds(&off(Some("Thu, 14 Jan 2027 07:59:59 GMT")), "clock", Level::Failure, "86401 s ahead of");
    finds(&off(Some("yesterday")), "clock", Level::Ok, "does not tell");
}

#[test]
fn servers_and_proxies_that_do_not_serve_are_told_apart() {
    let url = || "https://id.example/token".to_owned();
    let of = |status, is_page, metadata| {
        let server = Server::Answered { url: url(), status, date: None, is_page, metadata };
        Facts { server, ..good() }
    };
    finds(&of(407, true, None), "server", Level::Failure, "a proxy before");
    finds(&of(503, false, None), "server", Level::Warning, "503");
    finds(&of(200, true, Some(Err("none".into()))), "server", Level::Warning, "a page for people");
    finds(&of(404, true, Some(Ok(()))), "server", Level::Ok, "answers");
    finds(&of(405, false, Some(Err("another issuer".into()))), "metadata", Level::Warning, "another issuer");
    let silent = Facts { server: Server::Silent { url: url(), detail: "refused".into() }, ..good() };
    finds(&silent, "server", Level::Failure, "refused");
    assert!(!examine(&silent).iter().any(|finding| finding.check == "clock"));
}

#[test]
fn what_is_good_is_told_with_what_it_is() {
    let no_modes = Some(Entry { ours: true, mode: None });
    let plain = Facts { file: no_modes, directory: no_modes, ..good() };
    finds(&plain, "file", Level::Ok, "yours");
    finds(&plain, "directory", Level::Ok, "yours");
    let nothing = Facts { file: None, directory: None, file_system: None, server: Server::Unknown, ..good() };
    finds(&nothing, "file", Level::Ok, "none yet");
    finds(&nothing, "directory", Level::Ok, "none yet");
    finds(&nothing, "server", Level::Ok, "no login");
    finds(&good(), "lock file", Level::Ok, "no process");
    finds(&Facts { lock_file: LockFile::Missing, ..good() }, "lock file", Level::Ok, "none yet");
    finds(&Facts { lock_file: LockFile::Unknown, ..good() }, "lock file", Level::Ok, "does not tell");
    assert!(!examine(&nothing).iter().any(|finding| ["clock", "metadata"].contains(&finding.check)));
    finds(&Facts { target: Some("/d/real.json".into()), ..good() }, "path", Level::Ok, "/d/real.json");
    finds(&Facts { roots: Ok(2), ..good() }, "certificates", Level::Ok, "2 of KRAUBE_EXTRA_CERTS");
    let proxies = [("HTTPS_PROXY", "http://me:canary@proxy.example:3128"), ("NO_PROXY", "localhost")];
    let proxies = proxies.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let proxied = Facts { proxies, ..good() };
    finds(&proxied, "proxy", Level::Ok, "HTTPS_PROXY=http://***@proxy.example:3128 NO_PROXY=localhost");
    finds(&good(), "proxy", Level::Ok, "none");
}

fn record(members: &str) -> Status {
    let record = format!(r#"{{"refreshToken":"r","accessToken":"a"{members}}}"#);
    status(Ok(Some(Blob::new(record.into_bytes()))), &Policy::default(), Timestamp(NOW))
}

#[test]
fn the_state_of_the_login_is_told_with_what_to_do() {
    let lives = format!(r#","expiresAt":{}"#, NOW + 3_600_000);
    let of = |status| Facts { status, ..good() };
    finds(&of(record(&lives)), "login", Level::Ok, "valid");
    finds(&of(record(r#","expiresAt":1"#)), "login", Level::Ok, "needs refresh");
    let fits = Fingerprint::of(&[b"r", b"a"]);
    let refused = format!(r#"{lives},"kraube":{{"for":"{fits}","refused":{{"reason":"revoked"}}}}"#);
    finds(&of(record(&refused)), "login", Level::Failure, "refused");
    finds(&of(status(Ok(None), &Policy::default(), Timestamp(NOW))), "login", Level::Warning, "logged out");
    let marked = format!(r#"{lives},"kraube":{{"for":"{fits}","redeeming":{{"run":"00000000000000a0","at":{NOW}}}}}"#);
    let advice = |lock_file| {
        let found = examine(&Facts { lock_file, ..of(record(&marked)) });
        let login = found.into_iter().find(|finding| finding.check == "login").expect("it is checked");
        assert_eq!(login.level, Level::Warning, "{login:?}");
        login.advice.expect("advice")
    };
    assert_eq!(advice(LockFile::Free), "the next `kraube token` settles it");
    assert_eq!(advice(LockFile::Held { pid: 7, stopped: true }), "see to the process that holds the lock file");
}

#[test]
fn what_keeps_the_login_fresh_is_asked_how_it_does() {
    let login = record(&format!(r#","expiresAt":{}"#, NOW + 3_600_000));
    let of = |health| Facts { health: Some(health), ..good() };
    let health = |failed, next| Health::of(&login, failed, next, 7, Timestamp(NOW));
    finds(&of(health(None, Some(Millis(1)))), "keep-fresh", Level::Ok, "process 7");
    finds(
        &of(health(Some((&login, "no\u{1b}[m answer")), Some(Millis(1)))),
        "keep-fresh",
        Level::Warning,
        "no[m answer",
    );
    finds(&of(health(None, None)), "keep-fresh", Level::Warning, "no login");
    let dead = Health::of(&login, None, Some(Millis(1000)), 7, Timestamp(NOW - 600_000));
    finds(&of(dead), "keep-fresh", Level::Warning, "nothing for 600 s");
    assert!(!examine(&good()).iter().any(|finding| finding.check == "keep-fresh"));
}

#[test]
fn no_password_of_a_proxy_is_shown() {
    for (url, shown) in [
        ("http://me:canary@proxy.example:8080", "http://***@proxy.example:8080"),
        ("socks5h://canary@[::1]:1080/", "socks5h://***@[::1]:1080/"),
        ("me:canary@proxy.example", "***@proxy.example"),
        ("http://me:can/ary@proxy.example", "http://***@proxy.example"),
        ("http://me:c@nary@proxy.example", "http://***@proxy.example"),
        ("http:///canary@proxy.example", "http://***@proxy.example"),
        ("http://proxy.example:8080", "http://proxy.example:8080"),
        ("localhost,.example", "localhost,.example"),
    ] {
        assert_eq!(without_password(url), shown);
    }
}
