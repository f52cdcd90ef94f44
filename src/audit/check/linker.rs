//! Which libraries the dynamic loader loads inside an image: the search of `ld.so` (`man ld.so`), without running it.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::image::{ImageConfig, Tree};
use super::python::Environment;
use crate::sys::elf::Linkage;

/// The most objects of a process. The largest programs load some 300.
const MOST_OBJECTS: usize = 2000;
/// The most results of searches that are remembered.
const MOST_SEEN: usize = 50_000;

/// The search for libraries in an image.
pub struct Linker<'a> {
    tree: &'a Tree,
    /// The libraries of `ld.so.cache`.
    cache: HashMap<&'a str, Vec<&'a str>>,
    /// `LD_LIBRARY_PATH` of the image.
    library_path: Vec<String>,
    /// What was already looked for in a directory.
    seen: RefCell<HashMap<(String, bool, u16), Option<String>>>,
}

/// An ELF file that a process has loaded.
#[derive(Debug, Clone)]
pub struct Object<'a> {
    /// Its real path.
    pub path: String,
    /// What the loader reads of it.
    pub linkage: &'a Linkage,
    /// The names by which it is found again.
    names: Vec<String>,
    /// The place of the object that needed it.
    loader: Option<usize>,
}

/// A library that a process needs and that is not found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// The real path of the object that needs it.
    pub by: String,
    /// Its soname.
    pub library: String,
}

/// The objects that a process has loaded.
#[derive(Debug, Default)]
pub struct Process<'a> {
    /// All objects, in the order in which they are loaded.
    pub objects: Vec<Object<'a>>,
    /// What is not found.
    pub missing: Vec<Missing>,
}

impl<'a> Linker<'a> {
    /// Reads what the loader of an image reads.
    #[must_use]
    pub fn new(tree: &'a Tree, config: Option<&ImageConfig>) -> Self {
        let cache = tree.find_file("/etc/ld.so.cache").and_then(|(_, file)| file.content.text()).unwrap_or_default();
        let library_path = config.and_then(|config| config.environment.get("LD_LIBRARY_PATH"));
        let library_path = library_path.into_iter().flat_map(|path| path.split([':', ';'])).map(str::to_owned);
        Self { tree, cache: parsed_cache(cache), library_path: library_path.collect(), seen: RefCell::default() }
    }

    /// What the loader reads of an ELF file.
    #[must_use]
    pub fn linkage(&self, path: &str) -> Option<(String, &'a Linkage)> {
        let (real, file) = self.tree.find_file(path)?;
        Some((real, file.content.linkage()?))
    }

