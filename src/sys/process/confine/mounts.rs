//! The file system that a confined program sees: directories that are hidden, and directories at other places.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change};
use serde::{Deserialize, Serialize};

use super::nobody::may_enter;

/// The file system that a program sees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mounts {
    /// The directories that have an empty file system on them.
    pub hidden: BTreeSet<PathBuf>,
    /// Directories, and the places where they are seen.
    pub bound: Vec<(PathBuf, PathBuf)>,
    /// Whether the program is not to run without.
    pub required: bool,
}

impl Mounts {
    /// Shows directories at their places although a directory above them is hidden or closed to nobody. What is closed is
    /// replaced by an empty directory that holds the way to them and nothing else.
    #[must_use]
    pub fn showing(mut self, directories: &[&Path], is_nobody: bool) -> Self {
        for directory in directories {
            if let Some(closed) = closed_to_nobody(directory).filter(|_| is_nobody) {
                self.hidden.insert(closed);
                self.required = true;
            }
        }
        // A directory below one that is hidden is gone already.
        let all = self.hidden.clone();
        self.hidden.retain(|path| !path.ancestors().skip(1).any(|above| all.contains(above)));
        for directory in directories {
            let is_shown = self.bound.iter().any(|(_, place)| directory.starts_with(place));
            if !is_shown && self.hides(directory) {
                self.bound.push(((*directory).to_owned(), (*directory).to_owned()));
                self.required = true;
            }
        }
        self
    }

    /// Whether a path is below a directory that is hidden.
    #[must_use]
    pub fn hides(&self, path: &Path) -> bool {
        self.hidden.iter().any(|hidden| path.starts_with(hidden))
    }

    /// Whether there is nothing to mount.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hidden.is_empty() && self.bound.is_empty()
    }

    /// Mounts everything in the mount namespace of this process, which is a new one.
    pub(super) fn arrange(&self) -> io::Result<()> {
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        // Before anything is hidden. An open directory of another mount namespace could not be mounted.
        let opened: Vec<(OwnedFd, &PathBuf)> =
            self.bound.iter().map(|(from, to)| Ok((open(from)?, to))).collect::<io::Result<_>>()?;
        for hidden in &self.hidden {
            mount("none", hidden, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=755")?;
        }
        for (directory, place) in opened {
            std::fs::DirBuilder::new().recursive(true).mode(0o755).create(place)?;
            mount_bind_recursive(format!("/proc/self/fd/{}", directory.as_raw_fd()), place)?;
        }
        Ok(())
    }
}

fn open(directory: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(directory, flags, Mode::empty())?)
}

/// Returns the first directory on the way to a directory, itself included, that nobody may not enter.
#[must_use]
pub fn closed_to_nobody(directory: &Path) -> Option<PathBuf> {
    let mut ways: Vec<&Path> = directory.ancestors().collect();
    ways.reverse();
    ways.into_iter().find(|path| is_closed(path)).map(Path::to_owned)
}

/// Whether nobody may not enter a directory, were they to reach it.
#[must_use]
pub fn is_closed(directory: &Path) -> bool {
    let by_mode = || std::fs::metadata(directory).is_ok_and(|metadata| metadata.mode() & 0o001 == 0);
    may_enter(directory).map_or_else(by_mode, |may_enter| !may_enter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn set_mode(path: &Path, mode: u32) {
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_first_directory_that_is_closed_is_hidden_and_the_rest_shown_in_it() {
        let top = tempfile::tempdir().unwrap();
        let (work, tree) = (top.path().join("a/work"), top.path().join("a/b/tree"));
        fs_err::create_dir_all(&work).unwrap();
        fs_err::create_dir_all(&tree).unwrap();
        set_mode(top.path(), 0o755);
        assert_eq!(closed_to_nobody(&tree), None);
        assert_eq!(Mounts::default().showing(&[&work, &tree], true), Mounts::default());
        set_mode(&top.path().join("a/b"), 0o700);
        set_mode(&top.path().join("a"), 0o750);
        assert_eq!(closed_to_nobody(&tree), Some(top.path().join("a")));
        let mounts = Mounts::default().showing(&[&work, &tree], true);
        assert_eq!(mounts.hidden, BTreeSet::from([top.path().join("a")]));
        assert_eq!(mounts.bound, [(work.clone(), work.clone()), (tree.clone(), tree.clone())]);
        assert!(mounts.required && mounts.hides(&tree) && !mounts.hides(Path::new("/usr")));
        assert_eq!(Mounts::default().showing(&[&work, &tree], false), Mounts::default());
        // What is hidden for another reason is shown too, and nothing twice.
        let hidden = Mounts { hidden: BTreeSet::from([top.path().to_owned()]), ..Mounts::default() };
        let mounts = hidden.showing(&[&work, &tree, &tree.join("below")], true);
        assert_eq!((mounts.hidden.len(), mounts.bound.len()), (1, 2));
    }
}
