//! The table of transitions and the state diagram of the guide, made from what the real machines do with representative
//! inputs in every state that these lead to. With `KRAUBE_BLESS=1` both files are written anew.
#![allow(clippy::wildcard_enum_match_arm)]

use kraube_core::credential::{
    Failure, Forget, Forgotten, Install, InstallError, Installed, NewLogin, Obtain, Outcome, Revoked, Unsaved, Via,
    Wanted,
};
use kraube_core::http::{Endpoint, Request, Response, SendError, SendErrorKind};
use kraube_core::machine::{Action, Blob, Input, Locked, Machine, Step, StoreError, StoreErrorKind, WriteError};
use kraube_core::policy::Policy;
use kraube_core::provider::{Client, TokenBody};
use kraube_core::record::{Credentials, LoginId, RunId};
use kraube_core::secret::{Fingerprint, Secret};
use kraube_core::time::{Millis, Now, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fmt::Write as _;
use std::hash::Hash;
use std::path::Path;

/// What follows in a state on an input: the next states and outcomes, as far as the inputs reach.
type Table = BTreeMap<(&'static str, String), BTreeSet<Next>>;

/// A state and its action, or an outcome.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    /// The particulars, for the table.
    text: String,
    /// The node of the diagram.
    node: &'static str,
}

const NOW: u64 = 1_700_000_000_000;
const RUN: RunId = RunId(1);
const OTHER_RUN: RunId = RunId(2);

/// How many machines are looked at in each state, the nearest to the start first. Without a limit there are eight times
/// as many, and the table is the same.
const VISITS: usize = 4_000;

#[test]
fn the_table_and_the_diagram_are_those_of_the_code() {
    let (obtain, unsaved) = obtain();
    let machines = [("Obtain", obtain), ("Install", install()), ("Forget", forget(unsaved))];
    let (mut table, mut diagrams) = (String::new(), String::new());
    for (name, transitions) in &machines {
        let _ = writeln!(table, "{name}\n{}", print(transitions));
        let _ = writeln!(diagrams, "## {name}\n\n```mermaid\nstateDiagram-v2\n{}```\n", diagram(transitions));
    }
    let page = format!("{PAGE}{}\n", diagrams.trim_end());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    compare(&root.join("snapshots/transitions.txt"), &table);
    compare(&root.join("../host-native/docs/state-diagram.md"), &page);
}

const PAGE: &str = "# State diagrams

The states are named for what they await. Each edge names the answers that lead along it; where the same answer is on two
edges, its particulars or the run so far decide. The full table is `tests/snapshots/transitions.txt`. Both are made from
the code by `tests/tests/transitions.rs`.

";

fn obtain() -> (Table, Unsaved) {
    let mut explored = Explored::new();
    let rejecting = Wanted { rejected: Some(Secret::new("a0").fingerprint()), ..Wanted::default() };
    for wanted in [Wanted::default(), rejecting.clone()] {
        explored.add(Obtain::start(wanted, policy(), RUN, now(false)), false);
    }
    explored.run(Obtain::awaits, outcome_of_obtain);
    let unsaved = explored.outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Unsaved(unsaved) => Some(Unsaved::clone(unsaved)),
        _ => None,
    });
    let unsaved = unsaved.expect("some run ends with a rotation that is not stored");
    for wanted in [Wanted::default(), rejecting] {
        explored.add(Obtain::start_unsaved(wanted, policy(), RUN, unsaved.clone(), now(false)), false);
    }
    explored.run(Obtain::awaits, outcome_of_obtain);
    (explored.table, unsaved)
}

fn install() -> Table {
    let mut explored = Explored::new();
    let client = client();
    let body = Secret::new("grant_type=authorization_code&code=c");
    let content_type = "application/x-www-form-urlencoded";
    let request = Request { binding: None, url: client.token_endpoint.clone(), content_type, body };
    let credentials = Credentials {
        binding: None,
        access_token: Secret::new("a1"),
        refresh_token: Some(Secret::new("r1")),
        expires_at: Timestamp(NOW + 3_600_000),
        obtained_at: Some(Timestamp(NOW)),
        scope: None,
        client: Some(client.clone()),
    };
    for new in [NewLogin::Code { request, client }, NewLogin::Credentials(credentials)] {
        explored.add(Install::start(new, LoginId("L1".into()), policy()), false);
    }
    explored.run(Install::awaits, outcome_of_install);
    explored.table
}

