//! The configurations that are explored.

use super::{Config, Faults, Job, Kind, Mutant, StoredToken};
use kraube_core::time::Millis;

const GET: Job = Job::Get;
const FORCE: Job = Job::Force;
const LOGIN: Job = Job::Install { family: 1, code: true };
const SAVE: Job = Job::Install { family: 2, code: false };
const FORGET: Job = Job::Forget;
const NONE: Faults = Faults {
    crashes: 0,
    lost: 0,
    not_sent: 0,
    writes: 0,
    reads: 0,
    server_errors: 0,
    throttles: 0,
    statuses: 0,
    timeouts: 0,
    unsupported: 0,
    deleted_locks: 0,
    foreign_writes: 0,
    foreign_logins: 0,
    ticks: 0,
};

/// The ones that take a second at most.
pub fn short() -> Vec<Config> {
    full().into_iter().filter(|config| !config.long).collect()
}

/// All.
pub fn full() -> Vec<Config> {
    let groups =
        [basics, without_faults, kills_and_lost_answers, servers, disks, logins_and_logouts, others].into_iter();
    groups.flat_map(|group| group()).collect()
}

/// Mistakes of a host, and what each must show.
pub fn mutants() -> Vec<(Config, &'static [Kind])> {
    let pair = &[&[GET, FORCE][..], &[GET, FORCE]][..];
    let logout = Config::new("unconditional writes, logout", &[&[FORCE, FORCE], &[FORGET]]);
    let login = Config::new("unconditional writes, login", pair);
    vec![
        (
            Config::new("no lock", pair).mutant(Mutant::NoLock),
            &[Kind::TwoHolders, Kind::TwoRedemptions, Kind::SpentSent, Kind::LoginLost],
        ),
        (logout.faults(Faults { timeouts: 1, ..NONE }).mutant(Mutant::UnconditionalWrites), &[Kind::WrittenBack]),
        (
            login.faults(Faults { foreign_logins: 1, ..NONE }).mutant(Mutant::UnconditionalWrites),
            &[Kind::OverOtherLogin],
        ),
        (
            Config::new("no mark, grace", pair).grace().faults(Faults { crashes: 1, ..NONE }).mutant(Mutant::NoMark),
            &[Kind::LoginLost],
        ),
        (
            Config::new("no mark, strict", pair).faults(Faults { crashes: 1, ..NONE }).mutant(Mutant::NoMark),
            &[Kind::WrongReason],
        ),
        (
            Config::new("unsaved dropped", pair).faults(Faults { writes: 1, ..NONE }).mutant(Mutant::UnsavedDropped),
            &[Kind::RotationDropped],
        ),
    ]
}

fn basics() -> Vec<Config> {
    let (force, pair) = (&[FORCE, FORCE][..], &[&[GET, FORCE][..], &[GET, FORCE]][..]);
    vec![
        Config::new("2 x 2", &[force, force]).always_ready(),
        Config::new("3 x 1", &[&[FORCE], &[FORCE], &[GET]]).always_ready(),
        Config::new("1 kill, grace", pair).grace().faults(Faults { crashes: 1, ..NONE }),
        Config::new("1 lost answer, grace", pair).grace().faults(Faults { lost: 1, ..NONE }),
        Config::new("1 kill, strict", pair).faults(Faults { crashes: 1, ..NONE }),
        Config::new("1 lost answer, strict", pair).faults(Faults { lost: 1, ..NONE }),
        Config::new("1 failing write", pair).faults(Faults { writes: 1, ..NONE }),
        Config::new("login", &[force, &[LOGIN, FORCE]]).faults(Faults { writes: 1, timeouts: 1, ..NONE }),
        Config::new("logout", &[force, &[FORGET]]).faults(Faults { writes: 1, timeouts: 1, ..NONE }),
        Config::new("login, logout", &[&[FORCE, LOGIN], &[FORGET]]).faults(Faults { timeouts: 1, writes: 1, ..NONE }),
        Config::new("failing login beside kept tokens", &[&[FORCE, LOGIN, FORCE], &[FORCE]]).faults(Faults {
            writes: 1,
            lost: 1,
            reads: 1,
            ..NONE
        }),
        Config::new("404 once, unreachable", pair).faults(Faults { statuses: 1, not_sent: 1, ticks: 1, ..NONE }),
        throttled("throttled", &[&[GET, GET], &[GET, GET]]),
        foreign("foreign writer", pair),
    ]
}

