//! Requests on their way to the server, and answers on their way back.

use super::mistake::Mistake;
use super::plan::{Fate, a_while, happens};
use super::world::{Event, Request, World};
use crate::promise::server::{Asks, Manner};
use crate::promise::{self, Kind, Received, Replay};
use kraube_core::http::{SendError, SendErrorKind};
use kraube_core::machine::{Action, Input};
use std::rc::Rc;

/// Nobody waits longer for an answer, in milliseconds.
const TIME_OUT: u64 = 15_000;
/// A process that no answer is for: another program.
pub(super) const FOREIGN: u8 = u8::MAX;

impl World {
    pub(super) fn send(&mut self, p: u8) {
        let Some(run) = &self.processes[usize::from(p)].run else { return };
        let Action::Send { request, holds } = &run.action else { return };
        let (asks, holds) = (Asks::of(request), *holds);
        if !self.still_holds(p, holds) {
            self.release(p);
            return self.hand(p, unanswered(SendErrorKind::LockLost));
        }
        let Some(asks) = asks else {
            return self.require(false, Kind::Misuse, || "a request that the server does not know".into());
        };
        let fate = self.fate();
        if fate == Fate::NotSent {
            let turn = self.process(p).turn;
            if let Some(run) = &mut self.process(p).run {
                run.input = Some(unanswered(SendErrorKind::NotSent));
            }
            return self.clock.plan(self.rng.u64(..5000), Event::Hand(p, turn));
        }
        if let Asks::Refresh(token @ (family, generation)) = asks {
            let beside = |other: &Request| other.sender.is_some() && promise::at_once(&other.asks, family);
            let beside = self.requests.iter().any(beside);
            self.require(!beside, Kind::TwoRedemptions, || format!("process {p} redeems {token:?} beside another one"));
            let wall = self.clock.now().wall;
            if !self.late.contains(&family) {
                promise::redeems(&mut self.wrong, p, token, &self.server, self.back_off, wall);
            }
            let needless = self.process(p).run.as_ref().is_some_and(|run| run.had_fresh);
            self.require(!needless, Kind::NeedlessRotation, || {
                format!("process {p} redeems r{family}-{generation}, and the stored token is fresh")
            });
            self.process(p).facts.sent = Some(token);
            self.tally.redemptions += 1;
        }
        let turn = self.process(p).turn;
        self.say(|| format!("{p} sends {asks:?}, which will be: {}", fate.name()));
        self.clock.plan(TIME_OUT, Event::TimeOut(p, turn));
        self.post(asks, p, turn, fate);
    }

    fn fate(&mut self) -> Fate {
        if self.quiet {
            return Fate::Answered;
        }
        if self.clock.monotonic() < self.network_down_until {
            return Fate::NotSent;
        }
        let fate = happens(&mut self.rng, &self.plan.fates, 100).unwrap_or(Fate::Answered);
        if fate != Fate::Answered {
            self.count(fate.name());
        }
        fate
    }

    pub(super) fn post(&mut self, asks: Asks, p: u8, turn: u32, fate: Fate) {
        self.sent += 1;
        let travels = match fate {
            Fate::Late => self.rng.u64(3000..60_000),
            Fate::Answered | Fate::NotSent | Fate::LostBefore | Fate::LostAfter | Fate::Hangs => self.travel_time(),
        };
        self.requests.push(Request { number: self.sent, asks, sender: Some((p, turn)), fate, answer: None });
        let event = if fate == Fate::LostBefore { Event::Answer(self.sent) } else { Event::Arrive(self.sent) };
        self.clock.plan_outside(travels, event);
    }

    fn travel_time(&mut self) -> u64 {
        self.rng.u64(1..=self.plan.latency)
    }

