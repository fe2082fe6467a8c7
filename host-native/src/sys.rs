//! Every difference between the systems: how files are opened, compared, set aside, renamed and made durable.

pub(crate) use imp::*;

#[cfg(unix)]
mod imp {
    use kraube_core::doctor::LockFile;
    use rustix::fs::{OFlags, Timespec, Timestamps, UTIME_NOW, futimens};
    use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
    use std::path::Path;

    const PRIVATE: u32 = 0o600;

    /// Opens for reading. No link is followed and nothing can block, whatever lies there by now.
    pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).custom_flags(guards()).open(path)
    }

    /// Opens an existing file for writing from its beginning; its blocks stay.
    pub(crate) fn open_to_overwrite(path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).custom_flags(guards()).open(path)
    }

    /// Creates a file of mode 0600, which nobody else has opened before; fails where anything exists.
    pub(crate) fn create_private(path: &Path) -> io::Result<File> {
        let file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).custom_flags(guards()).open(path)?;
        // The umask can take bits away, an inherited ACL can add some.
        file.set_permissions(Permissions::from_mode(PRIVATE))?;
        Ok(file)
    }

    /// Opens the lock file for reading and writing (a lock over NFS needs both), or creates it with mode 0600.
    pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(PRIVATE)
                .custom_flags(guards())
                .open(path)
        };
        let file = open().or_else(|error| {
            // A process with umask 0777 that was killed right after creating it leaves a file of mode 0.
            let ours = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && is_ours(&meta));
            if error.kind() != io::ErrorKind::PermissionDenied || !ours {
                return Err(error);
            }
            fs::set_permissions(path, Permissions::from_mode(PRIVATE))?;
            open()
        })?;
        let meta = file.metadata()?;
        if meta.is_file() && is_ours(&meta) && !is_private(&meta) {
            file.set_permissions(Permissions::from_mode(PRIVATE))?;
        }
        Ok(file)
    }

    fn guards() -> i32 {
        // The standard library adds O_CLOEXEC.
        (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32
    }

    /// Creates one directory of mode 0700.
    pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o700))
    }

    /// Makes the names in a directory durable.
    pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
        match File::open(path)?.sync_all() {
            // Some file systems cannot, and need not.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
            other => other,
        }
    }

    /// Sets the times of the lock file to now, so that a cleaner that goes by age leaves it.
    pub(crate) fn touch(file: &File) -> io::Result<()> {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        Ok(futimens(file, &Timestamps { last_access: now, last_modification: now })?)
    }

    /// Gives blocks to an empty file, or says that the file system cannot do so without writing them.
    pub(crate) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return Ok(rustix::io::retry_on_intr(|| {
            rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes)
        })?);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        {
            let _ = (file, bytes);
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Whether an open file still is the one that the path names. While it is open its inode number is not used again.
    pub(crate) fn is_at(file: &File, path: &Path) -> bool {
        match (file.metadata(), fs::symlink_metadata(path)) {
            (Ok(open), Ok(named)) => open.nlink() > 0 && open.dev() == named.dev() && open.ino() == named.ino(),
            _ => false,
        }
    }

    /// What a glance tells about a file: other values, other content.
    #[derive(PartialEq, Eq)]
    pub(crate) struct Look([i64; 7]);

    impl Look {
        pub(crate) fn of(meta: &Metadata) -> Self {
            let (dev, ino, size) = (meta.dev() as i64, meta.ino() as i64, meta.size() as i64);
            Self([dev, ino, size, meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()])
        }
    }

    pub(crate) fn is_ours(meta: &Metadata) -> bool {
        meta.uid() == rustix::process::geteuid().as_raw()
    }

    pub(crate) fn is_private(meta: &Metadata) -> bool {
        meta.mode() & 0o7777 == PRIVATE
    }

    /// The permission bits.
    pub(crate) fn mode(meta: &Metadata) -> Option<u32> {
        Some(meta.mode() & 0o7777)
    }

    /// The type of the file system that holds a canonical path, as the system names it.
    pub(crate) fn file_system(path: &Path) -> Option<String> {
        Some(mount(path)?.file_system)
    }

    /// Who has locked the file at a canonical path, by `flock(2)` or otherwise. It is not touched.
    pub(crate) fn lock_holder(path: &Path, meta: &Metadata) -> LockFile {
        let (Some(mount), Ok(locks)) = (mount(path), fs::read_to_string("/proc/locks")) else {
            return LockFile::Unknown;
        };
        // proc(5): number, kind, manner, access, process, MAJOR:MINOR:INODE with the device in hexadecimal. Who waits has
        // an arrow before the kind. The device is that of the mount, which stat(2) does not name on every file system.
        let file = format!("{}:{}", mount.device, meta.ino());
        let holder = |line: &str| {
            let fields: Vec<_> = line.split_ascii_whitespace().collect();
            (fields.get(5) == Some(&file.as_str())).then(|| fields.get(4)?.parse().ok()).flatten()
        };
        let Some(named) = locks.lines().find_map(holder) else { return LockFile::Free };
        // A lock is one of the open file, which a child may have from the process that locked it and has ended since.
        let lives = Path::new(&format!("/proc/{named}")).exists();
        let pid = if lives { named } else { inheritor(&file).unwrap_or(named) };
        LockFile::Held { pid, stopped: is_stopped(pid) }
    }

    /// A process that has this file open, and with it its lock.
    fn inheritor(file: &str) -> Option<u32> {
        let file = format!(" {file} ");
        let locks_it = |info: &str| info.lines().any(|line| line.starts_with("lock:") && line.contains(&file));
        let holds = |pid: &u32| {
            let open = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
            open.filter_map(|descriptor| fs::read_to_string(descriptor.path()).ok()).any(|info| locks_it(&info))
        };
        let processes = fs::read_dir("/proc").ok()?.flatten();
        processes.filter_map(|process| process.file_name().to_str()?.parse().ok()).find(holds)
    }

    fn is_stopped(pid: u32) -> bool {
        // proc(5): the state is the first field after the name, which may hold anything.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with(['T', 't']))
    }

    struct Mount {
        /// Its device, as in `/proc/locks`.
        device: String,
        file_system: String,
    }

    /// What holds a canonical path.
    fn mount(path: &Path) -> Option<Mount> {
        use std::os::unix::ffi::OsStrExt;
        // proc(5): the device is the third field, MAJOR:MINOR; the mount point is the fifth one, with some characters in
        // octal; the type follows a lone dash. Of several mounts on one point the last one counts.
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let mount = |line: &str| {
            let (before, after) = line.split_once(" - ")?;
            let fields: Vec<_> = before.split(' ').collect();
            let point = unescaped(fields.get(4)?);
            let point = Path::new(std::ffi::OsStr::from_bytes(&point)).to_owned();
            let (major, minor) = fields.get(2)?.split_once(':')?;
            let device = format!("{:02x}:{:02x}", major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?);
            let mount = Mount { device, file_system: after.split(' ').next()?.to_owned() };
            path.starts_with(&point).then(|| (point.components().count(), mount))
        };
        Some(mounts.lines().filter_map(mount).max_by_key(|(length, _)| *length)?.1)
    }

    /// `\040` is a space.
    fn unescaped(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&first, tail)) = rest.split_first() {
            let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
            match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| first == b'\\') {
                Some(byte) => {
                    bytes.push(byte);
                    rest = &tail[3..];
                }
                None => {
                    bytes.push(first);
                    rest = tail;
                }
            }
        }
        bytes
    }

    /// Whether others may read or write the file.
    pub(crate) fn is_wide(meta: &Metadata) -> bool {
        meta.mode() & 0o077 != 0
    }

    /// Whether others may replace what is in the directory.
    pub(crate) fn is_open_to_others(dir: &Metadata) -> bool {
        dir.mode() & 0o022 != 0 && dir.mode() & 0o1000 == 0
    }

    pub(crate) fn has_other_names(_: &Path, meta: &Metadata) -> bool {
        meta.nlink() > 1
    }

    /// Whether a file is mounted by itself, so that no other can be renamed onto it.
    pub(crate) fn is_mounted(path: &Path, file: &Metadata, dir: &Metadata) -> bool {
        // Bind mounts of one file system share a device number, and an overlay may show two for one mount: it is only
        // the second best answer.
        is_mount_root(path).unwrap_or(file.dev() != dir.dev())
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn is_mount_root(path: &Path) -> Option<bool> {
        use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
        let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()).ok()?;
        let known = found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
        known.then(|| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn is_mount_root(_: &Path) -> Option<bool> {
        None
    }

    /// Whether the path names a link where none may be, or runs in circles.
    pub(crate) fn is_link_error(error: &io::Error) -> bool {
        error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
    }

    /// Whether opening the lock file may work in a moment.
    pub(crate) fn is_passing(_: &io::Error) -> bool {
        false
    }
}

#[cfg(windows)]
mod imp {
    use kraube_core::doctor::LockFile;
    use std::fs::{self, File, Metadata, OpenOptions};
    use std::io;
    use std::os::windows::fs::{MetadataExt, OpenOptionsExt};
    use std::path::Path;
    use std::time::{Duration, SystemTime};
    use winapi_util::file::{Information, information};
    use winapi_util::{Handle, HandleRef};

    pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
        retried(|| File::open(path))
    }

    pub(crate) fn open_to_overwrite(path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).open(path)
    }

    /// The profile directory is private by its access list, which new files inherit.
    pub(crate) fn create_private(path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(path)
    }

    /// Opens the lock file so that nobody can remove or rename it meanwhile.
    pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
        const FILE_SHARE_READ_AND_WRITE: u32 = 3;
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .share_mode(FILE_SHARE_READ_AND_WRITE)
            .open(path)
    }

    pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    pub(crate) fn sync_dir(_: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn touch(file: &File) -> io::Result<()> {
        file.set_modified(SystemTime::now())
    }

    /// A longer file has its clusters here, it is not sparse.
    pub(crate) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
        file.set_len(bytes)
    }

    /// Over a file that somebody has open this may have to wait. Where the opener shares it for removal, as we do, the
    /// standard library finds a way since Windows 10.
    pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
        retried(|| fs::rename(from, to))
    }

    /// Scanners, indexers and readers hold files open for moments: access denied, sharing violation, lock violation. It is
    /// tried so often, and not for so long: a busy machine lets the time pass without us. That is 2.5 s on an idle one.
    fn retried<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        const TRIES: u32 = 250;
        let mut pause = Duration::from_millis(1);
        for _ in 1..TRIES {
            match attempt() {
                Err(error) if matches!(error.raw_os_error(), Some(5 | 32 | 33)) => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(10));
                }
                other => return other,
            }
        }
        attempt()
    }

    /// Whether an open file still is the one that the path names.
    pub(crate) fn is_at(file: &File, path: &Path) -> bool {
        match (information(HandleRef::from_file(file)), named(path)) {
            (Ok(open), Ok(named)) => id(&open) == id(&named),
            _ => false,
        }
    }

    fn named(path: &Path) -> io::Result<Information> {
        information(Handle::from_path_any(path)?)
    }

    fn id(file: &Information) -> (u64, u64) {
        (file.volume_serial_number(), file.file_index())
    }

    #[derive(PartialEq, Eq)]
    pub(crate) struct Look([u64; 3]);

    impl Look {
        pub(crate) fn of(meta: &Metadata) -> Self {
            Self([meta.creation_time(), meta.last_write_time(), meta.file_size()])
        }
    }

    pub(crate) fn is_ours(_: &Metadata) -> bool {
        true
    }

    pub(crate) fn is_private(_: &Metadata) -> bool {
        true
    }

    pub(crate) fn mode(_: &Metadata) -> Option<u32> {
        None
    }

    pub(crate) fn file_system(_: &Path) -> Option<String> {
        None
    }

    pub(crate) fn lock_holder(_: &Path, _: &Metadata) -> LockFile {
        LockFile::Unknown
    }

    pub(crate) fn is_wide(_: &Metadata) -> bool {
        false
    }

    pub(crate) fn is_open_to_others(_: &Metadata) -> bool {
        false
    }

    pub(crate) fn has_other_names(path: &Path, _: &Metadata) -> bool {
        named(path).is_ok_and(|file| file.number_of_links() > 1)
    }

    pub(crate) fn is_mounted(_: &Path, _: &Metadata, _: &Metadata) -> bool {
        false
    }

    pub(crate) fn is_link_error(_: &io::Error) -> bool {
        false
    }

    pub(crate) fn is_passing(error: &io::Error) -> bool {
        error.raw_os_error() == Some(32)
    }
}
