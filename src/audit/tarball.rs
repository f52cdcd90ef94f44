//! Reads a tarball that is to be installed: checks it, and makes an artifact of it that no store has.

use std::path::Path;

use crate::domain::artifact::Format;
use crate::domain::digest::Digest;
use crate::domain::manifest::MANIFEST_PATH;
use crate::error::{Error, Result};
use crate::event::Silent;
use crate::stages::{package, publish, verify};
use crate::store::artifact::{format_of, read_manifest};
use crate::store::{CacheStatus, Received, Store, StoredArtifact};
use crate::sys::{archive, fs};

/// An artifact of a tarball, in a directory of its own.
///
/// It does not enter the user's store: a build key says what a tarball claims to be built from, and a file that somebody
/// hands over for one installation is no proof of that for later builds.
#[derive(Debug)]
pub struct TarballArtifact {
    artifact: StoredArtifact,
    _directory: tempfile::TempDir,
}

impl TarballArtifact {
    /// Reads a tarball and checks the archive, every file's sum, the links, the ELF files, and that the manifest's keys
    /// and name follow from its plan. Nothing of it is run, and nothing is written but a temporary directory.
    ///
    /// # Errors
    /// [`Error::NotAnArtifact`] if it is not a tarball of pykeel; [`Error::HostileArchive`], [`Error::Damaged`] and
    /// [`Error::Verification`] for one that is damaged or changed; [`Error::Io`].
    pub fn read(tarball: &Path) -> Result<Self> {
        let what = tarball.display().to_string();
        let format = format_of(tarball)?;
        let directory = fs::temporary_directory_in(&std::env::temp_dir(), "pykeel-install-")?;
        let unpacked = directory.path().join("unpacked");
        fs_err::create_dir(&unpacked)?;
        let reader = archive::decoder(format, fs_err::File::open(tarball)?)?;
        let top = archive::unpack(&what, reader, &unpacked)?.top;
        let not_ours = |error| match error {
            Error::NotAnArtifact { reason, .. } => Error::NotAnArtifact { path: tarball.to_owned(), reason },
            Error::Damaged { reason, .. } => Error::Damaged { what: format!("the manifest of {what}"), reason },
            error => error,
        };
        let manifest = read_manifest(&unpacked).map_err(not_ours)?;
        verify::check_files(&unpacked)?.require(&what)?;
        let expected = manifest.plan.request.prefix.name();
        if top != expected {
            return Err(Error::Damaged { what, reason: format!("its top directory is {top}, not {expected}") });
        }
        let json = fs_err::read(unpacked.join(MANIFEST_PATH))?;
        let copy = directory.path().join("copy.tar.zst");
        match format {
            Format::Zst => drop(fs_err::copy(tarball, &copy)?),
            Format::Xz | Format::Gz => {
                package::recompress(tarball, format, Format::Zst, fs_err::File::create_new(&copy)?)?;
            }
        }
        fs::remove_tree(&unpacked)?;
        let digest = Digest::of_reader(fs_err::File::open(&copy)?)?;
        let received = Received { manifest: &json, tarball: copy, digest, debug: None, published: 0 };
        let store = Store::new(directory.path().join("store"));
        let artifact = match store.lookup(manifest.build_key, manifest.request_key, &Silent)? {
            CacheStatus::Miss(lock) => publish::adopt(received, lock, &store).map_err(not_ours)?,
            CacheStatus::Hit(artifact) => *artifact,
        };
        Ok(Self { artifact, _directory: directory })
    }

    /// The artifact.
    #[must_use]
    pub const fn artifact(&self) -> &StoredArtifact {
        &self.artifact
    }
}
