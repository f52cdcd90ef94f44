//! Reads the tarball of an image's layer: any files, links and devices, at any path below the root, and the marks that
//! remove files of the layers below. A layer is untrusted: what all layers of an image may use is limited, and no path
//! leads out of the image.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use super::super::interrupt;
use super::entries::{Archive, Limits};
use crate::error::Result;

/// What is left of the limits on all layers of an image.
#[derive(Debug, Clone, Copy)]
pub struct LayerBudget {
    /// The unpacked size in bytes. An image with CUDA and torch has 10 GB, the largest public ones 30.
    pub bytes: u64,
    /// The number of entries. Such an image has 100,000, the largest public ones 500,000.
    pub entries: usize,
    /// The bytes of names, links and contents that are kept in memory. An image of Debian has 5 MB.
    pub kept: u64,
}

impl LayerBudget {
    /// What every image is read with.
    pub const USUAL: Self = Self { bytes: 64 << 30, entries: 1_500_000, kept: 256 << 20 };

    /// Counts bytes that are kept of an image.
    ///
    /// # Errors
    /// The reason, if they are more than an image may hold.
    pub const fn keep(&mut self, bytes: u64) -> Result<(), &'static str> {
        match self.kept.checked_sub(bytes) {
            Some(left) => {
                self.kept = left;
                Ok(())
            }
            None => Err(TOO_LONG),
        }
    }
}

/// The longest path and text of a link in bytes that Linux accepts (`PATH_MAX`), the longest name (`NAME_MAX`), and the
/// most names in a path.
const LONGEST_PATH: usize = 4096;
const LONGEST_NAME: usize = 255;
const DEEPEST_PATH: usize = 256;
/// What a name begins with if a layer removes a file of a layer below (the OCI image specification, "Whiteouts").
const WHITEOUT: &[u8] = b".wh.";
/// The name that removes everything in a directory, and the beginning of those that are of an overlay's own use.
const OPAQUE: &[u8] = b".wh..wh..opq";
const OVERLAY: &[u8] = b".wh..wh.";
/// Why a layer beyond the limits is refused.
const TOO_LARGE: &str = "it unpacks to more than an image may hold";
const TOO_MANY: &str = "it has more files than an image may hold";
const TOO_LONG: &str = "it has more names and texts than an image may hold";

/// What an entry of a layer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link, with its text.
    Symlink(PathBuf),
    /// A hard link, with the path from the root that it is another name of.
    HardLink(PathBuf),
    /// A device or a pipe.
    Other,
    /// What the layers below have at the path is gone.
    Whiteout,
    /// What the layers below have in the directory at the path is gone.
    Opaque,
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
    budget: &'a mut LayerBudget,
}

impl LayerEntry<'_> {
    /// Returns the first bytes of the file, at most `most` of them. They count as kept.
    ///
    /// # Errors
    /// [`Error::HostileArchive`](crate::error::Error::HostileArchive) beyond a limit,
    /// [`Error::Damaged`](crate::error::Error::Damaged), [`Error::Io`](crate::error::Error::Io).
    pub fn read(&mut self, most: u64) -> Result<Vec<u8>> {
        let bytes = self.read_by(|content| {
            let mut bytes = Vec::new();
            content.take(most).read_to_end(&mut bytes)?;
            Ok(bytes)
        })?;
        self.keep(bytes.len() as u64)?;
        Ok(bytes)
    }

    /// Reads the file by a function.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_by<T>(&mut self, read: impl FnOnce(&mut dyn Read) -> io::Result<T>) -> Result<T> {
        read(self.content).map_err(|error| self.archive.failed(&error))
    }

    /// Counts bytes that are kept of it besides its path and its target.
    ///
    /// # Errors
    /// [`Error::HostileArchive`](crate::error::Error::HostileArchive) if they are more than an image may hold.
    pub fn keep(&mut self, bytes: u64) -> Result<()> {
        self.budget.keep(bytes).map_err(|reason| self.archive.hostile(reason))
    }

    /// Returns the error for an entry that cannot be what it says.
    #[must_use]
    pub fn hostile(&self, reason: impl Into<String>) -> crate::error::Error {
        self.archive.hostile(reason)
    }
}

