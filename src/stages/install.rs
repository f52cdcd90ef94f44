//! Install: from a stored artifact to a prefix. The old Python stays until the new one is whole.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::domain::artifact::{ArtifactName, Format, GlibcVersion};
use crate::domain::digest::{Digest, HashingReader};
use crate::domain::manifest::MANIFEST_PATH;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::store::StoredArtifact;
use crate::sys::lock::Lock;
use crate::sys::{archive, elf, fs};

/// Where an artifact goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Another root file system, as DESTDIR means it.
    pub root: Option<PathBuf>,
    /// The prefix there; any absolute path.
    pub prefix: PathBuf,
    /// Whether a prefix that pykeel did not make may be replaced.
    pub force: bool,
    /// Whether the new tree is on the disk before it has its name.
    pub durability: Durability,
}

/// What a crash of the whole machine may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: the file system is synced first.
    Synced,
    /// Both trees: for a layer of an image, which a crash loses as a whole.
    Unsynced,
}

impl Destination {
    /// The path on this system.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match &self.root {
            Some(root) => root.join(self.prefix.strip_prefix("/").unwrap_or(&self.prefix)),
            None => self.prefix.clone(),
        }
    }
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

/// Installs an artifact. The tarball's digest is checked while it is unpacked beside the prefix;
/// then it changes places with what is there.
///
/// # Errors
/// [`Error::ForeignPrefix`], [`Error::DigestMismatch`], or what the system answers. The old Python
/// is then still there.
pub fn install(artifact: &StoredArtifact, destination: &Destination, reporter: &dyn Reporter) -> Result<Placement> {
    let site = Site::open(destination, reporter)?;
    site.repair(reporter)?;
    match site.occupant(destination.force)? {
        Some(identity) if identity.build_key == artifact.record.build_key && !destination.force => {
            return Ok(Placement::AlreadyThere);
        }
        _ => {}
    }
    let fresh = Fresh::unpack(artifact, &site)?;
    if destination.durability == Durability::Synced {
        fs::sync_file_system(&fresh.path)?;
    }
    let placement = site.place(&fresh)?;
    if placement == Placement::Replaced {
        reporter.report(Event::Note(format!(
            "this file system cannot exchange directories, so {} was absent for a moment",
            site.target.display()
        )));
    }
    Ok(placement)
}

/// Who made a prefix. It is all that is read of a manifest here, so that another version of pykeel
/// knows it as one of pykeel's too.
#[derive(Debug, serde::Deserialize)]
struct Identity {
    #[serde(rename = "name")]
    _name: ArtifactName,
    build_key: Digest,
}

impl Identity {
    /// Reads the manifest of a prefix, or says why it is none of pykeel's.
    fn read(prefix: &Path) -> std::result::Result<Self, String> {
        let path = prefix.join(MANIFEST_PATH);
        if !path.exists() {
            return Err(format!("it has no {MANIFEST_PATH}"));
        }
        let bytes = std::fs::read(&path).map_err(|error| format!("its manifest cannot be read: {error}"))?;
        serde_json::from_slice(&bytes).map_err(|error| format!("its manifest cannot be read: {error}"))
    }
}

/// The prefix, its neighbours while something is installed there, and the lock on the place.
struct Site {
    target: PathBuf,
    parent: PathBuf,
    name: String,
    _lock: Lock,
}

impl Site {
    fn open(destination: &Destination, reporter: &dyn Reporter) -> Result<Self> {
        let path = destination.path();
        let error = |reason| Error::Usage(format!("`{}` cannot be a prefix: {reason}", path.display()));
        if destination.prefix.to_str().is_none() {
            return Err(error("it is not UTF-8, and Python imports no extension module from such a path"));
        }
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| error("it has no name"))?;
        if !path.is_absolute() && destination.root.is_none() {
            return Err(error("it is not absolute"));
        }
        let parent =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).ok_or_else(|| error("it is the root"))?;
        fs_err::create_dir_all(parent)?;
        let parent = fs_err::canonicalize(parent)?;
        let what = format!("the directory {}", parent.display());
        // The directory itself is locked: no lock file stays in an image.
        let lock = Lock::acquire_directory(&parent, &what, reporter)?;
        Ok(Self { target: parent.join(name), name: name.to_owned(), parent, _lock: lock })
    }

    /// The new tree while it is unpacked.
    fn fresh(&self) -> PathBuf {
        self.parent.join(format!(".pykeel-{}.new", self.name))
    }

    /// The old tree while it is removed.
    fn old(&self) -> PathBuf {
        self.parent.join(format!(".pykeel-{}.old", self.name))
    }

    /// The journal: while it is there, the new tree is whole and replaces the target.
    fn journal(&self) -> PathBuf {
        self.parent.join(format!(".pykeel-{}.journal", self.name))
    }

    /// Ends what an interrupted installation began, or undoes it.
    fn repair(&self, reporter: &dyn Reporter) -> Result<()> {
        if self.journal().exists() {
            if self.fresh().exists() {
                fs::remove_tree(&self.target)?;
                fs_err::rename(self.fresh(), &self.target)?;
            }
            fs_err::remove_file(self.journal())?;
            reporter
                .report(Event::Note(format!("an interrupted installation of {} was completed", self.target.display())));
        }
        fs::remove_tree(&self.old())?;
        fs::remove_tree(&self.fresh())
    }

    /// What is at the target: nothing, or a Python of pykeel's.
    fn occupant(&self, force: bool) -> Result<Option<Identity>> {
        let foreign = |reason: &str| Error::ForeignPrefix { path: self.target.clone(), reason: reason.to_owned() };
        match std::fs::symlink_metadata(&self.target) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fs::with_path(&self.target, error).into()),
            Ok(metadata) if metadata.is_symlink() => return Err(foreign("it is a symbolic link")),
            Ok(metadata) if !metadata.is_dir() => return Err(foreign("it is not a directory")),
            Ok(_) => {}
        }
        if fs_err::read_dir(&self.target)?.next().is_none() {
            return Ok(None);
        }
        match Identity::read(&self.target) {
            Ok(identity) => Ok(Some(identity)),
            Err(_) if force => Ok(None),
            Err(reason) => Err(foreign(&reason)),
        }
    }

    fn place(&self, fresh: &Fresh) -> Result<Placement> {
        let placement = if !self.target.exists() {
            fs_err::rename(&fresh.path, &self.target)?;
            Placement::New
        } else if fs::exchange(&fresh.path, &self.target)? {
            fs_err::rename(&fresh.path, self.old())?;
            Placement::Exchanged
        } else {
            fs::write_atomically(&self.journal(), b"")?;
            fs::remove_tree(&self.target)?;
            fs_err::rename(&fresh.path, &self.target)?;
            fs_err::remove_file(self.journal())?;
            Placement::Replaced
        };
        fs::sync_directory(&self.parent)?;
        fs::remove_tree(&self.old())?;
        Ok(placement)
    }
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
