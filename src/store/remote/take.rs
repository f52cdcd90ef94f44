//! Takes an artifact from a remote into the store.

use std::path::Path;

use bytesize::ByteSize;

use super::landing::{Landing, check_manifest};
use super::{Blob, LARGEST_MANIFEST, LARGEST_TARBALL, Offer, Remote};
use crate::domain::manifest::Manifest;
use crate::error::{Error, RemoteError, Result};
use crate::event::{Reporter, staged};
use crate::store::files::now;
use crate::store::{EntryLock, Received, Store, StoredArtifact};
use crate::sys::fs;

/// Says of an artifact's manifest whether the artifact is of use.
pub type Fits<'f> = dyn Fn(&Manifest) -> bool + 'f;

/// From where to where an artifact is taken.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) remote: &'a dyn Remote,
    pub(super) store: &'a Store,
    pub(super) reporter: &'a dyn Reporter,
}

/// Receives what a remote offers, under the lock of its build key, and adopts it if all of it is as it was offered. Of
/// an artifact that is of no use by its manifest, nothing but the manifest is received, and the result is none.
///
/// # Errors
/// A [`RemoteError`] or [`Error::DigestMismatch`] if it is not, or cannot be received; [`Error::Io`] and
/// [`Error::Interrupted`]. Nothing is left in the store then.
pub(super) fn take(way: Way<'_>, offer: &Offer, lock: EntryLock, usable: &Fits<'_>) -> Result<Option<StoredArtifact>> {
    check_sizes(offer)?;
    let (json, manifest) = manifest_of(way.remote, offer)?;
    if !usable(&manifest) {
        return Ok(None);
    }
    let Offer { name, remote, size, .. } = offer;
    let taken = staged(
        way.reporter,
        "pull",
        format!("{name} from {remote}"),
        || {
            let place = way.store.landing(&lock)?;
            let taken = receive(way, offer, &json, &place, lock);
            let removed = fs::remove_tree(&place);
            let taken = taken?;
            removed.map(|()| taken)
        },
        |_| format!("{name} from {remote}, {}", ByteSize(*size).display().si()),
    );
    taken.map(Some)
}

/// Refuses sizes that no artifact has, before a byte is received.
fn check_sizes(offer: &Offer) -> Result<()> {
    let manifest = ("manifest", offer.manifest.size, LARGEST_MANIFEST);
    let tarballs = [Some(offer.tarball()), offer.debug].into_iter().flatten();
    for (what, size, most) in tarballs.map(|blob| ("tarball", blob.size, LARGEST_TARBALL)).chain([manifest]) {
        if size > most {
            return Err(wrong(offer, format!("its {what} has {size} bytes, and at most {most} are received")));
        }
    }
    Ok(())
}

/// The manifest of an offer, which has to be as the offer says, and its bytes.
fn manifest_of(remote: &dyn Remote, offer: &Offer) -> Result<(Vec<u8>, Manifest)> {
    let json = remote.manifest(offer)?;
    check_manifest(&offer.remote, offer.manifest, &json)?;
    let manifest: Manifest =
        serde_json::from_slice(&json).map_err(|error| wrong(offer, format!("its manifest cannot be read: {error}")))?;
    let said = (&manifest.name, manifest.build_key, manifest.request_key);
    if said != (&offer.name, offer.build_key, offer.request_key) {
        return Err(wrong(offer, "its manifest has another name or another key than the offer".into()));
    }
    if offer.debug.is_some() && !manifest.plan.request.policies.debug_files {
        return Err(wrong(offer, "it comes with debug files, and its plan has none".into()));
    }
    Ok((json, manifest))
}

fn receive(way: Way<'_>, offer: &Offer, json: &[u8], place: &Path, lock: EntryLock) -> Result<StoredArtifact> {
    let fetch = |name: &str, blob: Blob| {
        let path = place.join(name);
        let mut landing = Landing::create(&path, blob, &offer.remote, way.reporter)?;
        way.remote.blob(blob, &mut landing)?;
        landing.finish().map(|()| path)
    };
    let tarball = fetch("tarball", offer.tarball())?;
    let debug = offer.debug.map(|blob| Ok::<_, Error>((fetch("debug", blob)?, blob.digest))).transpose()?;
    // A clock that is fast elsewhere must not make it the newest for ever.
    let published = offer.published.min(now());
    let received = Received { manifest: json, tarball, digest: offer.digest, debug, published };
    way.store.adopt(lock, received).map_err(|error| match error {
        Error::Damaged { reason, .. } | Error::HostileArchive { reason, .. } => wrong(offer, reason),
        other => other,
    })
}

fn wrong(offer: &Offer, reason: String) -> Error {
    RemoteError::Wrong { address: offer.remote.clone(), what: format!("{}", offer.name), reason }.into()
}
