//! Records the conformance vectors that every other host runs (`tests/vectors`). With `KRAUBE_BLESS=1` they are written anew.
#![allow(clippy::wildcard_enum_match_arm)]

mod calls;
mod json;
mod machines;
mod script;

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_machines_do_what_is_recorded() {
    compare("machines.json", machines::all());
}

#[test]
fn the_questions_are_answered_as_recorded() {
    compare("calls.json", calls::all());
}

fn compare(file: &str, entries: Vec<Value>) {
    let names: BTreeSet<_> = entries.iter().map(|entry| entry["name"].to_string()).collect();
    assert_eq!(names.len(), entries.len(), "two entries of {file} have the same name");
    let wrong: Vec<_> = entries.iter().filter_map(|entry| entry.get(script::WRONG)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // An entry a line, so that a change shows which.
    let lines: Vec<_> = entries.iter().map(ToString::to_string).collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(file);
    if std::env::var_os("KRAUBE_BLESS").is_some() {
        std::fs::write(&path, &text).expect("the vectors can be written");
        return;
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, expected) in text.lines().zip(recorded.lines()) {
        assert_eq!(line, expected, "{file}: KRAUBE_BLESS=1 writes it anew");
    }
    assert_eq!(text.len(), recorded.len(), "{file}: KRAUBE_BLESS=1 writes it anew");
}
