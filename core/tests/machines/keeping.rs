//! Keeping what was received: it is stored, or kept, or belongs to a login that somebody has replaced or ended.

use super::*;
use kraube_core::credential::Unsaved;

/// To the moment that somebody else has written between the answer and our write.
fn to_the_merge() -> Play<Obtain> {
    let mut run = obtain();
    run.reach_exchange(&expired());
    run.replied(issued());
    run.wrote(Err(WriteError::Conflict));
    run
}

/// A rotation that could not be stored.
fn unsaved() -> Unsaved {
    let mut run = obtain();
    run.reach_exchange(&expired());
    run.replied(issued());
    loop {
        run.wrote(failed());
        match run.step {
            Some(Step::Continue(..)) => run.woke(),
            _ => break,
        };
    }
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
        assert!(run.wrote(Ok(())).contains(r#""refreshToken": "r1""#), "{text}");
        assert_eq!(run.ready().access_token.expose(), "a1");

        let mut run = resume(unsaved());
        run.read_bytes(Ok(Some(&text)));
        assert!(run.wrote(Ok(())).contains(r#""refreshToken": "r1""#), "{text}");
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
