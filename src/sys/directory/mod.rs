//! Open directories. What is done in one stays there, whoever changes the path to it meanwhile; and a path of another
//! root file system leads nowhere but into that root.

mod fixed_time;
mod in_root;
mod new_file;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, MetadataExt as _, OpenOptions, OpenOptionsExt as _, Permissions};
use rustix::fs::{Access, AtFlags, Mode, OFlags, RenameFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;

pub use in_root::{file_in_root, names_of};
pub use new_file::NewFile;

use super::fs::{Entry, Kind, with_path};
use crate::error::Result;

/// How a directory is opened to be listed, locked and synced.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// What to do about directories that are missing on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Nothing: there is no such directory.
    Keep,
    /// Make them.
    Make,
}

/// An open directory, and its path for messages.
#[derive(Debug)]
pub struct Directory {
    dir: Dir,
    path: PathBuf,
}

/// What a name in a directory stands for; a link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Whether it is a regular file.
    pub is_file: bool,
    /// Whether it is a symbolic link.
    pub is_link: bool,
    /// The user who owns it.
    pub owner: u32,
    /// The permission bits.
    pub mode: u32,
    /// The file system that it is on.
    pub device: u64,
}

impl Directory {
    fn of(file: File, path: PathBuf) -> Self {
        Self { dir: Dir::from_std_file(file), path }
    }

