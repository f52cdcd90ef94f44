//! An artifact that was never built, for the tests of the store and of `stages::publish`.

use std::path::{Path, PathBuf};

use super::{CacheStatus, EntryLock, Publication, Store, StoredArtifact};
use crate::domain::artifact::Format;
use crate::domain::digest::Digest;
use crate::domain::fixtures::manifest;
use crate::domain::manifest::{MANIFEST_PATH, Manifest};
use crate::event::Silent;
use crate::sys::{archive, fs};

/// An artifact of a made-up plan, with debug files: real tarballs, whose Python is missing.
pub(crate) struct MadeUp {
    pub(crate) manifest: Manifest,
    pub(crate) tarball: PathBuf,
    pub(crate) digest: Digest,
    directory: PathBuf,
}

impl MadeUp {
    pub(crate) fn new(directory: &Path) -> Self {
        let manifest = manifest();
        let json = manifest.to_json();
        let mut made_up =
            Self { manifest, tarball: PathBuf::new(), digest: Digest::of(""), directory: directory.to_owned() };
        made_up.pack(json.as_bytes());
        made_up
    }

    /// Packs the artifact anew, with these bytes as the manifest in it.
    pub(crate) fn pack(&mut self, json: &[u8]) {
        let tree = tempfile::tempdir_in(&self.directory).unwrap();
        fs::write_in_place(&tree.path().join(MANIFEST_PATH), json).unwrap();
        fs::write_in_place(&tree.path().join("lib/os.py"), "pass\n").unwrap();
        (self.tarball, self.digest) = self.tarball_of(tree.path(), "x.tar.zst");
    }

    fn tarball_of(&self, tree: &Path, name: &str) -> (PathBuf, Digest) {
        let top = self.manifest.plan.request.prefix.name();
        let (bytes, ()) =
            archive::encode(Format::Zst, Vec::new(), |writer| archive::pack(tree, top, 0, writer)).unwrap();
        let path = self.directory.join(name);
        fs_err::write(&path, &bytes).unwrap();
        (path, Digest::of(&bytes))
    }

    /// Publishes it, with debug files.
    pub(crate) fn publish(&self, store: &Store) -> StoredArtifact {
        let tree = tempfile::tempdir_in(&self.directory).unwrap();
        fs::write_in_place(&tree.path().join("bin/python3.13.debug"), "debug").unwrap();
        let debug = Some(self.tarball_of(tree.path(), "x.debug.tar.zst"));
        let publication =
            Publication { manifest: &self.manifest, tarball: self.tarball.clone(), digest: self.digest, debug };
        store.publish(lock(store, self.manifest.build_key), publication).unwrap()
    }
}

/// Returns the lock of an entry that the store does not have.
pub(crate) fn lock(store: &Store, build_key: Digest) -> EntryLock {
    match store.lookup(build_key, Digest::of(""), &Silent).unwrap() {
        CacheStatus::Miss(lock) => lock,
        CacheStatus::Hit(artifact) => panic!("{artifact:?}"),
    }
}
