//! Digests of trees and files that no package owns.

use std::fmt::Write as _;
use std::path::Path;

use crate::domain::digest::Digest;
use crate::error::Result;
use crate::sys::fs;

/// Returns the SHA-256 of a file, or of the names, kinds and contents in a tree.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if a file cannot be read.
pub(super) fn digest_of(tree: &Path) -> Result<Digest> {
    let content = |path: &Path| -> Result<Digest> { Ok(Digest::of_reader(fs_err::File::open(path)?)?) };
    if !tree.is_dir() {
        return content(tree);
    }
    let mut lines = String::new();
    for entry in fs::walk(tree)? {
        let what = match &entry.kind {
            fs::Kind::Directory => "directory".to_owned(),
            fs::Kind::File { executable, .. } => format!("file {executable} {}", content(&tree.join(&entry.path))?),
            fs::Kind::Symlink(target) => {
                // The target of a link out of the tree is read as if it were in the tree.
                let led_to = tree.join(&entry.path).canonicalize().ok().filter(|path| path.is_file());
                let outside = led_to.filter(|path| !path.starts_with(tree)).map(|path| content(&path)).transpose()?;
                format!("link {} {outside:?}", target.display())
            }
            fs::Kind::Other => "other".to_owned(),
        };
        let _ = writeln!(lines, "{}\0{what}", entry.path.display());
    }
    Ok(Digest::of(lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_another_with_another_name_content_or_link() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("a");
        fs_err::write(&file, "1").unwrap();
        let first = digest_of(place.path()).unwrap();
        assert_eq!(digest_of(place.path()).unwrap(), first);
        fs_err::write(&file, "2").unwrap();
        let second = digest_of(place.path()).unwrap();
        assert_ne!(second, first);
        fs_err::rename(&file, place.path().join("b")).unwrap();
        let third = digest_of(place.path()).unwrap();
        assert_ne!(third, second);
        fs_err::os::unix::fs::symlink("b", &file).unwrap();
        assert_ne!(digest_of(place.path()).unwrap(), third);
    }
}
