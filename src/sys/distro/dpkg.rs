//! The database of dpkg, through `dpkg-query`; that of another root, by its files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{License, OwnedFile, PackageChecksum, PackageDatabase, unmerged};
use crate::error::Result;
use crate::sys::process::{Runner, Spec, Stream};

const LIMIT: Duration = Duration::from_mins(1);

/// dpkg's database of this system.
pub(super) struct Dpkg<'a> {
    runner: &'a dyn Runner,
}

impl<'a> Dpkg<'a> {
    pub(super) const fn new(runner: &'a dyn Runner) -> Self {
        Self { runner }
    }

    fn query(&self, args: &[&str]) -> Result<String> {
        let spec = Spec::new("dpkg-query").args(args.iter().map(ToString::to_string)).timeout(LIMIT);
        self.runner.capture(&spec)
    }

    fn packages(&self, names: &[String]) -> Result<BTreeMap<String, OwnedFile>> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let format = "--showformat=${Package} ${Version} ${source:Package} ${source:Version}\n";
        let mut args = vec!["--show", format];
        args.extend(names.iter().map(String::as_str));
        let output = self.query(&args)?;
        Ok(names
            .iter()
            .filter_map(|name| {
                let bare = name.split(':').next().unwrap_or(name);
                let line = output.lines().find(|line| line.split(' ').next() == Some(bare))?;
                let mut fields = line.split(' ').map(str::to_owned);
                let mut field = || fields.next().unwrap_or_default();
                let owned =
                    OwnedFile { package: field(), version: field(), source_package: field(), source_version: field() };
                Some((name.clone(), owned))
            })
            .collect())
    }
}

impl PackageDatabase for Dpkg<'_> {
    fn owners(&self, files: &[PathBuf]) -> Result<BTreeMap<PathBuf, OwnedFile>> {
        let spellings: Vec<String> = files.iter().flat_map(|file| spellings(file)).collect();
        if spellings.is_empty() {
            return Ok(BTreeMap::new());
        }
        // It fails when one is not found, which of two spellings one never is; its answer counts.
        let mut found = BTreeMap::new();
        let spec = Spec::new("dpkg-query").arg("--search").args(spellings).timeout(LIMIT);
        self.runner.run(&spec, &mut |stream, line| {
            // What is not found it says on standard error.
            if let Some((packages, path)) = line.split_once(": ").filter(|_| stream == Stream::Out) {
                let package = packages.split(',').next().unwrap_or(packages);
                found.insert(unmerged(Path::new(path)), package.to_owned());
            }
        })?;
        let names: BTreeSet<_> = found.values().cloned().collect();
        let packages = self.packages(&names.into_iter().collect::<Vec<_>>())?;
        Ok(files
            .iter()
            .filter_map(|file| {
                let package = packages.get(found.get(&unmerged(file))?)?;
                Some((file.clone(), package.clone()))
            })
            .collect())
    }

    /// The file's MD5: dpkg has no other.
    fn recorded_checksum(&self, package: &str, file: &Path) -> Result<Option<PackageChecksum>> {
        let sums = match self.query(&["--control-show", package, "md5sums"]) {
            Ok(sums) => sums,
            // A package of one architecture among several has to be named with it.
            Err(_) => self.query(&["--control-show", &format!("{package}:native"), "md5sums"])?,
        };
        let wanted: Vec<String> = spellings(file).iter().map(|path| path.trim_start_matches('/').to_owned()).collect();
        Ok(sums
            .lines()
            .filter_map(|line| line.split_once("  "))
            .find(|(_, path)| wanted.iter().any(|wanted| wanted == path))
            .map(|(sum, _)| PackageChecksum::Md5(sum.to_owned())))
    }

    /// Debian policy 12.5 says where it lies.
    fn license(&self, package: &str) -> Result<License> {
        let path = Path::new("/usr/share/doc").join(package).join("copyright");
        Ok(License::Texts(BTreeMap::from([("copyright".into(), path)])))
    }
}

/// A file of a merged `/usr` has two names, and the database knows it by one of them.
fn spellings(file: &Path) -> Vec<String> {
    let merged = unmerged(file);
    let short = merged.strip_prefix("/usr").map(|rest| Path::new("/").join(rest));
    std::iter::once(merged.clone()).chain(short).map(|path| path.display().to_string()).collect()
}

