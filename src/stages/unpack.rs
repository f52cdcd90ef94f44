//! Unpack: from a verified archive to a source tree.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::fetch::VerifiedSource;
use crate::error::{Error, Result};
use crate::sys::archive;

/// CPython's source as upstream published it.
#[derive(Debug)]
pub struct SourceTree {
    root: PathBuf,
    epoch: u64,
}

impl SourceTree {
    /// A tree that was not unpacked.
    #[cfg(test)]
    pub(super) fn made_up(root: PathBuf, epoch: u64) -> Self {
        Self { root, epoch }
    }

    /// Where it is, and its newest time stamp in seconds since 1970.
    pub(super) fn into_parts(self) -> (PathBuf, u64) {
        (self.root, self.epoch)
    }
}

/// Unpacks a source archive into a new directory of the work directory.
///
/// # Errors
/// [`Error::HostileArchive`] or [`Error::Damaged`] if the archive is not a source tree, [`Error::Clock`] if its
/// newest file is in the future, [`Error::Io`] if a file cannot be written.
pub fn unpack(source: &VerifiedSource, work: &Path) -> Result<SourceTree> {
    let root = work.join("source");
    fs_err::create_dir(&root)?;
    // The decoder has a thread of its own: decompressing takes as long as writing 5,000 files.
    let unpacked = std::thread::scope(|scope| {
        let reader =
            archive::ReadAhead::new(scope, || archive::decoder(source.format(), std::fs::File::open(source.path())?));
        archive::unpack(source.name(), reader, &root)
    })?;
    // Otherwise every file that make writes would be older than the sources.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    if now < unpacked.newest {
        return Err(Error::Clock { now: date(now), what: source.name().to_owned(), made: date(unpacked.newest) });
    }
    // The newest time in the archive is the time of every file of the artifact: the archive's digest covers it,
    // and it does not depend on a clock.
    Ok(SourceTree { root, epoch: unpacked.newest })
}

/// A time in seconds since 1970, for people.
fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("{seconds} s after 1970"), |time| time.strftime("%Y-%m-%d").to_string())
}
