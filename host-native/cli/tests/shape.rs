//! The surface of the command: help, version, usage errors, completions, the manual. The help of each command is
//! compared with `snapshots/*.txt`; `KRAUBE_BLESS=1` writes them anew.

mod support;

use std::path::Path;
use support::World;

const COMMANDS: [&str; 12] = [
    "login",
    "token",
    "exec",
    "helper",
    "status",
    "doctor",
    "keep-fresh",
    "providers",
    "logout",
    "demo",
    "completions",
    "man",
];

#[test]
fn help_is_as_committed() {
    let world = World::new();
    check(&world, "kraube", &["--help"]);
    COMMANDS.iter().for_each(|command| check(&world, command, &[command, "--help"]));
}

fn check(world: &World, name: &str, args: &[&str]) {
    let run = world.run(args);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(format!("{name}.txt"));
    // The program's name has a suffix on Windows.
    let help = run.stdout.replace("kraube.exe", "kraube");
    if std::env::var_os("KRAUBE_BLESS").is_some() {
        std::fs::write(&file, &help).expect("the snapshot is written");
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default().replace("\r\n", "\n");
    assert_eq!(help, committed, "{} differs; KRAUBE_BLESS=1 writes it anew", file.display());
}

#[test]
fn every_command_is_in_the_help_and_has_a_snapshot() {
    let world = World::new();
    let help = world.run(&["--help"]).stdout;
    let (_, list) = help.split_once("Commands:\n").expect("a list of commands");
    // What is indented deeper goes on from the line before.
    let names = list
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?.split_whitespace().next());
    let names: Vec<_> = names.filter(|name| *name != "help").collect();
    let mut known = COMMANDS.to_vec();
    known.sort_unstable();
    let mut listed = names.clone();
    listed.sort_unstable();
    assert_eq!(listed, known);
}

#[test]
fn version() {
    World::new().run(&["--version"]).prints(concat!("kraube ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn usage_errors_are_2() {
    let world = World::new();
    for args in [
        &["tokn"][..],
        &["token", "--min-valid", "soon"],
        &["token", "--format", "xml"],
        &["token", "extra"],
        &["status", "--yaml"],
        &["completions", "csh"],
        &["man", "nothing"],
    ] {
        let run = world.run(args);
        run.fails(2, &[]);
    }
    let bare = world.run(&[]);
    assert_eq!((bare.code, bare.stdout.as_str()), (2, ""));
    assert!(bare.stderr.contains("Usage: kraube"));
}

#[test]
fn completions_are_there_for_every_shell() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = world.run(&["completions", shell]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        assert!(run.stdout.contains("--min-valid") || run.stdout.contains("min-valid"), "{shell}: {}", run.stdout);
    }
}

#[test]
#[cfg(unix)]
fn the_completions_of_bash_are_read_by_bash() {
    let world = World::new();
    let script = world.home().join("kraube.bash");
    std::fs::write(&script, world.run(&["completions", "bash"]).stdout).expect("written");
    let status = std::process::Command::new("bash").arg("-n").arg(&script).status().expect("bash is there");
    assert!(status.success());
}

#[test]
fn the_manual_is_roff_for_all_and_for_each() {
    let world = World::new();
    let page = |args: &[&str], title: &str| {
        let run = world.run(args);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        assert!(run.stdout.contains(&format!(".TH {title} ")), "{}", run.stdout);
        for section in [".SH NAME\n", ".SH SYNOPSIS\n", ".SH DESCRIPTION\n"] {
            assert!(run.stdout.contains(section), "{section} is not in {}", run.stdout);
        }
        run.stdout
    };
    let all = page(&["man"], "kraube");
    assert!(all.contains("Exit codes"));
    for command in COMMANDS {
        page(&["man", command], &format!("kraube-{command}"));
    }
}
