//! The file `pykeel.lock`: reads, checks and writes it. `docs/lock.md` describes it, and
//! [`domain::pykeel_lock`](crate::domain::pykeel_lock) is its content.

mod document;
mod render;
#[cfg(test)]
mod tests;

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

pub use self::document::parse;
pub use self::render::render;
use crate::domain::pykeel_lock::PykeelLock;
use crate::error::{Error, Mistake, PykeelLockError, Result};
use crate::event::Reporter;
use crate::sys::directory::Directory;
use crate::sys::fs;
use crate::sys::lock::Lock;

/// The largest file that is read, in bytes. An entry has about two thousand.
const LARGEST: u64 = 4 << 20;

/// A lock as it was read.
#[derive(Debug)]
pub struct LockFile {
    path: PathBuf,
    /// The bytes, or `None` if there was no file.
    bytes: Option<Vec<u8>>,
    content: PykeelLock,
    /// Keeps other processes from writing it.
    _held: Option<Lock>,
}

impl LockFile {
    /// Reads a lock. One that is not there has no entries.
    ///
    /// # Errors
    /// [`PykeelLockError::NotALock`] for what is no regular file or too large, [`PykeelLockError::Mistake`] for a
    /// mistake in it, [`Error::Io`] if it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = read(path)?;
        let content = match &bytes {
            None => PykeelLock::default(),
            Some(bytes) => parse_bytes(&path.display().to_string(), bytes).map_err(PykeelLockError::Mistake)?,
        };
        Ok(Self { path: path.to_owned(), bytes, content, _held: None })
    }

    /// Reads a lock that has to be there.
    ///
    /// # Errors
    /// Those of [`read`](Self::read), and [`PykeelLockError::Absent`].
    pub fn read_existing(path: &Path) -> Result<Self> {
        let file = Self::read(path)?;
        if file.bytes.is_none() {
            return Err(PykeelLockError::Absent { path: path.to_owned() }.into());
        }
        Ok(file)
    }

    /// Reads a lock to change it. While the returned value lives, another process that does the same waits.
    ///
    /// # Errors
    /// Those of [`read`](Self::read), [`Error::Io`] if its directory cannot be locked, [`Error::Interrupted`].
    pub fn read_to_write(path: &Path, reporter: &dyn Reporter) -> Result<Self> {
        let parent = fs::directory_of(path);
        if !parent.is_dir() {
            let reason = format!("{} is not a directory", parent.display());
            return Err(PykeelLockError::NotALock { path: path.to_owned(), reason }.into());
        }
        let directory = Directory::open(parent)?;
        let held = Lock::acquire_directory(&directory, &path.display().to_string(), reporter)?;
        Ok(Self { _held: Some(held), ..Self::read(path)? })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says.
    #[must_use]
    pub const fn content(&self) -> &PykeelLock {
        &self.content
    }

    /// Writes another content, atomically.
    ///
    /// # Errors
    /// [`PykeelLockError::Changed`] if the file is not the one that was read; [`Error::Io`]. Then it is unchanged.
    pub fn write(&self, content: &PykeelLock) -> Result<()> {
        // An editor and git take no lock.
        if read(&self.path)? != self.bytes {
            return Err(PykeelLockError::Changed { lock: self.path.clone() }.into());
        }
        fs::write_atomically(&self.path, render(content).as_bytes())
    }
}

/// Parses the bytes of a lock; `file` is its name for messages.
///
/// # Errors
/// [`Mistake`] for the first mistake, with its place.
pub fn parse_bytes(file: &str, bytes: &[u8]) -> Result<PykeelLock, Mistake> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(file, text),
        Err(error) => {
            let text = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            Err(Mistake::at(file, &text, text.len(), "the file is not UTF-8 here"))
        }
    }
}

/// The bytes of a file; `None` if there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let not_a_lock = |reason: &str| PykeelLockError::NotALock { path: path.to_owned(), reason: reason.to_owned() };
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => return Err(not_a_lock("it is a symbolic link").into()),
        Ok(found) if found.is_dir() => return Err(not_a_lock("it is a directory").into()),
        Ok(found) if !found.is_file() => return Err(not_a_lock("it is not a regular file").into()),
        Ok(found) if found.len() > LARGEST => return Err(not_a_lock(TOO_LARGE).into()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::from(fs::with_path(path, error))),
    }
    let read = fs::open_plain(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = read.map_err(|error| fs::with_path(path, error))?;
    // It may have grown meanwhile.
    if bytes.len() as u64 > LARGEST { Err(not_a_lock(TOO_LARGE).into()) } else { Ok(Some(bytes)) }
}

const TOO_LARGE: &str = "it is larger than 4 MiB";
