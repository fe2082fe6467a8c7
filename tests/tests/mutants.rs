//! Known mistakes, one switch each, and the history that shows each: with the switch on, this seed breaks what is named;
//! with it off, it breaks nothing. Where a history has moved on to another seed, `cargo xtask sim --mistake NAME` finds
//! one. `cargo xtask sim --seed N --mistake NAME` tells it event by event.

use kraube_tests::promise::Kind;
use kraube_tests::sim::{Mistake, play};
use std::path::Path;

/// The mistake, what it breaks, and the seed that shows it.
const SHOWN: &[(Mistake, Kind, u64)] = &[
    (Mistake::NoLock, Kind::SpentSent, 0),
    (Mistake::ReadBeforeLock, Kind::SpentSent, 0),
    (Mistake::LockOnFile, Kind::SpentSent, 1),
    (Mistake::LockFileDeleted, Kind::TwoRedemptions, 177),
    (Mistake::FutureDropped, Kind::RotationDropped, 0),
    (Mistake::BlanksOnFailure, Kind::Overwritten, 1),
    (Mistake::WritesInPlace, Kind::Torn, 0),
    (Mistake::KeepsMode, Kind::Exposed, 50),
    (Mistake::ReplacesLink, Kind::LinkReplaced, 2),
    (Mistake::BlockingLock, Kind::Deadlock, 0),
    (Mistake::FollowsRedirects, Kind::Leaked, 2),
    (Mistake::HiddenRetry, Kind::WrongReason, 92),
    (Mistake::TimeoutNotSent, Kind::WrongReason, 1),
    (Mistake::ClockWithoutSleep, Kind::BadToken, 7),
    (Mistake::SecondsForMillis, Kind::BadToken, 0),
    (Mistake::EagerMargin, Kind::NeedlessRotation, 1),
    (Mistake::DropsMembers, Kind::Overwritten, 0),
    (Mistake::NoReserve, Kind::NeedlessUnsaved, 86),
    (Mistake::UnsavedDropped, Kind::RotationDropped, 733),
    (Mistake::CachedRead, Kind::Needless, 8),
];

/// The ten likeliest mistakes of a first implementation: the switches that make them here, and the tests of the native
/// host for what a simulated world cannot have.
const TEN: &[(&str, &[Mistake], &[&str])] = &[
    ("the token is read before the lock, or cached", &[Mistake::ReadBeforeLock, Mistake::CachedRead], &[]),
    ("a failure writes", &[Mistake::BlanksOnFailure], &[]),
    (
        "the caller's cancellation reaches the refresh",
        &[Mistake::FutureDropped, Mistake::UnsavedDropped],
        &["fault_32_a_runtime_that_ends_in_mid_refresh_costs_nothing"],
    ),
    ("the lock is on the wrong inode", &[Mistake::NoLock, Mistake::LockOnFile, Mistake::LockFileDeleted], &[]),
    (
        "the file is written in place, its disk full or failing",
        &[Mistake::WritesInPlace, Mistake::NoReserve],
        &["readers_never_see_half_a_write"],
    ),
    (
        "permissions and links are handled by somebody else",
        &[Mistake::KeepsMode, Mistake::ReplacesLink],
        &["a_write_makes_a_new_private_file_and_leaves_nothing_else", "fault_35_a_link_is_followed_and_stays"],
    ),
    ("the lock blocks the thread of a runtime", &[Mistake::BlockingLock], &["a_blocking_call_within_a_runtime_works"]),
    (
        "the defaults of an HTTP client",
        &[Mistake::FollowsRedirects, Mistake::HiddenRetry, Mistake::TimeoutNotSent],
        &["fault_18_a_redirect_is_not_followed", "fault_23_a_body_without_end_is_cut"],
    ),
    ("time", &[Mistake::EagerMargin, Mistake::ClockWithoutSleep, Mistake::SecondsForMillis], &[]),
    (
        "the page and the listener of the login",
        &[],
        &[
            "fault_01_callback_with_wrong_state",
            "fault_06_code_or_state_given_twice",
            "fault_09_nothing_of_a_query_is_echoed",
            "fault_10_the_host_of_an_attacker",
        ],
    ),
];

#[test]
fn each_mistake_is_shown_by_its_seed() {
    for &(mistake, kind, seed) in SHOWN {
        let name = mistake.name();
        let wrong = play(seed, Some(mistake), false).wrong;
        assert!(
            wrong.iter().any(|(found, _)| *found == kind),
            "seed {seed} does not show {kind:?} of `{name}`, but {wrong:?}; cargo xtask sim --mistake {name}"
        );
        let wrong = play(seed, None, false).wrong;
        assert!(wrong.is_empty(), "seed {seed} breaks something without `{name}`: {wrong:?}");
    }
}

#[test]
fn each_mistake_has_a_seed() {
    for mistake in Mistake::ALL {
        assert!(SHOWN.iter().any(|(shown, ..)| shown == mistake), "nothing shows `{}`", mistake.name());
    }
}

#[test]
fn the_guide_names_each_with_its_seed() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host-native/docs/reliability.md");
    let guide = std::fs::read_to_string(guide).expect("the page of the guide");
    for (mistake, kind, seed) in SHOWN {
        let name = mistake.name();
        let row = guide.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let end = format!("| `{kind:?}` | {seed} |");
        assert!(row.is_some_and(|row| row.ends_with(&end)), "the guide has no row of `{name}` with: {end}");
    }
}

#[test]
fn each_of_the_ten_is_shown() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host-native/tests");
    let files =
        std::fs::read_dir(host).expect("the tests of the native host").map(|entry| entry.expect("an entry").path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let texts: Vec<String> = files.map(|path| std::fs::read_to_string(path).expect("a test file")).collect();
    for (what, mistakes, tests) in TEN {
        assert!(!mistakes.is_empty() || !tests.is_empty(), "nothing shows: {what}");
        for test in *tests {
            let there = texts.iter().any(|text| text.contains(&format!("fn {test}()")));
            assert!(there, "the native host has no test {test}, for: {what}");
        }
    }
}
