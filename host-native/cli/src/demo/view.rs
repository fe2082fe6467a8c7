//! What a person sees meanwhile: a picture on a terminal, plain lines elsewhere. On standard error.

use super::fleet::{Doing, Fleet};
use super::tally::Tally;
use console::{StyledObject, Term, style, truncate_str};
use kraube_testserver::Counters;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The picture is drawn this often.
const FRAME: Duration = Duration::from_millis(66);
/// How many of the last lines of the story are in it.
const SAID: usize = 6;
/// For how long a kill is shown.
const AFTERGLOW: Duration = Duration::from_millis(900);
/// For how long a token counts as news.
const NEWS: Duration = Duration::from_millis(120);

/// What the story is about; of two in one place of the line of time, the later one here is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Note,
    Rotation,
    Login,
    Retry,
    Kill,
    Lost,
}

/// The picture.
pub(super) struct View {
    term: Term,
    live: bool,
    strict: bool,
    load: Duration,
    begun: Option<Instant>,
    drawn: Option<Instant>,
    lines: usize,
    marks: Vec<(Duration, Kind)>,
    said: VecDeque<(Duration, Kind, String)>,
    /// When somebody was killed in each place.
    killed: Vec<Option<Instant>>,
}

impl View {
    pub(super) fn new(processes: usize, strict: bool, load: Duration) -> Self {
        let term = Term::buffered_stderr();
        let live = term.features().is_attended();
        if live {
            let _ = term.hide_cursor();
        }
        let (marks, said, killed) = (Vec::new(), VecDeque::new(), vec![None; processes]);
        Self { term, live, strict, load, begun: None, drawn: None, lines: 0, marks, said, killed }
    }

    /// The load begins, and with it the line of time.
    pub(super) fn begin(&mut self) {
        self.begun = Some(Instant::now());
    }

    /// One line of the story.
    pub(super) fn say(&mut self, kind: Kind, text: String) {
        let at = self.elapsed();
        if self.live {
            if self.said.len() == SAID {
                self.said.pop_front();
            }
            self.said.push_back((at, kind, text));
        } else {
            let _ = self.term.write_line(&format!("{}  {text}", seconds(at)));
            let _ = self.term.flush();
        }
    }

    /// A sign on the line of time.
    pub(super) fn mark(&mut self, kind: Kind) {
        if self.begun.is_some() {
            self.marks.push((self.elapsed(), kind));
        }
    }

    pub(super) fn killed(&mut self, place: usize) {
        if let Some(killed) = self.killed.get_mut(place) {
            *killed = Some(Instant::now());
        }
    }

    /// Draws if it is due; when it is due again.
    pub(super) fn draw(&mut self, fleet: &Fleet, tally: &Tally, seen: impl FnOnce() -> Counters) -> Option<Instant> {
        let now = Instant::now();
        let due = self.drawn.map_or(now, |drawn| drawn + FRAME);
        if self.live && due <= now {
            self.paint(fleet, tally, &seen());
            self.drawn = Some(now);
        }
        self.live.then(|| due.max(now + FRAME / 2))
    }

    /// Takes the picture away; what comes next begins in its place.
    pub(super) fn clear(&mut self) {
        if self.live {
            let _ = self.term.clear_last_lines(self.lines).and_then(|()| self.term.flush());
        }
        self.lines = 0;
    }

    /// Leaves the line of time, without the picture above it.
    pub(super) fn finish(&mut self) {
        if !self.live {
            return;
        }
        self.clear();
        let width = self.width();
        let mut lines = vec![String::new(), self.header(width), String::new()];
        lines.extend(self.timeline(width));
        lines.push(String::new());
        self.write(&lines, width);
        self.lines = 0;
    }

    /// The end of the story.
    pub(super) fn verdict(&self, kept: bool, text: &str) {
        let sign = if kept { style("kept").green().bold() } else { style("broken").red().bold() };
        let _ = self.term.write_line(&format!("  {}: {text}", sign.for_stderr())).and_then(|()| self.term.flush());
    }

    fn paint(&mut self, fleet: &Fleet, tally: &Tally, seen: &Counters) {
        let (height, width) = (usize::from(self.term.size().0), self.width());
        let mut lines = vec![String::new(), self.header(width), String::new()];
        lines.extend(self.grid(fleet, width));
        lines.extend([String::new(), legend(), String::new()]);
        lines.extend(self.timeline(width));
        lines.extend([String::new(), numbers(tally, seen), String::new()]);
        let room = height.saturating_sub(lines.len() + 1);
        let said = self.said.iter().skip(self.said.len().saturating_sub(room));
        lines.extend(
            said.map(|(at, kind, text)| {
                format!("  {}  {}", style(seconds(*at)).dim().for_stderr(), paint(*kind, text))
            }),
        );
        lines.truncate(height.saturating_sub(1));
        self.write(&lines, width);
    }

    /// Over the last picture, line by line and in one write, so that nothing flickers.
    fn write(&mut self, lines: &[String], width: usize) {
        let _ = self.term.move_cursor_up(self.lines);
        for line in lines {
            let _ = self.term.clear_line().and_then(|()| self.term.write_line(&truncate_str(line, width, "…")));
        }
        let _ = self.term.clear_to_end_of_screen().and_then(|()| self.term.flush());
        self.lines = lines.len();
    }

