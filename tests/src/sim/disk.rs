//! The credentials file, its lock file and the disk below, with the discipline of a real one: a write replaces the file
//! as a whole and only if it still is what was read; room can be set aside for the next write; a lock belongs to an
//! inode, not to a name.

use super::mistake::Mistake;
use crate::promise::stored::Stored;
use kraube_core::machine::{Blob, Revision, StoreError, StoreErrorKind, WriteError};
use std::rc::Rc;

pub(super) type Inode = u32;

/// The directory of the credentials.
pub(super) struct Disk {
    pub(super) file: Option<Rc<Stored>>,
    pub(super) inode: Inode,
    /// The permission bits of the file.
    pub(super) mode: u16,
    /// The path is a symbolic link to the file.
    pub(super) link: bool,
    /// The lock file, unless it was deleted.
    pub(super) lock: Option<Inode>,
    /// What another program is writing in place, and to which inode.
    pub(super) foreign: Option<(Rc<Stored>, Inode)>,
    /// No room for anything that was not set aside.
    pub(super) full: bool,
    set_aside: usize,
    inodes: Inode,
}

impl Disk {
    pub(super) fn new(blob: Blob, link: bool) -> Self {
        let file = Some(Rc::new(Stored::new(blob)));
        Self { file, inode: 0, mode: 0o600, link, lock: None, foreign: None, full: false, set_aside: 0, inodes: 0 }
    }

    pub(super) fn revision(&self) -> Option<Revision> {
        self.file.as_ref().map(|file| file.revision)
    }

    /// What is stored, or about to be by another program.
    pub(super) fn visible(&self) -> Option<&Rc<Stored>> {
        let whole = self.file.as_ref().filter(|file| file.others.is_some());
        whole.or(self.foreign.as_ref().map(|(file, _)| file))
    }

    /// Opens the lock file; creates it if it is not there.
    pub(super) fn open_lock(&mut self, mistake: Option<Mistake>) -> Inode {
        if mistake == Some(Mistake::LockOnFile) {
            return self.inode;
        }
        match self.lock {
            Some(inode) => inode,
            None => {
                let inode = self.new_inode();
                *self.lock.insert(inode)
            }
        }
    }

    /// Whoever gets the lock removes what a killed process had set aside.
    pub(super) fn sweep(&mut self) {
        self.set_aside = 0;
    }

    /// Whether a write may happen.
    pub(super) fn admit(&self, replaces: Option<Revision>, blob: &Blob, reserve: usize) -> Result<(), WriteError> {
        if self.revision() != replaces {
            return Err(WriteError::Conflict);
        }
        if self.full && (reserve > 0 || self.set_aside < blob.bytes().len()) {
            let detail = "no space left on device".into();
            return Err(WriteError::Failed(StoreError { kind: StoreErrorKind::Full, detail }));
        }
        Ok(())
    }

    /// Puts a new file in the place of the old one.
    pub(super) fn replace(&mut self, new: Rc<Stored>, reserve: usize, mistake: Option<Mistake>) {
        self.inode = self.new_inode();
        self.set_aside = reserve;
        self.file = Some(new);
        if mistake != Some(Mistake::KeepsMode) {
            self.mode = 0o600;
        }
        if mistake == Some(Mistake::ReplacesLink) {
            self.link = false;
        }
    }

    /// Half of it is there.
    pub(super) fn begin_in_place(&mut self) {
        self.file = Some(Rc::new(Stored::new(Blob::new(b"{\"refr".to_vec()))));
    }

    /// Another program truncates the file and begins to write.
    pub(super) fn begin_foreign(&mut self, new: Blob) {
        if self.file.is_none() {
            // It creates the file with the permissions of its umask.
            self.inode = self.new_inode();
            self.mode = 0o644;
        }
        self.begin_in_place();
        self.foreign = Some((Rc::new(Stored::new(new)), self.inode));
    }

    /// It is done. Where the file was replaced or removed meanwhile, it has written to one that has no name any more.
    pub(super) fn end_foreign(&mut self) {
        if let Some((file, inode)) = self.foreign.take()
            && inode == self.inode
            && self.file.is_some()
        {
            self.file = Some(file);
        }
    }

    fn new_inode(&mut self) -> Inode {
        self.inodes += 1;
        self.inodes
    }
}
