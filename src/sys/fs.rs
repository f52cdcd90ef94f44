//! Files and directories, written atomically.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt as _, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use walkdir::WalkDir;

use crate::error::Result;

/// The kind of a directory entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// The size in bytes.
        size: u64,
        /// Whether any of the three execute bits is set.
        executable: bool,
    },
    /// A symbolic link, with its target.
    Symlink(PathBuf),
    /// A device, socket or pipe.
    Other,
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path relative to the tree's root.
    pub path: PathBuf,
    /// The kind of the entry.
    pub kind: Kind,
    /// The permission bits, including set-uid, set-gid and sticky.
    pub mode: u32,
}

impl Entry {
    /// Whether the entry is a regular file.
    #[must_use]
    pub const fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File { .. })
    }
}

/// Returns all entries below a directory, sorted by the bytes of their paths. A directory comes before
/// its content.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if a directory cannot be read.
pub fn walk(root: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in WalkDir::new(root).min_depth(1).follow_links(false) {
        let entry = entry.map_err(io::Error::from)?;
        let metadata = entry.metadata().map_err(io::Error::from)?;
        let kind = if metadata.is_dir() {
            Kind::Directory
        } else if metadata.is_file() {
            Kind::File { size: metadata.len(), executable: metadata.mode() & 0o111 != 0 }
        } else if metadata.is_symlink() {
            Kind::Symlink(fs_err::read_link(entry.path())?)
        } else {
            Kind::Other
        };
        let path = entry.path().strip_prefix(root).unwrap_or(entry.path()).to_owned();
        entries.push(Entry { path, kind, mode: metadata.mode() & 0o7777 });
    }
    entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// Opens a file that has to be a regular one. A link is an error, and so is anything else; nothing waits for a pipe.
///
/// # Errors
/// The error of the system, without the path; [`io::ErrorKind::PermissionDenied`] for what is not a regular file.
pub fn open_plain_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let other = || io::Error::new(io::ErrorKind::PermissionDenied, "it is not a regular file");
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options.custom_flags(flags.bits().cast_signed()).open(path).map_err(|error| {
        let of_its_kind = [Errno::LOOP, Errno::NXIO].map(Errno::raw_os_error);
        if error.raw_os_error().is_some_and(|code| of_its_kind.contains(&code)) { other() } else { error }
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(other()) }
}

/// [`open_plain_with`] for reading.
///
/// # Errors
/// As [`open_plain_with`].
pub fn open_plain(path: &Path) -> io::Result<File> {
    open_plain_with(OpenOptions::new().read(true), path)
}

/// Creates a file for writing, or truncates the regular file that is there.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io), also if there is anything else.
pub fn create_plain(path: &Path) -> Result<fs_err::File> {
    let file = named(path, open_plain_with(OpenOptions::new().write(true).create(true).truncate(false), path))?;
    named(path, file.set_len(0))?;
    Ok(fs_err::File::from_parts(file, path))
}

/// Replaces a file atomically and durably: a reader sees the old or the new file, even after a crash.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io); the old file is then unchanged.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let parent = directory_of(path);
    fs_err::create_dir_all(parent)?;
    let file = temporary_in(parent)?;
    named(file.path(), file.as_file().write_all(bytes).and_then(|()| file.as_file().sync_all()))?;
    persist(file, path)
}

/// Writes a file and creates its parent directories. This is not atomic.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io).
pub fn write_in_place(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    fs_err::create_dir_all(directory_of(path))?;
    Ok(fs_err::write(path, bytes)?)
}

/// Returns the text of a file. Bytes that are not UTF-8 are replaced.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if it cannot be read.
pub fn lossy_text(path: &Path) -> Result<String> {
    Ok(String::from_utf8_lossy(&fs_err::read(path)?).into_owned())
}

/// Copies a file with its mode and creates the parent directories of the copy.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io).
pub fn copy_into_place(from: &Path, to: &Path) -> Result<()> {
    fs_err::create_dir_all(directory_of(to))?;
    fs_err::copy(from, to)?;
    Ok(())
}

/// Returns the parent directory of a file; for a bare name the current directory, `.`.
#[must_use]
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates a temporary file in a directory, with mode 644. It is removed when it is dropped, unless it
/// was persisted.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) with the directory's name.
pub fn temporary_in(directory: &Path) -> Result<tempfile::NamedTempFile> {
    let file = tempfile::Builder::new()
        .prefix(".pykeel-")
        .permissions(PermissionsExt::from_mode(0o644))
        .tempfile_in(directory);
    Ok(named(directory, file)?)
}

/// Creates a temporary directory in another directory. It is removed when it is dropped.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) with the directory's name.
pub fn temporary_directory_in(directory: &Path, prefix: &str) -> Result<tempfile::TempDir> {
    fs_err::create_dir_all(directory)?;
    let made =
        tempfile::Builder::new().prefix(prefix).permissions(PermissionsExt::from_mode(0o755)).tempdir_in(directory);
    Ok(named(directory, made)?)
}

/// Renames a temporary file to `path`, durably. The caller has synced its content.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io).
pub fn persist(file: tempfile::NamedTempFile, path: &Path) -> Result<()> {
    file.persist(path).map_err(|error| with_path(path, error.error))?;
    sync_directory(directory_of(path))
}

