//! The scenarios of `machines.json`: every interesting row of the tables, each named for what happens.

use crate::script::{Ask, NOW, Scenario, World, code, credentials, issued, reply};
use kraube_core::credential::NewLogin;
use kraube_core::http::{SendError, SendErrorKind};
use kraube_core::machine::{Input, Locked, StoreError, StoreErrorKind, WriteError};
use kraube_core::policy::Policy;
use kraube_core::provider::{Client, Provider};
use kraube_core::record::Credentials;
use kraube_core::secret::Secret;
use kraube_core::time::Millis;
use serde_json::{Value, json};

const HOUR: u64 = 3_600_000;

pub(crate) fn all() -> Vec<Value> {
    [looking(), waiting(), redeeming(), refused(), saving(), foreign(), installing(), forgetting(), misused()].concat()
}

/// The store alone.
fn looking() -> Vec<Value> {
    let fresh = || record("a1", "r1", HOUR);
    vec![
        Scenario::new("obtain: a fresh token is served without a lock")
            .holding(fresh())
            .obtain(&ask(), "ready a1")
            .write(),
        Scenario::new("obtain: nothing is stored").obtain(&ask(), "logged_out").write(),
        Scenario::new("obtain: an expired token is refreshed").holding(expired()).obtain(&ask(), "ready a2").write(),
        Scenario::new("obtain: a token that does not live long enough is refreshed")
            .holding(fresh())
            .obtain(&Ask { min_valid: 2 * HOUR, ..ask() }, "ready a2")
            .write(),
        Scenario::new("obtain: a token at the margin is refreshed")
            .holding(record("a1", "r1", 59_000))
            .obtain(&ask(), "ready a2")
            .write(),
        Scenario::new("obtain: an expired token without a refresh token")
            .holding(record("a1", "", 0))
            .obtain(&ask(), "no_refresh_token")
            .write(),
        Scenario::new("obtain: a living token without a refresh token is stale")
            .holding(record("a1", "", 30_000))
            .obtain(&ask(), "stale no_refresh_token")
            .write(),
        Scenario::new("obtain: a read in the middle of a foreign write is repeated")
            .holding(fresh())
            .at("read", |_| torn("{\"refreshToken\":\"r"))
            .at("read", |_| torn(""))
            .obtain(&ask(), "ready a1")
            .write(),
        Scenario::new("obtain: what stays unreadable is corrupt, and nothing is written")
            .holding("{\"refreshToken\":")
            .obtain(&ask(), "corrupt")
            .write(),
        Scenario::new("obtain: bytes that are no text are corrupt")
            .holding([0xff, 0xfe, b'{', 0x80])
            .obtain(&ask(), "corrupt")
            .write(),
        Scenario::new("obtain: a store that cannot be read")
            .at("read", |_| unreadable())
            .at("read", |_| unreadable())
            .at("read", |_| unreadable())
            .at("read", |_| unreadable())
            .at("read", |_| unreadable())
            .at("read", |_| unreadable())
            .at("read", |_| unreadable())
            .at("read", |_| unreadable())
            .obtain(&ask(), "store")
            .write(),
        Scenario::new("obtain: another login than the pinned one")
            .holding(fresh())
            .obtain(&Ask { baseline: Some(Some("another")), ..ask() }, "account_changed")
            .write(),
        Scenario::new("obtain: a pinned login without an id")
            .holding(fresh())
            .obtain(&Ask { baseline: Some(None), ..ask() }, "account_changed")
            .obtain(&Ask { baseline: Some(Some("login-1")), ..ask() }, "ready a1")
            .write(),
        Scenario::new("obtain: a rejected token is not served, and another one is adopted")
            .holding(fresh())
            .obtain(&Ask { rejected: Some("a0"), ..ask() }, "ready a1")
            .write(),
        Scenario::new("obtain: a rejected token is refreshed once, and not again at once")
            .holding(fresh())
            .obtain(&Ask { rejected: Some("a1"), ..ask() }, "ready a2")
            .later(1000)
            .obtain(&Ask { rejected: Some("a2"), ..ask() }, "too_soon")
            .later(60_000)
            .at("send", |_| Input::Replied(Ok(issued("a3", Some("r3")))))
            .obtain(&Ask { rejected: Some("a2"), ..ask() }, "ready a3")
            .write(),
        Scenario::new("obtain: figures of the caller")
            .policy(
                Policy { margin: Millis(10), reject_floor: Millis(0), ..Policy::default() },
                json!({ "margin": 10, "rejectFloor": 0 }),
            )
            .holding(record("a1", "r1", 59_000))
            .obtain(&ask(), "ready a1")
            .obtain(&Ask { rejected: Some("a1"), ..ask() }, "ready a2")
            .write(),
    ]
}

