//! Locks between processes (`flock`). A lock ends with its process, however that ends. The lock file
//! stays: removing it would break the lock of the next process.

use std::fs::{OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::directory::Directory;
use super::fs::{open_plain, open_plain_with, with_path};
use super::{interrupt, log};
use crate::error::{Error, Result};
use crate::event::{Event, Holder, Reporter};

/// The time between two reports of a process that waits.
const REPORTED_EVERY: Duration = Duration::from_secs(30);
/// The largest note of a holder that is read.
const LARGEST_NOTE: u64 = 8 << 10;

/// A held lock. Dropping it releases the lock.
#[derive(Debug)]
pub struct Lock {
    // Closing the file releases the lock.
    file: std::fs::File,
    /// Whether this process wrote a note into the file.
    has_note: bool,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.has_note {
            // The next holder may be a program that writes none.
            let _emptied = self.file.set_len(0);
        }
    }
}

/// What a holder writes into its lock file for those who wait.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    pid: u32,
    /// The time when the lock was taken, in seconds since 1970.
    since: u64,
    /// The log of the build that holds it.
    log: Option<PathBuf>,
}

impl Note {
    fn of_this_process() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { pid: std::process::id(), since: since.as_secs(), log: None }
    }

    fn write(&self, file: &std::fs::File) {
        // Those who wait can do without it.
        let Ok(bytes) = serde_json::to_vec(self) else { return };
        let _written = file.set_len(0).and_then(|()| file.write_all_at(&bytes, 0));
    }

    /// Reads the note of the process that holds a lock; none if it wrote none.
    fn read(path: &Path) -> Option<Self> {
        let mut bytes = Vec::new();
        open_plain(path).ok()?.take(LARGEST_NOTE).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn holder(self) -> Holder {
        // Another process wrote the time, and it may be none.
        let since = UNIX_EPOCH.checked_add(Duration::from_secs(self.since));
        let held = since.and_then(|since| SystemTime::now().duration_since(since).ok()).unwrap_or_default();
        Holder { pid: self.pid, held, step: self.log.as_deref().and_then(log::last_program) }
    }
}

impl Lock {
    /// Takes an exclusive lock, and creates the lock file. It waits for another holder and reports
    /// [`Event::Waiting`] at once and every 30 seconds; `what` names the locked thing for the user.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be created or locked, [`Error::Interrupted`].
    pub fn acquire(path: &Path, what: &str, reporter: &dyn Reporter) -> Result<Self> {
        Self::wait(path, what, reporter, Self::try_acquire)
    }

    /// Takes an exclusive lock where others may write, and creates the lock file. It waits like [`Self::acquire`], but
    /// nothing is written into the file, and nothing that it says is believed.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be created or locked, or has another name too; [`Error::Interrupted`].
    pub fn acquire_among_others(path: &Path, what: &str, reporter: &dyn Reporter) -> Result<Self> {
        let attempt = |path: &Path| {
            let file = open_to_lock(path)?;
            // What it is elsewhere, others may hold for ever.
            if file.metadata().map_err(|error| with_path(path, error))?.nlink() != 1 {
                let reason = io::Error::new(io::ErrorKind::PermissionDenied, "it is a hard link of another file");
                return Err(with_path(path, reason).into());
            }
            Self::try_lock(file, path)
        };
        Self::wait_for(path, what, reporter, |_| None, attempt)
    }

    /// Takes an exclusive lock on a directory itself, so that no lock file is left. It waits like
    /// [`Self::acquire`].
    ///
    /// # Errors
    /// [`Error::Io`] if the directory cannot be opened or locked, [`Error::Interrupted`].
    pub fn acquire_directory(directory: &Directory, what: &str, reporter: &dyn Reporter) -> Result<Self> {
        Self::wait(directory.path(), what, reporter, |path| Self::try_lock(directory.file()?, path))
    }

