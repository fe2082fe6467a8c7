//! The page `docs/requirements.md` is complete, and every line and every test that it or the page `docs/mcp.md` names is
//! there.

use std::path::Path;

const PAGE: &str = include_str!("../docs/requirements.md");
const MCP: &str = include_str!("../docs/mcp.md");

/// The rows of the tables: the first cell, and the tests that are named, each with its file.
fn rows(page: &'static str) -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.contains("---"));
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
    let rows = rows(PAGE);
    for (group, count) in lines {
        for number in 1..=count {
            let id = format!("{group}{number}");
            assert_eq!(rows.iter().filter(|(first, _)| *first == id).count(), 1, "{id}");
        }
    }
}

#[test]
fn every_line_that_the_page_about_mcp_names_exists() {
    let rows = rows(PAGE);
    let (hold, _) = MCP.split_once("# Lines that do not apply").expect("two tables");
    let shown = hold.lines().filter_map(|line| line.strip_suffix(" |")?.rsplit_once("| ")).map(|(_, last)| last);
    let named = shown.skip(1).flat_map(|cell| cell.split(", ")).filter(|named| !named.starts_with('`'));
    let named: Vec<_> = named.collect();
    assert!(named.len() > 50, "the page is read");
    for id in named {
        assert!(rows.iter().any(|(first, _)| *first == id), "{id} is no line of the requirements");
    }
}

#[test]
fn every_named_test_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let named: Vec<_> = [PAGE, MCP].into_iter().flat_map(rows).flat_map(|(_, tests)| tests).collect();
    assert!(named.len() > 100, "the pages are read");
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
