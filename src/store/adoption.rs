//! Adopting: how an artifact that was built elsewhere gets into a store. Its bytes are checked first and
//! then stored as they were received.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::publication::NewEntry;
use super::{EntryLock, Store, StoredArtifact};
use crate::domain::artifact::{ArtifactName, Format};
use crate::domain::digest::Digest;
use crate::domain::manifest::{MANIFEST_PATH, Manifest};
use crate::error::{Error, Result};
use crate::sys::{archive, fs};

/// An artifact as it was received. Its files are moved into the store if every check passes.
#[derive(Debug)]
pub struct Received<'a> {
    /// The bytes of the manifest. They are stored unchanged.
    pub manifest: &'a [u8],
    /// The `.tar.zst`.
    pub tarball: PathBuf,
    /// The SHA-256 that the tarball must have: the one that was requested.
    pub digest: Digest,
    /// The tarball of debug files, and the SHA-256 that it must have.
    pub debug: Option<(PathBuf, Digest)>,
    /// When it was first published, in seconds since 1970. The store keeps it.
    pub published: u64,
}

impl Store {
    /// Checks an artifact that was built elsewhere, enters it as [`Store::publish`] does, and holds it.
    ///
    /// The tarballs must have the requested digests. The manifest must be the one in the tarball, byte for
    /// byte, and the build key, request key and name in it must be those of its plan. The build key must be
    /// the lock's. What the Python in the tarball does is not checked: `stages::verify` does that where it
    /// is built.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`] for a tarball with another digest; [`Error::Damaged`] for a manifest that
    /// cannot be parsed, contradicts its plan, or is not the tarball's; [`Error::HostileArchive`];
    /// [`Error::Io`] if a file cannot be read, moved, written or synced. Nothing is left in the store then.
    pub fn adopt(&self, lock: EntryLock, received: Received<'_>) -> Result<StoredArtifact> {
        let manifest = received.check(lock.build_key())?;
        let Received { manifest: json, tarball, digest, debug, published } = received;
        let debug = debug.as_ref().map(|(path, digest)| (path.as_path(), *digest));
        self.enter(lock, &NewEntry { manifest: &manifest, json, tarball: &tarball, digest, debug, published })
    }
}

impl Store {
    /// Creates an empty directory for the files of an artifact that is being received, under the lock of its build key.
    pub(super) fn landing(&self, lock: &EntryLock) -> Result<PathBuf> {
        let place = self.subdirectory("artifacts")?.join(format!("{}.part", lock.build_key()));
        // A process that was killed here left one, and its lock is ours now.
        fs::remove_tree(&place)?;
        fs_err::create_dir(&place)?;
        Ok(place)
    }
}

impl Received<'_> {
    /// The manifest, if everything agrees.
    fn check(&self, build_key: Digest) -> Result<Manifest> {
        // First, so that bytes with another digest are neither decompressed nor parsed.
        check_digest(&self.tarball, self.digest)?;
        if let Some((path, digest)) = &self.debug {
            check_digest(path, *digest)?;
        }
        let damaged = |reason: String| Error::Damaged { what: format!("the manifest of {}", self.digest), reason };
        let manifest: Manifest = serde_json::from_slice(self.manifest).map_err(|error| damaged(error.to_string()))?;
        let plan = &manifest.plan;
        for (name, found, expected) in [
            ("build key", manifest.build_key, plan.build_key()),
            ("request key", manifest.request_key, plan.request_key()),
        ] {
            if found != expected {
                return Err(damaged(format!("its {name} is {found}, and its plan has {expected}")));
            }
        }
        if manifest.build_key != build_key {
            return Err(damaged(format!("its build key is {}, not {build_key}", manifest.build_key)));
        }
        let name = ArtifactName::new(plan, manifest.glibc_floor);
        if manifest.name != name {
            return Err(damaged(format!("its name is {}, and its plan makes {name}", manifest.name)));
        }
        if !contains_manifest(&self.tarball, self.manifest)? {
            return Err(damaged(format!("it is not the {MANIFEST_PATH} of the tarball")));
        }
        Ok(manifest)
    }
}

fn check_digest(path: &Path, expected: Digest) -> Result<()> {
    let found = Digest::of_reader(fs_err::File::open(path)?)?;
    if found == expected {
        return Ok(());
    }
    Err(Error::DigestMismatch { what: path.display().to_string(), found, expected })
}