    /// Takes a shared lock on an existing file. It keeps out processes that want to remove the file, but no
    /// other reader. It waits like [`Self::acquire`]. Returns `None` if the file does not exist.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be opened or locked, [`Error::Interrupted`].
    pub fn share(path: &Path, what: &str, reporter: &dyn Reporter) -> Result<Option<Self>> {
        let attempt = |path: &Path| {
            let file = match open_plain(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(None)),
                Err(error) => return Err(with_path(path, error).into()),
            };
            match file.try_lock_shared() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                // Without locks on this file system, pruning fails, so nothing removes the file.
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(error)) => return Err(not_locked(path, &error)),
            }
            let lock = Self { file, has_note: false };
            // The previous holder may have removed the file, and another process may have created it again.
            Ok(lock.is_of(path)?.then_some(Some(lock)))
        };
        Self::wait(path, what, reporter, attempt)
    }

    /// Names the log of the build that holds the lock, for those who wait for it.
    pub fn set_log(&self, log: &Path) {
        if !self.has_note {
            return;
        }
        Note { log: Some(log.to_owned()), ..Note::of_this_process() }.write(&self.file);
    }

    /// Whether the locked file is still the one at `path`.
    fn is_of(&self, path: &Path) -> Result<bool> {
        let own = self.file.metadata()?;
        match std::fs::metadata(path) {
            Ok(there) => Ok((own.dev(), own.ino()) == (there.dev(), there.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(with_path(path, error).into()),
        }
    }

    fn wait<T>(
        path: &Path,
        what: &str,
        reporter: &dyn Reporter,
        attempt: impl Fn(&Path) -> Result<Option<T>>,
    ) -> Result<T> {
        Self::wait_for(path, what, reporter, |path| Note::read(path).map(Note::holder), attempt)
    }

    fn wait_for<T>(
        path: &Path,
        what: &str,
        reporter: &dyn Reporter,
        holder: impl Fn(&Path) -> Option<Holder>,
        attempt: impl Fn(&Path) -> Result<Option<T>>,
    ) -> Result<T> {
        let (started, mut last) = (Instant::now(), None);
        loop {
            if let Some(lock) = attempt(path)? {
                return Ok(lock);
            }
            if is_due(started.elapsed(), last) {
                let waited = last.map_or(Duration::ZERO, |_| started.elapsed());
                let holder = holder(path);
                reporter.report(Event::Waiting { what: what.to_owned(), lock: path.to_owned(), waited, holder });
                last = Some(started.elapsed());
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
        let mut lock = Self::try_lock(open_to_lock(path)?, path)?;
        // A file with another name too is no place for a note.
        if let Some(lock) = lock.as_mut().filter(|lock| lock.file.metadata().is_ok_and(|found| found.nlink() == 1)) {
            lock.has_note = true;
            Note::of_this_process().write(&lock.file);
        }
        Ok(lock)
    }

    /// Takes an exclusive lock on an existing file without waiting, and creates no file.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be opened or locked.
    pub fn try_existing(path: &Path) -> Result<Attempt> {
        // NFS locks only files that are open for writing.
        let opened = match open_plain_with(OpenOptions::new().read(true).write(true), path) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
            {
                open_plain(path)
            }
            other => other,
        };
        match opened {
            Ok(file) => Ok(Self::try_lock(file, path)?.map_or(Attempt::Held, Attempt::Locked)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Attempt::Absent),
            Err(error) => Err(with_path(path, error).into()),
        }
    }

    fn try_lock(file: std::fs::File, path: &Path) -> Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file, has_note: false })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(not_locked(path, &error)),
        }
    }
}

/// Opens a lock file, and creates it if there is none.
fn open_to_lock(path: &Path) -> Result<std::fs::File> {
    let opened = open_plain_with(OpenOptions::new().create(true).truncate(false).write(true), path);
    Ok(opened.map_err(|error| with_path(path, error))?)
}

/// Whether a process that waits is to report it again.
fn is_due(waited: Duration, last: Option<Duration>) -> bool {
    last.is_none_or(|last| waited.saturating_sub(last) >= REPORTED_EVERY)
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
    fn a_holder_says_who_it_is_and_what_it_does() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.lock");
        let lock = Lock::acquire(&path, "a thing", &Silent).unwrap();
        let holder = Note::read(&path).unwrap().holder();
        assert_eq!((holder.pid, holder.step), (std::process::id(), None));
        assert!(holder.held < Duration::from_mins(1));
        let log = directory.path().join("x.log");
        std::fs::write(&log, "$ ./configure --prefix=/x\nchecking\n$ make -s 'A=b c' all\ngcc -c x.c\n").unwrap();
        lock.set_log(&log);
        assert_eq!(Note::read(&path).unwrap().holder().step.as_deref(), Some("make all"));
        // A note that is damaged, or of another program, is none.
        std::fs::write(&path, "x").unwrap();
        assert!(Note::read(&path).is_none());
        drop(lock);
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_note_that_lies_does_no_harm() {
        let directory = tempfile::tempdir().unwrap();
        let (path, log) = (directory.path().join("x.lock"), directory.path().join("x.log"));
        std::fs::write(directory.path().join("other"), "$ make all\n").unwrap();
        std::os::unix::fs::symlink("other", &log).unwrap();
        let note = Note { pid: 1, since: u64::MAX, log: Some(log) };
        std::fs::write(&path, serde_json::to_vec(&note).unwrap()).unwrap();
        let holder = Note::read(&path).unwrap().holder();
        assert_eq!((holder.held, holder.step), (Duration::ZERO, None));
    }

    #[test]
    fn among_others_nothing_is_written_into_a_lock_file_and_no_other_file_is_locked() {
        let directory = tempfile::tempdir().unwrap();
        let (path, precious) = (directory.path().join("push.lock"), directory.path().join("precious"));
        std::fs::write(&path, "text").unwrap();
        let lock = Lock::acquire_among_others(&path, "a remote", &Silent).unwrap();
        lock.set_log(Path::new("/x"));
        assert!(Lock::try_acquire(&path).unwrap().is_none());
        drop(lock);
        assert_eq!(std::fs::read(&path).unwrap(), b"text");

        std::fs::remove_file(&path).unwrap();
        std::fs::write(&precious, "text").unwrap();
        std::fs::hard_link(&precious, &path).unwrap();
        let error = Lock::acquire_among_others(&path, "a remote", &Silent).unwrap_err().to_string();
        assert!(error.contains("push.lock") && error.contains("hard link"), "{error}");
        // Elsewhere too nothing is written into a file with two names.
        drop(Lock::acquire(&path, "a thing", &Silent).unwrap());
        assert_eq!(std::fs::read(&precious).unwrap(), b"text");
    }

    #[test]
    fn who_waits_says_so_at_once_and_every_30_seconds() {
        let at = Duration::from_secs;
        assert!(is_due(at(0), None));
        assert!(!is_due(at(29), Some(at(0))));
        assert!(is_due(at(30), Some(at(0))));
        assert!(!is_due(at(59), Some(at(30))));
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
