//! Logout: the server is told what it can be told, and what is stored is deleted whatever it says.

use super::*;
use kraube_core::credential::{Forget, Forgotten, NewLogin, Revoked, Settle, Unsaved};
use kraube_core::provider::{Client, TokenBody};
use kraube_core::record::{Credentials, LoginId};
use kraube_core::secret::Secret;

fn forget(revoke: bool, unsaved: Option<Unsaved>) -> Play<Forget> {
    Play::new(|_| Forget::start(revoke, Policy::default(), unsaved))
}

fn locked(revoke: bool, unsaved: Option<Unsaved>) -> Play<Forget> {
    let mut run = forget(revoke, unsaved);
    assert_eq!(run.locked(Locked::Held), Policy::default().deadline);
    run
}

fn revoked() -> Result<Response, SendErrorKind> {
    Ok(common::json(200, ""))
}

impl Play<Forget> {
    fn deleted(&mut self, deleted: Result<(), WriteError>) {
        let Action::Delete { replaces } = self.action() else { panic!("{:?}", self.action()) };
        assert_eq!(Some(*replaces), self.known, "what was read is deleted, and nothing else");
        self.answer(Input::Deleted(deleted));
    }

    /// What became of the login at the server, where the credentials are deleted.
    fn revocation(&mut self) -> Revoked {
        match self.outcome() {
            Forgotten::Deleted { revoked } => revoked,
            other => panic!("it is not deleted: {other:?}"),
        }
    }
}

#[test]
fn a_login_is_revoked_and_deleted() {
    let mut run = locked(true, None);
    run.read(&expired());
    assert!(run.replied(revoked()).contains("token=r0&token_type_hint=refresh_token"));
    run.deleted(Ok(()));
    assert_eq!(run.revocation(), Revoked::Yes);
}

#[test]
fn the_server_is_not_told_where_it_cannot_be_or_shall_not_be() {
    let no_endpoint = expired().text().replace("revocationEndpoint", "elsewhere");
    let records = [
        (true, stored("", "a0", HOUR).text()),
        (true, no_endpoint),
        (true, foreign("r0", "a0", HOUR)),
        (true, "{}".into()),
        (true, "{".into()),
        (false, expired().text()),
    ];
    for (revoke, text) in records {
        let mut run = locked(revoke, None);
        run.read_until_believed(Ok(Some(&text)));
        run.deleted(Ok(()));
        assert_eq!(run.revocation(), Revoked::NotAsked, "{text}");
    }
    let mut run = locked(true, None);
    run.read_bytes(Ok(None));
    assert!(matches!(run.outcome(), Forgotten::NothingStored));
}

#[test]
fn a_revocation_is_confirmed_only_where_nothing_can_undo_it() {
    let unconfirmed = |how: Locked, record: Stored, reply: Result<Response, SendErrorKind>| {
        let mut run = forget(true, None);
        run.locked(how);
        run.read(&record);
        run.replied(reply);
        run.deleted(Ok(()));
        match run.revocation() {
            Revoked::Unconfirmed(detail) => detail,
            other => panic!("it is said to be certain: {other:?}"),
        }
    };
    for without in [Locked::TimedOut, Locked::Changed, Locked::Unsupported(error())] {
        assert!(unconfirmed(without, expired(), revoked()).contains("lock"), "a refresh may be under way");
    }
    assert!(unconfirmed(Locked::Held, expired().marked(OTHER_RUN), revoked()).contains("in doubt"));
    assert!(unconfirmed(Locked::Held, expired(), Ok(common::json(503, ""))).contains("503"));
    assert!(unconfirmed(Locked::Held, expired(), Err(SendErrorKind::NotSent)).contains("the wire"));
}

#[test]
fn a_store_that_fails_is_said_and_what_the_server_did_with_it() {
    let mut run = locked(true, None);
    run.read_until_believed(Err(()));
    let Forgotten::StillStored { revoked: Revoked::NotAsked, cause: Some(cause) } = run.outcome() else {
        panic!("it cannot be read")
    };
    assert_eq!(cause, error());

    let mut run = locked(true, None);
    run.read(&expired());
    run.replied(revoked());
    run.deleted(failed());
    assert!(matches!(run.outcome(), Forgotten::StillStored { revoked: Revoked::Yes, cause: Some(_) }));
}

