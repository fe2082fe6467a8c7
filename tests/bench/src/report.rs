//! A row of the result, and how rows are printed.

use serde::Serialize;
use std::fmt::Write;
use std::time::Duration;

/// One line of the table.
#[derive(Serialize)]
pub(crate) struct Row {
    name: String,
    /// What was measured.
    pub(crate) what: &'static str,
    /// The figure, with its unit.
    pub(crate) measured: String,
    /// What it stands beside, from the same run.
    pub(crate) reference: String,
    /// The two of them as one figure.
    pub(crate) result: String,
    /// What is to be reached; nothing where the figure is only told.
    pub(crate) reach: Option<&'static str>,
    pub(crate) met: Option<bool>,
    /// More of the same measurement, a line each.
    pub(crate) notes: Vec<String>,
}

impl Row {
    pub(crate) fn new(what: &'static str, measured: impl Into<String>, reference: impl Into<String>) -> Self {
        let (measured, reference) = (measured.into(), reference.into());
        let (name, result) = (String::new(), String::new());
        Self { name, what, measured, reference, result, reach: None, met: None, notes: Vec::new() }
    }

    pub(crate) fn reach(self, result: impl Into<String>, reach: &'static str, met: bool) -> Self {
        Self { result: result.into(), reach: Some(reach), met: Some(met), ..self }
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub(crate) fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }
}

/// At most 100 columns wide.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    line(&mut text, ["what", "measured", "reference in the same run", "result", "reach", "met"]);
    let _ = writeln!(text, "{}", "-".repeat(100));
    for row in rows {
        let met = row.met.map_or("", |met| if met { "yes" } else { "NO" });
        line(&mut text, [row.what, &row.measured, &row.reference, &row.result, row.reach.unwrap_or(""), met]);
        for note in &row.notes {
            let _ = writeln!(text, "    {note}");
        }
    }
    let met = rows.iter().filter(|row| row.met == Some(true)).count();
    let all = rows.iter().filter(|row| row.met.is_some()).count();
    let _ = writeln!(text, "{}\n{met} of {all} reaches met", "-".repeat(100));
    text
}

fn line(text: &mut String, [what, measured, reference, result, reach, met]: [&str; 6]) {
    let _ = writeln!(text, "{what:<35}{measured:>10}  {reference:<25} {result:>9} {reach:>12}  {met:<3}");
}

pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// What may be negative.
pub(crate) fn difference(longer: Duration, shorter: Duration) -> f64 {
    (longer.as_secs_f64() - shorter.as_secs_f64()) * 1e3
}

/// The value below which the given part of the values lies. There must be one.
pub(crate) fn quantile<T: Copy + Ord>(values: &mut [T], part: f64) -> T {
    values.sort_unstable();
    values[((values.len() - 1) as f64 * part).round() as usize]
}

pub(crate) fn median<T: Copy + Ord>(values: &mut [T]) -> T {
    quantile(values, 0.5)
}
