//! Install: from a stored artifact to a prefix. The old Python stays until the new one is whole.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::site::{Destination, Site};
use crate::domain::artifact::{Format, GlibcVersion};
use crate::domain::digest::{Digest, HashingReader};
use crate::domain::manifest::Manifest;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::store::StoredArtifact;
use crate::sys::process::Runner;
use crate::sys::{archive, distro, elf, fs};

/// What a crash of the whole machine may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: the file system is synced first.
    Synced,
    /// Both trees: for a layer of an image, which a crash loses as a whole.
    Unsynced,
}

/// How an installation is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Whether a prefix that pykeel did not make may be replaced.
    pub force: bool,
    /// Whether the new tree is on the disk before it has its name.
    pub durability: Durability,
}

/// How the artifact got into place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// The same artifact was there already.
    AlreadyThere,
    /// Nothing was there.
    New,
    /// It changed places with what was there, in one step.
    Exchanged,
    /// What was there was removed first, for the file system cannot exchange directories.
    Replaced,
}

/// The newest glibc of a root file system; none where it has none or cannot be read.
#[must_use]
pub fn glibc_of(root: &Path) -> Option<GlibcVersion> {
    let arch = std::env::consts::ARCH;
    let places = [
        format!("lib/{arch}-linux-gnu"),
        "lib64".into(),
        "lib".into(),
        format!("usr/lib/{arch}-linux-gnu"),
        "usr/lib64".into(),
    ];
    places
        .iter()
        .map(|place| root.join(place).join("libc.so.6"))
        .filter(|path| path.exists())
        .find_map(|path| elf::provided_glibc(&path).ok().flatten())
}

/// Which of the packages that an artifact wants a root has not, by its package database. A package
/// counts that another one provides. None where the root has no database that can be read here.
///
/// # Errors
/// That a database which is there cannot be read.
pub fn missing_packages(manifest: &Manifest, root: &Path, runner: &dyn Runner) -> Result<Option<Vec<String>>> {
    let installed = distro::installed_packages(root, runner)?;
    let is_missing = |name: &&String| !installed.as_ref().is_some_and(|names| names.contains(*name));
    let missing = || manifest.runtime_packages.iter().filter(is_missing).cloned().collect();
    Ok(installed.is_some().then(missing))
}

/// Installs an artifact. The tarball's digest is checked while it is unpacked beside the prefix;
/// then it changes places with what is there.
///
/// # Errors
/// [`Error::ForeignPrefix`], [`Error::DigestMismatch`], or what the system answers. The old Python
/// is then still there.
pub fn install(
    artifact: &StoredArtifact,
    destination: &Destination,
    terms: Terms,
    reporter: &dyn Reporter,
) -> Result<Placement> {
    let site = Site::make(destination, reporter)?;
    site.repair(reporter)?;
    match site.occupant() {
        Ok(Some(identity)) if identity.build_key == artifact.record.build_key && !terms.force => {
            return Ok(Placement::AlreadyThere);
        }
        Ok(_) => {}
        // Only what is a directory is replaced; a link or a file is never.
        Err(Error::ForeignPrefix { .. }) if terms.force && site.is_directory() => {}
        Err(error) => return Err(error),
    }
    let fresh = Fresh::unpack(artifact, &site)?;
    if terms.durability == Durability::Synced {
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

/// Puts a new tree into place.
fn place(site: &Site, fresh: &Fresh) -> Result<Placement> {
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

/// A new tree beside the prefix; removed unless it was put into place.
struct Fresh {
    path: PathBuf,
}

impl Fresh {
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

impl Drop for Fresh {
    fn drop(&mut self) {
        // Once it is in place there is nothing here; what cannot be removed, the next run removes.
        let _later = fs::remove_tree(&self.path);
    }
}

/// Hashes a file while a decoder reads it, and sends the digest when the decoder is done with it.
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
            // Nobody listens when unpacking failed, and its error is the one that counts.
            let _unheard = self.sender.send(reader.finish());
        }
    }
}