fn without_faults() -> Vec<Config> {
    let two = &[FORCE, FORCE][..];
    let three = &[FORCE, FORCE, FORCE][..];
    vec![
        Config::new("3 x 3", &[three, three, three]).always_ready(),
        Config::new("4 x 2", &[two, two, two, two]).long().always_ready(),
        Config::new("3 x 3, fresh", &[three, three, three]).long().stored(StoredToken::Fresh).always_ready(),
        Config::new("3 x 2, stale, impatient", &[two, two, &[GET, GET]])
            .stored(StoredToken::Stale)
            .faults(Faults { timeouts: 2, ..NONE }),
    ]
}

fn kills_and_lost_answers() -> Vec<Config> {
    let three: &[&[Job]] = &[&[FORCE, FORCE, FORCE], &[FORCE, FORCE, FORCE], &[FORCE, FORCE, FORCE]];
    let two: &[&[Job]] = &[&[GET, FORCE], &[FORCE, GET], &[FORCE, FORCE]];
    let pair: &[&[Job]] = &[&[GET, FORCE], &[FORCE, GET]];
    let kills = Faults { crashes: 2, ..NONE };
    vec![
        Config::new("3 x 3, 2 kills, 1 lost answer, grace", three).long().grace().faults(Faults { lost: 1, ..kills }),
        Config::new("3 x 3, 2 kills, 1 lost answer, strict", three).long().faults(Faults { lost: 1, ..kills }),
        Config::new("3 x 2, 2 kills, 2 lost answers, grace", two).long().grace().faults(Faults { lost: 2, ..kills }),
        Config::new("3 x 2, 2 kills, 2 lost answers, strict", two).long().faults(Faults { lost: 2, ..kills }),
        Config::new("3 x 2, 3 lost answers, grace", two).long().grace().faults(Faults { lost: 3, ..NONE }),
        Config::new("3 x 2, 2 kills, ticks, grace", two).long().grace().faults(Faults { ticks: 2, ..kills }),
        Config::new("2 x 2, 1 kill, 1 lost answer, jumps past expiry", pair)
            .long()
            .grace()
            .tick(Millis::from_secs(4000))
            .faults(Faults { crashes: 1, lost: 1, ticks: 2, ..NONE }),
        Config::new("3 x 2, 2 kills, fresh, grace", two).stored(StoredToken::Fresh).grace().faults(kills),
        Config::new("3 x 2, 1 kill, 1 lost answer, impatient, grace", two)
            .long()
            .stored(StoredToken::Stale)
            .grace()
            .faults(Faults { crashes: 1, lost: 1, timeouts: 1, ..NONE }),
    ]
}

fn servers() -> Vec<Config> {
    let two: &[&[Job]] = &[&[GET, FORCE], &[FORCE, GET], &[FORCE, FORCE]];
    let pair: &[&[Job]] = &[&[GET, FORCE], &[FORCE, GET]];
    let errors = Faults { server_errors: 2, ..NONE };
    vec![
        Config::new("3 x 2, 2 server errors, grace", two).grace().faults(errors),
        Config::new("3 x 2, 2 server errors, strict", two).faults(errors),
        Config::new("3 x 2, 1 server error, 1 kill, 1 lost, grace", two).long().grace().faults(Faults {
            server_errors: 1,
            crashes: 1,
            lost: 1,
            ..NONE
        }),
        throttled("3 x 2, throttled", two).long(),
        Config::new("3 x 2, throttled, lost answer, strict", two).long().faults(Faults {
            throttles: 2,
            lost: 1,
            not_sent: 1,
            ticks: 1,
            ..NONE
        }),
        Config::new("3 x 2, 404 once, unreachable, ticks", two).long().faults(Faults {
            statuses: 1,
            not_sent: 2,
            ticks: 2,
            ..NONE
        }),
        Config::new("3 x 2, no rotation, kill, lost answer", two).without_rotation().faults(Faults {
            crashes: 1,
            lost: 1,
            ..NONE
        }),
        Config::new("2 x 2, dead on arrival", pair).dead_on_arrival(),
        Config::new("2 x 2, dead on arrival, kill, lost, grace", pair)
            .long()
            .dead_on_arrival()
            .grace()
            .faults(Faults { crashes: 1, lost: 1, ..NONE }),
    ]
}

fn disks() -> Vec<Config> {
    let two: &[&[Job]] = &[&[GET, FORCE], &[FORCE, GET], &[FORCE, FORCE]];
    let writes = Faults { writes: 2, ..NONE };
    vec![
        Config::new("3 x 2, 2 failing writes, strict", two).faults(writes),
        Config::new("3 x 2, 2 failing writes, patient, strict", two)
            .policy(|policy| policy.save_time = Millis::from_secs(2))
            .faults(writes),
        Config::new("3 x 2, 2 failing writes, kill, grace", two).long().grace().faults(Faults { crashes: 1, ..writes }),
        Config::new("3 x 2, failing writes, lost, server error", two).long().faults(Faults {
            lost: 1,
            server_errors: 1,
            ..writes
        }),
        Config::new("3 x 2, failing reads and writes, strict", two).long().faults(Faults {
            reads: 2,
            writes: 1,
            ..NONE
        }),
        Config::new("3 x 2, failing writes, jumps past expiry", two)
            .long()
            .tick(Millis::from_secs(4000))
            .faults(Faults { ticks: 1, ..writes }),
    ]
}

