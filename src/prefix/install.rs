//! Installs a stored artifact into a prefix. The old Python stays until the new one is complete.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::site::{Destination, Site};
use crate::domain::artifact::{Format, GlibcVersion};
use crate::domain::digest::{Digest, HashingReader};
use crate::domain::manifest::Manifest;
use crate::domain::target::Target;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::store::StoredArtifact;
use crate::sys::process::Runner;
use crate::sys::{archive, distro, elf, fs};

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
    /// The prefix did not exist or was empty.
    New,
    /// The old and the new tree changed places atomically.
    Exchanged,
    /// The old tree was removed first, because the file system cannot exchange directories.
    Replaced,
}

/// Returns the glibc version of a root file system for this target, or `None` if it has no readable glibc.
#[must_use]
pub fn glibc_of(root: &Path, target: Target) -> Option<GlibcVersion> {
    let places =
        [format!("lib/{target}"), "lib64".into(), "lib".into(), format!("usr/lib/{target}"), "usr/lib64".into()];
    places
        .iter()
        .map(|place| root.join(place).join("libc.so.6"))
        .filter(|path| path.exists())
        .find_map(|path| elf::provided_glibc(&path).ok().flatten())
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
/// - [`Error::ForeignPrefix`] if pykeel did not make what is at the prefix;
/// - [`Error::DigestMismatch`] or [`Error::Damaged`] if the tarball is damaged;
/// - [`Error::Io`], [`Error::Interrupted`].
///
/// After an error the old Python is still there.
pub fn install(
    artifact: &StoredArtifact,
    destination: &Destination,
    options: InstallOptions,
    reporter: &dyn Reporter,
) -> Result<Placement> {
    let site = Site::make(destination, reporter)?;
    site.repair(reporter)?;
    match site.occupant() {
        Ok(Some(identity)) if identity.build_key == artifact.record.build_key && !options.force => {
            return Ok(Placement::AlreadyThere);
        }
        Ok(_) => {}
        // `--force` replaces a directory, but never a link or a file.
        Err(Error::ForeignPrefix { .. }) if options.force && site.is_directory() => {}
        Err(error) => return Err(error),
    }
    let fresh = NewTree::unpack(artifact, &site)?;
    if options.durability == Durability::Synced {
        fs::sync_file_system(&fresh.path)?;
    }
    let placement = place(&site, &fresh)?;
    if placement == Placement::Replaced {
        reporter.report(Event::Note(format!(
            "this file system cannot exchange directories, so {} was absent for a moment",
            site.target().display()
        )));
    }
    Ok(placement)
}

/// Moves a new tree to its prefix.
fn place(site: &Site, fresh: &NewTree) -> Result<Placement> {
    let target = site.target();
    let placement = if !target.exists() {
        fs_err::rename(&fresh.path, target)?;
        Placement::New
    } else if fs::exchange(&fresh.path, target)? {
        fs_err::rename(&fresh.path, site.old())?;
        Placement::Exchanged
    } else {
        fs::write_atomically(&site.journal(), b"")?;
        fs::remove_tree(target)?;
        fs_err::rename(&fresh.path, target)?;
        fs_err::remove_file(site.journal())?;
        Placement::Replaced
    };
    fs::sync_directory(site.parent())?;
    fs::remove_tree(&site.old())?;
    Ok(placement)
}

/// A new tree beside the prefix. Dropping it removes the tree, unless it was moved to the prefix.
struct NewTree {
    path: PathBuf,
}

impl NewTree {
    fn unpack(artifact: &StoredArtifact, site: &Site) -> Result<Self> {
        let fresh = Self { path: site.fresh() };
        fs_err::create_dir(&fresh.path)?;
        let tarball = artifact.tarball();
        let name = tarball.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (sender, digest) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let reader = archive::ReadAhead::new(scope, || {
                let hashing = HashedFile::new(std::fs::File::open(&tarball)?, sender);
                archive::decoder(Format::Zst, hashing)
            });
            archive::unpack(&name, reader, &fresh.path)
        })?;
        let found: Digest = digest.recv().map_err(|_| Error::Damaged {
            what: tarball.display().to_string(),
            reason: "it was not read to its end".into(),
        })??;
        let expected = artifact.record.digest;
        if found != expected {
            return Err(Error::DigestMismatch { what: tarball.display().to_string(), found, expected });
        }
        Ok(fresh)
    }
}

impl Drop for NewTree {
    fn drop(&mut self) {
        // After a successful installation nothing is left here. The next run removes what this one cannot.
        let _later = fs::remove_tree(&self.path);
    }
}

/// A file that is hashed while a decoder reads it. Dropping it sends the digest.
struct HashedFile {
    reader: Option<HashingReader<BufReader<std::fs::File>>>,
    sender: std::sync::mpsc::Sender<std::io::Result<Digest>>,
}

impl HashedFile {
    fn new(file: std::fs::File, sender: std::sync::mpsc::Sender<std::io::Result<Digest>>) -> Self {
        Self { reader: Some(HashingReader::new(BufReader::with_capacity(256 << 10, file))), sender }
    }
}

impl std::io::Read for HashedFile {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.reader.as_mut().map_or(Ok(0), |reader| reader.read(buf))
    }
}

impl Drop for HashedFile {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            // The receiver is gone if unpacking failed. That error counts, and not this one.
            let _unheard = self.sender.send(reader.finish());
        }
    }
}
