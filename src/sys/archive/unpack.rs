//! Unpacking: reads a tarball with suspicion.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use tar::EntryType;

use super::super::{fs, interrupt};
use super::threads::{NewFile, WriteBehind};
use crate::error::{Error, Result};

/// The most that an archive may unpack to, in bytes. The source of CPython has 120 MB.
const MOST_BYTES: u64 = 4 << 30;
/// The most entries that an archive may have. The source of CPython has 5,000.
const MOST_ENTRIES: usize = 200_000;
/// The longest path, in bytes, and the most directories in one.
const LONGEST_PATH: usize = 1024;
const DEEPEST_PATH: usize = 64;

/// What came out of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The one directory at its top, which is not made: what it holds is.
    pub top: String,
    /// The newest time stamp of an entry, in seconds since 1970.
    pub newest: u64,
    /// How many files there are.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

/// Unpacks a tarball with one directory at its top into an empty directory, leaving the top out.
/// Whatever an archive says, nothing is written elsewhere: paths are plain, a link stays within
/// the tree and is made last, and what is neither file, directory nor link is refused.
///
/// `name` is the archive's name for errors.
///
/// # Errors
/// [`Error::HostileArchive`], [`Error::Damaged`], or what the system answers.
pub fn unpack(name: &str, reader: impl Read, into: &Path) -> Result<Unpacked> {
    std::thread::scope(|scope| {
        let writers = WriteBehind::new(scope, name);
        let unpacker = Unpacker::new(name, into, writers);
        unpacker.run(reader)
    })
}

struct Unpacker<'a, 'scope> {
    name: &'a str,
    writers: WriteBehind<'scope>,
    into: &'a Path,
    top: Option<String>,
    made: HashSet<PathBuf>,
    directories: Vec<(PathBuf, SystemTime)>,
    links: Vec<(PathBuf, PathBuf)>,
    entries: usize,
    newest: u64,
    files: u64,
    bytes: u64,
}

impl<'a, 'scope> Unpacker<'a, 'scope> {
    fn new(name: &'a str, into: &'a Path, writers: WriteBehind<'scope>) -> Self {
        Self {
            name,
            writers,
            into,
            top: None,
            made: HashSet::from([PathBuf::new()]),
            directories: Vec::new(),
            links: Vec::new(),
            entries: 0,
            newest: 0,
            files: 0,
            bytes: 0,
        }
    }

    fn run(mut self, reader: impl Read) -> Result<Unpacked> {
        let mut archive = tar::Archive::new(reader);
        for entry in archive.entries().map_err(|error| self.damaged(&error))? {
            interrupt::check()?;
            let entry = entry.map_err(|error| self.damaged(&error))?;
            self.entry(entry)?;
        }
        self.finish()
    }

    fn hostile(&self, reason: impl Into<String>) -> Error {
        Error::HostileArchive { archive: self.name.to_owned(), reason: reason.into() }
    }

    fn damaged(&self, error: &io::Error) -> Error {
        if error.raw_os_error().is_some() {
            // The system cannot read it, which says nothing of what it holds.
            return io::Error::new(error.kind(), format!("{}: {error}", self.name)).into();
        }
        Error::Damaged { what: self.name.to_owned(), reason: error.to_string() }
    }

