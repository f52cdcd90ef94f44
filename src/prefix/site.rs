//! The place of a prefix: what is installed there, the lock on it, and what an interrupted run left beside
//! it. `install` and `uninstall` share it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::domain::artifact::ArtifactName;
use crate::domain::digest::Digest;
use crate::domain::manifest::MANIFEST_PATH;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::sys::fs;
use crate::sys::lock::Lock;

/// A prefix on this system or in another root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Another root file system, with the meaning of DESTDIR.
    pub root: Option<PathBuf>,
    /// The prefix in that root. It may be any absolute path.
    pub prefix: PathBuf,
}

impl Destination {
    /// Returns the path on this system.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match &self.root {
            Some(root) => root.join(self.prefix.strip_prefix("/").unwrap_or(&self.prefix)),
            None => self.prefix.clone(),
        }
    }
}

/// The artifact that a prefix was installed from. These fields are all that is read from its manifest, so
/// that prefixes of other versions of pykeel are recognised too.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Identity {
    /// The name of the artifact.
    pub name: ArtifactName,
    /// The build key.
    pub build_key: Digest,
    /// The digest of `SHA256SUMS`.
    #[serde(default)]
    pub(super) sums: Option<Digest>,
    /// The symbolic links with their targets.
    #[serde(default)]
    pub(super) links: BTreeMap<String, String>,
}

impl Identity {
    /// Reads the manifest of a prefix.
    ///
    /// # Errors
    /// The reason why pykeel did not install it.
    pub fn read(prefix: &Path) -> std::result::Result<Self, String> {
        let path = prefix.join(MANIFEST_PATH);
        if !path.exists() {
            return Err(format!("it has no {MANIFEST_PATH}"));
        }
        let bytes = std::fs::read(&path).map_err(|error| format!("its manifest cannot be read: {error}"))?;
        serde_json::from_slice(&bytes).map_err(|error| format!("its manifest cannot be read: {error}"))
    }
}

/// A locked prefix, with the names of the temporary files beside it.
pub(super) struct Site {
    target: PathBuf,
    parent: PathBuf,
    name: String,
    _lock: Lock,
}

impl Site {
    /// Locks a prefix and creates its parent directory.
    ///
    /// # Errors
    /// [`Error::InvalidPrefix`] if the path cannot be a prefix, [`Error::Io`], [`Error::Interrupted`].
    pub(super) fn make(destination: &Destination, reporter: &dyn Reporter) -> Result<Self> {
        let (parent, name) = split(destination)?;
        fs_err::create_dir_all(&parent)?;
        Self::lock(&parent, name, reporter)
    }

    /// Locks a prefix. Returns `None` if its parent directory does not exist.
    ///
    /// # Errors
    /// [`Error::InvalidPrefix`] if the path cannot be a prefix, [`Error::Io`], [`Error::Interrupted`].
    pub(super) fn find(destination: &Destination, reporter: &dyn Reporter) -> Result<Option<Self>> {
        let (parent, name) = split(destination)?;
        if !parent.is_dir() {
            return Ok(None);
        }
        Self::lock(&parent, name, reporter).map(Some)
    }

    fn lock(parent: &Path, name: String, reporter: &dyn Reporter) -> Result<Self> {
        let parent = fs_err::canonicalize(parent)?;
        let what = format!("the directory {}", parent.display());
        // The directory itself is locked, so that no lock file stays in an image.
        let lock = Lock::acquire_directory(&parent, &what, reporter)?;
        Ok(Self { target: parent.join(&name), name, parent, _lock: lock })
    }

    /// Returns the prefix on this system.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Returns the parent directory of the prefix.
    pub(super) fn parent(&self) -> &Path {
        &self.parent
    }

    fn neighbour(&self, ending: &str) -> PathBuf {
        self.parent.join(format!(".pykeel-{}.{ending}", self.name))
    }

    /// Returns the path of the new tree while it is unpacked.
    pub(super) fn fresh(&self) -> PathBuf {
        self.neighbour("new")
    }

    /// Returns the path of the old tree while it is removed.
    pub(super) fn old(&self) -> PathBuf {
        self.neighbour("old")
    }

    /// Returns the path of the journal of an installation. While it exists, the new tree is complete and must
    /// replace the target.
    pub(super) fn journal(&self) -> PathBuf {
        self.neighbour("journal")
    }

    /// Returns the path of the journal of a removal. While it exists, the target is being removed.
    pub(super) fn removal(&self) -> PathBuf {
        self.neighbour("removal")
    }

    /// Completes or undoes what an interrupted run began. Returns whether it completed a removal.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn repair(&self, reporter: &dyn Reporter) -> Result<bool> {
        let completed = |what: &str| {
            let text = format!("an interrupted {what} of {} was completed", self.target.display());
            reporter.report(Event::Note(text));
        };
        if self.journal().exists() {
            if self.fresh().exists() {
                fs::remove_tree(&self.target)?;
                fs_err::rename(self.fresh(), &self.target)?;
            }
            fs_err::remove_file(self.journal())?;
            completed("installation");
        }
        let removing = self.removal().exists();
        if removing {
            fs::remove_tree(&self.target)?;
            fs_err::remove_file(self.removal())?;
        }
        // An installation leaves a complete tree at the target. So without a target it was a removal.
        let aside = self.old().exists() && !self.target.exists();
        fs::remove_tree(&self.old())?;
        fs::remove_tree(&self.fresh())?;
        if removing || aside {
            completed("removal");
        }
        Ok(removing || aside)
    }

    /// Whether the target is a directory, and not a link to one.
    pub(super) fn is_directory(&self) -> bool {
        std::fs::symlink_metadata(&self.target).is_ok_and(|metadata| metadata.is_dir())
    }

    /// Returns the artifact that is installed at the target, or `None` if the target does not exist or is an
    /// empty directory.
    ///
    /// # Errors
    /// [`Error::ForeignPrefix`] for anything that pykeel did not install, [`Error::Io`].
    pub(super) fn occupant(&self) -> Result<Option<Identity>> {
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
        Identity::read(&self.target).map(Some).map_err(|reason| foreign(&reason))
    }
}

/// Returns the parent directory of a prefix, and its name there.
///
/// # Errors
/// [`Error::InvalidPrefix`] if the path cannot be a prefix.
fn split(destination: &Destination) -> Result<(PathBuf, String)> {
    let path = destination.path();
    let error = |reason| Error::InvalidPrefix { path: path.clone(), reason };
    if destination.prefix.to_str().is_none() {
        return Err(error("it is not UTF-8, and Python imports no extension module from such a path"));
    }
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| error("it has no name"))?;
    if !path.is_absolute() && destination.root.is_none() {
        return Err(error("it is not absolute"));
    }
    let parent =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).ok_or_else(|| error("it is the root"))?;
    Ok((parent.to_owned(), name.to_owned()))
}
