//! Reads a tarball entry by entry, within limits. An archive cannot use more memory, disk or time than
//! a source of CPython may, and each entry has a plain path below the one directory at the top.

use std::cell::Cell;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use tar::EntryType;

use super::super::{fs, interrupt};
use crate::error::{Error, Result};

/// The limits on what an archive may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The unpacked size in bytes. The source of CPython has 120 MB.
    pub bytes: u64,
    /// The number of entries. The source of CPython has 5,000.
    pub entries: usize,
    /// The size in bytes of all names of directories and links, which stay in memory until the end.
    /// The source of CPython has 10 kB.
    pub names: usize,
    /// Why an archive with more bytes is refused.
    pub too_large: &'static str,
}

impl Limits {
    pub(super) const USUAL: Self = Self {
        bytes: 1 << 30,
        entries: 100_000,
        names: 16 << 20,
        too_large: "it unpacks to more than a source or an artifact has",
    };
}

/// The longest path, in bytes, and the most directories in one.
const LONGEST_PATH: usize = 1024;
const DEEPEST_PATH: usize = 64;
/// The longest file name that Linux accepts, in bytes.
const LONGEST_NAME: usize = 255;
/// The most bytes of headers between the contents of two files, such as long names.
const HEADERS: u64 = 1 << 20;
/// The latest time that file systems store, in seconds since 1970: in the year 2446.
const LATEST: u64 = 15_032_385_535;

/// The kind of an entry.
#[derive(Debug, PartialEq, Eq)]
pub enum Member {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Whether any of the three execute bits is set.
        executable: bool,
        /// The size in bytes.
        size: u64,
    },
    /// A symbolic link that stays within the tree, with its target.
    Link(PathBuf),
}

/// One entry of an archive.
pub struct Entry<'a> {
    /// The path below the top directory; empty for the top directory itself.
    pub path: PathBuf,
    /// What it is.
    pub member: Member,
    /// The time stamp in seconds since 1970.
    pub mtime: u64,
    content: &'a mut dyn Read,
    archive: &'a Archive<'a>,
}

impl Entry<'_> {
    /// Appends up to `most` bytes of the file to `piece`. Fewer bytes mean the end of the file.
    ///
    /// # Errors
    /// [`Error::HostileArchive`] beyond a limit, [`Error::Damaged`], [`Error::Io`].
    pub fn read_piece(&mut self, most: usize, piece: &mut Vec<u8>) -> Result<()> {
        let read = self.content.take(most as u64).read_to_end(piece);
        read.map(drop).map_err(|error| self.archive.failed(&error))
    }

    /// Calls `take` with the path and the content of the file.
    ///
    /// An [`Error::Io`] of `take` counts as a failure to read the archive, so `take` must do no other I/O.
    ///
    /// # Errors
    /// Those of `take`; [`Error::HostileArchive`] beyond a limit, [`Error::Damaged`], [`Error::Io`].
    pub(super) fn hand_over(&mut self, take: impl FnOnce(PathBuf, &mut dyn Read) -> Result<()>) -> Result<()> {
        take(self.path.clone(), self.content).map_err(|error| match error {
            Error::Io(error) => self.archive.failed(&error),
            other => other,
        })
    }
}

/// The name of an archive, for errors, and what is left of its limits.
pub(super) struct Archive<'a> {
    pub(super) name: &'a str,
    budget: Rc<Budget>,
}

/// What is left of the limits of an archive.
pub(super) struct Budget {
    bytes: Cell<u64>,
    headers: Cell<u64>,
    too_large: &'static str,
    exceeded: Cell<Option<&'static str>>,
}

impl Budget {
    fn spend(&self, left: &Cell<u64>, bytes: u64, reason: &'static str) -> io::Result<()> {
        let Some(rest) = left.get().checked_sub(bytes) else {
            self.exceeded.set(Some(reason));
            return Err(io::Error::other(reason));
        };
        left.set(rest);
        Ok(())
    }
}

/// A reader that fails when the budget is spent.
pub(super) struct Metered<R> {
    reader: R,
    budget: Rc<Budget>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buf)?;
        let Budget { bytes, headers, too_large, .. } = &*self.budget;
        self.budget.spend(bytes, read as u64, too_large)?;
        self.budget.spend(headers, read as u64, "it has a name or a header that does not end")?;
        Ok(read)
    }
}

