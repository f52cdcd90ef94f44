//! The contents of a store: each thing with its size, its last use, and what still needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use super::entries::RECORD;
use super::{Store, StoredArtifact, work};
use crate::domain::digest::Digest;
use crate::domain::plan::SourceSums;
use crate::domain::version::Release;
use crate::error::Result;
use crate::sys::lock::{Attempt, Lock};

/// The kinds of things in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A finished artifact.
    Artifact,
    /// A verified source archive.
    Source,
    /// Training data of an optimised build.
    Profile,
    /// The output of configure, or frozen modules, for the next build of the same source.
    Intermediate,
    /// The log of a build.
    Log,
    /// The directory of a build, running, kept or left behind.
    Work,
    /// An artifact, source, profile or intermediate that was set aside.
    Damaged,
    /// An unfinished publication, download or removal.
    Partial,
}

/// What still refers to an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// `install` takes it: no newer artifact matches the same request.
    Install,
    /// Artifacts of these build keys were made of it, or by it.
    Artifacts(BTreeSet<Digest>),
    /// The user keeps it with `--keep-build`.
    Kept,
    /// Nothing.
    Nothing,
}

/// One thing in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Its name, for people.
    pub name: String,
    /// The file or directory.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// When it was last used, in seconds since 1970.
    pub last_used: u64,
    /// What still needs it.
    pub need: Need,
    /// Whether a process uses it now.
    pub in_use: bool,
    /// The locks that its makers and users hold.
    pub(super) locks: Vec<Guard>,
    /// The build key of an artifact.
    pub(super) build_key: Option<Digest>,
}

/// A lock of a thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Guard {
    /// A lock file, which need not exist yet.
    Maker(PathBuf),
    /// The thing itself or a file in it, which its readers share.
    Readers(PathBuf),
}

/// Everything in a store.
#[derive(Debug, Clone)]
pub struct Contents {
    /// The things, by kind and then the least recently used first.
    pub items: Vec<Item>,
}

impl Contents {
    /// Reads a store, and changes nothing. `elsewhere` has the places where builds work if the store is not fit.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if the store cannot be read.
    pub fn read(store: &Store, elsewhere: &[PathBuf]) -> Result<Self> {
        let artifacts = store.list()?;
        let origins: Vec<Origin> = artifacts.iter().map(Origin::read).collect();
        let mut items = Vec::new();
        items.extend(artifacts.iter().map(|artifact| artifact_item(artifact, &artifacts, store)));
        items.extend(sources(store, &origins)?);
        items.extend(profiles(store, &origins)?);
        for path in entries(&store.root().join("intermediates"))? {
            // Half of one has the name of a temporary file.
            let name = file_name(&path);
            let kind = if name.parse::<Digest>().is_ok() { Kind::Intermediate } else { Kind::Partial };
            items.push(Item { locks: vec![Guard::Maker(store.kept_lock())], ..item(kind, name, path, Need::Nothing) });
        }
        items.extend(logs(store, &artifacts)?);
        items.extend(unfinished(store, &artifacts)?);
        items.extend(damaged(store)?);
        for place in work::places(store, elsewhere) {
            items.extend(work_directories(&place)?);
        }
        for item in &mut items {
            item.in_use = item.in_use || is_held(&item.locks)?;
        }
        items.sort_by(|a, b| (a.kind, a.last_used, &a.name).cmp(&(b.kind, b.last_used, &b.name)));
        Ok(Self { items })
    }

    /// The size of everything in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.items.iter().map(|item| item.size).sum()
    }

    /// What needs a thing.
    #[must_use]
    pub fn needed_by(&self, item: &Item) -> Vec<NeededBy> {
        match &item.need {
            Need::Install => vec![NeededBy::Install],
            Need::Kept => vec![NeededBy::User],
            Need::Nothing => Vec::new(),
            Need::Artifacts(keys) => self
                .items
                .iter()
                .filter(|other| other.build_key.is_some_and(|key| keys.contains(&key)))
                .map(|other| NeededBy::Artifact(other.name.clone()))
                .collect(),
        }
    }
}

/// What refers to an entry of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeededBy {
    /// `install`: no newer artifact replaces it.
    Install,
    /// The user, with `--keep-build`.
    User,
    /// The artifact of this name.
    Artifact(String),
}

/// The inputs of an artifact. Only this part of the manifest is read, so that a manifest of another version
/// of pykeel can be read too.
#[derive(Debug)]
struct Origin {
    build_key: Digest,
    source: Option<(Release, SourceSums)>,
    profile: Option<Digest>,
}

