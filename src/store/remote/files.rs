//! The files of a remote that is a directory, on this machine, behind a web server or in an object store.
//!
//! ```text
//! index.json                 every offer, for lists
//! requests/<request key>.json  the offers for one request
//! artifacts/<digest>.json    the offer of one artifact
//! blobs/<SHA-256>            tarballs, manifests, tarballs of debug files
//! ```
//!
//! A look-up reads one small file, however many artifacts there are.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Blob, LARGEST_MANIFEST, Listed, Offer, Pushed, Remote, Wanted, offer_for};
use crate::domain::digest::Digest;
use crate::error::{Error, RemoteError, Result};
use crate::event::Reporter;
use crate::store::StoredArtifact;
use crate::sys::http::Sink;

/// The version of these files.
const FORMAT: u32 = 1;
/// The file of all offers.
pub(super) const INDEX: &str = "index.json";
/// The largest index that is read, in bytes: that of some 40,000 artifacts.
pub(super) const LARGEST_INDEX: u64 = 32 << 20;
/// The largest file of the offers for one request.
pub(super) const LARGEST_OFFERS: u64 = 4 << 20;

/// The file of the offers for a request.
pub(super) fn of_request(key: Digest) -> String {
    format!("requests/{key}.json")
}

/// The file of the offer of an artifact.
pub(super) fn of_artifact(digest: Digest) -> String {
    format!("artifacts/{digest}.json")
}

/// The file of a blob.
pub(super) fn of_blob(blob: Blob) -> String {
    format!("blobs/{}", blob.digest)
}

/// Some offers, as a file has them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Offers {
    format: u32,
    offers: Vec<Offer>,
}

impl Default for Offers {
    fn default() -> Self {
        Self { format: FORMAT, offers: Vec::new() }
    }
}

impl Offers {
    /// Those in a file of a remote; none if there is no such file.
    ///
    /// # Errors
    /// [`RemoteError::Wrong`].
    pub(super) fn parse(bytes: Option<&[u8]>, remote: &str, file: &str) -> Result<Self> {
        let Some(bytes) = bytes else { return Ok(Self::default()) };
        let wrong = |reason: String| {
            Error::from(RemoteError::Wrong { address: remote.to_owned(), what: format!("its file {file}"), reason })
        };
        let mut offers: Self = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        if offers.format != FORMAT {
            return Err(wrong(format!("it is of format {}, and this pykeel reads {FORMAT}", offers.format)));
        }
        for offer in &mut offers.offers {
            remote.clone_into(&mut offer.remote);
        }
        Ok(offers)
    }

    /// Adds an offer, unless the artifact is there: the first publication counts. Returns whether it was added.
    pub(super) fn add(&mut self, offer: &Offer) -> bool {
        let is_new = !self.offers.iter().any(|other| other.digest == offer.digest);
        if is_new {
            self.offers.push(offer.clone());
            self.offers.sort_by_cached_key(|offer| (offer.name.to_string(), offer.digest));
        }
        is_new
    }

    /// All of them, in the order of a file.
    pub(super) fn all(&self) -> &[Offer] {
        &self.offers
    }

    /// Those for a request.
    pub(super) fn of_request(&self, key: Digest) -> Self {
        let offers = self.offers.iter().filter(|offer| offer.request_key == key).cloned().collect();
        Self { offers, ..Self::default() }
    }

    /// Removes the offer of an artifact, and returns its request key.
    pub(super) fn remove(&mut self, digest: Digest) -> Option<Digest> {
        let place = self.offers.iter().position(|offer| offer.digest == digest)?;
        Some(self.offers.remove(place).request_key)
    }

    /// The files that none of them names, of those of some other offers.
    pub(super) fn unnamed<'o>(&self, others: &'o [Offer]) -> impl Iterator<Item = Blob> + use<'o> {
        let named: BTreeSet<Digest> = self.offers.iter().flat_map(Offer::blobs).map(|blob| blob.digest).collect();
        others.iter().flat_map(Offer::blobs).filter(move |blob| !named.contains(&blob.digest))
    }

    /// As a file has them.
    pub(super) fn to_json(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self).map_err(std::io::Error::from)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// The files of a remote, wherever they are. Its errors are those of a [`Remote`].
