//! The database of rpm, read by `rpm --query`. Fedora, Red Hat's distributions and Amazon Linux have it.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{InstalledPackage, License, OwnedFile, PackageChecksum, PackageContents, PackageDatabase, unmerged};
use crate::error::Result;
use crate::sys::directory::{Directory, Missing};
use crate::sys::process::{Runner, Spec};
use crate::sys::toolchain::find_program;

/// The program, by its absolute path: no other program on the search path is run.
const PROGRAM: &str = "/usr/bin/rpm";

const LIMIT: Duration = Duration::from_mins(1);

/// One line for every file of a package. A tag with `=` is the package's, one without is the file's.
const FILES: &str = "[%{=NAME}\\t%{=ARCH}\\t%{=EVR}\\t%{=SOURCERPM}\\t%{=FILEDIGESTALGO}\\t%{FILEDIGESTS}\\t%{FILEFLAGS}\\t%{FILENAMES}\\n]";

/// The directories of the database in a root: since Fedora 36, and before.
const PLACES: &[&str] = &["usr/lib/sysimage/rpm", "var/lib/rpm"];

/// Returns a query in an environment of its own: no variable of the user can point to another database.
fn rpm_query() -> Spec {
    Spec::new(PROGRAM).arg("--query").timeout(LIMIT)
}

/// rpm's database of this system.
pub(super) struct Rpm<'a> {
    runner: &'a dyn Runner,
    records: OnceCell<BTreeMap<PathBuf, Vec<Record>>>,
}

/// The record of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    owner: OwnedFile,
    checksum: Option<PackageChecksum>,
}

impl<'a> Rpm<'a> {
    pub(super) const fn new(runner: &'a dyn Runner) -> Self {
        Self { runner, records: OnceCell::new() }
    }

    fn query(&self, args: &[&str]) -> Result<String> {
        let spec = rpm_query().args(args.iter().map(ToString::to_string));
        self.runner.capture(&spec)
    }

    /// Returns the records of all files of all packages, by the name below `/usr`. They are read once, because a query
    /// for one file takes nearly as long.
    fn records(&self) -> Result<&BTreeMap<PathBuf, Vec<Record>>> {
        if let Some(records) = self.records.get() {
            return Ok(records);
        }
        let mut records: BTreeMap<PathBuf, Vec<Record>> = BTreeMap::new();
        for line in self.query(&["--all", "--queryformat", FILES])?.lines() {
            if let Some((file, record)) = record(line) {
                records.entry(file).or_default().push(record);
            }
        }
        Ok(self.records.get_or_init(|| records))
    }

    fn license_files(&self, package: &str) -> Result<BTreeSet<PathBuf>> {
        let output = self.query(&["--licensefiles", package])?;
        Ok(output.lines().filter(|line| line.starts_with('/')).map(PathBuf::from).collect())
    }

    /// Returns the other installed packages that were made from the same source as a package.
    fn siblings(&self, package: &str) -> Result<BTreeSet<String>> {
        let source = self.query(&["--queryformat", "%{SOURCERPM}\\n", package])?;
        let source = source.lines().next().unwrap_or_default().to_owned();
        let all = self.query(&["--all", "--queryformat", "%{SOURCERPM}\\t%{NAME}\\n"])?;
        Ok(all
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .filter(|(from, name)| *from == source && *name != package)
            .map(|(_, name)| name.to_owned())
            .collect())
    }
}

