//! Removes a prefix that pykeel installed, and nothing else.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use globset::GlobBuilder;
use walkdir::WalkDir;

use super::site::{Destination, Identity, Site};
use crate::domain::artifact::ArtifactName;
use crate::domain::digest::Digest;
use crate::domain::manifest::{MANIFEST_PATH, SUMS_PATH};
use crate::domain::prefix::PrefixTemplate;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::sys::fs::{self, Kind};

/// What to do about files that are not part of the artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherFiles {
    /// Do not remove the prefix.
    Keep,
    /// Remove them with the prefix.
    Remove,
}

/// A prefix that can be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removable {
    /// The name of the artifact.
    pub name: ArtifactName,
    /// The size of all files in bytes.
    pub size: u64,
    /// The files that were added or changed since the installation, one phrase each.
    pub other_files: Vec<String>,
}

/// What is at a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A Python that pykeel installed.
    Python(Removable),
    /// The remains of an interrupted run, which can be completed.
    Remains,
    /// Nothing.
    Nothing,
}

/// A Python that pykeel installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The prefix, relative to the root file system.
    pub prefix: PathBuf,
    /// The name of the artifact.
    pub name: ArtifactName,
}

/// Returns the Pythons that pykeel installed below a root, at the prefixes of a template. Directories that
/// cannot be read are skipped.
///
/// # Errors
/// [`Error::Pattern`] if the template is not a valid glob.
pub fn installed(template: &PrefixTemplate, root: &Path) -> Result<Vec<Installed>> {
    let glob = template.glob();
    let matcher = GlobBuilder::new(&glob)
        .literal_separator(true)
        .build()
        .map_err(|error| Error::Pattern { pattern: template.to_string(), reason: error.kind().to_string() })?
        .compile_matcher();
    let depth = Path::new(&glob).components().skip(1).count();
    // The part of the template before the first placeholder is one directory.
    let fixed: PathBuf =
        Path::new(&glob).components().take_while(|part| !part.as_os_str().to_string_lossy().contains('*')).collect();
    let base = root.join(fixed.strip_prefix("/").unwrap_or(&fixed));
    let walk = WalkDir::new(base).max_depth(depth - fixed.components().skip(1).count()).sort_by_file_name();
    let mut found = Vec::new();
    // A directory that cannot be read cannot be removed either.
    for entry in walk.into_iter().filter_map(std::result::Result::ok).filter(|entry| entry.file_type().is_dir()) {
        let Ok(below) = entry.path().strip_prefix(root) else { continue };
        let prefix = Path::new("/").join(below);
        if let (true, Ok(identity)) = (matcher.is_match(&prefix), Identity::read(entry.path())) {
            found.push(Installed { prefix, name: identity.name });
        }
    }
    Ok(found)
}

/// Returns what [`uninstall`] would remove, and changes nothing.
///
/// # Errors
/// [`Error::NotRemovable`] for anything that pykeel did not install; [`Error::InvalidPrefix`] if the path cannot be
/// a prefix; [`Error::Io`], [`Error::Interrupted`].
pub fn inspect(destination: &Destination, reporter: &dyn Reporter) -> Result<Finding> {
    match Site::find(destination, reporter)? {
        Some(site) => examine(&site),
        None => Ok(Finding::Nothing),
    }
}

fn examine(site: &Site) -> Result<Finding> {
    if site.removal().exists() || site.journal().exists() {
        return Ok(Finding::Remains);
    }
    let occupant = site.occupant().map_err(|error| match error {
        Error::ForeignPrefix { path, reason } => {
            Error::NotRemovable { path, reason: format!("pykeel did not install it: {reason}") }
        }
        other => other,
    });
    match occupant? {
        Some(identity) => {
            let (bytes, other_files) = contents(site.target(), &identity)?;
            Ok(Finding::Python(Removable { name: identity.name, size: bytes, other_files }))
        }
        None if site.old().exists() => Ok(Finding::Remains),
        None => Ok(Finding::Nothing),
    }
}

