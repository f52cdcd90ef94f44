//! Unpacking: reads a tarball with suspicion.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tar::EntryType;

use super::super::{fs, interrupt};
use super::guard::{Guard, type_name};
use super::threads::{NewFile, WriteBehind};
use crate::error::Result;

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
/// [`HostileArchive`](crate::error::Error::HostileArchive), [`Damaged`](crate::error::Error::Damaged), or what the
/// system answers.
pub fn unpack(name: &str, reader: impl Read, into: &Path) -> Result<Unpacked> {
    std::thread::scope(|scope| {
        let writers = WriteBehind::new(scope, name);
        let unpacker = Unpacker::new(name, into, writers);
        unpacker.run(reader)
    })
}

struct Unpacker<'a, 'scope> {
    guard: Guard<'a>,
    writers: WriteBehind<'scope>,
    into: &'a Path,
    made: HashSet<PathBuf>,
    directories: Vec<(PathBuf, SystemTime)>,
    links: Vec<(PathBuf, PathBuf)>,
    newest: u64,
    files: u64,
    bytes: u64,
}

impl<'a, 'scope> Unpacker<'a, 'scope> {
    fn new(name: &'a str, into: &'a Path, writers: WriteBehind<'scope>) -> Self {
        Self {
            guard: Guard::new(name),
            writers,
            into,
            made: HashSet::from([PathBuf::new()]),
            directories: Vec::new(),
            links: Vec::new(),
            newest: 0,
            files: 0,
            bytes: 0,
        }
    }

    fn run(mut self, reader: impl Read) -> Result<Unpacked> {
        let mut archive = tar::Archive::new(reader);
        for entry in archive.entries().map_err(|error| self.guard.damaged(&error))? {
            interrupt::check()?;
            let entry = entry.map_err(|error| self.guard.damaged(&error))?;
            self.entry(entry)?;
        }
        self.finish()
    }

    fn entry(&mut self, mut entry: tar::Entry<'_, impl Read>) -> Result<()> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            return Ok(());
        }
        let path = self.guard.path(&entry.path_bytes())?;
        let mtime = entry.header().mtime().map_err(|error| self.guard.damaged(&error))?;
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
                let mode = entry.header().mode().map_err(|error| self.guard.damaged(&error))?;
                self.file(&path, &mut entry, mode & 0o111 != 0, mtime)
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let target = PathBuf::from(std::ffi::OsStr::from_bytes(&target));
                if target.as_os_str().is_empty() || fs::link_target(&path, &target).is_none() {
                    let (path, target) = (path.display(), target.display());
                    return Err(self.guard.hostile(format!("the link {path} leads out of it, to {target}")));
                }
                self.links.push((path, target));
                Ok(())
            }
            other => Err(self.guard.hostile(format!("{} is a {}", path.display(), type_name(other)))),
        }
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
                return Err(self.guard.hostile(format!("{} is there twice", path.display())));
            }
            Err(error) => return Err(fs::with_path(&self.into.join(path), error).into()),
        }
        self.made.insert(path.to_owned());
        Ok(())
    }

    fn file(&mut self, path: &Path, entry: &mut impl Read, executable: bool, mtime: SystemTime) -> Result<()> {
        if path.as_os_str().is_empty() {
            return Err(self.guard.hostile("it has a file at its top instead of a directory"));
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
            let mut open = file.create(self.guard.name())?;
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
        self.bytes += read.map_err(|error| self.guard.damaged(&error))? as u64;
        self.guard.allows(self.bytes)
    }

    fn finish(mut self) -> Result<Unpacked> {
        self.writers.finish()?;
        let top = self.guard.top()?;
        // Last, so that no entry can be written through one.
        for (path, target) in &self.links {
            let link = self.into.join(path);
            if let Some(parent) = link.parent() {
                fs_err::create_dir_all(parent)?;
            }
            std::os::unix::fs::symlink(target, &link).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => self.guard.hostile(format!("{} is there twice", path.display())),
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
