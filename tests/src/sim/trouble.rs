//! What goes wrong on the machine, and the end of it.

use super::plan::{Trouble, a_while, of};
use super::process::Process;
use super::world::{Event, World};
use std::mem;

impl World {
    /// Something happens at the very moment when a process is about to go on.
    pub(super) fn trouble(&mut self, p: u8, trouble: Trouble) {
        let happened = match trouble {
            Trouble::Kill => {
                self.kill(p);
                true
            }
            Trouble::Stop => {
                let time = a_while(&mut self.rng);
                self.processes[usize::from(p)].stopped_until = self.clock.monotonic() + time;
                true
            }
            Trouble::Sleep => {
                let time = a_while(&mut self.rng);
                self.clock.sleep(time);
                true
            }
            Trouble::ClockJump => {
                let far = of(&mut self.rng, &[2_000, 120_000, 3_600_000, 172_800_000]);
                let skew = self.rng.i64(-far..=far);
                self.set_clock(skew);
                true
            }
            Trouble::LockDeleted => {
                self.locks_deleted |= self.disk.lock.is_some();
                self.disk.lock.take().is_some()
            }
            Trouble::DiskFull => {
                let time = a_while(&mut self.rng);
                self.clock.plan(time, Event::DiskFreed);
                !mem::replace(&mut self.disk.full, true)
            }
            Trouble::NetworkDown => {
                self.network_down_until = self.clock.monotonic() + a_while(&mut self.rng);
                true
            }
            Trouble::Revoked => self.revoke(),
            Trouble::ForeignLogin => self.foreign_login(),
            Trouble::ForeignRewrite => self.foreign_rewrite(),
            Trouble::ForeignRefresh => self.foreign_refresh(),
        };
        if happened {
            self.count(trouble.name());
            self.say(|| format!("{} (at process {p})", trouble.name()));
        }
    }

    /// The process is gone, with all that is in its memory. Another one takes its place.
    fn kill(&mut self, p: u8) {
        self.lose(p, "kill");
        let fresh = Process::new(self.rng.u8(..8) == 0);
        let old = mem::replace(&mut self.processes[usize::from(p)], fresh);
        self.processes[usize::from(p)].turn = old.turn + 1;
        self.marks = true;
        let cause = if old.kept.is_some() { "kill while it kept unsaved tokens" } else { "kill" };
        self.give_up(old.facts.received, cause);
        if let Some(inode) = old.holds {
            self.processes[usize::from(p)].holds = Some(inode);
            self.release(p);
        }
        self.plan_begin(p);
    }

    /// Who sees another time may find a back-off over, or of no worth.
    pub(super) fn set_clock(&mut self, skew: i64) {
        self.clock.set_skew(skew);
        self.back_off = None;
    }

    /// The person ends the login that is stored.
    fn revoke(&mut self) -> bool {
        let Some((family, _)) = self.disk.visible().and_then(|stored| stored.refresh) else { return false };
        let family = &mut self.server.families[usize::from(family)];
        (family.revoked, family.on_request) = (true, true);
        true
    }

    /// From now on nothing goes wrong any more. (A stopped process goes on when its time has come.)
    pub(super) fn cease(&mut self) {
        self.quiet = true;
        self.mood = None;
        self.disk.full = false;
        self.say(|| "faults cease".into());
    }
}
