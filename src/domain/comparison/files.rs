//! The files that differ between two artifacts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::domain::contents::{Contents, File, path_text};

/// A file with its size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileSize {
    /// The path relative to the prefix.
    pub path: String,
    /// The size in bytes.
    pub size: u64,
}

/// A file that both sides have with different content. Its path differs between series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// The file in the first artifact.
    pub before: FileSize,
    /// The file in the second artifact.
    pub after: FileSize,
}

impl FileChange {
    /// By how much the size changes.
    pub(super) const fn by(&self) -> u64 {
        self.before.size.abs_diff(self.after.size)
    }
}

/// The files that differ, the largest first; changed files in the order of the change in size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FileChanges {
    /// Files that only the second artifact has.
    pub added: Vec<FileSize>,
    /// Files that only the first artifact has.
    pub removed: Vec<FileSize>,
    /// Files with different content.
    pub changed: Vec<FileChange>,
}

/// A path without series and variant, and the number of earlier files with the same such path.
type Key = (PathBuf, usize);

/// Returns the files by a path that does not depend on the series: `lib/python3.13/ssl.py` and
/// `lib/python3.14/ssl.py` are the same file of two releases.
fn by_key(contents: &Contents) -> BTreeMap<Key, &File> {
    let plan = &contents.manifest.plan;
    let (series, short) = (plan.request.release.series().to_string(), plan.short_version());
    // The longer names first: `python3.13t` must not be read as `python3.13` and a `t`.
    let names = [
        (format!("python{short}"), "pythonX.Y"),
        (format!("python{series}"), "pythonX.Y"),
        (format!("python-{short}"), "python-X.Y"),
        (format!("cpython-{}", short.replace('.', "")), "cpython-XY"),
        (format!("cpython-{}", series.replace('.', "")), "cpython-XY"),
    ];
    let mut files = BTreeMap::new();
    for file in &contents.files {
        let path = file.path.to_str().map_or_else(
            || file.path.clone(),
            |path| names.iter().fold(path.to_owned(), |path, (from, to)| path.replace(from.as_str(), to)).into(),
        );
        let twins = files.range((path.clone(), 0)..=(path.clone(), usize::MAX)).count();
        files.insert((path, twins), file);
    }
    files
}

/// Returns the files by their paths.
fn by_path(contents: &Contents) -> BTreeMap<Key, &File> {
    contents.files.iter().map(|file| ((file.path.clone(), 0), file)).collect()
}

/// Compares the files; those of another series or variant by a path that does not depend on it.
pub(super) fn file_changes(before: &Contents, after: &Contents) -> FileChanges {
    let series =
        |contents: &Contents| (contents.manifest.plan.request.release.series(), contents.manifest.plan.request.variant);
    let key = if series(before) == series(after) { by_path } else { by_key };
    let (old, new) = (key(before), key(after));
    let size = |file: &File| FileSize { path: path_text(&file.path), size: file.size };
    let lacks = |files: &BTreeMap<Key, &File>, others: &BTreeMap<Key, &File>| -> Vec<FileSize> {
        let mut files: Vec<FileSize> =
            files.iter().filter(|(key, _)| !others.contains_key(*key)).map(|(_, file)| size(file)).collect();
        files.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
        files
    };
    let mut changed: Vec<FileChange> = old
        .iter()
        .filter_map(|(key, file)| Some((*file, *new.get(key)?)))
        .filter(|(before, after)| before.sha256 != after.sha256)
        .map(|(before, after)| FileChange { before: size(before), after: size(after) })
        .collect();
    changed.sort_by(|a, b| (b.by().cmp(&a.by())).then_with(|| a.after.path.cmp(&b.after.path)));
    FileChanges { added: lacks(&new, &old), removed: lacks(&old, &new), changed }
}
