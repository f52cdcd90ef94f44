//! What is in a base image: which paths there are, and the few files whose content decides something.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::domain::artifact::GlibcVersion;
use crate::error::{Error, ImageError, Result};
use crate::sys::archive::{LayerEntry, LayerKind};
use crate::sys::directory::names_of;
use crate::sys::elf;

/// How many links a path may lead through, as in the kernel.
const MOST_LINKS: usize = 40;
/// The most bytes of a file whose content is kept.
const LARGEST_KEPT: u64 = 16 << 20;

/// The places of the bundle of CA certificates: Debian, Red Hat.
pub(super) const CA_BUNDLES: [&str; 2] = ["etc/ssl/certs/ca-certificates.crt", "etc/pki/tls/certs/ca-bundle.crt"];

/// The files of a base image, as its layers leave them.
#[derive(Debug, Default)]
pub(super) struct BaseTree {
    nodes: BTreeMap<PathBuf, Node>,
}

/// What is known of a layer while it is applied.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// The paths of its entries so far, which no mark of it removes.
    added: BTreeSet<PathBuf>,
    /// The directories that its marks have emptied, so that a layer that says so often takes no longer.
    emptied: BTreeSet<PathBuf>,
}

/// What is at a path. Hard links share texts and contents.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// A directory of root's with mode 755.
    Directory,
    /// A directory of another user or another mode.
    OwnDirectory,
    Link(Rc<Path>),
    Kept(Rc<[u8]>),
    Other,
}

impl BaseTree {
    /// Applies an entry of the next layer.
    ///
    /// # Errors
    /// Those of [`LayerEntry::read`].
    pub(super) fn apply(&mut self, layer: &mut Applied, entry: &mut LayerEntry<'_>) -> Result<()> {
        let path = entry.path.clone();
        let node = match &entry.kind {
            LayerKind::Opaque => {
                self.empty(&path, layer);
                return Ok(());
            }
            LayerKind::Whiteout => {
                self.empty(&path, layer);
                if !layer.added.contains(&path) {
                    self.nodes.remove(&path);
                }
                return Ok(());
            }
            LayerKind::Directory if (entry.mode, entry.owner) == (0o755, (0, 0)) => Node::Directory,
            LayerKind::Directory => Node::OwnDirectory,
            LayerKind::Symlink(target) => Node::Link(target.as_path().into()),
            LayerKind::File if is_kept(&path) && entry.size <= LARGEST_KEPT => {
                Node::Kept(entry.read(LARGEST_KEPT)?.into())
            }
            LayerKind::HardLink(other) => self.nodes.get(other).cloned().unwrap_or(Node::Other),
            LayerKind::File | LayerKind::Other => Node::Other,
        };
        if !matches!(node, Node::Directory | Node::OwnDirectory) {
            self.remove_below(&path, &BTreeSet::new());
        }
        layer.added.insert(path.clone());
        self.nodes.insert(path, node);
        Ok(())
    }

    /// Removes what the layers before a layer have below a directory.
    fn empty(&mut self, directory: &Path, layer: &mut Applied) {
        if !layer.emptied.contains(directory) && self.remove_below(directory, &layer.added) {
            layer.emptied.insert(directory.to_owned());
        }
    }

    /// Removes what is below a directory, except some paths. Returns whether anything was there.
    fn remove_below(&mut self, directory: &Path, except: &BTreeSet<PathBuf>) -> bool {
        let range = self.nodes.range(directory.to_owned()..).skip_while(|(path, _)| *path == directory);
        let found: Vec<PathBuf> =
            range.take_while(|(path, _)| path.starts_with(directory)).map(|(path, _)| path.clone()).collect();
        for path in found.iter().filter(|path| !except.contains(*path)) {
            self.nodes.remove(path);
        }
        !found.is_empty()
    }

