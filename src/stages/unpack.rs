//! Unpack: from a verified archive to a source tree.

use std::path::{Path, PathBuf};

use super::fetch::VerifiedSource;
use crate::error::Result;
use crate::sys::archive;

/// CPython's source as upstream published it.
#[derive(Debug)]
pub struct SourceTree {
    root: PathBuf,
    epoch: u64,
}

impl SourceTree {
    /// Where it is, and its newest time stamp in seconds since 1970.
    pub(super) fn into_parts(self) -> (PathBuf, u64) {
        (self.root, self.epoch)
    }
}

/// Unpacks a source archive into a new directory of the work directory.
///
/// # Errors
/// That the archive is hostile or damaged, or what the system answers.
pub fn unpack(source: &VerifiedSource, work: &Path) -> Result<SourceTree> {
    let root = work.join("source");
    fs_err::create_dir(&root)?;
    // The decoder has a thread of its own: decompressing takes as long as writing 5,000 files.
    let unpacked = std::thread::scope(|scope| {
        let reader =
            archive::ReadAhead::new(scope, || archive::decoder(source.format(), std::fs::File::open(source.path())?));
        archive::unpack(source.name(), reader, &root)
    })?;
    // The newest time in the archive is the time of everything that is made of it: the archive's
    // digest covers it, and no clock is asked.
    Ok(SourceTree { root, epoch: unpacked.newest })
}
