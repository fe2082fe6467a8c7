//! Rotation, replay, grace, and the counting of requests in flight.

use crate::client::{is_live, raw_refresh, refresh, server, wait};
use kraube_testserver::{Config, Event, Fault, FaultKind};
use std::time::Duration;

const LONG: Option<Duration> = Some(Duration::from_secs(3600));

#[test]
fn each_refresh_spends_the_token_and_issues_the_next() {
    let server = server(Config::default());
    let events = server.events();
    let login = server.issue_login();
    let first = refresh(&server, &login.refresh_token);
    let second = refresh(&server, &first.member("refresh_token"));
    assert!(!server.family_alive(&login.refresh_token) && !server.family_alive(&first.member("refresh_token")));
    assert!(server.family_alive(&second.member("refresh_token")));
    assert!(is_live(&server, &login.access_token) && is_live(&server, &second.member("access_token")));
    let counters = server.counters();
    assert_eq!((counters.token_requests, counters.refresh_requests, counters.rotations), (2, 2, 2));
    assert_eq!((counters.replays, counters.refused, counters.in_flight_max), (0, 0, 1));
    let family = login.family;
    let expected = [
        Event::Issued { family },
        Event::TokenRequest { family: Some(family) },
        Event::RefreshCommitted { family, generation: 1 },
        Event::TokenRequest { family: Some(family) },
        Event::RefreshCommitted { family, generation: 2 },
    ];
    assert_eq!(events.try_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_replay_revokes_the_family_and_no_other() {
    let server = server(Config::default());
    let (login, bystander) = (server.issue_login(), server.issue_login());
    let next = refresh(&server, &login.refresh_token);
    let events = server.events();
    assert_eq!(refresh(&server, &login.refresh_token).error(), (400, "invalid_grant".into()));
    assert_eq!(refresh(&server, &next.member("refresh_token")).error(), (400, "invalid_grant".into()));
    assert!(!is_live(&server, &next.member("access_token")) && !is_live(&server, &login.access_token));
    assert!(server.family_alive(&bystander.refresh_token) && is_live(&server, &bystander.access_token));
    let counters = server.counters();
    assert_eq!((counters.replays, counters.families_revoked, counters.refused), (1, 1, 2));
    let family = login.family;
    wait(&events, |event| *event == Event::Replay { family, generation: 0 });
    wait(&events, |event| *event == Event::FamilyRevoked { family });
    wait(&events, |event| *event == Event::RefreshRefused { family: Some(family) });
}

#[test]
fn within_the_grace_the_previous_token_gets_a_fresh_successor() {
    let server = server(Config { grace: LONG, ..Config::default() });
    let login = server.issue_login();
    let lost = refresh(&server, &login.refresh_token).member("refresh_token");
    let retried = refresh(&server, &login.refresh_token);
    let found = retried.member("refresh_token");
    assert!(found != lost && server.family_alive(&found) && !server.family_alive(&lost));
    // The answer to the retry may be lost as well.
    let found = refresh(&server, &login.refresh_token).member("refresh_token");
    assert_eq!(refresh(&server, &found).status, 200);
    let counters = server.counters();
    assert_eq!((counters.rotations, counters.grace_retries, counters.replays), (2, 2, 0));
}

#[test]
fn a_successor_that_a_retry_replaced_is_spent() {
    let server = server(Config { grace: LONG, ..Config::default() });
    let login = server.issue_login();
    let lost = refresh(&server, &login.refresh_token).member("refresh_token");
    assert_eq!(refresh(&server, &login.refresh_token).status, 200);
    assert_eq!(refresh(&server, &lost).error(), (400, "invalid_grant".into()));
    assert_eq!(server.counters().replays, 1);
}

#[test]
fn two_generations_back_is_a_replay_within_the_grace_too() {
    let server = server(Config { grace: LONG, ..Config::default() });
    let login = server.issue_login();
    let first = refresh(&server, &login.refresh_token).member("refresh_token");
    let second = refresh(&server, &first).member("refresh_token");
    assert_eq!(refresh(&server, &login.refresh_token).error(), (400, "invalid_grant".into()));
    assert!(!server.family_alive(&second));
    assert_eq!((server.counters().replays, server.counters().grace_retries), (1, 0));
}

#[test]
fn the_grace_ends() {
    let server = server(Config { grace: LONG, ..Config::default() });
    let login = server.issue_login();
    assert_eq!(refresh(&server, &login.refresh_token).status, 200);
    server.set_config(|config| config.grace = Some(Duration::ZERO));
    assert_eq!(refresh(&server, &login.refresh_token).error(), (400, "invalid_grant".into()));
    assert_eq!(server.counters().replays, 1);
}

#[test]
fn a_revoked_login_is_no_replay_within_the_grace() {
    let server = server(Config { grace: LONG, ..Config::default() });
    let login = server.issue_login();
    let next = refresh(&server, &login.refresh_token).member("refresh_token");
    server.revoke_all();
    for token in [&login.refresh_token, &next] {
        assert_eq!(refresh(&server, token).error(), (400, "invalid_grant".into()));
    }
    assert_eq!((server.counters().replays, server.counters().families_revoked), (0, 1));
}

#[test]
fn without_rotation_the_token_stays() {
    let server = server(Config { rotate: false, ..Config::default() });
    let login = server.issue_login();
    for _ in 0..2 {
        let answer = refresh(&server, &login.refresh_token);
        assert_eq!(answer.status, 200);
        assert!(answer.json().get("refresh_token").is_none() && is_live(&server, &answer.member("access_token")));
    }
    assert!(server.family_alive(&login.refresh_token));
    assert_eq!((server.counters().rotations, server.counters().refresh_requests), (0, 2));
}

#[test]
fn a_scope_beyond_the_granted_one_is_refused_and_spends_nothing() {
    let server = server(Config::default());
    let login = server.issue_login();
    let pairs = [&crate::client::refresh_form(&login.refresh_token)[..], &[("scope", "more")]].concat();
    assert_eq!(crate::client::form(&server.token_url(), &pairs).error(), (400, "invalid_scope".into()));
    assert!(server.family_alive(&login.refresh_token));
}

#[test]
fn requests_of_one_family_at_the_same_time_are_counted() {
    let server = server(Config { grace: LONG, ..Config::default() });
    let (login, other) = (server.issue_login(), server.issue_login());
    let events = server.events();
    server.inject(Fault::before(FaultKind::Hang).times(2));
    let _first = raw_refresh(&server, &login.refresh_token);
    wait(&events, |event| *event == Event::FaultInjected);
    let _elsewhere = raw_refresh(&server, &other.refresh_token);
    wait(&events, |event| *event == Event::FaultInjected);
    assert_eq!(server.counters().in_flight_max, 1, "another family is not in the way");
    assert_eq!(refresh(&server, &login.refresh_token).status, 200);
    assert_eq!(server.counters().in_flight_max, 2);
}

#[test]
fn a_request_whose_client_has_gone_is_not_in_flight_and_takes_effect() {
    let latency = Duration::from_millis(100);
    let server = server(Config { grace: LONG, latency, commit_after_latency: true, ..Config::default() });
    let login = server.issue_login();
    let events = server.events();
    let first = raw_refresh(&server, &login.refresh_token);
    wait(&events, |event| matches!(event, Event::TokenRequest { .. }));
    drop(first);
    assert_eq!(refresh(&server, &login.refresh_token).status, 200);
    assert_eq!(server.counters().in_flight_max, 1);
    let family = login.family;
    wait(&events, |event| *event == Event::RefreshCommitted { family, generation: 1 });
    wait(&events, |event| *event == Event::GraceRetry { family, generation: 2 });
}

#[test]
fn a_refresh_takes_effect_before_the_latency() {
    let server = server(Config { latency: Duration::from_secs(3600), ..Config::default() });
    let login = server.issue_login();
    let events = server.events();
    let _never_answered = raw_refresh(&server, &login.refresh_token);
    wait(&events, |event| matches!(event, Event::RefreshCommitted { generation: 1, .. }));
    assert!(!server.family_alive(&login.refresh_token));
}
