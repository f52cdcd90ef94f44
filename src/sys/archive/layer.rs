//! Reads the tarball of an image's layer: any files, links and devices, at any path below the root, within limits.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use super::super::interrupt;
use super::entries::{Archive, Limits};
use crate::error::Result;

/// The limits of a layer: the largest public images have 30 GB and 500,000 files.
const LIMITS: Limits = Limits { bytes: 64 << 30, entries: 5_000_000, names: usize::MAX };
/// The longest path in bytes that Linux accepts.
const LONGEST_PATH: usize = 4096;

/// What an entry of a layer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerKind {
    /// A directory.
    Directory,
    /// A regular file, or an overlay's mark that a file of a lower layer is gone (`.wh.NAME`).
    File,
    /// A symbolic link, with its text.
    Symlink(PathBuf),
    /// A hard link, with the path from the root that it is another name of.
    HardLink(PathBuf),
    /// A device or a pipe.
    Other,
}

/// An entry of a layer.
pub struct LayerEntry<'a> {
    /// The path from the root of the image, without a leading `/`; empty for the root itself.
    pub path: PathBuf,
    /// What it is.
    pub kind: LayerKind,
    /// The size of a file in bytes.
    pub size: u64,
    /// The permission bits, set-uid, set-gid and sticky among them.
    pub mode: u32,
    /// The user and the group who own it.
    pub owner: (u64, u64),
    /// The time stamp in seconds since 1970.
    pub mtime: u64,
    content: &'a mut dyn Read,
    archive: &'a Archive<'a>,
}

impl LayerEntry<'_> {
    /// Returns the first bytes of the file, at most `most` of them.
    ///
    /// # Errors
    /// [`Error::HostileArchive`](crate::error::Error::HostileArchive) beyond a limit,
    /// [`Error::Damaged`](crate::error::Error::Damaged), [`Error::Io`](crate::error::Error::Io).
    pub fn read(&mut self, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.content.take(most).read_to_end(&mut bytes);
        read.map_err(|error| self.archive.failed(&error))?;
        Ok(bytes)
    }
}

/// Calls `take` with every entry of an untrusted layer. `name` is the layer's name for errors.
///
/// # Errors
/// [`Error::HostileArchive`](crate::error::Error::HostileArchive) for a path that leads out of the image and beyond a
/// limit, [`Error::Damaged`](crate::error::Error::Damaged), [`Error::Io`](crate::error::Error::Io),
/// [`Error::Interrupted`](crate::error::Error::Interrupted), and those of `take`.
pub fn read_layer(
    name: &str,
    reader: impl Read,
    mut take: impl FnMut(&mut LayerEntry<'_>) -> Result<()>,
) -> Result<()> {
    let (archive, metered) = Archive::metered(name, reader, LIMITS);
    let failed = |error: io::Error| archive.failed(&error);
    let mut tar = tar::Archive::new(metered);
    for (number, entry) in tar.entries().map_err(failed)?.enumerate() {
        interrupt::check()?;
        let mut entry = entry.map_err(failed)?;
        if number >= LIMITS.entries {
            return Err(archive.hostile(format!("it has more than {} entries", LIMITS.entries)));
        }
        let header = entry.header();
        let kind = match header.entry_type() {
            EntryType::XGlobalHeader => {
                io::copy(&mut entry, &mut io::sink()).map_err(failed)?;
                archive.content_ends();
                continue;
            }
            EntryType::Directory => LayerKind::Directory,
            EntryType::Symlink => LayerKind::Symlink(path_of(&entry.link_name_bytes().unwrap_or_default())),
            EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                LayerKind::HardLink(below_root(&archive, &target)?)
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => LayerKind::Other,
            _ => LayerKind::File,
        };
        let path = below_root(&archive, &entry.path_bytes())?;
        let header = entry.header();
        // A field without a number counts as 0, as for other readers.
        let owner = (header.uid().unwrap_or_default(), header.gid().unwrap_or_default());
        let (mode, mtime) = (header.mode().unwrap_or_default() & 0o7777, header.mtime().unwrap_or_default());
        let size = entry.size();
        archive.content_begins();
        let content: &mut dyn Read = &mut entry;
        take(&mut LayerEntry { path, kind, size, mode, owner, mtime, content, archive: &archive })?;
        io::copy(&mut entry, &mut io::sink()).map_err(failed)?;
        archive.content_ends();
    }
    Ok(())
}

fn path_of(raw: &[u8]) -> PathBuf {
    OsStr::from_bytes(raw).into()
}

/// Returns a path from the root: `./usr/bin/` and `/usr/bin` are `usr/bin`.
fn below_root(archive: &Archive<'_>, raw: &[u8]) -> Result<PathBuf> {
    let shown = || String::from_utf8_lossy(&raw[..raw.len().min(100)]).escape_debug().to_string();
    if raw.len() > LONGEST_PATH || raw.contains(&0) {
        return Err(archive.hostile(format!("the path {}… is longer than {LONGEST_PATH} bytes or has a NUL", shown())));
    }
    let mut path = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(raw)).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir => {}
            _ => return Err(archive.hostile(format!("the path {} leads out of the image", shown()))),
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::super::hostile::archive;
    use super::*;
    use crate::error::Error;

    fn read(bytes: &[u8]) -> Result<Vec<(String, LayerKind)>> {
        let mut found = Vec::new();
        read_layer("layer", bytes, |entry| {
            found.push((entry.path.display().to_string(), entry.kind.clone()));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn what_a_layer_may_have_is_read() {
        let bytes = archive(&[
            (EntryType::Directory, "./", ""),
            (EntryType::Regular, "./etc/passwd", "root"),
            (EntryType::Symlink, "/opt", "/usr/opt"),
            (EntryType::Link, "etc/shadow", "./etc/passwd"),
            (EntryType::Char, "dev/null", ""),
            (EntryType::Regular, "etc/.wh.gone", ""),
        ]);
        let expected = [
            ("", LayerKind::Directory),
            ("etc/passwd", LayerKind::File),
            ("opt", LayerKind::Symlink("/usr/opt".into())),
            ("etc/shadow", LayerKind::HardLink("etc/passwd".into())),
            ("dev/null", LayerKind::Other),
            ("etc/.wh.gone", LayerKind::File),
        ];
        assert_eq!(read(&bytes).unwrap(), expected.map(|(path, kind)| (path.to_owned(), kind)));
    }

    #[test]
    fn a_path_that_leads_out_and_a_truncated_layer_are_refused() {
        for entry in [(EntryType::Regular, "a/../../evil", "x"), (EntryType::Link, "a", "../etc/passwd")] {
            let error = read(&archive(&[entry])).unwrap_err();
            assert!(matches!(&error, Error::HostileArchive { reason, .. } if reason.contains("leads out")), "{error}");
        }
        let bytes = archive(&[(EntryType::Regular, "a", "content"), (EntryType::Regular, "b", "content")]);
        assert!(matches!(read(&bytes[..1200]), Err(Error::Damaged { .. })));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(flips in proptest::collection::vec((0usize..1536, proptest::prelude::any::<u8>()), 0..8)) {
            let mut bytes = archive(&[(EntryType::Regular, "a", "b"), (EntryType::Symlink, "b", "content")]);
            for (at, byte) in flips {
                if let Some(slot) = bytes.get_mut(at) {
                    *slot = byte;
                }
            }
            read(&bytes).ok();
        }
    }
}