    pub(super) fn arrive(&mut self, number: u32) {
        let Some(at) = self.requests.iter().position(|request| request.number == number) else { return };
        let Request { asks, sender, fate, .. } = self.requests[at];
        let manner = self.manner(asks);
        let family = usize::from(asks.family());
        let before = self.server.families[family].clone();
        let ends = self.life_from_now();
        let answer = self.server.answer(asks, manner, self.plan.rules, self.clock.time());
        let after = &self.server.families[family];
        let rotated = after.current > before.current;
        self.tally.rotations += u64::from(rotated);
        if after.issued > before.issued {
            let issued = usize::from(after.issued);
            self.lives[family].resize(issued + 1, ends);
        }
        let refused = after.revoked && !before.revoked && !after.on_request;
        if let (true, Asks::Refresh(token)) = (refused, asks) {
            self.replayed(token, fate);
        }
        match manner {
            Manner::Spends => self.doubt(asks, "500 that consumes"),
            Manner::Garbles => self.doubt(asks, "garbled answer"),
            Manner::Redirects if self.mistake == Some(Mistake::FollowsRedirects) => {
                self.require(false, Kind::Leaked, || "the request goes to another host as well".into());
            }
            Manner::Properly | Manner::Fails | Manner::Throttles | Manner::NotFound => {}
            Manner::Overloaded | Manner::Redirects => {}
        }
        if matches!(manner, Manner::Spends | Manner::Garbles | Manner::Fails | Manner::Overloaded | Manner::Redirects) {
            self.leave_unknown(asks);
        }
        if fate == Fate::Late && rotated {
            self.late.insert(asks.family());
        }
        self.say(|| {
            format!("{asks:?} of {:?} arrives and is answered {}", sender.map(|s| s.0), answer.response.status)
        });
        if sender.is_none() {
            self.requests.remove(at);
            return;
        }
        self.requests[at].answer = Some(answer);
        if fate != Fate::Hangs {
            let travels = self.travel_time();
            self.clock.plan_outside(travels, Event::Answer(number));
        }
    }

    /// How the server answers.
    fn manner(&mut self, asks: Asks) -> Manner {
        let (now, family) = (self.clock.elapsed(), asks.family());
        if self.quiet || matches!(asks, Asks::Revoke(_)) {
            return Manner::Properly;
        }
        self.mood = self.mood.filter(|(_, until)| *until > now);
        if self.mood.is_none()
            && let Some(manner) = happens(&mut self.rng, &self.plan.manners, 100)
        {
            self.mood = Some((manner, now + a_while(&mut self.rng)));
        }
        let manner = self.mood.filter(|_| self.rng.u8(..4) > 0).map_or(Manner::Properly, |(manner, _)| manner);
        // Two before the next rotation are a refusal.
        if manner == Manner::NotFound && !self.not_found.insert(family) {
            return Manner::Properly;
        }
        if manner == Manner::Properly {
            return manner;
        }
        self.count(match manner {
            Manner::Spends => "500 that consumes the token",
            Manner::Garbles => "200 that nobody can read, consuming",
            Manner::Fails => "500",
            Manner::Throttles => "429",
            Manner::Overloaded => "503",
            Manner::NotFound => "404",
            Manner::Redirects | Manner::Properly => "307",
        });
        manner
    }

    /// The server met a token that is spent, and has revoked the login. Could a client have helped?
    fn replayed(&mut self, token: (u8, u8), fate: Fate) {
        let cause = self.doubts.get(&token).copied();
        let late = fate == Fate::Late || self.late.contains(&token.0);
        if late {
            self.late.insert(token.0);
        }
        let loss = match (cause, self.plan.rules.replay) {
            _ if late => Some("a request that travelled too long".to_owned()),
            (Some(cause), Replay::Revokes) => Some(format!("strict server, {cause}")),
            (Some(cause), Replay::GraceFor(_)) => Some(format!("grace over, {cause}")),
            (Some(_), Replay::Grace) | (None, _) => None,
        };
        match loss {
            Some(loss) => {
                self.lost.insert(token.0, loss);
            }
            None => self.require(false, Kind::LoginLost, || format!("{token:?} is replayed, and the login revoked")),
        }
    }

