//! Paths of another root file system: they lead nowhere but into it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::super::fs::with_path;
use super::{DIRECTORY, Directory, Missing, fixed_time};
use crate::error::Result;

/// How many links a path may lead through, as in the kernel.
const MOST_LINKS: u32 = 40;

impl Directory {
    /// Opens a directory of a root file system. `/` in the path and in every link on the way is the root, and `..` does
    /// not leave it. Returns `None` if there is none and none is made.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io), also if something on the way is neither directory nor link.
    pub fn in_root(root: &Path, path: &Path, missing: Missing) -> Result<Option<Self>> {
        let whole = root.join(path.strip_prefix("/").unwrap_or(path));
        match find(root, path, missing).map_err(|error| with_path(&whole, error))? {
            Found::Directory(directory) => Ok(Some(directory)),
            Found::Nothing => Ok(None),
            Found::File(_) => Err(with_path(&whole, io::ErrorKind::NotADirectory.into()).into()),
        }
    }
}

/// Opens a regular file of a root file system for reading, as [`Directory::in_root`] finds directories. Returns `None` if
/// there is no such file.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io).
pub fn file_in_root(root: &Path, path: &Path) -> Result<Option<File>> {
    let whole = || root.join(path.strip_prefix("/").unwrap_or(path));
    match find(root, path, Missing::Keep) {
        Ok(Found::File(file)) => Ok(Some(file)),
        Ok(Found::Directory(_) | Found::Nothing) => Ok(None),
        // No program finds a file behind a circle of links or by a name that is too long.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory || is_unreachable(&error) => Ok(None),
        Err(error) => Err(with_path(&whole(), error).into()),
    }
}

fn is_unreachable(error: &io::Error) -> bool {
    [Errno::LOOP, Errno::NAMETOOLONG].map(Errno::raw_os_error).iter().any(|code| error.raw_os_error() == Some(*code))
}

enum Found {
    Directory(Directory),
    File(File),
    Nothing,
}

/// Walks from a root to a path, one name at a time, and follows links itself. `openat2` with `RESOLVE_IN_ROOT` would do
/// the same; this also makes directories, knows the real path, and works on every kernel.
fn find(root: &Path, path: &Path, missing: Missing) -> io::Result<Found> {
    let top = match File::open(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && missing == Missing::Keep => return Ok(Found::Nothing),
        opened => opened?,
    };
    let mut way: Vec<(OwnedFd, OsString)> = Vec::new();
    let mut names = names_of(path);
    let mut links = 0;
    while let Some(name) = names.pop_front() {
        if name == ".." {
            way.pop();
            continue;
        }
        let here = here(&top, &way);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = match rustix::fs::openat(here, &name, flags, Mode::empty()) {
            Err(Errno::NOENT) if missing == Missing::Make => {
                make(here, &name)?;
                rustix::fs::openat(here, &name, flags, Mode::empty())?
            }
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            opened => opened?,
        };
        match FileType::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode) {
            FileType::Directory => way.push((opened, name)),
            FileType::Symlink => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Errno::LOOP.into());
                }
                let target = rustix::fs::readlinkat(&opened, "", Vec::new())?;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                if target.is_absolute() {
                    way.clear();
                }
                let mut before = names_of(&target);
                before.append(&mut names);
                names = before;
            }
            FileType::RegularFile if names.is_empty() => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                return Ok(Found::File(rustix::fs::openat(here, &name, flags, Mode::empty())?.into()));
            }
            _ => return Err(io::ErrorKind::NotADirectory.into()),
        }
    }
    let opened = rustix::fs::openat(here(&top, &way), ".", DIRECTORY, Mode::empty())?;
    let path = way.iter().fold(root.to_owned(), |path, (_, name)| path.join(name));
    Ok(Found::Directory(Directory::of(opened.into(), path)))
}

fn here<'a>(top: &'a File, way: &'a [(OwnedFd, OsString)]) -> BorrowedFd<'a> {
    way.last().map_or(top.as_fd(), |(opened, _)| opened.as_fd())
}

/// Makes a directory with a [fixed time](Directory::has_fixed_time), as its parent keeps its own.
fn make(here: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let is_fixed = fixed_time::is_fixed(here)?;
    match rustix::fs::mkdirat(here, name, Mode::from_raw_mode(0o755)) {
        Ok(()) => fixed_time::fix(here, name)?,
        // Another process was faster.
        Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    if is_fixed { fixed_time::fix(here, OsStr::new(".")) } else { Ok(()) }
}

/// Returns the names on a way, `..` among them, for a walk that follows links itself.
#[must_use]
pub fn names_of(path: &Path) -> VecDeque<OsString> {
    let name = |part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn in_root(root: &Path, path: &str, missing: Missing) -> Option<PathBuf> {
        let found = Directory::in_root(root, Path::new(path), missing).unwrap()?;
        Some(found.path().strip_prefix(root).unwrap().to_owned())
    }

    #[test]
    fn a_path_of_a_root_leads_nowhere_but_into_it() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        fs_err::create_dir_all(root.join("usr/opt")).unwrap();
        for (link, target) in
            [("absolute", "/usr/opt"), ("up", "../../../usr"), ("far", "/abs/x"), ("a", "/b"), ("b", "a")]
        {
            symlink(target, root.join(link)).unwrap();
        }
        assert_eq!(in_root(&root, "/absolute", Missing::Keep), Some("usr/opt".into()));
        assert_eq!(in_root(&root, "/up/opt", Missing::Keep), Some("usr/opt".into()));
        assert_eq!(in_root(&root, "/usr/opt/../..", Missing::Keep), Some("".into()));
        assert_eq!(in_root(&root, "/far/deep", Missing::Keep), None);
        assert_eq!(in_root(&root, "/far/deep", Missing::Make), Some("abs/x/deep".into()));
        assert_eq!(in_root(&root, "/up/new/er", Missing::Make), Some("usr/new/er".into()));
        assert!(Directory::in_root(&root, Path::new("/a/x"), Missing::Make).is_err());
        assert_eq!(in_root(&root.join("absent"), "/x", Missing::Keep), None);
        fs_err::write(root.join("file"), "text").unwrap();
        assert!(Directory::in_root(&root, Path::new("/file/x"), Missing::Make).is_err());
        assert_eq!(fs_err::read_dir(place.path()).unwrap().count(), 1);

        symlink("/file", root.join("usr/link")).unwrap();
        let text = |path| file_in_root(&root, Path::new(path)).unwrap().map(|file| io::read_to_string(file).unwrap());
        assert_eq!(text("/usr/link"), Some("text".into()));
        assert_eq!(text("/usr"), None);
        assert_eq!(text("/file/x"), None);
        assert_eq!(text("/etc/passwd"), None);
        assert_eq!((text("/a"), text("/a/x"), text(&format!("/{}", "x".repeat(300)))), (None, None, None));
    }
}
