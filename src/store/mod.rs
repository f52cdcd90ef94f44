//! Where artifacts, verified sources and logs live between runs.
//!
//! A store is addressed by digests: a source by its own, an artifact by its build key. Readers see
//! whole entries or none. What is read back is verified; what is damaged is set aside by name.

pub mod artifact;
mod contents;
mod local;
pub mod profile;
mod prune;
mod work;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use contents::{Contents, Item, Kind, Need, NeededBy};
pub use local::LocalStore;
pub use prune::{Policy, Pruned, select};
pub use work::WorkDirectory;

use crate::domain::artifact::{ArtifactName, ArtifactRecord, Format};
use crate::domain::digest::Digest;
use crate::domain::manifest::Manifest;
use crate::error::{Error, Result};
use crate::event::Reporter;
use crate::sys::lock::Lock;

/// What a look-up by build key finds.
#[derive(Debug)]
pub enum CacheStatus {
    /// The artifact is there, whole.
    Hit(Box<StoredArtifact>),
    /// It is not. Whoever has the lock is the one to build it.
    Miss(EntryLock),
}

/// The right to publish one entry, held by one process.
#[derive(Debug)]
pub struct EntryLock {
    build_key: Digest,
    _lock: Lock,
}

impl EntryLock {
    /// The build key of the entry.
    #[must_use]
    pub const fn build_key(&self) -> Digest {
        self.build_key
    }
}

/// The right to put one source archive into the store, held by one process, and the file to write
/// it to. The file goes when the slot does, unless it is kept.
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

    /// Where to write the archive.
    #[must_use]
    pub fn part(&self) -> &Path {
        &self.part
    }
}

impl Drop for SourceSlot {
    fn drop(&mut self) {
        // Kept or never written, it is not there; and there is nobody to tell of more.
        let _absent = std::fs::remove_file(&self.part);
    }
}

/// A source archive in a store. It is not pruned while this lives.
#[derive(Debug)]
pub struct StoredSource {
    path: PathBuf,
    _use: Lock,
}

impl StoredSource {
    /// The archive.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A profile in a store. It is not pruned while this lives.
#[derive(Debug)]
pub struct HeldProfile {
    _use: Lock,
}

/// An artifact in a store.
#[derive(Debug, Clone)]
pub struct StoredArtifact {
    /// What the store knows of it.
    pub record: ArtifactRecord,
    directory: PathBuf,
    /// What keeps it from being pruned: held by what was looked up, published or held.
    _held: Option<Arc<Lock>>,
}

impl StoredArtifact {
    /// The tarball.
    #[must_use]
    pub fn tarball(&self) -> PathBuf {
        self.directory.join(self.record.name.file(Format::Zst))
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.directory.join(manifest_file(&self.record.name))
    }

    /// Reads the manifest, and checks it against the record, and the record against it: there is no
    /// digest of the record.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`], [`Error::Damaged`], or what the system answers.
    pub fn read_manifest(&self) -> Result<Manifest> {
        let path = self.manifest();
        let what = || path.display().to_string();
        for path in [&path, &self.tarball()] {
            if !path.exists() {
                return Err(Error::Damaged { what: path.display().to_string(), reason: "it is missing".into() });
            }
        }
        let bytes = fs_err::read(&path)?;
        let (found, expected) = (Digest::of(&bytes), self.record.manifest_digest);
        if found != expected {
            return Err(Error::DigestMismatch { what: what(), found, expected });
        }
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| Error::Damaged { what: what(), reason: error.to_string() })?;
        let record = &self.record;
        let same = (&record.name, record.build_key, record.request_key, record.glibc_floor)
            == (&manifest.name, manifest.build_key, manifest.request_key, manifest.glibc_floor);
        if same {
            return Ok(manifest);
        }
        let what = self.directory.join("record.json").display().to_string();
        Err(Error::Damaged { what, reason: "it does not say what the manifest says".into() })
    }

    /// The tarball of debug files, where there is one.
    #[must_use]
    pub fn debug_tarball(&self) -> Option<PathBuf> {
        self.record.debug_digest.map(|_| self.directory.join(debug_file(&self.record.name)))
    }
}

/// The file name of the manifest beside a tarball.
#[must_use]
pub fn manifest_file(name: &ArtifactName) -> String {
    format!("{name}.manifest.json")
}

