//! Artifacts in a store: looking them up, holding them, setting damaged ones aside.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::artifact::parse_manifest;
use super::files::{note_use, read_if_there};
use super::{Store, removed, set_aside_at};
use crate::domain::artifact::{ArtifactName, ArtifactRecord, Format};
use crate::domain::digest::Digest;
use crate::domain::manifest::Manifest;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter, Silent};
use crate::sys::fs;
use crate::sys::lock::Lock;

/// The record of an entry. It is written last.
pub(super) const RECORD: &str = "record.json";

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

/// Further requests that lead to an entry, a key a line. They are not in the record, which is also the lock
/// of the entry's readers: to write it anew would take their lock from them.
const REQUESTS: &str = "requests";

/// The result of a look-up by build key.
#[derive(Debug)]
pub enum CacheStatus {
    /// The store has the artifact, complete and verified.
    Hit(Box<StoredArtifact>),
    /// The store does not have it. The holder of the lock builds it.
    Miss(EntryLock),
}

/// The right to publish one entry, held by one process.
#[derive(Debug)]
pub struct EntryLock {
    build_key: Digest,
    lock: Lock,
}

impl EntryLock {
    /// The build key of the entry.
    #[must_use]
    pub const fn build_key(&self) -> Digest {
        self.build_key
    }

    /// Names the log of the build, for processes that wait for the entry.
    pub fn set_log(&self, log: &Path) {
        self.lock.set_log(log);
    }
}

/// An artifact in a store.
#[derive(Debug, Clone)]
pub struct StoredArtifact {
    /// Its record.
    pub record: ArtifactRecord,
    /// Requests besides the record's that lead to the same build key: their recipe differs in what decides no byte of
    /// this artifact, such as a profile for another compiler.
    requests: BTreeSet<Digest>,
    pub(super) directory: PathBuf,
    /// Keeps it from being pruned. There is one if it was looked up, published or held.
    _held: Option<Arc<Lock>>,
}

impl StoredArtifact {
    /// The file of the tarball.
    #[must_use]
    pub fn tarball(&self) -> PathBuf {
        self.directory.join(self.record.name.file(Format::Zst))
    }

