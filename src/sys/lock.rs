//! Locks between processes, each a file that is held open. They end with the process, however it
//! ends; the file stays, for whoever removed it would break the lock of the next one.

use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::interrupt;
use crate::error::Result;
use crate::event::{Event, Reporter};

/// A lock that is held.
#[derive(Debug)]
pub struct Lock {
    // Closing the file releases it.
    _file: std::fs::File,
}

impl Lock {
    /// Takes a lock, waiting for whoever holds it; says once that it waits. `what` names the thing
    /// for the user.
    ///
    /// # Errors
    /// That the file cannot be made, or an interrupt.
    pub fn acquire(path: &Path, what: &str, reporter: &dyn Reporter) -> Result<Self> {
        Self::wait(path, what, reporter, Self::try_acquire)
    }

    /// Takes a lock on a directory itself, which leaves no file behind.
    ///
    /// # Errors
    /// That the directory cannot be opened, or an interrupt.
    pub fn acquire_directory(path: &Path, what: &str, reporter: &dyn Reporter) -> Result<Self> {
        Self::wait(path, what, reporter, |path| Self::try_lock(fs_err::File::open(path)?.into_parts().0, path))
    }

    fn wait(
        path: &Path,
        what: &str,
        reporter: &dyn Reporter,
        attempt: impl Fn(&Path) -> Result<Option<Self>>,
    ) -> Result<Self> {
        let mut said = false;
        loop {
            if let Some(lock) = attempt(path)? {
                return Ok(lock);
            }
            if !said {
                reporter.report(Event::Waiting { what: what.to_owned(), lock: PathBuf::from(path) });
                said = true;
            }
            interrupt::check()?;
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Takes a lock if nobody holds it.
    ///
    /// # Errors
    /// That the file cannot be made.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>> {
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent)?;
        }
        let file = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(path)?.into_parts().0;
        Self::try_lock(file, path)
    }

    fn try_lock(file: std::fs::File, path: &Path) -> Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(io::Error::new(error.kind(), format!("failed to lock `{}`: {error}", path.display())).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Silent;

    #[test]
    fn a_lock_keeps_others_out_until_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/down.lock");
        let lock = Lock::acquire(&path, "a thing", &Silent).unwrap();
        assert!(Lock::try_acquire(&path).unwrap().is_none());
        drop(lock);
        assert!(Lock::try_acquire(&path).unwrap().is_some());
    }
}
