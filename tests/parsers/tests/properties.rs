//! The targets on random input: bytes, pieces that real inputs are made of, and committed inputs that were damaged.

use kraube_parsers::{TARGETS, Target};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use std::fs;

const CASES: u32 = 2000;

fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).expect("there is one")
}

/// The committed inputs, in an order that is the same on every file system.
fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let folder = format!("{}/../fuzz/corpus/{}", env!("CARGO_MANIFEST_DIR"), target.name);
    let files = fs::read_dir(folder).expect("each target has inputs");
    let mut paths: Vec<_> = files.map(|file| file.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("it can be read")).collect()
}

fn words(target: &Target) -> impl Strategy<Value = Vec<u8>> + use<> {
    let word = select(target.words).prop_map(|word| word.as_bytes().to_vec());
    prop_oneof![6 => word, 1 => vec(any::<u8>(), 0..4), 1 => ".{0,4}".prop_map(String::into_bytes)]
}

/// A committed input in which some stretches were replaced by words.
fn damaged(target: &Target) -> impl Strategy<Value = Vec<u8>> + use<> {
    let edits = vec((any::<prop::sample::Index>(), 0_usize..6, words(target)), 1..4);
    (select(seeds(target)), edits).prop_map(|(mut bytes, edits)| {
        for (at, length, word) in edits {
            let at = at.index(bytes.len() + 1);
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, word);
        }
        bytes
    })
}

fn any_input(name: &str) {
    let target = target(name);
    let made = vec(words(target), 0..16).prop_map(|words| words.concat());
    let input = prop_oneof![1 => vec(any::<u8>(), 0..64), 3 => made, 3 => damaged(target)];
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let done = runner.run(&input, |input| {
        (target.check)(&input);
        Ok(())
    });
    if let Err(error) = done {
        panic!("{name}: {error}\nas text: {}", text_of(&error));
    }
}

fn text_of(error: &proptest::test_runner::TestError<Vec<u8>>) -> String {
    match error {
        proptest::test_runner::TestError::Fail(_, input) => format!("{:?}", String::from_utf8_lossy(input)),
        proptest::test_runner::TestError::Abort(reason) => reason.to_string(),
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            any_input(stringify!($name));
        })*

        #[test]
        fn no_target_is_left_out() {
            assert_eq!([$(stringify!($name)),*].len(), TARGETS.len());
        }
    };
}

targets! {
    callback_query pasted_code saved_login token_response retry_after credentials providers_file endpoint metadata
    www_authenticate device_response
}
