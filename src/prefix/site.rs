//! The place of a prefix: what is installed there, the lock on it, and what an interrupted run left beside
//! it. `install` and `uninstall` share it.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize as _;

use crate::domain::artifact::ArtifactName;
use crate::domain::digest::Digest;
use crate::domain::manifest::MANIFEST_PATH;
use crate::domain::plan::ArtifactRequest;
use crate::error::{Error, PrefixError, Result};
use crate::event::{Event, Reporter};
use crate::sys::directory::{Directory, Facts, Missing};
use crate::sys::lock::Lock;

/// The largest manifest that is read from a prefix, in bytes.
const LARGEST_MANIFEST: u64 = 64 << 20;

/// A prefix on this system or in another root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Another root file system, with the meaning of DESTDIR.
    pub root: Option<PathBuf>,
    /// The prefix in that root. It may be any absolute path.
    pub prefix: PathBuf,
}

impl Destination {
    /// Returns the path on this system, as long as no link leads to another place.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match &self.root {
            Some(root) => root.join(self.prefix.strip_prefix("/").unwrap_or(&self.prefix)),
            None => self.prefix.clone(),
        }
    }

    /// Opens the prefix, or returns `None` if there is no such directory.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(&self) -> Result<Option<Directory>> {
        Directory::in_root(self.root.as_deref().unwrap_or(Path::new("/")), &self.prefix, Missing::Keep)
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
    /// The plan, as it is written.
    #[serde(default)]
    plan: serde_json::Value,
}

impl Identity {
    /// Whether it was surely built for another request. Of one that another version of pykeel wrote it is not known.
    pub(super) fn is_of_other_than(&self, request: &ArtifactRequest) -> bool {
        let own = self.plan.get("request").map(ArtifactRequest::deserialize);
        matches!(own, Some(Ok(own)) if own != *request)
    }

    /// Reads the manifest of a prefix.
    ///
    /// # Errors
    /// The reason why pykeel did not install it.
    pub fn read(prefix: &Directory) -> std::result::Result<Self, String> {
        let file = match prefix.open_file(Path::new(MANIFEST_PATH)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(format!("it has no {MANIFEST_PATH}")),
            opened => opened,
        };
        let mut bytes = Vec::new();
        file.and_then(|file| file.take(LARGEST_MANIFEST).read_to_end(&mut bytes))
            .map_err(|error| format!("its manifest cannot be read: {error}"))?;
        serde_json::from_slice(&bytes).map_err(|error| format!("its manifest cannot be read: {error}"))
    }
}

/// What is at a prefix.
pub(super) enum Occupant {
    /// Nothing.
    Nothing,
    /// A directory without entries.
    EmptyDirectory,
    /// What pykeel installed.
    Python(Directory, Identity),
    /// Something else, and how that shows.
    Foreign(String),
}

/// A locked prefix, with the names of the temporary files beside it.
pub(super) struct Site {
    parent: Directory,
    name: String,
    /// Whether pykeel made the parent directory for a prefix: then it has the same time after each run.
    keeps_time: bool,
    _lock: Lock,
}