    /// The file of the manifest.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.directory.join(manifest_file(&self.record.name))
    }

    /// The tarball of debug files, where there is one.
    #[must_use]
    pub fn debug_tarball(&self) -> Option<PathBuf> {
        self.record.debug_digest.map(|_| self.directory.join(debug_file(&self.record.name)))
    }

    /// Reads the manifest and checks that it and the record agree. The record has the manifest's digest;
    /// nothing has the record's.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`] if the manifest does not have the record's digest; [`Error::Damaged`] if a
    /// file is missing, the manifest cannot be parsed, or the record disagrees with it; [`Error::NotAnArtifact`] if
    /// a pykeel of another format made it; [`Error::Io`].
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
        let manifest = parse_manifest(&path, &bytes)?;
        let record = &self.record;
        let same = (&record.name, record.build_key, record.request_key, record.glibc_floor)
            == (&manifest.name, manifest.build_key, manifest.request_key, manifest.glibc_floor);
        if !same {
            let what = self.directory.join(RECORD).display().to_string();
            return Err(Error::Damaged { what, reason: "it does not match the manifest".into() });
        }
        let keys = (manifest.plan.build_key(), manifest.plan.request_key());
        if keys != (manifest.build_key, manifest.request_key) {
            return Err(Error::Damaged { what: what(), reason: "its keys are not those of its plan".into() });
        }
        Ok(manifest)
    }

    /// Reads an entry's record; none if there is no such entry.
    fn read(directory: PathBuf) -> Result<Option<Self>> {
        let path = directory.join(RECORD);
        let Some(text) = read_if_there(&path)? else { return Ok(None) };
        let damaged = |reason: String| Error::Damaged { what: path.display().to_string(), reason };
        let record: ArtifactRecord = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if directory.file_name().and_then(|name| name.to_str()) != Some(record.build_key.to_string().as_str()) {
            return Err(damaged(format!("it is the record of {}", record.build_key)));
        }
        let requests = read_requests(&directory.join(REQUESTS))?;
        Ok(Some(Self { record, requests, directory, _held: None }))
    }

    /// Whether a request leads to it.
    fn answers(&self, request_key: Digest) -> bool {
        self.record.request_key == request_key || self.requests.contains(&request_key)
    }

    /// Records that a request leads to it.
    fn answer(&mut self, request_key: Digest) -> Result<()> {
        if self.answers(request_key) {
            return Ok(());
        }
        self.requests.insert(request_key);
        let lines: String = self.requests.iter().map(|key| format!("{key}\n")).collect();
        fs::write_atomically(&self.directory.join(REQUESTS), lines.as_bytes())
    }

    /// Reads an entry and checks the digests of everything in it.
    fn read_verified(directory: PathBuf) -> Result<Option<Self>> {
        let Some(artifact) = Self::read(directory)? else { return Ok(None) };
        let debug = artifact.debug_tarball().zip(artifact.record.debug_digest);
        let record = &artifact.record;
        let files = [(artifact.tarball(), record.digest), (artifact.manifest(), record.manifest_digest)];
        for (path, expected) in files.into_iter().chain(debug) {
            let what = path.display().to_string();
            if !path.exists() {
                return Err(Error::Damaged { what, reason: "it is missing".into() });
            }
            let found = Digest::of_reader(fs_err::File::open(path)?)?;
            if found != expected {
                return Err(Error::DigestMismatch { what, found, expected });
            }
        }
        artifact.read_manifest()?;
        Ok(Some(artifact))
    }
}

/// Reads the further requests of an entry.
fn read_requests(path: &Path) -> Result<BTreeSet<Digest>> {
    let Some(bytes) = read_if_there(path)? else { return Ok(BTreeSet::new()) };
    let damaged = |reason: String| Error::Damaged { what: path.display().to_string(), reason };
    let text = String::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
    let key = |line: &str| line.parse().map_err(|_| damaged(format!("`{line}` is not a request key")));
    text.lines().map(key).collect()
}

impl Store {
    /// The artifact of a build key, verified and held, or the lock to build it. Waits for another process
    /// that builds it. A damaged artifact is set aside and counts as missing. One that is there is found by
    /// the request from now on, if it was built for another.
    ///
    /// # Errors
    /// [`Error::Io`] if the store cannot be read or the lock cannot be created, [`Error::Interrupted`] while
    /// it waits.
    pub fn lookup(&self, build_key: Digest, request_key: Digest, reporter: &dyn Reporter) -> Result<CacheStatus> {
        self.status(build_key, Some(request_key), reporter)
    }

    /// The same for what a remote offers: what it says of requests is not recorded.
    pub(super) fn reserve(&self, build_key: Digest, reporter: &dyn Reporter) -> Result<CacheStatus> {
        self.status(build_key, None, reporter)
    }

    fn status(&self, build_key: Digest, request: Option<Digest>, reporter: &dyn Reporter) -> Result<CacheStatus> {
        self.subdirectory("locks")?;
        let lock_path = self.entry_lock(build_key);
        let lock = Lock::acquire(&lock_path, &format!("the build {}", build_key.short()), reporter)?;
        let directory = self.artifact_path(build_key);
        match StoredArtifact::read_verified(directory.clone()) {
            Ok(Some(artifact)) => {
                // No process removes it while this process has its lock; the hold keeps it after that.
                if let Some(mut artifact) = self.hold(&artifact, reporter)? {
                    request.map_or(Ok(()), |request| artifact.answer(request))?;
                    return Ok(CacheStatus::Hit(Box::new(artifact)));
                }
            }
            Ok(None) => {
                // An entry without a record was not published by this program.
                if directory.exists() {
                    self.quarantine(&directory)?;
                }
            }
            Err(error @ (Error::Damaged { .. } | Error::DigestMismatch { .. })) => {
                let place = set_aside_at(self.quarantine(&directory)?);
                reporter.report(Event::Warning(format!("{error}; {place}; rebuilding it")));
            }
            Err(error) => return Err(error),
        }
        Ok(CacheStatus::Miss(EntryLock { build_key, lock }))
    }

