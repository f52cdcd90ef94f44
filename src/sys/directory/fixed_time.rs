//! The modification time of directories that are made on the way to a prefix: it is the same every time, so that a layer
//! of an image with them is the same too.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use rustix::io::Errno;

use super::Directory;
use crate::error::Result;
use crate::sys::stamp::set_time_at;

/// Midnight of 1 January 1970, in UTC.
const FIXED: u64 = 0;

impl Directory {
    /// Whether the directory has the time of those that were made on the way to a prefix.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn has_fixed_time(&self) -> Result<bool> {
        self.named("", is_fixed(self.dir.as_fd()))
    }

    /// Sets this time, which every change in the directory takes away.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn fix_time(&self) -> Result<()> {
        self.named("", fix(self.dir.as_fd(), OsStr::new(".")))
    }
}

impl Directory {
    /// Sets the time of a symbolic link at a path below this one, in seconds since 1970.
    ///
    /// # Errors
    /// The error of the system.
    pub fn set_link_time(&self, path: &Path, seconds: u64) -> io::Result<()> {
        match set_time_at(&self.dir, path, seconds) {
            // Not every file system keeps times of links.
            Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

pub(super) fn is_fixed(directory: BorrowedFd<'_>) -> io::Result<bool> {
    let found = rustix::fs::fstat(directory)?;
    Ok((found.st_mtime, found.st_mtime_nsec) == (0, 0))
}

/// Sets the time of a name in a directory. A link is not followed. Only its owner may: in a directory of another user the
/// time says when something was changed.
pub(super) fn fix(directory: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match set_time_at(directory, Path::new(name), FIXED) {
        Ok(()) | Err(Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
