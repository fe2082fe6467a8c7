//! When a background refresh is due, and what its process says of itself.

use kraube_core::keeping::{Health, Schedule};
use kraube_core::machine::Blob;
use kraube_core::policy::Policy;
use kraube_core::secret::Fingerprint;
use kraube_core::status::{Status, status};
use kraube_core::time::{Millis, Now, Timestamp};

const NOW: u64 = 1_800_000_000_000;
const SECOND: u64 = 1000;

fn at(seconds: u64) -> Now {
    Now { wall: Timestamp(NOW + seconds * SECOND), monotonic: Millis::from_secs(100 + seconds) }
}

fn schedule(random: u64) -> Schedule {
    Schedule::new(random, at(0).monotonic)
}

fn wait(schedule: &Schedule, life: u64, now: Now) -> u64 {
    schedule.wait(&Policy::default(), Timestamp(NOW + life * SECOND), Some(Timestamp(NOW)), now).0 / SECOND
}

#[test]
fn it_is_due_before_the_margin_of_everybody_else_and_not_at_the_same_moment_in_each_process() {
    let (early, late) = (schedule(9_000), schedule(0));
    assert_eq!((wait(&early, 3600, at(3530)), wait(&late, 3600, at(3530))), (1, 10));
    assert_eq!((wait(&early, 3600, at(3531)), wait(&late, 3600, at(3540))), (0, 0));
    assert_eq!(wait(&early, 3600, at(0)), 30, "a machine that slept wakes no timer");
}

#[test]
fn a_short_life_is_halved_and_not_refreshed_without_end() {
    let schedule = schedule(9_999);
    assert_eq!((wait(&schedule, 30, at(0)), wait(&schedule, 30, at(14)), wait(&schedule, 30, at(15))), (15, 1, 0));
}

#[test]
fn after_a_failure_there_is_a_pause() {
    let mut schedule = schedule(0);
    schedule.ended(false, at(3590));
    assert_eq!((wait(&schedule, 3600, at(3590)), wait(&schedule, 3600, at(3620))), (30, 0));
    schedule.ended(true, at(3590));
    assert_eq!((wait(&schedule, 3600, at(3590)), wait(&schedule, 3600, at(3591))), (1, 0));
}

fn stored(members: &str) -> Status {
    let blob = Blob::new(format!("{{{members}}}").into_bytes());
    status(Ok(Some(blob)), &Policy::default(), at(0).wall)
}

#[test]
fn what_only_a_person_can_mend_is_waited_for() {
    let policy = Policy::default();
    let next = |status: &Status| schedule(0).next(&policy, status, at(0));
    let expired = format!(r#""refreshToken":"r","accessToken":"a","expiresAt":{NOW}"#);
    assert_eq!(next(&stored(&expired)), Some(Millis::ZERO));
    assert_eq!(next(&stored(&format!(r#""accessToken":"a","expiresAt":{NOW}"#))), None);
    assert_eq!(next(&status(Ok(None), &policy, at(0).wall)), None);
    let fits = Fingerprint::of(&[b"r", b"a"]);
    let ours = format!(r#""for":"{fits}","retryAt":{}"#, NOW + 20 * SECOND);
    let held_up = stored(&format!(r#"{expired},"kraube":{{{ours}}}"#));
    assert_eq!(next(&held_up), Some(Millis::from_secs(20)), "{held_up:?}");
    let soon = stored(&format!(r#""refreshToken":"r","accessToken":"a","expiresAt":{}"#, NOW + 80 * SECOND));
    assert_eq!(next(&soon), Some(Millis::from_secs(20)), "{soon:?}");
    // A token that nothing can renew is not asked for again and again.
    let short = stored(&format!(r#""accessToken":"a","expiresAt":{}"#, NOW + 10 * SECOND));
    assert_eq!(next(&short), Some(Schedule::GLANCE));
}

#[test]
fn health_is_believed_for_as_long_as_its_process_keeps_its_word() {
    let status =
        stored(&format!(r#""refreshToken":"canary","accessToken":"canary","expiresAt":{}"#, NOW + 3600 * SECOND));
    let health = Health::of(&status, None, Some(Millis::from_secs(30)), 7, at(0).wall);
    assert!(health.healthy && health.is_current(at(0).wall) && health.is_current(at(100).wall));
    assert!(!health.is_current(at(121).wall), "it was killed");
    assert!(!health.is_current(Timestamp(NOW - 3600 * SECOND)), "the clock was set back");
    let text = serde_json::to_string(&health).expect("JSON");
    assert!(!text.contains("canary"), "{text}");
    assert_eq!(serde_json::from_str::<Health>(&text).expect("its own words"), health);
    assert!(!Health::of(&status, None, None, 7, at(0).wall).healthy);
}

#[test]
fn a_failed_refresh_counts_until_other_tokens_are_stored() {
    let of = |login: &str, life: u64, more: &str| {
        let fits = Fingerprint::of(&[b"r", b"a"]);
        let ours = format!(r#""kraube":{{"for":"{fits}","login":"{login}"{more}}}"#);
        let expires = NOW + life * SECOND;
        stored(&format!(r#""refreshToken":"r","accessToken":"a","expiresAt":{expires},{ours}"#))
    };
    let before = of("L0", 60, "");
    let said = |now: &Status| {
        let health = Health::of(now, Some((&before, "no answer")), Some(Millis::ZERO), 7, at(0).wall);
        assert_eq!(health.healthy, health.error.is_none());
        health.error
    };
    let refused = of("L0", 60, r#","refused":{"reason":"revoked"}"#);
    assert_ne!(refused, before);
    for same in [&before, &refused] {
        assert_eq!(said(same).as_deref(), Some("no answer"), "{same:?}");
    }
    for other in [of("L0", 3600, ""), of("L1", 60, ""), status(Ok(None), &Policy::default(), at(0).wall)] {
        assert_eq!(said(&other), None, "{other:?}");
    }
}
