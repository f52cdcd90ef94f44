//! Applies the layers of an image to a tree.

use std::path::Path;
use std::rc::Rc;

use super::content;
use super::tree::{Kind, Node, Tree};
use crate::error::Result;
use crate::sys::archive::{LayerBudget, LayerEntry, LayerKind, read_layer};

/// Applies a layer, a tarball that is not compressed. `index` is its place among the layers, from 0.
///
/// # Errors
/// Those of [`read_layer`]; [`Error::HostileArchive`](crate::error::Error::HostileArchive) also for a hard link that
/// leads to no file.
pub(super) fn apply(
    tree: &mut Tree,
    name: &str,
    index: usize,
    reader: impl std::io::Read,
    budget: &mut LayerBudget,
) -> Result<()> {
    let mut buffer = Vec::new();
    read_layer(name, reader, budget, |entry| place(tree, index, entry, &mut buffer))
}

fn place(tree: &mut Tree, layer: usize, entry: &mut LayerEntry<'_>, buffer: &mut Vec<u8>) -> Result<()> {
    let path = absolute(&entry.path);
    let (mode, size) = (entry.mode, entry.size);
    let kind = match entry.kind.clone() {
        LayerKind::Opaque => {
            tree.remove_below(&path, layer);
            return Ok(());
        }
        LayerKind::Whiteout => {
            tree.remove(&path, layer);
            return Ok(());
        }
        LayerKind::Directory => Kind::Directory,
        LayerKind::Symlink(target) => Kind::Link(target.to_string_lossy().into()),
        LayerKind::HardLink(target) => {
            let target = absolute(&target);
            match tree.get(&target).or_else(|| Some(tree.find(&target)?.1)).map(|node| node.kind.clone()) {
                Some(kind @ (Kind::File(_) | Kind::Link(_) | Kind::Other)) => {
                    // What reads the text of each name reads it as often as there are names.
                    let text = if let Kind::File(file) = &kind { file.content.kept() } else { 0 };
                    entry.keep(text)?;
                    kind
                }
                _ => return Err(entry.hostile(format!("the hard link {path} leads to {target}, which is no file"))),
            }
        }
        LayerKind::File => {
            let file = entry.read_by(|content| content::of_stream(&path, mode, content, size, buffer))?;
            entry.keep(file.content.kept())?;
            Kind::File(Rc::new(file))
        }
        LayerKind::Other => Kind::Other,
    };
    let uid = u32::try_from(entry.owner.0).unwrap_or(u32::MAX);
    let gid = u32::try_from(entry.owner.1).unwrap_or(u32::MAX);
    let mtime = i64::try_from(entry.mtime).unwrap_or(i64::MAX);
    let bytes = tree.place(&path, Node { kind, mode, uid, gid, mtime, layer });
    // The path may be longer than the entry's, which is counted: through links, and where bytes were replaced.
    entry.keep(bytes.saturating_sub(entry.path.as_os_str().len()) as u64)
}

/// The path in the tree; the root is the empty text. Bytes that are not UTF-8 are replaced.
fn absolute(path: &Path) -> String {
    if path.as_os_str().is_empty() { String::new() } else { format!("/{}", path.to_string_lossy()) }
}

#[cfg(test)]
pub(super) mod tests {
    use tar::EntryType;

    use super::*;
    use crate::error::Error;

    /// An entry of a tarball: type, path, and content or target. Paths are written as they are, also hostile ones.
    pub(in super::super) type Written<'a> = (EntryType, &'a str, &'a str);

