//! The committed inputs (`tests/fuzz/corpus`), and what fuzzing found, once and for all.

use kraube_parsers::TARGETS;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus"))
}

#[test]
fn every_committed_input_holds() {
    for target in TARGETS {
        let inputs = fs::read_dir(folder().join(target.name)).expect("each target has inputs");
        let mut count = 0;
        for input in inputs {
            let path = input.expect("an entry").path();
            let bytes = fs::read(&path).expect("it can be read");
            let held = std::panic::catch_unwind(|| (target.check)(&bytes));
            assert!(held.is_ok(), "{}", path.display());
            count += 1;
        }
        assert!(count >= 3, "{} has {count} inputs", target.name);
    }
}

#[test]
fn every_target_is_fuzzed_and_has_a_folder_and_no_folder_is_left_over() {
    let names = |folder: &Path| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("an entry").path());
        entries.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect()
    };
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names(folder()), targets);
    assert_eq!(names(&folder().with_file_name("fuzz_targets")), targets);
}
