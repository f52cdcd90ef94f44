//! Artifacts and installed prefixes outside a store: reading the manifest, and telling the format of a tarball.

use std::path::Path;

use crate::domain::artifact::Format;
use crate::domain::manifest::{MANIFEST_PATH, Manifest};
use crate::domain::plan::FORMAT;
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
/// [`Error::NotAnArtifact`] for one of another format, [`Error::Damaged`] for what is none.
pub fn parse_manifest(path: &Path, bytes: &[u8]) -> Result<Manifest> {
    serde_json::from_slice(bytes).map_err(|error| match format_in(bytes) {
        Some(format) if format != u64::from(FORMAT) => Error::NotAnArtifact {
            path: path.to_owned(),
            reason: format!("it was made in format {format}, and this pykeel reads format {FORMAT} alone"),
        },
        _ => Error::Damaged { what: path.display().to_string(), reason: error.to_string() },
    })
}

/// The format that a manifest names, in the place where it is now and where it was up to format 2.
fn format_in(bytes: &[u8]) -> Option<u64> {
    let manifest: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let places = ["/plan/request/format", "/plan/format"];
    places.iter().find_map(|place| manifest.pointer(place)?.as_u64())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_of_another_format_is_told_from_a_damaged_one() {
        let parse = |text: &str| parse_manifest(Path::new("manifest.json"), text.as_bytes()).unwrap_err().to_string();
        assert!(parse("{\"plan\": {\"format\": 2}}").contains("format 2"));
        assert!(parse("{\"plan\": {\"request\": {\"format\": 9}}}").contains("format 9"));
        assert!(parse("{\"plan\": {\"request\": {\"format\": 3}}}").contains("damaged"));
        assert!(parse("nothing").contains("damaged"));
    }
}
