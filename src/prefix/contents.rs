//! What is in a prefix, compared with what an installation put there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::domain::digest::Digest;
use crate::domain::manifest::{MANIFEST_PATH, SUMS_PATH};
use crate::error::{Error, PrefixError, Result};
use crate::sys::directory::Directory;
use crate::sys::fs::{Entry, Kind, with_path};

/// What an artifact has: the digest of `SHA256SUMS`, and the links with their targets.
pub(super) struct Expected<'a> {
    pub(super) sums: Option<Digest>,
    pub(super) links: &'a BTreeMap<String, String>,
}

/// The files of a prefix.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The size of all files in bytes.
    pub(super) size: u64,
    /// What is there besides the artifact's files and bytecode caches, a phrase each.
    pub(super) added: Vec<String>,
    /// What differs from the artifact.
    pub(super) changed: Vec<String>,
    /// What the artifact has and the prefix lacks.
    pub(super) missing: Vec<String>,
}

/// Compares a prefix with an artifact. Bytecode caches do not count.
///
/// # Errors
/// [`PrefixError::Mounted`] if another file system is mounted in it, [`Error::Io`].
pub(super) fn compare(prefix: &Directory, expected: &Expected<'_>) -> Result<Contents> {
    let entries = prefix.walk()?;
    refuse_mounts(prefix, &entries)?;
    let sums = prefix.open_file(Path::new(SUMS_PATH)).and_then(std::io::read_to_string).unwrap_or_default();
    let mut found = Contents::default();
    if expected.sums != Some(Digest::of(&sums)) {
        // Nothing says which files are the artifact's.
        found.added.push(format!("{SUMS_PATH} is missing or differs from the one that the manifest names"));
        return Ok(found);
    }
    let own: BTreeMap<PathBuf, &str> =
        sums.lines().filter_map(|line| line.split_once("  ")).map(|(sum, path)| (path.into(), sum)).collect();
    let mut missing: BTreeSet<&Path> = own.keys().map(PathBuf::as_path).collect();
    missing.extend(expected.links.keys().map(Path::new));
    for entry in entries.iter().filter(|entry| entry.kind != Kind::Directory) {
        missing.remove(entry.path.as_path());
        let shown = entry.path.display().to_string();
        if let Kind::File { size, .. } = entry.kind {
            found.size += size;
        }
        let is_own = match &entry.kind {
            Kind::File { .. } if [SUMS_PATH, MANIFEST_PATH].contains(&shown.as_str()) => continue,
            Kind::File { .. } => {
                own.get(&entry.path).map(|sum| sum_of(prefix, entry).map(|is| is == **sum)).transpose()?
            }
            Kind::Symlink(target) => expected.links.get(&shown).map(|said| Path::new(said) == target),
            _ => None,
        };
        match is_own {
            // Every file of an artifact has the mode 644 or 755.
            Some(true) if entry.is_file() && entry.mode & 0o7022 != 0 => {
                found.changed.push(format!("{shown} has the mode {:o}", entry.mode));
            }
            Some(true) => {}
            Some(false) => found.changed.push(format!("{shown} was changed")),
            None if own.contains_key(&entry.path) || expected.links.contains_key(&shown) => {
                found.changed.push(format!("{shown} was changed"));
            }
            None if entry.path.iter().any(|part| part == "__pycache__") => {}
            None => found.added.push(format!("{shown} was added")),
        }
    }
    found.missing.extend(missing.into_iter().map(|path| format!("{} is missing", path.display())));
    Ok(found)
}

fn sum_of(prefix: &Directory, entry: &Entry) -> Result<String> {
    let failed = |error| with_path(&prefix.path_of(&entry.path), error);
    let file = prefix.open_file(&entry.path).map_err(failed)?;
    Ok(Digest::of_reader(file)?.to_string())
}

fn refuse_mounts(prefix: &Directory, entries: &[Entry]) -> Result<()> {
    // Only directories count, because files of an overlay have the devices of its layers.
    let device = |path: &Path| Ok::<_, Error>(prefix.facts(path)?.map(|facts| facts.device));
    let own = device(Path::new("."))?;
    for entry in entries.iter().filter(|entry| entry.kind == Kind::Directory) {
        if device(&entry.path)? != own {
            return Err(PrefixError::Mounted { path: prefix.path_of(&entry.path) }.into());
        }
    }
    Ok(())
}
