//! The place of a prefix: who made what is there, the lock on it, and what an interrupted run left
//! beside it. Install and uninstall share it.

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
    /// Another root file system, as DESTDIR means it.
    pub root: Option<PathBuf>,
    /// The prefix there; any absolute path.
    pub prefix: PathBuf,
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

/// Who made a prefix, and of what. It is all that is read of a manifest here, so that another
/// version of pykeel knows it as one of pykeel's too.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Identity {
    /// The name of the artifact.
    pub name: ArtifactName,
    /// Its build key.
    pub build_key: Digest,
    /// The digest of the sums of its files.
    #[serde(default)]
    pub(super) sums: Option<Digest>,
    /// Its symbolic links and what each says.
    #[serde(default)]
    pub(super) links: BTreeMap<String, String>,
}

impl Identity {
    /// Reads the manifest of a prefix, or says why it is none of pykeel's.
    ///
    /// # Errors
    /// The reason, in words.
    pub fn read(prefix: &Path) -> std::result::Result<Self, String> {
        let path = prefix.join(MANIFEST_PATH);
        if !path.exists() {
            return Err(format!("it has no {MANIFEST_PATH}"));
        }
        let bytes = std::fs::read(&path).map_err(|error| format!("its manifest cannot be read: {error}"))?;
        serde_json::from_slice(&bytes).map_err(|error| format!("its manifest cannot be read: {error}"))
    }
}

/// The prefix, its neighbours while something is done there, and the lock on the place.
pub(super) struct Site {
    target: PathBuf,
    parent: PathBuf,
    name: String,
    _lock: Lock,
}

impl Site {
    /// Locks the place of a prefix, and makes the directory that it is in.
    pub(super) fn make(destination: &Destination, reporter: &dyn Reporter) -> Result<Self> {
        let (parent, name) = split(destination)?;
        fs_err::create_dir_all(&parent)?;
        Self::lock(&parent, name, reporter)
    }

    /// Locks the place of a prefix; none where not even the directory is that it would be in.
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
        // The directory itself is locked: no lock file stays in an image.
        let lock = Lock::acquire_directory(&parent, &what, reporter)?;
        Ok(Self { target: parent.join(&name), name, parent, _lock: lock })
    }

    /// The prefix.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// The directory that it is in.
    pub(super) fn parent(&self) -> &Path {
        &self.parent
    }

    fn neighbour(&self, ending: &str) -> PathBuf {
        self.parent.join(format!(".pykeel-{}.{ending}", self.name))
    }

    /// The new tree while it is unpacked.
    pub(super) fn fresh(&self) -> PathBuf {
        self.neighbour("new")
    }

    /// The old tree while it is removed.
    pub(super) fn old(&self) -> PathBuf {
        self.neighbour("old")
    }

    /// The journal of an installation: while it is there, the new tree is whole and replaces the
    /// target.
    pub(super) fn journal(&self) -> PathBuf {
        self.neighbour("journal")
    }

    /// The journal of a removal: while it is there, the target is being removed.
    pub(super) fn removal(&self) -> PathBuf {
        self.neighbour("removal")
    }

    /// Ends what an interrupted run began, or undoes it. Says whether there was a removal to end.
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
        // Whoever set a tree aside left a whole one in its place, or meant it to be gone.
        let aside = self.old().exists() && !self.target.exists();
        fs::remove_tree(&self.old())?;
        fs::remove_tree(&self.fresh())?;
        if removing || aside {
            completed("removal");
        }
        Ok(removing || aside)
    }

    /// Whether a directory is at the target, and not a link to one.
    pub(super) fn is_directory(&self) -> bool {
        std::fs::symlink_metadata(&self.target).is_ok_and(|metadata| metadata.is_dir())
    }

    /// What is at the target: nothing, or a Python of pykeel's. An empty directory is nothing.
    ///
    /// # Errors
    /// [`Error::ForeignPrefix`] for anything else.
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

/// The directory that a prefix is in, and its name there.
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