    /// The artifacts of a request key, newest first.
    ///
    /// # Errors
    /// [`Error::Io`] if the store cannot be read.
    pub fn find(&self, request_key: Digest) -> Result<Vec<StoredArtifact>> {
        let mut artifacts = self.list()?;
        artifacts.retain(|artifact| artifact.answers(request_key));
        Ok(artifacts)
    }

    /// All artifacts, newest first.
    ///
    /// # Errors
    /// [`Error::Io`] if the store cannot be read.
    pub fn list(&self) -> Result<Vec<StoredArtifact>> {
        let mut artifacts: Vec<_> = self.entries()?.into_iter().filter_map(Result::ok).collect();
        artifacts
            .sort_by(|a, b| (b.record.published, &b.record.build_key).cmp(&(a.record.published, &a.record.build_key)));
        Ok(artifacts)
    }

    /// An error for each entry whose record cannot be read. `list` and `find` leave these entries out.
    ///
    /// # Errors
    /// [`Error::Io`] if the store cannot be read.
    pub fn unreadable(&self) -> Result<Vec<Error>> {
        Ok(self.entries()?.into_iter().filter_map(Result::err).collect())
    }

    /// Keeps an artifact from being pruned while the returned value lives, and records that it was used.
    /// None if it was removed since it was found.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Damaged`] if its record cannot be read, [`Error::Interrupted`] while it
    /// waits.
    pub fn hold(&self, artifact: &StoredArtifact, reporter: &dyn Reporter) -> Result<Option<StoredArtifact>> {
        let path = artifact.directory.join(RECORD);
        let what = format!("the artifact {}", artifact.record.name);
        let Some(lock) = Lock::share(&path, &what, reporter)? else { return Ok(None) };
        note_use(&path);
        // Another process may have removed and rebuilt it since it was found.
        let artifact = StoredArtifact::read(artifact.directory.clone())?;
        Ok(artifact.map(|artifact| StoredArtifact { _held: Some(Arc::new(lock)), ..artifact }))
    }

    /// Sets a damaged artifact aside for inspection, and returns its new place.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be moved, [`Error::Damaged`] if another process removed it meanwhile.
    pub fn set_aside(&self, artifact: &StoredArtifact) -> Result<PathBuf> {
        self.quarantine(&artifact.directory)?.ok_or_else(|| removed(&artifact.directory))
    }

    pub(super) fn artifact_path(&self, build_key: Digest) -> PathBuf {
        self.root.join("artifacts").join(build_key.to_string())
    }

    /// The lock that a process holds while it builds or removes an entry.
    pub(super) fn entry_lock(&self, build_key: Digest) -> PathBuf {
        self.root.join("locks").join(format!("{build_key}.lock"))
    }

    /// The artifact of a new entry, held.
    pub(super) fn held_entry(&self, directory: &Path, record: ArtifactRecord) -> Result<StoredArtifact> {
        let artifact =
            StoredArtifact { record, requests: BTreeSet::new(), directory: directory.to_owned(), _held: None };
        self.hold(&artifact, &Silent)?.ok_or_else(|| removed(directory))
    }

