//! The data of the treemap: parts, directories and files with their sizes, as JSON.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::capital;
use crate::domain::contents::{Contents, File, Part, path_text};

/// A rectangle of the map: a file, a directory, or a part.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Node {
    /// The name.
    n: String,
    /// The size of a file in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<u64>,
    /// The content of a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    c: Option<Vec<Node>>,
    /// The part, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    p: Option<Part>,
    /// The directory that contains all files of a part.
    #[serde(skip_serializing_if = "Option::is_none")]
    d: Option<String>,
}

/// A directory while the tree is built.
#[derive(Default)]
struct Directory<'a> {
    files: BTreeMap<String, u64>,
    directories: BTreeMap<&'a [u8], Directory<'a>>,
}

/// Returns the tree as JSON that can be part of a page: without `<` it can neither end the script
/// element nor start a comment.
pub(super) fn data(contents: &Contents) -> String {
    let json = serde_json::to_string(&tree(contents)).expect("a node is strings, numbers and lists");
    json.replace('<', "\\u003c")
}

/// Returns the parts, and in each the directories below the one that contains all its files.
fn tree(contents: &Contents) -> Node {
    let mut by_part: BTreeMap<Part, Vec<&File>> = BTreeMap::new();
    for file in &contents.files {
        by_part.entry(file.part).or_default().push(file);
    }
    let parts = by_part.into_iter().map(|(part, files)| {
        let base = common_directory(&files);
        let mut directory = Directory::default();
        for file in files {
            directory.put(file.path.strip_prefix(base).unwrap_or(&file.path), file.size);
        }
        let node = directory.node(capital(part.title()));
        Node { p: Some(part), d: Some(path_text(base)), ..node }
    });
    let parts = sorted(parts.collect());
    Node { n: contents.manifest.plan.request.prefix.name().to_owned(), c: Some(parts), ..Node::default() }
}

/// Returns the deepest directory that contains all the files.
fn common_directory<'a>(files: &[&'a File]) -> &'a Path {
    let parent = |file: &&'a File| file.path.parent().unwrap_or(Path::new(""));
    let mut common = files.first().map_or(Path::new(""), parent);
    while !files.iter().all(|file| parent(file).starts_with(common)) {
        common = common.parent().unwrap_or(Path::new(""));
    }
    common
}

impl<'a> Directory<'a> {
    fn put(&mut self, path: &'a Path, size: u64) {
        use std::os::unix::ffi::OsStrExt as _;
        let Some(name) = path.file_name() else { return };
        let directory = path
            .parent()
            .into_iter()
            .flat_map(Path::iter)
            .fold(self, |directory, name| directory.directories.entry(name.as_bytes()).or_default());
        directory.files.insert(path_text(Path::new(name)), size);
    }

    fn node(self, name: String) -> Node {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;
        let files = self.files.into_iter().map(|(n, size)| Node { n, s: Some(size), ..Node::default() });
        let name_of = |bytes: &[u8]| path_text(Path::new(OsStr::from_bytes(bytes)));
        let directories = self.directories.into_iter().map(|(bytes, directory)| directory.node(name_of(bytes)));
        Node { n: name, c: Some(sorted(files.chain(directories).collect())), ..Node::default() }
    }
}

impl Node {
    fn bytes(&self) -> u64 {
        self.s.unwrap_or_default() + self.c.iter().flatten().map(Self::bytes).sum::<u64>()
    }
}

/// Sorts by size, the largest first, as the layout expects.
fn sorted(mut nodes: Vec<Node>) -> Vec<Node> {
    nodes.sort_by_cached_key(|node| (std::cmp::Reverse(node.bytes()), node.n.clone()));
    nodes
}
