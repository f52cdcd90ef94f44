//! Artifacts and installed prefixes outside a store: reads the manifest, and recognises the format of a tarball.

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
/// [`Error::NotAnArtifact`] for a manifest of another format, [`Error::Damaged`] for bytes that are not a manifest.
pub fn parse_manifest(path: &Path, bytes: &[u8]) -> Result<Manifest> {
    serde_json::from_slice(bytes).map_err(|error| match format_in(bytes) {
        Some(format) if format != u64::from(FORMAT) => Error::NotAnArtifact {
            path: path.to_owned(),
            reason: format!("it was made in format {format}, and this pykeel reads format {FORMAT} only"),
        },
        _ => Error::Damaged { what: path.display().to_string(), reason: error.to_string() },
    })
}

/// Returns the format that a manifest names, at its place since format 3 or at the one before.
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
        "there is no such file"
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
        assert!(parse(&format!("{{\"plan\": {{\"request\": {{\"format\": {FORMAT}}}}}}}")).contains("damaged"));
        assert!(parse("nothing").contains("damaged"));
    }
}
