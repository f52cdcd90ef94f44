//! The files of an OCI layout or of an archive of one, by name. An archive is not unpacked.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::domain::artifact::Format;
use crate::error::{Error, Result};
use crate::sys::archive::decoder;
use crate::sys::directory::file_in_root;
use crate::sys::elf::ReadAt;

/// The largest document of an image, such as its index, in bytes.
const LARGEST_DOCUMENT: u64 = 16 << 20;
/// The most files of an archive, and the largest unpacked archive in bytes.
const MOST_FILES: usize = 100_000;
const LARGEST_ARCHIVE: u64 = 64 << 30;
/// The most bytes of headers before a file of an archive.
const HEADERS: u64 = 1 << 20;
/// How many links lead from one file of an archive to the next.
const MOST_LINKS: usize = 8;

/// The files of a layout.
pub(super) struct Blobs {
    /// Its path, for errors.
    pub name: String,
    place: Place,
}

enum Place {
    Directory(PathBuf),
    Archive { file: File, members: BTreeMap<String, Member> },
}

enum Member {
    File { offset: u64, size: u64 },
    Link(String),
}

impl Blobs {
    /// A directory.
    pub(super) fn of_directory(path: &Path) -> Self {
        Self { name: path.display().to_string(), place: Place::Directory(path.to_owned()) }
    }

    /// The files of a tarball. One that is compressed is decompressed into a temporary file.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::HostileArchive`], [`Error::Damaged`], [`Error::Io`].
    pub(super) fn of_archive(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let mut file: File = fs_err::File::open(path).map_err(Error::Unreadable)?.into_parts().0;
        let format = format_of(BufReader::new(&file).fill_buf()?);
        file.rewind()?;
        if let Some(format) = format {
            file = decompressed(&name, format, &file)?;
        }
        // The magic number of POSIX and GNU (`man 5 tar`).
        let mut magic = [0; 5];
        if ReadAt::read_at(&file, 257, &mut magic)? < magic.len() || magic != *b"ustar" {
            return Err(Error::Unreadable(io::Error::other(format!("{name}: it is no archive of an image"))));
        }
        let members = members(&name, &file)?;
        Ok(Self { name, place: Place::Archive { file, members } })
    }

    /// Whether there is a file of a name.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn has(&self, name: &str) -> Result<bool> {
        Ok(self.reader(name)?.is_some())
    }

    /// The whole archive, if it is one.
    pub(super) fn whole(&self) -> Option<Section<'_>> {
        match &self.place {
            Place::Archive { file, .. } => Some(Section { file, position: 0, end: u64::MAX }),
            Place::Directory(_) => None,
        }
    }

    /// Opens a file, or returns `None` if there is none of that name.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn reader(&self, name: &str) -> Result<Option<Box<dyn Read + '_>>> {
        match &self.place {
            Place::Directory(directory) => {
                let file = file_in_root(directory, Path::new(name))?;
                Ok(file.map(|file| Box::new(BufReader::with_capacity(1 << 16, file)) as Box<dyn Read>))
            }
            Place::Archive { file, members } => {
                let mut member = members.get(name);
                for _ in 0..MOST_LINKS {
                    match member {
                        Some(Member::Link(target)) => member = members.get(target),
                        Some(Member::File { offset, size }) => {
                            let section = Section { file, position: *offset, end: offset.saturating_add(*size) };
                            return Ok(Some(Box::new(BufReader::with_capacity(1 << 16, section))));
                        }
                        None => break,
                    }
                }
                Ok(None)
            }
        }
    }

    /// Returns the content of a document, or `None` if there is none of that name.
    ///
    /// # Errors
    /// [`Error::HostileArchive`] if it is too large, [`Error::Io`].
    pub(super) fn document(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(reader) = self.reader(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        reader.take(LARGEST_DOCUMENT).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == LARGEST_DOCUMENT {
            let reason = format!("{name} is larger than a document of an image may be");
            return Err(Error::HostileArchive { archive: self.name.clone(), reason });
        }
        Ok(Some(bytes))
    }

    /// An error of something in it.
    pub(super) fn damaged(&self, reason: impl Into<String>) -> Error {
        Error::Damaged { what: self.name.clone(), reason: reason.into() }
    }
}