fn forget(unsaved: Unsaved) -> Table {
    let mut explored = Explored::new();
    explored.add(Forget::start(true, policy(), None), false);
    explored.add(Forget::start(false, policy(), None), false);
    explored.add(Forget::start(true, policy(), Some(unsaved)), false);
    explored.run(Forget::awaits, outcome_of_forget);
    explored.table
}

struct Explored<M: Machine> {
    table: Table,
    seen: HashSet<(M, bool)>,
    queue: VecDeque<(M, bool)>,
    outcomes: Vec<M::Outcome>,
}

impl<M: Machine + Clone + Eq + Hash> Explored<M> {
    fn new() -> Self {
        Self { table: Table::new(), seen: HashSet::new(), queue: VecDeque::new(), outcomes: Vec::new() }
    }

    fn add(&mut self, step: Step<M, M::Outcome>, late: bool) {
        match step {
            Step::Continue(machine, _) => {
                if self.seen.insert((machine.clone(), late)) {
                    self.queue.push_back((machine, late));
                }
            }
            Step::Done(outcome) => self.outcomes.push(outcome),
        }
    }

    /// Each state meets each input, at once and after the deadline.
    fn run(&mut self, awaits: fn(&M) -> &'static str, name: fn(&M::Outcome) -> Next) {
        let inputs = inputs();
        let mut visits: BTreeMap<&str, usize> = BTreeMap::new();
        while let Some((machine, late)) = self.queue.pop_front() {
            let awaited = awaits(&machine);
            let (_, kind) = awaited.split_once(": ").expect("state and input");
            let visit = visits.entry(awaited).or_default();
            *visit += 1;
            let first = *visit == 1;
            if *visit > VISITS {
                continue;
            }
            for (label, input) in &inputs {
                let fits = label.starts_with(kind);
                if !fits && !first {
                    continue;
                }
                // A read takes no time; everything else may.
                for late in BTreeSet::from([late, late || kind != "Read"]) {
                    let step = machine.clone().step(input.clone(), now(late));
                    let next = match &step {
                        Step::Continue(next, action) => {
                            let node = state(awaits(next));
                            Next { text: format!("{node}, {}", kind_of(action)), node }
                        }
                        Step::Done(outcome) => name(outcome),
                    };
                    assert_eq!(next.text == "misuse", !fits, "{awaited}, {label}: {}", next.text);
                    if fits {
                        self.table.entry((awaited, label.clone())).or_default().insert(next);
                        self.add(step, late);
                    }
                }
            }
        }
    }
}

fn print(table: &Table) -> String {
    let mut text = String::new();
    let mut last = "";
    for ((awaited, label), next) in table {
        if *awaited != last {
            let _ = writeln!(text, "  {awaited}");
            last = awaited;
        }
        let (_, label) = label.split_once(' ').unwrap_or(("", label));
        let next: Vec<&str> = next.iter().map(|next| next.text.as_str()).collect();
        let _ = writeln!(text, "    {label:36} -> {}", next.join(" | "));
    }
    text
}

/// An edge names its answers by what comes before their first comma.
fn diagram(table: &Table) -> String {
    let mut edges: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for ((awaited, label), nexts) in table {
        let answer = label.split_once(' ').map_or(label.as_str(), |(_, answer)| answer);
        let answer = answer.split(',').next().unwrap_or_default();
        for next in nexts {
            edges.entry((state(awaited), next.node)).or_default().insert(answer);
        }
    }
    let mut text = String::new();
    for ((from, to), answers) in &edges {
        let shown: Vec<&str> = answers.iter().copied().take(5).collect();
        let more = if answers.len() > 5 { ", …" } else { "" };
        let _ = writeln!(text, "    {from} --> {to}: {}{more}", shown.join(", "));
    }
    let ends: BTreeSet<&str> =
        edges.keys().map(|(_, to)| *to).filter(|to| !edges.keys().any(|(from, _)| from == to)).collect();
    for end in ends {
        let _ = writeln!(text, "    {end} --> [*]");
    }
    text
}

