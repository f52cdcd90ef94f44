//! Writes a layer: entries of root's with one time stamp, compressed so that the same entries give the same bytes.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use super::LayerFormat;
use super::gzip::Gzip;
use crate::domain::digest::{Digest, HashingWriter};
use crate::domain::image::Compression;
use crate::error::Result;

/// The level of gzip, that of the program `gzip` and of builders of images.
const GZIP_LEVEL: u32 = 6;
/// The level of Zstandard.
const ZSTD_LEVEL: i32 = 9;

/// Facts about a layer that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerFacts {
    /// The SHA-256 before compression.
    pub diff_id: Digest,
    /// The size in bytes of all files.
    pub unpacked: u64,
    /// How it is compressed.
    pub format: LayerFormat,
}

/// A writer of a layer.
pub struct LayerWriter<'a> {
    builder: tar::Builder<HashingWriter<Encoder<'a>>>,
    epoch: u64,
    made: BTreeSet<PathBuf>,
    unpacked: u64,
    format: LayerFormat,
}

enum Encoder<'a> {
    Gzip(Gzip<&'a mut dyn Write>),
    Zstd(zstd::Encoder<'static, &'a mut dyn Write>),
}

impl Write for Encoder<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(encoder) => encoder.write(buf),
            Self::Zstd(encoder) => encoder.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

impl<'a> LayerWriter<'a> {
    /// Begins a layer whose entries all have the time stamp `epoch`, in seconds since 1970.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if the encoder cannot be set up.
    pub fn new(writer: &'a mut dyn Write, compression: Compression, epoch: u64) -> Result<Self> {
        let (encoder, format) = match compression {
            Compression::Gzip => (Encoder::Gzip(Gzip::new(writer, GZIP_LEVEL)?), LayerFormat::Gzip),
            Compression::Zstd => (Encoder::Zstd(zstd::Encoder::new(writer, ZSTD_LEVEL)?), LayerFormat::Zstd),
        };
        let builder = tar::Builder::new(HashingWriter::new(encoder));
        Ok(Self { builder, epoch, made: BTreeSet::new(), unpacked: 0, format })
    }

    /// Writes a directory, and before it those above it that the layer does not have yet, with mode 755. A path is
    /// relative to the root.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn directory(&mut self, path: &Path, mode: u32) -> Result<()> {
        if path.as_os_str().is_empty() || self.made.contains(path) {
            return Ok(());
        }
        self.parents(path)?;
        self.made.insert(path.to_owned());
        let mut name = path.as_os_str().to_owned();
        name.push("/");
        let mut header = self.header(EntryType::Directory, mode, 0);
        Ok(self.builder.append_data(&mut header, name, io::empty())?)
    }

    /// Leaves a directory as a lower layer has it: it is not written before what is in it.
    pub fn keep(&mut self, path: &Path) {
        self.made.insert(path.to_owned());
    }

    /// Writes a file of `size` bytes.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io), also if `content` has another size.
    pub fn file(&mut self, path: &Path, mode: u32, size: u64, content: impl Read) -> Result<()> {
        self.parents(path)?;
        let mut header = self.header(EntryType::Regular, mode, size);
        let mut counted = content.take(size);
        self.builder.append_data(&mut header, path, &mut counted)?;
        if counted.limit() > 0 {
            let reason = format!("{}: it is shorter than it was", path.display());
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason).into());
        }
        self.unpacked += size;
        Ok(())
    }

    /// Writes a symbolic link.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn link(&mut self, path: &Path, target: &Path) -> Result<()> {
        self.parents(path)?;
        let mut header = self.header(EntryType::Symlink, 0o777, 0);
        Ok(self.builder.append_link(&mut header, path, target)?)
    }

    /// Ends the layer.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn finish(self) -> Result<LayerFacts> {
        let (encoder, diff_id, _) = self.builder.into_inner()?.finish();
        match encoder {
            Encoder::Gzip(encoder) => drop(encoder.finish()?),
            Encoder::Zstd(encoder) => drop(encoder.finish()?),
        }
        Ok(LayerFacts { diff_id, unpacked: self.unpacked, format: self.format })
    }

    fn parents(&mut self, path: &Path) -> Result<()> {
        path.parent().map_or(Ok(()), |parent| self.directory(parent, 0o755))
    }

    fn header(&self, kind: EntryType, mode: u32, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.epoch);
        header.set_size(size);
        header
    }
}
