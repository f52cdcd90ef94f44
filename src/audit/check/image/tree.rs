//! The files of an image in memory: where each is, whose, how large, and what the rules need of its content.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::content::File;

/// How many links a path may lead through, as in the kernel, and how many names in all.
const MOST_LINKS: usize = 40;
const MOST_NAMES: usize = 4096;
/// About the bytes that a directory takes in memory besides its path.
const NODE: usize = 128;

/// A file, directory or link of an image.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// The permission bits with set-uid, set-gid and sticky.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The time stamp in seconds since 1970.
    pub mtime: i64,
    /// The layer that it is from, from 0.
    pub layer: usize,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file. Hard links share it.
    File(Rc<File>),
    /// A symbolic link with its target. Hard links share it.
    Link(Rc<str>),
    /// A device, a pipe or a socket.
    Other,
}

impl Node {
    /// The regular file that it is, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Rc<File>> {
        match &self.kind {
            Kind::File(file) => Some(file),
            _ => None,
        }
    }

    /// Whether it is a directory.
    #[must_use]
    pub const fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory)
    }

    /// Whether somebody may run it.
    #[must_use]
    pub fn is_program(&self) -> bool {
        self.file().is_some() && self.mode & 0o111 != 0
    }

    /// A directory that an archive implies by a path through it.
    const fn implied(layer: usize) -> Self {
        Self { kind: Kind::Directory, mode: 0o755, uid: 0, gid: 0, mtime: 0, layer }
    }
}

/// The files of an image, by their absolute paths without links on the way; `/` itself is the empty text.
#[derive(Debug)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
    /// The bytes of files of each layer that a later layer replaced or removed.
    hidden: BTreeMap<usize, u64>,
    /// The directories in which a layer has removed everything that is from before it, and that layer.
    cleared: (usize, BTreeSet<String>),
}

impl Default for Tree {
    fn default() -> Self {
        let nodes = BTreeMap::from([(String::new(), Node::implied(0))]);
        Self { nodes, hidden: BTreeMap::new(), cleared: (0, BTreeSet::new()) }
    }
}

/// What to do about a name on the way that the tree does not have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    /// The path leads nowhere.
    Nowhere,
    /// It will be a directory, also in place of a file.
    Made,
}

