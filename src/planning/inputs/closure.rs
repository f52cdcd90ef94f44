//! The installed packages, and the closure of their dependencies.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::error::Result;
use crate::sys::distro::{InstalledPackage, PackageDatabase};

/// The installed packages, with indices by name and by what they provide.
pub(super) struct Installed {
    packages: BTreeMap<String, InstalledPackage>,
    by_name: HashMap<String, Vec<String>>,
    providers: HashMap<String, Vec<String>>,
}

impl Installed {
    /// Reads the installed packages from a database.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) or [`Error::Command`](crate::error::Error::Command) if the database
    /// cannot be read.
    pub(super) fn read(database: &dyn PackageDatabase) -> Result<Self> {
        let mut all = Self { packages: BTreeMap::new(), by_name: HashMap::new(), providers: HashMap::new() };
        for package in database.installed()? {
            let id = package.id();
            all.by_name.entry(package.name.clone()).or_default().push(id.clone());
            for name in &package.provides {
                all.providers.entry(name.clone()).or_default().push(id.clone());
            }
            all.packages.insert(id, package);
        }
        Ok(all)
    }

    /// Returns some packages and everything that they depend on, directly or through others.
    pub(super) fn closure(&self, roots: &BTreeSet<String>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut queue: Vec<&String> = roots.iter().collect();
        while let Some(id) = queue.pop() {
            let Some(package) = self.packages.get(id) else { continue };
            if found.insert(id.clone()) {
                queue.extend(package.needs.iter().filter_map(|need| self.server(need, &package.architecture)));
            }
        }
        found
    }

    /// Returns the package that satisfies a dependency: the first alternative that is installed. If it is installed for
    /// several architectures, the one with the architecture of the dependent package.
    fn server(&self, alternatives: &[String], architecture: &str) -> Option<&String> {
        let pick = |ids: &'_ Vec<String>| -> Option<usize> {
            let same = ids.iter().position(|id| self.packages[id].architecture == architecture);
            same.or(if ids.is_empty() { None } else { Some(0) })
        };
        let named = |name: &String| self.by_name.get(name).and_then(|ids| Some(&ids[pick(ids)?]));
        let provided = |name: &String| self.providers.get(name).and_then(|ids| Some(&ids[pick(ids)?]));
        alternatives.iter().find_map(|name| named(name).or_else(|| provided(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, needs: &[&[&str]], provides: &[&str]) -> InstalledPackage {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        InstalledPackage {
            name: name.to_owned(),
            architecture: "amd64".into(),
            version: "1".into(),
            needs: needs.iter().map(|list| words(list)).collect(),
            provides: words(provides),
        }
    }

    #[test]
    fn a_closure_has_what_serves_each_need_once() {
        let mut all = Installed { packages: BTreeMap::new(), by_name: HashMap::new(), providers: HashMap::new() };
        for package in [
            package("gcc", &[&["cpp"], &["no-such", "libc-dev"], &["gcc"]], &[]),
            package("cpp", &[], &[]),
            package("libc6-dev", &[&["cpp"]], &["libc-dev"]),
            package("unrelated", &[&["gcc"]], &[]),
        ] {
            let id = package.id();
            all.by_name.entry(package.name.clone()).or_default().push(id.clone());
            for name in &package.provides {
                all.providers.entry(name.clone()).or_default().push(id.clone());
            }
            all.packages.insert(id, package);
        }
        let closure = all.closure(&BTreeSet::from(["gcc:amd64".to_owned()]));
        assert_eq!(closure.into_iter().collect::<Vec<_>>(), ["cpp:amd64", "gcc:amd64", "libc6-dev:amd64"]);
    }
}
