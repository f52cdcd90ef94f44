//! Files of a store: reading, moving, and the time of their last use.

use std::io::Read as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::Result;
use crate::sys::fs;

/// The content of a file; none if there is no such file.
pub(super) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    let read = fs::open_plain(path).and_then(|mut file| {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map(|_| bytes)
    });
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fs::with_path(path, error).into()),
    }
}

/// Moves a file, also to another file system, and syncs it.
pub(super) fn move_file(from: &Path, to: &Path) -> Result<()> {
    match std::fs::rename(from, to) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
            fs_err::copy(from, to)?;
        }
        Err(error) => return Err(fs::with_path(to, error).into()),
    }
    Ok(fs_err::File::open(to)?.sync_all()?)
}

/// Records that something was used, as the time stamp of a file that no digest covers. In a store that
/// cannot be written to, the old one stays.
pub(super) fn note_use(path: &Path) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW};
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    let _read_only = rustix::fs::utimensat(CWD, path, &times, AtFlags::empty());
}

/// The current time in seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