impl Site {
    /// Locks a prefix and creates its parent directory.
    ///
    /// # Errors
    /// [`PrefixError::Invalid`] if the path cannot be a prefix, [`Error::Io`], [`Error::Interrupted`].
    pub(super) fn make(destination: &Destination, reporter: &dyn Reporter) -> Result<Self> {
        if let Some(root) = &destination.root {
            fs_err::create_dir_all(root)?;
        }
        let site = Self::open(destination, Missing::Make, reporter)?;
        site.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound).into())
    }

    /// Locks a prefix. Returns `None` if its parent directory does not exist.
    ///
    /// # Errors
    /// [`PrefixError::Invalid`] if the path cannot be a prefix, [`Error::Io`], [`Error::Interrupted`].
    pub(super) fn find(destination: &Destination, reporter: &dyn Reporter) -> Result<Option<Self>> {
        if destination.root.as_ref().is_some_and(|root| !root.exists()) {
            return Ok(None);
        }
        Self::open(destination, Missing::Keep, reporter)
    }

    fn open(destination: &Destination, missing: Missing, reporter: &dyn Reporter) -> Result<Option<Self>> {
        let (parent, name) = split(destination)?;
        let root = match &destination.root {
            Some(root) => fs_err::canonicalize(root)?,
            None => "/".into(),
        };
        let Some(parent) = Directory::in_root(&root, &parent, missing)? else { return Ok(None) };
        let what = format!("the directory {}", parent.path().display());
        let lock = Lock::acquire_directory(&parent, &what, reporter)?;
        let keeps_time = parent.has_fixed_time()?;
        Ok(Some(Self { name, parent, keeps_time, _lock: lock }))
    }

    /// Gives the parent directory the time back that it had, if it is one that pykeel made.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn keep_time(&self) -> Result<()> {
        if self.keeps_time { self.parent.fix_time() } else { Ok(()) }
    }

    /// Returns the path of the prefix on this system, for messages.
    pub(super) fn target(&self) -> PathBuf {
        self.parent.path_of(&self.name)
    }

    /// Returns the name of the prefix in its parent directory.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the parent directory of the prefix.
    pub(super) const fn parent(&self) -> &Directory {
        &self.parent
    }

    fn neighbour(&self, ending: &str) -> String {
        format!(".pykeel-{}.{ending}", self.name)
    }

    /// Returns the name of the new tree while it is unpacked.
    pub(super) fn fresh(&self) -> String {
        self.neighbour("new")
    }

    /// Returns the name of the old tree while it is removed.
    pub(super) fn old(&self) -> String {
        self.neighbour("old")
    }

    /// Returns the name of the journal of an installation. While it exists, the new tree is complete and must
    /// replace the target.
    pub(super) fn journal(&self) -> String {
        self.neighbour("journal")
    }

    /// Returns the name of the journal of a removal. While it exists, the target is being removed.
    pub(super) fn removal(&self) -> String {
        self.neighbour("removal")
    }

    /// Whether an interrupted run left one of its files beside the prefix.
    ///
    /// # Errors
    /// [`Error::Distrusted`] if it is another user's, [`Error::Io`].
    pub(super) fn left(&self, name: &str) -> Result<bool> {
        let Some(facts) = self.parent.facts(name)? else { return Ok(false) };
        match self.problem(name, &facts) {
            None => Ok(true),
            Some(reason) => Err(Error::Distrusted { path: self.parent.path_of(name), reason }),
        }
    }

    /// Why something beside the prefix cannot be what this user's pykeel left there: whoever may write to the parent
    /// directory can make such a name.
    fn problem(&self, name: &str, facts: &Facts) -> Option<String> {
        let user = rustix::process::geteuid().as_raw();
        if facts.owner != user {
            return Some(format!("it belongs to user {}, and this is user {user}", facts.owner));
        }
        // What was at the prefix is removed from these two, whatever it was.
        if [self.old(), self.fresh()].iter().any(|tree| tree == name) {
            return None;
        }
        if !facts.is_file {
            return Some("it is not what pykeel makes".into());
        }
        may_be_written_by_others(facts)
    }

    /// Completes or undoes what an interrupted run began. Returns whether it completed a removal.
    ///
    /// # Errors
    /// [`Error::Distrusted`] for what another user put beside the prefix: it is left alone; [`Error::Io`].
    pub(super) fn repair(&self, reporter: &dyn Reporter) -> Result<bool> {
        let completed = |what: &str| {
            let text = format!("an interrupted {what} of {} was completed", self.target().display());
            reporter.report(Event::Note(text));
        };
        let (journal, fresh, removal, old) = (self.journal(), self.fresh(), self.removal(), self.old());
        // All are looked at before any is acted on.
        let [installing, has_fresh, removing, has_old] = [&journal, &fresh, &removal, &old].map(|name| self.left(name));
        let (installing, has_fresh, removing, has_old) = (installing?, has_fresh?, removing?, has_old?);
        if installing {
            if has_fresh {
                self.refuse_open_tree(&fresh)?;
                self.clear_target()?;
                self.rename(&fresh, &self.name)?;
            }
            self.parent.remove_file(&journal)?;
            completed("installation");
        }
        if removing {
            self.clear_target()?;
            self.parent.remove_file(&removal)?;
        }
        // An installation leaves a complete tree at the target. So without a target it was a removal.
        let aside = has_old && self.parent.facts(&self.name)?.is_none();
        self.remove(&old)?;
        self.remove(&fresh)?;
        if removing || aside {
            completed("removal");
        }
        Ok(removing || aside)
    }

    /// Refuses to complete an installation with a tree that others could have changed.
    fn refuse_open_tree(&self, name: &str) -> Result<()> {
        let reason = match self.parent.facts(name)? {
            Some(facts) if facts.is_directory => may_be_written_by_others(&facts),
            _ => Some("it is not what pykeel makes".into()),
        };
        reason.map_or(Ok(()), |reason| Err(Error::Distrusted { path: self.parent.path_of(name), reason }))
    }

    /// Removes what is at the prefix.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn clear_target(&self) -> Result<()> {
        self.remove(&self.name)
    }

    /// Removes a tree, a file or a link of the parent directory.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        match self.parent.facts(name)? {
            None => Ok(()),
            Some(facts) if facts.is_directory => self.parent.remove_tree(name),
            Some(_) => self.parent.remove_file(name),
        }
    }

    /// Renames something of the parent directory.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<()> {
        let error = |error| crate::sys::fs::with_path(&self.parent.path_of(to), error);
        Ok(self.parent.rename(from, to).map_err(error)?)
    }

    /// Returns what is at the prefix.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn occupant(&self) -> Result<Occupant> {
        let Some(facts) = self.parent.facts(&self.name)? else { return Ok(Occupant::Nothing) };
        if facts.is_link {
            return Ok(Occupant::Foreign("it is a symbolic link".into()));
        }
        if !facts.is_directory {
            return Ok(Occupant::Foreign("it is not a directory".into()));
        }
        let directory = self.parent.child(&self.name)?;
        if directory.is_empty()? {
            return Ok(Occupant::EmptyDirectory);
        }
        Ok(match Identity::read(&directory) {
            Ok(identity) => Occupant::Python(directory, identity),
            Err(reason) => Occupant::Foreign(reason),
        })
    }

    /// Checks that this user may replace what is at the prefix.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn require_writable(&self) -> Result<()> {
        self.parent.require_writable()?;
        let [there, above] = [self.parent.facts(&self.name)?, self.parent.facts(".")?];
        let user = rustix::process::geteuid();
        // In a sticky directory such as /tmp only its owner and that of a file can rename it.
        if let (Some(there), Some(above)) = (there, above)
            && above.mode & 0o1000 != 0
            && !user.is_root()
            && ![there.owner, above.owner].contains(&user.as_raw())
        {
            return Err(crate::sys::fs::with_path(&self.target(), io::ErrorKind::PermissionDenied.into()).into());
        }
        Ok(())
    }

    /// Whether a file system is mounted at the prefix: nothing can be renamed over it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn is_mount_point(&self) -> Result<bool> {
        self.parent.is_mount_point(&self.name)
    }
}

fn may_be_written_by_others(facts: &Facts) -> Option<String> {
    (facts.mode & 0o022 != 0).then(|| format!("others may write to it (mode {:o})", facts.mode))
}

/// Returns the parent directory of a prefix, in its root, and its name there.
///
/// # Errors
/// [`PrefixError::Invalid`] if the path cannot be a prefix.
fn split(destination: &Destination) -> Result<(PathBuf, String)> {
    let prefix = &destination.prefix;
    let error = |reason| Error::from(PrefixError::Invalid { path: destination.path(), reason });
    if prefix.to_str().is_none() {
        return Err(error("it is not UTF-8, and Python imports no extension module from such a path"));
    }
    if prefix.components().any(|part| part == Component::ParentDir) {
        return Err(error("it has a `..`"));
    }
    let name = prefix.file_name().and_then(|name| name.to_str()).ok_or_else(|| error("it has no name"))?;
    if !prefix.is_absolute() && destination.root.is_none() {
        return Err(error("it is not absolute"));
    }
    let parent = prefix.parent().ok_or_else(|| error("it is the root"))?;
    Ok((parent.to_owned(), name.to_owned()))
}
