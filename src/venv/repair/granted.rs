//! The libraries that auditwheel's policies take for granted on every desktop, and that a bare root file system lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use crate::domain::target::Target;
use crate::error::Result;
use crate::sys::directory::file_in_root;
use crate::sys::elf::{Linkage, linkage};
use crate::sys::fs;

/// Those that can be copied. The C library cannot, and the libraries of graphics belong to the machine.
const GRANTED: [&str; 5] = ["libstdc++.so.6", "libgcc_s.so.1", "libatomic.so.1", "libz.so.1", "libexpat.so.1"];

/// What the ELF files of an unpacked wheel need.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// The granted libraries, each with its symbol versions.
    granted: BTreeMap<&'static str, BTreeSet<String>>,
    /// Whether there is any ELF file.
    pub(super) has_elf: bool,
}

/// Returns what the ELF files of a tree need, also by way of the libraries of this system that they need.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io).
pub(super) fn needs(tree: &Path, target: Target) -> Result<Needs> {
    let mut needs = Needs::default();
    let (mut waiting, mut seen) = (Vec::new(), BTreeSet::new());
    for entry in fs::walk(tree)?.into_iter().filter(fs::Entry::is_file) {
        let mut file = fs_err::File::open(tree.join(&entry.path))?.into_parts().0;
        let mut magic = [0; 4];
        // What is too short or cannot be parsed is no file that a loader reads.
        if file.read_exact(&mut magic).is_ok()
            && &magic == b"\x7fELF"
            && let Ok(found) = linkage(&file)
        {
            seen.extend(entry.path.file_name().map(|name| name.to_string_lossy().into_owned()));
            waiting.push(found);
        }
    }
    needs.has_elf = !waiting.is_empty();
    while let Some(file) = waiting.pop() {
        for library in &file.needed {
            if let Some(granted) = of(library) {
                needs.granted.entry(granted).or_default();
            }
            if seen.insert(library.clone()) {
                waiting.extend(find(Path::new("/"), library, target)?);
            }
        }
        for (library, versions) in &file.needed_versions {
            if let Some(granted) = of(library) {
                needs.granted.entry(granted).or_default().extend(versions.iter().cloned());
            }
        }
    }
    Ok(needs)
}

impl Needs {
    /// Returns the libraries that a root file system does not have, or not with each symbol version.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub(super) fn lacking(&self, root: &Path, target: Target) -> Result<BTreeSet<&'static str>> {
        let mut lacking = BTreeSet::new();
        for (library, versions) in &self.granted {
            let there = find(root, library, target)?;
            if !there.is_some_and(|found| versions.iter().all(|version| found.defined_versions.contains(version))) {
                lacking.insert(*library);
            }
        }
        Ok(lacking)
    }
}

fn of(library: &str) -> Option<&'static str> {
    GRANTED.into_iter().find(|granted| *granted == library)
}

/// A library in the directories that the loader of a root searches without being told.
fn find(root: &Path, library: &str, target: Target) -> Result<Option<Linkage>> {
    if library.contains('/') {
        return Ok(None);
    }
    for directory in target.library_directories() {
        let file = file_in_root(root, &directory.join(library))?;
        // The loader skips what is no library for its processor.
        let found = file.and_then(|file| linkage(&file).ok());
        if let Some(found) = found.filter(|found| found.machine == target.elf_machine()) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Compiles a C file of one function.
    fn compiled(directory: &Path, name: &str, options: &[&str]) {
        let source = directory.join("x.c");
        fs_err::write(&source, "int x(void) { return 0; }\n").unwrap();
        let mut gcc = Command::new("gcc");
        gcc.args(["-shared", "-fPIC", "-Wl,--no-as-needed", "-o"]).arg(directory.join(name)).arg(&source);
        assert!(gcc.args(options).status().unwrap().success());
        fs_err::remove_file(source).unwrap();
    }

    #[test]
    fn what_a_root_lacks_is_told_by_name_and_by_version() {
        let place = tempfile::tempdir().unwrap();
        let (tree, root) = (place.path().join("tree"), place.path().join("root"));
        fs_err::create_dir_all(&tree).unwrap();
        fs_err::write(tree.join("pure.py"), "x = 1\n").unwrap();
        let target = Target::OF_THIS_PROGRAM;
        let pure = needs(&tree, target).unwrap();
        assert!(!pure.has_elf && pure.lacking(&root, target).unwrap().is_empty());

        compiled(&tree, "x.so", &["-lgcc_s"]);
        let of_tree = needs(&tree, target).unwrap();
        assert!(of_tree.has_elf);
        // A root without the library, and one where it is too old.
        assert_eq!(of_tree.lacking(&root, target).unwrap(), ["libgcc_s.so.1"].into());
        let directory = root.join("usr/lib");
        fs_err::create_dir_all(&directory).unwrap();
        compiled(&directory, "libgcc_s.so.1", &["-Wl,-soname,libgcc_s.so.1"]);
        let mut newer = needs(&tree, target).unwrap();
        newer.granted.insert("libgcc_s.so.1", ["GCC_99".to_owned()].into());
        assert_eq!(newer.lacking(&root, target).unwrap(), ["libgcc_s.so.1"].into());
        newer.granted.insert("libgcc_s.so.1", BTreeSet::new());
        assert!(newer.lacking(&root, target).unwrap().is_empty());
    }
}
