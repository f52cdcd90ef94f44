//! What an environment needs of the root file system that it will run in and does not find there, and the packages that
//! have it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::audit::check::{Placed, unmet};
use crate::domain::target::Target;
use crate::error::Result;
use crate::sys::directory::file_in_root;
use crate::sys::distro;

/// A library that a root does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Its soname.
    pub soname: String,
    /// The symbol version that the one there does not define; none if there is none.
    pub version: Option<String>,
    /// The first file that needs it.
    pub needed_by: String,
    /// The package that has it on this system, if one has.
    pub package: Option<String>,
}

/// What a root lacks for an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Lacking {
    /// The libraries and versions, by soname.
    pub libraries: Vec<Missing>,
    /// The command that installs the packages of libraries that are not there.
    pub install: Option<String>,
}

/// Returns what a root lacks for an environment, which will be there with its Python.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if a file or a package database cannot be read.
pub(super) fn lacking(at: &Path, prefix: &Path, root: &Path, target: Target) -> Result<Lacking> {
    let placed = [prefix, at].map(|directory| Placed { directory, at: directory });
    let mut firsts: BTreeMap<(String, Option<String>), String> = BTreeMap::new();
    for need in unmet(root, &placed, at)? {
        firsts.entry((need.library, need.version)).or_insert(need.by);
    }
    let owners = owners(firsts.keys().filter(|(_, version)| version.is_none()).map(|(soname, _)| soname), target)?;
    let packages: BTreeSet<&str> = owners.values().map(String::as_str).collect();
    let packages: Vec<&str> = packages.into_iter().collect();
    let install = if packages.is_empty() { None } else { distro::Distro::read(root).install_line(&packages) };
    let missing = |((soname, version), needed_by): ((String, Option<String>), String)| Missing {
        package: owners.get(&soname).cloned(),
        soname,
        version,
        needed_by,
    };
    Ok(Lacking { libraries: firsts.into_iter().map(missing).collect(), install })
}

/// The packages of this system that have some libraries, by soname.
fn owners<'a>(sonames: impl Iterator<Item = &'a String>, target: Target) -> Result<BTreeMap<String, String>> {
    let directories = target.library_directories();
    let mut found: BTreeMap<&String, PathBuf> = BTreeMap::new();
    for soname in sonames {
        let mut paths = directories.iter().map(|directory| directory.join(soname));
        let here = |path: &PathBuf| file_in_root(Path::new("/"), path).is_ok_and(|file| file.is_some());
        found.extend(paths.find(here).map(|path| (soname, path)));
    }
    let owners = distro::owners_in(Path::new("/"), &found.values().cloned().collect::<Vec<_>>())?;
    let package = |path: &PathBuf| owners.get(path).map(|owner| owner.package.clone());
    Ok(found.iter().filter_map(|(soname, path)| Some(((*soname).clone(), package(path)?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_of_this_system_has_its_package() {
        // A system without dpkg says nothing.
        if !Path::new("/var/lib/dpkg/status").exists() {
            return;
        }
        let sonames = ["libc.so.6".to_owned(), "libabsent.so.1".to_owned()];
        let owners = owners(sonames.iter(), Target::OF_THIS_PROGRAM).unwrap();
        assert_eq!(owners, [("libc.so.6".to_owned(), "libc6".to_owned())].into());
    }
}