/// The file name of the tarball of debug files beside a tarball.
#[must_use]
pub fn debug_file(name: &ArtifactName) -> String {
    format!("{name}.debug.tar.{}", Format::Zst)
}

/// What is to be published.
#[derive(Debug)]
pub struct Publication<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// The `.tar.zst`.
    pub tarball: PathBuf,
    /// Its digest.
    pub digest: Digest,
    /// The tarball of debug files and its digest.
    pub debug: Option<(PathBuf, Digest)>,
}

/// A place for artifacts and sources.
pub trait Store: Sync {
    /// The verified source archive with a digest, if it is there.
    ///
    /// # Errors
    /// What the system answers. A damaged one is set aside, and not there.
    fn source(&self, digest: Digest, reporter: &dyn Reporter) -> Result<Option<StoredSource>>;

    /// The right to download a source archive. Waits for another process that downloads it.
    ///
    /// # Errors
    /// What the system answers.
    fn reserve_source(&self, digest: Digest, reporter: &dyn Reporter) -> Result<SourceSlot>;

    /// Keeps the archive of a slot, which has the digest that the slot is for.
    ///
    /// # Errors
    /// What the system answers.
    fn keep_source(&self, slot: SourceSlot) -> Result<StoredSource>;

    /// The archive of a profile with a digest, if it is there.
    ///
    /// # Errors
    /// What the system answers. A damaged one is set aside, and not there.
    fn profile(&self, digest: Digest, reporter: &dyn Reporter) -> Result<Option<Vec<u8>>>;

    /// Keeps the archive of a profile, which is then held.
    ///
    /// # Errors
    /// What the system answers.
    fn keep_profile(&self, archive: &[u8]) -> Result<HeldProfile>;

    /// Keeps a profile that is there from being pruned, and notes that it was used; none if it is not.
    ///
    /// # Errors
    /// What the system answers.
    fn hold_profile(&self, digest: Digest, reporter: &dyn Reporter) -> Result<Option<HeldProfile>>;

    /// What a build kept to spare the next one some work. Everything that decides it is in the key,
    /// so that a build gives the same bytes with and without it.
    ///
    /// # Errors
    /// What the system answers. A damaged one is set aside, and not there.
    fn intermediate(&self, key: Digest, reporter: &dyn Reporter) -> Result<Option<Vec<u8>>>;

    /// Keeps something for the next build.
    ///
    /// # Errors
    /// What the system answers.
    fn keep_intermediate(&self, key: Digest, bytes: &[u8]) -> Result<()>;

    /// The artifact of a build key, held, or the lock to make it. Waits for another process that
    /// makes it.
    ///
    /// # Errors
    /// What the system answers. A damaged artifact is set aside, and not there.
    fn lookup(&self, build_key: Digest, reporter: &dyn Reporter) -> Result<CacheStatus>;

    /// The artifacts that answer a request key, the newest first.
    ///
    /// # Errors
    /// What the system answers.
    fn find(&self, request_key: Digest) -> Result<Vec<StoredArtifact>>;

    /// All artifacts, the newest first.
    ///
    /// # Errors
    /// What the system answers.
    fn list(&self) -> Result<Vec<StoredArtifact>>;

    /// Entries whose record cannot be read, each with the reason: `list` and `find` leave them out.
    ///
    /// # Errors
    /// What the system answers.
    fn unreadable(&self) -> Result<Vec<Error>>;

    /// Keeps an artifact from being pruned while the returned one lives, and notes that it was used.
    /// None if it has gone since it was found.
    ///
    /// # Errors
    /// What the system answers.
    fn hold(&self, artifact: &StoredArtifact, reporter: &dyn Reporter) -> Result<Option<StoredArtifact>>;

    /// Publishes an artifact: readers see all of it or none. It is held.
    ///
    /// # Errors
    /// What the system answers.
    fn publish(&self, lock: EntryLock, publication: Publication<'_>) -> Result<StoredArtifact>;

    /// Sets a damaged artifact aside, where it can be looked at, and gives the new place.
    ///
    /// # Errors
    /// What the system answers.
    fn set_aside(&self, artifact: &StoredArtifact) -> Result<PathBuf>;

    /// The log file of a build.
    ///
    /// # Errors
    /// What the system answers.
    fn log(&self, name: &str) -> Result<PathBuf>;
}
