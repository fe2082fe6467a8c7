//! Keeping what was received: it is stored, or kept, or belongs to a login that somebody has replaced or ended.

use super::*;
use kraube_core::credential::{Baseline, Install, InstallError, NewLogin, Settle, Unsaved, Via};
use kraube_core::provider::TokenBody;
use kraube_core::record::{Credentials, LoginId};

/// To the moment that somebody else has written between the answer and our write.
fn to_the_merge() -> Play<Obtain> {
    let mut run = obtain();
    run.reach_exchange(&expired());
    run.replied(issued());
    run.wrote(Err(WriteError::Conflict));
    run
}

/// The disk fails until the run gives up.
fn write_in_vain<M: Awaits<Outcome: Debug> + Debug>(run: &mut Play<M>) {
    loop {
        run.wrote(failed());
        match run.step {
            Some(Step::Continue(..)) => run.woke(),
            _ => break,
        };
    }
}

/// A rotation that could not be stored.
pub(crate) fn unsaved() -> Unsaved {
    let mut run = obtain();
    run.reach_exchange(&expired());
    run.replied(issued());
    write_in_vain(&mut run);
    match run.outcome() {
        Outcome::Unsaved(unsaved) => *unsaved,
        other => panic!("it was stored nowhere: {other:?}"),
    }
}

fn resume(unsaved: Unsaved) -> Play<Obtain> {
    Play::new(|now| Obtain::start_unsaved(Wanted::default(), Policy::default(), RUN, unsaved, now))
}

/// Another program that blanks the refresh token, with and without the members that it does not know.
fn without_refresh_token() -> [String; 2] {
    [stored("", "a8", HOUR).text(), foreign("", "a8", HOUR)]
}

#[test]
fn a_rotation_outlives_a_program_that_drops_the_refresh_token() {
    for text in without_refresh_token() {
        let mut run = to_the_merge();
        run.read_bytes(Ok(Some(&text)));
        assert_eq!(run.wrote(Ok(()))["refreshToken"], "r1", "{text}");
        assert_eq!(run.ready().access_token.expose(), "a1");

        let mut run = resume(unsaved());
        run.read_bytes(Ok(Some(&text)));
        assert_eq!(run.wrote(Ok(()))["refreshToken"], "r1", "{text}");
        assert_eq!(run.ready().access_token.expose(), "a1");
    }
}