/// Calls `take` with every entry of an untrusted layer, reads it to its end, and takes what it uses from the budget of
/// the image. `name` is the layer's name for errors.
///
/// # Errors
/// [`Error::HostileArchive`](crate::error::Error::HostileArchive) for a path that leads out of the image and beyond a
/// limit, [`Error::Damaged`](crate::error::Error::Damaged), [`Error::Io`](crate::error::Error::Io),
/// [`Error::Interrupted`](crate::error::Error::Interrupted), and those of `take`.
pub fn read_layer(
    name: &str,
    reader: impl Read,
    budget: &mut LayerBudget,
    mut take: impl FnMut(&mut LayerEntry<'_>) -> Result<()>,
) -> Result<()> {
    let limits = Limits { bytes: budget.bytes, entries: budget.entries, names: usize::MAX, too_large: TOO_LARGE };
    let (archive, metered) = Archive::metered(name, reader, limits);
    let failed = |error: io::Error| archive.failed(&error);
    let mut tar = tar::Archive::new(metered);
    for entry in tar.entries().map_err(failed)? {
        interrupt::check()?;
        let mut entry = entry.map_err(failed)?;
        budget.entries = budget.entries.checked_sub(1).ok_or_else(|| archive.hostile(TOO_MANY))?;
        if entry.header().entry_type() == EntryType::XGlobalHeader {
            io::copy(&mut entry, &mut io::sink()).map_err(failed)?;
            archive.content_ends();
            continue;
        }
        archive.content_begins();
        if let Some((path, kind)) = place(&archive, &entry)? {
            // A field without a number counts as 0, as for other readers.
            let header = entry.header();
            let owner = (header.uid().unwrap_or_default(), header.gid().unwrap_or_default());
            let (mode, mtime) = (header.mode().unwrap_or_default() & 0o7777, header.mtime().unwrap_or_default());
            let size = entry.size();
            // Holes of a sparse file are not in the archive, and are read all the same.
            let holes = if header.entry_type() == EntryType::GNUSparse { size } else { 0 };
            archive.spend(holes).map_err(failed)?;
            if size > archive.left() {
                return Err(archive.hostile(TOO_LARGE));
            }
            let target = if let LayerKind::Symlink(target) = &kind { target.as_os_str().len() } else { 0 };
            let names = (path.as_os_str().len() + target) as u64;
            let content: &mut dyn Read = &mut entry;
            let (archive, budget) = (&archive, &mut *budget);
            let mut entry = LayerEntry { path, kind, size, mode, owner, mtime, content, archive, budget };
            entry.keep(names)?;
            take(&mut entry)?;
        }
        io::copy(&mut entry, &mut io::sink()).map_err(failed)?;
        archive.content_ends();
    }
    // What follows the end is of the layer too.
    archive.content_begins();
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(failed)?;
    budget.bytes = archive.left();
    Ok(())
}

/// The path and the kind of an entry, or `None` for one that is no file of the image.
fn place(archive: &Archive<'_>, entry: &tar::Entry<'_, impl Read>) -> Result<Option<(PathBuf, LayerKind)>> {
    let target = || entry.link_name_bytes().unwrap_or_default().into_owned();
    let kind = match entry.header().entry_type() {
        EntryType::Directory => LayerKind::Directory,
        EntryType::Symlink => {
            let target = target();
            if target.len() > LONGEST_PATH {
                return Err(archive.hostile(format!("the link to {}… is too long", shown(&target))));
            }
            LayerKind::Symlink(OsStr::from_bytes(&target).into())
        }
        EntryType::Link => LayerKind::HardLink(below_root(archive, &target())?),
        EntryType::Char | EntryType::Block | EntryType::Fifo => LayerKind::Other,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => LayerKind::File,
        _ => return Ok(None),
    };
    let path = below_root(archive, &entry.path_bytes())?;
    let name = path.file_name().unwrap_or_default().as_bytes();
    let parent = path.parent().unwrap_or(Path::new(""));
    if name == OPAQUE {
        return Ok(Some((parent.to_owned(), LayerKind::Opaque)));
    }
    if name.starts_with(OVERLAY) {
        return Ok(None);
    }
    match name.strip_prefix(WHITEOUT) {
        Some(b"" | b"." | b"..") => Err(archive.hostile(format!("it removes {}", path.display()))),
        Some(gone) => Ok(Some((parent.join(OsStr::from_bytes(gone)), LayerKind::Whiteout))),
        None => Ok(Some((path, kind))),
    }
}

/// Returns a path from the root: `./usr/bin/` and `/usr/bin` are `usr/bin`.
fn below_root(archive: &Archive<'_>, raw: &[u8]) -> Result<PathBuf> {
    let is_long = |name: &[u8]| name.strip_prefix(WHITEOUT).unwrap_or(name).len() > LONGEST_NAME;
    let is_deep = raw.len() > LONGEST_PATH || raw.split(|byte| *byte == b'/').count() > DEEPEST_PATH;
    if is_deep || raw.split(|byte| *byte == b'/').any(is_long) || raw.contains(&0) {
        return Err(archive.hostile(format!("the path {}… is too long, or has a NUL in it", shown(raw))));
    }
    let mut path = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(raw)).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir => {}
            _ => return Err(archive.hostile(format!("the path {} leads out of the image", shown(raw)))),
        }
    }
    Ok(path)
}

