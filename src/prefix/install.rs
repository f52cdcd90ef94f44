//! Installs a stored artifact into a prefix. The old Python stays until the new one is complete.

use std::path::{Path, PathBuf};

use super::contents::{self, Expected};
use super::site::{Destination, Identity, Occupant, Site};
use crate::domain::artifact::GlibcVersion;
use crate::domain::digest::Digest;
use crate::domain::manifest::{MANIFEST_PATH, Manifest};
use crate::domain::plan::ArtifactRequest;
use crate::domain::target::Target;
use crate::error::{Error, PrefixError, Result};
use crate::event::{Event, Reporter, Silent};
use crate::store::StoredArtifact;
use crate::sys::directory::{self, Directory};
use crate::sys::process::Runner;
use crate::sys::{archive, distro, elf};

/// Whether an installation survives a crash of the whole machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It survives: the file system is synced before the new tree gets its name.
    Synced,
    /// A crash may lose the old and the new tree. For a layer of an image, which a crash loses anyway.
    Unsynced,
}

/// The options of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstallOptions {
    /// Whether a prefix that pykeel did not make may be replaced.
    pub force: bool,
    /// Whether the file system is synced first.
    pub durability: Durability,
}

/// How the new tree got to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// The same artifact was installed already. Nothing was done.
    AlreadyThere,
    /// There was nothing at the prefix, or an empty directory.
    New,
    /// The old and the new tree changed places atomically.
    Exchanged,
    /// The old tree was removed first, because the file system cannot exchange directories.
    Replaced,
}

/// An installation that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// How the tree got to its place.
    pub placement: Placement,
    /// Where it is on this system: in a root, links may have led to another place than the prefix says.
    pub path: PathBuf,
}

/// Returns the glibc version of a root file system for this target, or `None` if it has no readable glibc.
#[must_use]
pub fn glibc_of(root: &Path, target: Target) -> Option<GlibcVersion> {
    target
        .library_directories()
        .iter()
        .filter_map(|place| directory::file_in_root(root, &place.join("libc.so.6")).ok().flatten())
        .find_map(|file| elf::provided_glibc(file).ok().flatten())
}

/// Returns the packages of the artifact's list that a root does not have, by its package database. A
/// package counts as installed if another one provides it. Returns `None` if the root has no package
/// database that can be read here.
///
/// # Errors
/// [`Error::Io`], [`Error::Spawn`] or [`Error::Command`] if an existing database cannot be read.
pub fn missing_packages(manifest: &Manifest, root: &Path, runner: &dyn Runner) -> Result<Option<Vec<String>>> {
    let installed = distro::installed_packages(root, runner)?;
    let is_missing = |name: &&String| !installed.as_ref().is_some_and(|names| names.contains(*name));
    let missing = || manifest.runtime_packages.iter().filter(is_missing).cloned().collect();
    Ok(installed.is_some().then(missing))
}

/// Installs an artifact. The tarball is unpacked beside the prefix while its digest is checked. Then the
/// new tree and the old one change places.
///
/// # Errors
/// - [`PrefixError::Foreign`] if pykeel did not make what is at the prefix;
/// - [`PrefixError::OtherFiles`] if there are files in it that pykeel did not put there;
/// - [`Error::Distrusted`] if another user put something beside it that pykeel would complete or remove;
/// - [`PrefixError::Mounted`] if a file system is mounted at the prefix;
/// - [`Error::DigestMismatch`] or [`Error::Damaged`] if the tarball is damaged;
/// - [`Error::Io`], [`Error::Interrupted`].
///
/// After an error the old Python is still there.
pub fn install(
    artifact: &StoredArtifact,
    destination: &Destination,
    options: InstallOptions,
    reporter: &dyn Reporter,
) -> Result<Placed> {
    let new = NewPython {
        build_key: artifact.record.build_key,
        is_unchanged: &|prefix| is_unchanged(prefix, artifact),
        unpack: &|directory| unpack(artifact, directory),
    };
    install_new(&new, destination, options, reporter)
}

/// Looks at a destination as [`install`] does, before a build of minutes ends in vain. What an interrupted run began there
/// is completed or undone. `request` is what will be installed.
///
/// # Errors
/// Those of [`install`] that can be known without the artifact; [`Error::Io`] also if this user may not write there.
pub fn check_destination(
    destination: &Destination,
    request: &ArtifactRequest,
    options: InstallOptions,
    reporter: &dyn Reporter,
) -> Result<()> {
    let Some(site) = Site::find(destination, reporter)? else {
        // The tree is made in the parent directory, which has to be made first.
        let path = destination.path();
        let above = path.ancestors().skip(1).find(|above| above.exists()).unwrap_or(Path::new("/"));
        return Directory::open(above)?.require_writable();
    };
    site.repair(reporter)?;
    match site.occupant()? {
        Occupant::Foreign(reason) if !options.force => return Err(foreign(&site, reason)),
        // Of another request it cannot be the same artifact. Warnings come when it is replaced.
        Occupant::Python(directory, identity) if !options.force && identity.is_of_other_than(request) => {
            keep_other_files(&directory, &identity, &Silent)?;
        }
        // It may be the same artifact, and then nothing is written.
        Occupant::Python(..) if !options.force => return Ok(()),
        _ => {}
    }
    refuse_mount_point(&site)?;
    site.require_writable()
}

fn foreign(site: &Site, reason: String) -> Error {
    PrefixError::Foreign { path: site.target(), reason }.into()
}