    /// Loads a program with everything that it needs.
    #[must_use]
    pub fn program(&self, path: &str) -> Process<'a> {
        let mut process = Process::default();
        self.load(&mut process, path);
        process
    }

    /// Loads a library into a process, as `dlopen` does, with everything that it needs.
    pub fn load(&self, process: &mut Process<'a>, path: &str) {
        let Some((path, linkage)) = self.linkage(path) else { return };
        if process.objects.iter().any(|object| object.path == path) {
            return;
        }
        let first = process.objects.len();
        process.objects.push(Object { names: names(&path, linkage, None), path, linkage, loader: None });
        // The loader itself is in every process.
        if let Some((path, linkage)) = linkage.interpreter.as_ref().and_then(|path| self.linkage(path)) {
            let names = names(&path, linkage, None);
            process.objects.push(Object { names, path, linkage, loader: None });
        }
        let mut next = first;
        // No process is larger, so what would be loaded after these is not looked for.
        while next < process.objects.len().min(MOST_OBJECTS) {
            let Object { linkage, path, .. } = process.objects[next].clone();
            for library in &linkage.needed {
                if process.objects.iter().any(|object| object.names.contains(library)) {
                    continue;
                }
                match self.search(process, next, library).and_then(|found| self.linkage(&found)) {
                    Some((found, of_found)) => {
                        if let Some(known) = process.objects.iter_mut().find(|object| object.path == found) {
                            known.names.push(library.clone());
                        } else {
                            let names = names(&found, of_found, Some(library));
                            let object = Object { names, path: found, linkage: of_found, loader: Some(next) };
                            process.objects.push(object);
                        }
                    }
                    None => process.missing.push(Missing { by: path.clone(), library: library.clone() }),
                }
            }
            next += 1;
        }
    }

    /// Finds a library that an object of a process needs.
    fn search(&self, process: &Process<'a>, by: usize, library: &str) -> Option<String> {
        let object = &process.objects[by];
        let like = object.linkage;
        if library.contains('/') {
            return self.fits(&expanded(library, &object.path, like), like);
        }
        let in_directories = |directories: &[String], origin: &str| {
            let mut found = directories.iter().map(|directory| expanded(directory, origin, like));
            found.find_map(|directory| self.in_directory(&directory, library, like))
        };
        // DT_RPATH of the object, of those that it was loaded for, and of the program.
        if like.runpath.is_empty() {
            let mut chain = Some(by);
            let mut visited = HashSet::new();
            while let Some(here) = chain.filter(|here| visited.insert(*here)) {
                let object = &process.objects[here];
                if object.linkage.runpath.is_empty()
                    && let Some(found) = in_directories(&object.linkage.rpath, &object.path)
                {
                    return Some(found);
                }
                chain = object.loader.or_else(|| (here != 0).then_some(0));
            }
        }
        in_directories(&self.library_path, &object.path)
            .or_else(|| in_directories(&like.runpath, &object.path))
            .or_else(|| self.cache.get(library)?.iter().find_map(|path| self.fits(path, like)))
            .or_else(|| {
                let directories = if like.no_default_directories { Vec::new() } else { default_directories(like) };
                directories.iter().find_map(|directory| self.in_directory(directory, library, like))
            })
    }

    fn in_directory(&self, directory: &str, library: &str, like: &Linkage) -> Option<String> {
        // The kernel opens no longer path, as `$ORIGIN` many times over gives.
        if directory.len() + library.len() >= LONGEST_PATH {
            return None;
        }
        let key = (format!("{directory}/{library}"), like.is_64, like.machine);
        if let Some(found) = self.seen.borrow().get(&key) {
            return found.clone();
        }
        let found = self.fits(&key.0, like);
        let mut seen = self.seen.borrow_mut();
        if seen.len() >= MOST_SEEN {
            seen.clear();
        }
        seen.insert(key, found.clone());
        found
    }

    /// The real path of a library, if it is for the same processor.
    fn fits(&self, path: &str, like: &Linkage) -> Option<String> {
        let (real, found) = self.linkage(path)?;
        ((found.machine, found.is_64) == (like.machine, like.is_64)).then_some(real)
    }

    /// Loads every extension module of an environment, each into a process of the interpreter, and calls `take` with
    /// the module's path and that process.
    pub fn each_extension(&self, environment: &Environment, mut take: impl FnMut(&str, &Process<'a>)) {
        let interpreter = environment.program.as_ref().map(|program| self.program(program)).unwrap_or_default();
        let machine = interpreter.objects.first().map(|object| object.linkage.machine);
        for module in extension_modules(self.tree, environment) {
            let of_other = machine
                .is_some_and(|machine| self.linkage(&module).is_some_and(|(_, linkage)| linkage.machine != machine));
            if of_other {
                continue;
            }
            let objects = interpreter.objects.clone();
            let mut process = Process { objects, missing: Vec::new() };
            self.load(&mut process, &module);
            take(&module, &process);
        }
    }
}

impl Process<'_> {
    /// The symbol versions that objects need and that the libraries they need them of do not define: the object, the
    /// library and the version. A library without any versions is taken as it is, as the loader does.
    pub fn missing_versions(&self) -> impl Iterator<Item = (&Object<'_>, &Object<'_>, &str)> {
        self.objects.iter().flat_map(move |object| {
            let of_library = object.linkage.needed_versions.iter().filter_map(move |(library, versions)| {
                let provider = self.objects.iter().find(|provider| provider.names.contains(library))?;
                (!provider.linkage.defined_versions.is_empty()).then_some((provider, versions))
            });
            of_library.flat_map(move |(provider, versions)| {
                let missing = versions.iter().filter(|version| !provider.linkage.defined_versions.contains(version));
                missing.map(move |version| (object, provider, version.as_str()))
            })
        })
    }
}

fn names(path: &str, linkage: &Linkage, wanted: Option<&String>) -> Vec<String> {
    let file = path.rsplit('/').next().unwrap_or(path).to_owned();
    // musl's loader is the C library too, whatever the name by which it is needed.
    let musl = file.starts_with("ld-musl").then(|| file.replacen("ld-", "libc.", 1));
    [Some(file), linkage.soname.clone(), wanted.cloned(), musl].into_iter().flatten().collect()
}

/// Replaces `$ORIGIN`, `$LIB` and `$PLATFORM` as the loader does.
fn expanded(path: &str, object: &str, linkage: &Linkage) -> String {
    let origin = object.rsplit_once('/').map_or("", |(directory, _)| directory);
    let lib = if linkage.is_64 { "lib64" } else { "lib" };
    let mut path = path.to_owned();
    for (name, value) in [("ORIGIN", origin), ("LIB", lib), ("PLATFORM", "")] {
        path = path.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value);
    }
    path
}