impl<'a> Archive<'a> {
    /// Returns the archive, and a reader of it that keeps within the limits.
    pub(super) fn metered<R>(name: &'a str, reader: R, limits: Limits) -> (Self, Metered<R>) {
        let (bytes, headers) = (Cell::new(limits.bytes), Cell::new(HEADERS));
        let budget = Rc::new(Budget { bytes, headers, too_large: limits.too_large, exceeded: Cell::new(None) });
        (Self { name, budget: Rc::clone(&budget) }, Metered { reader, budget })
    }

    /// From here on a content is read, and not a header.
    pub(super) fn content_begins(&self) {
        self.budget.headers.set(u64::MAX);
    }

    /// Takes bytes that are not read from the archive.
    pub(super) fn spend(&self, bytes: u64) -> io::Result<()> {
        self.budget.spend(&self.budget.bytes, bytes, self.budget.too_large)
    }

    /// The bytes that may yet be read.
    pub(super) fn left(&self) -> u64 {
        self.budget.bytes.get()
    }

    /// The content is read.
    pub(super) fn content_ends(&self) {
        self.budget.headers.set(HEADERS);
    }

    pub(super) fn hostile(&self, reason: impl Into<String>) -> Error {
        Error::HostileArchive { archive: self.name.to_owned(), reason: reason.into() }
    }

    pub(super) fn failed(&self, error: &io::Error) -> Error {
        if let Some(reason) = self.budget.exceeded.get() {
            return self.hostile(reason);
        }
        if error.raw_os_error().is_some() {
            // The system cannot read the file; the archive itself may be intact.
            return io::Error::new(error.kind(), format!("{}: {error}", self.name)).into();
        }
        Error::Damaged { what: self.name.to_owned(), reason: error.to_string() }
    }

    /// Splits a path into the top directory and the path below it.
    ///
    /// # Errors
    /// [`Error::HostileArchive`] for a path that is too long or too deep, or that leads out of the tree.
    fn split(&self, raw: &[u8]) -> Result<(String, PathBuf)> {
        let shown = || String::from_utf8_lossy(&raw[..raw.len().min(100)]).into_owned();
        if raw.len() > LONGEST_PATH {
            return Err(self.hostile(format!("the path {}… is longer than {LONGEST_PATH} bytes", shown())));
        }
        if raw.contains(&0) {
            return Err(self.hostile(format!("the path {} has a NUL in it", shown().replace('\0', "␀"))));
        }
        let mut parts = Vec::new();
        for part in Path::new(OsStr::from_bytes(raw)).components() {
            match part {
                Component::Normal(part) if part.len() > LONGEST_NAME => {
                    return Err(self.hostile(format!("the name {}… is longer than {LONGEST_NAME} bytes", shown())));
                }
                Component::Normal(part) => parts.push(part),
                Component::CurDir => {}
                _ => return Err(self.hostile(format!("the path {} leads out of the archive", shown()))),
            }
        }
        if parts.len() > DEEPEST_PATH {
            return Err(self.hostile(format!("the path {}… has more than {DEEPEST_PATH} directories", shown())));
        }
        let Some((top, rest)) = parts.split_first() else {
            return Err(self.hostile("it has an entry without a name"));
        };
        Ok((top.to_string_lossy().into_owned(), rest.iter().collect()))
    }

