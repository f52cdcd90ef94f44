//! Times and modes of an environment that are the same every time, so that one lock makes one layer of an image.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::error::Result;
use crate::sys::fs::{self, Kind};

/// Gives everything in a tree one time, in seconds since 1970, and files and directories the modes 644, 755 and 755.
/// Returns the number of files, and their size in bytes.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io).
pub(super) fn normalise(tree: &Path, epoch: u64) -> Result<(u64, u64)> {
    let (mut files, mut size) = (0, 0);
    let mut entries = fs::walk(tree)?;
    // What is in a directory comes before it.
    entries.reverse();
    for entry in &entries {
        let path = tree.join(&entry.path);
        match &entry.kind {
            Kind::File { .. } => {
                let metadata = fs_err::metadata(&path)?;
                files += 1;
                size += metadata.len();
                let mode = if metadata.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
                fs_err::set_permissions(&path, Permissions::from_mode(mode))?;
            }
            Kind::Directory => fs_err::set_permissions(&path, Permissions::from_mode(0o755))?,
            Kind::Symlink(_) | Kind::Other => {}
        }
        fs::set_time(&path, epoch)?;
    }
    fs_err::set_permissions(tree, Permissions::from_mode(0o755))?;
    fs::set_time(tree, epoch)?;
    Ok((files, size))
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
        assert_eq!(normalise(&tree, 86_400).unwrap(), (2, 4));
        for (name, mode) in [("bin/x", 0o755), ("y", 0o644), ("bin", 0o755), ("", 0o755)] {
            let metadata = fs_err::metadata(tree.join(name)).unwrap();
            assert_eq!((metadata.mode() & 0o7777, metadata.mtime()), (mode, 86_400), "{name}");
        }
        assert_eq!(fs_err::symlink_metadata(tree.join("bin/link")).unwrap().mtime(), 86_400);
    }
}