/// Makes the entries of a directory durable (`fsync`).
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io).
pub fn sync_directory(path: &Path) -> Result<()> {
    Ok(fs_err::File::open(path)?.sync_all()?)
}

/// Gives what is created from here on the modes that the program asks for, whatever the user's mask is.
pub fn plain_modes() {
    rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o022));
}

/// Removes a tree, even if its directories are not writable. A path that does not exist is no error.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io).
pub fn remove_tree(path: &Path) -> Result<()> {
    let removed = fs_err::remove_dir_all(path);
    match removed {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            for entry in WalkDir::new(path).into_iter().filter_map(std::result::Result::ok) {
                if entry.file_type().is_dir() {
                    fs_err::set_permissions(entry.path(), PermissionsExt::from_mode(0o755))?;
                }
            }
            Ok(fs_err::remove_dir_all(path)?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => Ok(other?),
    }
}

/// Whether programs in a directory can be run.
///
/// It creates an executable file there and asks the kernel. So it covers every reason, such as a
/// `noexec` mount or a file system that does not store modes.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if no file can be created there.
pub fn runs_programs(directory: &Path) -> Result<bool> {
    let file = tempfile::Builder::new()
        .prefix(".pykeel-")
        .permissions(PermissionsExt::from_mode(0o755))
        .tempfile_in(directory);
    Ok(may_be_run(named(directory, file)?.path()))
}

/// Whether the kernel would run a program.
#[must_use]
pub fn may_be_run(program: &Path) -> bool {
    rustix::fs::access(program, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Copies a tree of directories, files and symbolic links. Files keep their modes and times.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io).
pub fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs_err::create_dir_all(to)?;
    for entry in walk(from)? {
        let (source, target) = (from.join(&entry.path), to.join(&entry.path));
        match entry.kind {
            Kind::Directory => fs_err::create_dir_all(target)?,
            Kind::File { .. } => {
                fs_err::copy(&source, &target)?;
                // make compares times.
                let modified = fs_err::metadata(&source)?.modified()?;
                fs_err::File::open(&target)?.file().set_modified(modified)?;
            }
            Kind::Symlink(content) => fs_err::os::unix::fs::symlink(content, target)?,
            Kind::Other => {}
        }
    }
    Ok(())
}

/// Returns the target of the symbolic link at `link`, relative to the root of the tree. `link` is
/// relative to the root, too, and `content` is the text of the link. No file is read.
///
/// Returns `None` if the link leaves the tree or could: a `..` after another link leads wherever that
/// link does.
#[must_use]
pub fn link_target(link: &Path, content: &Path) -> Option<PathBuf> {
    let mut target: Vec<&std::ffi::OsStr> = link.parent()?.iter().collect();
    let mut named = false;
    for part in content.components() {
        match part {
            Component::Normal(name) => {
                target.push(name);
                named = true;
            }
            Component::CurDir => {}
            Component::ParentDir if named => return None,
            Component::ParentDir => drop(target.pop()?),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(target.into_iter().collect())
}

/// Adds the path to an error of the system.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
pub(crate) fn with_path(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn named<T>(path: &Path, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| with_path(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_and_a_pipe_are_not_opened_and_what_a_link_leads_to_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs_err::write(path("precious"), "text").unwrap();
        std::os::unix::fs::symlink(path("precious"), path("link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .unwrap();
        for name in ["link", "pipe"] {
            for error in
                [open_plain(&path(name)).unwrap_err().to_string(), create_plain(&path(name)).unwrap_err().to_string()]
            {
                assert!(error.contains("it is not a regular file"), "{name}: {error}");
            }
        }
        assert_eq!(io::read_to_string(open_plain(&path("precious")).unwrap()).unwrap(), "text");
        drop(create_plain(&path("precious")).unwrap());
        assert_eq!(fs_err::metadata(path("precious")).unwrap().len(), 0);
        assert_eq!(open_plain(&path("absent")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_readable_by_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/file");
        write_atomically(&path, b"old").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"new");
        assert_eq!(fs_err::metadata(&path).unwrap().mode() & 0o777, 0o644);
        assert_eq!(fs_err::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_bare_name_is_in_the_current_directory() {
        assert_eq!(directory_of(Path::new("a.html")), Path::new("."));
        assert_eq!(directory_of(Path::new("b/a.html")), Path::new("b"));
        assert_eq!(directory_of(Path::new("/a.html")), Path::new("/"));
    }

    #[test]
    fn links_are_followed_by_their_text() {
        let target = |link: &str, content: &str| link_target(Path::new(link), Path::new(content));
        assert_eq!(target("bin/python3", "python3.13"), Some("bin/python3.13".into()));
        assert_eq!(target("lib/a/b", "../../bin/./c"), Some("bin/c".into()));
        assert_eq!(target("bin/python3", "../../etc/passwd"), None);
        assert_eq!(target("bin/python3", "/etc/passwd"), None);
        assert_eq!(target("a/b", "link/../../etc"), None);
    }

    #[test]
    fn a_tree_with_closed_directories_can_be_removed() {
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path().join("tree");
        fs_err::create_dir_all(tree.join("closed")).unwrap();
        fs_err::write(tree.join("closed/file"), "").unwrap();
        fs_err::set_permissions(tree.join("closed"), PermissionsExt::from_mode(0o500)).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        remove_tree(&tree).unwrap();
    }
}