    /// Returns where a path of the image leads: links on the way are replaced by what they lead to, the last part is
    /// not. Paths are relative to the root.
    ///
    /// # Errors
    /// [`ImageError::Unfit`] if something on the way is neither directory nor link, or links lead in a circle.
    pub(super) fn resolve(&self, image: &str, path: &Path) -> Result<PathBuf> {
        let unfit = |reason: String| Error::from(ImageError::Unfit { image: image.to_owned(), reason });
        let mut names = names_of(path);
        let last = names.pop_back().unwrap_or_default();
        let (mut way, mut links) = (PathBuf::new(), 0);
        while let Some(name) = names.pop_front() {
            if name == ".." {
                way.pop();
                continue;
            }
            let next = way.join(&name);
            match self.nodes.get(&next) {
                Some(Node::Link(target)) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(unfit(format!("/{} is a link that leads in a circle", next.display())));
                    }
                    if target.is_absolute() {
                        way = PathBuf::new();
                    }
                    let mut before = names_of(target);
                    before.append(&mut names);
                    names = before;
                }
                Some(Node::Kept(_) | Node::Other) => {
                    let reason =
                        format!("/{} is not a directory, and /{} goes into it", next.display(), path.display());
                    return Err(unfit(reason));
                }
                Some(Node::Directory | Node::OwnDirectory) | None => way = next,
            }
        }
        Ok(way.join(last))
    }

    /// Adds a directory that is not root's with mode 755.
    pub(super) fn add_directory(&mut self, path: &str) {
        self.nodes.insert(path.into(), Node::OwnDirectory);
    }

    /// Adds a link.
    pub(super) fn add_link(&mut self, path: &str, target: &str) {
        self.nodes.insert(path.into(), Node::Link(Path::new(target).into()));
    }

    /// Returns the directories above a path that are not root's with mode 755.
    pub(super) fn own_directories(&self, path: &Path) -> Vec<PathBuf> {
        let above = path.ancestors().skip(1).filter(|path| self.nodes.get(*path) == Some(&Node::OwnDirectory));
        above.map(Path::to_owned).collect()
    }

    /// Whether there is anything at a path.
    pub(super) fn has(&self, path: &Path) -> bool {
        let below = self.nodes.range(path.to_owned()..).next();
        below.is_some_and(|(found, _)| found.starts_with(path))
    }

    /// Returns the path of a file whose content is kept, without links, and its content.
    pub(super) fn kept(&self, path: &str) -> Option<(PathBuf, &[u8])> {
        let mut path = PathBuf::from(path);
        for _ in 0..MOST_LINKS {
            path = self.resolve("", &path).ok()?;
            match self.nodes.get(&path)? {
                Node::Kept(bytes) => return Some((path, bytes)),
                Node::Link(target) => {
                    path = path.parent().unwrap_or(Path::new("")).join(target);
                }
                _ => return None,
            }
        }
        None
    }

    /// Returns the version of its glibc, or `None` if it has none that can be read.
    pub(super) fn glibc(&self) -> Option<GlibcVersion> {
        let kept = self.nodes.iter().filter(|(path, _)| is_libc(path));
        let bytes = kept.filter_map(|(_, node)| if let Node::Kept(bytes) = node { Some(bytes) } else { None });
        bytes.filter_map(|bytes| elf::defined_glibc(bytes).ok().flatten()).max()
    }

    /// Returns the users of `/etc/passwd`, or `None` if there is no such file.
    pub(super) fn users(&self) -> Option<Vec<String>> {
        let (_, bytes) = self.kept("etc/passwd")?;
        let text = String::from_utf8_lossy(bytes);
        Some(
            text.lines()
                .filter_map(|line| line.split(':').next())
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }
}

/// Whether the content of a file is kept.
fn is_kept(path: &Path) -> bool {
    const NAMES: [&str; 4] = ["passwd", "ca-certificates.crt", "ca-bundle.crt", "tls-ca-bundle.pem"];
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    is_libc(path) || path.starts_with("etc") && NAMES.contains(&name)
}

