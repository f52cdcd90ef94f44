//! The user nobody: how a process or a thread becomes it, and what it may do.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::{Access, AtFlags, Mode, OFlags};
use rustix::process::{DumpableBehavior, Gid, Uid};

use super::NOBODY;

/// Makes this thread the user nobody of the group nobody, without other groups. There is no way back.
pub(super) fn become_nobody() -> io::Result<()> {
    let group = Gid::from_raw(NOBODY);
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_gid(group)?;
    rustix::thread::set_thread_uid(Uid::from_raw(NOBODY))?;
    // The kernel gives the files of this process in /proc to root now, but it has to write some of them.
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    Ok(())
}

/// Whether nobody may enter a directory, were they to reach it; `None` if this process cannot try.
///
/// Modes do not say it all: a FUSE file system is for the user who mounted it and nobody else, whatever its modes are.
pub(super) fn may_enter(directory: &Path) -> Option<bool> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(directory, flags, Mode::empty()).ok()?;
    // The thread is nobody for the rest of its life, and the others are not.
    let tried = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            become_nobody().ok()?;
            Some(rustix::fs::accessat(opened.as_fd(), ".", Access::EXEC_OK, AtFlags::empty()))
        });
        thread.join().ok().flatten()
    });
    match tried? {
        Ok(()) => Some(true),
        Err(rustix::io::Errno::ACCESS) => Some(false),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn nobody_may_enter_what_everybody_may() {
        let place = tempfile::tempdir().unwrap();
        let set_mode = |mode| {
            fs_err::set_permissions(place.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        // Only root can become another user, if there is one.
        let can_try = super::super::becomes_nobody();
        for (mode, expected) in [(0o755, true), (0o750, false), (0o701, true)] {
            set_mode(mode);
            assert_eq!(may_enter(place.path()), can_try.then_some(expected), "{mode:o}");
        }
        // The other threads are who they were.
        assert_eq!(super::super::becomes_nobody(), can_try);
        assert_eq!(may_enter(&place.path().join("absent")), None);
    }
}