    /// Opens a directory of this system.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn open(path: &Path) -> Result<Self> {
        // A pipe would wait for a writer.
        let flags = OFlags::DIRECTORY.bits().cast_signed();
        let mut options = fs_err::OpenOptions::new();
        fs_err::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
        Ok(Self::of(options.read(true).open(path)?.into_parts().0, path.to_owned()))
    }

    /// Returns the path, links on the way replaced by what they lead to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of something in the directory.
    #[must_use]
    pub fn path_of(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    fn named<T>(&self, name: impl AsRef<Path>, result: io::Result<T>) -> Result<T> {
        Ok(result.map_err(|error| with_path(&self.path_of(name), error))?)
    }

    /// Returns the directory as a file, to be locked.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn file(&self) -> Result<File> {
        let opened = rustix::fs::openat(&self.dir, ".", DIRECTORY, Mode::empty());
        self.named("", opened.map(File::from).map_err(io::Error::from))
    }

    /// Returns what a name stands for, or `None` if it does not exist.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn facts(&self, name: impl AsRef<Path>) -> Result<Option<Facts>> {
        match self.dir.symlink_metadata(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => self.named(&name, found).map(|found| {
                let (owner, mode, device) = (found.uid(), found.mode() & 0o7777, found.dev());
                let kind = found.file_type();
                let (is_directory, is_file, is_link) = (kind.is_dir(), kind.is_file(), kind.is_symlink());
                Some(Facts { is_directory, is_file, is_link, owner, mode, device })
            }),
        }
    }

    /// Whether a file system is mounted at a name of this directory.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn is_mount_point(&self, name: &str) -> Result<bool> {
        let asked = rustix::fs::statx(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS);
        match asked {
            Ok(found) if found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) => {
                Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
            }
            Err(Errno::NOENT) => Ok(false),
            // A kernel before 5.8 says at least whether it is another file system.
            _ => Ok(self.facts(name)?.map(|facts| facts.device) != self.facts(".")?.map(|facts| facts.device)),
        }
    }

    /// Opens a directory in this one. A link is an error.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn child(&self, name: impl AsRef<Path>) -> Result<Self> {
        let opened = rustix::fs::openat(&self.dir, name.as_ref(), DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
        let file = self.named(&name, opened.map(File::from).map_err(io::Error::from))?;
        Ok(Self::of(file, self.path_of(name)))
    }

    /// Checks that this user may make and rename names in this directory.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if not, or if the file system is read-only.
    pub fn require_writable(&self) -> Result<()> {
        let access = Access::WRITE_OK | Access::EXEC_OK;
        let allowed = rustix::fs::accessat(&self.dir, ".", access, AtFlags::EACCESS);
        Ok(allowed.map_err(|error| with_path(&self.path, error.into()))?)
    }

    /// Makes a directory in this one.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io), also if the name exists.
    pub fn make(&self, name: impl AsRef<Path>) -> Result<Self> {
        self.named(&name, self.dir.create_dir(&name))?;
        self.child(name)
    }

    /// Makes a directory at a path below this one. Those above it exist, and this process made them: nobody else can
    /// have put a link among them. The same holds for files and links.
    ///
    /// # Errors
    /// The error of the system, [`io::ErrorKind::AlreadyExists`] among them.
    pub fn make_directory(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(&self.dir, path, Mode::from_raw_mode(0o755))?)
    }

    /// Makes a file at a path below this one, for writing.
    ///
    /// # Errors
    /// The error of the system, [`io::ErrorKind::AlreadyExists`] among them.
    pub fn make_file(&self, path: &Path, mode: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.dir, path, flags, Mode::from_raw_mode(mode))?.into())
    }

    /// Makes a symbolic link at a path below this one.
    ///
    /// # Errors
    /// The error of the system, [`io::ErrorKind::AlreadyExists`] among them.
    pub fn make_link(&self, target: &Path, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, &self.dir, path)?)
    }

    /// Makes directories at a path below this one, where they are missing.
    ///
    /// # Errors
    /// The error of the system.
    pub fn make_directories(&self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() { Ok(()) } else { self.dir.create_dir_all(path) }
    }

    /// Opens a regular file below this directory for reading. No link leads out of the directory.
    ///
    /// # Errors
    /// The error of the system, [`io::ErrorKind::NotFound`] among them.
    pub fn open_file(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
        let file = self.dir.open_with(path, &options)?.into_std();
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
    }

    /// Opens a directory below this one, to set its time.
    ///
    /// # Errors
    /// The error of the system.
    pub fn open_directory(&self, path: &Path) -> io::Result<File> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Ok(rustix::fs::openat(&self.dir, path, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?.into())
    }

    /// Makes a file in this directory, and sees that it stays after a crash.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io), also if the name exists.
    pub fn write_new(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut file = self.named(name, self.make_file(Path::new(name), 0o644))?;
        self.named(name, file.write_all(bytes).and_then(|()| file.sync_all()))?;
        self.sync()
    }

    /// Renames something in this directory.
    ///
    /// # Errors
    /// The error of the system.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.dir.rename(from, &self.dir, to)
    }

    /// Exchanges two directories of this one atomically. Returns `false` if the file system does not support it, as
    /// overlayfs does not for a directory of a lower layer.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) for any other failure.
    pub fn exchange(&self, a: &str, b: &str) -> Result<bool> {
        match rustix::fs::renameat_with(&self.dir, a, &self.dir, b, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(error) if cannot_exchange(error) => Ok(false),
            Err(error) => self.named(b, Err(error.into())),
        }
    }

    /// Removes a file or a link. A name that does not exist is no error.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn remove_file(&self, name: &str) -> Result<()> {
        match self.dir.remove_file(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => self.named(name, removed),
        }
    }

    /// Removes a tree, even if its directories are not writable. A name that does not exist is no error.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn remove_tree(&self, name: &str) -> Result<()> {
        let removed = match self.dir.remove_dir_all(name) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.child(name)?.open_up()?;
                self.dir.remove_dir_all(name)
            }
            removed => removed,
        };
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => self.named(name, removed),
        }
    }

    /// Makes this directory and all below it writable.
    fn open_up(&self) -> Result<()> {
        let mode = Permissions::from_std(std::fs::Permissions::from_mode(0o755));
        self.named("", self.dir.set_permissions(".", mode))?;
        for entry in self.named("", self.dir.entries())? {
            let entry = self.named("", entry)?;
            if self.named(entry.file_name(), entry.file_type())?.is_dir() {
                self.child(entry.file_name())?.open_up()?;
            }
        }
        Ok(())
    }

    /// Returns the names of the directories in this one, sorted. Links are none.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn directories(&self) -> Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in self.named("", self.dir.entries())? {
            let entry = self.named("", entry)?;
            if self.named(entry.file_name(), entry.file_type())?.is_dir() {
                names.push(entry.file_name());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Whether the directory has no entry.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.named("", self.dir.entries())?.next().is_none())
    }

    /// Returns all entries below the directory, sorted by the bytes of their paths. A directory comes before its content.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if a directory cannot be read.
    pub fn walk(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        self.walk_into(Path::new(""), &mut entries)?;
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    fn walk_into(&self, below: &Path, entries: &mut Vec<Entry>) -> Result<()> {
        for entry in self.named("", self.dir.entries())? {
            let entry = self.named("", entry)?;
            let name = entry.file_name();
            let metadata = self.named(&name, entry.metadata())?;
            let (path, mode) = (below.join(&name), metadata.mode() & 0o7777);
            let kind = if metadata.is_dir() {
                self.child(&name)?.walk_into(&path, entries)?;
                Kind::Directory
            } else if metadata.is_file() {
                Kind::File { size: metadata.len(), executable: mode & 0o111 != 0 }
            } else if metadata.is_symlink() {
                Kind::Symlink(self.named(&name, self.dir.read_link_contents(&name))?)
            } else {
                Kind::Other
            };
            entries.push(Entry { path, kind, mode });
        }
        Ok(())
    }

    /// Makes the entries of the directory durable (`fsync`).
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn sync(&self) -> Result<()> {
        let synced = self.file()?.sync_all();
        self.named("", synced)
    }

    /// Makes everything on the file system of the directory durable (`syncfs`).
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn sync_file_system(&self) -> Result<()> {
        self.named("", rustix::fs::syncfs(&self.dir).map_err(io::Error::from))
    }
}

