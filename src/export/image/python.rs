//! The layer of a Python: the entries of its tarball at their place, while the tarball's digest is checked.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::needed::{Need, Needed};
use crate::domain::digest::Digest;
use crate::domain::manifest::MANIFEST_PATH;
use crate::error::{Error, Result};
use crate::store::StoredArtifact;
use crate::sys::archive::{self, Entry, Member};
use crate::sys::oci::LayerWriter;

/// The size in bytes of the pieces in which a file is copied.
const PIECE: usize = 256 << 10;

/// The mark of an overlay that hides what lower layers have in a directory.
pub(super) const OPAQUE: &str = ".wh..wh..opq";

/// Where a tree goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The path from the root.
    pub(super) path: PathBuf,
    /// Whether lower layers have something there, which has to be hidden.
    pub(super) is_occupied: bool,
    /// The directories above it whose owners and modes stay as they are in lower layers.
    pub(super) kept: Vec<PathBuf>,
}

impl Place {
    /// Begins the tree in a layer.
    pub(super) fn begin(&self, layer: &mut LayerWriter<'_>) -> Result<()> {
        for directory in &self.kept {
            layer.keep(directory);
        }
        layer.directory(&self.path, 0o755)?;
        if self.is_occupied { layer.file(&self.path.join(OPAQUE), 0o644, 0, std::io::empty()) } else { Ok(()) }
    }
}

/// Writes the tree of an artifact into a layer.
///
/// # Errors
/// [`Error::DigestMismatch`], [`Error::Damaged`] or [`Error::HostileArchive`] if the artifact is damaged, [`Error::Io`].
pub(super) fn write(
    artifact: &StoredArtifact,
    place: &Place,
    needed: &mut Needed,
    layer: &mut LayerWriter<'_>,
) -> Result<()> {
    place.begin(layer)?;
    let mut manifest = None;
    artifact.read_tarball(|name, reader| {
        archive::read_entries(name, reader, |entry| {
            let target = place.path.join(&entry.path);
            match &entry.member {
                // The mode of the tree's own directories is always the same.
                Member::Directory => layer.directory(&target, 0o755),
                Member::Link(content) => layer.link(&target, content),
                Member::File { executable, size } => {
                    let (mode, size) = (if *executable { 0o755 } else { 0o644 }, *size);
                    let is_manifest = entry.path == Path::new(MANIFEST_PATH);
                    let mut content = Content { begin: Vec::new(), position: 0, entry, failure: None };
                    content.fill(PIECE);
                    if is_manifest || Needed::is_elf(&content.begin) {
                        // The limits of an artifact hold for it.
                        content.fill(usize::MAX);
                        needed.note(&target, &content.begin, Need::Required);
                    }
                    if is_manifest {
                        manifest = Some(Digest::of(&content.begin));
                    }
                    let written = layer.file(&target, mode, size, &mut content);
                    content.failure.take().map_or(written, Err)
                }
            }
        })
    })?;
    artifact.require_manifest(manifest)
}

/// The content of an entry, of which the beginning was read. It keeps the error of the archive, which says more than one
/// of reading.
struct Content<'e, 'a> {
    begin: Vec<u8>,
    position: usize,
    entry: &'e mut Entry<'a>,
    failure: Option<Error>,
}

impl Content<'_, '_> {
    /// Reads up to `most` further bytes.
    fn fill(&mut self, most: usize) {
        if self.failure.is_none() {
            self.failure = self.entry.read_piece(most, &mut self.begin).err();
        }
    }
}

impl Read for Content<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.position == self.begin.len() && self.failure.is_none() {
            self.begin.clear();
            self.position = 0;
            self.fill(PIECE);
        }
        if self.failure.is_some() {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let read = (&self.begin[self.position..]).read(buf)?;
        self.position += read;
        Ok(read)
    }
}
