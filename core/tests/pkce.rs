//! PKCE: normative lines A2 and A4.

use crate::common::secret;
use kraube_core::pkce::Verifier;

#[test]
fn a2_the_vector_of_rfc_7636_appendix_b() {
    let verifier = Verifier::restore(secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")).expect("a verifier");
    assert_eq!(verifier.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

#[test]
fn a2_a_verifier_is_43_to_128_unreserved_characters() {
    for fits in ["a".repeat(43), "-._~".repeat(32), "Z9".repeat(60)] {
        assert!(Verifier::restore(secret(&fits)).is_some(), "{fits}");
    }
    for bad in
        ["a".repeat(42), "a".repeat(129), "a".repeat(43) + " ", "a".repeat(43) + "+", "é".repeat(30), String::new()]
    {
        assert!(Verifier::restore(secret(&bad)).is_none(), "{bad}");
    }
}

#[test]
fn a_verifier_is_not_shown() {
    let verifier = Verifier::restore(secret(&"v".repeat(43))).expect("a verifier");
    assert!(!format!("{verifier:?}").contains("vvv"));
}
