//! Writes an archive with blobs. A blob is written before its name is known: its header follows when it is complete.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read as _, Seek, SeekFrom, Write};

use fs_err::File;
use tar::EntryType;

use crate::domain::digest::{Digest, HashingWriter};
use crate::error::Result;

/// The size of a header and of a block of a tar archive, in bytes.
const BLOCK: u64 = 512;
const EMPTY_BLOCK: [u8; 512] = [0; 512];

/// A blob that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// Its SHA-256.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl Blob {
    /// The file of the blob in the archive.
    #[must_use]
    pub fn path(&self) -> String {
        super::blob_path(self.digest)
    }
}

/// An archive of blobs and documents. Its bytes depend on these and their order only.
pub struct ArchiveWriter {
    file: BufWriter<File>,
    /// Where the next member begins.
    end: u64,
    epoch: u64,
    blobs: BTreeMap<Digest, Blob>,
}

impl ArchiveWriter {
    /// Begins an archive in an empty file; errors of writing name its path. `epoch` is the time stamp of everything in it, in seconds since 1970.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn new(file: File, epoch: u64) -> Result<Self> {
        let file = BufWriter::with_capacity(256 << 10, file);
        let mut writer = Self { file, end: 0, epoch, blobs: BTreeMap::new() };
        for name in ["blobs/", "blobs/sha256/"] {
            let header = writer.header(name, EntryType::Directory, 0)?;
            writer.file.write_all(header.as_bytes())?;
            writer.end += BLOCK;
        }
        Ok(writer)
    }

    /// Writes a file.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let header = self.header(name, EntryType::Regular, bytes.len() as u64)?;
        self.file.write_all(header.as_bytes())?;
        self.file.write_all(bytes)?;
        self.pad(bytes.len() as u64)
    }

    /// Writes a blob of some bytes.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn blob(&mut self, bytes: &[u8]) -> Result<Blob> {
        self.stream(|writer| Ok(writer.write_all(bytes)?)).map(|(blob, ())| blob)
    }

    /// Writes a blob of what `write` writes, unless the archive has the same one already. Returns the result of `write`
    /// too.
    ///
    /// # Errors
    /// Those of `write`, [`Error::Io`](crate::error::Error::Io).
    pub fn stream<T>(&mut self, write: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<(Blob, T)> {
        self.file.write_all(&EMPTY_BLOCK)?;
        let mut hashing = HashingWriter::new(&mut self.file);
        let value = write(&mut hashing)?;
        let (_, digest, size) = hashing.finish();
        let blob = Blob { digest, size };
        if self.blobs.insert(digest, blob).is_some() {
            // The next member takes its place.
            self.file.seek(SeekFrom::Start(self.end))?;
            return Ok((blob, value));
        }
        let header = self.header(&blob.path(), EntryType::Regular, size)?;
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(header.as_bytes())?;
        self.file.seek(SeekFrom::Start(self.end + BLOCK + size))?;
        self.pad(size)?;
        Ok((blob, value))
    }

    /// Ends the archive, and returns the file and its size in bytes.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn finish(mut self) -> Result<(File, u64)> {
        self.file.write_all(&[EMPTY_BLOCK; 2].concat())?;
        let length = self.end + 2 * BLOCK;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.set_len(length)?;
        Ok((file, length))
    }

    /// Fills the last block of a member.
    fn pad(&mut self, size: u64) -> Result<()> {
        let whole = size.next_multiple_of(BLOCK);
        io::copy(&mut io::repeat(0).take(whole - size), &mut self.file)?;
        self.end += BLOCK + whole;
        Ok(())
    }

    fn header(&self, name: &str, kind: EntryType, size: u64) -> io::Result<tar::Header> {
        let mut header = tar::Header::new_gnu();
        header.set_path(name)?;
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.epoch);
        header.set_size(size);
        header.set_cksum();
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_named_after_it_is_written_and_kept_once() {
        let file = File::from_parts(tempfile::tempfile().unwrap(), "image.tar");
        let mut writer = ArchiveWriter::new(file, 7).unwrap();
        let first = writer.blob(b"content").unwrap();
        let (again, value) = writer.stream(|blob| Ok(blob.write_all(b"content").map(|()| 5)?)).unwrap();
        assert_eq!((again, value), (first, 5));
        writer.blob(&[1; 600]).unwrap();
        writer.file("index.json", b"{}").unwrap();
        let (mut file, length) = writer.finish().unwrap();
        assert_eq!((file.metadata().unwrap().len(), length % 512), (length, 0));
        file.rewind().unwrap();
        let mut archive = tar::Archive::new(file);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.path().unwrap().display().to_string(), bytes.len(), entry.header().mtime().unwrap())
        });
        let names: Vec<_> = entries.collect();
        assert_eq!(names[2], (format!("blobs/sha256/{}", Digest::of("content")), 7, 7));
        assert_eq!((names[3].1, &names[4]), (600, &("index.json".to_owned(), 2, 7)));
        assert_eq!(names.len(), 5);
    }
}
