//! Times and modes that are the same every time, so that a layer of an image with the files is the same too.

use std::fs::Permissions;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use rustix::io::Errno;

use super::fs::{Kind, walk, with_path};
use crate::error::Result;

/// Sets the times of a file, directory or link itself, by its path below a directory, in seconds since 1970.
///
/// # Errors
/// The error of the system, without the path.
pub fn set_time_at(directory: impl AsFd, path: &Path, seconds: u64) -> Result<(), Errno> {
    let time = Timespec { tv_sec: i64::try_from(seconds).unwrap_or(i64::MAX), tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(directory, path, &times, AtFlags::SYMLINK_NOFOLLOW)
}

/// Sets the times of a file, directory or link itself, in seconds since 1970.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io).
pub fn set_time(path: &Path, epoch: u64) -> Result<()> {
    Ok(set_time_at(CWD, path, epoch).map_err(|error| with_path(path, error.into()))?)
}

/// Gives everything in a tree one time, in seconds since 1970, and files and directories the modes 644, 755 and 755, unless
/// `mode` says another than this usual one for a path in the tree. Returns the number of files, and their size in bytes.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io).
pub fn normalise(tree: &Path, epoch: u64, mode: impl Fn(&Path, u32) -> u32) -> Result<(u64, u64)> {
    let set_mode = |path: &Path, mode| fs_err::set_permissions(path, Permissions::from_mode(mode));
    let (mut files, mut bytes) = (0, 0);
    let mut entries = walk(tree)?;
    // What is in a directory comes before it, because it changes its time.
    entries.reverse();
    for entry in &entries {
        let path = tree.join(&entry.path);
        match &entry.kind {
            Kind::File { size, executable } => {
                files += 1;
                bytes += size;
                set_mode(&path, mode(&entry.path, if *executable { 0o755 } else { 0o644 }))?;
            }
            Kind::Directory => set_mode(&path, mode(&entry.path, 0o755))?,
            Kind::Symlink(_) | Kind::Other => {}
        }
        set_time(&path, epoch)?;
    }
    set_mode(tree, 0o755)?;
    set_time(tree, epoch)?;
    Ok((files, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn times_and_modes_depend_on_nothing_but_the_epoch() {
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("tree");
        fs_err::create_dir_all(tree.join("bin")).unwrap();
        for (name, mode) in [("bin/x", 0o700), ("y", 0o666)] {
            fs_err::write(tree.join(name), "12").unwrap();
            fs_err::set_permissions(tree.join(name), Permissions::from_mode(mode)).unwrap();
        }
        fs_err::set_permissions(tree.join("bin"), Permissions::from_mode(0o775)).unwrap();
        std::os::unix::fs::symlink("/no/such", tree.join("bin/link")).unwrap();
        assert_eq!(normalise(&tree, 86_400, |_, usual| usual).unwrap(), (2, 4));
        for (name, mode) in [("bin/x", 0o755), ("y", 0o644), ("bin", 0o755), ("", 0o755)] {
            let metadata = fs_err::metadata(tree.join(name)).unwrap();
            assert_eq!((metadata.mode() & 0o7777, metadata.mtime()), (mode, 86_400), "{name}");
        }
        assert_eq!(fs_err::symlink_metadata(tree.join("bin/link")).unwrap().mtime(), 86_400);
        // Some have a mode of their own.
        normalise(&tree, 0, |path, usual| if path == Path::new("bin") { 0o1777 } else { usual }).unwrap();
        let mode = |name: &str| fs_err::metadata(tree.join(name)).unwrap().mode() & 0o7777;
        assert_eq!((mode("bin"), mode("y")), (0o1777, 0o644));
    }
}
