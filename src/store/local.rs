//! The store in a local directory. `docs/store.md` draws its layout.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{
    CacheStatus, EntryLock, HeldProfile, Publication, SourceSlot, Store, StoredArtifact, StoredSource, debug_file,
    manifest_file,
};
use crate::domain::artifact::{ArtifactRecord, Format};
use crate::domain::digest::Digest;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter, Silent};
use crate::sys::fs;
use crate::sys::lock::Lock;

/// What marks a directory as a cache for backup programs, as <https://bford.info/cachedir/> has it.
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# This directory is pykeel's store.\n";

/// The length of a digest in digits, with which a kept intermediate begins.
const DIGEST_LENGTH: usize = 64;

/// A store in a directory of this machine, or one that several share.
#[derive(Debug, Clone)]
pub struct LocalStore {
    root: PathBuf,
    /// Whether what builds keep for the next one is used.
    intermediates: bool,
}

impl LocalStore {
    /// Opens a store. Nothing is made before something is kept.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), intermediates: true }
    }

    /// The same store for a build that spares itself nothing: it neither takes nor keeps what
    /// shortens the next one.
    #[must_use]
    pub fn without_intermediates(&self) -> Self {
        Self { root: self.root.clone(), intermediates: false }
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn part(&self, name: &str) -> Result<PathBuf> {
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

    pub(super) fn source_path(&self, digest: Digest) -> PathBuf {
        self.root.join("sources").join(digest.to_string())
    }

    pub(super) fn artifact_path(&self, build_key: Digest) -> PathBuf {
        self.root.join("artifacts").join(build_key.to_string())
    }

    /// Where the profile with a digest is, if it is there.
    #[must_use]
    pub fn profile_path(&self, digest: Digest) -> PathBuf {
        self.root.join("profiles").join(format!("{digest}.tar.xz"))
    }

    fn intermediate_path(&self, key: Digest) -> PathBuf {
        self.root.join("intermediates").join(key.to_string())
    }

    /// The lock that whoever writes or removes a profile or an intermediate holds.
    pub(super) fn kept_lock(&self) -> PathBuf {
        self.root.join("locks").join("kept.lock")
    }

    fn keeping(&self) -> Result<Lock> {
        self.part("locks")?;
        Lock::acquire(&self.kept_lock(), "what builds keep", &Silent)
    }

    /// Writes a profile or an intermediate, whose half nobody sees. Nobody prunes it while the lock that
    /// is returned lives.
    fn keep(&self, part: &str, path: &Path, bytes: &[u8]) -> Result<Lock> {
        let lock = self.keeping()?;
        if read_if_there(path)?.is_none_or(|there| there != bytes) {
            self.part(part)?;
            fs::write_atomically(path, bytes)?;
        }
        Ok(lock)
    }

    /// Sets a profile or an intermediate aside, unless somebody has done so or made it anew meanwhile.
    fn quarantine_kept(&self, path: &Path, is_sound: impl Fn(&[u8]) -> bool) -> Result<Option<PathBuf>> {
        let _lock = self.keeping()?;
        match read_if_there(path)? {
            Some(bytes) if !is_sound(&bytes) => self.quarantine(path),
            _ => Ok(None),
        }
    }

    /// Reads an entry's record; none if there is no such entry.
    pub(super) fn read(directory: PathBuf) -> Result<Option<StoredArtifact>> {
        let path = directory.join("record.json");
        let Some(text) = read_if_there(&path)? else { return Ok(None) };
        let damaged = |reason: String| Error::Damaged { what: path.display().to_string(), reason };
        let record: ArtifactRecord = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if directory.file_name().and_then(|name| name.to_str()) != Some(record.build_key.to_string().as_str()) {
            return Err(damaged(format!("it is the record of {}", record.build_key)));
        }
        Ok(Some(StoredArtifact { record, directory, _held: None }))
    }

    /// The lock of an entry, which whoever makes or removes it holds.
    pub(super) fn entry_lock(&self, build_key: Digest) -> PathBuf {
        self.root.join("locks").join(format!("{build_key}.lock"))
    }

    /// The lock of a source, which whoever downloads or removes it holds.
    pub(super) fn source_lock(&self, digest: Digest) -> PathBuf {
        self.root.join("locks").join(format!("source-{digest}.lock"))
    }

    /// Reads an entry and checks the digests of all that is in it.
    fn read_verified(directory: PathBuf) -> Result<Option<StoredArtifact>> {
        let Some(artifact) = Self::read(directory)? else { return Ok(None) };
        let debug = artifact.debug_tarball().zip(artifact.record.debug_digest);
        let record = &artifact.record;
        let files = [(artifact.tarball(), record.digest), (artifact.manifest(), record.manifest_digest)];
        let files = files.into_iter().chain(debug);
        for (path, expected) in files {
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

    /// Every entry, or why its record cannot be read. Whoever looks a damaged one up sets it aside.
    fn entries(&self) -> Result<Vec<Result<StoredArtifact>>> {
        let directory = self.root.join("artifacts");
        if !directory.is_dir() {
            return Ok(Vec::new());
        }
        let mut entries = Vec::new();
        for entry in fs_err::read_dir(directory)? {
            let entry = entry?;
            // A temporary sibling has a name that is no digest.
            if entry.file_name().to_str().is_some_and(|name| name.parse::<Digest>().is_ok()) {
                match Self::read(entry.path()) {
                    Ok(artifact) => entries.extend(artifact.map(Ok)),
                    Err(error @ Error::Damaged { .. }) => entries.push(Err(error)),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(entries)
    }

    /// Sets something damaged aside; none if another has done so.
    fn quarantine(&self, path: &Path) -> Result<Option<PathBuf>> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let place = self.part("damaged")?.join(format!("{name}-{}", now()));
        if place.exists() {
            fs::remove_tree(&place)?;
        }
        match fs_err::rename(path, &place) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            other => Ok(other.map(|()| Some(place))?),
        }
    }
}

/// What was there a moment ago and is not there now.
fn removed(path: &Path) -> Error {
    Error::Damaged { what: path.display().to_string(), reason: "somebody removed it".into() }
}

/// Where something damaged is now, for people.
fn set_aside_at(place: Option<PathBuf>) -> String {
    place.map_or("another process set it aside".to_owned(), |place| format!("it is now in {}", place.display()))
}

/// The content of an intermediate, if the digest that it begins with is the content's.
fn intermediate_content(bytes: &[u8]) -> Option<&[u8]> {
    let (digest, content) = bytes.split_at_checked(DIGEST_LENGTH)?;
    (digest == Digest::of(content).to_string().as_bytes()).then_some(content)
}

impl Store for LocalStore {
    fn source(&self, digest: Digest, reporter: &dyn Reporter) -> Result<Option<StoredSource>> {
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

    fn reserve_source(&self, digest: Digest, reporter: &dyn Reporter) -> Result<SourceSlot> {
        self.part("locks")?;
        let lock_path = self.source_lock(digest);
        let lock = Lock::acquire(&lock_path, &format!("the download of the source {}", digest.short()), reporter)?;
        let part = self.part("sources")?.join(format!("{digest}.part"));
        Ok(SourceSlot { digest, part, _lock: lock })
    }

    fn keep_source(&self, slot: SourceSlot) -> Result<StoredSource> {
        let path = self.source_path(slot.digest());
        fs_err::File::open(slot.part())?.sync_all()?;
        fs_err::rename(slot.part(), &path)?;
        fs::sync_directory(&self.root.join("sources"))?;
        // The slot, whose lock whoever removes a source needs, lives until it is shared.
        let what = format!("the source {}", slot.digest().short());
        let lock = Lock::share(&path, &what, &Silent)?.ok_or_else(|| removed(&path))?;
        Ok(StoredSource { path, _use: lock })
    }

    fn profile(&self, digest: Digest, reporter: &dyn Reporter) -> Result<Option<Vec<u8>>> {
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

    fn keep_profile(&self, archive: &[u8]) -> Result<HeldProfile> {
        let digest = Digest::of(archive);
        let path = self.profile_path(digest);
        let _until_held = self.keep("profiles", &path, archive)?;
        self.hold_profile(digest, &Silent)?.ok_or_else(|| removed(&path))
    }

    fn hold_profile(&self, digest: Digest, reporter: &dyn Reporter) -> Result<Option<HeldProfile>> {
        let path = self.profile_path(digest);
        let lock = Lock::share(&path, &format!("the profile {}", digest.short()), reporter)?;
        Ok(lock.map(|lock| {
            note_use(&path);
            HeldProfile { _use: lock }
        }))
    }

    fn intermediate(&self, key: Digest, reporter: &dyn Reporter) -> Result<Option<Vec<u8>>> {
        if !self.intermediates {
            return Ok(None);
        }
        let path = self.intermediate_path(key);
        let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
        if let Some(content) = intermediate_content(&bytes) {
            note_use(&path);
            return Ok(Some(content.to_vec()));
        }
        let place = set_aside_at(self.quarantine_kept(&path, |bytes| intermediate_content(bytes).is_some())?);
        reporter.report(Event::Warning(format!(
            "what an earlier build kept as {} is damaged and is made anew; {place}",
            key.short()
        )));
        Ok(None)
    }

    fn keep_intermediate(&self, key: Digest, bytes: &[u8]) -> Result<()> {
        if !self.intermediates {
            return Ok(());
        }
        let mut content = Digest::of(bytes).to_string().into_bytes();
        content.extend_from_slice(bytes);
        self.keep("intermediates", &self.intermediate_path(key), &content).map(drop)
    }

    fn lookup(&self, build_key: Digest, reporter: &dyn Reporter) -> Result<CacheStatus> {
        self.part("locks")?;
        let lock_path = self.entry_lock(build_key);
        let lock = Lock::acquire(&lock_path, &format!("the build {}", build_key.short()), reporter)?;
        let directory = self.artifact_path(build_key);
        match Self::read_verified(directory.clone()) {
            Ok(Some(artifact)) => {
                // Nobody removes it while its lock is ours; later the hold keeps it.
                if let Some(artifact) = self.hold(&artifact, reporter)? {
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
                reporter.report(Event::Warning(format!("{error}; {place}; it is built anew")));
            }
            Err(error) => return Err(error),
        }
        Ok(CacheStatus::Miss(EntryLock { build_key, _lock: lock }))
    }

    fn find(&self, request_key: Digest) -> Result<Vec<StoredArtifact>> {
        let mut artifacts = self.list()?;
        artifacts.retain(|artifact| artifact.record.request_key == request_key);
        Ok(artifacts)
    }

    fn list(&self) -> Result<Vec<StoredArtifact>> {
        let mut artifacts: Vec<_> = self.entries()?.into_iter().filter_map(Result::ok).collect();
        artifacts
            .sort_by(|a, b| (b.record.published, &b.record.build_key).cmp(&(a.record.published, &a.record.build_key)));
        Ok(artifacts)
    }

    fn hold(&self, artifact: &StoredArtifact, reporter: &dyn Reporter) -> Result<Option<StoredArtifact>> {
        let path = artifact.directory.join("record.json");
        let what = format!("the artifact {}", artifact.record.name);
        let Some(lock) = Lock::share(&path, &what, reporter)? else { return Ok(None) };
        note_use(&path);
        // It may have been removed and made anew since it was found.
        let artifact = Self::read(artifact.directory.clone())?;
        Ok(artifact.map(|artifact| StoredArtifact { _held: Some(Arc::new(lock)), ..artifact }))
    }

    fn unreadable(&self) -> Result<Vec<Error>> {
        Ok(self.entries()?.into_iter().filter_map(Result::err).collect())
    }

    fn publish(&self, lock: EntryLock, publication: Publication<'_>) -> Result<StoredArtifact> {
        let artifacts = self.part("artifacts")?;
        // A process that died here left one, and its lock is ours now.
        let staging = artifacts.join(format!("{}.new", lock.build_key()));
        fs::remove_tree(&staging)?;
        let place = self.artifact_path(lock.build_key());
        let published = fill(&staging, publication).and_then(|record| {
            fs_err::rename(&staging, &place)?;
            fs::sync_directory(&artifacts)?;
            let artifact = StoredArtifact { record, directory: place.clone(), _held: None };
            // Before the entry's lock is released.
            self.hold(&artifact, &Silent)?.ok_or_else(|| removed(&place))
        });
        if published.is_err() {
            // What cannot be removed now the next publication removes, and the first error counts.
            let _later = fs::remove_tree(&staging);
        }
        drop(lock);
        published
    }

    fn set_aside(&self, artifact: &StoredArtifact) -> Result<PathBuf> {
        self.quarantine(&artifact.directory)?.ok_or_else(|| removed(&artifact.directory))
    }

    fn log(&self, name: &str) -> Result<PathBuf> {
        Ok(self.part("logs")?.join(format!("{name}.log")))
    }
}

/// Makes the directory of an entry, and gives its record.
fn fill(staging: &Path, publication: Publication<'_>) -> Result<ArtifactRecord> {
    let Publication { manifest, tarball, digest, debug } = publication;
    let name = &manifest.name;
    fs_err::create_dir(staging)?;
    move_file(&tarball, &staging.join(name.file(Format::Zst)))?;
    if let Some((debug, _)) = &debug {
        move_file(debug, &staging.join(debug_file(name)))?;
    }
    let json = manifest.to_json();
    let record = ArtifactRecord {
        name: name.clone(),
        build_key: manifest.build_key,
        request_key: manifest.request_key,
        digest,
        size: fs_err::metadata(staging.join(name.file(Format::Zst)))?.len(),
        manifest_digest: Digest::of(&json),
        debug_digest: debug.map(|(_, digest)| digest),
        published: now(),
        glibc_floor: manifest.glibc_floor,
    };
    fs::write_atomically(&staging.join(manifest_file(name)), json.as_bytes())?;
    let record_json = serde_json::to_vec_pretty(&record).map_err(std::io::Error::from)?;
    fs::write_atomically(&staging.join("record.json"), &record_json)?;
    Ok(record)
}

/// The content of a file; none if there is no such file.
fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fs::with_path(path, error).into()),
    }
}

/// Moves a file, also to another file system, and makes it durable.
fn move_file(from: &Path, to: &Path) -> Result<()> {
    match std::fs::rename(from, to) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
            fs_err::copy(from, to)?;
        }
        Err(error) => return Err(fs::with_path(to, error).into()),
    }
    Ok(fs_err::File::open(to)?.sync_all()?)
}

/// Notes that something was used: the time stamp of a file whose content no digest is of, or whose
/// digest does not cover it. A store that is only read keeps the old one.
fn note_use(path: &Path) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW};
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    let _read_only = rustix::fs::utimensat(CWD, path, &times, AtFlags::empty());
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::artifact::ArtifactName;
    use crate::domain::manifest::{Manifest, Sizes};
    use crate::domain::plan::tests::plan;
    use crate::event::Silent;

    fn manifest() -> Manifest {
        let plan = plan();
        let floor = "2.36".parse().unwrap();
        Manifest {
            name: ArtifactName::new(&plan, floor),
            build_key: plan.build_key(),
            request_key: plan.request_key(),
            source_date_epoch: 0,
            glibc_floor: floor,
            modules: Vec::new(),
            builtin_modules: Vec::new(),
            libraries: Vec::new(),
            runtime_packages: Vec::new(),
            sizes: Sizes { files: 0, bytes: 0, parts: std::collections::BTreeMap::new() },
            links: std::collections::BTreeMap::new(),
            sums: Digest::of(""),
            plan,
        }
    }

    fn lock(store: &LocalStore) -> EntryLock {
        match store.lookup(manifest().build_key, &Silent).unwrap() {
            CacheStatus::Miss(lock) => lock,
            CacheStatus::Hit(artifact) => panic!("{artifact:?}"),
        }
    }

    fn publish(store: &LocalStore, directory: &Path) -> StoredArtifact {
        let tarball = directory.join("x.tar.zst");
        fs_err::write(&tarball, "content").unwrap();
        let publication = Publication { manifest: &manifest(), tarball, digest: Digest::of("content"), debug: None };
        store.publish(lock(store), publication).unwrap()
    }

    #[test]
    fn what_is_published_is_found_by_both_keys() {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::new(directory.path().join("store"));
        assert!(store.list().unwrap().is_empty());
        let published = publish(&store, directory.path());
        assert!(
            matches!(store.lookup(manifest().build_key, &Silent).unwrap(), CacheStatus::Hit(found) if found.record == published.record)
        );
        assert_eq!(store.find(manifest().request_key).unwrap()[0].record, published.record);
        assert!(store.find(Digest::of("another")).unwrap().is_empty());
        assert!(published.manifest().exists() && published.debug_tarball().is_none());
        assert!(store.root().join("CACHEDIR.TAG").exists());
    }

    #[test]
    fn what_is_damaged_is_set_aside_and_missed() {
        let damages: [fn(&StoredArtifact); 5] = [
            |artifact| fs_err::write(artifact.manifest(), "{}").unwrap(),
            |artifact| fs_err::write(artifact.tarball(), "contenT").unwrap(),
            |artifact| fs_err::remove_file(artifact.tarball()).unwrap(),
            |artifact| fs_err::write(artifact.directory.join("record.json"), "{").unwrap(),
            |artifact| fs_err::remove_file(artifact.directory.join("record.json")).unwrap(),
        ];
        for damage in damages {
            let directory = tempfile::tempdir().unwrap();
            let store = LocalStore::new(directory.path().join("store"));
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
        let store = LocalStore::new(directory.path().join("store"));
        let half = store.root().join("artifacts").join(format!("{}.new", manifest().build_key));
        fs_err::create_dir_all(&half).unwrap();
        fs_err::write(half.join("record.json"), "half").unwrap();
        assert!(store.list().unwrap().is_empty());
        publish(&store, directory.path());
        assert!(!half.exists());
    }

    #[test]
    fn a_publication_that_fails_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::new(directory.path().join("store"));
        let tarball = directory.path().join("gone.tar.zst");
        let publication = Publication { manifest: &manifest(), tarball, digest: Digest::of("content"), debug: None };
        assert!(store.publish(lock(&store), publication).is_err());
        assert_eq!(fs_err::read_dir(store.root().join("artifacts")).unwrap().count(), 0);
    }

    #[test]
    fn a_damaged_source_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::new(directory.path());
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
        let store = LocalStore::new(directory.path());
        let slot = store.reserve_source(Digest::of("source"), &Silent).unwrap();
        let part = slot.part().to_owned();
        fs_err::write(&part, "half").unwrap();
        drop(slot);
        assert!(!part.exists());
    }
}
