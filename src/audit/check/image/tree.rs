//! The files of an image in memory: where each is, whose, how large, and what the rules need of its content.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::content::File;

/// How many links a path may lead through, as in the kernel.
const MOST_LINKS: usize = 40;

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
    /// A symbolic link with its target.
    Link(String),
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
}

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: BTreeMap::from([(String::new(), Node::implied(0))]), hidden: BTreeMap::new() }
    }
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
        let mut way = String::new();
        let mut names: Vec<&str> = path.rsplit('/').collect();
        let mut links = 0;
        while let Some(name) = names.pop() {
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
            match &self.nodes.get(&way)?.kind {
                Kind::Link(target) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return None;
                    }
                    way.truncate(if target.starts_with('/') { 0 } else { before });
                    names.extend(target.rsplit('/'));
                }
                Kind::File(_) | Kind::Other if names.iter().any(|name| !name.is_empty()) => return None,
                Kind::Directory | Kind::File(_) | Kind::Other => {}
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
    pub(in super::super) fn place(&mut self, path: &str, node: Node) {
        let (parent, name) = path.rsplit_once('/').unwrap_or_default();
        let parent = self.real(parent).unwrap_or_else(|| parent.to_owned());
        let whole = if name.is_empty() { String::new() } else { format!("{parent}/{name}") };
        self.imply(&parent, node.layer);
        let replaced = self.nodes.get(&whole);
        if let Some(replaced) = replaced {
            if let Some(file) = replaced.file() {
                *self.hidden.entry(replaced.layer).or_default() += file.size;
            }
            if !node.is_directory() {
                self.remove_below(&whole, usize::MAX);
            }
        }
        self.nodes.insert(whole, node);
    }

    /// Makes the directories of a path that are not there.
    fn imply(&mut self, directory: &str, layer: usize) {
        for (end, _) in directory.match_indices('/').skip(1).chain([(directory.len(), "")]) {
            let here = &directory[..end];
            if self.nodes.get(here).is_none_or(|node| !node.is_directory()) {
                self.nodes.insert(here.to_owned(), Node::implied(layer));
            }
        }
    }

    /// Removes a path that a layer marks as removed. What the layer itself has stays.
    pub(super) fn remove(&mut self, path: &str, layer: usize) {
        let Some((parent, name)) = path.rsplit_once('/') else { return };
        let whole = format!("{}/{name}", self.real(parent).unwrap_or_else(|| parent.to_owned()));
        self.remove_below(&whole, layer);
        if self.below(&whole).next().is_none() && self.nodes.get(&whole).is_some_and(|node| node.layer < layer) {
            self.take(&whole);
        }
    }

    /// Removes what is below a directory and from a layer before `layer`.
    pub(super) fn remove_below(&mut self, directory: &str, layer: usize) {
        let directory = self.real(directory).unwrap_or_else(|| directory.to_owned());
        let old = self.below(&directory).filter(|(_, node)| node.layer < layer);
        let old: Vec<String> = old.map(|(path, _)| path.to_owned()).collect();
        // The deepest come first, so that a directory stays while something is in it.
        for path in old.iter().rev() {
            if self.below(path).next().is_none() {
                self.take(path);
            }
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
}
