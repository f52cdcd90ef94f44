//! The local store: where artifacts, verified sources, profiles and logs live between runs.
//!
//! Each thing is addressed by a digest: a source by its own, an artifact by its build key. Readers see
//! whole entries or none. What is read back is verified, and what is damaged is set aside.
//! `docs/store.md` draws the layout.

mod adoption;
pub mod artifact;
mod contents;
mod entries;
mod files;
#[cfg(test)]
pub(crate) mod fixtures;
mod intermediates;
pub mod profile;
mod prune;
mod publication;
pub mod remote;
mod sources;
mod tarball;
mod trust;
mod work;

use std::path::{Path, PathBuf};

pub use adoption::Received;
pub use contents::{Contents, Item, Kind, Need, NeededBy};
pub use entries::{CacheStatus, EntryLock, StoredArtifact, debug_file, manifest_file};
pub use profile::HeldProfile;
pub use prune::{Policy, Pruned, select};
pub use publication::Publication;
pub use sources::{SourceSlot, StoredSource};
pub use work::{WorkDirectory, check_work_place};

use crate::error::{Error, Result};
use crate::event::Silent;
use crate::sys::fs;
use crate::sys::lock::Lock;

/// The content of `CACHEDIR.TAG`, by which backup programs know a cache: <https://bford.info/cachedir/>.
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# This directory is pykeel's store.\n";

/// A store in a directory of this machine, or in one that several machines share.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    /// Whether intermediates are read and written.
    intermediates: bool,
}

impl Store {
    /// Opens a store. Nothing is created before something is kept.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), intermediates: true }
    }

    /// The same store without intermediates: a build in it neither reads nor writes them.
    #[must_use]
    pub fn without_intermediates(&self) -> Self {
        Self { root: self.root.clone(), intermediates: false }
    }

    /// The store's directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file of a build's log; its directory is created.
    ///
    /// # Errors
    /// [`Error::Io`] if the directory cannot be created.
    pub fn log(&self, name: &str) -> Result<PathBuf> {
        Ok(self.subdirectory("logs")?.join(format!("{name}.log")))
    }

    /// A directory of the store, created if it is missing.
    fn subdirectory(&self, name: &str) -> Result<PathBuf> {
        self.require_trust()?;
        let path = self.root.join(name);
        if !path.is_dir() {
            fs_err::create_dir_all(&path)?;
            let tag = self.root.join("CACHEDIR.TAG");
            if !tag.exists() {
                fs_err::write(tag, CACHEDIR_TAG)?;
            }
        }
        Ok(path)
    }

    /// Moves something damaged to `damaged/` and returns its new place; none if another process has done so.
    fn quarantine(&self, path: &Path) -> Result<Option<PathBuf>> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let place = self.subdirectory("damaged")?.join(format!("{name}-{}", files::now()));
        // A second one in the same second: renaming replaces a file, and not a directory.
        if place.is_dir() {
            fs::remove_tree(&place)?;
        }
        match fs_err::rename(path, &place) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            other => Ok(other.map(|()| Some(place))?),
        }
    }

    /// The lock that a process holds while it writes or removes a profile or an intermediate.
    fn kept_lock(&self) -> PathBuf {
        self.root.join("locks").join("kept.lock")
    }

    fn lock_kept(&self) -> Result<Lock> {
        self.subdirectory("locks")?;
        Lock::acquire(&self.kept_lock(), "what builds keep", &Silent)
    }

    /// Writes a profile or an intermediate atomically. Nobody prunes it while the returned lock lives.
    fn keep(&self, directory: &str, path: &Path, bytes: &[u8]) -> Result<Lock> {
        let lock = self.lock_kept()?;
        if files::read_if_there(path)?.is_none_or(|there| there != bytes) {
            self.subdirectory(directory)?;
            fs::write_atomically(path, bytes)?;
        }
        Ok(lock)
    }

    /// Sets a profile or an intermediate aside, unless another process has done so or has replaced it.
    fn quarantine_kept(&self, path: &Path, is_sound: impl Fn(&[u8]) -> bool) -> Result<Option<PathBuf>> {
        let _lock = self.lock_kept()?;
        match files::read_if_there(path)? {
            Some(bytes) if !is_sound(&bytes) => self.quarantine(path),
            _ => Ok(None),
        }
    }
}

/// The error for a file that another process removed while it was in use here.
fn removed(path: &Path) -> Error {
    Error::Damaged { what: path.display().to_string(), reason: "somebody removed it".into() }
}

/// Where something damaged is now, for messages.
fn set_aside_at(place: Option<PathBuf>) -> String {
    place.map_or("another process set it aside".to_owned(), |place| format!("it is now in {}", place.display()))
}
