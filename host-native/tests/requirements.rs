//! The page `docs/requirements.md` is complete, every test that it names is there, and so is every line of it that the page
//! `docs/mcp.md` names.

use std::path::Path;

const PAGE: &str = include_str!("../docs/requirements.md");
const MCP: &str = include_str!("../docs/mcp.md");

/// The rows of the tables: the first cell, and the tests that are named, each with its file.
fn rows() -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| ") && !line.contains("---"));
    rows.map(|line| {
        let first = line.split('|').nth(1).unwrap_or_default().trim();
        let named = line.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(": "));
        (first, named.collect())
    })
    .collect()
}

#[test]
fn every_line_and_every_fault_is_listed_once() {
    let lines = [
        ("A", 13),
        ("B", 14),
        ("C", 12),
        ("D", 9),
        ("E", 7),
        ("F", 8),
        ("G", 6),
        ("H", 8),
        ("I", 3),
        ("J", 2),
        ("K", 2),
        ("L", 4),
        ("", 40),
    ];
    let rows = rows();
    for (group, count) in lines {
        for number in 1..=count {
            let id = format!("{group}{number}");
            assert_eq!(rows.iter().filter(|(first, _)| *first == id).count(), 1, "{id}");
        }
    }
}

#[test]
fn every_line_that_the_page_about_mcp_names_exists() {
    let rows = rows();
    let named = MCP.lines().filter_map(|line| line.strip_suffix(" |")?.rsplit_once("| ")).map(|(_, last)| last);
    let named: Vec<_> = named.skip(1).flat_map(|cell| cell.split(", ")).collect();
    assert!(named.len() > 30, "the page is read");
    for id in named {
        assert!(rows.iter().any(|(first, _)| *first == id), "{id} is no line of the requirements");
    }
}

#[test]
fn every_named_test_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let named: Vec<_> = rows().into_iter().flat_map(|(_, tests)| tests).collect();
    assert!(named.len() > 80, "the page is read");
    for (file, test) in named {
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        let there = match file.rsplit_once('.') {
            Some((_, "rs")) => text.contains(&format!("fn {test}(")),
            Some((_, "js")) => ["test", "scene"].iter().any(|call| text.contains(&format!("{call}(\"{test}\", "))),
            _ => false,
        };
        assert!(there, "{file} has no test {test}");
    }
}
