//! Other copies of bundled libraries: those that the system an artifact runs on has under the same names. A process
//! loads only one file of a name, the first that it needs, and whatever needs the other copy gets that one.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::domain::digest::Digest;
use crate::domain::manifest::{BundledLibrary, Manifest};
use crate::error::Result;
use crate::sys::directory::file_in_root;
use crate::sys::distro;

/// A library of a system that has the name of a bundled one and other bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtherCopy {
    /// The name.
    pub soname: String,
    /// The version of the package that the bundled one is of.
    pub bundled_version: String,
    /// The path of the other one in its root.
    pub path: String,
    /// The package of the other one, if the root's package database says it.
    pub package: Option<String>,
    /// That package's version.
    pub version: Option<String>,
}

/// Returns the other copies that a root has of an artifact's bundled libraries, where the loader finds them.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if a library or the package database of the root cannot be read.
pub fn other_copies(manifest: &Manifest, root: &Path) -> Result<Vec<OtherCopy>> {
    let target = manifest.plan.request.target;
    let directories = target.library_directories();
    let mut found: Vec<(&BundledLibrary, PathBuf)> = Vec::new();
    for library in &manifest.libraries {
        let mut paths = directories.iter().map(|directory| directory.join(&library.soname));
        let opened = paths.find_map(|path| Some((file_in_root(root, &path).ok()??, path)));
        if let Some((file, path)) = opened
            && !is_same(file, library)?
        {
            found.push((library, path));
        }
    }
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let paths: Vec<PathBuf> = found.iter().map(|(_, path)| path.clone()).collect();
    let owners = distro::owners_in(root, &paths)?;
    let copy = |(library, path): (&BundledLibrary, PathBuf)| {
        let owner = owners.get(&path);
        OtherCopy {
            soname: library.soname.clone(),
            bundled_version: library.version.clone(),
            package: owner.map(|owner| owner.package.clone()),
            version: owner.map(|owner| owner.version.clone()),
            path: path.display().to_string(),
        }
    };
    Ok(found.into_iter().map(copy).collect())
}

fn is_same(file: File, library: &BundledLibrary) -> Result<bool> {
    Ok(file.metadata()?.len() == library.size && Digest::of_reader(file)? == library.sha256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixtures::{self, bundled};

    #[test]
    fn another_copy_is_found_with_its_package_and_the_same_one_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let libraries = ["libssl.so.3", "libz.so.1"].map(|soname| bundled(soname, b"bundled")).into();
        let manifest = Manifest { libraries, ..fixtures::manifest() };
        let root = directory.path().join("root");
        let target = manifest.plan.request.target;
        let libraries = root.join(format!("usr/lib/{target}"));
        assert_eq!(other_copies(&manifest, &root).unwrap(), []);
        fs_err::create_dir_all(&libraries).unwrap();
        fs_err::write(libraries.join("libz.so.1"), "bundled").unwrap();
        assert_eq!(other_copies(&manifest, &root).unwrap(), []);

        // An absolute link is one of the root.
        fs_err::write(libraries.join("libssl.so.3.5"), "another").unwrap();
        let link = format!("/usr/lib/{target}/libssl.so.3.5");
        fs_err::os::unix::fs::symlink(link, libraries.join("libssl.so.3")).unwrap();
        let path = format!("/usr/lib/{target}/libssl.so.3");
        let mut expected = OtherCopy {
            soname: "libssl.so.3".into(),
            bundled_version: "3.0.1".into(),
            path: path.clone(),
            package: None,
            version: None,
        };
        assert_eq!(other_copies(&manifest, &root).unwrap(), [expected.clone()]);

        let dpkg = root.join("var/lib/dpkg");
        fs_err::create_dir_all(dpkg.join("info")).unwrap();
        let record = "Package: libssl3t64\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.5.1-1\n";
        fs_err::write(dpkg.join("status"), record).unwrap();
        fs_err::write(dpkg.join("info/libssl3t64:amd64.list"), format!("{path}\n")).unwrap();
        expected.package = Some("libssl3t64".into());
        expected.version = Some("3.5.1-1".into());
        assert_eq!(other_copies(&manifest, &root).unwrap(), [expected]);
    }
}