    pub(in super::super) fn tarball(entries: &[Written<'_>]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (kind, path, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(if *kind == EntryType::Directory { 0o755 } else { 0o644 });
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(1);
            let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            if is_link {
                header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
            }
            let content = if is_link { "" } else { content };
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn applied(mut budget: LayerBudget, layers: &[&[Written<'_>]]) -> Result<Tree> {
        let mut tree = Tree::default();
        for (index, entries) in layers.iter().enumerate() {
            apply(&mut tree, "layer", index, &tarball(entries)[..], &mut budget)?;
        }
        Ok(tree)
    }

    fn paths(tree: &Tree) -> Vec<&str> {
        tree.iter().filter(|(_, node)| !node.is_directory()).map(|(path, _)| path).collect()
    }

    use EntryType::{Directory, Link, Regular, Symlink};

    #[test]
    fn whiteouts_remove_what_is_below_and_nothing_of_their_own_layer() {
        let tree = applied(
            LayerBudget::USUAL,
            &[
                &[(Regular, "a/one", "1"), (Regular, "a/two", "2"), (Regular, "b/three", "3"), (Regular, "c", "4")],
                &[
                    (Regular, "b/new", "5"),
                    (Regular, "b/.wh..wh..opq", ""),
                    (Regular, "a/.wh.one", ""),
                    (Regular, ".wh.c", ""),
                    (Regular, ".wh.absent", ""),
                ],
            ],
        )
        .unwrap();
        assert_eq!(paths(&tree), ["/a/two", "/b/new"]);
        assert_eq!(tree.hidden(0), 3);
    }

    #[test]
    fn hard_links_share_a_file_and_links_of_directories_are_followed() {
        let tree = applied(
            LayerBudget::USUAL,
            &[
                &[(Directory, "usr/lib/", ""), (Symlink, "lib", "usr/lib"), (Regular, "usr/lib/a", "text")],
                &[(Link, "usr/lib/b", "usr/lib/a"), (Regular, "lib/c", "x"), (Regular, "./usr/./lib//d", "y")],
            ],
        )
        .unwrap();
        assert_eq!(paths(&tree), ["/lib", "/usr/lib/a", "/usr/lib/b", "/usr/lib/c", "/usr/lib/d"]);
        let [a, b] = ["/usr/lib/a", "/usr/lib/b"].map(|path| tree.get(path).unwrap().file().unwrap());
        assert!(Rc::ptr_eq(a, b));
    }

    #[test]
    fn what_leads_out_of_the_image_is_refused() {
        let deep = "a/".repeat(40);
        for entries in [
            [(Regular, "../etc/passwd", "x")],
            [(Regular, "a/../../b", "x")],
            [(Link, "a", "../../etc/shadow")],
            [(Link, "a", "absent")],
            [(Regular, "a/.wh...", "")],
        ] {
            let error = applied(LayerBudget::USUAL, &[&entries]).unwrap_err();
            assert!(matches!(error, Error::HostileArchive { .. }), "{error}");
        }
        // An absolute path and a link out of it stay inside.
        let tree = applied(LayerBudget::USUAL, &[&[(Regular, "/a", "x"), (Symlink, "up", "../../..")]]).unwrap();
        assert_eq!((paths(&tree), tree.real("/up/a").as_deref()), (vec!["/a", "/up"], Some("/a")));
        assert!(applied(LayerBudget::USUAL, &[&[(Regular, &deep[..79], "x")]]).is_ok());
    }

    #[test]
    fn what_is_kept_counts_as_often_as_it_is_kept() {
        let (long, text) = ("x".repeat(90), "y".repeat(1000));
        let deep = "a/".repeat(49) + "b";
        let cases: [(u64, &[Written<'_>]); 3] = [
            // Each directory that no entry names is in memory.
            (4000, &[(Regular, &deep, "")]),
            // A path through a link is as long as the link.
            (500, &[(Symlink, "l", &long), (Regular, "l/1", ""), (Regular, "l/2", ""), (Regular, "l/3", "")]),
            // Each name of a text is read.
            (3000, &[(Regular, "a.pth", &text), (Link, "b.pth", "a.pth"), (Link, "c.pth", "a.pth")]),
        ];
        for (kept, entries) in cases {
            let error = applied(LayerBudget { kept, ..LayerBudget::USUAL }, &[entries]).unwrap_err();
            assert!(error.to_string().contains("more names and texts"), "{error}");
            applied(LayerBudget { kept: 5 * kept, ..LayerBudget::USUAL }, &[entries]).unwrap();
        }
    }

    #[test]
    fn hard_links_of_a_link_share_its_text() {
        let tree = applied(LayerBudget::USUAL, &[&[(Symlink, "a", "target"), (Link, "b", "a")]]).unwrap();
        let [a, b] = ["/a", "/b"].map(|path| match &tree.get(path).unwrap().kind {
            Kind::Link(target) => Rc::clone(target),
            other => panic!("{other:?}"),
        });
        assert!(Rc::ptr_eq(&a, &b));
    }

    #[test]
    fn a_layer_beyond_the_limits_is_refused() {
        let limits = LayerBudget { bytes: 4096, entries: 3, ..LayerBudget::USUAL };
        let many = [(Directory, "a/", ""), (Directory, "b/", ""), (Directory, "c/", ""), (Directory, "d/", "")];
        let text = "x".repeat(5000);
        for entries in [&many[..], &[(Regular, "a", text.as_str())]] {
            let error = applied(limits, &[entries]).unwrap_err();
            assert!(matches!(error, Error::HostileArchive { .. }), "{error}");
        }
        let few = LayerBudget { kept: 8, ..LayerBudget::USUAL };
        let error = applied(few, &[&[(Symlink, "link", "a/target")]]).unwrap_err();
        assert!(error.to_string().contains("more names and texts"), "{error}");
        let mut bytes = tarball(&[(Regular, "a", "x")]);
        bytes[0] = b'b';
        let mut budget = LayerBudget::USUAL;
        let error = apply(&mut Tree::default(), "layer", 0, &bytes[..], &mut budget).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
    }
}
