//! `kraube logout`: what becomes of the login here and at the server, and what is told of it.

mod support;

use kraube_testserver::{Config, Fault, FaultKind};
use support::{MINUTE, World};

#[test]
fn a_login_is_revoked_and_deleted() {
    let mut world = World::new();
    let login = world.log_in(50 * MINUTE);
    let run = world.run(&["logout"]);
    run.prints("");
    assert_eq!(run.stderr, "The login is deleted.\nThe server confirmed that it is revoked.\n");
    assert!(!world.path().exists());
    assert!(!world.server.family_alive(&login.refresh_token));
    world.run(&["token"]).fails(4, &[]);
}

#[test]
fn the_server_need_not_be_told() {
    let mut world = World::new();
    let login = world.log_in(50 * MINUTE);
    let run = world.run(&["logout", "--no-revoke"]);
    run.prints("");
    assert_eq!(run.stderr, "The login is deleted.\nThe server was not told: its tokens live until they expire.\n");
    assert!(!world.path().exists());
    assert!(world.server.family_alive(&login.refresh_token));
}

#[test]
fn what_the_server_does_not_confirm_is_told() {
    let mut world = World::with(Config { revocation_status: 503, ..Config::default() });
    world.log_in(50 * MINUTE);
    let run = world.run(&["logout"]);
    run.prints("");
    run.says(&["The login is deleted.\n", "warning: the server did not confirm that it is revoked: ", "\n\nhint: "]);
    assert!(!world.path().exists());
}

#[test]
fn where_there_is_no_login_that_is_told() {
    let mut world = World::new();
    let run = world.run(&["logout"]);
    run.prints("");
    assert_eq!(run.stderr, "There was no login.\n");
    world.log_in(50 * MINUTE);
    world.run(&["logout"]).prints("");
    let run = world.run(&["logout"]);
    run.prints("");
    assert_eq!(run.stderr, "There was no login.\n");
    assert_eq!(world.server.counters().revocations, 1);
}

#[test]
fn a_login_in_doubt_may_have_a_token_that_nobody_knows() {
    let mut world = World::new();
    world.log_in(-MINUTE);
    world.server.inject(Fault::before(FaultKind::Reset).times(9));
    assert_eq!(world.run(&["token"]).code, 6);
    let run = world.run(&["logout"]);
    run.prints("");
    run.says(&["The login is deleted.\n", "warning: the server did not confirm"]);
    assert!(!world.path().exists());
}

#[test]
fn what_cannot_be_read_is_deleted_and_no_server_is_blamed() {
    let mut world = World::new();
    world.log_in(50 * MINUTE);
    std::fs::write(world.path(), "canary").expect("written");
    let run = world.run(&["logout"]);
    run.prints("");
    run.says(&["The login is deleted.\nThe server was not told", "no refresh token could be read"]);
    assert!(!world.path().exists());
}

#[test]
fn a_file_with_another_name_is_not_called_deleted() {
    let mut world = World::new();
    let login = world.log_in(50 * MINUTE);
    let other = world.path().with_extension("other");
    std::fs::hard_link(world.path(), &other).expect("room");
    let run = world.run(&["logout"]);
    assert_eq!(run.code, 1, "{run:?}");
    run.says(&[
        "error: the credentials are still stored\n",
        "is a hard link",
        "\n\nhint: mend that, and log out again\n",
    ]);
    assert!(std::fs::read_to_string(world.path()).expect("it is there").contains(&login.refresh_token));
    std::fs::remove_file(&other).expect("it is ours");
    world.run(&["logout"]).prints("");
    assert!(!world.path().exists());
}
