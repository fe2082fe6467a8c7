//! The short form of the exhaustive check. The full range: `cargo xtask model`.

use kraube_tests::model::{Kind, Report, check, configs};

#[test]
fn every_order_of_steps_keeps_the_promise() {
    for config in configs::short() {
        let report = check(&config);
        let traces: Vec<&str> = report.found.values().map(|found| found.trace.as_str()).collect();
        assert!(traces.is_empty(), "{}:\n{}", config.name, traces.join("\n"));
        assert!(report.ends > 0, "{} never ends", config.name);
    }
}

#[test]
fn a_login_is_lost_only_where_no_client_can_help() {
    let lost = |name: &str| of(name).lost;
    assert_eq!(lost("1 kill, grace"), 0);
    assert_eq!(lost("1 lost answer, grace"), 0);
    assert!(lost("1 kill, strict") > 0, "the kill does not hit the window, so the check is weak");
    assert!(lost("1 lost answer, strict") > 0, "the loss does not hit the window, so the check is weak");
}

#[test]
fn known_mistakes_of_hosts_show() {
    for (config, kinds) in configs::mutants() {
        let report = check(&config);
        for kind in kinds {
            let found: Vec<&Kind> = report.found.keys().collect();
            assert!(report.found.contains_key(kind), "{}: no {kind:?}, but {found:?}", config.name);
        }
    }
}

fn of(name: &str) -> Report {
    let config = configs::short().into_iter().find(|config| config.name == name).expect("a configuration of the name");
    check(&config)
}
