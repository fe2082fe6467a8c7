//! Breadth first through all worlds, so that the first trace to a violation is a shortest one. A world that was seen is
//! known by 128 bits of its hash.

use super::world::{Choice, World};
use super::{Config, Kind};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;
use std::rc::Rc;

/// What the search has seen.
#[derive(Debug, Default)]
pub struct Report {
    /// Different worlds.
    pub states: usize,
    /// Steps between them.
    pub transitions: usize,
    /// Steps to the world that is farthest away.
    pub depth: usize,
    /// Steps of the longest path: every run ends.
    pub longest: usize,
    /// Worlds in which nothing more happens.
    pub ends: usize,
    /// Of those: the login was lost, as it may be, and that is said.
    pub lost: usize,
    /// Of those: a process ended while it kept tokens that it could not store.
    pub unsaved: usize,
    /// What is wrong, and not excused by the configuration.
    pub found: BTreeMap<Kind, Found>,
    /// What is wrong, and excused.
    pub excused: BTreeMap<Kind, Found>,
}

/// A kind of violation.
#[derive(Debug, Default)]
pub struct Found {
    /// In how many steps.
    pub count: usize,
    /// A shortest way to the first one.
    pub trace: String,
}

struct Seen {
    parent: u32,
    choice: Choice,
    depth: u32,
}

/// Explores all of it.
pub fn check(config: &Config) -> Report {
    Search::new(config).run()
}

struct Search {
    config: Rc<Config>,
    index: HashMap<u128, u32>,
    seen: Vec<Seen>,
    /// The successors of all worlds, in the order of the worlds, and where those of each begin.
    edges: Vec<u32>,
    first_edge: Vec<usize>,
    report: Report,
}

impl Search {
    fn new(config: &Config) -> Self {
        Self {
            config: Rc::new(config.clone()),
            index: HashMap::new(),
            seen: Vec::new(),
            edges: Vec::new(),
            first_edge: Vec::new(),
            report: Report::default(),
        }
    }

    fn run(mut self) -> Report {
        let start = World::new(Rc::clone(&self.config));
        self.index.insert(start.fingerprint(), 0);
        self.seen.push(Seen { parent: 0, choice: Choice::Tick, depth: 0 });
        let mut queue = VecDeque::from([start]);
        let mut choices = Vec::new();
        while let Some(world) = queue.pop_front() {
            let at = self.first_edge.len() as u32;
            self.first_edge.push(self.edges.len());
            choices.clear();
            world.choices(&mut choices);
            if choices.is_empty() {
                self.end(at, &world);
            }
            for &choice in &choices {
                let (next, wrong) = world.after(choice);
                for (kind, what) in wrong {
                    self.violation(kind, &what, at, Some(choice));
                }
                self.report.transitions += 1;
                let unseen = self.index.len() as u32;
                let to = *self.index.entry(next.fingerprint()).or_insert(unseen);
                self.edges.push(to);
                if to == unseen {
                    let depth = self.seen[at as usize].depth + 1;
                    self.report.depth = depth as usize;
                    self.seen.push(Seen { parent: at, choice, depth });
                    queue.push_back(next);
                }
            }
        }
        self.first_edge.push(self.edges.len());
        self.report.states = self.seen.len();
        self.all_end();
        self.report
    }

    fn end(&mut self, at: u32, world: &World) {
        self.report.ends += 1;
        let end = world.end();
        self.report.lost += usize::from(end.lost);
        self.report.unsaved += usize::from(end.unsaved);
        for (kind, what) in end.wrong {
            self.violation(kind, &what, at, None);
        }
    }

    /// Every path is finite if and only if the graph has no cycle: worlds without predecessors are taken away until
    /// none is left.
    fn all_end(&mut self) {
        let states = self.seen.len();
        let mut incoming = vec![0_u32; states];
        self.edges.iter().for_each(|&to| incoming[to as usize] += 1);
        let mut length = vec![0_u32; states];
        let mut free = vec![0_u32];
        let mut taken = 0;
        while let Some(at) = free.pop() {
            taken += 1;
            let at = at as usize;
            self.report.longest = self.report.longest.max(length[at] as usize);
            for &to in &self.edges[self.first_edge[at]..self.first_edge[at + 1]] {
                let to = to as usize;
                length[to] = length[to].max(length[at] + 1);
                incoming[to] -= 1;
                if incoming[to] == 0 {
                    free.push(to as u32);
                }
            }
        }
        if taken < states {
            let at = incoming.iter().position(|&left| left > 0).unwrap_or_default();
            self.violation(Kind::Endless, "on or behind a cycle", at as u32, None);
        }
    }

    fn violation(&mut self, kind: Kind, what: &str, at: u32, last: Option<Choice>) {
        let excused = self.config.excused.contains(&kind);
        let kinds = if excused { &mut self.report.excused } else { &mut self.report.found };
        let count = kinds.entry(kind).or_default();
        count.count += 1;
        if count.count == 1 {
            let trace = self.trace(kind, what, at, last);
            let kinds = if excused { &mut self.report.excused } else { &mut self.report.found };
            kinds.entry(kind).or_default().trace = trace;
        }
    }

    /// The way to a world, step by step.
    fn trace(&self, kind: Kind, what: &str, at: u32, last: Option<Choice>) -> String {
        let mut way: Vec<Choice> = last.into_iter().collect();
        let mut here = at;
        while here != 0 {
            way.push(self.seen[here as usize].choice);
            here = self.seen[here as usize].parent;
        }
        let mut world = World::new(Rc::clone(&self.config));
        let mut text = format!("{kind:?}: {what}\n     {world}\n");
        for (step, &choice) in way.iter().rev().enumerate() {
            let before = world.awaits(choice);
            world = world.after(choice).0;
            let _ = writeln!(text, "{:4} {choice:?}, {before} -> {}\n     {world}", step + 1, world.awaits(choice));
        }
        text
    }
}