impl Tree {
    /// The number of files, directories and links.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it has nothing but its root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.len() <= 1
    }

    /// What is at a path, if no link is on the way.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path.trim_end_matches('/'))
    }

    /// Everything, in the order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// Everything below a directory, at any depth.
    pub fn below(&self, directory: &str) -> impl Iterator<Item = (&str, &Node)> + use<'_> {
        let directory = directory.trim_end_matches('/');
        // The character after the slash: every path below has a smaller one.
        let range = format!("{directory}/")..format!("{directory}0");
        self.nodes.range(range).map(|(path, node)| (path.as_str(), node))
    }

    /// What is directly in a directory, by name.
    pub fn children(&self, directory: &str) -> impl Iterator<Item = (&str, &Node)> + use<'_> {
        let length = directory.trim_end_matches('/').len() + 1;
        let entries = self.below(directory).map(move |(path, node)| (&path[length..], node));
        entries.filter(|(name, _)| !name.contains('/'))
    }

    /// Returns the path that a path leads to inside the image, through every link, or `None` if there is nothing or the
    /// links go in a circle. `..` does not leave the root.
    #[must_use]
    pub fn real(&self, path: &str) -> Option<String> {
        self.walk(path, Absent::Nowhere)
    }

    /// The directory of a path that is placed or removed. Links that go in a circle are no directories.
    fn real_parent(&self, parent: &str) -> String {
        self.walk(parent, Absent::Made).unwrap_or_else(|| parent.to_owned())
    }

    fn walk(&self, path: &str, absent: Absent) -> Option<String> {
        let mut way = String::new();
        let mut names: Vec<&str> = path.rsplit('/').collect();
        let (mut links, mut walked) = (0, 0);
        while let Some(name) = names.pop() {
            walked += 1;
            if walked > MOST_NAMES {
                return None;
            }
            match name {
                "" | "." => continue,
                ".." => {
                    way.truncate(way.rfind('/').unwrap_or_default());
                    continue;
                }
                _ => {}
            }
            let before = way.len();
            way.push('/');
            way.push_str(name);
            match self.nodes.get(&way).map(|node| &node.kind) {
                Some(Kind::Link(target)) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return None;
                    }
                    way.truncate(if target.starts_with('/') { 0 } else { before });
                    names.extend(target.rsplit('/'));
                }
                None if absent == Absent::Nowhere => return None,
                Some(Kind::File(_) | Kind::Other)
                    if absent == Absent::Nowhere && names.iter().any(|name| !name.is_empty()) =>
                {
                    return None;
                }
                Some(Kind::Directory | Kind::File(_) | Kind::Other) | None => {}
            }
        }
        Some(way)
    }

    /// What a path leads to, with its real path.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<(String, &Node)> {
        let real = self.real(path)?;
        let node = self.nodes.get(&real)?;
        Some((real, node))
    }

    /// The regular file that a path leads to, with its real path.
    #[must_use]
    pub fn find_file(&self, path: &str) -> Option<(String, &Rc<File>)> {
        let (real, node) = self.find(path)?;
        Some((real, node.file()?))
    }

    /// Whether a path leads to a directory.
    #[must_use]
    pub fn has_directory(&self, path: &str) -> bool {
        self.find(path).is_some_and(|(_, node)| node.is_directory())
    }

    /// The files and links that have one of some names, wherever they are, in the order of the paths: name and path.
    pub fn named<'s>(&'s self, names: &'s BTreeSet<&str>) -> impl Iterator<Item = (&'s str, &'s str)> {
        let others = self.iter().filter(|(_, node)| !node.is_directory());
        let all = others.filter_map(|(path, _)| Some((path.rsplit('/').next()?, path)));
        all.filter(|(name, _)| names.contains(name))
    }

    /// The text of a file that was kept.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        self.find_file(path)?.1.content.text().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The bytes of files of a layer that later layers replaced or removed.
    #[must_use]
    pub fn hidden(&self, layer: usize) -> u64 {
        self.hidden.get(&layer).copied().unwrap_or_default()
    }

    /// Places a node as unpacking a layer does: through links of the directories on the way, over what is there.
    /// Returns the bytes of its real path, and about those of the directories that it implies.
    pub(in super::super) fn place(&mut self, path: &str, node: Node) -> usize {
        let (parent, name) = path.rsplit_once('/').unwrap_or_default();
        let parent = self.real_parent(parent);
        let whole = if name.is_empty() { String::new() } else { format!("{parent}/{name}") };
        let implied = self.imply(&parent, node.layer);
        if let Some(replaced) = self.nodes.get(&whole) {
            if let Some(file) = replaced.file() {
                *self.hidden.entry(replaced.layer).or_default() += file.size;
            }
            if replaced.is_directory() && !node.is_directory() {
                self.clear(&whole, usize::MAX);
            }
        }
        let bytes = implied + whole.len();
        self.nodes.insert(whole, node);
        bytes
    }

    /// Makes the directories of a path that are not there, in place of files. Returns about how many bytes they take.
    fn imply(&mut self, directory: &str, layer: usize) -> usize {
        let mut bytes = 0;
        for (end, _) in directory.match_indices('/').skip(1).chain([(directory.len(), "")]) {
            let here = &directory[..end];
            if self.nodes.get(here).is_none_or(|node| !node.is_directory()) {
                self.take(here);
                self.nodes.insert(here.to_owned(), Node::implied(layer));
                bytes += here.len() + NODE;
            }
        }
        bytes
    }

    /// Removes a path that a layer marks as removed. What the layer itself has stays, and so does what a link leads to.
    pub(super) fn remove(&mut self, path: &str, layer: usize) {
        let Some((parent, name)) = path.rsplit_once('/') else { return };
        let whole = format!("{}/{name}", self.real_parent(parent));
        self.clear(&whole, layer);
        if self.below(&whole).next().is_none() && self.nodes.get(&whole).is_some_and(|node| node.layer < layer) {
            self.take(&whole);
        }
    }

    /// Removes what is below a directory, or one that a link leads to, and from a layer before `layer`.
    pub(super) fn remove_below(&mut self, directory: &str, layer: usize) {
        if let Some(directory) = self.real(directory) {
            self.clear(&directory, layer);
        }
    }

    /// Removes what is below a real path and from a layer before `layer`. A layer can say so often, and is asked once.
    fn clear(&mut self, directory: &str, layer: usize) {
        let is_mark = layer != usize::MAX;
        if is_mark && self.cleared.0 != layer {
            self.cleared = (layer, BTreeSet::new());
        }
        if self.below(directory).next().is_none() || (is_mark && self.cleared.1.contains(directory)) {
            return;
        }
        let old = self.below(directory).filter(|(_, node)| node.layer < layer);
        let old: Vec<String> = old.map(|(path, _)| path.to_owned()).collect();
        // The deepest come first, so that a directory stays while something is in it.
        for path in old.iter().rev() {
            if self.below(path).next().is_none() {
                self.take(path);
            }
        }
        if is_mark {
            self.cleared.1.insert(directory.to_owned());
        }
    }

    fn take(&mut self, path: &str) {
        if let Some(node) = self.nodes.remove(path)
            && let Some(file) = node.file()
        {
            *self.hidden.entry(node.layer).or_default() += file.size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(kind: Kind, layer: usize) -> Node {
        Node { kind, mode: 0o644, uid: 0, gid: 0, mtime: 0, layer }
    }

    fn file(size: u64) -> Kind {
        Kind::File(Rc::new(File { size, ..File::default() }))
    }

    fn tree() -> Tree {
        let mut tree = Tree::default();
        tree.place("/usr/lib/a.so", node(file(3), 0));
        tree.place("/lib", node(Kind::Link("usr/lib".into()), 0));
        tree.place("/usr/up", node(Kind::Link("../../../lib/a.so".into()), 0));
        tree.place("/one", node(Kind::Link("/two".into()), 0));
        tree.place("/two", node(Kind::Link("one".into()), 0));
        tree
    }

    #[test]
    fn links_lead_into_the_image_only() {
        let tree = tree();
        assert_eq!(tree.real("/lib/a.so").unwrap(), "/usr/lib/a.so");
        assert_eq!(tree.real("/usr/up").unwrap(), "/usr/lib/a.so");
        assert_eq!(tree.real("/"), Some(String::new()));
        assert_eq!((tree.real("/one"), tree.real("/lib/b.so"), tree.real("/lib/a.so/b")), (None, None, None));
        let names: Vec<&str> = tree.children("/").map(|(name, _)| name).collect();
        assert_eq!(names, ["lib", "one", "two", "usr"]);
        assert_eq!(tree.children("/usr").count(), 2);
    }

    #[test]
    fn a_layer_is_placed_through_links_and_hides_what_it_replaces() {
        let mut tree = tree();
        tree.place("/lib/a.so", node(file(5), 1));
        assert_eq!((tree.find_file("/usr/lib/a.so").unwrap().1.size, tree.hidden(0)), (5, 3));
        tree.place("/usr", node(file(1), 2));
        assert!(tree.get("/usr/lib/a.so").is_none() && tree.hidden(1) == 5);
    }

    #[test]
    fn what_is_removed_is_of_the_layers_before() {
        let mut tree = tree();
        tree.place("/usr/lib/b.so", node(file(7), 1));
        tree.remove_below("/lib", 1);
        assert!(tree.get("/usr/lib/a.so").is_none() && tree.get("/usr/lib/b.so").is_some());
        tree.remove("/usr/lib/b.so", 1);
        assert!(tree.get("/usr/lib/b.so").is_some(), "of the same layer");
        tree.remove("/usr", 2);
        assert!(tree.get("/usr").is_none() && tree.hidden(1) == 7, "{tree:?}");
    }

    #[test]
    fn what_a_link_leads_to_stays_when_the_link_is_replaced_or_removed() {
        let mut tree = tree();
        tree.place("/lib", node(Kind::Link("usr/lib".into()), 1));
        assert!(tree.find_file("/lib/a.so").is_some(), "{tree:?}");
        tree.remove("/lib", 2);
        assert!(tree.get("/lib").is_none() && tree.get("/usr/lib/a.so").is_some(), "{tree:?}");
        tree.place("/usr/up", node(file(1), 3));
        assert_eq!((tree.get("/usr/lib/a.so").is_some(), tree.hidden(0)), (true, 0));
    }

    #[test]
    fn a_directory_that_no_entry_names_is_made_where_a_link_leads() {
        let mut tree = tree();
        tree.place("/lib/new/er/b.so", node(file(1), 1));
        assert!(matches!(tree.get("/lib").unwrap().kind, Kind::Link(_)), "{tree:?}");
        assert!(tree.get("/usr/lib/new/er/b.so").is_some() && tree.find_file("/lib/a.so").is_some(), "{tree:?}");
        // What cannot be a directory is replaced by one.
        tree.place("/usr/lib/a.so/c", node(file(1), 1));
        tree.place("/one/d", node(file(1), 1));
        assert_eq!(
            (tree.real("/lib/a.so/c").is_some(), tree.real("/one/d").is_some(), tree.hidden(0)),
            (true, true, 3)
        );
    }

    #[test]
    fn what_is_placed_says_what_it_needs() {
        let mut tree = Tree::default();
        let long = "x".repeat(200);
        tree.place("/link", node(Kind::Link(format!("/{long}/{long}").into()), 0));
        assert!(tree.place("/link/a", node(file(1), 0)) > 400 + 200, "the directories are in memory too");
        assert!(tree.place("/link/b", node(file(1), 0)) > 400, "the path is as long as the link's");
    }

    #[test]
    fn a_layer_that_empties_a_directory_often_takes_no_longer() {
        let mut tree = Tree::default();
        for number in 0..20_000 {
            tree.place(&format!("/d/{number}"), node(file(1), 1));
        }
        for _ in 0..20_000 {
            tree.remove_below("/d", 1);
            tree.remove("/d", 1);
        }
        // The next layer empties it once more.
        tree.remove_below("/d", 2);
        assert_eq!(tree.below("/d").count(), 0);
    }

    #[test]
    fn a_path_of_endless_links_leads_nowhere() {
        let mut tree = Tree::default();
        tree.place("/a", node(Kind::Link("b/../".repeat(700).into()), 0));
        tree.place("/b", node(Kind::Directory, 0));
        assert_eq!(tree.real("/a/b").as_deref(), Some("/b"));
        assert_eq!(tree.real(&"a/../".repeat(3)), None);
    }
}