    fn entry(&mut self, mut entry: tar::Entry<'_, impl Read>) -> Result<()> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            return Ok(());
        }
        self.entries += 1;
        if self.entries > MOST_ENTRIES {
            return Err(self.hostile(format!("it has more than {MOST_ENTRIES} entries")));
        }
        let raw = entry.path_bytes().into_owned();
        let path = self.below_top(&raw)?;
        let mtime = entry.header().mtime().map_err(|error| self.damaged(&error))?;
        // A time that no file system holds is a lie; the largest that does is in the year 2446.
        let mtime = mtime.min(15_032_385_535);
        self.newest = self.newest.max(mtime);
        let mtime = SystemTime::UNIX_EPOCH + Duration::from_secs(mtime);
        match kind {
            EntryType::Directory => {
                self.make_directories(&path)?;
                self.directories.push((path, mtime));
                Ok(())
            }
            EntryType::Regular | EntryType::Continuous => {
                let mode = entry.header().mode().map_err(|error| self.damaged(&error))?;
                self.file(&path, &mut entry, mode & 0o111 != 0, mtime)
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let target = PathBuf::from(std::ffi::OsStr::from_bytes(&target));
                if target.as_os_str().is_empty() || fs::link_target(&path, &target).is_none() {
                    let (path, target) = (path.display(), target.display());
                    return Err(self.hostile(format!("the link {path} leads out of it, to {target}")));
                }
                self.links.push((path, target));
                Ok(())
            }
            other => Err(self.hostile(format!("{} is a {}", path.display(), type_name(other)))),
        }
    }

    /// The path below the one top directory; the top's own is empty.
    fn below_top(&mut self, raw: &[u8]) -> Result<PathBuf> {
        let shown = || String::from_utf8_lossy(&raw[..raw.len().min(100)]).into_owned();
        if raw.len() > LONGEST_PATH {
            return Err(self.hostile(format!("the path {}… is longer than {LONGEST_PATH} bytes", shown())));
        }
        let path = Path::new(std::ffi::OsStr::from_bytes(raw));
        let mut parts = Vec::new();
        for part in path.components() {
            match part {
                Component::Normal(part) => parts.push(part),
                Component::CurDir => {}
                _ => return Err(self.hostile(format!("the path {} leads out of it", shown()))),
            }
        }
        if parts.len() > DEEPEST_PATH {
            return Err(self.hostile(format!("the path {}… has more than {DEEPEST_PATH} directories", shown())));
        }
        let Some((top, rest)) = parts.split_first() else {
            return Err(self.hostile("it has an entry without a name"));
        };
        let top = top.to_string_lossy().into_owned();
        if self.top.get_or_insert_with(|| top.clone()) != &top {
            let first = self.top.clone().unwrap_or_default();
            return Err(self.hostile(format!("it has two directories at its top, {first} and {top}")));
        }
        Ok(rest.iter().collect())
    }

    fn make_directories(&mut self, path: &Path) -> Result<()> {
        if self.made.contains(path) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.make_directories(parent)?;
        }
        match std::fs::create_dir(self.into.join(path)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(self.hostile(format!("{} is there twice", path.display())));
            }
            Err(error) => return Err(fs::with_path(&self.into.join(path), error).into()),
        }
        self.made.insert(path.to_owned());
        Ok(())
    }

    fn file(&mut self, path: &Path, entry: &mut impl Read, executable: bool, mtime: SystemTime) -> Result<()> {
        if path.as_os_str().is_empty() {
            return Err(self.hostile("it has a file at its top instead of a directory"));
        }
        if let Some(parent) = path.parent() {
            self.make_directories(parent)?;
        }
        let file = NewFile { path: path.to_owned(), target: self.into.join(path), executable, mtime };
        let mut first = Vec::with_capacity(WriteBehind::SMALL);
        self.read_piece(entry, &mut first)?;
        if first.len() < WriteBehind::SMALL {
            self.writers.write(file, first)?;
        } else {
            // A large file would take a writer's memory, and its writing does not wait for others.
            let mut open = file.create(self.name)?;
            let mut piece = first;
            while !piece.is_empty() {
                open.write_all(&piece).map_err(|error| fs::with_path(&file.target, error))?;
                piece.clear();
                self.read_piece(entry, &mut piece)?;
            }
            file.close(&open)?;
        }
        self.files += 1;
        Ok(())
    }

    /// Reads up to [`WriteBehind::SMALL`] bytes; fewer are the last of the entry.
    fn read_piece(&mut self, entry: &mut impl Read, piece: &mut Vec<u8>) -> Result<()> {
        let read = entry.take(WriteBehind::SMALL as u64).read_to_end(piece);
        self.bytes += read.map_err(|error| self.damaged(&error))? as u64;
        if self.bytes > MOST_BYTES {
            return Err(self.hostile(format!("it unpacks to more than {MOST_BYTES} bytes")));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Unpacked> {
        self.writers.finish()?;
        let Some(top) = self.top.clone() else {
            return Err(Error::Damaged { what: self.name.to_owned(), reason: "it is empty".into() });
        };
        // Last, so that no entry can be written through one.
        for (path, target) in &self.links {
            let link = self.into.join(path);
            if let Some(parent) = link.parent() {
                fs_err::create_dir_all(parent)?;
            }
            std::os::unix::fs::symlink(target, &link).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => self.hostile(format!("{} is there twice", path.display())),
                _ => fs::with_path(&link, error).into(),
            })?;
        }
        // Deepest first: making an entry changes the time of its directory.
        for (path, mtime) in self.directories.iter().rev() {
            let directory = self.into.join(path);
            let set = std::fs::File::open(&directory).and_then(|file| file.set_modified(*mtime));
            set.map_err(|error| fs::with_path(&directory, error))?;
        }
        Ok(Unpacked { top, newest: self.newest, files: self.files, bytes: self.bytes })
    }
}

fn type_name(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Link => "hard link",
        EntryType::Char | EntryType::Block => "device",
        EntryType::Fifo => "pipe",
        EntryType::GNUSparse => "sparse file",
        _ => "thing that is neither file, directory nor link",
    }
}