/// The lock.
fn waiting() -> Vec<Value> {
    vec![
        Scenario::new("obtain: a peer refreshes while this run waits for the lock")
            .holding(expired())
            .at("lock", |world| {
                world.stored = Some(record("a9", "r9", HOUR));
                Input::Locked(Locked::Changed)
            })
            .obtain(&ask(), "ready a9")
            .write(),
        Scenario::new("obtain: a peer has refreshed before the lock is had")
            .holding(expired())
            .meanwhile("lock", |world| world.stored = Some(record("a9", "r9", HOUR)))
            .obtain(&ask(), "ready a9")
            .write(),
        Scenario::new("obtain: the lock is busy, and the token lives")
            .holding(record("a1", "r1", 30_000))
            .at("lock", busy)
            .obtain(&ask(), "stale busy")
            .write(),
        Scenario::new("obtain: the lock is busy, and the token is dead")
            .holding(expired())
            .at("lock", busy)
            .obtain(&ask(), "busy")
            .write(),
        Scenario::new("obtain: there can be no lock")
            .holding(expired())
            .at("lock", |_| Input::Locked(Locked::Unsupported(error(StoreErrorKind::ReadOnly))))
            .obtain(&ask(), "no_lock")
            .write(),
        Scenario::new("obtain: somebody logs in anew while this run waits")
            .holding(expired())
            .meanwhile("lock", |world| world.stored = Some(installed("a5", "r5", HOUR, "login-5")))
            .obtain(&ask(), "account_changed")
            .write(),
        Scenario::new("obtain: somebody logs out while this run waits")
            .holding(expired())
            .meanwhile("lock", |world| world.stored = None)
            .obtain(&ask(), "logged_out")
            .write(),
    ]
}

