//! The files of an image: of a directory, or of a tar archive that is read in place. Both are untrusted: no link leads
//! out of them, and what is read into memory is limited.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use tar::EntryType;

use super::super::archive::{self, LayerBudget};
use super::super::directory::file_in_root;
use super::super::fs::with_path;
use super::super::interrupt;
use super::verified::format_of;
use crate::domain::artifact::Format;
use crate::error::{Error, ImageError, Result};

/// The most entries of an archive, which may be a root file system, and the most files of an image.
const MOST_ENTRIES: usize = LayerBudget::USUAL.entries;
const MOST_FILES: usize = 100_000;
/// The most names in the path of a file of an image: `blobs/sha256/…`. What is deeper is of a root file system.
const DEEPEST: usize = 4;
/// How many links a path may lead through.
const MOST_LINKS: usize = 40;
/// The most bytes of a JSON document, and of all. The largest configurations have some 100 kB.
const LARGEST_DOCUMENT: u64 = 4 << 20;
const ALL_DOCUMENTS: u64 = 64 << 20;
/// The most bytes of headers before a file of an archive.
const HEADERS: u64 = 1 << 20;
/// The most bytes of all names and links of an archive that are kept.
const ALL_NAMES: usize = 32 << 20;
/// The most bytes that a compressed archive may have when it is decompressed, and that all layers may have as they are.
pub(super) const LARGEST_ARCHIVE: u64 = 64 << 30;

/// The files of an image.
#[derive(Debug)]
pub(super) struct Container {
    path: PathBuf,
    place: Place,
    /// The bytes that documents may yet have.
    documents: Cell<u64>,
}

#[derive(Debug)]
enum Place {
    /// Below the directory; no link leads out of it.
    Directory,
    /// In a tar archive of so many bytes.
    Archive { file: File, length: u64, members: HashMap<PathBuf, Member> },
}

/// A file of an archive.
#[derive(Debug, Clone)]
enum Member {
    File {
        offset: u64,
        size: u64,
    },
    /// Another name of a file; `docker save` before version 25 writes them for layers that images share. None leads out
    /// of the archive, as links of a root file system may.
    Link(Option<PathBuf>),
}

impl Container {
    /// Opens a directory, or an archive and lists its files. One that is compressed is decompressed into a temporary
    /// file.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if it cannot be read, [`ImageError::NotAnImage`] for anything else than a tar archive,
    /// [`Error::Damaged`] for one that is truncated, [`Error::HostileArchive`]; [`Error::Io`], also for a full disk.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let metadata = fs_err::metadata(path).map_err(Error::Unreadable)?;
        let place = if metadata.is_dir() {
            Place::Directory
        } else if !metadata.is_file() {
            // A pipe could not be read twice.
            let reason = "it is neither a directory nor a regular file".to_owned();
            return Err(ImageError::NotAnImage { path: path.display().to_string(), reason }.into());
        } else {
            let mut file = fs_err::File::open(path).map_err(Error::Unreadable)?.into_parts().0;
            let mut magic = [0; 6];
            let read = file.read_at(&mut magic, 0).map_err(|error| with_path(path, error))?;
            if magic.starts_with(b"BZh") {
                let reason = "it is compressed with bzip2; decompress it first".to_owned();
                return Err(ImageError::NotAnImage { path: path.display().to_string(), reason }.into());
            }
            if let Some(format) = format_of(&magic[..read]) {
                file = decompressed(path, &file, format)?;
            }
            let length = file.metadata().map_err(|error| with_path(path, error))?.len();
            let members = members(path, &file, length)?;
            Place::Archive { file, length, members }
        };
        Ok(Self { path: path.to_owned(), place, documents: Cell::new(ALL_DOCUMENTS) })
    }

    /// Opens a file, and returns its size in bytes. `None` if there is no such file.
    ///
    /// # Errors
    /// [`Error::HostileArchive`] for a link out of the archive, [`Error::Io`].
    pub(super) fn read(&self, name: &str) -> Result<Option<(Box<dyn Read + '_>, u64)>> {
        match &self.place {
            Place::Directory => {
                let Some(file) = file_in_root(&self.path, Path::new(name))? else { return Ok(None) };
                let size = file.metadata().map_err(|error| with_path(&self.path.join(name), error))?.len();
                Ok(Some((Box::new(file), size)))
            }
            Place::Archive { file, members, .. } => {
                let mut path = normal(Path::new(name));
                for _ in 0..MOST_LINKS {
                    match path.as_ref().and_then(|path| members.get(path)) {
                        None => return Ok(None),
                        Some(Member::Link(Some(target))) => path = Some(target.clone()),
                        Some(Member::Link(None)) => {
                            let reason = format!("the link {name} leads out of the archive");
                            return Err(Error::HostileArchive { archive: self.path.display().to_string(), reason });
                        }
                        Some(&Member::File { offset, size }) => {
                            return Ok(Some((Box::new(Piece { file, offset, left: size }), size)));
                        }
                    }
                }
                Ok(None)
            }
        }
    }

    /// The whole archive, decompressed; `None` for a directory.
    pub(super) fn whole(&self) -> Option<impl Read + '_> {
        match &self.place {
            Place::Archive { file, length, .. } => Some(Piece { file, offset: 0, left: *length }),
            Place::Directory => None,
        }
    }

    /// Returns the bytes of a JSON document, or `None` if there is no such file.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is too long, [`Error::HostileArchive`] if all of them are, [`Error::Io`].
    pub(super) fn document(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some((reader, size)) = self.read(name)? else { return Ok(None) };
        if size > LARGEST_DOCUMENT {
            let what = format!("{name} of {}", self.path.display());
            return Err(Error::Damaged {
                what,
                reason: format!("it has {size} bytes, and no such document is that long"),
            });
        }
        let mut bytes = Vec::new();
        // A file of a directory may grow meanwhile.
        reader.take(LARGEST_DOCUMENT).read_to_end(&mut bytes).map_err(|error| with_path(Path::new(name), error))?;
        let left = self.documents.get().checked_sub(bytes.len() as u64);
        let reason = || "its documents have more bytes than those of an image may have".to_owned();
        let hostile = || Error::HostileArchive { archive: self.path.display().to_string(), reason: reason() };
        self.documents.set(left.ok_or_else(hostile)?);
        Ok(Some(bytes))
    }

    /// The directory or the archive.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Decompresses an archive into a temporary file.