/// Decompresses an archive into a temporary file.
fn decompressed(name: &str, format: Format, file: &File) -> Result<File> {
    let mut plain = tempfile::tempfile()?;
    let mut limited = decoder(format, BufReader::new(file))?.take(LARGEST_ARCHIVE);
    let copied = io::copy(&mut limited, &mut plain);
    copied.map_err(|error| Error::Damaged { what: name.to_owned(), reason: error.to_string() })?;
    if limited.limit() == 0 {
        let reason = "it unpacks to more than an image may hold".to_owned();
        return Err(Error::HostileArchive { archive: name.to_owned(), reason });
    }
    Ok(plain)
}

/// The compression of bytes by their magic number, or `None` if they are not compressed.
pub(super) fn format_of(bytes: &[u8]) -> Option<Format> {
    let magic: [(&[u8], Format); 3] =
        [(b"\x1f\x8b", Format::Gz), (b"\x28\xb5\x2f\xfd", Format::Zst), (b"\xfd7zXZ\0", Format::Xz)];
    magic.into_iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, format)| format)
}

/// A part of a file.
pub(super) struct Section<'a> {
    file: &'a File,
    position: u64,
    end: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.end - self.position).unwrap_or(usize::MAX).min(buffer.len());
        let read = ReadAt::read_at(self.file, self.position, &mut buffer[..most])?;
        self.position += read as u64;
        Ok(read)
    }
}

/// A reader that fails where headers do not end.
struct Capped<R> {
    reader: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let left = self.left.get().checked_sub(read as u64);
        self.left.set(left.ok_or_else(|| io::Error::other("it has a header that does not end"))?);
        Ok(read)
    }
}

impl<R: Seek> Seek for Capped<R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.reader.seek(position)
    }
}

/// The files of a tarball with their places.
fn members(name: &str, file: &File) -> Result<BTreeMap<String, Member>> {
    let damaged = |error: &io::Error| Error::Damaged { what: name.to_owned(), reason: error.to_string() };
    let hostile = |reason: String| Error::HostileArchive { archive: name.to_owned(), reason };
    let left = Rc::new(Cell::new(HEADERS));
    let mut file = file;
    file.rewind()?;
    let mut archive = tar::Archive::new(Capped { reader: file, left: Rc::clone(&left) });
    let mut members = BTreeMap::new();
    for entry in archive.entries_with_seek().map_err(|error| damaged(&error))? {
        let entry = entry.map_err(|error| damaged(&error))?;
        left.set(HEADERS);
        let whole = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some(path) = joined("", &whole) else {
            return Err(hostile(format!("the path {} leads out of it", &whole[..whole.floor_char_boundary(100)])));
        };
        let kind = entry.header().entry_type();
        let member = if kind.is_symlink() || kind.is_hard_link() {
            let target = entry.link_name_bytes().unwrap_or_default();
            let base = if kind.is_symlink() { path.rsplit_once('/').map_or("", |(base, _)| base) } else { "" };
            match joined(base, &String::from_utf8_lossy(&target)) {
                Some(target) => Member::Link(target),
                None => return Err(hostile(format!("the link {path} leads out of it"))),
            }
        } else if kind.is_file() {
            Member::File { offset: entry.raw_file_position(), size: entry.size() }
        } else {
            continue;
        };
        members.insert(path, member);
        if members.len() > MOST_FILES {
            return Err(hostile("it has more files than an image may hold".to_owned()));
        }
    }
    Ok(members)
}

/// Joins a path to a directory, or returns `None` if it leads out of the top.
fn joined(directory: &str, path: &str) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for name in directory.split('/').chain(path.split('/')) {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()?),
            name => names.push(name),
        }
    }
    Some(names.join("/"))
}
