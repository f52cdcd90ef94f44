//! Unpacks an untrusted tarball, and writes nothing outside the given directory.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::super::directory::Directory;
use super::super::fs;
use super::entries::{self, Entry, Limits, Member};
use super::threads::{NewFile, WriteBehind};
use crate::error::{Error, Result};

/// Facts about an unpacked archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The name of the one directory at its top. It is not created; its content is.
    pub top: String,
    /// The newest time stamp of an entry, in seconds since 1970.
    pub newest: u64,
    /// The number of files.
    pub files: u64,
    /// The size of all files in bytes.
    pub bytes: u64,
}

/// Unpacks a tarball with one directory at its top into an empty directory, without the top directory.
///
/// Nothing is written outside `into`: paths are plain, links stay within the tree and are created last,
/// and an entry that is neither file, directory nor link is refused. `name` is the archive's name for
/// errors.
///
/// # Errors
/// [`Error::HostileArchive`], [`Error::Damaged`], [`Error::Io`], [`Error::Interrupted`].
pub fn unpack(name: &str, reader: impl Read, into: &Path) -> Result<Unpacked> {
    unpack_within(Limits::USUAL, name, reader, into)
}

/// [`unpack`] into an open directory.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_into(name: &str, reader: impl Read, into: &Directory) -> Result<Unpacked> {
    unpack_into_within(Limits::USUAL, name, reader, into)
}

pub(super) fn unpack_within(limits: Limits, name: &str, reader: impl Read, into: &Path) -> Result<Unpacked> {
    unpack_into_within(limits, name, reader, &Directory::open(into)?)
}

fn unpack_into_within(limits: Limits, name: &str, reader: impl Read, into: &Directory) -> Result<Unpacked> {
    std::thread::scope(|scope| {
        let writers = WriteBehind::new(scope, name, into);
        let mut unpacker = Unpacker::new(name, into, limits, writers);
        let read = entries::read(name, reader, limits, &mut |entry| unpacker.entry(entry));
        // The reader's error explains more than the error of a writer that it stopped.
        let summary = read?;
        let (newest, top) = summary.map(|summary| (summary.newest, summary.top)).unwrap_or_default();
        unpacker.finish(top, newest)
    })
}

struct Unpacker<'a, 'scope> {
    name: &'a str,
    limits: Limits,
    writers: WriteBehind<'scope>,
    into: &'a Directory,
    made: HashSet<PathBuf>,
    /// The size in bytes of the names of all directories and links so far.
    names: usize,
    directories: Vec<(PathBuf, SystemTime)>,
    links: Vec<(PathBuf, PathBuf, u64)>,
    files: u64,
    bytes: u64,
}

impl<'a, 'scope> Unpacker<'a, 'scope> {
    fn new(name: &'a str, into: &'a Directory, limits: Limits, writers: WriteBehind<'scope>) -> Self {
        Self {
            name,
            limits,
            writers,
            into,
            made: HashSet::from([PathBuf::new()]),
            names: 0,
            directories: Vec::new(),
            links: Vec::new(),
            files: 0,
            bytes: 0,
        }
    }

    fn hostile(&self, reason: impl Into<String>) -> Error {
        Error::HostileArchive { archive: self.name.to_owned(), reason: reason.into() }
    }

    fn entry(&mut self, entry: &mut Entry<'_>) -> Result<ControlFlow<()>> {
        let mtime = SystemTime::UNIX_EPOCH + Duration::from_secs(entry.mtime);
        let path = entry.path.clone();
        match std::mem::replace(&mut entry.member, Member::Directory) {
            Member::Directory => {
                self.count(&path)?;
                self.make_directories(&path)?;
                self.directories.push((path, mtime));
            }
            Member::File { executable, .. } => self.file(entry, executable, mtime)?,
            Member::Link(target) => {
                self.count(&path)?;
                self.count(&target)?;
                self.links.push((path, target, entry.mtime));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Counts a name against the limit.
    ///
    /// # Errors
    /// [`Error::HostileArchive`] beyond the limit.
    fn count(&mut self, name: &Path) -> Result<()> {
        self.names += name.as_os_str().len();
        if self.names > self.limits.names || self.made.len() > self.limits.entries {
            return Err(self.hostile("it has too many directories and links"));
        }
        Ok(())
    }

    fn make_directories(&mut self, path: &Path) -> Result<()> {
        if self.made.contains(path) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.make_directories(parent)?;
        }
        self.count(path)?;
        match self.into.make_directory(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(self.hostile(format!("{} occurs twice", path.display())));
            }
            Err(error) => return Err(fs::with_path(&self.into.path_of(path), error).into()),
        }
        self.made.insert(path.to_owned());
        Ok(())
    }

    fn file(&mut self, entry: &mut Entry<'_>, executable: bool, mtime: SystemTime) -> Result<()> {
        if let Some(parent) = entry.path.parent() {
            self.make_directories(parent)?;
        }
        let file = NewFile { path: entry.path.clone(), executable, mtime };
        let mut piece = Vec::with_capacity(WriteBehind::SMALL);
        entry.read_piece(WriteBehind::SMALL, &mut piece)?;
        self.bytes += piece.len() as u64;
        self.files += 1;
        if piece.len() < WriteBehind::SMALL {
            return self.writers.write(file, piece);
        }
        // A large file is written here: queueing it would cost memory.
        let mut open = file.create(self.name, self.into)?;
        while !piece.is_empty() {
            open.write_all(&piece).map_err(|error| fs::with_path(&self.into.path_of(&file.path), error))?;
            piece.clear();
            entry.read_piece(WriteBehind::SMALL, &mut piece)?;
            self.bytes += piece.len() as u64;
        }
        file.close(&open, self.into)
    }

    fn finish(mut self, top: String, newest: u64) -> Result<Unpacked> {
        self.writers.finish()?;
        // Links are created last, so that no entry can be written through one.
        for (path, target, mtime) in &self.links {
            let failed = |error| fs::with_path(&self.into.path_of(path), error);
            self.into.make_directories(path.parent().unwrap_or(path)).map_err(failed)?;
            self.into.make_link(target, path).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => self.hostile(format!("{} occurs twice", path.display())),
                _ => failed(error).into(),
            })?;
            self.into.set_link_time(path, *mtime).map_err(failed)?;
        }
        // Deepest first, because creating an entry changes the time of its directory.
        for (path, mtime) in self.directories.iter().rev() {
            let set = self.into.open_directory(path).and_then(|file| file.set_modified(*mtime));
            set.map_err(|error| fs::with_path(&self.into.path_of(path), error))?;
        }
        Ok(Unpacked { top, newest, files: self.files, bytes: self.bytes })
    }
}
