//! Locks between processes (`flock`). A lock ends with its process, however that ends. The lock file
//! stays: removing it would break the lock of the next process.

use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::interrupt;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};

/// A held lock. Dropping it releases the lock.
#[derive(Debug)]
pub struct Lock {
    // Closing the file releases the lock.
    file: std::fs::File,
}

impl Lock {
    /// Takes an exclusive lock, and creates the lock file. It waits for another holder and reports
    /// [`Event::Waiting`] once; `what` names the locked thing for the user.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be created or locked, [`Error::Interrupted`].
    pub fn acquire(path: &Path, what: &str, reporter: &dyn Reporter) -> Result<Self> {
        Self::wait(path, what, reporter, Self::try_acquire)
    }

    /// Takes an exclusive lock on a directory itself, so that no lock file is left. It waits like
    /// [`Self::acquire`].
    ///
    /// # Errors
    /// [`Error::Io`] if the directory cannot be opened or locked, [`Error::Interrupted`].
    pub fn acquire_directory(path: &Path, what: &str, reporter: &dyn Reporter) -> Result<Self> {
        Self::wait(path, what, reporter, |path| Self::try_lock(fs_err::File::open(path)?.into_parts().0, path))
    }

    /// Takes a shared lock on an existing file. It keeps out processes that want to remove the file, but no
    /// other reader. It waits like [`Self::acquire`]. Returns `None` if the file does not exist.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be opened or locked, [`Error::Interrupted`].
    pub fn share(path: &Path, what: &str, reporter: &dyn Reporter) -> Result<Option<Self>> {
        let attempt = |path: &Path| {
            let file = match std::fs::File::open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(None)),
                Err(error) => return Err(super::fs::with_path(path, error).into()),
            };
            match file.try_lock_shared() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                // Without locks on this file system, pruning fails, so nothing removes the file.
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(error)) => return Err(not_locked(path, &error)),
            }
            let lock = Self { file };
            // The previous holder may have removed the file, and another process may have created it again.
            Ok(lock.is_of(path)?.then_some(Some(lock)))
        };
        Self::wait(path, what, reporter, attempt)
    }

    /// Whether the locked file is still the one at `path`.
    fn is_of(&self, path: &Path) -> Result<bool> {
        let own = self.file.metadata()?;
        match std::fs::metadata(path) {
            Ok(there) => Ok((own.dev(), own.ino()) == (there.dev(), there.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(super::fs::with_path(path, error).into()),
        }
    }

    fn wait<T>(
        path: &Path,
        what: &str,
        reporter: &dyn Reporter,
        attempt: impl Fn(&Path) -> Result<Option<T>>,
    ) -> Result<T> {
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

    /// Takes an exclusive lock without waiting. Returns `None` if another process holds it.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be created or locked.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>> {
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent)?;
        }
        let file = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(path)?.into_parts().0;
        Self::try_lock(file, path)
    }

    /// Takes an exclusive lock on an existing file without waiting, and creates no file.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be opened or locked.
    pub fn try_existing(path: &Path) -> Result<Attempt> {
        // NFS locks only files that are open for writing.
        let opened = match std::fs::OpenOptions::new().read(true).write(true).open(path) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
            {
                std::fs::File::open(path)
            }
            other => other,
        };
        match opened {
            Ok(file) => Ok(Self::try_lock(file, path)?.map_or(Attempt::Held, Attempt::Locked)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Attempt::Absent),
            Err(error) => Err(super::fs::with_path(path, error).into()),
        }
    }

    fn try_lock(file: std::fs::File, path: &Path) -> Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(not_locked(path, &error)),
        }
    }
}

/// The result of [`Lock::try_existing`].
#[derive(Debug)]
pub enum Attempt {
    /// The file is locked now.
    Locked(Lock),
    /// Another process holds or shares the lock.
    Held,
    /// The file does not exist.
    Absent,
}

fn not_locked(path: &Path, error: &io::Error) -> Error {
    io::Error::new(error.kind(), format!("failed to lock `{}`: {error}", path.display())).into()
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

    #[test]
    fn readers_share_a_file_and_keep_out_who_would_remove_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert!(Lock::share(&path, "a thing", &Silent).unwrap().is_none());
        assert!(matches!(Lock::try_existing(&path).unwrap(), Attempt::Absent));
        std::fs::write(&path, "").unwrap();
        let one = Lock::share(&path, "a thing", &Silent).unwrap();
        let other = Lock::share(&path, "a thing", &Silent).unwrap();
        assert!(one.is_some() && other.is_some());
        assert!(matches!(Lock::try_existing(&path).unwrap(), Attempt::Held));
        drop((one, other));
        assert!(matches!(Lock::try_existing(&path).unwrap(), Attempt::Locked(_)));
    }

    #[test]
    fn a_reader_that_waited_for_a_removal_finds_nothing_or_what_is_new() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "old").unwrap();
        for made_anew in [true, false] {
            let Attempt::Locked(remover) = Lock::try_existing(&path).unwrap() else { panic!("it is held") };
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| Lock::share(&path, "a thing", &Silent).unwrap());
                std::fs::remove_file(&path).unwrap();
                if made_anew {
                    std::fs::write(&path, "new").unwrap();
                }
                drop(remover);
                let lock = reader.join().unwrap();
                assert_eq!(lock.is_some(), made_anew);
                assert!(lock.is_none_or(|lock| lock.is_of(&path).unwrap()));
            });
        }
    }
}
