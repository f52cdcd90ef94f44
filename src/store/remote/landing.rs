//! The file that a blob is received into, hashed and counted as it arrives.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::Blob;
use crate::domain::digest::{Digest, HashingWriter};
use crate::error::{Error, RemoteError, Result};
use crate::event::{Event, Reporter, Unit};
use crate::sys::http::Sink;
use crate::sys::{fs, interrupt};

/// A file on its way into the store.
pub(super) struct Landing<'a> {
    path: PathBuf,
    blob: Blob,
    /// The remote that sends it.
    remote: &'a str,
    reporter: &'a dyn Reporter,
    writer: HashingWriter<fs_err::File>,
    received: u64,
}

impl<'a> Landing<'a> {
    /// Creates the file.
    pub(super) fn create(path: &Path, blob: Blob, remote: &'a str, reporter: &'a dyn Reporter) -> Result<Self> {
        let writer = HashingWriter::new(fs::create_plain(path)?);
        Ok(Self { path: path.to_owned(), blob, remote, reporter, writer, received: 0 })
    }

    /// Ends the file, which must be the blob.
    ///
    /// # Errors
    /// [`RemoteError::Wrong`] if it ended early, [`Error::DigestMismatch`] if it is another file.
    pub(super) fn finish(self) -> Result<()> {
        let Blob { digest: expected, size } = self.blob;
        if self.received != size {
            return Err(wrong(self.remote, &self.blob, format!("it ended after {} of {size} bytes", self.received)));
        }
        let (mut file, found, _) = self.writer.finish();
        file.flush()?;
        if found == expected {
            return Ok(());
        }
        Err(Error::DigestMismatch { what: format!("what the remote {} sent", self.remote), found, expected })
    }
}

/// The error for a file that is not what the remote offered.
fn wrong(remote: &str, blob: &Blob, reason: String) -> Error {
    RemoteError::Wrong { address: remote.to_owned(), what: format!("the file {}", blob.digest.short()), reason }.into()
}

impl Sink for Landing<'_> {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        interrupt::check()?;
        let received = self.received + bytes.len() as u64;
        if received > self.blob.size {
            return Err(wrong(
                self.remote,
                &self.blob,
                format!("it has more than the {} bytes offered", self.blob.size),
            ));
        }
        self.writer.write_all(bytes)?;
        self.received = received;
        self.reporter.report(Event::Progress { done: received, total: Some(self.blob.size), unit: Unit::Bytes });
        Ok(())
    }

    fn position(&self) -> u64 {
        self.received
    }

    fn restart(&mut self) -> Result<()> {
        self.writer = HashingWriter::new(fs::create_plain(&self.path)?);
        self.received = 0;
        Ok(())
    }
}

/// Checks the bytes of a manifest against what was offered.
pub(super) fn check_manifest(remote: &str, blob: Blob, bytes: &[u8]) -> Result<()> {
    let (found, expected) = (Digest::of(bytes), blob.digest);
    if found == expected {
        return Ok(());
    }
    Err(Error::DigestMismatch { what: format!("the manifest that the remote {remote} sent"), found, expected })
}