/// The token endpoint.
fn redeeming() -> Vec<Value> {
    let spent = |name| Scenario::new(name).holding(expired());
    vec![
        spent("obtain: a process is killed in mid-refresh, and the next one settles it")
            .killed_at("send")
            .obtain(&ask(), "killed")
            .later(10)
            .obtain(&second(), "ready a2")
            .write(),
        spent("obtain: a killed process had spent the token")
            .killed_at("send")
            .obtain(&ask(), "killed")
            .at("send", |_| invalid_grant())
            .obtain(&second(), "rotation_lost")
            .obtain(&third(), "rotation_lost")
            .write(),
        Scenario::new("obtain: a doubt is settled although the token lives")
            .holding(record("a1", "r1", 90_000))
            .killed_at("send")
            .obtain(&Ask { min_valid: 100_000, ..ask() }, "killed")
            .obtain(&second(), "ready a2")
            .write(),
        Scenario::new("obtain: a doubt is left to the process that holds the lock")
            .holding(record("a1", "r1", 90_000))
            .killed_at("send")
            .obtain(&Ask { min_valid: 100_000, ..ask() }, "killed")
            .at("lock", |_| Input::Locked(Locked::TimedOut))
            .obtain(&second(), "ready a1")
            .write(),
        spent("obtain: the lock is lost right before the request")
            .at("send", |_| unsent(SendErrorKind::LockLost))
            .obtain(&ask(), "ready a2")
            .write(),
        spent("obtain: the server cannot be reached, twice")
            .at("send", |_| unsent(SendErrorKind::NotSent))
            .at("send", |_| unsent(SendErrorKind::NotSent))
            .obtain(&ask(), "unreachable")
            .obtain(&second(), "backing_off")
            .later(2500)
            .obtain(&third(), "ready a2")
            .write(),
        spent("obtain: an answer is lost, and the same token is accepted again")
            .at("send", |_| unsent(SendErrorKind::MaybeSent))
            .obtain(&ask(), "ready a2")
            .write(),
        spent("obtain: an answer is lost, and the token was spent")
            .at("send", |_| unsent(SendErrorKind::MaybeSent))
            .at("send", |_| invalid_grant())
            .obtain(&ask(), "rotation_lost")
            .write(),
        spent("obtain: the request times out again and again")
            .at("send", timed_out)
            .at("send", timed_out)
            .obtain(&ask(), "in_doubt")
            .later(2000)
            .obtain(&second(), "ready a2")
            .write(),
        spent("obtain: 429 with Retry-After")
            .at("send", |_| after(429, Some("7"), "{}"))
            .obtain(&ask(), "throttled")
            .later(6000)
            .obtain(&second(), "backing_off")
            .later(2000)
            .obtain(&third(), "ready a2")
            .write(),
        Scenario::new("obtain: 429, and the token lives")
            .holding(record("a1", "r1", 30_000))
            .at("send", |_| after(429, None, ""))
            .obtain(&ask(), "stale throttled")
            .obtain(&second(), "stale backing_off")
            .write(),
        spent("obtain: the server does not know the client")
            .at("send", |_| after(401, None, r#"{"error":"invalid_client","error_description":"no \"such\" client"}"#))
            .obtain(&ask(), "client_rejected")
            .write(),
        spent("obtain: 500 three times")
            .at("send", |_| after(500, None, "oops"))
            .at("send", |_| after(503, None, ""))
            .at("send", |_| after(502, None, "<html>"))
            .obtain(&ask(), "in_doubt")
            .write(),
        spent("obtain: a redirect is not followed")
            .at("send", |_| after(302, None, ""))
            .obtain(&ask(), "ready a2")
            .write(),
        spent("obtain: an answer with another content type is unreadable")
            .at("send", |_| {
                let mut page = issued("a2", Some("r2"));
                page.content_type = Some("text/html".into());
                Input::Replied(Ok(page))
            })
            .obtain(&ask(), "ready a2")
            .write(),
        spent("obtain: the server keeps the refresh token and names the scope")
            .at("send", |_| {
                after(
                    200,
                    None,
                    r#"{"access_token":"a2","token_type":"bearer","expires_in":"90","scope":"read write"}"#,
                )
            })
            .obtain(&ask(), "ready a2")
            .obtain(&second(), "ready a2")
            .write(),
        spent("obtain: a token that is dead on arrival")
            .at("send", |world: &mut World| {
                world.pass_time(5000);
                after(200, None, r#"{"access_token":"a2","token_type":"bearer","expires_in":1,"refresh_token":"r2"}"#)
            })
            .at("send", |_| Input::Replied(Ok(issued("a3", Some("r3")))))
            .obtain(&ask(), "ready a3")
            .write(),
        spent("obtain: a token of another type must not be used")
            .at("send", |_| after(200, None, r#"{"access_token":"a2","token_type":"mac","refresh_token":"r2"}"#))
            .at("send", |_| invalid_grant())
            .obtain(&ask(), "rotation_lost")
            .write(),
        Scenario::new("obtain: a token request in JSON")
            .holding(record_of(credentials("a1", "r\"1\\\u{e9}", 0, Some(claude()))))
            .obtain(&ask(), "ready a2")
            .write(),
    ]
}

/// Refusals.
fn refused() -> Vec<Value> {
    let spent = |name| Scenario::new(name).holding(expired());
    vec![
        spent("obtain: the server refuses the token, and nobody asks it again")
            .at("send", |_| invalid_grant())
            .obtain(&ask(), "revoked")
            .obtain(&second(), "revoked")
            .write(),
        Scenario::new("obtain: the token is refused while the access token lives")
            .holding(record("a1", "r1", 30_000))
            .at("send", |_| invalid_grant())
            .obtain(&ask(), "stale revoked")
            .write(),
        Scenario::new("obtain: a status that means refused counts when it comes again")
            .holding(record_of(credentials("a1", "r1", 0, Some(claude()))))
            .at("send", |_| after(404, None, ""))
            .obtain(&ask(), "refused_by_status")
            .later(5000)
            .at("send", |_| after(404, None, ""))
            .obtain(&second(), "revoked")
            .write(),
        spent("obtain: somebody logs in while the refusal is written")
            .at("send", |_| invalid_grant())
            .pass("write")
            .meanwhile("write", |world| world.stored = Some(installed("a5", "r5", HOUR, "login-5")))
            .obtain(&ask(), "account_changed")
            .write(),
        spent("obtain: the refusal cannot be written")
            .at("send", |_| invalid_grant())
            .pass("write")
            .at("write", |_| failed())
            .obtain(&ask(), "revoked")
            .write(),
    ]
}

/// Writes that fail.
fn saving() -> Vec<Value> {
    let spent = |name| Scenario::new(name).holding(expired());
    let unsaved = |name| {
        let mut scenario = spent(name);
        scenario.pass("write");
        for _ in 0..60 {
            scenario.at("write", |_| failed());
        }
        scenario
    };
    let mut kept = unsaved("obtain: new tokens cannot be stored for two seconds, and the next run stores them");
    let mut dropped = unsaved("obtain: what is kept does not fit what is stored meanwhile");
    let mut revoked = unsaved("forget: the token that is kept is the one to revoke");
    let mut alone = unsaved("forget: the token that is kept is revoked though nothing is stored");
    vec![
        spent("obtain: nothing is spent where the mark cannot be written")
            .at("write", |_| failed())
            .obtain(&ask(), "store")
            .write(),
        Scenario::new("obtain: the mark cannot be written, and the token lives")
            .holding(record("a1", "r1", 30_000))
            .at("write", |_| failed())
            .obtain(&ask(), "stale store")
            .write(),
        spent("obtain: a foreign write comes between reading and marking")
            .meanwhile("write", |world| world.stored = Some(record("a7", "r7", 0)))
            .obtain(&ask(), "ready a2")
            .write(),
        spent("obtain: others keep changing what is stored")
            .meanwhile("write", |world| world.stored = Some(record("a7", "r7", 0)))
            .meanwhile("write", |world| world.stored = Some(record("a8", "r8", 0)))
            .meanwhile("write", |world| world.stored = Some(record("a9", "r9", 0)))
            .meanwhile("write", |world| world.stored = Some(record("a10", "r10", 0)))
            .obtain(&ask(), "contended")
            .write(),
        spent("obtain: storing new tokens fails once")
            .pass("write")
            .at("write", |_| failed())
            .obtain(&ask(), "ready a2")
            .write(),
        spent("obtain: the same login is written by another program while new tokens are stored")
            .pass("write")
            .meanwhile("write", |world| world.stored = Some(theirs("a1", "r1", 0)))
            .obtain(&ask(), "ready a2")
            .write(),
        spent("obtain: somebody logs in while new tokens are stored")
            .pass("write")
            .meanwhile("write", |world| world.stored = Some(installed("a5", "r5", HOUR, "login-5")))
            .obtain(&ask(), "account_changed")
            .write(),
        spent("obtain: somebody logs out while new tokens are stored")
            .pass("write")
            .meanwhile("write", |world| world.stored = None)
            .obtain(&ask(), "logged_out")
            .write(),
        until_unsaved(&mut kept).obtain(&second(), "ready a2").obtain(&third(), "ready a2").write(),
        {
            until_unsaved(&mut dropped);
            dropped.meanwhile("read", |world| world.stored = Some(record("a7", "r7", HOUR)));
            dropped.obtain(&second(), "ready a7").write()
        },
        {
            until_unsaved(&mut revoked);
            revoked.at("send", |_| after(200, None, "")).forget(true, "deleted").write()
        },
        {
            until_unsaved(&mut alone);
            alone.meanwhile("read", |world| world.stored = None);
            alone.at("send", |_| after(200, None, "")).forget(true, "deleted").write()
        },
    ]
}

/// Records of other programs.
fn foreign() -> Vec<Value> {
    vec![
        Scenario::new("obtain: a living token of another program")
            .holding(theirs("a1", "r1", HOUR))
            .obtain(&ask(), "ready a1")
            .write(),
        Scenario::new("obtain: a record that does not say where to refresh it")
            .holding(theirs("a1", "r1", 0))
            .obtain(&ask(), "no_client")
            .obtain(&Ask { default_client: Some(claude()), ..second() }, "ready a2")
            .write(),
        Scenario::new("obtain: a byte order mark, seconds, and members of others are kept")
            .holding(format!(
                "\u{feff}{{\"theirs\":{{\"b\":[1,2.50,\"\\u00e9\"]}},\"refreshToken\":\"r1\",\"accessToken\":\"a1\",\"expiresAt\":{}}}",
                NOW / 1000 - 5
            ))
            .obtain(&Ask { default_client: Some(client()), ..ask() }, "ready a2")
            .write(),
        Scenario::new("obtain: a member twice is corrupt")
            .holding(r#"{"refreshToken":"r1","refreshToken":"r2"}"#)
            .obtain(&ask(), "corrupt")
            .write(),
        Scenario::new("obtain: a token that is no string is corrupt")
            .holding(r#"{"refreshToken":7,"accessToken":"a1"}"#)
            .obtain(&ask(), "corrupt")
            .write(),
        Scenario::new("obtain: blank tokens are a logout")
            .holding(r#"{"refreshToken":"","accessToken":"","expiresAt":0}"#)
            .obtain(&ask(), "logged_out")
            .write(),
    ]
}

fn installing() -> Vec<Value> {
    let code = || code(client());
    let with = |name, send: fn(&mut World) -> Input, end| {
        let mut scenario = Scenario::new(name);
        scenario.at("send", send).install(code(), "login-2", end).write()
    };
    let mut unsaved = Scenario::new("install: a new login that cannot be stored is kept, and stored by the next run");
    for _ in 0..60 {
        unsaved.at("write", |_| failed());
    }
    vec![
        Scenario::new("install: a code is spent and the tokens are stored")
            .install(code(), "login-2", "installed")
            .obtain(&ask(), "ready a2")
            .write(),
        Scenario::new("install: a new login takes the place of another one, and members of others stay")
            .holding(theirs("a1", "r1", 0))
            .install(code(), "login-2", "installed")
            .write(),
        Scenario::new("install: a new login takes the place of what nobody can read")
            .holding([0xff, 0x00, 0xfe])
            .install(code(), "login-2", "installed")
            .write(),
        with("install: the code is refused", |_| invalid_grant(), "code_refused"),
        with(
            "install: the client is rejected",
            |_| after(400, None, r#"{"error":"invalid_request"}"#),
            "client_rejected",
        ),
        with("install: too many requests", |_| after(429, Some("9"), ""), "throttled"),
        with("install: the server cannot be reached", |_| unsent(SendErrorKind::NotSent), "unreachable"),
        with("install: the answer is lost", |_| unsent(SendErrorKind::MaybeSent), "code_in_doubt"),
        with("install: the answer is of no use", |_| after(200, None, "[]"), "code_in_doubt"),
        Scenario::new("install: the lock is busy, and the code stays unspent")
            .at("lock", busy)
            .install(code(), "login-2", "busy")
            .write(),
        Scenario::new("install: there can be no lock")
            .at("lock", |_| Input::Locked(Locked::Unsupported(error(StoreErrorKind::NotOurs))))
            .install(code(), "login-2", "no_lock")
            .write(),
        Scenario::new("install: the store cannot be read")
            .at("read", |_| unreadable())
            .install(code(), "login-2", "store")
            .write(),
        Scenario::new("install: somebody writes in between, and the code is not sent again")
            .meanwhile("write", |world| world.stored = Some(theirs("a7", "r7", HOUR)))
            .install(code(), "login-2", "installed")
            .write(),
        Scenario::new("install: tokens that the caller has")
            .install(NewLogin::Credentials(credentials("a1", "r1", HOUR, Some(client()))), "login-2", "installed")
            .obtain(&ask(), "ready a1")
            .write(),
        Scenario::new("install: a refresh token alone")
            .install(
                NewLogin::Credentials(Credentials::from_refresh_token(Secret::new("r1"), client())),
                "login-2",
                "installed",
            )
            .obtain(&ask(), "ready a2")
            .write(),
        until_full(&mut unsaved, code()).obtain(&ask(), "ready a2").write(),
    ]
}

fn forgetting() -> Vec<Value> {
    let full = || Scenario::new("").holding(expired()).stored();
    let held = |name| Scenario::new(name).holding(full());
    vec![
        Scenario::new("forget: there is no login").forget(true, "nothing stored").write(),
        held("forget: the login is revoked and deleted")
            .at("send", |_| after(200, None, ""))
            .forget(true, "deleted")
            .write(),
        held("forget: the login is deleted and the server not told").forget(false, "deleted").write(),
        Scenario::new("forget: the server has no revocation endpoint")
            .holding(record_of(credentials("a1", "r1", 0, Some(claude()))))
            .forget(true, "deleted")
            .write(),
        held("forget: the server does not confirm")
            .at("send", |_| after(503, Some("5"), ""))
            .forget(true, "deleted")
            .write(),
        held("forget: the server says why not")
            .at("send", |_| after(400, None, r#"{"error":"unsupported_token_type"}"#))
            .forget(true, "deleted")
            .write(),
        held("forget: the server cannot be reached")
            .at("send", |_| unsent(SendErrorKind::NotSent))
            .forget(true, "deleted")
            .write(),
        held("forget: the lock is busy")
            .at("lock", busy)
            .at("send", |_| after(200, None, ""))
            .forget(true, "deleted")
            .write(),
        held("forget: a refresh is in doubt")
            .killed_at("send")
            .obtain(&ask(), "killed")
            .at("send", |_| after(200, None, ""))
            .forget(true, "deleted")
            .write(),
        Scenario::new("forget: what nobody can read is deleted").holding("{").forget(true, "deleted").write(),
        held("forget: another login is stored meanwhile")
            .at("send", |_| after(200, None, ""))
            .meanwhile("delete", |world| world.stored = Some(installed("a5", "r5", HOUR, "login-5")))
            .forget(true, "another login")
            .write(),
        held("forget: a peer rotates meanwhile, and the new token is revoked too")
            .at("send", |_| after(200, None, ""))
            .meanwhile("delete", |world| world.stored = Some(record("a9", "r9", HOUR)))
            .at("send", |_| after(200, None, ""))
            .forget(true, "deleted")
            .write(),
        held("forget: the file is gone before it is deleted")
            .at("send", |_| after(200, None, ""))
            .meanwhile("delete", |world| world.stored = None)
            .forget(true, "deleted")
            .write(),
        held("forget: the file cannot be deleted")
            .at("delete", |_| Input::Deleted(Err(WriteError::Failed(error(StoreErrorKind::Denied)))))
            .forget(false, "still stored")
            .write(),
        held("forget: others keep changing the file")
            .at("delete", |_| Input::Deleted(Err(WriteError::Conflict)))
            .at("delete", |_| Input::Deleted(Err(WriteError::Conflict)))
            .at("delete", |_| Input::Deleted(Err(WriteError::Conflict)))
            .at("delete", |_| Input::Deleted(Err(WriteError::Conflict)))
            .forget(false, "still stored")
            .write(),
        Scenario::new("forget: the file cannot be read")
            .at("read", |_| unreadable())
            .at("read", |_| unreadable())
            .at("read", |_| unreadable())
            .at("read", |_| unreadable())
            .forget(true, "still stored")
            .write(),
        held("forget: the file cannot be read at first")
            .at("read", |_| unreadable())
            .at("send", |_| after(200, None, ""))
            .forget(true, "deleted")
            .write(),
    ]
}

/// A host that answers something else than it was asked for.
fn misused() -> Vec<Value> {
    vec![
        Scenario::new("obtain: an answer to another action")
            .at("read", |_| Input::Woke)
            .obtain(&ask(), "misuse")
            .write(),
        Scenario::new("obtain: a write where a lock was asked for")
            .holding(expired())
            .at("lock", |_| Input::Wrote(Ok(())))
            .obtain(&ask(), "misuse")
            .write(),
        Scenario::new("install: an answer to another action")
            .at("lock", |_| Input::Read(Ok(None)))
            .install(code(client()), "login-2", "misuse")
            .write(),
        Scenario::new("forget: an answer to another action")
            .at("read", |_| Input::Locked(Locked::Held))
            .forget(true, "misuse")
            .write(),
    ]
}

/// Runs until the tokens are kept, which is well before the prepared failures are used up.
fn until_unsaved(scenario: &mut Scenario) -> &mut Scenario {
    scenario.obtain(&ask(), "unsaved").heal()
}

fn until_full(scenario: &mut Scenario, new: NewLogin) -> &mut Scenario {
    scenario.install(new, "login-2", "unsaved").heal()
}

fn ask() -> Ask {
    Ask::default()
}

fn second() -> Ask {
    Ask { run: 1, ..Ask::default() }
}

fn third() -> Ask {
    Ask { run: 2, ..Ask::default() }
}

fn client() -> Client {
    let provider = Provider::demo("https://auth.example").expect("the issuer is valid");
    provider.client().expect("the demo has a client id")
}

fn claude() -> Client {
    Provider { client_id: Some("mine".into()), ..Provider::claude() }.client().expect("there is a client id")
}

fn expired() -> Vec<u8> {
    record("a1", "r1", 0)
}

/// A record of the login `login-1`.
fn record(access: &str, refresh: &str, millis: u64) -> Vec<u8> {
    installed(access, refresh, millis, "login-1")
}

fn installed(access: &str, refresh: &str, millis: u64, login: &str) -> Vec<u8> {
    let new = NewLogin::Credentials(credentials(access, refresh, millis, Some(client())));
    let mut scenario = Scenario::new("");
    scenario.install(new, login, "installed").stored().into_bytes()
}

fn record_of(credentials: Credentials) -> Vec<u8> {
    let mut scenario = Scenario::new("");
    scenario.install(NewLogin::Credentials(credentials), "login-1", "installed").stored().into_bytes()
}

/// A record of a program that knows three members, and has one of its own.
fn theirs(access: &str, refresh: &str, millis: u64) -> Vec<u8> {
    let expires = NOW + millis;
    format!(r#"{{"refreshToken":"{refresh}","accessToken":"{access}","expiresAt":{expires},"theirs":{{"kept":[1]}}}}"#)
        .into()
}

fn torn(text: &str) -> Input {
    Input::Read(Ok(Some(kraube_core::machine::Blob::new(text.into()))))
}

fn unreadable() -> Input {
    Input::Read(Err(error(StoreErrorKind::Denied)))
}

fn busy(world: &mut World) -> Input {
    world.pass_time(2000);
    Input::Locked(Locked::TimedOut)
}

fn timed_out(world: &mut World) -> Input {
    world.pass_time(15_000);
    unsent(SendErrorKind::TimedOut)
}

fn unsent(kind: SendErrorKind) -> Input {
    Input::Replied(Err(SendError { kind, detail: "what the system said".into() }))
}

fn after(status: u16, retry_after: Option<&str>, body: &str) -> Input {
    let mut answer = reply(status, body);
    answer.retry_after = retry_after.map(str::to_owned);
    Input::Replied(Ok(answer))
}

fn invalid_grant() -> Input {
    after(400, None, r#"{"error":"invalid_grant","error_description":"spent"}"#)
}

fn failed() -> Input {
    Input::Wrote(Err(WriteError::Failed(error(StoreErrorKind::Full))))
}

fn error(kind: StoreErrorKind) -> StoreError {
    StoreError { kind, detail: "what the system said".into() }
}