    fn header(&self, width: usize) -> String {
        let what = match self.strict {
            true => "one login, a server that forgives nothing",
            false => "one login, refresh tokens that work once",
        };
        let (name, what) = ("kraube demo", format!("{} processes, {what}", self.killed.len()));
        let clock = seconds(self.elapsed());
        let gap = width.saturating_sub(2 + name.len() + 2 + what.len() + clock.len() + 2);
        format!("  {}  {what}{:gap$}{}", style(name).bold().for_stderr(), "", style(clock).dim().for_stderr())
    }

    fn grid(&self, fleet: &Fleet, width: usize) -> Vec<String> {
        let cells: Vec<_> = fleet
            .workers
            .iter()
            .enumerate()
            .map(|(place, worker)| {
                let killed = self.killed.get(place).copied().flatten().is_some_and(|at| at.elapsed() < AFTERGLOW);
                let cell = match worker.doing {
                    _ if killed => style("✕").red().bold(),
                    Doing::Starting => style("·").dim(),
                    Doing::HasToken if worker.since.elapsed() < NEWS => style("●").green().bold(),
                    Doing::HasToken => style("●").green().dim(),
                    Doing::Waiting => style("○").yellow(),
                    Doing::Locked => style("◐").cyan().bold(),
                    Doing::Redeeming => style("◆").magenta().bold(),
                    Doing::Failing => style("!").red(),
                };
                cell.for_stderr().to_string()
            })
            .collect();
        let gap = match cells.len() {
            0..=64 => "   ",
            65..=128 => " ",
            _ => "",
        };
        let columns = ((width - 4) / (1 + gap.len())).clamp(1, 64) / 16 * 16;
        cells.chunks(columns.max(16)).map(|row| format!("  {}", row.join(gap))).collect()
    }

    /// The line, and the figures below it.
    fn timeline(&self, width: usize) -> [String; 2] {
        let columns = width - 4;
        let whole = self.load.max(self.elapsed()).as_millis().max(1);
        let column =
            |at: Duration| usize::try_from(at.as_millis() * (columns as u128 - 1) / whole).unwrap_or(usize::MAX);
        let mut signs: Vec<Option<Kind>> = vec![None; columns];
        for (at, kind) in &self.marks {
            if let Some(sign) = signs.get_mut(column(*at)) {
                *sign = (*sign).max(Some(*kind));
            }
        }
        let here = if self.begun.is_some() { column(self.elapsed()) } else { 0 };
        let cell = |(place, kind): (usize, &Option<Kind>)| match kind {
            Some(kind) => paint(*kind, sign(*kind)).to_string(),
            None => style(if place <= here { "─" } else { " " }).dim().for_stderr().to_string(),
        };
        let line = signs.iter().enumerate().map(cell).collect::<String>();
        let end = format!("{} s", whole.div_ceil(1000));
        let gap = columns.saturating_sub(3 + end.len());
        [format!("  {line}"), format!("  {}", style(format!("0 s{:gap$}{end}", "")).dim().for_stderr())]
    }

    fn elapsed(&self) -> Duration {
        self.begun.map(|begun| begun.elapsed()).unwrap_or_default()
    }

    fn width(&self) -> usize {
        usize::from(self.term.size().1).clamp(24, 100)
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if self.live {
            let _ = self.term.show_cursor().and_then(|()| self.term.flush());
        }
    }
}

fn numbers(tally: &Tally, seen: &Counters) -> String {
    let number = |name: &str, value: u64| format!("{name} {}", style(value).bold().for_stderr());
    let numbers = [
        number("tokens", tally.tokens),
        number("rotations", seen.rotations),
        number("token requests", seen.token_requests),
        number("kills", tally.kills),
        number("replays", seen.replays),
    ];
    format!("  {}", numbers.join("   "))
}

fn legend() -> String {
    let sign = |sign: StyledObject<&'static str>, text: &str| {
        format!("{} {}", sign.for_stderr(), style(text.to_owned()).dim().for_stderr())
    };
    let signs = [
        sign(style("●").green(), "has a token"),
        sign(style("○").yellow(), "waits"),
        sign(style("◐").cyan().bold(), "has the lock"),
        sign(style("◆").magenta().bold(), "redeems"),
        sign(style("✕").red().bold(), "killed"),
    ];
    format!("  {}", signs.join("   "))
}

fn sign(kind: Kind) -> &'static str {
    match kind {
        Kind::Note => "·",
        Kind::Rotation => "●",
        Kind::Login => "▲",
        Kind::Retry => "◐",
        Kind::Kill => "✕",
        Kind::Lost => "▼",
    }
}

fn paint(kind: Kind, text: &str) -> StyledObject<&str> {
    let text = style(text).for_stderr();
    match kind {
        Kind::Note => text.dim(),
        Kind::Rotation => text.green(),
        Kind::Login => text.blue().bold(),
        Kind::Retry => text.cyan(),
        Kind::Kill => text.red(),
        Kind::Lost => text.red().bold(),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:5.1} s", time.as_secs_f64())
}
