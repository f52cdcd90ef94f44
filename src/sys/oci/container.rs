//! The files of an image: of a directory, or of a tar archive that is read in place.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use super::super::directory::file_in_root;
use super::super::fs::with_path;
use super::super::interrupt;
use crate::error::{Error, ImageError, Result};

/// The most files that an archive may have.
const MOST_FILES: usize = 100_000;
/// How many links a path may lead through.
const MOST_LINKS: usize = 40;
/// The most bytes of a JSON document. The largest configurations have some 100 kB.
const LARGEST_DOCUMENT: u64 = 4 << 20;

/// Where the files of an image are.
#[derive(Debug)]
pub(super) enum Container {
    /// Below a directory; no link leads out of it.
    Directory(PathBuf),
    /// In a tar archive.
    Archive { path: PathBuf, file: File, members: HashMap<PathBuf, Member> },
}

/// A file of an archive.
#[derive(Debug, Clone)]
pub(super) enum Member {
    File {
        offset: u64,
        size: u64,
    },
    /// Another name of a file; `docker save` before version 25 writes them for layers that images share.
    Link(PathBuf),
}

impl Container {
    /// Opens a directory, or an archive and lists its files.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if it cannot be read, [`ImageError::NotAnImage`] for anything else than a tar archive,
    /// [`Error::Damaged`] for one that is truncated, [`Error::HostileArchive`].
    pub(super) fn open(path: &Path) -> Result<Self> {
        let metadata = fs_err::metadata(path).map_err(Error::Unreadable)?;
        if metadata.is_dir() {
            return Ok(Self::Directory(path.to_owned()));
        }
        let file = fs_err::File::open(path).map_err(Error::Unreadable)?.into_parts().0;
        let mut magic = Vec::new();
        file.try_clone()?.take(4).read_to_end(&mut magic).map_err(|error| with_path(path, error))?;
        let compressed: [(&[u8], &str); 4] =
            [(b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zX", "xz"), (b"BZh", "bzip2")];
        if let Some((_, with)) = compressed.iter().find(|(begin, _)| magic.starts_with(begin)) {
            let reason = format!("it is compressed with {with}; decompress it first");
            return Err(ImageError::NotAnImage { path: path.display().to_string(), reason }.into());
        }
        let members = members(path, &file, metadata.len())?;
        Ok(Self::Archive { path: path.to_owned(), file, members })
    }

    /// Opens a file, and returns its size in bytes. `None` if there is no such file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn read(&self, name: &str) -> Result<Option<(Box<dyn Read + '_>, u64)>> {
        match self {
            Self::Directory(root) => {
                let Some(file) = file_in_root(root, Path::new(name))? else { return Ok(None) };
                let size = file.metadata().map_err(|error| with_path(&root.join(name), error))?.len();
                Ok(Some((Box::new(file), size)))
            }
            Self::Archive { file, members, .. } => {
                let mut path = normal(Path::new(name));
                for _ in 0..MOST_LINKS {
                    match path.as_ref().and_then(|path| members.get(path)) {
                        None => return Ok(None),
                        Some(Member::Link(target)) => path = Some(target.clone()),
                        Some(&Member::File { offset, size }) => {
                            return Ok(Some((Box::new(Piece { file, offset, left: size }), size)));
                        }
                    }
                }
                Ok(None)
            }
        }
    }

    /// Returns the bytes of a JSON document, or `None` if there is no such file.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is too long, [`Error::Io`].
    pub(super) fn document(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some((mut reader, size)) = self.read(name)? else { return Ok(None) };
        if size > LARGEST_DOCUMENT {
            let what = format!("{name} of {}", self.path().display());
            return Err(Error::Damaged {
                what,
                reason: format!("it has {size} bytes, and no such document is that long"),
            });
        }
        let mut bytes = Vec::new();
        // A file of a directory may grow meanwhile.
        reader
            .by_ref()
            .take(LARGEST_DOCUMENT)
            .read_to_end(&mut bytes)
            .map_err(|error| with_path(Path::new(name), error))?;
        Ok(Some(bytes))
    }

    /// The directory or the archive.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Directory(path) | Self::Archive { path, .. } => path,
        }
    }
}

/// A part of a file.
struct Piece<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Piece<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        let read = self.file.read_at(&mut buf[..most], self.offset)?;
        self.offset += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

/// Lists the files of an archive. The last one of a name counts, as for `tar`.
fn members(path: &Path, file: &File, length: u64) -> Result<HashMap<PathBuf, Member>> {
    let shown = || path.display().to_string();
    let not_tar = |error: io::Error| {
        let reason = format!("it is neither a directory nor a tar archive ({error})");
        Error::from(ImageError::NotAnImage { path: shown(), reason })
    };
    let damaged = |error: io::Error| Error::Damaged { what: shown(), reason: error.to_string() };
    let mut members = HashMap::new();
    let mut archive = tar::Archive::new(file);
    io::Seek::rewind(&mut &*file).map_err(|error| with_path(path, error))?;
    for (number, entry) in archive.entries_with_seek().map_err(damaged)?.enumerate() {
        interrupt::check()?;
        let entry = entry.map_err(|error| if number == 0 { not_tar(error) } else { damaged(error) })?;
        if number >= MOST_FILES {
            let reason = format!("it has more than {MOST_FILES} files");
            return Err(Error::HostileArchive { archive: shown(), reason });
        }
        let entry_path = entry.path().map_err(damaged)?.into_owned();
        let Some(name) = normal(&entry_path) else {
            let reason = format!("the path {} leads out of the archive", entry_path.display());
            return Err(Error::HostileArchive { archive: shown(), reason });
        };
        let target = || entry.link_name().ok().flatten().map(std::borrow::Cow::into_owned).unwrap_or_default();
        let member = match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                let (offset, size) = (entry.raw_file_position(), entry.size());
                if offset.checked_add(size).is_none_or(|end| end > length) {
                    let reason = format!("it ends within {}", entry_path.display());
                    return Err(Error::Damaged { what: shown(), reason });
                }
                Member::File { offset, size }
            }
            EntryType::Link => Member::Link(normal(&target()).unwrap_or_default()),
            EntryType::Symlink => {
                let whole = name.parent().unwrap_or(Path::new("")).join(target());
                Member::Link(resolved(&whole).unwrap_or_default())
            }
            _ => continue,
        };
        members.insert(name, member);
    }
    if members.is_empty() {
        return Err(ImageError::NotAnImage { path: shown(), reason: "it is empty".into() }.into());
    }
    Ok(members)
}

/// Returns a relative path without `.`, or `None` if it has a `..`.
fn normal(path: &Path) -> Option<PathBuf> {
    let parts = path.components().filter(|part| !matches!(part, Component::CurDir | Component::RootDir));
    parts.map(|part| if let Component::Normal(part) = part { Some(part) } else { None }).collect()
}

/// Returns a relative path without `.` and `..`, or `None` if it leads out of the archive.
fn resolved(path: &Path) -> Option<PathBuf> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part),
            Component::ParentDir => drop(parts.pop()?),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.into_iter().collect())
}
