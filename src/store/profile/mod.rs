//! Profiles in a store, each named by the digest of its archive.

mod archive;

use std::path::PathBuf;

pub use archive::{Recording, data_files, open, pack};

use super::files::{note_use, read_if_there};
use super::{Store, removed, set_aside_at};
use crate::domain::digest::Digest;
use crate::error::Result;
use crate::event::{Event, Reporter, Silent};
use crate::sys::lock::Lock;

/// A profile in a store. It is not pruned while this value lives.
#[derive(Debug)]
pub struct HeldProfile {
    _use: Lock,
}

impl Store {
    /// The archive of a profile with a digest, if it is there. A damaged one is set aside and counts as
    /// missing.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if it cannot be read or set aside.
    pub fn profile(&self, digest: Digest, reporter: &dyn Reporter) -> Result<Option<Vec<u8>>> {
        self.require_trust()?;
        let path = self.profile_path(digest);
        let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
        let found = Digest::of(&bytes);
        if found == digest {
            note_use(&path);
            return Ok(Some(bytes));
        }
        let place = set_aside_at(self.quarantine_kept(&path, |bytes| Digest::of(bytes) == digest)?);
        reporter.report(Event::Warning(format!(
            "the stored profile {digest} is damaged (it has the SHA-256 {found}); {place}"
        )));
        Ok(None)
    }

    /// Keeps the archive of a profile, and holds it.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if it cannot be written or locked,
    /// [`Error::Damaged`](crate::error::Error::Damaged) if another process removed it meanwhile.
    pub fn keep_profile(&self, archive: &[u8]) -> Result<HeldProfile> {
        let digest = Digest::of(archive);
        let path = self.profile_path(digest);
        let _until_held = self.keep("profiles", &path, archive)?;
        self.hold_profile(digest, &Silent)?.ok_or_else(|| removed(&path))
    }

    /// Keeps a profile that is there from being pruned, and records that it was used; none if it is not
    /// there.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if it cannot be locked,
    /// [`Error::Interrupted`](crate::error::Error::Interrupted) while it waits.
    pub fn hold_profile(&self, digest: Digest, reporter: &dyn Reporter) -> Result<Option<HeldProfile>> {
        let path = self.profile_path(digest);
        let lock = Lock::share(&path, &format!("the profile {}", digest.short()), reporter)?;
        Ok(lock.map(|lock| {
            note_use(&path);
            HeldProfile { _use: lock }
        }))
    }

    /// The file of the profile with a digest, whether or not it is there.
    #[must_use]
    pub fn profile_path(&self, digest: Digest) -> PathBuf {
        self.root.join("profiles").join(format!("{digest}.tar.xz"))
    }
}