/// The directories that the loader searches without being told, of Debian, Fedora and Alpine.
fn default_directories(linkage: &Linkage) -> Vec<String> {
    let triplet = match (linkage.machine, linkage.is_64) {
        (62, true) => "x86_64-linux-gnu",
        (62, false) => "x86_64-linux-gnux32",
        (183, _) => "aarch64-linux-gnu",
        (3, _) => "i386-linux-gnu",
        (40, _) => "arm-linux-gnueabihf",
        (243, _) => "riscv64-linux-gnu",
        (21, _) => "powerpc64le-linux-gnu",
        (22, _) => "s390x-linux-gnu",
        _ => "",
    };
    let mut directories = Vec::new();
    if !triplet.is_empty() {
        directories.extend(["/lib", "/usr/lib"].map(|top| format!("{top}/{triplet}")));
    }
    if linkage.is_64 {
        directories.extend(["/lib64", "/usr/lib64"].map(str::to_owned));
    }
    directories.extend(["/lib", "/usr/lib", "/usr/local/lib"].map(str::to_owned));
    // Only Alpine's loader searches /usr/local/lib; that of glibc finds it in its cache.
    if linkage.interpreter.as_ref().is_none_or(|loader| !loader.contains("ld-musl")) {
        directories.pop();
    }
    directories
}

/// The longest path in bytes, and the most paths of one name in `ld.so.cache`: one for each kind of processor.
const LONGEST_PATH: usize = 4096;
const MOST_PATHS: usize = 64;

/// Parses `ld.so.cache` in the format of glibc 2.2 and later (`sysdeps/generic/dl-cache.h`). Many entries can name one
/// text, so none is copied.
fn parsed_cache(bytes: &[u8]) -> HashMap<&str, Vec<&str>> {
    const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
    let mut libraries: HashMap<&str, Vec<&str>> = HashMap::new();
    // An older format may come before it.
    let Some(bytes) = memchr::memmem::find(bytes, MAGIC).map(|start| &bytes[start..]) else { return libraries };
    let number = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let text = |at: u32| {
        let rest = bytes.get(usize::try_from(at).ok()?..)?;
        let end = memchr::memchr(0, &rest[..rest.len().min(LONGEST_PATH)])?;
        std::str::from_utf8(&rest[..end]).ok()
    };
    let count = number(20).and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
    for index in 0..count.min(bytes.len() / 24) {
        let entry = 48 + index * 24;
        if let (Some(name), Some(path)) = (number(entry + 4).and_then(text), number(entry + 8).and_then(text)) {
            let paths = libraries.entry(name).or_default();
            if paths.len() < MOST_PATHS {
                paths.push(path);
            }
        }
    }
    libraries
}

/// The extension modules on the `sys.path` of an environment, by their paths.
#[must_use]
pub fn extension_modules(tree: &Tree, environment: &Environment) -> Vec<String> {
    let mut modules = BTreeSet::new();
    for directory in &environment.paths {
        for (path, node) in tree.below(directory) {
            let is_elf = node.file().is_some_and(|file| file.content.linkage().is_some());
            if is_elf && is_module(&path[directory.len() + 1..]) {
                modules.insert(path.to_owned());
            }
        }
    }
    modules.into_iter().collect()
}

