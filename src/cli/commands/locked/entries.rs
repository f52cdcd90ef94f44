//! Which entries of a lock the arguments of a command mean.

use super::{Given, contradictions};
use crate::domain::plan::Flavor;
use crate::domain::pykeel_lock::{LockedArtifact, LockedRequest};
use crate::domain::target::Target;
use crate::domain::version::VersionRequest;
use crate::error::{PykeelLockError, Result};
use crate::pykeel_lock::LockFile;

/// An entry of a lock.
#[derive(Debug, Clone)]
pub(in super::super) struct Entry {
    pub(in super::super) request: LockedRequest,
    pub(in super::super) artifact: LockedArtifact,
}

impl Entry {
    /// Returns the release and its variant, for messages.
    pub(in super::super) fn name(&self) -> String {
        self.artifact.version().to_string()
    }
}

/// Which flavors of a version are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Flavors {
    /// These.
    Named(Vec<Flavor>),
    /// One: `runtime` if it is locked.
    One,
    /// All that are locked.
    All,
}

/// Returns the entries of versions, or all of them, each artifact once.
///
/// # Errors
/// [`PykeelLockError::NotLocked`] for the first version that the lock does not have, and
/// [`PykeelLockError::OtherOptions`] for the first entry whose options are not those that are set now.
pub(in super::super) fn entries(
    file: &LockFile,
    versions: &[VersionRequest],
    flavors: &Flavors,
    given: &Given<'_>,
) -> Result<Vec<Entry>> {
    let (lock, target) = (file.content(), Target::OF_THIS_PROGRAM);
    let all = lock.entries.keys().filter(|request| request.target == target).map(|request| request.version);
    let mut wanted: Vec<VersionRequest> = if versions.is_empty() { all.collect() } else { versions.to_vec() };
    wanted.dedup();
    let not_locked = |version: Option<VersionRequest>| {
        let flavor = match flavors {
            Flavors::Named(flavors) => flavors.iter().map(|flavor| format!("{flavor}, ")).collect(),
            Flavors::One | Flavors::All => String::new(),
        };
        let request = version.map_or_else(|| "entry".to_owned(), |version| version.to_string());
        PykeelLockError::NotLocked {
            lock: file.path().to_owned(),
            request: format!("{request} ({flavor}{target})"),
            has: lock.entries.keys().map(ToString::to_string).collect(),
        }
    };
    let mut entries: Vec<Entry> = Vec::new();
    for version in wanted {
        let mut meant = lock.meant_by(version, target);
        match flavors {
            Flavors::Named(flavors) => {
                let is_there = |flavor: &Flavor| meant.iter().any(|request| request.flavor == *flavor);
                if !flavors.iter().all(is_there) {
                    return Err(not_locked(Some(version)).into());
                }
                meant.retain(|request| flavors.contains(&request.flavor));
            }
            // `runtime` comes first.
            Flavors::One => meant.truncate(1),
            Flavors::All => {}
        }
        if meant.is_empty() {
            return Err(not_locked(Some(version)).into());
        }
        for request in meant {
            let entry = Entry { request, artifact: lock.entries[&request].clone() };
            if entries.iter().all(|other| other.artifact.digest != entry.artifact.digest) {
                refuse_other_options(file, &entry, given)?;
                entries.push(entry);
            }
        }
    }
    if entries.is_empty() { Err(not_locked(None).into()) } else { Ok(entries) }
}

fn refuse_other_options(file: &LockFile, entry: &Entry, given: &Given<'_>) -> Result<()> {
    let locked = &entry.artifact.plan.options;
    let differences = contradictions(&locked.rows(), &given.over(locked)?.rows());
    if differences.is_empty() {
        return Ok(());
    }
    let (lock, request) = (file.path().to_owned(), entry.request.to_string());
    Err(PykeelLockError::OtherOptions { lock, request, differences }.into())
}
