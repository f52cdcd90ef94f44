//! Applies the layers of an image, tarballs, to a tree. A layer is untrusted: what it may use is limited, and no path
//! leads out of the image.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use tar::EntryType;

use super::content;
use super::tree::{Kind, Node, Tree};
use crate::error::{Error, Result};
use crate::sys::interrupt;

/// The limits on what all layers of an image may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The unpacked size in bytes. One with CUDA and torch has 10 GB.
    pub bytes: u64,
    /// The number of entries. Such an image has 100,000.
    pub entries: usize,
}

impl Limits {
    /// What every image is read with.
    pub const USUAL: Self = Self { bytes: 64 << 30, entries: 1_500_000 };
}

/// The longest path in bytes (`PATH_MAX`), and the most names in it.
const LONGEST_PATH: usize = 4096;
const DEEPEST_PATH: usize = 256;
/// The most bytes of headers between two files, such as long names and extended attributes.
const HEADERS: u64 = 4 << 20;
/// The most bytes of names and texts that are kept in memory. An image of Debian has 5 MB.
const KEPT: u64 = 256 << 20;
/// What a name begins with if a layer removes a file of a layer below (the OCI image specification, "Whiteouts").
const WHITEOUT: &str = ".wh.";
/// The name that removes everything in a directory.
const OPAQUE: &str = ".wh..wh..opq";

/// Why a layer beyond the limit of bytes is refused.
const TOO_LARGE: &str = "it unpacks to more than an image may hold";

/// What is left of the limits.
pub(super) struct Budget {
    bytes: Cell<u64>,
    headers: Cell<u64>,
    kept: Cell<u64>,
    entries: Cell<usize>,
    exceeded: Cell<Option<&'static str>>,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Rc<Self> {
        Rc::new(Self {
            bytes: Cell::new(limits.bytes),
            headers: Cell::new(HEADERS),
            kept: Cell::new(KEPT),
            entries: Cell::new(limits.entries),
            exceeded: Cell::new(None),
        })
    }

    fn spend(&self, left: &Cell<u64>, bytes: u64, reason: &'static str) -> io::Result<()> {
        let Some(rest) = left.get().checked_sub(bytes) else {
            self.exceeded.set(Some(reason));
            return Err(io::Error::other(reason));
        };
        left.set(rest);
        Ok(())
    }
}

/// A reader that fails when the budget is spent.
struct Metered<R> {
    reader: R,
    budget: Rc<Budget>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let Budget { bytes, headers, .. } = &*self.budget;
        self.budget.spend(bytes, read as u64, TOO_LARGE)?;
        self.budget.spend(headers, read as u64, "it has a name or a header that does not end")?;
        Ok(read)
    }
}

/// A layer that is being applied.
struct Layer<'a> {
    /// Its name, for errors.
    name: &'a str,
    /// Its place among the layers, from 0.
    index: usize,
    budget: Rc<Budget>,
}

/// Applies a layer, a tarball that is not compressed.
///
/// # Errors
/// [`Error::HostileArchive`] for what leads out of the image or exceeds a limit, [`Error::Damaged`], [`Error::Io`],
/// [`Error::Interrupted`].
pub(super) fn apply(tree: &mut Tree, name: &str, index: usize, reader: impl Read, budget: &Rc<Budget>) -> Result<()> {
    let layer = Layer { name, index, budget: Rc::clone(budget) };
    let mut archive = tar::Archive::new(Metered { reader, budget: Rc::clone(budget) });
    let mut buffer = Vec::new();
    let mut entries = archive.entries().map_err(|error| layer.failed(&error))?;
    loop {
        interrupt::check()?;
        budget.headers.set(HEADERS);
        let Some(entry) = entries.next() else { return Ok(()) };
        let mut entry = entry.map_err(|error| layer.failed(&error))?;
        let Some(left) = budget.entries.get().checked_sub(1) else {
            return Err(layer.hostile("it has more files than an image may hold"));
        };
        budget.entries.set(left);
        // The content is limited by its own size.
        budget.headers.set(u64::MAX);
        layer.entry(tree, &mut entry, &mut buffer)?;
        io::copy(&mut entry, &mut io::sink()).map_err(|error| layer.failed(&error))?;
    }
}

