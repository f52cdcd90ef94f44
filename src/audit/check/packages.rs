//! The packages of an image's distribution, and the files that belong to them: what dpkg's database says.

use std::convert::Infallible;
use std::path::Path;

use super::image::Tree;
use crate::sys::distro::InstalledPackage;
use crate::sys::distro::dpkg::{Database, Files};

/// The packages of an image.
#[derive(Default)]
pub struct Packages {
    database: Database,
}

/// The files of a database in an image. All of their texts are in memory.
struct OfImage<'a>(&'a Tree);

impl Files for OfImage<'_> {
    type Error = Infallible;

    /// A file of dpkg's is no link: many links could lead to one long list.
    fn text(&self, path: &Path) -> Result<Option<String>, Infallible> {
        let file = path.to_str().and_then(|path| path.rsplit_once('/')).and_then(|(directory, name)| {
            self.0.get(&format!("{}/{name}", self.0.real(directory)?))?.file()?.content.text()
        });
        Ok(file.map(|text| String::from_utf8_lossy(text).into_owned()))
    }

    fn names(&self, directory: &Path) -> Result<Vec<String>, Infallible> {
        let files = self.0.children(&directory.to_string_lossy()).filter(|(_, node)| node.file().is_some());
        Ok(files.map(|(name, _)| name.to_owned()).collect())
    }
}

impl Packages {
    /// Reads the database of an image, also that of a distroless one.
    #[must_use]
    pub fn read(tree: &Tree) -> Self {
        let Ok(database) = Database::read(&OfImage(tree));
        Self { database }
    }

    /// Whether there is a database of dpkg.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.database.is_there()
    }

    /// All packages, in the order of the database.
    pub fn installed(&self) -> impl Iterator<Item = &InstalledPackage> {
        self.database.packages()
    }

    /// The package of a file, by the file's real path.
    #[must_use]
    pub fn owner(&self, path: &str) -> Option<&InstalledPackage> {
        self.database.package_of(Path::new(path))
    }

    /// Whether it is known which files belong to packages.
    #[must_use]
    pub fn has_owners(&self) -> bool {
        self.database.has_files()
    }
}

/// Whether only a build needs a package, by its name.
#[must_use]
pub fn is_for_builds(name: &str) -> bool {
    let (stem, last) = name.rsplit_once('-').unwrap_or((name, ""));
    let versioned = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let tools = [
        "autoconf",
        "automake",
        "binutils",
        "bison",
        "build-essential",
        "cargo",
        "clang",
        "cmake",
        "cpp",
        "dpkg-dev",
        "flex",
        "g++",
        "gcc",
        "gfortran",
        "golang",
        "libtool",
        "make",
        "meson",
        "ninja-build",
        "pkg-config",
        "pkgconf",
        "rustc",
    ];
    name.ends_with("-dev") || tools.contains(&name) || (versioned && tools.contains(&stem))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::Fixture;
    use super::*;

    #[test]
    fn files_belong_to_packages_whatever_directory_is_merged() {
        let image = Fixture::default()
            .package("libc6:amd64", "2.36-9", &["/lib/x86_64-linux-gnu/libc.so.6"])
            .package("gone", "1", &[])
            .image();
        let packages = Packages::read(&image.tree);
        assert!(packages.is_known() && packages.has_owners());
        let owner = packages.owner("/usr/lib/x86_64-linux-gnu/libc.so.6").unwrap();
        assert_eq!((owner.name.as_str(), owner.version.as_str()), ("libc6", "2.36-9"));
        assert_eq!(packages.owner("/usr/lib/libz.so.1"), None);
    }

    #[test]
    fn a_list_that_is_a_link_is_no_list() {
        let image = Fixture::default()
            .package("real", "1", &["/opt/real"])
            .text("/var/lib/dpkg/info/other.list", "/opt/other\n")
            .package("linked", "1", &[])
            .link("/var/lib/dpkg/info/linked.list", "other.list")
            .image();
        let packages = Packages::read(&image.tree);
        assert!(packages.owner("/opt/real").is_some() && packages.owner("/opt/other").is_none());
    }

    #[test]
    fn a_distroless_image_has_its_records_one_by_one() {
        let image = Fixture::default()
            .text("/var/lib/dpkg/status.d/tzdata", "Package: tzdata\nVersion: 2025b\nArchitecture: all\n")
            .text("/var/lib/dpkg/status.d/tzdata.md5sums", "Package: no\nVersion: 1\n")
            .image();
        let packages = Packages::read(&image.tree);
        assert_eq!(packages.installed().map(|package| package.name.as_str()).collect::<Vec<_>>(), ["tzdata"]);
        assert!(!Packages::read(&Fixture::default().image().tree).is_known());
    }
}