fn refuse_mount_point(site: &Site) -> Result<()> {
    if site.is_mount_point()? {
        return Err(PrefixError::Mounted { path: site.target() }.into());
    }
    Ok(())
}

/// What is installed.
pub(crate) struct NewPython<'a> {
    /// The build key.
    pub(crate) build_key: Digest,
    /// Whether a prefix with this build key has all files as they were installed.
    pub(crate) is_unchanged: &'a dyn Fn(&Directory) -> Result<bool>,
    /// Writes the tree into an empty directory.
    pub(crate) unpack: &'a dyn Fn(&Directory) -> Result<()>,
}

/// [`install`] for a tree that need not be of a store.
///
/// # Errors
/// As [`install`].
pub(crate) fn install_new(
    new: &NewPython<'_>,
    destination: &Destination,
    options: InstallOptions,
    reporter: &dyn Reporter,
) -> Result<Placed> {
    let site = Site::make(destination, reporter)?;
    site.repair(reporter)?;
    let path = || if destination.root.is_some() { site.target() } else { destination.prefix.clone() };
    let occupant = site.occupant()?;
    if !options.force {
        match &occupant {
            Occupant::Nothing | Occupant::EmptyDirectory => {}
            Occupant::Foreign(reason) => return Err(foreign(&site, reason.clone())),
            Occupant::Python(directory, identity) => {
                if identity.build_key == new.build_key && (new.is_unchanged)(directory)? {
                    return Ok(Placed { placement: Placement::AlreadyThere, path: path() });
                }
                keep_other_files(directory, identity, reporter)?;
            }
        }
    }
    refuse_mount_point(&site)?;
    let mut fresh = NewTree { site: &site, is_kept: false };
    (new.unpack)(&site.parent().make(site.fresh())?)?;
    if options.durability == Durability::Synced {
        site.parent().sync_file_system()?;
    }
    let placement = fresh.place(&occupant)?;
    site.keep_time()?;
    if placement == Placement::Replaced {
        reporter.report(Event::Note(format!(
            "this file system cannot exchange directories, so {} was absent for a moment",
            site.target().display()
        )));
    }
    Ok(Placed { placement, path: path() })
}

/// Whether a prefix has all files of an artifact as they are in it. Nothing in the prefix says what these are.
fn is_unchanged(prefix: &Directory, artifact: &StoredArtifact) -> Result<bool> {
    let manifest = artifact.read_manifest()?;
    let expected = Expected { sums: Some(manifest.sums), links: &manifest.links };
    let found = contents::compare(prefix, &expected)?;
    // What was added is the user's. Without the sums, nothing else was compared.
    let has_sums = found.size > 0;
    Ok(has_sums && found.changed.is_empty() && found.missing.is_empty())
}

/// Refuses to replace a Python with files that pykeel did not put there, such as packages. Files of its own that were
/// changed are replaced, and named.
fn keep_other_files(prefix: &Directory, identity: &Identity, reporter: &dyn Reporter) -> Result<()> {
    let expected = Expected { sums: identity.sums, links: &identity.links };
    let found = contents::compare(prefix, &expected)?;
    if !found.added.is_empty() {
        return Err(PrefixError::OtherFiles { path: prefix.path().to_owned(), other_files: found.added }.into());
    }
    let differing = [found.changed, found.missing].concat();
    if let Some(first) = differing.first() {
        let path = prefix.path().display();
        let more = if differing.len() > 1 { format!(" and {} more", differing.len() - 1) } else { String::new() };
        reporter.report(Event::Warning(format!("{path} was not as it was installed: {first}{more}; it is replaced")));
    }
    Ok(())
}

/// Unpacks an artifact into an empty directory, and checks the tarball's digest meanwhile.
fn unpack(artifact: &StoredArtifact, directory: &Directory) -> Result<()> {
    artifact.read_tarball(|name, reader| archive::unpack_into(name, reader, directory))?;
    let manifest = directory.open_file(Path::new(MANIFEST_PATH)).and_then(Digest::of_reader);
    artifact.require_manifest(manifest.ok())
}

/// A new tree beside the prefix. Dropping it removes the tree, unless it was moved to the prefix or has to be.
struct NewTree<'a> {
    site: &'a Site,
    is_kept: bool,
}

impl NewTree<'_> {
    /// Moves the tree to its prefix.
    fn place(&mut self, occupant: &Occupant) -> Result<Placement> {
        let site = self.site;
        let (parent, fresh, target) = (site.parent(), site.fresh(), site.name());
        let placement = if matches!(occupant, Occupant::Nothing) {
            site.rename(&fresh, target)?;
            Placement::New
        } else if parent.exchange(&fresh, target)? {
            site.rename(&fresh, &site.old())?;
            Placement::Exchanged
        } else {
            parent.write_new(&site.journal(), b"")?;
            // From here on the next run completes what this one cannot.
            self.is_kept = true;
            site.clear_target()?;
            site.rename(&fresh, target)?;
            parent.remove_file(&site.journal())?;
            Placement::Replaced
        };
        parent.sync()?;
        site.remove(&site.old())?;
        Ok(if matches!(occupant, Occupant::EmptyDirectory) { Placement::New } else { placement })
    }
}

impl Drop for NewTree<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            // After a successful installation nothing is left here. The next run removes what this one cannot.
            let _later = self.site.parent().remove_tree(&self.site.fresh());
        }
    }
}