    /// Every entry, or why its record cannot be read. The next look-up of a damaged entry sets it aside.
    fn entries(&self) -> Result<Vec<Result<StoredArtifact>>> {
        self.require_trust()?;
        let found = match fs_err::read_dir(self.root.join("artifacts")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            found => found?,
        };
        let mut entries = Vec::new();
        for entry in found {
            let entry = entry?;
            // The name of a temporary sibling is not a digest.
            if entry.file_name().to_str().is_some_and(|name| name.parse::<Digest>().is_ok()) {
                match StoredArtifact::read(entry.path()) {
                    Ok(artifact) => entries.extend(artifact.map(Ok)),
                    Err(error @ Error::Damaged { .. }) => entries.push(Err(error)),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Publication;
    use super::super::fixtures;
    use super::*;
    use crate::domain::fixtures::manifest;

    fn lock(store: &Store) -> EntryLock {
        fixtures::lock(store, manifest().build_key)
    }

    fn publish(store: &Store, directory: &Path) -> StoredArtifact {
        let tarball = directory.join("x.tar.zst");
        fs_err::write(&tarball, "content").unwrap();
        let publication = Publication { manifest: &manifest(), tarball, digest: Digest::of("content"), debug: None };
        store.publish(lock(store), publication).unwrap()
    }

    #[test]
    fn what_is_published_is_found_by_both_keys() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().join("store"));
        assert!(store.list().unwrap().is_empty());
        let published = publish(&store, directory.path());
        assert!(
            matches!(store.lookup(manifest().build_key, manifest().request_key, &Silent).unwrap(), CacheStatus::Hit(found) if found.record == published.record)
        );
        assert_eq!(store.find(manifest().request_key).unwrap()[0].record, published.record);
        let another = Digest::of("another");
        assert!(store.find(another).unwrap().is_empty());
        // The same build, planned by a recipe that differs in what decides none of its bytes.
        let CacheStatus::Hit(found) = store.lookup(manifest().build_key, another, &Silent).unwrap() else { panic!() };
        assert_eq!(found.record, published.record);
        for key in [another, manifest().request_key] {
            assert_eq!(store.find(key).unwrap()[0].record, published.record);
        }
        assert!(store.find(Digest::of("a third")).unwrap().is_empty());
        assert!(published.manifest().exists() && published.debug_tarball().is_none());
        assert!(store.root().join("CACHEDIR.TAG").exists());
    }

    #[test]
    fn what_is_damaged_is_set_aside_and_missed() {
        let damages: [fn(&StoredArtifact); 5] = [
            |artifact| fs_err::write(artifact.manifest(), "{}").unwrap(),
            |artifact| fs_err::write(artifact.tarball(), "contenT").unwrap(),
            |artifact| fs_err::remove_file(artifact.tarball()).unwrap(),
            |artifact| fs_err::write(artifact.directory.join(RECORD), "{").unwrap(),
            |artifact| fs_err::remove_file(artifact.directory.join(RECORD)).unwrap(),
        ];
        for damage in damages {
            let directory = tempfile::tempdir().unwrap();
            let store = Store::new(directory.path().join("store"));
            damage(&publish(&store, directory.path()));
            drop(lock(&store));
            assert_eq!(fs_err::read_dir(store.root().join("damaged")).unwrap().count(), 1);
            assert!(store.list().unwrap().is_empty());
            publish(&store, directory.path());
        }
    }

    #[test]
    fn what_a_dead_process_left_does_not_disturb() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().join("store"));
        let half = store.root().join("artifacts").join(format!("{}.new", manifest().build_key));
        fs_err::create_dir_all(&half).unwrap();
        fs_err::write(half.join(RECORD), "half").unwrap();
        assert!(store.list().unwrap().is_empty());
        publish(&store, directory.path());
        assert!(!half.exists());
    }

    #[test]
    fn a_publication_that_fails_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().join("store"));
        let tarball = directory.path().join("gone.tar.zst");
        let publication = Publication { manifest: &manifest(), tarball, digest: Digest::of("content"), debug: None };
        assert!(store.publish(lock(&store), publication).is_err());
        assert_eq!(fs_err::read_dir(store.root().join("artifacts")).unwrap().count(), 0);
    }
}