impl PackageDatabase for Rpm<'_> {
    fn owners(&self, files: &[PathBuf]) -> Result<BTreeMap<PathBuf, OwnedFile>> {
        let records = self.records()?;
        Ok(files
            .iter()
            .filter_map(|file| {
                let owner = &records.get(&unmerged(file))?.first()?.owner;
                Some((file.clone(), owner.clone()))
            })
            .collect())
    }

    fn recorded_checksum(&self, package: &str, file: &Path) -> Result<Option<PackageChecksum>> {
        let of_file = self.records()?.get(&unmerged(file)).map_or(&[][..], Vec::as_slice);
        let record = of_file.iter().find(|record| record.owner.package == package);
        Ok(record.and_then(|record| record.checksum.clone()))
    }

    fn installed(&self) -> Result<Vec<InstalledPackage>> {
        let mut packages: BTreeMap<String, InstalledPackage> = BTreeMap::new();
        for line in self.query(&["--all", "--queryformat", "%{NAME}\\t%{ARCH}\\t%{EVR}\\n"])?.lines() {
            if let [name, architecture, version] = line.split('\t').collect::<Vec<_>>()[..] {
                let package = InstalledPackage {
                    name: name.to_owned(),
                    architecture: architecture.to_owned(),
                    version: version.to_owned(),
                    needs: Vec::new(),
                    provides: Vec::new(),
                };
                packages.insert(package.id(), package);
            }
        }
        // Dependencies are names of capabilities and files: `libc.so.6()(64bit)`, `/bin/sh`.
        for (tag, provides) in [("REQUIRENAME", false), ("PROVIDENAME", true)] {
            let format = format!("[%{{=NAME}}:%{{=ARCH}}\\t%{{{tag}}}\\n]");
            for line in self.query(&["--all", "--queryformat", &format])?.lines() {
                let Some((id, word)) = line.split_once('\t') else { continue };
                let Some(package) = packages.get_mut(id) else { continue };
                if provides {
                    package.provides.push(word.to_owned());
                } else if !word.starts_with("rpmlib(") {
                    package.needs.push(vec![word.to_owned()]);
                }
            }
        }
        Ok(packages.into_values().collect())
    }

    fn contents(&self, packages: &BTreeSet<String>) -> Result<BTreeMap<String, PackageContents>> {
        let mut contents: BTreeMap<String, PackageContents> = self
            .installed()?
            .into_iter()
            .filter(|package| packages.contains(&package.id()))
            .map(|package| (package.id(), PackageContents { package, files: BTreeMap::new() }))
            .collect();
        for (file, records) in self.records()? {
            for record in records {
                if let Some(contents) = contents.get_mut(&record.owner.id) {
                    contents.files.insert(file.clone(), record.checksum.clone());
                }
            }
        }
        Ok(contents)
    }

    fn reinstall(&self, package: &str) -> String {
        format!("dnf reinstall {}", package.split(':').next().unwrap_or(package))
    }

    /// Returns the files that the package marks with `%license`. If it has none, those of its siblings: ncurses-libs
    /// leaves them to ncurses-base. If these have none either, the name of the licence.
    fn license(&self, package: &str) -> Result<License> {
        let mut files = self.license_files(package)?;
        if files.is_empty() {
            for sibling in self.siblings(package)? {
                files.extend(self.license_files(&sibling)?);
            }
        }
        if files.is_empty() {
            let name = self.query(&["--queryformat", "%{LICENSE}\\n", package])?;
            return Ok(License::Named(name.lines().next().unwrap_or_default().to_owned()));
        }
        Ok(License::Texts(files.into_iter().map(|file| (kept_as(&file), file)).collect()))
    }
}

/// Parses a line of [`FILES`].
fn record(line: &str) -> Option<(PathBuf, Record)> {
    let mut fields = line.split('\t');
    let mut field = || fields.next();
    let (package, architecture, version, source, algorithm, sum, flags, file) =
        (field()?, field()?, field()?, field()?, field()?, field()?, field()?, field()?);
    let (source_package, source_version) = source_of(source)?;
    // `%ghost`: the package owns the name and contains no file (RPMFILE_GHOST in rpmfiles.h).
    if flags.parse::<u32>().is_ok_and(|flags| flags & 0x40 != 0) {
        return None;
    }
    let checksum = match (algorithm, sum) {
        // A directory or a link.
        (_, "") => None,
        // The numbers are those of RFC 4880, section 9.4.
        ("1" | "(none)", sum) => Some(PackageChecksum::Md5(sum.to_owned())),
        ("8", sum) => Some(PackageChecksum::Sha256(sum.to_owned())),
        // No distribution uses another. A file without a checksum is not bundled.
        _ => None,
    };
    let owner = OwnedFile {
        id: format!("{package}:{architecture}"),
        package: package.to_owned(),
        version: version.to_owned(),
        source_package: source_package.to_owned(),
        source_version: source_version.to_owned(),
    };
    Some((unmerged(Path::new(file)), Record { owner, checksum }))
}

/// Returns name and version of a source package from its file name: `openssl-3.0.7-24.el9.src.rpm`.
fn source_of(file: &str) -> Option<(&str, &str)> {
    let stem = file.strip_suffix(".src.rpm").or_else(|| file.strip_suffix(".nosrc.rpm"))?;
    let (rest, _) = stem.rsplit_once('-')?;
    let (name, _) = rest.rsplit_once('-')?;
    Some((name, &stem[name.len() + 1..]))
}