#[test]
fn who_writes_in_between_is_read_again_three_times_at_most() {
    let mut run = locked(true, None);
    run.read(&expired());
    run.replied(revoked());
    run.deleted(Err(WriteError::Conflict));
    for n in 0..2 {
        // The same refresh token is not revoked twice.
        run.read(&expired().with(format!(r#""other":{n}"#)));
        run.deleted(Err(WriteError::Conflict));
    }
    // Another one of the same login is.
    run.read(&stored("r1", "a1", HOUR));
    assert!(run.replied(revoked()).contains("token=r1"));
    run.deleted(Err(WriteError::Conflict));
    assert!(matches!(run.outcome(), Forgotten::StillStored { revoked: Revoked::Yes, cause: None }));

    let mut run = locked(true, None);
    run.read(&expired());
    run.replied(revoked());
    run.deleted(Err(WriteError::Conflict));
    run.read_until_believed(Ok(None));
    assert_eq!(run.revocation(), Revoked::Yes, "somebody else has deleted it");
}

#[test]
fn another_login_that_appears_meanwhile_is_left_alone() {
    let appears = |text: &str| {
        let mut run = locked(true, None);
        run.read(&expired());
        run.replied(revoked());
        run.deleted(Err(WriteError::Conflict));
        run.read_bytes(Ok(Some(text)));
        run
    };
    let mut run = appears(&stored("r9", "a9", HOUR).login("L9").text());
    assert!(matches!(run.outcome(), Forgotten::AnotherLogin { revoked: Revoked::Yes }));
    let run = appears(&foreign("r9", "a9", HOUR));
    assert!(matches!(run.action(), Action::Delete { .. }), "a program that drops the id may have rotated it");
}

#[test]
fn a_kept_rotation_is_the_one_to_revoke_where_it_belongs_to_what_is_stored() {
    // The mark is of the refresh that brought what is kept.
    for record in [expired(), expired().marked(RUN)] {
        let mut run = locked(true, Some(keeping::unsaved()));
        run.read(&record);
        assert!(run.replied(revoked()).contains("token=r1"));
        run.deleted(Ok(()));
        assert_eq!(run.revocation(), Revoked::Yes);
    }

    let mut run = locked(true, Some(keeping::unsaved()));
    run.read(&stored("r9", "a9", HOUR));
    assert!(run.replied(revoked()).contains("token=r9"));
}

/// A first login that could not be stored: it is kept, and nothing is there.
fn unsaved_login(client: Option<Client>) -> Unsaved {
    let credentials = Credentials {
        binding: None,
        access_token: Secret::new("a1"),
        refresh_token: Some(Secret::new("r1")),
        expires_at: Timestamp(NOW + 3_600_000),
        obtained_at: None,
        scope: None,
        client,
    };
    let (login, policy) = (LoginId("L1".into()), Policy { save_time: Millis::ZERO, ..Policy::default() });
    let mut run = Play::new(|_| Install::start(NewLogin::Credentials(credentials), login, policy));
    run.locked(Locked::Held);
    run.read_bytes(Ok(None));
    run.wrote(failed());
    run.outcome().keep(None).expect("it is kept")
}

fn client() -> Option<Client> {
    Some(common::client(TokenBody::Form))
}

#[test]
fn what_is_kept_is_revoked_also_where_nothing_or_nothing_readable_is_stored() {
    let dropped = stored("", "a8", HOUR).text();
    for text in [None, Some("{}"), Some("{"), Some(""), Some(dropped.as_str())] {
        for kept in [keeping::unsaved(), unsaved_login(client())] {
            let mut run = locked(true, Some(kept));
            run.read_until_believed(Ok(text));
            assert!(run.replied(revoked()).contains("token=r1"), "{text:?}");
            if text.is_some() {
                run.deleted(Ok(()));
            }
            assert_eq!(run.revocation(), Revoked::Yes, "{text:?}");
        }
    }
    let mut run = locked(true, Some(unsaved_login(client())));
    run.read_bytes(Ok(None));
    run.replied(Err(SendErrorKind::NotSent));
    assert_eq!(run.revocation(), Revoked::Unconfirmed("the wire".into()));
}

#[test]
fn what_is_kept_is_no_login_of_nothing_where_the_server_cannot_be_told_or_shall_not_be() {
    for (revoke, client) in [(false, client()), (true, None)] {
        let mut run = locked(revoke, Some(unsaved_login(client)));
        run.read_bytes(Ok(None));
        assert_eq!(run.revocation(), Revoked::NotAsked);
    }
    // What is stored says where to revoke what is kept without it.
    let mut run = locked(true, Some(unsaved_login(None)));
    run.read(&stored("", "a8", HOUR));
    let Action::Send { request, .. } = run.action() else { panic!("{:?}", run.action()) };
    assert_eq!(request.url.as_str(), "https://e.org/r");
}

#[test]
fn what_another_program_may_be_writing_is_read_again_before_it_is_deleted() {
    let Policy { torn_pause, torn_tries, .. } = Policy::default();
    for torn in [Ok(Some("")), Ok(Some("{")), Err(())] {
        let mut run = locked(true, None);
        for _ in 0..torn_tries {
            run.read_bytes(torn);
            assert_eq!(run.woke(), torn_pause);
        }
        run.read(&expired());
        assert!(run.replied(revoked()).contains("token=r0"), "{torn:?}");

        let mut run = locked(true, None);
        (0..torn_tries).for_each(|_| {
            run.read_bytes(torn);
            run.woke();
        });
        run.read_bytes(torn);
        let deletes = matches!(run.step, Some(Step::Continue(_, Action::Delete { .. })));
        assert_eq!(deletes, torn.is_ok(), "it is believed: {:?}", run.step);
    }
    // Nothing is odd only where something was: it is said at once that there is no login.
    for nothing in [None, Some("{}")] {
        let mut run = locked(true, None);
        run.read(&expired());
        run.replied(revoked());
        run.deleted(Err(WriteError::Conflict));
        run.read_bytes(Ok(nothing));
        assert_eq!(run.woke(), torn_pause, "{nothing:?}");
        // Each look has its own tries.
        run.read(&expired());
        run.deleted(Err(WriteError::Conflict));
        for _ in 0..torn_tries {
            run.read_bytes(Ok(nothing));
            assert_eq!(run.woke(), torn_pause, "{nothing:?}");
        }
        run.read_bytes(Ok(nothing));
        if nothing.is_some() {
            run.deleted(Ok(()));
        }
        assert_eq!(run.revocation(), Revoked::Yes);

        // A kept rotation comes after something that was stored.
        let mut run = locked(true, Some(keeping::unsaved()));
        run.read_bytes(Ok(nothing));
        assert_eq!(run.woke(), torn_pause, "{nothing:?}");
    }
}

#[test]
fn what_a_server_says_of_a_revocation_repeats_no_token() {
    for (token, expected) in
        [("abcdefghijkl", "invalid_request"), ("other", "invalid_request: abcdefghijkl is unknown")]
    {
        let mut run = locked(true, None);
        run.read(&stored(token, "a0", HOUR));
        run.replied(Ok(common::json(400, said("abcdefghijkl is unknown"))));
        run.deleted(Ok(()));
        assert_eq!(run.revocation(), Revoked::Unconfirmed(expected.into()));
    }
}

#[test]
fn what_is_torn_and_then_gone_was_no_login() {
    let mut run = locked(true, None);
    run.read_until_believed(Ok(Some("{")));
    run.deleted(Err(WriteError::Conflict));
    run.read_bytes(Ok(None));
    assert!(matches!(run.outcome(), Forgotten::NothingStored));
}

#[test]
fn a_logout_makes_a_kept_rotation_void_unless_it_fails() {
    let kept = |mut run: Play<Forget>| run.outcome().keep(Some(keeping::unsaved())).is_some();
    let mut run = locked(false, None);
    run.read(&expired());
    run.deleted(Ok(()));
    assert!(!kept(run));
    let mut run = locked(false, None);
    run.read_bytes(Ok(None));
    assert!(!kept(run));
    let mut run = locked(false, None);
    run.read(&expired());
    run.deleted(failed());
    assert!(kept(run));
    let mut run = locked(false, None);
    run.answer(Input::Woke);
    assert!(kept(run), "a mistake of the host");
}
