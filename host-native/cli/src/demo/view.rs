//! What a person sees meanwhile: a picture on a terminal, plain lines elsewhere. On standard error.

use super::fleet::{Doing, Fleet};
use console::{StyledObject, Term, style, truncate_str};
use kraube_testserver::{Counters, Server};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Note,
    Rotation,
    Login,
    Retry,
    Kill,
    Lost,
    Bad,
}

/// The picture.
pub(super) struct View {
    term: Term,
    live: bool,
    strict: bool,
    load: Duration,
    started: Instant,
    begun: Option<Instant>,
    drawn: Option<Instant>,
    lines: usize,
    marks: Vec<(Duration, Kind)>,
    said: VecDeque<(Duration, Kind, String)>,
    killed: Vec<Option<Instant>>,
}

/// How many of the last lines are in the picture.
const SAID: usize = 6;
/// For how long a kill is shown.
const AFTERGLOW: Duration = Duration::from_millis(900);

impl View {
    pub(super) fn new(processes: usize, strict: bool, load: Duration) -> Self {
        let term = Term::buffered_stderr();
        let live = term.features().is_attended();
        if live {
            let _ = term.hide_cursor();
        }
        Self {
            term,
            live,
            strict,
            load,
            started: Instant::now(),
            begun: None,
            drawn: None,
            lines: 0,
            marks: Vec::new(),
            said: VecDeque::new(),
            killed: vec![None; processes],
        }
    }

    /// The load begins.
    pub(super) fn begin(&mut self) {
        self.begun = Some(Instant::now());
        self.marks.clear();
    }

    /// One line of the story.
    pub(super) fn say(&mut self, kind: Kind, text: String) {
        let at = self.begun.map(|begun| begun.elapsed()).unwrap_or_default();
        if !self.live {
            let _ = self.term.write_line(&format!("{:5.1} s  {text}", at.as_secs_f64()));
            let _ = self.term.flush();
            return;
        }
        if self.said.len() == SAID {
            self.said.pop_front();
        }
        self.said.push_back((at, kind, text));
    }

    /// A mark on the line of time.
    pub(super) fn mark(&mut self, kind: Kind) {
        if let Some(begun) = self.begun {
            self.marks.push((begun.elapsed(), kind));
        }
    }

    pub(super) fn killed(&mut self, place: usize) {
        if let Some(killed) = self.killed.get_mut(place) {
            *killed = Some(Instant::now());
        }
    }

    /// Draws if it is due; when it is due again.
    pub(super) fn draw(&mut self, server: &Server, fleet: &Fleet, frame: Duration) -> Instant {
        let now = Instant::now();
        if !self.live {
            return now + Duration::from_secs(1);
        }
        match self.drawn {
            Some(drawn) if now < drawn + frame => drawn + frame,
            _ => {
                self.paint(&server.counters(), fleet);
                self.drawn = Some(now);
                now + frame
            }
        }
    }

    /// The last picture stays.
    pub(super) fn finish(&mut self, seen: &Counters, fleet: &Fleet) {
        if self.live {
            self.paint(seen, fleet);
            let _ = self.term.write_line("");
            let _ = self.term.flush();
        }
        self.lines = 0;
    }

    /// Nothing stays.
    pub(super) fn clear(&mut self) {
        if self.live {
            let _ = self.term.clear_last_lines(self.lines);
            let _ = self.term.flush();
        }
        self.lines = 0;
    }

    /// The end of the story.
    pub(super) fn verdict(&self, kept: bool, text: &str) {
        let sign = if kept { style("kept").green().bold() } else { style("BROKEN").red().bold() };
        let _ = self.term.write_line(&format!("  {}: {text}", sign.for_stderr()));
        let _ = self.term.flush();
    }

