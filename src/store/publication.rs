//! Publishing: how an artifact that was built here gets into a store, whole or not at all.

use std::path::{Path, PathBuf};

use super::entries::{RECORD, debug_file, manifest_file};
use super::files::{move_file, now};
use super::{EntryLock, Store, StoredArtifact};
use crate::domain::artifact::{ArtifactRecord, Format};
use crate::domain::digest::Digest;
use crate::domain::manifest::Manifest;
use crate::error::Result;
use crate::sys::fs;

/// An artifact to publish. Its files are moved into the store.
#[derive(Debug)]
pub struct Publication<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// The `.tar.zst`.
    pub tarball: PathBuf,
    /// Its SHA-256.
    pub digest: Digest,
    /// The tarball of debug files and its SHA-256.
    pub debug: Option<(PathBuf, Digest)>,
}

/// The content of a new entry, wherever it was built.
pub(super) struct NewEntry<'a> {
    pub(super) manifest: &'a Manifest,
    /// The manifest as it is written.
    pub(super) json: &'a [u8],
    pub(super) tarball: &'a Path,
    pub(super) digest: Digest,
    pub(super) debug: Option<(&'a Path, Digest)>,
    /// When it was first published, in seconds since 1970.
    pub(super) published: u64,
}

impl Store {
    /// Publishes an artifact and holds it. Readers see all of it or nothing.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if a file cannot be moved, written or synced. Nothing is left
    /// in the store then.
    pub fn publish(&self, lock: EntryLock, publication: Publication<'_>) -> Result<StoredArtifact> {
        let Publication { manifest, tarball, digest, debug } = publication;
        let json = manifest.to_json();
        let debug = debug.as_ref().map(|(path, digest)| (path.as_path(), *digest));
        let entry = NewEntry { manifest, json: json.as_bytes(), tarball: &tarball, digest, debug, published: now() };
        self.enter(lock, &entry)
    }

    /// Writes an entry beside its place, syncs it and renames it.
    pub(super) fn enter(&self, lock: EntryLock, entry: &NewEntry<'_>) -> Result<StoredArtifact> {
        let artifacts = self.subdirectory("artifacts")?;
        // A process that was killed here left one, and its lock is ours now.
        let staging = artifacts.join(format!("{}.new", lock.build_key()));
        fs::remove_tree(&staging)?;
        let place = self.artifact_path(lock.build_key());
        let published = fill(&staging, entry).and_then(|record| {
            fs_err::rename(&staging, &place)?;
            fs::sync_directory(&artifacts)?;
            // Before the entry's lock is released.
            self.held_entry(&place, record)
        });
        if published.is_err() {
            // The first error counts. The next publication removes what cannot be removed now.
            let _later = fs::remove_tree(&staging);
        }
        drop(lock);
        published
    }
}

/// Creates the directory of an entry, and returns its record.
fn fill(staging: &Path, entry: &NewEntry<'_>) -> Result<ArtifactRecord> {
    let NewEntry { manifest, json, tarball, digest, debug, published } = *entry;
    let name = &manifest.name;
    fs_err::create_dir(staging)?;
    let kept = staging.join(name.file(Format::Zst));
    move_file(tarball, &kept)?;
    if let Some((debug, _)) = debug {
        move_file(debug, &staging.join(debug_file(name)))?;
    }
    let record = ArtifactRecord {
        name: name.clone(),
        build_key: manifest.build_key,
        request_key: manifest.request_key,
        digest,
        size: fs_err::metadata(kept)?.len(),
        manifest_digest: Digest::of(json),
        debug_digest: debug.map(|(_, digest)| digest),
        published,
        glibc_floor: manifest.glibc_floor,
    };
    fs::write_atomically(&staging.join(manifest_file(name)), json)?;
    let record_json = serde_json::to_vec_pretty(&record).map_err(std::io::Error::from)?;
    fs::write_atomically(&staging.join(RECORD), &record_json)?;
    Ok(record)
}
