//! Secrets: how they are compared, and that nothing shows them.

use kraube_core::secret::{Fingerprint, Secret};

#[test]
fn secrets_are_the_same_where_every_byte_is() {
    let secret = Secret::new("abc");
    assert!(secret.same("abc") && Secret::new("").same(""));
    for other in ["", "a", "ab", "abcd", "xbc", "axc", "abx", "bac", "cba", "ABC"] {
        assert!(!secret.same(other), "{other}");
    }
}

#[test]
fn what_is_shown_of_a_secret_is_its_length_or_a_fingerprint() {
    let secret = Secret::new("CANARY");
    assert_eq!(format!("{secret:?}"), "Secret(6 bytes)");
    let fingerprint = secret.fingerprint();
    assert_eq!(format!("{fingerprint:?}"), fingerprint.to_string());
    assert_eq!(fingerprint.to_string().len(), 24);
    assert!(secret.is_empty() == secret.expose().is_empty());
}

#[test]
fn a_fingerprint_depends_on_where_each_part_ends() {
    assert_eq!(Fingerprint::of(&[b"a", b"bc"]), Fingerprint::of(&[b"a", b"bc"]));
    assert_ne!(Fingerprint::of(&[b"a", b"bc"]), Fingerprint::of(&[b"ab", b"c"]));
    assert_ne!(Fingerprint::of(&[b"a", b""]), Fingerprint::of(&[b"a"]));
}
