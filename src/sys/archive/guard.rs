//! What an archive may say: names and numbers that whoever reads one can rely on.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use crate::error::{Error, Result};

/// The most that an archive may unpack to, in bytes. The source of CPython has 120 MB.
const MOST_BYTES: u64 = 4 << 30;
/// The most entries that an archive may have. The source of CPython has 5,000.
const MOST_ENTRIES: usize = 200_000;
/// The longest path, in bytes, and the most directories in one.
const LONGEST_PATH: usize = 1024;
const DEEPEST_PATH: usize = 64;

/// Watches over the entries of one archive.
pub(super) struct Guard<'a> {
    name: &'a str,
    top: Option<String>,
    entries: usize,
}

impl<'a> Guard<'a> {
    /// `name` is the archive's name for errors.
    pub(super) const fn new(name: &'a str) -> Self {
        Self { name, top: None, entries: 0 }
    }

    pub(super) const fn name(&self) -> &'a str {
        self.name
    }

    pub(super) fn hostile(&self, reason: impl Into<String>) -> Error {
        Error::HostileArchive { archive: self.name.to_owned(), reason: reason.into() }
    }

    pub(super) fn damaged(&self, error: &io::Error) -> Error {
        if error.raw_os_error().is_some() {
            // The system cannot read it, which says nothing of what it holds.
            return io::Error::new(error.kind(), format!("{}: {error}", self.name)).into();
        }
        Error::Damaged { what: self.name.to_owned(), reason: error.to_string() }
    }

    /// Whether an archive may hold that many bytes.
    pub(super) fn allows(&self, bytes: u64) -> Result<()> {
        if bytes > MOST_BYTES {
            return Err(self.hostile(format!("it unpacks to more than {MOST_BYTES} bytes")));
        }
        Ok(())
    }

    /// The path of the next entry below the one top directory; the top's own is empty.
    pub(super) fn path(&mut self, raw: &[u8]) -> Result<PathBuf> {
        self.entries += 1;
        if self.entries > MOST_ENTRIES {
            return Err(self.hostile(format!("it has more than {MOST_ENTRIES} entries")));
        }
        let shown = || String::from_utf8_lossy(&raw[..raw.len().min(100)]).into_owned();
        if raw.len() > LONGEST_PATH {
            return Err(self.hostile(format!("the path {}… is longer than {LONGEST_PATH} bytes", shown())));
        }
        let mut parts = Vec::new();
        for part in Path::new(OsStr::from_bytes(raw)).components() {
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

    /// The one directory at the top.
    pub(super) fn top(&self) -> Result<String> {
        let empty = || Error::Damaged { what: self.name.to_owned(), reason: "it is empty".into() };
        self.top.clone().ok_or_else(empty)
    }
}

/// What an entry is, in words.
pub(super) const fn type_name(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Link => "hard link",
        EntryType::Char | EntryType::Block => "device",
        EntryType::Fifo => "pipe",
        EntryType::GNUSparse => "sparse file",
        _ => "thing that is neither file, directory nor link",
    }
}
