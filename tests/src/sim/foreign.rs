//! The other program that shares the file and the lock: it writes in place, drops the members that it does not know,
//! refreshes under the lock without a mark, and logs in without the lock.

use super::disk::Inode;
use super::network::FOREIGN;
use super::plan::Fate;
use super::world::{Event, World};
use crate::promise::server::{Answered, Asks, Token};
use kraube_core::machine::Blob;
use serde_json::Value;

/// How the other program goes on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    /// It looks at the lock.
    Lock,
    /// It has written all of it.
    Written,
    /// It does not wait for the answer to this request any longer.
    TimeOut(u32),
    /// It begins to write what it received.
    Write,
}

/// A refresh of the other program.
pub(super) struct Go {
    pub(super) holds: Option<Inode>,
    tries: u8,
    redeems: Token,
    /// What it received.
    received: Option<(Token, String)>,
    /// It is writing that.
    writes: bool,
}

impl World {
    pub(super) fn foreign_login(&mut self) -> bool {
        if self.disk.foreign.is_some() {
            return false;
        }
        let ends = self.life_from_now();
        let family = self.new_family(false, ends);
        let expires = self.clock.now().wall.0 + (self.plan.rules.life * 1000.0) as u64;
        self.write_foreign(&format!("r{family}-0"), &format!("a{family}-0"), expires);
        true
    }

    pub(super) fn foreign_rewrite(&mut self) -> bool {
        let whole = self.disk.file.as_ref().filter(|file| file.others.is_some() && self.disk.foreign.is_none());
        let Some(blob) = whole.map(|file| file.without_others()) else { return false };
        self.begin_foreign(blob);
        true
    }

    pub(super) fn foreign_refresh(&mut self) -> bool {
        if self.go.is_some() {
            return false;
        }
        self.go = Some(Go { holds: None, tries: 0, redeems: (0, 0), received: None, writes: false });
        self.clock.plan(1, Event::Foreign(Next::Lock));
        true
    }

    pub(super) fn foreign(&mut self, next: Next) {
        match next {
            Next::Lock => self.foreign_lock(),
            Next::Written => {
                self.disk.end_foreign();
                self.deleted &= self.disk.file.is_none();
                self.back_off = None;
                self.say(|| "the other program has written".into());
                if self.go.as_ref().is_some_and(|go| go.writes) {
                    self.end_go();
                }
                self.wake();
            }
            Next::TimeOut(number) => {
                let waits = self.requests.iter().any(|request| request.number == number && request.sender.is_some());
                if waits {
                    self.lose(FOREIGN, "time-out of another program");
                    self.end_go();
                }
            }
            Next::Write => self.foreign_save(),
        }
    }

    fn foreign_lock(&mut self) {
        let inode = self.disk.open_lock(None);
        let held = self.processes.iter().any(|process| process.holds == Some(inode));
        let Some(go) = &mut self.go else { return };
        if held {
            go.tries += 1;
            if go.tries > 30 {
                return self.end_go();
            }
            return self.clock.plan(100, Event::Foreign(Next::Lock));
        }
        go.holds = Some(inode);
        let refresh = self.disk.file.as_ref().and_then(|file| file.refresh);
        let Some(token) = refresh else { return self.end_go() };
        go.redeems = token;
        self.foreign_meddled = true;
        self.post(Asks::Refresh(token), FOREIGN, 0, Fate::Answered);
        self.say(|| format!("the other program redeems {token:?} under the lock"));
        self.clock.plan(15_000, Event::Foreign(Next::TimeOut(self.sent)));
    }

    pub(super) fn foreign_answered(&mut self, answer: Option<Answered>) {
        let issued = answer.and_then(|answer| Some((answer.access?, answer.response)));
        let Some((access, response)) = issued else { return self.end_go() };
        let document: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let Some(go) = &mut self.go else { return };
        let new = document.get("refresh_token").and_then(Value::as_str);
        let refresh = new.map_or_else(|| format!("r{}-{}", go.redeems.0, go.redeems.1), ToOwned::to_owned);
        go.received = Some((access, refresh));
        self.foreign_save();
    }

    fn foreign_save(&mut self) {
        if self.disk.foreign.is_some() {
            return self.clock.plan(20, Event::Foreign(Next::Write));
        }
        let Some(go) = &mut self.go else { return };
        let Some(((family, number), refresh)) = go.received.clone() else { return };
        go.writes = true;
        let expires = self.clock.now().wall.0 + (self.plan.rules.life * 1000.0) as u64;
        self.write_foreign(&refresh, &format!("a{family}-{number}"), expires);
    }

    fn write_foreign(&mut self, refresh: &str, access: &str, expires: u64) {
        let text = format!(r#"{{"refreshToken":"{refresh}","accessToken":"{access}","expiresAt":{expires}}}"#);
        self.begin_foreign(Blob::new(text.into_bytes()));
    }

    fn begin_foreign(&mut self, blob: Blob) {
        self.foreign_meddled = true;
        self.disk.begin_foreign(blob);
        self.deleted = false;
        self.back_off = None;
        self.wake();
        let time = self.rng.u64(1..100);
        self.clock.plan(time, Event::Foreign(Next::Written));
    }

    fn end_go(&mut self) {
        self.go = None;
        self.wake();
    }
}