impl Layer<'_> {
    fn entry<R: Read>(&self, tree: &mut Tree, entry: &mut tar::Entry<'_, R>, buffer: &mut Vec<u8>) -> Result<()> {
        let path = self.path(&entry.path_bytes())?;
        let (parent, name) = path.rsplit_once('/').unwrap_or_default();
        if name == OPAQUE {
            tree.remove_below(parent, self.index);
            return Ok(());
        }
        if let Some(removed) = name.strip_prefix(WHITEOUT) {
            if removed.is_empty() || removed == "." || removed == ".." {
                return Err(self.hostile(format!("it removes {parent}/{removed}")));
            }
            tree.remove(&format!("{parent}/{removed}"), self.index);
            return Ok(());
        }
        let target = || {
            let name = entry.link_name_bytes().unwrap_or_default();
            String::from_utf8_lossy(&name).into_owned()
        };
        let header = entry.header().clone();
        let damaged = |error: io::Error| self.failed(&error);
        let mode = header.mode().map_err(damaged)? & 0o7777;
        let kind = match header.entry_type() {
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Link(target()),
            EntryType::Link => {
                let target = self.path(target().as_bytes())?;
                match tree.get(&target).or_else(|| Some(tree.find(&target)?.1)).map(|node| node.kind.clone()) {
                    Some(kind @ (Kind::File(_) | Kind::Link(_) | Kind::Other)) => kind,
                    _ => return Err(self.hostile(format!("the hard link {path} leads to {target}, which is no file"))),
                }
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let size = entry.size();
                // Holes of a sparse file are not in the archive, and are read all the same.
                let holes = if header.entry_type() == EntryType::GNUSparse { size } else { 0 };
                self.budget.spend(&self.budget.bytes, holes, TOO_LARGE).map_err(damaged)?;
                if size > self.budget.bytes.get() {
                    return Err(self.hostile(TOO_LARGE));
                }
                Kind::File(Rc::new(content::of_stream(&path, mode, entry, size, buffer).map_err(damaged)?))
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => Kind::Other,
            // Headers of pax and GNU belong to the next entry.
            _ => return Ok(()),
        };
        let kept = path.len() as u64 + kind.kept();
        self.budget
            .spend(&self.budget.kept, kept, "it has more names and texts than an image may hold")
            .map_err(damaged)?;
        let uid = u32::try_from(header.uid().map_err(damaged)?).unwrap_or(u32::MAX);
        let gid = u32::try_from(header.gid().map_err(damaged)?).unwrap_or(u32::MAX);
        let mtime = i64::try_from(header.mtime().map_err(damaged)?).unwrap_or(i64::MAX);
        tree.place(&path, Node { kind, mode, uid, gid, mtime, layer: self.index });
        Ok(())
    }

    /// Returns an absolute path without `.` and double slashes. Invalid UTF-8 is replaced.
    fn path(&self, raw: &[u8]) -> Result<String> {
        let shown = || String::from_utf8_lossy(&raw[..raw.len().min(100)]).into_owned();
        if raw.len() > LONGEST_PATH || raw.split(|byte| *byte == b'/').count() > DEEPEST_PATH {
            return Err(self.hostile(format!("the path {}… is too long", shown())));
        }
        let text = String::from_utf8_lossy(raw);
        let mut path = String::with_capacity(text.len() + 1);
        for name in text.split('/').filter(|name| !name.is_empty() && *name != ".") {
            if name == ".." {
                return Err(self.hostile(format!("the path {} leads out of the image", shown())));
            }
            path.push('/');
            path.push_str(name);
        }
        Ok(path)
    }

    fn hostile(&self, reason: impl Into<String>) -> Error {
        Error::HostileArchive { archive: self.name.to_owned(), reason: reason.into() }
    }

    fn failed(&self, error: &io::Error) -> Error {
        if let Some(reason) = self.budget.exceeded.get() {
            return self.hostile(reason);
        }
        if error.raw_os_error().is_some() {
            return io::Error::new(error.kind(), format!("{}: {error}", self.name)).into();
        }
        Error::Damaged { what: self.name.to_owned(), reason: error.to_string() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

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

    fn applied(limits: Limits, layers: &[&[Written<'_>]]) -> Result<Tree> {
        let mut tree = Tree::default();
        let budget = Budget::new(limits);
        for (index, entries) in layers.iter().enumerate() {
            apply(&mut tree, "layer", index, &tarball(entries)[..], &budget)?;
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
            Limits::USUAL,
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
            Limits::USUAL,
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
            let error = applied(Limits::USUAL, &[&entries]).unwrap_err();
            assert!(matches!(error, Error::HostileArchive { .. }), "{error}");
        }
        // An absolute path and a link out of it stay inside.
        let tree = applied(Limits::USUAL, &[&[(Regular, "/a", "x"), (Symlink, "up", "../../..")]]).unwrap();
        assert_eq!((paths(&tree), tree.real("/up/a").as_deref()), (vec!["/a", "/up"], Some("/a")));
        assert!(applied(Limits::USUAL, &[&[(Regular, &deep[..79], "x")]]).is_ok());
    }

    #[test]
    fn a_layer_beyond_the_limits_is_refused() {
        let limits = Limits { bytes: 4096, entries: 3 };
        let many = [(Directory, "a/", ""), (Directory, "b/", ""), (Directory, "c/", ""), (Directory, "d/", "")];
        let text = "x".repeat(5000);
        for entries in [&many[..], &[(Regular, "a", text.as_str())]] {
            let error = applied(limits, &[entries]).unwrap_err();
            assert!(matches!(error, Error::HostileArchive { .. }), "{error}");
        }
        let budget = Budget::new(Limits::USUAL);
        budget.kept.set(8);
        let layer = tarball(&[(Symlink, "link", "a/target")]);
        let error = apply(&mut Tree::default(), "layer", 0, &layer[..], &budget).unwrap_err();
        assert!(error.to_string().contains("more names and texts"), "{error}");
        let mut bytes = tarball(&[(Regular, "a", "x")]);
        bytes[0] = b'b';
        let error = apply(&mut Tree::default(), "layer", 0, &bytes[..], &Budget::new(Limits::USUAL)).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
    }
}
