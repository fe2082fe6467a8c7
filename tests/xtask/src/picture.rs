//! Takes the picture of the demo that README shows: the real command in a real terminal, as it is after some seconds.

use crate::{run, tools};
use std::fmt::Write as _;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

const SESSION: &str = "kraube-picture";
const COLUMNS: usize = 92;
const ROWS: usize = 26;
const FILE: &str = ".github/demo.svg";
/// Late enough to show a kill and what follows.
const MOMENT: Duration = Duration::from_secs(9);

/// Runs the demo in tmux, reads its screen with the colors, and writes it as text in an SVG.
pub(crate) fn take() -> Result<(), String> {
    if tools::on_path("tmux").is_none() {
        tools::install(&["tmux"])?;
    }
    run("cargo", &["build", "--release", "--package", "kraube-cli"])?;
    let (columns, rows) = (COLUMNS.to_string(), ROWS.to_string());
    let command = "target/release/kraube demo";
    run("tmux", &["new-session", "-d", "-s", SESSION, "-x", &columns, "-y", &rows, command])?;
    sleep(MOMENT);
    let screen = Command::new("tmux").args(["capture-pane", "-p", "-e", "-t", SESSION]).output();
    run("tmux", &["kill-session", "-t", SESSION])?;
    let screen = screen.map_err(|error| error.to_string())?.stdout;
    std::fs::write(FILE, svg(&String::from_utf8_lossy(&screen))).map_err(|error| format!("{FILE}: {error}"))
}

fn svg(screen: &str) -> String {
    const LINE: usize = 19;
    const CELL: f64 = 8.43;
    let lines: Vec<&str> = screen.trim_end().lines().collect();
    let (width, height) = ((COLUMNS as f64 * CELL) as usize + 40, lines.len() * LINE + 40);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#16181d\"/>\n\
         <g font-family=\"ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace\" font-size=\"14\" fill=\"#d7dae0\" xml:space=\"preserve\">\n"
    );
    for (index, line) in lines.iter().enumerate() {
        let y = 20 + LINE * (index + 1) - 5;
        let _ = write!(svg, "<text x=\"20\" y=\"{y}\">");
        let mut style = Style::default();
        for part in line.split("\u{1b}[") {
            let text = match part
                .split_once('m')
                .filter(|(codes, _)| codes.bytes().all(|b| b.is_ascii_digit() || b == b';'))
            {
                Some((codes, text)) if !std::ptr::eq(part, *line) => {
                    style.apply(codes);
                    text
                }
                _ => part,
            };
            style.write(text, &mut svg);
        }
        svg.push_str("</text>\n");
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// The colors and weights that terminals know as numbers.
#[derive(Default)]
struct Style {
    color: Option<&'static str>,
    bold: bool,
    dim: bool,
}

impl Style {
    fn apply(&mut self, codes: &str) {
        let mut codes = codes.split(';').map(|code| code.parse().unwrap_or(0_u16));
        while let Some(code) = codes.next() {
            match code {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                22 => (self.bold, self.dim) = (false, false),
                30..=37 | 90..=97 => self.color = COLORS.get(usize::from(code % 10)).copied(),
                38 => self.color = codes.by_ref().nth(1).and_then(|color| COLORS.get(usize::from(color % 8)).copied()),
                39 => self.color = None,
                _ => {}
            }
        }
    }

    fn write(&self, text: &str, svg: &mut String) {
        if text.is_empty() {
            return;
        }
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let color = self.color.map(|color| format!(" fill=\"{color}\"")).unwrap_or_default();
        let bold = if self.bold { " font-weight=\"bold\"" } else { "" };
        let dim = if self.dim { " opacity=\"0.55\"" } else { "" };
        let _ = write!(svg, "<tspan{color}{bold}{dim}>{escaped}</tspan>");
    }
}

const COLORS: [&str; 8] = ["#5c6370", "#ff6b6b", "#7bd88f", "#ffd866", "#6cb6ff", "#d39bf0", "#5ad4e6", "#d7dae0"];