/// The beginning of a path, for errors.
fn shown(raw: &[u8]) -> String {
    String::from_utf8_lossy(&raw[..raw.len().min(100)]).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::super::hostile::archive;
    use super::*;
    use crate::error::Error;

    fn read(bytes: &[u8]) -> Result<Vec<(String, LayerKind)>> {
        read_within(bytes, &mut LayerBudget::USUAL.clone())
    }

    fn read_within(bytes: &[u8], budget: &mut LayerBudget) -> Result<Vec<(String, LayerKind)>> {
        let mut found = Vec::new();
        read_layer("layer", bytes, budget, |entry| {
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
            (EntryType::Regular, "etc/.wh..wh..opq", ""),
            (EntryType::Directory, ".wh..wh.plnk", ""),
        ]);
        let expected = [
            ("", LayerKind::Directory),
            ("etc/passwd", LayerKind::File),
            ("opt", LayerKind::Symlink("/usr/opt".into())),
            ("etc/shadow", LayerKind::HardLink("etc/passwd".into())),
            ("dev/null", LayerKind::Other),
            ("etc/gone", LayerKind::Whiteout),
            ("etc", LayerKind::Opaque),
        ];
        assert_eq!(read(&bytes).unwrap(), expected.map(|(path, kind)| (path.to_owned(), kind)));
    }

    #[test]
    fn a_path_that_leads_out_and_a_truncated_layer_are_refused() {
        for entry in [(EntryType::Regular, "a/../../evil", "x"), (EntryType::Link, "a", "../etc/passwd")] {
            let error = read(&archive(&[entry])).unwrap_err();
            assert!(matches!(&error, Error::HostileArchive { reason, .. } if reason.contains("leads out")), "{error}");
        }
        for path in ["a/.wh.", "a/.wh...", ".wh.."] {
            let error = read(&archive(&[(EntryType::Regular, path, "x")])).unwrap_err();
            assert!(matches!(&error, Error::HostileArchive { .. }), "{path}: {error}");
        }
        for (depth, is_sound) in [(200, true), (300, false)] {
            let mut builder = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            builder.append_data(&mut header, "a/".repeat(depth) + "b", io::empty()).unwrap();
            assert_eq!(read(&builder.into_inner().unwrap()).is_ok(), is_sound, "{depth}");
        }
        let bytes = archive(&[(EntryType::Regular, "a", "content"), (EntryType::Regular, "b", "content")]);
        assert!(matches!(read(&bytes[..1200]), Err(Error::Damaged { .. })));
    }

    #[test]
    fn what_all_layers_use_counts_together() {
        let bytes = archive(&[(EntryType::Regular, "a", "content"), (EntryType::Symlink, "b", "a/target")]);
        for (budget, reason) in [
            (LayerBudget { bytes: 4000, ..LayerBudget::USUAL }, TOO_LARGE),
            (LayerBudget { entries: 3, ..LayerBudget::USUAL }, TOO_MANY),
            (LayerBudget { kept: 15, ..LayerBudget::USUAL }, TOO_LONG),
        ] {
            let mut left = budget;
            read_within(&bytes, &mut left).unwrap();
            let error = read_within(&bytes, &mut left).unwrap_err();
            assert!(matches!(&error, Error::HostileArchive { reason: found, .. } if found == reason), "{error}");
        }
    }

    #[test]
    fn what_follows_the_end_of_a_layer_counts() {
        let mut bytes = archive(&[(EntryType::Regular, "a", "content")]);
        bytes.resize(bytes.len() + 5000, 0);
        let mut budget = LayerBudget { bytes: 5000, ..LayerBudget::USUAL };
        let error = read_within(&bytes, &mut budget).unwrap_err();
        assert!(matches!(&error, Error::HostileArchive { reason, .. } if reason == TOO_LARGE), "{error}");
        let mut budget = LayerBudget { bytes: bytes.len() as u64, ..LayerBudget::USUAL };
        read_within(&bytes, &mut budget).unwrap();
        assert_eq!(budget.bytes, 0);
    }

    #[test]
    fn a_link_and_a_name_longer_than_the_kernel_takes_are_refused() {
        let layer = |path: &str, target: &str| {
            let mut builder = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            builder.append_link(&mut header, path, target).unwrap();
            builder.into_inner().unwrap()
        };
        assert!(read(&layer("a", &"b".repeat(LONGEST_PATH))).is_ok());
        let longest = "a".repeat(LONGEST_NAME);
        assert!(read(&layer(&longest, "b")).is_ok() && read(&layer(&format!(".wh.{longest}"), "b")).is_ok());
        for bytes in [layer("a", &"b".repeat(LONGEST_PATH + 1)), layer(&"a".repeat(LONGEST_NAME + 1), "b")] {
            let error = read(&bytes).unwrap_err();
            assert!(matches!(&error, Error::HostileArchive { reason, .. } if reason.contains("too long")), "{error}");
        }
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
