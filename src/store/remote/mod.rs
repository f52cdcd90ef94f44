//! Remotes: directories, web directories, object stores and registries that hold artifacts for others.
//!
//! A remote only offers. What it sends enters the store by [`Store::adopt`](super::Store::adopt), and no byte of it is
//! used before it has the digest that the offer names. `docs/remotes.md` describes the kinds of remotes.

mod address;
mod cloud;
mod directory;
mod files;
mod landing;
mod oci;
mod retention;
mod several;
mod take;
#[cfg(test)]
mod tests;
mod web;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::address::Address;
use self::address::Place;
use self::cloud::CloudRemote;
use self::directory::DirectoryRemote;
use self::oci::OciRemote;
pub use self::retention::{Pruning, Retention};
pub use self::several::{ByKey, Remotes};
pub use self::take::Fits;
use self::web::WebRemote;
use super::StoredArtifact;
use crate::domain::artifact::{ArtifactName, GlibcVersion};
use crate::domain::digest::Digest;
use crate::domain::manifest::Manifest;
use crate::domain::plan::{ArtifactRequest, Flavor};
use crate::domain::target::Target;
use crate::error::{Error, RemoteError, Result};
use crate::event::Reporter;
use crate::sys::credentials::Credentials;
use crate::sys::http::{Session, Sink};

/// The largest manifest of an artifact that is read, in bytes. One of 3.13.5 has 60 kB.
const LARGEST_MANIFEST: u64 = 4 << 20;
/// The largest tarball that is received, in bytes.
const LARGEST_TARBALL: u64 = 4 << 30;

/// A file of a remote, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// The SHA-256.
    pub digest: Digest,
    /// The size in bytes.
    pub size: u64,
}

/// An artifact that a remote offers. All of it is what the remote says: what is received is held against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The artifact's name.
    pub name: ArtifactName,
    /// The SHA-256 of the `.tar.zst`, by which an artifact is pinned.
    pub digest: Digest,
    /// The size of the `.tar.zst` in bytes.
    pub size: u64,
    /// The build key.
    pub build_key: Digest,
    /// The request key.
    pub request_key: Digest,
    /// The manifest.
    pub manifest: Blob,
    /// The tarball of debug files, where there is one.
    pub debug: Option<Blob>,
    /// When it was first published, in seconds since 1970.
    pub published: u64,
    /// The address of the remote that offers it.
    #[serde(skip)]
    pub remote: String,
}

impl Offer {
    /// The `.tar.zst`.
    #[must_use]
    pub const fn tarball(&self) -> Blob {
        Blob { digest: self.digest, size: self.size }
    }

    /// Its files.
    pub fn blobs(&self) -> impl Iterator<Item = Blob> + use<> {
        [Some(self.tarball()), Some(self.manifest), self.debug].into_iter().flatten()
    }

    /// The oldest glibc that it runs with.
    #[must_use]
    pub const fn glibc_floor(&self) -> GlibcVersion {
        self.name.floor()
    }
}

/// What a remote says of an artifact in its list. Some kinds of remotes would have to be asked once for each artifact to
/// say more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The release with the letter of its variant: `3.13.5t`.
    pub version: String,
    /// The system that it runs on.
    pub target: Target,
    /// The flavor.
    pub flavor: Flavor,
    /// Whether libpython is a shared library.
    pub shared: bool,
    /// The oldest glibc that it runs with.
    pub glibc_floor: GlibcVersion,
    /// The SHA-256 of the `.tar.zst`.
    pub digest: Digest,
    /// The size of the `.tar.zst` in bytes, where the list has it.
    pub size: Option<u64>,
    /// When it was first published, in seconds since 1970, where the list has it.
    pub published: Option<u64>,
}

/// What is looked for: a request and its key.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The request.
    pub request: &'a ArtifactRequest,
    /// Its key, for the recipe that is used here.
    pub key: Digest,
    /// The glibc that is there, where it matters: what needs a newer one is not asked for.
    pub glibc: Option<GlibcVersion>,
}

impl Wanted<'_> {
    /// Whether an artifact with this manifest was built for the request.
    fn is_of(&self, manifest: &Manifest) -> bool {
        manifest.plan.request == *self.request && manifest.plan.request_key() == self.key
    }
}

/// What a push did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The remote has it now. Of its files so many bytes were sent; the others were there.
    New {
        /// Bytes.
        sent: u64,
    },
    /// The remote had it, and nothing was sent.
    AlreadyThere,
}

