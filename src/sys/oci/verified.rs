//! Reads a blob, copies it, and compares it with the digest and the size that it should have.

use std::cell::RefCell;
use std::io::{self, BufReader, Read, Write};

use super::LayerFormat;
use crate::domain::artifact::Format;
use crate::domain::digest::{Digest, HashingReader};
use crate::error::{Error, Result};
use crate::sys::archive;

/// The compression of bytes by their magic number, or `None` if they are not compressed.
pub(super) fn format_of(bytes: &[u8]) -> Option<Format> {
    let magic: [(&[u8], Format); 3] =
        [(b"\x1f\x8b", Format::Gz), (b"\x28\xb5\x2f\xfd", Format::Zst), (b"\xfd7zXZ\0", Format::Xz)];
    magic.into_iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, format)| format)
}

/// What is said of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    /// Its SHA-256, if anything says it.
    pub(super) digest: Option<Digest>,
    /// Its size in bytes.
    pub(super) size: u64,
}

/// A reader that copies what is read through it, and keeps the error of the copy: for who reads, it is the end.
struct Copying<'a> {
    reader: HashingReader<io::Take<Box<dyn Read + 'a>>>,
    copy: &'a mut dyn Write,
    read: u64,
    failure: &'a RefCell<Option<io::Error>>,
}

impl Read for Copying<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buf)?;
        self.read += read as u64;
        if let Err(error) = self.copy.write_all(&buf[..read]) {
            let kind = error.kind();
            *self.failure.borrow_mut() = Some(error);
            return Err(kind.into());
        }
        Ok(read)
    }
}

/// Reads a whole blob by `read` and compares it. A blob that is not what it should be is that error, whatever `read`
/// says of its content.
pub(super) fn read_verified<'a, T>(
    what: &str,
    reader: Box<dyn Read + 'a>,
    expected: Expected,
    copy: &'a mut dyn Write,
    read: impl FnOnce(&mut dyn Read) -> Result<T>,
) -> Result<T> {
    let failure = RefCell::new(None);
    // A byte more than expected is enough to see that it is longer.
    let limited = reader.take(expected.size.saturating_add(1));
    let mut copying = Copying { reader: HashingReader::new(limited), copy, read: 0, failure: &failure };
    let value = read(&mut copying);
    let rest = io::copy(&mut copying, &mut io::sink());
    let (length, hashed) = (copying.read, copying.reader.finish());
    if let Some(error) = failure.take() {
        return Err(error.into());
    }
    let damaged = |reason: String| Error::Damaged { what: what.to_owned(), reason };
    rest.map_err(|error| damaged(error.to_string()))?;
    if length != expected.size {
        let found = if length > expected.size { "more bytes".to_owned() } else { format!("{length} bytes") };
        return Err(damaged(format!("it has {found}, and the manifest says {}", expected.size)));
    }
    let found = hashed.map_err(|error| damaged(error.to_string()))?;
    match expected.digest {
        Some(expected) if found != expected => Err(Error::DigestMismatch { what: what.to_owned(), found, expected }),
        _ => value,
    }
}

/// Reads the tarball in a blob by `read`, to its end, and compares it with the digest of the configuration. If `read`
/// fails, the rest is not decompressed: it may be a thousand times the size of the blob, and nothing counts it then.
pub(super) fn read_decompressed<T>(
    what: &str,
    blob: &mut dyn Read,
    expected: Digest,
    read: impl FnOnce(&mut dyn Read) -> Result<T>,
) -> Result<(LayerFormat, T)> {
    let mut begin = Vec::new();
    let mut blob = BufReader::with_capacity(256 << 10, blob);
    let damaged = |error: io::Error| Error::Damaged { what: what.to_owned(), reason: error.to_string() };
    blob.by_ref().take(4).read_to_end(&mut begin).map_err(damaged)?;
    let found = format_of(&begin);
    let format = match found {
        Some(Format::Gz) => LayerFormat::Gzip,
        Some(Format::Zst) => LayerFormat::Zstd,
        // No format of images has layers of xz.
        Some(Format::Xz) | None => LayerFormat::Plain,
    };
    let whole = io::Cursor::new(begin).chain(blob);
    let decoded: Box<dyn Read + '_> = match found {
        Some(compressed) if format != LayerFormat::Plain => archive::decoder(compressed, whole)?,
        _ => Box::new(whole),
    };
    let mut hashing = HashingReader::new(decoded);
    let value = read(&mut hashing)?;
    let found = hashing.finish().map_err(damaged)?;
    if found == expected {
        return Ok((format, value));
    }
    Err(Error::DigestMismatch { what: format!("{what}, uncompressed,"), found, expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_refusal_nothing_more_is_decompressed() {
        let body = vec![7; 4 << 20];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        gzip.write_all(&body).unwrap();
        for blob in [&body[..], &gzip.finish().unwrap()] {
            let refused = || Error::HostileArchive { archive: "layer".into(), reason: "it is too large".into() };
            let mut left = blob;
            let error = read_decompressed::<()>("layer", &mut left, Digest::of(&body), |tarball| {
                tarball.read_exact(&mut [0; 512]).map_err(Error::from).and(Err(refused()))
            });
            assert!(matches!(error, Err(Error::HostileArchive { .. })));
            assert!(left.len() > 3 << 20, "{} bytes are left", left.len());
        }
    }
}
