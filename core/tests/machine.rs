//! What hosts compare and report: revisions, and the failures of a store.

use kraube_core::machine::{Revision, StoreError, StoreErrorKind};
use std::collections::BTreeSet;

/// FIPS 180-4, the example of one block.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn a_revision_is_the_sha_256_of_the_bytes_and_is_read_as_it_is_written() {
    let revision = Revision::of(b"abc");
    assert_eq!((revision.to_string().as_str(), format!("{revision:?}").as_str()), (ABC, "ba7816bf8f01"));
    assert_eq!(Revision::parse(ABC), Some(revision));
    assert_ne!(Revision::of(b"abd"), revision);
}

#[test]
fn what_is_no_revision_is_none() {
    let upper = ABC.to_uppercase();
    let (short, odd, long) = (&ABC[..62], &ABC[..63], &format!("{ABC}0"));
    let (high, low) = (&ABC.replacen("ba", "ga", 1), &ABC.replacen("ba", "b/", 1));
    for text in ["", short, odd, long, &format!("{ABC}00"), &upper, high, low] {
        assert_eq!(Revision::parse(text), None, "{text}");
    }
}

#[test]
fn each_failure_of_a_store_has_a_name_of_its_own() {
    use StoreErrorKind::{Denied, Full, Io, Irreplaceable, NotOurs, ReadOnly, TooLarge};
    let kinds = [Denied, NotOurs, Full, ReadOnly, Irreplaceable, TooLarge, Io];
    let names: BTreeSet<&str> = kinds.into_iter().map(StoreErrorKind::code).collect();
    assert_eq!(names.len(), kinds.len());
    assert!(names.iter().all(|name| name.starts_with("store_") && name.len() > 6), "{names:?}");
    assert_eq!(StoreError { kind: Full, detail: "no space".into() }.to_string(), "no space");
}