/// Whether a file is a C library. Before glibc 2.34, `libc.so.6` was a link to `libc-2.31.so`.
fn is_libc(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let is_library =
        name == "libc.so.6" || name.starts_with("libc-2.") && path.extension().is_some_and(|end| end == "so");
    is_library && ["lib", "lib64", "usr/lib", "usr/lib64"].iter().any(|top| path.starts_with(top))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::archive::{LayerBudget, read_layer};

    /// The tree of some layers; a text that begins with `->` is a link, with `=` a hard link, `/` a directory.
    fn tree(layers: &[&[(&str, &str)]]) -> BaseTree {
        let mut tree = BaseTree::default();
        for entries in layers {
            let mut builder = tar::Builder::new(Vec::new());
            for (path, content) in *entries {
                let mut header = tar::Header::new_gnu();
                header.set_mode(0o644);
                header.set_size(0);
                if let Some(target) = content.strip_prefix("->") {
                    header.set_entry_type(tar::EntryType::Symlink);
                    builder.append_link(&mut header, path, target).unwrap();
                } else if let Some(target) = content.strip_prefix('=') {
                    header.set_entry_type(tar::EntryType::Link);
                    builder.append_link(&mut header, path, target).unwrap();
                } else if *content == "/" {
                    header.set_entry_type(tar::EntryType::Directory);
                    builder.append_data(&mut header, path, std::io::empty()).unwrap();
                } else {
                    header.set_size(content.len() as u64);
                    builder.append_data(&mut header, path, content.as_bytes()).unwrap();
                }
            }
            let bytes = builder.into_inner().unwrap();
            let (mut layer, mut budget) = (Applied::default(), LayerBudget::USUAL);
            read_layer("layer", &bytes[..], &mut budget, |entry| tree.apply(&mut layer, entry)).unwrap();
        }
        tree
    }

    #[test]
    fn a_path_leads_through_the_links_of_a_base() {
        let tree =
            tree(&[&[("usr/opt", "/"), ("opt", "->/usr/opt"), ("srv", "->../../opt"), ("a", "->b"), ("b", "->a")]]);
        let resolve = |path: &str| tree.resolve("base", Path::new(path)).map(|path| path.display().to_string());
        assert_eq!(resolve("opt/myorg/python-3.13").unwrap(), "usr/opt/myorg/python-3.13");
        assert_eq!(resolve("srv/x").unwrap(), "usr/opt/x");
        assert_eq!(resolve("new/x").unwrap(), "new/x");
        assert!(resolve("a/x").unwrap_err().to_string().contains("circle"));
    }

    #[test]
    fn directories_of_others_above_a_path_are_known() {
        let mut tree = tree(&[&[("srv", "/"), ("srv/web", "/")]]);
        tree.add_directory("tmp");
        // The test's directories have mode 644.
        assert_eq!(tree.own_directories(Path::new("srv/web/app")), [Path::new("srv/web"), Path::new("srv")]);
        assert_eq!(tree.own_directories(Path::new("tmp")), Vec::<PathBuf>::new());
    }

    #[test]
    fn marks_of_an_overlay_remove_what_is_below() {
        let first: &[(&str, &str)] =
            &[("opt/a/b", "x"), ("opt/c/d", "x"), ("opt/e", "x"), ("file", "x"), ("opt.d/x", "x")];
        let second: &[(&str, &str)] =
            &[("opt/.wh.a", ""), ("opt/c/new", "x"), ("opt/c/.wh..wh..opq", ""), ("opt/e", "->/x")];
        let tree = tree(&[first, second]);
        let has = |path: &str| tree.has(Path::new(path));
        assert!(!has("opt/a") && !has("opt/c/d") && has("opt/c/new") && has("opt/e") && has("opt.d/x"));
        assert!(tree.resolve("base", Path::new("file/x")).unwrap_err().to_string().contains("not a directory"));
    }

    #[test]
    fn the_files_that_decide_something_are_found_through_links() {
        let tree = tree(&[&[
            ("etc/passwd", "root:x:0:0::/:/bin/sh\nweb:x:33:33::/:\n"),
            ("etc/pki/tls/certs/ca-bundle.crt", "->/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
            ("etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "CERT"),
        ]]);
        assert_eq!(tree.users().unwrap(), ["root", "web"]);
        let (path, bytes) = tree.kept(CA_BUNDLES[1]).unwrap();
        assert_eq!(
            (path.as_path(), bytes),
            (Path::new("etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"), &b"CERT"[..])
        );
        assert!(tree.kept(CA_BUNDLES[0]).is_none() && tree.glibc().is_none());
    }

    #[test]
    fn hard_links_share_what_is_kept() {
        let tree =
            tree(&[&[("etc/passwd", "root:x:0:0::/:/bin/sh\n"), ("a", "=etc/passwd"), ("l", "->a"), ("m", "=l")]]);
        let node = |path: &str| &tree.nodes[Path::new(path)];
        let is_shared = match (node("etc/passwd"), node("a"), node("l"), node("m")) {
            (Node::Kept(one), Node::Kept(other), Node::Link(link), Node::Link(same)) => {
                Rc::ptr_eq(one, other) && Rc::ptr_eq(link, same)
            }
            _ => false,
        };
        assert!(is_shared, "{tree:?}");
    }

    #[test]
    fn a_layer_that_empties_a_directory_often_takes_no_longer() {
        let mut tree = BaseTree::default();
        let mut layer = Applied::default();
        for number in 0..5_000 {
            let path = PathBuf::from(format!("d/{number}"));
            layer.added.insert(path.clone());
            tree.nodes.insert(path, Node::Other);
        }
        for _ in 0..5_000 {
            tree.empty(Path::new("d"), &mut layer);
        }
        assert_eq!(tree.nodes.len(), 5_000);
        tree.empty(Path::new("d"), &mut Applied::default());
        assert!(tree.nodes.is_empty());
    }
}
