//! The committed histories of the simulator. Others: `cargo xtask sim --histories N`; one: `cargo xtask sim --seed N`.

use kraube_tests::sim::{COMMITTED, commit, play, run_all};

#[test]
fn the_committed_histories_keep_the_promise_and_go_everywhere() {
    let (tally, failed) = run_all(&COMMITTED, None, 2);
    let failed: Vec<String> = failed
        .iter()
        .map(|failed| {
            format!("seed {}, commit {}: {:?}: cargo xtask sim --seed {0}", failed.seed, commit(), failed.wrong)
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert_eq!(tally.histories, COMMITTED.end - COMMITTED.start);
    let never: Vec<&str> =
        tally.interesting().into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect();
    assert!(never.is_empty(), "no history comes by: {}", never.join(", "));
    let causes = ["kill", "answer lost", "time-out", "500 that consumes", "garbled answer"];
    for cause in causes.map(|cause| format!("strict server, {cause}")) {
        assert!(tally.losses.contains_key(&cause), "no history shows the loss that nobody can help: {cause}");
    }
}

#[test]
fn a_seed_is_one_history() {
    for seed in [3, 1 << 40, u64::MAX] {
        let (first, second) = (play(seed, None, true), play(seed, None, true));
        assert!(first.trace.len() > 20, "seed {seed} tells next to nothing");
        assert_eq!(first.trace, second.trace, "seed {seed} is two histories");
    }
    assert_ne!(play(1, None, true).trace, play(2, None, true).trace);
}