/// Whether the manifest in a tarball has exactly these bytes.
fn contains_manifest(tarball: &Path, expected: &[u8]) -> Result<bool> {
    let mut same = false;
    let reader = archive::decoder(Format::Zst, fs_err::File::open(tarball)?)?;
    archive::scan(&tarball.display().to_string(), reader, |path, reader| {
        if path == Path::new(MANIFEST_PATH) {
            let mut found = Vec::new();
            // One byte more than expected is enough to see that they differ.
            reader.take(expected.len() as u64 + 1).read_to_end(&mut found)?;
            same = found == expected;
        }
        Ok(())
    })?;
    Ok(same)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{MadeUp, lock};
    use super::*;
    use crate::event::Silent;
    use crate::store::CacheStatus;

    /// The files of an artifact as another store has them.
    struct Exported {
        directory: tempfile::TempDir,
        origin: StoredArtifact,
        manifest: Vec<u8>,
    }

    impl Exported {
        /// Publishes a made-up artifact with debug files, some time ago, in a store of its own.
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let mut origin = MadeUp::new(directory.path()).publish(&Store::new(directory.path().join("origin")));
            origin.record.published = 1_234_567_890;
            let record = serde_json::to_vec_pretty(&origin.record).unwrap();
            fs_err::write(origin.directory.join("record.json"), record).unwrap();
            let manifest = fs_err::read(origin.manifest()).unwrap();
            Self { directory, origin, manifest }
        }

        /// A copy of the files, as if it were received.
        fn received(&self) -> Received<'_> {
            let copy = |from: PathBuf| {
                let to = self.directory.path().join(from.file_name().unwrap());
                fs_err::copy(from, &to).unwrap();
                to
            };
            let record = &self.origin.record;
            Received {
                manifest: &self.manifest,
                tarball: copy(self.origin.tarball()),
                digest: record.digest,
                debug: self.origin.debug_tarball().map(copy).zip(record.debug_digest),
                published: record.published,
            }
        }

        /// The store that adopts.
        fn target(&self) -> Store {
            Store::new(self.directory.path().join("target"))
        }

        /// Asserts that an artifact is refused with a reason, and that the store is as it was.
        fn assert_refused(&self, received: Received<'_>, reason: &str) {
            let (store, tarball) = (self.target(), received.tarball.clone());
            let error = store.adopt(lock(&store, self.origin.record.build_key), received).unwrap_err();
            assert!(error.to_string().contains(reason), "{reason}: {error}");
            assert!(!store.root().join("artifacts").exists(), "{reason}");
            assert!(tarball.exists(), "{reason}");
        }
    }

    fn files(artifact: &StoredArtifact) -> Vec<(std::ffi::OsString, Vec<u8>)> {
        let mut files: Vec<_> = fs_err::read_dir(&artifact.directory)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name(), fs_err::read(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    }

    #[test]
    fn an_adopted_entry_is_the_published_one_byte_for_byte() {
        let exported = Exported::new();
        let store = exported.target();
        let record = &exported.origin.record;
        let adopted = store.adopt(lock(&store, record.build_key), exported.received()).unwrap();
        assert_eq!(&adopted.record, record);
        assert_eq!(adopted.record.published, 1_234_567_890);
        assert_eq!(files(&adopted), files(&exported.origin));
        assert_eq!(files(&adopted).len(), 4);
        assert!(
            matches!(store.lookup(record.build_key, record.request_key, &Silent).unwrap(), CacheStatus::Hit(found) if found.record == *record)
        );
        assert_eq!(store.find(record.request_key).unwrap()[0].record, *record);
    }

    #[test]
    fn the_manifest_is_stored_as_it_was_received() {
        // A manifest with other white space has the same content, but not the bytes that this version writes.
        let directory = tempfile::tempdir().unwrap();
        let mut made_up = MadeUp::new(directory.path());
        let json = serde_json::to_vec(&made_up.manifest).unwrap();
        made_up.pack(&json);
        let store = Store::new(directory.path().join("store"));
        let received = Received {
            manifest: &json,
            tarball: made_up.tarball.clone(),
            digest: made_up.digest,
            debug: None,
            published: 1,
        };
        let adopted = store.adopt(lock(&store, made_up.manifest.build_key), received).unwrap();
        assert_eq!(fs_err::read(adopted.manifest()).unwrap(), json);
        assert_ne!(json, made_up.manifest.to_json().as_bytes());
        drop(adopted);
        assert!(matches!(
            store.lookup(made_up.manifest.build_key, made_up.manifest.request_key, &Silent).unwrap(),
            CacheStatus::Hit(_)
        ));
    }

    #[test]
    fn files_without_the_requested_digests_are_refused() {
        let exported = Exported::new();
        let other = Digest::of("other");
        exported.assert_refused(Received { digest: other, ..exported.received() }, ", expected ");
        let received = exported.received();
        fs_err::write(&received.tarball, "other").unwrap();
        exported.assert_refused(received, ", expected ");
        let received = exported.received();
        let (debug, digest) = received.debug.clone().unwrap();
        fs_err::write(&debug, "other").unwrap();
        exported.assert_refused(Received { debug: Some((debug, digest)), ..received }, ", expected ");
    }

    #[test]
    fn a_manifest_that_contradicts_its_plan_is_refused() {
        type Edit = fn(&mut Manifest);
        let edits: [(Edit, &str); 4] = [
            (|manifest| manifest.build_key = Digest::of("other"), "its build key is"),
            (|manifest| manifest.request_key = Digest::of("other"), "its request key is"),
            (|manifest| manifest.plan.install.push("x".into()), "its build key is"),
            (|manifest| manifest.glibc_floor = "2.17".parse().unwrap(), "its name is"),
        ];
        for (edit, reason) in edits {
            let exported = Exported::new();
            let mut manifest: Manifest = serde_json::from_slice(&exported.manifest).unwrap();
            edit(&mut manifest);
            let json = manifest.to_json();
            exported.assert_refused(Received { manifest: json.as_bytes(), ..exported.received() }, reason);
        }
    }

    #[test]
    fn an_artifact_of_another_build_key_is_refused() {
        let exported = Exported::new();
        let store = exported.target();
        let error = store.adopt(lock(&store, Digest::of("other")), exported.received()).unwrap_err();
        assert!(error.to_string().contains("its build key is"), "{error}");
        assert!(!store.root().join("artifacts").exists());
    }

    #[test]
    fn a_manifest_that_is_not_the_tarballs_is_refused() {
        let exported = Exported::new();
        exported.assert_refused(Received { manifest: b"{}", ..exported.received() }, "missing field");
        let mut longer = exported.manifest.clone();
        longer.push(b'\n');
        exported.assert_refused(Received { manifest: &longer, ..exported.received() }, "of the tarball");
        let shorter = exported.manifest.trim_ascii_end();
        exported.assert_refused(Received { manifest: shorter, ..exported.received() }, "of the tarball");
    }
}