#[test]
fn a_rotation_is_never_written_over_another_login_or_after_a_logout() {
    let replaced = [("r9", "L9", "account_changed"), ("", "L9", "account_changed"), ("r9", "L0", "ready")];
    for (refresh, login, expected) in replaced {
        let record = stored(refresh, "a9", HOUR).login(login);
        let mut run = to_the_merge();
        run.read(&record);
        assert_eq!(code(&run.outcome()), expected, "{refresh} of {login}");

        let mut run = resume(unsaved());
        run.read(&record);
        run.read(&record);
        assert_eq!(run.ready().access_token.expose(), "a9", "{refresh} of {login}");
    }
    for nothing in [None, Some("{}"), Some(r#"{"refreshToken":"","accessToken":""}"#)] {
        let mut run = to_the_merge();
        run.read_until_believed(Ok(nothing));
        assert_eq!(code(&run.outcome()), "logged_out", "{nothing:?}");

        let mut run = resume(unsaved());
        run.read_until_believed(Ok(nothing));
        run.read_until_believed(Ok(nothing));
        assert_eq!(code(&run.outcome()), "logged_out", "{nothing:?}");
    }
}

#[test]
fn a_failing_disk_is_given_two_seconds() {
    let mut run = obtain();
    run.reach_exchange(&expired());
    run.replied(issued());
    let (begun, mut tries) = (run.now.monotonic, 1);
    run.wrote(failed());
    while run.now.monotonic.minus(begun) < Millis::from_secs(2) {
        assert_eq!(run.woke(), Millis(50));
        run.wrote(failed());
        tries += 1;
    }
    assert_eq!(tries, 41);
    let Outcome::Unsaved(unsaved) = run.outcome() else { panic!("it is stored nowhere") };
    let ready = unsaved.ready.as_ref().expect("it lives");
    assert_eq!((ready.access_token.expose(), ready.via, &unsaved.cause), ("a1", Via::Exchange, &error()));

    let mut run = obtain();
    run.reach_exchange(&expired());
    run.replied(issued());
    run.wrote(failed());
    run.woke();
    run.wrote(Ok(()));
    assert_eq!(run.ready().access_token.expose(), "a1", "the disk came back");
}

#[test]
fn what_others_stored_beside_the_spent_token_is_kept_under_the_new_ones() {
    let mut run = to_the_merge();
    let stored = expired().marked(RUN).with(r#""later":5"#).text();
    run.read_bytes(Ok(Some(&stored.replace("{\"refresh", "{\"theirs\":7,\"refresh"))));
    let written = run.wrote(Ok(()));
    assert_eq!((&written["theirs"], &written["refreshToken"]), (&7.into(), &"r1".into()));
    assert_eq!((&written["kraube"]["later"], &written["kraube"]["redeeming"]), (&5.into(), &Value::Null));
    assert_eq!(run.ready().via, Via::Exchange);
}

#[test]
fn a_write_that_succeeded_in_spite_of_its_error_is_found() {
    let mut run = to_the_merge();
    run.read(&stored("r1", "a1", HOUR));
    let ready = run.ready();
    assert_eq!((ready.access_token.expose(), ready.via), ("a1", Via::Exchange));
}

#[test]
fn bytes_that_cannot_be_read_keep_the_rotation_in_memory() {
    for read in [Ok(Some("{")), Err(())] {
        let mut run = to_the_merge();
        run.read_until_believed(read);
        assert_eq!(code(&run.outcome()), "unsaved");

        let mut run = resume(unsaved());
        run.read_until_believed(read);
        let Outcome::Unsaved(unsaved) = run.outcome() else { panic!("it is stored nowhere") };
        assert_eq!(unsaved.cause, error(), "the first cause stands");
        let mut run = resume(*unsaved);
        run.read(&expired());
        assert_eq!(run.wrote(Ok(()))["refreshToken"], "r1");
    }
}

#[test]
fn others_who_never_stop_writing_leave_the_rotation_in_memory() {
    let endless = |run: &mut Play<Obtain>, first: u8| {
        for n in first..4 {
            run.read(&expired().with(format!(r#""other":{n}"#)));
            run.wrote(Err(WriteError::Conflict));
        }
    };
    let mut run = to_the_merge();
    endless(&mut run, 1);
    let Outcome::Unsaved(unsaved) = run.outcome() else { panic!("it is stored nowhere") };
    // The next run begins to count anew.
    let mut run = resume(*unsaved);
    endless(&mut run, 0);
    assert_eq!(code(&run.outcome()), "unsaved");
}

#[test]
fn a_kept_rotation_is_stored_before_anything_else_is_done() {
    let mut run = resume(unsaved());
    run.read(&expired());
    let written = run.wrote(Ok(()));
    assert_eq!((&written["refreshToken"], &written["accessToken"]), (&"r1".into(), &"a1".into()));
    let ready = run.ready();
    assert_eq!((ready.access_token.expose(), ready.via), ("a1", Via::Exchange));

    // It is there already: the write had succeeded in spite of its error.
    let mut run = resume(unsaved());
    run.read(&stored("r1", "a1", HOUR));
    assert_eq!(run.ready().access_token.expose(), "a1");
}

#[test]
fn a_login_that_comes_while_a_kept_rotation_is_stored_is_another_one() {
    let mut run = resume(unsaved());
    run.read(&expired());
    run.wrote(Err(WriteError::Conflict));
    run.read(&stored("r9", "a9", HOUR).login("L9"));
    assert_eq!(code(&run.outcome()), "account_changed");
}

#[test]
fn a_kept_rotation_has_its_own_time_to_be_stored() {
    let mut run = resume(unsaved());
    run.pass(Millis::from_secs(30));
    run.read(&expired());
    run.wrote(failed());
    assert_eq!(run.woke(), Millis(50), "two seconds from now, not from the start of the run");
    run.wrote(Ok(()));
    assert_eq!(run.ready().access_token.expose(), "a1");
}

#[test]
fn a_kept_rotation_is_not_given_up_for_a_file_that_is_gone_for_a_moment() {
    for nothing in [None, Some("{}")] {
        let mut run = resume(unsaved());
        for _ in 0..3 {
            run.read_bytes(Ok(nothing));
            assert_eq!(run.woke(), Millis(50), "another program may be in the middle of a write: {nothing:?}");
        }
        run.read(&expired());
        assert_eq!(run.wrote(Ok(()))["refreshToken"], "r1", "{nothing:?}");
        assert_eq!(run.ready().access_token.expose(), "a1");
    }
}

#[test]
fn what_a_process_keeps_is_what_is_not_stored() {
    let unsaved = unsaved();
    let kept = |outcome: &Outcome| outcome.keep(Some(unsaved.clone())).is_some();
    let mut run = resume(unsaved.clone());
    run.answer(Input::Woke);
    assert!(kept(&run.outcome()), "a mistake of the host");
    let mut run = obtain();
    run.read(&expired());
    run.locked(Locked::TimedOut);
    run.read(&expired());
    assert!(!kept(&run.outcome()), "nothing is kept, or the run would have begun with it");
    let mut run = resume(unsaved.clone());
    run.read(&expired());
    run.wrote(Ok(()));
    assert!(!kept(&run.outcome()), "it is stored");
    let mut run = resume(unsaved.clone());
    run.read_until_believed(Err(()));
    assert!(kept(&run.outcome()));
    let mut run = resume(unsaved.clone());
    run.read(&stored("r9", "a9", HOUR));
    run.read(&stored("r9", "a9", HOUR));
    assert!(!kept(&run.outcome()), "the login was replaced");
}

/// A login that could not be stored over the one that is there.
fn another_login() -> Unsaved {
    let credentials = Credentials { client: Some(common::client(TokenBody::Form)), ..super::install::credentials() };
    let new = NewLogin::Credentials(credentials);
    let mut run = Play::new(|_| Install::start(new, LoginId("L1".into()), Policy::default()));
    run.locked(Locked::Held);
    run.read(&expired());
    write_in_vain(&mut run);
    match run.outcome() {
        Err(InstallError::Unsaved(unsaved)) => *unsaved,
        other => panic!("it was stored nowhere: {other:?}"),
    }
}

#[test]
fn a_kept_login_is_stored_and_given_to_nobody_who_asked_for_another_one() {
    let pinned = |login: &str| Wanted { baseline: Baseline::Login(Some(LoginId(login.into()))), ..Wanted::default() };
    for (wanted, served) in [(Wanted::default(), true), (pinned("L1"), true), (pinned("L0"), false)] {
        let resume =
            || Play::new(|now| Obtain::start_unsaved(wanted.clone(), Policy::default(), RUN, another_login(), now));
        let mut run = resume();
        run.read(&expired());
        assert_eq!(run.wrote(Ok(()))["kraube"]["login"], "L1");
        if served {
            assert_eq!(run.ready().access_token.expose(), "a1");
        } else {
            run.read(&stored("r1", "a1", HOUR).login("L1"));
            assert_eq!(code(&run.outcome()), "account_changed");
        }

        let mut run = resume();
        run.read_until_believed(Err(()));
        let Outcome::Unsaved(unsaved) = run.outcome() else { panic!("it is stored nowhere") };
        assert_eq!(unsaved.ready.is_some(), served);
    }
}
