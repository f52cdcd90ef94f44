//! Reads the tarball of an artifact, and checks its digest meanwhile.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::mpsc::Sender;

use super::StoredArtifact;
use crate::domain::artifact::Format;
use crate::domain::digest::{Digest, HashingReader};
use crate::error::{Error, Result};
use crate::sys::archive;

impl StoredArtifact {
    /// Calls `read` with the name and the decompressed bytes of the tarball. They are decompressed on a thread of their
    /// own. What `read` made of them counts only if this returns no error.
    ///
    /// # Errors
    /// Those of `read`; [`Error::DigestMismatch`] if the tarball is not that of the record, [`Error::Damaged`] if `read`
    /// left a part of it unread.
    pub fn read_tarball<T>(&self, read: impl FnOnce(&str, &mut dyn Read) -> Result<T>) -> Result<T> {
        let tarball = self.tarball();
        let name = tarball.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (sender, digest) = std::sync::mpsc::channel();
        let value = std::thread::scope(|scope| {
            let mut reader = archive::ReadAhead::new(scope, || {
                let hashing = HashedFile::new(File::open(&tarball)?, sender);
                archive::decoder(Format::Zst, hashing)
            });
            read(&name, &mut reader)
        })?;
        let what = || tarball.display().to_string();
        let unread = || Error::Damaged { what: what(), reason: "it was not read to its end".into() };
        let found: Digest = digest.recv().map_err(|_| unread())??;
        let expected = self.record.digest;
        if found == expected { Ok(value) } else { Err(Error::DigestMismatch { what: what(), found, expected }) }
    }

    /// Checks the manifest in the tarball by its digest. It counts: all that was decided by the one beside the tarball
    /// has to hold for it too.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is another one.
    pub fn require_manifest(&self, found: Option<Digest>) -> Result<()> {
        if found == Some(self.record.manifest_digest) {
            return Ok(());
        }
        Err(Error::Damaged {
            what: self.tarball().display().to_string(),
            reason: "its manifest is not the one beside it in the store".into(),
        })
    }
}

/// A file that is hashed while a decoder reads it. Dropping it sends the digest.
struct HashedFile {
    reader: Option<HashingReader<BufReader<File>>>,
    sender: Sender<io::Result<Digest>>,
}

impl HashedFile {
    fn new(file: File, sender: Sender<io::Result<Digest>>) -> Self {
        Self { reader: Some(HashingReader::new(BufReader::with_capacity(256 << 10, file))), sender }
    }
}

impl Read for HashedFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.as_mut().map_or(Ok(0), |reader| reader.read(buf))
    }
}

impl Drop for HashedFile {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            // The receiver is gone if reading failed. That error counts, and not this one.
            let _unheard = self.sender.send(reader.finish());
        }
    }
}