fn compare(path: &Path, made: &str) {
    if std::env::var_os("KRAUBE_BLESS").is_some() {
        std::fs::write(path, made).expect("the file can be written");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let first = made.lines().zip(kept.lines()).find(|(made, kept)| made != kept);
    let path = path.display();
    assert!(made == kept, "{path} is not what the code does, first here: {first:#?}\nto accept: KRAUBE_BLESS=1");
}

fn state(awaited: &'static str) -> &'static str {
    awaited.split(':').next().unwrap_or_default()
}

fn kind_of(action: &Action) -> &'static str {
    match action {
        Action::Lock { .. } => "Lock",
        Action::Read => "Read",
        Action::Send { .. } => "Send",
        Action::Write { .. } => "Write",
        Action::Delete { .. } => "Delete",
        Action::Wait { .. } => "Wait",
    }
}

fn outcome_of_obtain(outcome: &Outcome) -> Next {
    let (node, text) = match outcome {
        Outcome::Ready(ready) => match (&ready.stale, ready.via) {
            (Some(failure), _) => ("Ready", format!("ready (stale: {})", failure.code())),
            (None, Via::Store) => ("Ready", "ready (stored)".into()),
            (None, Via::Exchange) => ("Ready", "ready (exchanged)".into()),
        },
        Outcome::Unsaved(unsaved) if unsaved.ready.is_some() => ("Unsaved", "unsaved (with a token)".into()),
        Outcome::Unsaved(_) => ("Unsaved", "unsaved".into()),
        Outcome::Failed(failure) => {
            let node = match failure {
                Failure::LoginRequired(_) => "LoginRequired",
                Failure::Unavailable { .. } => "Unavailable",
                Failure::Uncertain { .. } => "Uncertain",
                Failure::AccountChanged { .. } => "AccountChanged",
                _ => "Misuse",
            };
            (node, failure.code().into())
        }
        _ => ("", String::new()),
    };
    Next { text, node }
}

fn outcome_of_install(installed: &Installed) -> Next {
    let node = match installed {
        Ok(_) => "Installed",
        Err(InstallError::Unsaved(_)) => "Unsaved",
        Err(_) => "Failed",
    };
    Next { text: installed.as_ref().map_or_else(InstallError::code, |_| "installed").into(), node }
}

fn outcome_of_forget(forgotten: &Forgotten) -> Next {
    let how = |name: &str, revoked: &Revoked| {
        let how = match revoked {
            Revoked::Yes => "revoked",
            Revoked::NotAsked => "not asked to revoke",
            Revoked::Unconfirmed(_) => "revocation unconfirmed",
        };
        format!("{name} ({how})")
    };
    let (node, text) = match forgotten {
        Forgotten::NothingStored => ("NothingStored", "nothing_stored".into()),
        Forgotten::Deleted { revoked } => ("Deleted", how("deleted", revoked)),
        Forgotten::AnotherLogin { revoked } => ("AnotherLogin", how("another_login", revoked)),
        Forgotten::StillStored { revoked, .. } => ("StillStored", how("still_stored", revoked)),
        Forgotten::Misuse(_) => ("Misuse", "misuse".into()),
        _ => ("", String::new()),
    };
    Next { text, node }
}

/// Each kind of answer that a host can give, named by the kind of input and what is special about it.
fn inputs() -> Vec<(String, Input)> {
    let mut inputs = vec![
        ("Locked held".to_owned(), Input::Locked(Locked::Held)),
        ("Locked changed".to_owned(), Input::Locked(Locked::Changed)),
        ("Locked timed out".to_owned(), Input::Locked(Locked::TimedOut)),
        ("Locked unsupported".to_owned(), Input::Locked(Locked::Unsupported(error()))),
        ("Woke".to_owned(), Input::Woke),
    ];
    for (name, result) in
        [("ok", Ok(())), ("conflict", Err(WriteError::Conflict)), ("failed", Err(WriteError::Failed(error())))]
    {
        inputs.push((format!("Wrote {name}"), Input::Wrote(result.clone())));
        inputs.push((format!("Deleted {name}"), Input::Deleted(result)));
    }
    for (name, read) in reads() {
        inputs.push((format!("Read {name}"), Input::Read(read)));
    }
    for (name, kind) in [
        ("not sent", SendErrorKind::NotSent),
        ("may be sent", SendErrorKind::MaybeSent),
        ("timed out", SendErrorKind::TimedOut),
        ("lock lost", SendErrorKind::LockLost),
    ] {
        let error = SendError { kind, detail: String::new() };
        inputs.push((format!("Replied {name}"), Input::Replied(Err(error))));
    }
    let issued = r#"{"access_token":"a1","refresh_token":"r1","expires_in":3600}"#;
    for (name, status, retry_after, body) in [
        ("issued", 200, None, issued),
        ("issued, dead", 200, None, r#"{"access_token":"a1","refresh_token":"r1","expires_in":0.001}"#),
        ("unreadable", 200, None, "<html>"),
        ("invalid_grant", 400, None, r#"{"error":"invalid_grant"}"#),
        ("invalid_client", 401, None, r#"{"error":"invalid_client"}"#),
        ("404, listed", 404, None, ""),
        ("429", 429, Some("60"), ""),
        ("500", 500, None, ""),
        ("503, Retry-After", 503, Some("60"), ""),
    ] {
        let (content_type, retry_after) = (Some("application/json".to_owned()), retry_after.map(str::to_owned));
        let response = Response { status, content_type, retry_after, dpop_nonce: None, body: body.into() };
        inputs.push((format!("Replied {name}"), Input::Replied(Ok(response))));
    }
    inputs
}

/// What can be stored. Names without a token speak of the one that the run began with.
fn reads() -> Vec<(&'static str, Result<Option<Blob>, StoreError>)> {
    const LIVES: u64 = NOW + 7_200_000;
    const SHORT: u64 = NOW + 30_000;
    const DEAD: u64 = NOW - 1000;
    let marked = |run: RunId| format!(r#""redeeming":{{"run":"{run}","at":{NOW}}}"#);
    let record = |refresh: &str, access: &str, expires: u64, ours: &str| {
        let fits = Fingerprint::of(&[refresh.as_bytes(), access.as_bytes()]);
        let client = client().to_json();
        let ours = if ours.is_empty() { String::new() } else { format!(",{ours}") };
        format!(
            r#"{{"refreshToken":"{refresh}","accessToken":"{access}","expiresAt":{expires},
               "kraube":{{"for":"{fits}","provider":{client},"obtainedAt":{}{ours}}}}}"#,
            if expires == LIVES { NOW - 1000 } else { NOW - 3_600_000 }
        )
    };
    let of = |login: &str, more: &str| {
        let more = if more.is_empty() { String::new() } else { format!(",{more}") };
        format!(r#""login":"{login}"{more}"#)
    };
    let records = [
        ("blank record", "{}".to_owned()),
        ("torn", "{\"refr".to_owned()),
        ("fresh", record("r0", "a0", LIVES, &of("L0", ""))),
        ("fresh, marked by another", record("r0", "a0", LIVES, &of("L0", &marked(OTHER_RUN)))),
        ("short of the margin", record("r0", "a0", SHORT, &of("L0", ""))),
        ("expired", record("r0", "a0", DEAD, &of("L0", ""))),
        ("expired, marked by another", record("r0", "a0", DEAD, &of("L0", &marked(OTHER_RUN)))),
        ("expired, marked by this run", record("r0", "a0", DEAD, &of("L0", &marked(RUN)))),
        ("expired, backing off", record("r0", "a0", DEAD, &of("L0", &format!(r#""retryAt":{}"#, NOW + 3_000_000)))),
        ("expired, 404 before", record("r0", "a0", DEAD, &of("L0", r#""retries":1,"lastStatus":404"#))),
        ("expired, refused", record("r0", "a0", DEAD, &of("L0", r#""refused":{"reason":"revoked"}"#))),
        ("expired, no refresh token", record("", "a0", DEAD, &of("L0", ""))),
        ("what was issued", record("r1", "a1", LIVES, &of("L0", ""))),
        ("other tokens, fresh", record("r2", "a2", LIVES, &of("L0", ""))),
        ("another login, fresh", record("r9", "a9", LIVES, &of("L9", ""))),
        ("another program's, fresh", format!(r#"{{"refreshToken":"r8","accessToken":"a8","expiresAt":{LIVES}}}"#)),
        ("another program's, expired", format!(r#"{{"refreshToken":"r8","accessToken":"a8","expiresAt":{DEAD}}}"#)),
    ];
    let mut reads = vec![("nothing", Ok(None)), ("failed", Err(error()))];
    reads.extend(records.map(|(name, text)| (name, Ok(Some(Blob::new(text.into_bytes()))))));
    reads
}

fn policy() -> Policy {
    Policy { torn_tries: 1, returns: 1, ..Policy::default() }
}

fn now(late: bool) -> Now {
    let passed = if late { 100_000 } else { 0 };
    Now { wall: Timestamp(NOW + passed), monotonic: Millis(passed) }
}

fn error() -> StoreError {
    StoreError { kind: StoreErrorKind::Io, detail: String::new() }
}

fn client() -> Client {
    let endpoint = |url| Endpoint::parse(url).expect("a valid URL");
    Client {
        name: "m".into(),
        issuer: None,
        token_endpoint: endpoint("https://s/t"),
        revocation_endpoint: Some(endpoint("https://s/r")),
        client_id: "c".into(),
        body: TokenBody::Form,
        refused_statuses: vec![404],
        resource: None,
    }
}