fn decompressed(path: &Path, file: &File, format: Format) -> Result<File> {
    let damaged = |error: &io::Error| Error::Damaged { what: path.display().to_string(), reason: error.to_string() };
    let mut plain = tempfile::tempfile()?;
    let mut limited = archive::decoder(format, BufReader::new(file))?.take(LARGEST_ARCHIVE);
    io::copy(&mut limited, &mut plain).map_err(|error| {
        // The temporary file cannot be written; the archive itself may be intact.
        let of_system = || io::Error::new(error.kind(), format!("{}, decompressed: {error}", path.display()));
        if error.raw_os_error().is_some() { of_system().into() } else { damaged(&error) }
    })?;
    if limited.limit() == 0 {
        let reason = "it unpacks to more than an image may hold".to_owned();
        return Err(Error::HostileArchive { archive: path.display().to_string(), reason });
    }
    Ok(plain)
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

/// A reader that fails where headers do not end.
struct Capped<'a> {
    file: &'a File,
    left: Rc<Cell<u64>>,
}

impl Read for Capped<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let left = self.left.get().checked_sub(read as u64);
        self.left.set(left.ok_or_else(|| io::Error::other("it has a header that does not end"))?);
        Ok(read)
    }
}

impl Seek for Capped<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

/// Lists the files of an archive. The last one of a name counts, as for `tar`.
fn members(path: &Path, mut file: &File, length: u64) -> Result<HashMap<PathBuf, Member>> {
    let shown = || path.display().to_string();
    let not_tar = |error: io::Error| {
        let reason = format!("it is neither a directory nor a tar archive ({error})");
        Error::from(ImageError::NotAnImage { path: shown(), reason })
    };
    let damaged = |error: io::Error| Error::Damaged { what: shown(), reason: error.to_string() };
    let hostile = |reason: String| Error::HostileArchive { archive: shown(), reason };
    file.rewind().map_err(|error| with_path(path, error))?;
    let left = Rc::new(Cell::new(HEADERS));
    let mut archive = tar::Archive::new(Capped { file, left: Rc::clone(&left) });
    let (mut members, mut names) = (HashMap::new(), ALL_NAMES);
    for (number, entry) in archive.entries_with_seek().map_err(damaged)?.enumerate() {
        interrupt::check()?;
        let entry = entry.map_err(|error| if number == 0 { not_tar(error) } else { damaged(error) })?;
        left.set(HEADERS);
        if number >= MOST_ENTRIES || members.len() >= MOST_FILES {
            return Err(hostile("it has more files than an image may hold".to_owned()));
        }
        let entry_path = entry.path().map_err(damaged)?.into_owned();
        let shown_path: String = entry_path.display().to_string().escape_debug().take(100).collect();
        let Some(name) = resolved(Path::new(""), &entry_path) else {
            return Err(hostile(format!("the path {shown_path} leads out of the archive")));
        };
        if name.components().count() > DEEPEST {
            continue;
        }
        let target = || entry.link_name().ok().flatten().map(std::borrow::Cow::into_owned).unwrap_or_default();
        let member = match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                let (offset, size) = (entry.raw_file_position(), entry.size());
                if offset.checked_add(size).is_none_or(|end| end > length) {
                    return Err(Error::Damaged { what: shown(), reason: format!("it ends within {shown_path}") });
                }
                Member::File { offset, size }
            }
            EntryType::Link => Member::Link(resolved(Path::new(""), &target())),
            EntryType::Symlink => Member::Link(resolved(name.parent().unwrap_or(Path::new("")), &target())),
            _ => continue,
        };
        let target = if let Member::Link(Some(target)) = &member { target.as_os_str().len() } else { 0 };
        let left = names.checked_sub(name.as_os_str().len() + target);
        names = left.ok_or_else(|| hostile("it has longer names than the files of an image have".to_owned()))?;
        members.insert(name, member);
    }
    if length == 0 {
        return Err(ImageError::NotAnImage { path: shown(), reason: "it is empty".into() }.into());
    }
    Ok(members)
}

/// Returns a relative path without `.`, or `None` if it has a `..`.
fn normal(path: &Path) -> Option<PathBuf> {
    let parts = path.components().filter(|part| !matches!(part, Component::CurDir | Component::RootDir));
    parts.map(|part| if let Component::Normal(part) = part { Some(part) } else { None }).collect()
}

/// Returns a path from a directory without `.` and `..`, or `None` if it leads out of the archive. An absolute path is
/// one from its top.
fn resolved(directory: &Path, path: &Path) -> Option<PathBuf> {
    let start = if path.is_absolute() { Path::new("") } else { directory };
    let mut parts = Vec::new();
    for part in start.components().chain(path.components()) {
        match part {
            Component::Normal(part) => parts.push(part),
            Component::ParentDir => drop(parts.pop()?),
            Component::CurDir | Component::RootDir => {}
            Component::Prefix(_) => return None,
        }
    }
    Some(parts.into_iter().collect())
}
