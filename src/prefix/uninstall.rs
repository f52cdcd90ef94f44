//! Removes a prefix that pykeel installed, and nothing else.

use std::io;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::contents::{self, Expected};
use super::site::{Destination, Identity, Occupant, Site};
use crate::domain::artifact::ArtifactName;
use crate::domain::prefix::PrefixTemplate;
use crate::error::{Error, PrefixError, Result};
use crate::event::{Event, Reporter};
use crate::sys::directory::{Directory, Missing};

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
    let depth = Path::new(&glob).components().count();
    // The part of the template before the first placeholder is one directory.
    let fixed: PathBuf =
        Path::new(&glob).components().take_while(|part| !part.as_os_str().to_string_lossy().contains('*')).collect();
    let mut found = Vec::new();
    // A directory that cannot be read cannot be removed either.
    if let Ok(Some(base)) = Directory::in_root(root, &fixed, Missing::Keep) {
        find(&base, &fixed, depth - fixed.components().count(), &matcher, &mut found);
    }
    Ok(found)
}

/// Adds the Pythons in a directory, down to a depth. `path` is the directory's path in its root.
fn find(directory: &Directory, path: &Path, depth: usize, matcher: &GlobMatcher, found: &mut Vec<Installed>) {
    if matcher.is_match(path)
        && let Ok(identity) = Identity::read(directory)
    {
        found.push(Installed { prefix: path.to_owned(), name: identity.name });
    }
    if depth == 0 {
        return;
    }
    for name in directory.directories().unwrap_or_default() {
        if let Ok(child) = directory.child(&name) {
            find(&child, &path.join(&name), depth - 1, matcher, found);
        }
    }
}

/// Returns what [`uninstall`] would remove, and changes nothing.
///
/// # Errors
/// [`PrefixError::NotRemovable`] for anything that pykeel did not install; [`PrefixError::Mounted`] if a file system is
/// mounted in it; [`PrefixError::Invalid`] if the path cannot be a prefix; [`Error::Io`], [`Error::Interrupted`].
pub fn inspect(destination: &Destination, reporter: &dyn Reporter) -> Result<Finding> {
    match Site::find(destination, reporter)? {
        Some(site) => examine(&site),
        None => Ok(Finding::Nothing),
    }
}

fn examine(site: &Site) -> Result<Finding> {
    if site.left(&site.removal())? || site.left(&site.journal())? {
        return Ok(Finding::Remains);
    }
    match site.occupant()? {
        Occupant::Python(directory, identity) => {
            let expected = Expected { sums: identity.sums, links: &identity.links };
            let found = contents::compare(&directory, &expected)?;
            let mut other_files = [found.added, found.changed].concat();
            other_files.sort_unstable();
            Ok(Finding::Python(Removable { name: identity.name, size: found.size, other_files }))
        }
        Occupant::Foreign(reason) => {
            let reason = format!("pykeel did not install it: {reason}");
            Err(PrefixError::NotRemovable { path: site.target(), reason }.into())
        }
        Occupant::Nothing | Occupant::EmptyDirectory if site.left(&site.old())? => Ok(Finding::Remains),
        Occupant::Nothing | Occupant::EmptyDirectory => Ok(Finding::Nothing),
    }
}

/// Removes a prefix that pykeel installed, or completes an interrupted removal. The tree is renamed first,
/// so that no process sees half of it.
///
/// # Errors
/// [`PrefixError::NotRemovable`] for anything that pykeel did not install; [`PrefixError::OtherFiles`] if other files
/// are in it and `other_files` keeps them; [`PrefixError::Mounted`] if a file system is mounted there;
/// [`PrefixError::Invalid`] if the path cannot be a prefix; [`Error::Io`], [`Error::Interrupted`].
pub fn uninstall(destination: &Destination, other_files: OtherFiles, reporter: &dyn Reporter) -> Result<Finding> {
    let Some(site) = Site::find(destination, reporter)? else { return Ok(Finding::Nothing) };
    let completed = site.repair(reporter)?;
    let found = examine(&site)?;
    let Finding::Python(python) = &found else {
        return Ok(if completed { Finding::Remains } else { Finding::Nothing });
    };
    if other_files == OtherFiles::Keep && !python.other_files.is_empty() {
        return Err(PrefixError::OtherFiles { path: site.target(), other_files: python.other_files.clone() }.into());
    }
    if site.is_mount_point()? {
        return Err(PrefixError::Mounted { path: site.target() }.into());
    }
    let parent = site.parent();
    match parent.rename(site.name(), &site.old()) {
        Ok(()) => {
            parent.sync()?;
            site.remove(&site.old())?;
        }
        // overlayfs cannot rename a directory of a lower layer.
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            parent.write_new(&site.removal(), b"")?;
            site.clear_target()?;
            parent.remove_file(&site.removal())?;
            reporter.report(Event::Note(format!(
                "this file system cannot rename the directory, so {} was removed file by file",
                site.target().display()
            )));
        }
        Err(error) => return Err(crate::sys::fs::with_path(&site.target(), error).into()),
    }
    site.keep_time()?;
    parent.sync()?;
    Ok(found)
}
