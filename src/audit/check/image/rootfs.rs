//! Reads the root file system of an image from a directory. Other file systems that are mounted in it, such as `/proc`,
//! are not of the image.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::rc::Rc;

use super::content::{self, File, SMALLEST_HASHED};
use super::tree::{Kind, Node, Tree};
use crate::domain::digest::Digest;
use crate::error::{Error, Result};
use crate::sys::archive::LayerBudget;
use crate::sys::fs::{open_plain, with_path};
use crate::sys::interrupt;

/// The files of a directory whose contents are hashed: those with the size of another one.
const SMALLEST_COMPARED: u64 = 4 * SMALLEST_HASHED;

/// Reads the tree below a directory. What is kept of it, and how many bytes of it are compared, is limited as for the
/// layers of an image: files with holes are longer than the disk.
///
/// # Errors
/// [`Error::HostileArchive`] if more than that would be kept; [`Error::Io`], [`Error::Interrupted`].
pub(super) fn read(root: &Path, budget: &mut LayerBudget) -> Result<Tree> {
    let mut tree = Tree::default();
    read_into(&mut tree, root, "", budget)?;
    Ok(tree)
}

/// Reads what is below a directory into a tree, at a path of it.
///
/// # Errors
/// As [`read`].
pub(super) fn read_into(tree: &mut Tree, root: &Path, at: &str, budget: &mut LayerBudget) -> Result<()> {
    let hostile = |reason: &str| Error::HostileArchive { archive: root.display().to_string(), reason: reason.into() };
    let sizes = sizes(root)?;
    let mut seen: HashMap<(u64, u64), Rc<File>> = HashMap::new();
    for entry in walkdir::WalkDir::new(root).same_file_system(true).sort_by_file_name() {
        interrupt::check()?;
        let entry = entry.map_err(io::Error::from)?;
        let facts = entry.metadata().map_err(io::Error::from)?;
        let below = entry.path().strip_prefix(root).unwrap_or(entry.path());
        let path = if entry.depth() == 0 { at.to_owned() } else { format!("{at}/{}", below.to_string_lossy()) };
        let kind = if facts.is_dir() {
            Kind::Directory
        } else if facts.is_symlink() {
            Kind::Link(fs_err::read_link(entry.path())?.to_string_lossy().into())
        } else if facts.is_file() {
            let identity = (facts.dev(), facts.ino());
            if let Some(file) = seen.get(&identity) {
                Kind::File(Rc::clone(file))
            } else {
                let open = || open_plain(entry.path());
                let read = content::of_file(&path, facts.mode(), facts.len(), open);
                let mut file = read.map_err(|error| with_path(entry.path(), error))?;
                budget.keep(file.content.kept()).map_err(hostile)?;
                if sizes.get(&facts.len()).is_some_and(|count| *count > 1)
                    && let Some(left) = budget.bytes.checked_sub(facts.len())
                {
                    budget.bytes = left;
                    let content = open().map(|file| file.take(facts.len())).and_then(Digest::of_reader);
                    file.digest = Some(content.map_err(|error| with_path(entry.path(), error))?);
                }
                let file = Rc::new(file);
                if facts.nlink() > 1 {
                    seen.insert(identity, Rc::clone(&file));
                }
                Kind::File(file)
            }
        } else {
            Kind::Other
        };
        let (mode, uid, gid, mtime) = (facts.mode() & 0o7777, facts.uid(), facts.gid(), facts.mtime());
        tree.place(&path, Node { kind, mode, uid, gid, mtime, layer: 0 });
    }
    Ok(())
}

/// How many files there are of each size that is worth comparing.
fn sizes(root: &Path) -> Result<HashMap<u64, usize>> {
    let mut sizes = HashMap::new();
    let mut seen = std::collections::HashSet::new();
    for entry in walkdir::WalkDir::new(root).same_file_system(true) {
        let facts = entry.and_then(|entry| entry.metadata()).map_err(io::Error::from)?;
        if facts.is_file() && facts.len() >= SMALLEST_COMPARED && seen.insert((facts.dev(), facts.ino())) {
            *sizes.entry(facts.len()).or_default() += 1;
        }
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_read_with_links_and_hard_links() {
        let root = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(root.path().join("usr/bin")).unwrap();
        fs_err::write(root.path().join("usr/bin/a"), "#!/bin/sh\n").unwrap();
        fs_err::hard_link(root.path().join("usr/bin/a"), root.path().join("usr/bin/b")).unwrap();
        std::os::unix::fs::symlink("usr/bin", root.path().join("bin")).unwrap();
        for name in ["large", "same"] {
            fs_err::write(root.path().join(name), vec![1; usize::try_from(SMALLEST_COMPARED).unwrap()]).unwrap();
        }
        let tree = read(root.path(), &mut LayerBudget::USUAL.clone()).unwrap();
        let [a, b] = ["/bin/a", "/usr/bin/b"].map(|path| tree.find_file(path).unwrap().1);
        assert!(Rc::ptr_eq(a, b));
        let [large, same] = ["/large", "/same"].map(|path| tree.find_file(path).unwrap().1.digest.unwrap());
        assert_eq!(large, same);
        assert!(read(&root.path().join("absent"), &mut LayerBudget::USUAL.clone()).is_err());
    }

    #[test]
    fn files_with_holes_take_neither_memory_nor_time() {
        let root = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            fs_err::File::create(root.path().join(name)).unwrap().set_len(1 << 40).unwrap();
        }
        let tree = read(root.path(), &mut LayerBudget { bytes: 1 << 20, ..LayerBudget::USUAL }).unwrap();
        assert!(tree.find_file("/one").unwrap().1.digest.is_none());
        for name in ["a.pth", "b.pth"] {
            fs_err::File::create(root.path().join(name)).unwrap().set_len(1 << 20).unwrap();
        }
        let error = read(root.path(), &mut LayerBudget { bytes: 0, kept: 3 << 19, ..LayerBudget::USUAL }).unwrap_err();
        assert!(matches!(&error, Error::HostileArchive { .. }), "{error}");
    }
}