fn logins_and_logouts() -> Vec<Config> {
    let force = &[FORCE, FORCE][..];
    let faults = Faults { writes: 1, timeouts: 1, crashes: 1, lost: 1, ..NONE };
    vec![
        Config::new("login, refreshes", &[force, &[GET, FORCE], &[LOGIN, FORCE]]).long().faults(faults),
        Config::new("2 logins, refreshes", &[force, &[SAVE, FORCE], &[LOGIN, FORCE]]).long().faults(faults),
        Config::new("logout, refreshes", &[force, &[GET, FORCE], &[FORGET]]).long().faults(faults),
        Config::new("logout, login, refreshes", &[force, &[FORGET, GET], &[LOGIN, FORCE]]).long().faults(faults),
        Config::new("logout and login in one process", &[force, &[FORCE, FORGET, LOGIN, FORCE]]).faults(faults),
        Config::new("login over a refresh in one process", &[force, &[FORCE, SAVE, FORGET]])
            .faults(Faults { writes: 3, ..faults }),
        Config::new("login, logout, grace", &[force, &[LOGIN, FORCE, FORGET]]).long().grace().faults(Faults {
            writes: 2,
            ticks: 1,
            ..faults
        }),
        Config::new("login over what cannot be read", &[&[SAVE, GET], &[FORCE]]).faults(Faults {
            writes: 1,
            reads: 1,
            ..NONE
        }),
        Config::new("2 logouts, refreshes", &[force, &[FORGET], &[FORGET, GET]]).long().faults(faults),
    ]
}

fn others() -> Vec<Config> {
    let pair: &[&[Job]] = &[&[GET, FORCE], &[GET, FORCE]];
    let three: &[&[Job]] = &[&[GET, FORCE], &[FORCE], &[FORCE]];
    vec![
        foreign("3, foreign writer", three).long(),
        foreign("foreign writer, login, logout", &[&[GET, FORCE], &[LOGIN, FORGET]]),
        Config::new("foreign login, lost answer, kill", three).faults(Faults {
            foreign_logins: 1,
            lost: 1,
            crashes: 1,
            ..NONE
        }),
        Config::new("foreign login, failing write, login", &[&[FORCE, FORCE], &[LOGIN, FORCE]]).faults(Faults {
            foreign_logins: 1,
            writes: 2,
            ..NONE
        }),
        Config::new("foreign login, failing read, login", &[&[LOGIN, GET]]).faults(Faults {
            foreign_logins: 1,
            reads: 1,
            ..NONE
        }),
        Config::new("no lock to be had", three).stored(StoredToken::Stale).faults(Faults { unsupported: 2, ..NONE }),
        Config::new("deleted lock file", pair).faults(Faults { deleted_locks: 1, ..NONE }).excusing(&[
            Kind::TwoRedemptions,
            Kind::SpentSent,
            Kind::RotationDropped,
            Kind::LoginLost,
            Kind::WrongReason,
        ]),
        Config::new("foreign login, lost answer, throttled", &[&[GET, FORCE], &[GET]])
            .tick(Millis::from_secs(4000))
            .faults(Faults { foreign_logins: 1, lost: 1, throttles: 1, ticks: 1, ..NONE }),
        Config::new("deleted lock file, grace", pair).grace().faults(Faults { deleted_locks: 1, ..NONE }).excusing(&[
            Kind::TwoRedemptions,
            Kind::SpentSent,
            Kind::RotationDropped,
            Kind::LoginLost,
        ]),
    ]
}

fn throttled(name: &'static str, scripts: &[&[Job]]) -> Config {
    let faults = Faults { throttles: 1, not_sent: 1, ticks: 1, ..NONE };
    Config::new(name, scripts).stored(StoredToken::Stale).faults(faults)
}

/// A program that drops the mark makes a refusal look like any other.
fn foreign(name: &'static str, scripts: &[&[Job]]) -> Config {
    let faults = Faults { foreign_writes: 1, foreign_logins: 1, ..NONE };
    Config::new(name, scripts).policy(|policy| policy.torn_tries = 1).faults(faults).excusing(&[Kind::WrongReason])
}