/// Removes a prefix that pykeel installed, or completes an interrupted removal. The tree is renamed first,
/// so that no process sees half of it.
///
/// # Errors
/// [`Error::NotRemovable`] for anything that pykeel did not install; [`Error::OtherFiles`] if other files are in
/// it and `other_files` keeps them; [`Error::InvalidPrefix`] if the path cannot be a prefix; [`Error::Io`],
/// [`Error::Interrupted`].
pub fn uninstall(destination: &Destination, other_files: OtherFiles, reporter: &dyn Reporter) -> Result<Finding> {
    let Some(site) = Site::find(destination, reporter)? else { return Ok(Finding::Nothing) };
    let completed = site.repair(reporter)?;
    let found = examine(&site)?;
    let Finding::Python(python) = &found else {
        return Ok(if completed { Finding::Remains } else { Finding::Nothing });
    };
    if other_files == OtherFiles::Keep && !python.other_files.is_empty() {
        return Err(Error::OtherFiles { path: site.target().to_owned(), other_files: python.other_files.clone() });
    }
    match std::fs::rename(site.target(), site.old()) {
        Ok(()) => {
            fs::sync_directory(site.parent())?;
            fs::remove_tree(&site.old())?;
        }
        // overlayfs cannot rename a directory of a lower layer.
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
            fs::write_atomically(&site.removal(), b"")?;
            fs::remove_tree(site.target())?;
            fs_err::remove_file(site.removal())?;
            reporter.report(Event::Note(format!(
                "this file system cannot rename the directory, so {} was removed file by file",
                site.target().display()
            )));
        }
        Err(error) => return Err(fs::with_path(site.target(), error).into()),
    }
    fs::sync_directory(site.parent())?;
    Ok(found)
}

/// Returns the size of a prefix in bytes, and the files that are not part of the artifact. Bytecode caches
/// do not count.
///
/// # Errors
/// [`Error::NotRemovable`] if another file system is mounted in it, [`Error::Io`].
fn contents(prefix: &Path, identity: &Identity) -> Result<(u64, Vec<String>)> {
    let entries = fs::walk(prefix)?;
    let device = fs_err::symlink_metadata(prefix)?.dev();
    // Only directories count, because files of an overlay have the devices of its layers.
    for entry in entries.iter().filter(|entry| entry.kind == Kind::Directory) {
        if fs_err::symlink_metadata(prefix.join(&entry.path))?.dev() != device {
            let reason = format!("another file system is mounted at {}", entry.path.display());
            return Err(Error::NotRemovable { path: prefix.to_owned(), reason });
        }
    }
    let sums = fs_err::read_to_string(prefix.join(SUMS_PATH)).unwrap_or_default();
    if identity.sums != Some(Digest::of(&sums)) {
        let reason = format!("{SUMS_PATH} is missing or differs from the one that the manifest names");
        return Ok((0, vec![reason]));
    }
    let mut own: BTreeMap<&Path, &str> = BTreeMap::new();
    for (digest, path) in sums.lines().filter_map(|line| line.split_once("  ")) {
        own.insert(Path::new(path), digest);
    }
    let (mut size, mut other_files) = (0, Vec::new());
    for entry in entries {
        let path = prefix.join(&entry.path);
        let shown = entry.path.display().to_string();
        match &entry.kind {
            Kind::Directory => {}
            _ if entry.path.iter().any(|part| part == "__pycache__") && !own.contains_key(entry.path.as_path()) => {}
            Kind::File { size: bytes, .. } => {
                size += bytes;
                let kept = [SUMS_PATH, MANIFEST_PATH].contains(&shown.as_str());
                match own.get(entry.path.as_path()) {
                    None if kept => {}
                    None => other_files.push(format!("{shown} was added")),
                    Some(digest) => {
                        if Digest::of_reader(fs_err::File::open(&path)?)?.to_string() != **digest {
                            other_files.push(format!("{shown} was changed"));
                        }
                    }
                }
            }
            Kind::Symlink(target) => match identity.links.get(&shown) {
                None => other_files.push(format!("{shown} was added")),
                Some(said) if Path::new(said) == target => {}
                Some(_) => other_files.push(format!("{shown} was changed")),
            },
            Kind::Other => other_files.push(format!("{shown} was added")),
        }
    }
    Ok((size, other_files))
}
