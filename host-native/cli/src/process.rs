//! What the command asks of the system for its own process.

/// A core dump would hold the tokens. What an `exec` starts is not affected on Linux; elsewhere it inherits the limit.
pub(crate) fn forbid_core_dumps() {
    // It is a second line of defence, and a system that refuses it is no reason to stop.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
        let _ = setrlimit(Resource::Core, limit);
    }
}