/// What is installed in a root and what that provides; none where the root has no dpkg database.
/// Its files are read, for the host of the root may have no dpkg, and a distroless image has its
/// records in `status.d` alone.
pub(super) fn installed(root: &Path) -> Result<Option<BTreeSet<String>>> {
    let place = root.join("var/lib/dpkg");
    let mut names = BTreeSet::new();
    let mut found = false;
    if place.join("status").is_file() {
        found = true;
        names.extend(names_in(&fs_err::read_to_string(place.join("status"))?, false));
    }
    if place.join("status.d").is_dir() {
        found = true;
        for entry in fs_err::read_dir(place.join("status.d"))? {
            let path = entry?.path();
            // Beside each record lies a list of sums.
            if path.is_file() && path.extension().is_none_or(|extension| extension != "md5sums") {
                names.extend(names_in(&fs_err::read_to_string(path)?, true));
            }
        }
    }
    Ok(found.then_some(names))
}

/// The packages of dpkg's records that are installed, and what they provide. Records without a
/// status count as `unstated` says.
fn names_in(records: &str, unstated: bool) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for record in records.split("\n\n") {
        let field = |name: &str| record.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let is_installed = field("Status").map_or(unstated, |status| status.ends_with(" installed"));
        let Some(package) = field("Package").filter(|_| is_installed) else { continue };
        names.insert(package.trim().to_owned());
        // `Provides: libssl3 (= 3.5.1-1), libssl3t64-any`
        let provided = field("Provides").unwrap_or_default().split(',');
        names.extend(provided.filter_map(|name| name.split_whitespace().next()).map(str::to_owned));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::distro::{Distro, Family};
    use crate::sys::process::System;

    #[test]
    fn a_merged_usr_has_two_names_for_a_file() {
        assert_eq!(spellings(Path::new("/lib/x/libz.so.1")), ["/usr/lib/x/libz.so.1", "/lib/x/libz.so.1"]);
        assert_eq!(spellings(Path::new("/opt/x")), ["/opt/x"]);
    }

    #[test]
    fn dpkg_knows_the_shell() {
        let distro = Distro::read(Path::new("/"));
        if distro.family != Family::Debian {
            eprintln!("SKIPPED: {} has no dpkg", distro.name);
            return;
        }
        let database = Dpkg::new(&System);
        let file = fs_err::canonicalize("/bin/sh").unwrap();
        let nobody = PathBuf::from("/usr/lib/no-such-file");
        let owners = database.owners(&[file.clone(), nobody]).unwrap();
        assert_eq!(owners.len(), 1);
        let owner = &owners[&file];
        assert!(!owner.version.is_empty() && !owner.source_package.is_empty(), "{owner:?}");
        let recorded = database.recorded_checksum(&owner.package, &file).unwrap().unwrap();
        assert_eq!(recorded.of_file_as(&file).unwrap(), recorded);
        let names = installed(Path::new("/")).unwrap().unwrap();
        assert!(names.contains(&owner.package) && names.contains("libc6"), "{names:?}");
    }

    #[test]
    fn what_is_installed_is_read_with_what_it_provides() {
        // From /var/lib/dpkg/status of Debian 13, shortened.
        let status = "Package: libssl3t64\nStatus: install ok installed\nArchitecture: amd64\n\
                      Source: openssl\nProvides: libssl3 (= 3.5.4-1~deb13u1)\nDescription: Secure Sockets Layer toolkit\n \
                      Package: not-a-field\n\n\
                      Package: libedit2\nStatus: deinstall ok config-files\n\n\
                      Package: zlib1g\nStatus: install ok half-configured\n\n\
                      Package: tzdata\nStatus: install ok installed\nProvides: tzdata-trixie\n";
        let names = names_in(status, false);
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["libssl3", "libssl3t64", "tzdata", "tzdata-trixie"]);
    }

    #[test]
    fn a_distroless_root_has_its_records_one_by_one() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(installed(root.path()).unwrap(), None);
        let place = root.path().join("var/lib/dpkg/status.d");
        fs_err::create_dir_all(&place).unwrap();
        fs_err::write(place.join("tzdata"), "Package: tzdata\nVersion: 2025b-0+deb12u2\n").unwrap();
        fs_err::write(place.join("tzdata.md5sums"), "Package: no\n").unwrap();
        assert_eq!(installed(root.path()).unwrap().unwrap().into_iter().collect::<Vec<_>>(), ["tzdata"]);
    }
}
