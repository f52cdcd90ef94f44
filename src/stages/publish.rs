//! Publish: the two ways for an artifact into the store. One that was built here has to be verified, by its
//! type; one that was built elsewhere is checked against what was requested.

use super::verify::VerifiedArtifact;
use crate::error::Result;
use crate::store::{EntryLock, Publication, Received, Store, StoredArtifact};

/// Publishes an artifact that was built here, under the lock of its build key.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if the store cannot be written to.
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

/// Publishes an artifact that was built and verified elsewhere, under the lock of its build key: see
/// [`Store::adopt`].
///
/// # Errors
/// [`Error::DigestMismatch`](crate::error::Error::DigestMismatch),
/// [`Error::Damaged`](crate::error::Error::Damaged) and
/// [`Error::HostileArchive`](crate::error::Error::HostileArchive) for an artifact that is not what was
/// requested; [`Error::Io`](crate::error::Error::Io) if the store cannot be written to.
pub fn adopt(received: Received<'_>, lock: EntryLock, store: &Store) -> Result<StoredArtifact> {
    store.adopt(lock, received)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixtures::{MadeUp, lock};

    #[test]
    fn an_artifact_of_one_store_is_adopted_by_another() {
        let directory = tempfile::tempdir().unwrap();
        let made_up = MadeUp::new(directory.path());
        let json = made_up.manifest.to_json();
        let received = |published| Received {
            manifest: json.as_bytes(),
            tarball: made_up.tarball.clone(),
            digest: made_up.digest,
            debug: None,
            published,
        };
        let store = Store::new(directory.path().join("store"));
        let adopted = adopt(received(7), lock(&store, made_up.manifest.build_key), &store).unwrap();
        assert_eq!((adopted.record.digest, adopted.record.published), (made_up.digest, 7));
        // The tarball was moved: it is not there to be adopted again.
        let other = Store::new(directory.path().join("other"));
        assert!(adopt(received(7), lock(&other, made_up.manifest.build_key), &other).is_err());
    }
}