#[derive(Deserialize)]
struct ManifestOrigin {
    plan: PlanOrigin,
}

#[derive(Deserialize)]
struct PlanOrigin {
    request: RequestOrigin,
    source: SourceSums,
    #[serde(default)]
    profile: Option<Digest>,
}

#[derive(Deserialize)]
struct RequestOrigin {
    release: Release,
}

impl Origin {
    fn read(artifact: &StoredArtifact) -> Self {
        // The look-up of the artifact reports a manifest that cannot be read.
        let read = std::fs::read(artifact.manifest()).ok();
        let manifest = read.and_then(|bytes| serde_json::from_slice::<ManifestOrigin>(&bytes).ok());
        let profile = manifest.as_ref().and_then(|manifest| manifest.plan.profile);
        let source = manifest.map(|manifest| (manifest.plan.request.release, manifest.plan.source));
        Self { build_key: artifact.record.build_key, source, profile }
    }
}

fn artifact_item(artifact: &StoredArtifact, all: &[StoredArtifact], store: &Store) -> Item {
    let record = &artifact.record;
    // An older artifact is still needed if it runs on an older glibc, or if only it has debug files.
    let superseded = all.iter().map(|other| &other.record).any(|other| {
        other.request_key == record.request_key
            && (other.published, other.build_key) > (record.published, record.build_key)
            && other.glibc_floor <= record.glibc_floor
            && (other.debug_digest.is_some() || record.debug_digest.is_none())
    });
    let path = store.artifact_path(record.build_key);
    let readers = path.join(RECORD);
    Item {
        kind: Kind::Artifact,
        name: record.name.to_string(),
        size: tree_size(&path),
        last_used: modified(&readers).max(record.published),
        need: if superseded { Need::Nothing } else { Need::Install },
        in_use: false,
        locks: vec![Guard::Maker(store.entry_lock(record.build_key)), Guard::Readers(readers)],
        build_key: Some(record.build_key),
        path,
    }
}

fn sources(store: &Store, origins: &[Origin]) -> Result<Vec<Item>> {
    let mut made_of: BTreeMap<Digest, (String, BTreeSet<Digest>)> = BTreeMap::new();
    // An artifact whose manifest cannot be read may be made of any of them.
    let silent: BTreeSet<Digest> =
        origins.iter().filter(|origin| origin.source.is_none()).map(|origin| origin.build_key).collect();
    for origin in origins {
        let Some((release, sums)) = &origin.source else { continue };
        for (sum, ending) in [(sums.xz, "tar.xz"), (sums.tgz, "tgz")] {
            let Some(sum) = sum else { continue };
            let name = format!("Python-{release}.{ending}");
            made_of.entry(sum).or_insert((name, BTreeSet::new())).1.insert(origin.build_key);
        }
    }
    let mut items = Vec::new();
    for path in entries(&store.root().join("sources"))? {
        let Some(digest) = file_name(&path).parse::<Digest>().ok() else { continue };
        let (name, keys) = made_of.remove(&digest).unwrap_or_else(|| (digest.to_string(), silent.clone()));
        let need = if keys.is_empty() { Need::Nothing } else { Need::Artifacts(keys) };
        let locks = vec![Guard::Maker(store.source_lock(digest)), Guard::Readers(path.clone())];
        items.push(Item { locks, ..item(Kind::Source, name, path, need) });
    }
    Ok(items)
}

fn profiles(store: &Store, origins: &[Origin]) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for path in entries(&store.root().join("profiles"))? {
        let name = file_name(&path);
        let Some(Ok(digest)) = name.strip_suffix(".tar.xz").map(str::parse::<Digest>) else {
            // A publication that is under way or was interrupted.
            let locks = vec![Guard::Maker(store.kept_lock())];
            items.push(Item { locks, ..item(Kind::Partial, name, path, Need::Nothing) });
            continue;
        };
        let made_with = origins.iter().filter(|origin| origin.source.is_none() || origin.profile == Some(digest));
        let keys: BTreeSet<Digest> = made_with.map(|origin| origin.build_key).collect();
        let need = if keys.is_empty() { Need::Nothing } else { Need::Artifacts(keys) };
        let locks = vec![Guard::Maker(store.kept_lock()), Guard::Readers(path.clone())];
        items.push(Item { locks, ..item(Kind::Profile, name, path, need) });
    }
    Ok(items)
}