pub(super) trait Files: Send + Sync {
    /// The address of the remote.
    fn address(&self) -> &str;

    /// A file of at most so many bytes, or `None` if there is none.
    fn read(&self, file: &str, most: u64) -> Result<Option<Vec<u8>>>;

    /// Streams a blob into a sink.
    fn receive(&self, blob: Blob, sink: &mut dyn Sink) -> Result<()>;

    /// Takes the files of an artifact that it does not have, and the offer.
    fn give(&self, artifact: &StoredArtifact, offer: Offer, reporter: &dyn Reporter) -> Result<Pushed>;

    /// Removes offers, and the files that only they name. Who reads one of these meanwhile reads all of it, or finds
    /// that it is not there.
    fn take_away(&self, offers: &[Offer], reporter: &dyn Reporter) -> Result<()>;

    /// Checks that there is a remote, which may be empty.
    fn require(&self) -> Result<()> {
        Ok(())
    }

    /// The offers in a file.
    fn offers_in(&self, file: &str, most: u64) -> Result<Vec<Offer>> {
        Ok(Offers::parse(self.read(file, most)?.as_deref(), self.address(), file)?.offers)
    }

    /// The offer of an artifact.
    fn offer_of(&self, digest: Digest) -> Result<Option<Offer>> {
        let offers = self.offers_in(&of_artifact(digest), LARGEST_OFFERS)?;
        Ok(offers.into_iter().find(|offer| offer.digest == digest))
    }
}

impl<F: Files> Remote for F {
    fn offers(&self, wanted: Wanted<'_>, _: &dyn Reporter) -> Result<Vec<Offer>> {
        self.offers_in(&of_request(wanted.key), LARGEST_OFFERS)
    }

    fn offer(&self, digest: Digest) -> Result<Option<Offer>> {
        self.offer_of(digest)
    }

    fn manifest(&self, offer: &Offer) -> Result<Vec<u8>> {
        let most = offer.manifest.size.min(LARGEST_MANIFEST);
        self.read(&of_blob(offer.manifest), most)?.ok_or_else(|| absent(self.address(), offer.manifest))
    }

    fn blob(&self, blob: Blob, sink: &mut dyn Sink) -> Result<()> {
        self.receive(blob, sink)
    }

    fn push(&self, artifact: &StoredArtifact, reporter: &dyn Reporter) -> Result<Pushed> {
        let offer = offer_for(artifact, self.address())?;
        self.give(artifact, offer, reporter)
    }

    fn list(&self) -> Result<Vec<Listed>> {
        Ok(self.all()?.iter().map(listed).collect())
    }

    fn all(&self) -> Result<Vec<Offer>> {
        self.require()?;
        self.offers_in(INDEX, LARGEST_INDEX)
    }

    fn remove(&self, offers: &[Offer], reporter: &dyn Reporter) -> Result<()> {
        self.take_away(offers, reporter)
    }
}

/// The error for a file that an offer names and that is not there.
pub(super) fn absent(remote: &str, blob: Blob) -> Error {
    RemoteError::Absent { address: remote.to_owned(), what: format!("file {}, which it offers", blob.digest) }.into()
}

/// The error for a file that is larger than it may be.
pub(super) fn too_large(remote: &str, file: &str, most: u64) -> Error {
    RemoteError::Wrong {
        address: remote.to_owned(),
        what: format!("its file {file}"),
        reason: format!("it has more than {most} bytes"),
    }
    .into()
}

/// A line of a list.
pub(super) fn listed(offer: &Offer) -> Listed {
    let name = &offer.name;
    Listed {
        version: format!("{}{}", name.release(), name.variant()),
        target: name.target(),
        flavor: name.flavor(),
        shared: name.shared(),
        glibc_floor: name.floor(),
        digest: offer.digest,
        size: Some(offer.size),
        published: Some(offer.published),
    }
}
