//! Artifacts and installed prefixes outside a store: reading the manifest, and telling the format of a tarball.

use std::path::Path;

use crate::domain::artifact::Format;
use crate::domain::manifest::{MANIFEST_PATH, Manifest};
use crate::error::{Error, Result};

/// Reads the manifest of a tree.
///
/// # Errors
/// [`Error::NotAnArtifact`] if there is none, [`Error::Damaged`] if it cannot be parsed, [`Error::Io`] if it
/// cannot be read.
pub fn read_manifest(prefix: &Path) -> Result<Manifest> {
    let path = prefix.join(MANIFEST_PATH);
    if !path.exists() {
        return Err(Error::NotAnArtifact { path: prefix.to_owned(), reason: format!("it has no {MANIFEST_PATH}") });
    }
    parse_manifest(&path, &fs_err::read(&path)?)
}

/// Parses the bytes of a manifest; `path` is for the error.
///
/// # Errors
/// [`Error::Damaged`] if they are not a manifest.
pub fn parse_manifest(path: &Path, bytes: &[u8]) -> Result<Manifest> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::Damaged { what: path.display().to_string(), reason: error.to_string() })
}

/// The format of a tarball, by its file name.
///
/// # Errors
/// [`Error::NotAnArtifact`] if the file is missing or its name has another ending.
pub fn format_of(tarball: &Path) -> Result<Format> {
    let name = tarball.file_name().unwrap_or_default().to_string_lossy();
    let reason = if tarball.exists() {
        "it is neither a directory nor a .tar.zst, .tar.xz or .tar.gz"
    } else {
        "it is not there"
    };
    Format::ALL
        .iter()
        .copied()
        .find(|format| tarball.exists() && name.ends_with(&format!(".tar.{format}")))
        .ok_or_else(|| Error::NotAnArtifact { path: tarball.to_owned(), reason: reason.into() })
}
