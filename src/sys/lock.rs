//! Locks between processes, each a file that is held open. They end with the process, however it
//! ends; the file stays, for whoever removed it would break the lock of the next one.

use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::interrupt;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};

/// A lock that is held.
#[derive(Debug)]
pub struct Lock {
    // Closing the file releases it.
    file: std::fs::File,
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

    /// Takes a shared lock on a file that is there, to read what it stands for: it keeps out who
    /// wants to remove it, and no other reader. None if the file is not there.
    ///
    /// # Errors
    /// That the file cannot be opened, or an interrupt.
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
                // Where nobody can lock, nobody can remove what is locked either.
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(error)) => return Err(not_locked(path, &error)),
            }
            let lock = Self { file };
            // Whoever had it before may have removed it, and another may have made it anew.
            Ok(lock.is_of(path)?.then_some(Some(lock)))
        };
        Self::wait(path, what, reporter, attempt)
    }

    /// Whether the file that is locked is still the one at a path.
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

    /// Takes a lock on a file that is there if nobody holds or shares it. A file that is not there
    /// is held by nobody.
    ///
    /// # Errors
    /// That the file cannot be opened.
    pub fn try_existing(path: &Path) -> Result<Attempt> {
        // Over NFS only a file that is open for writing can be locked.
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

/// What came of an attempt to lock a file that need not be there.
#[derive(Debug)]
pub enum Attempt {
    /// It is locked now.
    Locked(Lock),
    /// Somebody else holds or shares it.
    Held,
    /// There is no such file.
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