/// Whether Python can import a file: `a/b/_c.cpython-313-x86_64-linux-gnu.so`, `_d.abi3.so`, but not `libx.so`.
fn is_module(path: &str) -> bool {
    let is_identifier = |name: &str| {
        let starts = name.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_');
        starts && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
    };
    let (directories, file) = path.rsplit_once('/').unwrap_or(("", path));
    let Some(stem) = file.strip_suffix(".so") else { return false };
    let (name, tag) = stem.split_once('.').map_or((stem, None), |(name, tag)| (name, Some(tag)));
    let tagged = tag.is_some_and(|tag| tag.starts_with("cpython-") || tag == "abi3");
    is_identifier(name)
        && (tagged || (tag.is_none() && !name.starts_with("lib")))
        && directories.split('/').filter(|name| !name.is_empty()).all(is_identifier)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Fixture, library, program};
    use super::super::image::Image;
    use super::*;

    fn missing(image: &Image, path: &str) -> Vec<String> {
        let linker = Linker::new(&image.tree, image.config.as_ref());
        linker.program(path).missing.into_iter().map(|missing| missing.library).collect()
    }

    #[test]
    fn rpath_is_inherited_and_runpath_is_not() {
        let mut with_rpath = program(&["liba.so"]);
        with_rpath.rpath = vec!["$ORIGIN/../own".to_owned()];
        let mut with_runpath = program(&["liba.so"]);
        with_runpath.runpath = vec!["${ORIGIN}/../own".to_owned()];
        let image = Fixture::default()
            .elf("/own/liba.so", library("liba.so", &["libb.so"]))
            .elf("/own/libb.so", library("libb.so", &[]))
            .elf("/bin/rpath", with_rpath)
            .elf("/bin/runpath", with_runpath)
            .image();
        assert_eq!(missing(&image, "/bin/rpath"), Vec::<String>::new());
        assert_eq!(missing(&image, "/bin/runpath"), ["libb.so"]);
    }

    #[test]
    fn libraries_are_found_in_default_directories_by_the_path_and_in_the_cache() {
        let mut other = library("libother.so", &[]);
        other.machine = 183;
        let mut cache = b"glibc-ld.so.cache1.1".to_vec();
        let entry = [2_u32, 0, 0, 0, 0, 0, 0].map(u32::to_le_bytes).concat();
        cache.extend(entry);
        for (name, path) in [(96_u32, 103_u32), (96, 200)] {
            cache.extend([1, name, path, 0, 0, 0].map(u32::to_le_bytes).concat());
        }
        cache.extend(b"libc.x\0/opt/c/libc.x\0");
        let image = Fixture::default()
            .elf("/usr/lib/x86_64-linux-gnu/liba.so", library("liba.so", &[]))
            .elf("/srv/libb.so", library("libb.so", &[]))
            .elf("/opt/c/libc.x", library("libc.x", &[]))
            .elf("/usr/lib/libother.so", other)
            .elf("/bin/a", program(&["liba.so", "libb.so", "libc.x", "libother.so", "/srv/libb.so", "/srv/none"]))
            .bytes("/etc/ld.so.cache", &cache)
            .variable("LD_LIBRARY_PATH", "/srv")
            .image();
        assert_eq!(missing(&image, "/bin/a"), ["libother.so", "/srv/none"]);
    }

    #[test]
    fn a_process_does_not_grow_without_end() {
        let mut fixture = Fixture::default().elf("/bin/a", program(&["lib0.so"]));
        for number in 0..MOST_OBJECTS + 100 {
            let (name, next) = (format!("lib{number}.so"), format!("lib{}.so", number + 1));
            fixture = fixture.elf(&format!("/usr/lib/{name}"), library(&name, &[&next]));
        }
        let image = fixture.image();
        let process = Linker::new(&image.tree, None).program("/bin/a");
        assert!(process.objects.len() <= MOST_OBJECTS + 1 && process.missing.is_empty(), "{}", process.objects.len());
    }

    #[test]
    fn a_directory_that_repeats_its_origin_is_not_searched() {
        let mut tool = program(&["liba.so"]);
        tool.rpath = vec!["$ORIGIN".repeat(500)];
        let directory = "/abcdefghij".repeat(500);
        let image = Fixture::default()
            .elf("/abcdefghij/tool", tool)
            .elf(&format!("{directory}/liba.so"), library("liba.so", &[]))
            .image();
        let linker = Linker::new(&image.tree, None);
        assert_eq!(linker.program("/abcdefghij/tool").missing.len(), 1);
        assert!(linker.seen.borrow().keys().all(|(path, ..)| path.len() < LONGEST_PATH));
    }

    #[test]
    fn a_cache_whose_entries_share_a_long_text_stays_small() {
        const COUNT: u32 = 10_000;
        let mut cache = b"glibc-ld.so.cache1.1".to_vec();
        cache.extend([COUNT, 0, 0, 0, 0, 0, 0].map(u32::to_le_bytes).concat());
        let texts = 48 + 24 * COUNT;
        for _ in 0..COUNT {
            cache.extend([1, texts, texts + 7, 0, 0, 0].map(u32::to_le_bytes).concat());
        }
        cache.extend(b"libc.x\0/opt/c/libc.x\0");
        assert_eq!(parsed_cache(&cache)["libc.x"], vec!["/opt/c/libc.x"; MOST_PATHS]);
        // A text that does not end is none.
        cache.truncate(cache.len() - 15);
        cache.resize(cache.len() + 100_000, b'x');
        assert!(parsed_cache(&cache).is_empty());
    }

    #[test]
    fn what_python_imports_is_told_from_plain_libraries() {
        for module in ["a.so", "p/_b.cpython-313-x86_64-linux-gnu.so", "p/_c.abi3.so", "lib_d.abi3.so"] {
            assert!(is_module(module), "{module}");
        }
        for other in ["liba.so", "numpy.libs/libb-1a2b.so", "p/libc.so.1", "p-1.dist-info/a.so", "p/a.tar.so"] {
            assert!(!is_module(other), "{other}");
        }
    }
}