    fn paint(&mut self, seen: &Counters, fleet: &Fleet) {
        let (_, width) = self.term.size();
        let width = usize::from(width).clamp(20, 120);
        let mut lines = Vec::new();
        lines.push(String::new());
        lines.push(format!("  {}", style("one login, many processes").bold()));
        lines.push(String::new());
        lines.extend(self.grid(fleet, width));
        lines.push(String::new());
        lines.push(self.legend());
        lines.push(String::new());
        lines.push(format!(
            "  rotations {}   token requests {}   replays {}   kills {}",
            seen.rotations,
            seen.token_requests,
            seen.replays,
            0
        ));
        lines.push(self.timeline(width));
        lines.push(String::new());
        for (at, kind, text) in &self.said {
            lines.push(format!("  {:5.1} s  {}", at.as_secs_f64(), paint(*kind, text)));
        }
        let _ = self.term.clear_last_lines(self.lines);
        for line in &lines {
            let _ = self.term.write_line(&truncate_str(line, width, "…"));
        }
        let _ = self.term.flush();
        self.lines = lines.len();
    }

    fn grid(&self, fleet: &Fleet, width: usize) -> Vec<String> {
        let columns = ((width - 4) / 2).min(32);
        let cells: Vec<_> = fleet.workers.iter().enumerate().map(|(place, worker)| {
            let killed = self.killed.get(place).copied().flatten().is_some_and(|at| at.elapsed() < AFTERGLOW);
            let cell = match (killed, worker.doing) {
                (true, _) => style("✕").red().bold(),
                (false, Doing::Starting) => style("·").dim(),
                (false, Doing::HasToken) => style("●").green(),
                (false, Doing::Waiting) => style("○").yellow(),
                (false, Doing::Locked) => style("◐").cyan().bold(),
                (false, Doing::Redeeming) => style("◆").magenta().bold(),
                (false, Doing::Failing) => style("!").red(),
            };
            cell.for_stderr().to_string()
        }).collect();
        cells.chunks(columns).map(|row| format!("  {}", row.join(" "))).collect()
    }

    fn legend(&self) -> String {
        let _ = self.strict;
        "  ● has a token  ○ waits  ◐ holds the lock  ◆ redeems  ✕ killed".to_owned()
    }

    fn timeline(&self, width: usize) -> String {
        let columns = width - 4;
        let elapsed = self.begun.map(|begun| begun.elapsed()).unwrap_or_default();
        let whole = self.load.max(elapsed);
        let column = |at: Duration| ((at.as_secs_f64() / whole.as_secs_f64()) * (columns - 1) as f64) as usize;
        let mut line: Vec<Option<Kind>> = vec![None; columns];
        for (at, kind) in &self.marks {
            if let Some(cell) = line.get_mut(column(*at).min(columns - 1)) {
                *cell = (*cell).max(Some(*kind));
            }
        }
        let here = column(elapsed);
        let cells = line.into_iter().enumerate().map(|(place, kind)| match kind {
            Some(kind) => paint(kind, sign(kind)).to_string(),
            None if place <= here && self.begun.is_some() => style("─").dim().for_stderr().to_string(),
            None => style("·").dim().for_stderr().to_string(),
        });
        format!("  {}", cells.collect::<String>())
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if self.live {
            let _ = self.term.show_cursor();
            let _ = self.term.flush();
        }
    }
}

fn sign(kind: Kind) -> &'static str {
    match kind {
        Kind::Note | Kind::Bad => "!",
        Kind::Rotation => "●",
        Kind::Login => "▲",
        Kind::Retry => "◐",
        Kind::Kill => "✕",
        Kind::Lost => "✕",
    }
}

fn paint(kind: Kind, text: &str) -> StyledObject<&str> {
    let text = style(text).for_stderr();
    match kind {
        Kind::Note => text.dim(),
        Kind::Rotation => text.green(),
        Kind::Login => text.blue(),
        Kind::Retry => text.cyan(),
        Kind::Kill => text.red(),
        Kind::Lost | Kind::Bad => text.red().bold(),
    }
}
