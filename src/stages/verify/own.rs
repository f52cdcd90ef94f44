//! The artifact's files among those of a tree, and what differs from them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::domain::digest::Digest;
use crate::domain::manifest::{MANIFEST_PATH, Manifest, SUMS_PATH};
use crate::error::Result;
use crate::sys::fs::Entry;

/// The files of an artifact, with the digest of each.
#[derive(Default)]
pub(super) struct Own {
    files: BTreeMap<PathBuf, Digest>,
    /// Those that a distribution replaced since, which are its files now.
    replaced: BTreeSet<PathBuf>,
}

/// The files of a tree that are not as the artifact has them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Differences {
    /// Files with other bytes, and the digests of these.
    pub changed: BTreeMap<PathBuf, Digest>,
    /// Files that are not there.
    pub missing: BTreeSet<PathBuf>,
    /// Files that the artifact does not have.
    pub added: BTreeSet<PathBuf>,
}

impl Own {
    /// Reads the sums of a tree. The result is empty if the manifest has another digest for them.
    pub(super) fn read(prefix: &Path, manifest: &Manifest) -> Self {
        // A file that cannot be read counts as empty, and its digest does not match.
        let text = fs_err::read_to_string(prefix.join(SUMS_PATH)).unwrap_or_default();
        let lines = if Digest::of(&text) == manifest.sums { text.as_str() } else { "" };
        let files = lines
            .lines()
            .filter_map(|line| line.split_once("  "))
            .filter_map(|(digest, path)| Some((PathBuf::from(path), digest.parse().ok()?)));
        Self { files: files.collect(), replaced: BTreeSet::new() }
    }

    /// Whether it has no file, because the sums are missing or others than the manifest names.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Returns what differs in a tree.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if a file cannot be read.
    pub(super) fn differences(&self, prefix: &Path, entries: &[Entry]) -> Result<Differences> {
        let mut found = Differences { missing: self.files.keys().cloned().collect(), ..Differences::default() };
        for entry in entries.iter().filter(|entry| entry.is_file()) {
            found.missing.remove(&entry.path);
            match self.files.get(&entry.path) {
                Some(expected) => {
                    let digest = Digest::of_reader(fs_err::File::open(prefix.join(&entry.path))?)?;
                    if digest != *expected {
                        found.changed.insert(entry.path.clone(), digest);
                    }
                }
                None if self.has(&entry.path) => {}
                None => {
                    found.added.insert(entry.path.clone());
                }
            }
        }
        Ok(found)
    }

    /// Gives up files that a distribution replaced.
    pub(super) fn replace(&mut self, replaced: BTreeSet<PathBuf>) {
        self.replaced = replaced;
    }

    /// Returns the names of the artifact's files in a directory.
    pub(super) fn names_in(&self, directory: &str) -> Vec<String> {
        let inside = self.files.keys().filter(|path| path.parent() == Some(Path::new(directory)) && self.has(path));
        inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
    }

    /// Whether a file is the artifact's, and neither added nor replaced later.
    pub(super) fn has(&self, path: &Path) -> bool {
        let is_own = self.files.contains_key(path) || path == Path::new(SUMS_PATH) || path == Path::new(MANIFEST_PATH);
        is_own && !self.replaced.contains(path)
    }
}