    pub(super) fn answered(&mut self, number: u32) {
        let Some(at) = self.requests.iter().position(|request| request.number == number) else { return };
        let sleeps = self.clock.sleeps_on();
        if sleeps > 0 {
            // The connection may be dead when the machine wakes.
            if self.rng.bool() && self.requests[at].fate == Fate::Answered {
                self.requests[at].fate = Fate::LostAfter;
            }
            return self.clock.plan_outside(sleeps + self.rng.u64(1..50), Event::Answer(number));
        }
        let request = &self.requests[at];
        let Some((p, _)) = request.sender else {
            self.requests.remove(at);
            return;
        };
        if self.mistake == Some(Mistake::HiddenRetry) && matches!(request.fate, Fate::LostBefore | Fate::LostAfter) {
            self.requests[at].fate = Fate::Answered;
            let travels = self.travel_time();
            return self.clock.plan_outside(travels, Event::Arrive(number));
        }
        if matches!(request.fate, Fate::LostBefore | Fate::LostAfter) {
            self.lose(p, "answer lost");
            return self.get_answer(p, unanswered(SendErrorKind::MaybeSent));
        }
        let request = self.requests.remove(at);
        if p == FOREIGN {
            return self.foreign_answered(request.answer);
        }
        let Some(answer) = request.answer else { return };
        if let Some(access) = answer.access {
            // A new login takes the place of what is kept: it is stored, or kept in its stead.
            let earlier = self.process(p).facts.received.clone();
            let over = self.process(p).facts.over;
            if let (Some(earlier), Asks::Refresh(_) | Asks::Revoke(_)) = (&earlier, request.asks) {
                let visible = self.disk.visible().map(Rc::as_ref);
                promise::drops(&mut self.wrong, p, earlier, visible);
            }
            self.give_up(earlier, "unsaved tokens ended");
            let parent = if let Asks::Refresh(token) = request.asks { Some(token) } else { None };
            self.process(p).facts.received = Some(Received { access, parent, over });
        }
        self.get_answer(p, Input::Replied(Ok(answer.response)));
    }

    fn get_answer(&mut self, p: u8, input: Input) {
        if p == FOREIGN {
            return self.foreign_answered(None);
        }
        let process = self.process(p);
        let turn = process.turn;
        if let Some(run) = &mut process.run {
            run.input = Some(input);
        }
        self.clock.plan(self.rng.u64(..3), Event::Hand(p, turn));
    }

    pub(super) fn time_out(&mut self, p: u8) {
        let waits = self.requests.iter().any(|request| request.sender.is_some_and(|(sender, _)| sender == p));
        if !waits {
            return;
        }
        self.lose(p, "time-out");
        let wrong = self.mistake == Some(Mistake::TimeoutNotSent);
        let kind = if wrong { SendErrorKind::NotSent } else { SendErrorKind::TimedOut };
        self.get_answer(p, unanswered(kind));
    }

    /// Nobody waits for the answer any more. The request may still arrive.
    pub(super) fn lose(&mut self, p: u8, cause: &'static str) {
        let sent_by = |request: &Request| request.sender.is_some_and(|(sender, _)| sender == p);
        let Some(at) = self.requests.iter().position(sent_by) else { return };
        let request = &mut self.requests[at];
        request.sender = None;
        let (asks, never_arrives) = (request.asks, request.fate == Fate::LostBefore);
        if request.answer.is_some() || never_arrives {
            self.requests.remove(at);
        }
        if !never_arrives {
            self.doubt(asks, cause);
        }
        self.leave_unknown(asks);
    }
}

fn unanswered(kind: SendErrorKind) -> Input {
    Input::Replied(Err(SendError { kind, detail: "lost".into() }))
}
