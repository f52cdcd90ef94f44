//! Publish: a verified artifact goes into the store, whole.

use super::verify::VerifiedArtifact;
use crate::error::Result;
use crate::store::{EntryLock, Publication, Store, StoredArtifact};

/// Publishes an artifact under the lock of its build key.
///
/// # Errors
/// What the store answers.
pub fn publish(artifact: &VerifiedArtifact, lock: EntryLock, store: &Store) -> Result<StoredArtifact> {
    let packed = artifact.packed();
    store.publish(
        lock,
        Publication {
            manifest: packed.manifest(),
            tarball: packed.tarball().to_owned(),
            digest: packed.digest(),
            debug: packed.debug(),
        },
    )
}
