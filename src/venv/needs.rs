//! The libraries that an environment's extension modules need, and which of them a runtime's root file system lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::domain::artifact::GlibcVersion;
use crate::domain::target::Target;
use crate::error::Result;
use crate::sys::directory::file_in_root;
use crate::sys::fs::Entry;
use crate::sys::{distro, elf};

/// A library that a root does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Its soname.
    pub soname: String,
    /// The first file that needs it, relative to the environment.
    pub needed_by: PathBuf,
    /// The package that has it on this system, if one has.
    pub package: Option<String>,
}

/// What a root lacks for an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Lacking {
    /// The libraries, by soname.
    pub libraries: Vec<Missing>,
    /// The glibc version that the environment needs, if the root's is older.
    pub glibc: Option<GlibcVersion>,
    /// The command that installs the packages in the root.
    pub install: Option<String>,
}

/// The directories in which the loader of a root looks for libraries.
struct Loader<'a> {
    root: &'a Path,
    directories: Vec<PathBuf>,
}

impl<'a> Loader<'a> {
    fn new(root: &'a Path, target: Target) -> Self {
        let mut directories: Vec<PathBuf> =
            [format!("/lib/{target}"), format!("/usr/lib/{target}"), "/lib64".into(), "/usr/lib64".into()]
                .into_iter()
                .chain(["/lib".into(), "/usr/lib".into(), "/usr/local/lib".into()])
                .map(PathBuf::from)
                .collect();
        directories.push(format!("/usr/local/lib/{target}").into());
        Self { root, directories }
    }

    fn find(&self, soname: &str) -> Option<PathBuf> {
        let mut paths = self.directories.iter().map(|directory| directory.join(soname));
        paths.find(|path| file_in_root(self.root, path).is_ok_and(|file| file.is_some()))
    }
}

/// Returns what a root lacks for the extension modules and libraries of an environment. A library that another file of
/// the environment is, where its loader finds it, is not needed of the root.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if a file or a package database cannot be read.
pub(super) fn lacking(tree: &Path, entries: &[Entry], root: &Path, target: Target) -> Result<Lacking> {
    let mut needed: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut glibc: Option<GlibcVersion> = None;
    // Wheels that were repaired name each library anew; whoever needs it finds it, or it is loaded before.
    let own: BTreeSet<String> = entries
        .iter()
        .filter_map(|entry| Some(entry.path.file_name()?.to_str()?.to_owned()))
        .filter(|name| name.contains(".so"))
        .collect();
    for entry in entries.iter().filter(|entry| entry.is_file()) {
        let path = tree.join(&entry.path);
        if !elf::is_elf(&path)? {
            continue;
        }
        // A package may carry test data that only looks like one.
        let Ok(file) = elf::read(&path) else { continue };
        glibc = glibc.max(file.glibc_floor);
        for soname in file.needed.into_iter().filter(|soname| !own.contains(soname)) {
            needed.entry(soname).or_insert_with(|| entry.path.clone());
        }
    }
    let (there, here) = (Loader::new(root, target), Loader::new(Path::new("/"), target));
    needed.retain(|soname, _| there.find(soname).is_none());
    let files: BTreeMap<&String, PathBuf> =
        needed.keys().filter_map(|soname| Some((soname, here.find(soname)?))).collect();
    // A package lists a file under the name that it has since /usr was merged, or under the older one.
    let names: Vec<PathBuf> =
        files.values().flat_map(|path| [path.clone(), distro::unmerged(path), merged(path)]).collect();
    let owners = distro::owners_in(Path::new("/"), &names)?;
    let owner = |soname: &String| {
        let path = files.get(soname)?;
        let owned = [path.clone(), distro::unmerged(path), merged(path)];
        owned.iter().find_map(|path| owners.get(path)).map(|owner| owner.package.clone())
    };
    let libraries: Vec<Missing> = needed
        .iter()
        .map(|(soname, needed_by)| Missing {
            soname: soname.clone(),
            needed_by: needed_by.clone(),
            package: owner(soname),
        })
        .collect();
    let packages: BTreeSet<&str> = libraries.iter().filter_map(|missing| missing.package.as_deref()).collect();
    let packages: Vec<&str> = packages.into_iter().collect();
    let install = if packages.is_empty() { None } else { distro::Distro::read(root).install_line(&packages) };
    let provided = crate::prefix::install::glibc_of(root, target);
    Ok(Lacking { libraries, glibc: glibc.filter(|needed| provided.is_some_and(|found| found < *needed)), install })
}

/// The name that a file below `/usr/lib` had before `/usr` was merged.
fn merged(path: &Path) -> PathBuf {
    path.strip_prefix("/usr").map_or_else(|_| path.to_owned(), |below| Path::new("/").join(below))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs;

    #[test]
    fn a_library_that_the_root_lacks_is_named_with_its_package() {
        let place = tempfile::tempdir().unwrap();
        let (tree, root) = (place.path().join("tree"), place.path().join("root"));
        fs_err::create_dir_all(tree.join("lib")).unwrap();
        fs_err::create_dir_all(root.join("usr/lib")).unwrap();
        // A program of this system needs the libraries of this system.
        fs_err::copy("/bin/ls", tree.join("lib/module.so")).unwrap();
        let target = Target::OF_THIS_PROGRAM;
        let entries = fs::walk(&tree).unwrap();
        let found = lacking(&tree, &entries, &root, target).unwrap();
        let libc = found.libraries.iter().find(|missing| missing.soname == "libc.so.6").unwrap();
        assert_eq!((libc.needed_by.as_path(), found.glibc), (Path::new("lib/module.so"), None));
        assert_eq!(lacking(&tree, &entries, Path::new("/"), target).unwrap(), Lacking::default());
        // What the root has is not missing, and neither is what the environment has itself.
        for missing in &found.libraries {
            fs_err::write(root.join("usr/lib").join(&missing.soname), "").unwrap();
        }
        assert!(lacking(&tree, &entries, &root, target).unwrap().libraries.is_empty());
    }
}
