//! The file that a source is written to.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::domain::digest::{Digest, HashingWriter};
use crate::error::Result;
use crate::sys::fs;
use crate::sys::http::Sink;

/// A file that hashes what is written to it.
pub(super) struct Landing {
    path: PathBuf,
    writer: HashingWriter<fs_err::File>,
    len: u64,
}

impl Landing {
    pub(super) fn create(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_owned(), writer: HashingWriter::new(fs::create_plain(path)?), len: 0 })
    }

    pub(super) fn finish(self) -> Result<Digest> {
        let (mut file, digest, _) = self.writer.finish();
        file.flush()?;
        Ok(digest)
    }
}

impl Sink for Landing {
    fn position(&self) -> u64 {
        self.len
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        *self = Self::create(&self.path)?;
        Ok(())
    }
}
