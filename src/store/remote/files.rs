//! The files of a remote that is a directory, on this machine or behind a web server.
//!
//! ```text
//! index.json                 every offer, for lists
//! requests/<request key>.json  the offers for one request
//! artifacts/<digest>.json    the offer of one artifact
//! blobs/<SHA-256>            tarballs, manifests, tarballs of debug files
//! ```
//!
//! A look-up reads one small file, however many artifacts there are.

use serde::{Deserialize, Serialize};

use super::{Blob, LARGEST_MANIFEST, Listed, Offer};
use crate::domain::digest::Digest;
use crate::error::{Error, RemoteError, Result};

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
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Offers {
    format: u32,
    offers: Vec<Offer>,
}

impl Offers {
    /// Those in a file of a remote; none if there is no such file.
    ///
    /// # Errors
    /// [`RemoteError::Wrong`].
    pub(super) fn parse(bytes: Option<&[u8]>, remote: &str, file: &str) -> Result<Self> {
        let Some(bytes) = bytes else { return Ok(Self { format: FORMAT, offers: Vec::new() }) };
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

    /// As a file has them.
    pub(super) fn to_json(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self).map_err(std::io::Error::from)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// The files of a remote, wherever they are.
pub(super) trait Files {
    /// The address of the remote.
    fn address(&self) -> &str;

    /// A file of at most so many bytes, or `None` if there is none.
    fn read(&self, file: &str, most: u64) -> Result<Option<Vec<u8>>>;

    /// The offers in a file.
    fn offers_in(&self, file: &str, most: u64) -> Result<Vec<Offer>> {
        Ok(Offers::parse(self.read(file, most)?.as_deref(), self.address(), file)?.offers)
    }

    /// The offers for a request.
    fn offers_of(&self, key: Digest) -> Result<Vec<Offer>> {
        self.offers_in(&of_request(key), LARGEST_OFFERS)
    }

    /// The offer of an artifact.
    fn offer_of(&self, digest: Digest) -> Result<Option<Offer>> {
        let offers = self.offers_in(&of_artifact(digest), LARGEST_OFFERS)?;
        Ok(offers.into_iter().find(|offer| offer.digest == digest))
    }

    /// The manifest of an offer.
    fn manifest_of(&self, offer: &Offer) -> Result<Vec<u8>> {
        let most = offer.manifest.size.min(LARGEST_MANIFEST);
        self.read(&of_blob(offer.manifest), most)?.ok_or_else(|| absent(self.address(), offer.manifest))
    }

    /// All artifacts.
    fn listed(&self) -> Result<Vec<Listed>> {
        Ok(self.offers_in(INDEX, LARGEST_INDEX)?.iter().map(listed).collect())
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
fn listed(offer: &Offer) -> Listed {
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