/// Returns the name of a licence file in an artifact: the path below `/usr/share/licenses/<package>`, or the file's own
/// name.
fn kept_as(file: &Path) -> PathBuf {
    let below = file.strip_prefix("/usr/share/licenses").map(|path| path.iter().skip(1).collect::<PathBuf>());
    let name = || PathBuf::from(file.file_name().unwrap_or_default());
    below.ok().filter(|path| path.file_name().is_some()).unwrap_or_else(name)
}

/// Returns the packages that are installed in a root and the names that they provide, or `None` if the root has no rpm
/// database, or if this system has no rpm to read it.
pub(super) fn installed(root: &Path, runner: &dyn Runner) -> Result<Option<BTreeSet<String>>> {
    let mut places = PLACES.iter().map(|place| Directory::in_root(root, Path::new(place), Missing::Keep));
    let Some(place) = places.find_map(Result::transpose) else { return Ok(None) };
    if find_program("rpm").is_none() {
        return Ok(None);
    }
    let place = fs_err::canonicalize(place?.path())?;
    let spec =
        rpm_query().args(["--all", "--dbpath"]).arg(place).args(["--queryformat", "%{NAME}\\n[%{PROVIDENAME}\\n]"]);
    let output = runner.capture(&spec)?;
    Ok(Some(output.lines().map(str::to_owned).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_rpm_names_package_source_and_checksum() {
        let sum = "59d05945be216348714894906b60b8411e9d8dfdd414c38cb1024e3011bb9630";
        let line = format!(
            "openssl-libs\tx86_64\t1:3.0.7-24.el9\topenssl-3.0.7-24.el9.src.rpm\t8\t{sum}\t0\t/usr/lib64/libssl.so.3.0.7"
        );
        let (file, found) = record(&line).unwrap();
        assert_eq!(file, Path::new("/usr/lib64/libssl.so.3.0.7"));
        assert_eq!(found.owner.package, "openssl-libs");
        assert_eq!(found.owner.version, "1:3.0.7-24.el9");
        assert_eq!(found.owner.source_package, "openssl");
        assert_eq!(found.owner.source_version, "3.0.7-24.el9");
        assert_eq!(found.checksum.unwrap().to_string(), format!("sha256:{sum}"));
    }

    #[test]
    fn links_have_no_checksum_and_old_packages_an_md5() {
        let link = "zlib\tx86_64\t1.2.11-40.el9\tzlib-1.2.11-40.el9.src.rpm\t8\t\t0\t/lib64/libz.so.1";
        let (file, found) = record(link).unwrap();
        assert_eq!((file.as_path(), found.checksum), (Path::new("/usr/lib64/libz.so.1"), None));
        let old = "zlib\tx86_64\t1.2.3\tzlib-1.2.3-3.src.rpm\t(none)\tabc\t0\t/usr/lib64/libz.so.1.2.3";
        assert_eq!(record(old).unwrap().1.checksum, Some(PackageChecksum::Md5("abc".into())));
    }

    #[test]
    fn other_lines_are_no_records() {
        for line in ["file /etc/fstab is not owned by any package", "", "\t\t\t\t\t\t\t", "(contains no files)"] {
            assert_eq!(record(line), None, "{line}");
        }
    }

    #[test]
    fn a_source_package_may_have_hyphens() {
        assert_eq!(source_of("util-linux-2.37.4-18.el9.src.rpm"), Some(("util-linux", "2.37.4-18.el9")));
        assert_eq!(source_of("zlib-ng-2.2.4-3.fc42.src.rpm"), Some(("zlib-ng", "2.2.4-3.fc42")));
        // Keys of repositories are packages without a source.
        assert_eq!(source_of("(none)"), None);
    }

    #[test]
    fn licence_files_keep_their_place_below_their_package() {
        assert_eq!(kept_as(Path::new("/usr/share/licenses/openssl-libs/LICENSE.txt")), Path::new("LICENSE.txt"));
        assert_eq!(kept_as(Path::new("/usr/share/licenses/xz-libs/doc/COPYING")), Path::new("doc/COPYING"));
        assert_eq!(kept_as(Path::new("/usr/share/doc/xz-libs/COPYING")), Path::new("COPYING"));
        assert_eq!(kept_as(Path::new("/usr/share/licenses/odd")), Path::new("odd"));
    }
}
