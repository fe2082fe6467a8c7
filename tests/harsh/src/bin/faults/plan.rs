//! What is made to fail: the scenes, the calls that their traces show, and the errors that each call can give.

use crate::case::{Case, What, World};
use crate::subject::Work;
use kraube_harsh::Result;
use std::collections::HashMap;

/// A state to begin with, and the operation that meets the fault.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) work: Work,
    /// How long the stored access token lives, in milliseconds; `None` where nothing is stored, nor the directory.
    pub(crate) left: Option<i64>,
    /// Whether the path is a symbolic link.
    pub(crate) linked: bool,
}

pub(crate) const SCENES: &[Scene] = &[
    Scene { name: "refresh", work: Work::Token, left: Some(-1000), linked: false },
    Scene { name: "refresh, still alive", work: Work::Token, left: Some(50_000), linked: false },
    Scene { name: "refresh over a link", work: Work::Token, left: Some(-1000), linked: true },
    Scene { name: "read", work: Work::Peek, left: Some(3_600_000), linked: false },
    Scene { name: "login over another", work: Work::Save, left: Some(50_000), linked: false },
    Scene { name: "first login", work: Work::Save, left: None, linked: false },
    Scene { name: "logout", work: Work::Logout, left: Some(50_000), linked: false },
];

/// One system call of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// It is the how manieth of that name on our files.
    pub(crate) nth: usize,
}

/// The calls on our files, in the order of a run without faults.
pub(crate) fn calls(scene: &'static Scene) -> Result<Vec<Call>> {
    let world = World::new(scene, false)?;
    let run = world.run(&["-e", "trace=all"])?;
    let (mut thread, mut counts, mut calls) = (None, HashMap::<String, usize>::new(), Vec::new());
    for line in run.trace.lines() {
        let Some((id, call)) = line.split_once(' ') else { continue };
        let Some((name, _)) = call.trim_start().split_once('(') else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        if *thread.get_or_insert(id.to_owned()) != id {
            return Err(format!("{}: two threads use our files, so their calls cannot be numbered", scene.name).into());
        }
        let nth = counts.entry(name.to_owned()).or_default();
        *nth += 1;
        calls.push(Call { name: name.to_owned(), nth: *nth });
    }
    match calls.len() {
        // A trace that lists next to nothing would make everything pass.
        0..5 => Err(format!("{}: the trace shows no calls:\n{}\n{}", scene.name, run.trace, run.errors).into()),
        _ => Ok(calls),
    }
}

/// Each call with each of its errors, and with a kill.
pub(crate) fn cases(scene: &'static Scene, calls: &[Call]) -> Vec<Case> {
    let mut cases = Vec::new();
    for call in calls {
        let case = |what, grace| Case { scene, call: call.clone(), what, grace };
        for errno in errors(&call.name) {
            cases.push(case(What::Once(errno), false));
        }
        // What the error is called does not matter for how long it lasts.
        cases.extend(
            errors(&call.name).iter().find(|errno| **errno == "EIO").map(|errno| case(What::FromThenOn(errno), false)),
        );
        cases.push(case(What::Kill, false));
        if scene.work == Work::Token {
            cases.push(case(What::Kill, true));
        }
    }
    cases
}

/// What Linux and its file systems, those over a network among them, give for this call. Not among them: `ENOENT`, which
/// is no fault but an answer, and whatever says that the program is wrong.
fn errors(call: &str) -> &'static [&'static str] {
    match call {
        "stat" | "lstat" | "fstat" | "newfstatat" | "statx" => &["EACCES", "EIO", "ELOOP", "ENOMEM", "ESTALE", "EINTR"],
        "readlink" | "readlinkat" => &["EACCES", "EIO", "ENOMEM", "ESTALE"],
        "open" | "openat" => &[
            "EACCES", "EBUSY", "EDQUOT", "EINTR", "EIO", "EMFILE", "ENFILE", "ENOMEM", "ENOSPC", "EPERM", "EROFS",
            "ESTALE",
        ],
        "read" => &["EINTR", "EIO", "ENOMEM", "ESTALE"],
        "write" => &["EDQUOT", "EFBIG", "EINTR", "EIO", "ENOSPC", "EPERM", "ESTALE"],
        "ftruncate" => &["EDQUOT", "EFBIG", "EINTR", "EIO", "ENOSPC", "EPERM", "EROFS", "ESTALE"],
        "fsync" | "fdatasync" => &["EDQUOT", "EINTR", "EINVAL", "EIO", "ENOSPC", "EROFS", "ESTALE"],
        "fallocate" => &["EDQUOT", "EFBIG", "EINTR", "EIO", "ENOSPC", "ENOSYS", "EOPNOTSUPP", "EPERM", "ESTALE"],
        "flock" => &["EAGAIN", "EINTR", "EIO", "ENOLCK", "ENOSYS", "EOPNOTSUPP", "ESTALE"],
        "rename" | "renameat" | "renameat2" => {
            &["EACCES", "EBUSY", "EDQUOT", "EIO", "ENOMEM", "ENOSPC", "EPERM", "EROFS", "ESTALE", "EXDEV"]
        }
        "unlink" | "unlinkat" => &["EACCES", "EBUSY", "EIO", "ENOMEM", "EPERM", "EROFS", "ESTALE"],
        "chmod" | "fchmod" | "fchmodat" => &["EACCES", "EIO", "EPERM", "EROFS", "ESTALE"],
        "utimensat" => &["EACCES", "EIO", "EPERM", "EROFS", "ESTALE"],
        "mkdir" | "mkdirat" => &["EACCES", "EDQUOT", "EIO", "EMLINK", "ENOMEM", "ENOSPC", "EPERM", "EROFS", "ESTALE"],
        // An error of `close` comes with a closed file, which strace cannot imitate: it leaves the file open.
        _ => &[],
    }
}
