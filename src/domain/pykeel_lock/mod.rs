//! `pykeel.lock`: which artifact each request means on each target, so that it means the same one everywhere.
//!
//! This is its content as data. `crate::pykeel_lock` reads and writes the file.

mod changes;
mod plan;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

pub use self::changes::{Difference, EntryChange, Kind, Row, changes, differences, essential, names, rows, topics};
pub use self::plan::{LockedInputs, LockedOptions, LockedPlan};
use super::artifact::{ArtifactRecord, GlibcVersion};
use super::digest::Digest;
use super::manifest::Manifest;
use super::plan::Flavor;
use super::prefix::PrefixTemplate;
use super::target::Target;
use super::version::{Release, Selector, Variant, VersionRequest};

/// The version of the file's format.
pub const LOCK_FORMAT: u64 = 1;

/// The usual name of the file.
pub const LOCK_FILE: &str = "pykeel.lock";

/// The most remotes of an entry: each may take its time to say that it is away.
pub const MOST_REMOTES: usize = 16;

/// What an entry of a lock is for. No two entries are for the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct LockedRequest {
    /// The version as the user asked for it: `3.13` stays `3.13`.
    pub version: VersionRequest,
    /// The flavor.
    pub flavor: Flavor,
    /// The system that it runs on.
    pub target: Target,
}

impl fmt::Display for LockedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.version, self.flavor, self.target)
    }
}

/// The artifact that a request means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockedArtifact {
    /// The SHA-256 of the `.tar.zst`.
    pub digest: Digest,
    /// The size of the `.tar.zst` in bytes.
    pub size: u64,
    /// The SHA-256 of the manifest.
    pub manifest_digest: Digest,
    /// The newest glibc symbol version that it needs.
    pub glibc_floor: GlibcVersion,
    /// The addresses of remotes that had it when it was locked. They say nothing of what it is.
    pub remotes: BTreeSet<String>,
    /// What is known of it before it is built.
    #[serde(flatten)]
    pub plan: LockedPlan,
    /// The versions of the libraries of which CPython's source has a copy that is compiled in, by name.
    pub compiled_in: BTreeMap<String, String>,
}

impl LockedArtifact {
    /// Describes an artifact whose prefix was made of a template, as one that no remote has.
    #[must_use]
    pub fn of(record: &ArtifactRecord, manifest: &Manifest, prefix: &PrefixTemplate) -> Self {
        let compiled_in = manifest.compiled_in.iter();
        Self {
            digest: record.digest,
            size: record.size,
            manifest_digest: record.manifest_digest,
            glibc_floor: record.glibc_floor,
            remotes: BTreeSet::new(),
            plan: LockedPlan::of(&manifest.plan, prefix),
            compiled_in: compiled_in.filter_map(|(name, version)| Some((name.clone(), version.clone()?))).collect(),
        }
    }

    /// Returns the exact version, with the variant: `3.13.5t`.
    #[must_use]
    pub fn version(&self) -> VersionRequest {
        exact(self.plan.release, self.plan.variant)
    }
}

/// Returns the request for exactly one release.
#[must_use]
pub const fn exact(release: Release, variant: Variant) -> VersionRequest {
    VersionRequest { selector: Selector::Release(release), variant }
}

/// Whether a release is one that a request can mean. `latest` can mean every one that is no pre-release.
#[must_use]
pub fn answers(version: VersionRequest, release: Release, variant: Variant) -> bool {
    let is_it = match version.selector {
        Selector::Latest => !release.is_pre_release(),
        Selector::Series(series) => release.series() == series,
        Selector::Release(wanted) => release == wanted,
    };
    is_it && version.variant == variant
}

/// The content of a lock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PykeelLock {
    /// The artifact of each request.
    pub entries: BTreeMap<LockedRequest, LockedArtifact>,
}

impl PykeelLock {
    /// Returns the flavors that are locked for a version on a target.
    pub fn flavors(&self, version: VersionRequest, target: Target) -> impl Iterator<Item = Flavor> {
        let of = move |request: &&LockedRequest| request.version == version && request.target == target;
        self.entries.keys().filter(of).map(|request| request.flavor)
    }

    /// Returns the requests that a version stands for on a target: those with the same words, or else those whose
    /// artifact is exactly that release. Several of these have to mean one artifact in each flavor.
    #[must_use]
    pub fn meant_by(&self, version: VersionRequest, target: Target) -> Vec<LockedRequest> {
        let on_target = || self.entries.iter().filter(|(request, _)| request.target == target);
        let said: Vec<_> = on_target().filter(|(request, _)| request.version == version).map(|(r, _)| *r).collect();
        if !said.is_empty() {
            return said;
        }
        let mut exact: BTreeMap<Flavor, Vec<(&LockedRequest, Digest)>> = BTreeMap::new();
        for (request, artifact) in on_target().filter(|(_, artifact)| artifact.version() == version) {
            exact.entry(request.flavor).or_default().push((request, artifact.digest));
        }
        let one = |found: Vec<(&LockedRequest, Digest)>| match &found[..] {
            [(request, digest), rest @ ..] if rest.iter().all(|(_, other)| other == digest) => Some(**request),
            _ => None,
        };
        exact.into_values().filter_map(one).collect()
    }
}
