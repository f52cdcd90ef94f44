//! Source archives in a store, each named by its digest.

use std::path::{Path, PathBuf};

use super::files::note_use;
use super::{Store, removed, set_aside_at};
use crate::domain::digest::Digest;
use crate::error::Result;
use crate::event::{Event, Reporter, Silent};
use crate::sys::fs;
use crate::sys::lock::Lock;

/// The right to add one source archive to the store, held by one process, and the file to download it
/// to. Dropping the slot removes the file, unless it was kept.
#[derive(Debug)]
pub struct SourceSlot {
    digest: Digest,
    part: PathBuf,
    _lock: Lock,
}

impl SourceSlot {
    /// The digest that the archive must have.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The file to download the archive to.
    #[must_use]
    pub fn part(&self) -> &Path {
        &self.part
    }
}

impl Drop for SourceSlot {
    fn drop(&mut self) {
        // After `keep_source`, or before the first byte, there is no file. A destructor cannot return
        // another error, and the next download replaces the file.
        let _absent = std::fs::remove_file(&self.part);
    }
}

/// A source archive in a store. It is not pruned while this value lives.
#[derive(Debug)]
pub struct StoredSource {
    path: PathBuf,
    _use: Lock,
}

impl StoredSource {
    /// The archive's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store {
    /// The verified source archive with a digest, if it is there. A damaged one is set aside and counts
    /// as missing.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if it cannot be read, locked or set aside.
    pub fn source(&self, digest: Digest, reporter: &dyn Reporter) -> Result<Option<StoredSource>> {
        self.require_trust()?;
        let path = self.source_path(digest);
        let what = format!("the source {}", digest.short());
        let Some(lock) = Lock::share(&path, &what, reporter)? else { return Ok(None) };
        let found = Digest::of_reader(fs_err::File::open(&path)?)?;
        if found == digest {
            note_use(&path);
            return Ok(Some(StoredSource { path, _use: lock }));
        }
        let place = set_aside_at(self.quarantine(&path)?);
        reporter.report(Event::Warning(format!(
            "the stored source {digest} is damaged (it has the SHA-256 {found}); {place}"
        )));
        Ok(None)
    }

    /// The right to download a source archive. Waits for another process that downloads it.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if the lock cannot be created,
    /// [`Error::Interrupted`](crate::error::Error::Interrupted) while it waits.
    pub fn reserve_source(&self, digest: Digest, reporter: &dyn Reporter) -> Result<SourceSlot> {
        self.subdirectory("locks")?;
        let lock_path = self.source_lock(digest);
        let lock = Lock::acquire(&lock_path, &format!("the download of the source {}", digest.short()), reporter)?;
        let part = self.subdirectory("sources")?.join(format!("{digest}.part"));
        Ok(SourceSlot { digest, part, _lock: lock })
    }

    /// Keeps the archive of a slot. The caller has checked that it has the slot's digest.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if it cannot be synced or renamed,
    /// [`Error::Damaged`](crate::error::Error::Damaged) if another process removed it meanwhile.
    pub fn keep_source(&self, slot: SourceSlot) -> Result<StoredSource> {
        let path = self.source_path(slot.digest());
        fs_err::File::open(slot.part())?.sync_all()?;
        fs_err::rename(slot.part(), &path)?;
        fs::sync_directory(&self.root.join("sources"))?;
        let what = format!("the source {}", slot.digest().short());
        let lock = Lock::share(&path, &what, &Silent)?.ok_or_else(|| removed(&path))?;
        // Only now: a removal needs the slot's lock too.
        drop(slot);
        Ok(StoredSource { path, _use: lock })
    }

    pub(super) fn source_path(&self, digest: Digest) -> PathBuf {
        self.root.join("sources").join(digest.to_string())
    }

    /// The lock that a process holds while it downloads or removes a source.
    pub(super) fn source_lock(&self, digest: Digest) -> PathBuf {
        self.root.join("locks").join(format!("source-{digest}.lock"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_source_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        let digest = Digest::of("source");
        let slot = store.reserve_source(digest, &Silent).unwrap();
        fs_err::write(slot.part(), "source").unwrap();
        let path = store.keep_source(slot).unwrap().path().to_owned();
        assert_eq!(store.source(digest, &Silent).unwrap().unwrap().path(), path);
        fs_err::write(&path, "sourcE").unwrap();
        assert!(store.source(digest, &Silent).unwrap().is_none());
        assert!(!path.exists());
    }

    #[test]
    fn a_slot_that_is_not_kept_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        let slot = store.reserve_source(Digest::of("source"), &Silent).unwrap();
        let part = slot.part().to_owned();
        fs_err::write(&part, "half").unwrap();
        drop(slot);
        assert!(!part.exists());
    }
}