/// The logs. Each is of the build whose key begins with the digits in its name.
fn logs(store: &Store, artifacts: &[StoredArtifact]) -> Result<Vec<Item>> {
    let locks = entries(&store.root().join("locks"))?;
    let mut items = Vec::new();
    for path in entries(&store.root().join("logs"))? {
        let name = file_name(&path);
        let key = name.trim_end_matches(".log").rsplit('-').next().unwrap_or_default().to_owned();
        let keys: BTreeSet<Digest> = artifacts
            .iter()
            .map(|artifact| artifact.record.build_key)
            .filter(|build_key| build_key.short() == key)
            .collect();
        let need = if keys.is_empty() { Need::Nothing } else { Need::Artifacts(keys) };
        // Without a key in its name it is unknown which build writes to it.
        let of_build = |lock: &&PathBuf| key.len() == 12 && file_name(lock).starts_with(&key);
        let locks = locks.iter().filter(of_build).cloned().map(Guard::Maker).collect();
        items.push(Item { locks, ..item(Kind::Log, name, path, need) });
    }
    Ok(items)
}

/// Publications, downloads and removals that are under way or were interrupted.
fn unfinished(store: &Store, artifacts: &[StoredArtifact]) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for path in entries(&store.root().join("artifacts"))? {
        let name = file_name(&path);
        let stem = name.split('.').next().unwrap_or_default();
        let Ok(key) = stem.parse::<Digest>() else { continue };
        if name == stem && artifacts.iter().any(|artifact| artifact.record.build_key == key) {
            continue;
        }
        let locks = vec![Guard::Maker(store.entry_lock(key)), Guard::Readers(path.join(RECORD))];
        items.push(Item { locks, ..item(Kind::Partial, name, path, Need::Nothing) });
    }
    for path in entries(&store.root().join("sources"))? {
        let name = file_name(&path);
        let Some(Ok(digest)) = name.strip_suffix(".part").map(str::parse) else { continue };
        let locks = vec![Guard::Maker(store.source_lock(digest))];
        items.push(Item { locks, ..item(Kind::Partial, name, path, Need::Nothing) });
    }
    Ok(items)
}

fn damaged(store: &Store) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for path in entries(&store.root().join("damaged"))? {
        let name = file_name(&path);
        // `<entry>-<seconds since 1970>`
        let since = name.rsplit('-').next().and_then(|seconds| seconds.parse().ok());
        let item = item(Kind::Damaged, name, path, Need::Nothing);
        items.push(Item { last_used: since.unwrap_or(item.last_used), ..item });
    }
    Ok(items)
}

fn work_directories(place: &Path) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for path in entries(place)?.into_iter().filter(|path| path.is_dir()) {
        let lock = work::lock_of(&path);
        // No build removes a directory without a lock, so it counts as kept.
        let kept = work::kept_mark_of(&path).exists() || !lock.exists();
        let need = if kept { Need::Kept } else { Need::Nothing };
        let locks = vec![Guard::Maker(lock)];
        items.push(Item { locks, ..item(Kind::Work, file_name(&path), path, need) });
    }
    Ok(items)
}

fn item(kind: Kind, name: String, path: PathBuf, need: Need) -> Item {
    let (size, last_used) = (tree_size(&path), modified(&path));
    Item { kind, name, path, size, last_used, need, in_use: false, locks: Vec::new(), build_key: None }
}

/// Whether a process holds one of some locks. Each is tried and released at once.
fn is_held(locks: &[Guard]) -> Result<bool> {
    for Guard::Maker(path) | Guard::Readers(path) in locks {
        if matches!(Lock::try_existing(path)?, Attempt::Held) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The paths in a directory, sorted; none if it does not exist.
pub(super) fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let found = match fs_err::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut paths = found.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort_unstable();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The size of all files of a tree in bytes. A file that is removed meanwhile counts as empty.
fn tree_size(path: &Path) -> u64 {
    let files = WalkDir::new(path).into_iter().filter_map(std::result::Result::ok);
    files.filter_map(|entry| entry.metadata().ok()).filter(std::fs::Metadata::is_file).map(|file| file.len()).sum()
}

/// When a file was last changed, in seconds since 1970; 0 if it does not exist.
pub(super) fn modified(path: &Path) -> u64 {
    let time = std::fs::symlink_metadata(path).and_then(|metadata| metadata.modified()).ok();
    time.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs())
}