/// A place that holds artifacts for others.
///
/// The errors of every method are a [`RemoteError`] for what the remote did, and [`Error::Io`] or [`Error::Interrupted`]
/// for what happened on this machine.
pub trait Remote: Send + Sync {
    /// The offers for a request, in no order. What of them cannot be read is a warning.
    ///
    /// # Errors
    /// As above.
    fn offers(&self, wanted: Wanted<'_>, reporter: &dyn Reporter) -> Result<Vec<Offer>>;

    /// The offer of an artifact, by its digest.
    ///
    /// # Errors
    /// As above.
    fn offer(&self, digest: Digest) -> Result<Option<Offer>>;

    /// The bytes of an offer's manifest, as many as the offer says.
    ///
    /// # Errors
    /// As above.
    fn manifest(&self, offer: &Offer) -> Result<Vec<u8>>;

    /// Streams a file of an offer into a sink. The sink compares the digest.
    ///
    /// # Errors
    /// As above, and those of the sink.
    fn blob(&self, blob: Blob, sink: &mut dyn Sink) -> Result<()>;

    /// Gives an artifact to the remote, and sends nothing that it has.
    ///
    /// # Errors
    /// As above; [`RemoteError::ReadOnly`].
    fn push(&self, artifact: &StoredArtifact, reporter: &dyn Reporter) -> Result<Pushed>;

    /// All that the remote has, in no order.
    ///
    /// # Errors
    /// As above.
    fn list(&self) -> Result<Vec<Listed>>;

    /// The offers of all that the remote has, in no order. A registry is asked for each.
    ///
    /// # Errors
    /// As above.
    fn all(&self) -> Result<Vec<Offer>>;

    /// Removes offers, and the files that only they name. Who reads one of these meanwhile reads all of it, or finds
    /// that it is not there.
    ///
    /// # Errors
    /// As above; [`RemoteError::ReadOnly`]. What was removed before the error stays removed.
    fn remove(&self, offers: &[Offer], reporter: &dyn Reporter) -> Result<()>;
}

/// Opens a remote. Nothing is asked of it yet.
///
/// # Errors
/// [`RemoteError::Unavailable`] if this machine has no means to reach it.
pub fn open(address: &Address) -> Result<Box<dyn Remote>> {
    let name = address.to_string();
    let session =
        || Session::new().map_err(|reason| Error::from(RemoteError::Unavailable { address: name.clone(), reason }));
    let session = || session().map(|session| session.with(address.in_the_clear()));
    Ok(match address.place() {
        Place::Directory(path) => Box::new(DirectoryRemote::new(name, path.clone())),
        Place::Web(base) => {
            let session = session()?;
            Box::new(WebRemote::new(name, base.clone(), session, Credentials::of_user()))
        }
        Place::Registry(place) => {
            let session = session()?;
            Box::new(OciRemote::new(name, place.clone(), session, Credentials::of_user()))
        }
        Place::Cloud(place) => {
            let opened = CloudRemote::new(name.clone(), place, address.in_the_clear());
            Box::new(opened.map_err(|reason| Error::from(RemoteError::Unavailable { address: name, reason }))?)
        }
    })
}

/// The offer that an artifact of the store makes at a remote.
///
/// # Errors
/// [`Error::Io`] if a file cannot be looked at, and those of a damaged entry.
fn offer_for(artifact: &StoredArtifact, remote: &str) -> Result<Offer> {
    let record = &artifact.record;
    // What is pushed has to be whole: its record agrees with its manifest, which is compared with its digest.
    artifact.read_manifest()?;
    let size = |path: PathBuf| Ok::<_, Error>(fs_err::metadata(path)?.len());
    let debug = match artifact.debug_tarball().zip(record.debug_digest) {
        Some((path, digest)) => Some(Blob { digest, size: size(path)? }),
        None => None,
    };
    Ok(Offer {
        name: record.name.clone(),
        digest: record.digest,
        size: size(artifact.tarball())?,
        build_key: record.build_key,
        request_key: record.request_key,
        manifest: Blob { digest: record.manifest_digest, size: size(artifact.manifest())? },
        debug,
        published: record.published,
        remote: remote.to_owned(),
    })
}

/// The files of an offer with those of the artifact in the store. The manifest comes last.
fn files_of(artifact: &StoredArtifact, offer: &Offer) -> Vec<(Blob, PathBuf)> {
    let files = [
        (Some(offer.tarball()), Some(artifact.tarball())),
        (offer.debug, artifact.debug_tarball()),
        (Some(offer.manifest), Some(artifact.manifest())),
    ];
    files.into_iter().filter_map(|(blob, from)| blob.zip(from)).collect()
}

/// Whether an error is the fault of a remote, so that the next one may help.
const fn is_of_remote(error: &Error) -> bool {
    matches!(
        error,
        Error::Remote(_) | Error::DigestMismatch { .. } | Error::Damaged { .. } | Error::HostileArchive { .. }
    )
}
