//! The packages of an image's distribution, and the files that belong to them: what dpkg's database says.

use std::collections::HashMap;

use super::image::Tree;

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package<'a> {
    /// Its name: `libssl3`.
    pub name: &'a str,
    /// Its architecture: `amd64`.
    pub architecture: &'a str,
    /// Its version: `3.0.17-1~deb12u2`.
    pub version: &'a str,
}

/// The packages of an image.
#[derive(Debug, Default)]
pub struct Packages<'a> {
    /// All packages, in the order of the database.
    pub installed: Vec<Package<'a>>,
    /// The package of each file, by its name below `/usr`.
    owners: HashMap<&'a str, usize>,
    /// Whether there is a database of dpkg.
    pub is_known: bool,
}

/// The place of dpkg's database.
const PLACE: &str = "/var/lib/dpkg";

impl<'a> Packages<'a> {
    /// Reads the database of an image, also that of a distroless one.
    #[must_use]
    pub fn read(tree: &'a Tree) -> Self {
        let mut packages = Self::default();
        let text =
            |path: &str| tree.find_file(path).and_then(|(_, file)| std::str::from_utf8(file.content.text()?).ok());
        if let Some(status) = text(&format!("{PLACE}/status")) {
            packages.is_known = true;
            packages.installed.extend(status.split("\n\n").filter_map(|record| package(record, false)));
        }
        for (name, node) in tree.children(&format!("{PLACE}/status.d")) {
            let record = node.file().and_then(|file| std::str::from_utf8(file.content.text()?).ok());
            if let Some(record) = record.filter(|_| !name.ends_with(".md5sums")) {
                packages.is_known = true;
                packages.installed.extend(package(record, true));
            }
        }
        let mut lists = HashMap::new();
        for (index, package) in packages.installed.iter().enumerate() {
            lists.insert(package.name.to_owned(), index);
            lists.insert(format!("{}:{}", package.name, package.architecture), index);
        }
        for (name, node) in tree.children(&format!("{PLACE}/info")) {
            let index = name.strip_suffix(".list").and_then(|name| lists.get(name));
            let list = node.file().and_then(|file| std::str::from_utf8(file.content.text()?).ok());
            if let (Some(index), Some(list)) = (index, list) {
                packages.owners.extend(list.lines().map(|path| (unmerged(path), *index)));
            }
        }
        packages
    }

    /// The package of a file, by the file's real path.
    #[must_use]
    pub fn owner(&self, path: &str) -> Option<&Package<'a>> {
        self.installed.get(*self.owners.get(unmerged(path))?)
    }

    /// Whether it is known which files belong to packages.
    #[must_use]
    pub fn has_owners(&self) -> bool {
        !self.owners.is_empty()
    }
}

/// The name of a file for which `/lib` and `/usr/lib` are the same.
fn unmerged(path: &str) -> &str {
    let below =
        path.strip_prefix("/usr").filter(|rest| ["/bin/", "/sbin/", "/lib"].iter().any(|top| rest.starts_with(top)));
    below.unwrap_or(path)
}

fn package(record: &str, unstated: bool) -> Option<Package<'_>> {
    let field = |name: &str| record.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::trim);
    let is_installed = field("Status").map_or(unstated, |status| status.ends_with(" installed"));
    let package = Package {
        name: field("Package")?,
        architecture: field("Architecture").unwrap_or_default(),
        version: field("Version")?,
    };
    is_installed.then_some(package)
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
        assert!(packages.is_known && packages.has_owners());
        let owner = packages.owner("/usr/lib/x86_64-linux-gnu/libc.so.6").unwrap();
        assert_eq!((owner.name, owner.version), ("libc6", "2.36-9"));
        assert_eq!(packages.owner("/usr/lib/libz.so.1"), None);
    }

    #[test]
    fn a_distroless_image_has_its_records_one_by_one() {
        let image = Fixture::default()
            .text("/var/lib/dpkg/status.d/tzdata", "Package: tzdata\nVersion: 2025b\nArchitecture: all\n")
            .text("/var/lib/dpkg/status.d/tzdata.md5sums", "Package: no\nVersion: 1\n")
            .image();
        let packages = Packages::read(&image.tree);
        assert_eq!(packages.installed.iter().map(|package| package.name).collect::<Vec<_>>(), ["tzdata"]);
        assert!(!Packages::read(&Fixture::default().image().tree).is_known);
    }
}