fn cannot_exchange(error: rustix::io::Errno) -> bool {
    [Errno::XDEV, Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP].contains(&error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_done_in_a_directory_stays_there_when_its_path_leads_elsewhere() {
        let place = tempfile::tempdir().unwrap();
        let (first, second) = (place.path().join("first"), place.path().join("second"));
        fs_err::create_dir(&first).unwrap();
        fs_err::create_dir(&second).unwrap();
        let directory = Directory::open(&first).unwrap();
        fs_err::rename(&first, place.path().join("moved")).unwrap();
        symlink(&second, &first).unwrap();
        directory.write_new("file", b"text").unwrap();
        directory.make("tree").unwrap();
        directory.rename("tree", "other").unwrap();
        assert_eq!(fs_err::read_dir(&second).unwrap().count(), 0);
        assert!(place.path().join("moved/file").is_file() && place.path().join("moved/other").is_dir());

        // A link in place of a directory is not followed.
        symlink(&second, place.path().join("moved/link")).unwrap();
        assert!(directory.child("link").is_err());
        assert!(directory.open_file(Path::new("link/x")).is_err());
        assert!(directory.facts("link").unwrap().unwrap().is_link);
        directory.remove_tree("other").unwrap();
        directory.remove_tree("other").unwrap();
        assert!(second.is_dir());
    }

    #[test]
    fn two_directories_change_places_and_closed_ones_are_removed() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::open(place.path()).unwrap();
        directory.make("a").unwrap().write_new("was-a", b"").unwrap();
        directory.make("b").unwrap().make("closed").unwrap().write_new("file", b"").unwrap();
        assert!(directory.exchange("a", "b").unwrap());
        let paths: Vec<PathBuf> = directory.walk().unwrap().into_iter().map(|entry| entry.path).collect();
        assert_eq!(paths, ["a", "a/closed", "a/closed/file", "b", "b/was-a"].map(PathBuf::from));
        fs_err::set_permissions(place.path().join("a/closed"), std::os::unix::fs::PermissionsExt::from_mode(0o500))
            .unwrap();
        directory.remove_tree("a").unwrap();
        assert_eq!(directory.facts("a").unwrap(), None);
    }
}