    /// Returns the kind of an entry.
    ///
    /// # Errors
    /// [`Error::HostileArchive`] for an entry that is neither file, directory nor link, for a sparse file,
    /// and for a link that leads out of the tree.
    fn member(&self, path: &Path, entry: &mut tar::Entry<'_, impl Read>) -> Result<Member> {
        let failed = |error: io::Error| self.failed(&error);
        let kind = entry.header().entry_type();
        let sparse = match entry.pax_extensions().map_err(failed)? {
            None => false,
            Some(extensions) => {
                let mut sparse = false;
                for extension in extensions {
                    // The content of such a file says where its holes are.
                    sparse |= extension.map_err(failed)?.key_bytes().starts_with(b"GNU.sparse");
                }
                sparse
            }
        };
        if sparse {
            return Err(self.hostile(format!("{} is a sparse file", path.display())));
        }
        match kind {
            EntryType::Directory => Ok(Member::Directory),
            EntryType::Regular | EntryType::Continuous if path.as_os_str().is_empty() => {
                Err(self.hostile("it has a file at its top instead of a directory"))
            }
            EntryType::Regular | EntryType::Continuous => {
                let executable = entry.header().mode().map_err(failed)? & 0o111 != 0;
                Ok(Member::File { executable, size: entry.size() })
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let plain = !target.is_empty() && target.len() <= LONGEST_PATH && !target.contains(&0);
                let target = PathBuf::from(OsStr::from_bytes(&target));
                if plain && !path.as_os_str().is_empty() && fs::link_target(path, &target).is_some() {
                    return Ok(Member::Link(target));
                }
                let shown: String = target.display().to_string().chars().take(100).collect();
                Err(self.hostile(format!("the link {} leads out of the archive, to {shown}", path.display())))
            }
            other => Err(self.hostile(format!("{} is a {}", path.display(), type_name(other)))),
        }
    }
}

/// What is known about an archive after its last entry.
pub(super) struct Summary {
    /// The one directory at its top.
    pub top: String,
    /// The newest time stamp, in seconds since 1970.
    pub newest: u64,
}

/// Calls `take` with every entry until it returns `Break`. Returns `None` after a `Break`.
///
/// # Errors
/// [`Error::HostileArchive`], [`Error::Damaged`], [`Error::Io`], [`Error::Interrupted`], and those of
/// `take`.
pub(super) fn read(
    name: &str,
    reader: impl Read,
    limits: Limits,
    take: &mut dyn FnMut(&mut Entry<'_>) -> Result<ControlFlow<()>>,
) -> Result<Option<Summary>> {
    let (archive, metered) = Archive::metered(name, reader, limits);
    let failed = |error: io::Error| archive.failed(&error);
    let mut tar = tar::Archive::new(metered);
    let (mut first_top, mut newest) = (None, 0);
    for (number, entry) in tar.entries().map_err(failed)?.enumerate() {
        interrupt::check()?;
        let mut entry = entry.map_err(failed)?;
        if number >= limits.entries {
            return Err(archive.hostile(format!("it has more than {} entries", limits.entries)));
        }
        if matches!(entry.header().entry_type(), EntryType::XGlobalHeader) {
            // The limit on headers applies to its content.
            io::copy(&mut entry, &mut io::sink()).map_err(failed)?;
            archive.content_ends();
            continue;
        }
        let raw = entry.path_bytes().into_owned();
        let (top, path) = archive.split(&raw)?;
        let expected = first_top.get_or_insert_with(|| top.clone());
        if *expected != top {
            return Err(archive.hostile(format!("it has two directories at its top, {expected} and {top}")));
        }
        let member = archive.member(&path, &mut entry)?;
        let mtime = entry.header().mtime().map_err(failed)?.min(LATEST);
        newest = newest.max(mtime);
        archive.content_begins();
        let content: &mut dyn Read = &mut entry;
        let flow = take(&mut Entry { path, member, mtime, content, archive: &archive })?;
        if flow.is_break() {
            return Ok(None);
        }
        // The part that `take` did not read counts too.
        io::copy(&mut entry, &mut io::sink()).map_err(failed)?;
        archive.content_ends();
    }
    nothing_behind(&archive, &mut tar.into_inner())?;
    match first_top {
        Some(top) => Ok(Some(Summary { top, newest })),
        None => Err(Error::Damaged { what: name.to_owned(), reason: "it is empty".into() }),
    }
}

/// Checks that only zeros follow the end of an archive. Anything else would be content that nobody checks.
///
/// # Errors
/// [`Error::HostileArchive`], [`Error::Damaged`], [`Error::Io`].
fn nothing_behind(archive: &Archive<'_>, reader: &mut impl Read) -> Result<()> {
    let mut piece = [0; 4096];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) if piece[..read].iter().all(|byte| *byte == 0) => {}
            Ok(_) => return Err(archive.hostile("it has data after its end")),
            Err(error) => return Err(archive.failed(&error)),
        }
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
