//! The database of dpkg. It is read from its files: `status`, and below `info` the lists of a package's files and their
//! checksums. Their place is fixed, so no environment variable and no program on the search path can point to another
//! database.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::{InstalledPackage, License, OwnedFile, PackageChecksum, PackageContents, PackageDatabase, unmerged};
use crate::error::{Error, Result};
use crate::sys::directory::{Directory, Missing, file_in_root};
use crate::sys::fs::{Entry, lossy_text, with_path};

/// The directory of the database.
const PLACE: &str = "/var/lib/dpkg";

/// dpkg's database of this system.
#[derive(Default)]
pub(super) struct Dpkg {
    state: OnceCell<Database>,
}

/// The files of a database: of this system, of a root, or of an image.
pub trait Files {
    /// Why a file cannot be read.
    type Error;

    /// Returns the text of a file, or `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    fn text(&self, path: &Path) -> Result<Option<String>, Self::Error>;

    /// Returns the names of the files in a directory; none if there is no such directory.
    ///
    /// # Errors
    /// If it cannot be read.
    fn names(&self, directory: &Path) -> Result<Vec<String>, Self::Error>;
}

/// The content of a database.
#[derive(Default)]
pub struct Database {
    is_there: bool,
    packages: Vec<Record>,
    /// The packages by their names with an architecture.
    by_name: HashMap<String, usize>,
    /// The package of each file, by its name below `/usr`.
    files: HashMap<PathBuf, usize>,
    diversions: Vec<Diversion>,
}

/// A record of `status`.
struct Record {
    installed: InstalledPackage,
    /// Whether it is configured too, and not only unpacked.
    is_configured: bool,
    source: String,
    source_version: String,
    /// The common beginning of the names of its files below `info`.
    info: PathBuf,
}

/// A file of a package that is installed under another name, because another package has a file of that name.
struct Diversion {
    from: PathBuf,
    to: PathBuf,
    /// The package whose file keeps its name.
    by: String,
}

impl Dpkg {
    fn state(&self) -> Result<&Database> {
        if let Some(state) = self.state.get() {
            return Ok(state);
        }
        let state = Database::read(&OfThisSystem)?;
        Ok(self.state.get_or_init(|| state))
    }
}

impl Database {
    /// Reads the database. A file that is missing is an empty one, as for dpkg. A distroless image has its records one
    /// by one, and no lists of files.
    ///
    /// # Errors
    /// Those of the files.
    pub fn read<F: Files>(files: &F) -> Result<Self, F::Error> {
        let place = Path::new(PLACE);
        let records = records(files)?;
        let is_there = records.is_some();
        let mut packages = records.unwrap_or_default();
        let diversions = diversions(&files.text(&place.join("diversions"))?.unwrap_or_default());
        let mut owners = HashMap::new();
        for (index, record) in packages.iter_mut().enumerate() {
            let (name, architecture) = (&record.installed.name, &record.installed.architecture);
            let info = place.join("info");
            // If a package can be installed for several architectures, the names of its files contain the architecture.
            let several = info.join(format!("{name}:{architecture}"));
            let list = files.text(&ending(&several, "list"))?;
            record.info = if list.is_some() { several } else { info.join(name) };
            let list = match list {
                Some(list) => list,
                None => files.text(&ending(&record.info, "list"))?.unwrap_or_default(),
            };
            for line in list.lines() {
                let path = diverted(&diversions, name, Path::new(line));
                owners.entry(unmerged(&path)).or_insert(index);
            }
        }
        let by_name = packages.iter().enumerate().map(|(index, record)| (record.installed.id(), index)).collect();
        Ok(Self { is_there, packages, by_name, files: owners, diversions })
    }

    /// Whether there is a database.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.is_there
    }

    /// Whether it is known which files belong to packages.
    #[must_use]
    pub fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// The packages, in the order of the database.
    pub fn packages(&self) -> impl Iterator<Item = &InstalledPackage> {
        self.packages.iter().map(|record| &record.installed)
    }

    /// The package of a file, by the file's path or its name below `/usr`.
    #[must_use]
    pub fn package_of(&self, file: &Path) -> Option<&InstalledPackage> {
        self.owner(file).map(|record| &record.installed)
    }

    fn owners(&self, files: &[PathBuf]) -> BTreeMap<PathBuf, OwnedFile> {
        let owned = |record: &Record| OwnedFile {
            id: record.installed.id(),
            package: record.installed.name.clone(),
            version: record.installed.version.clone(),
            source_package: record.source.clone(),
            source_version: record.source_version.clone(),
        };
        files.iter().filter_map(|file| Some((file.clone(), owned(self.owner(file)?)))).collect()
    }

    fn owner(&self, file: &Path) -> Option<&Record> {
        self.packages.get(*self.files.get(&unmerged(file))?)
    }

    /// Returns the files of a package with their checksums, by their names below `/usr`.
    fn contents(&self, record: &Record) -> Result<BTreeMap<PathBuf, Option<PackageChecksum>>> {
        let name = &record.installed.name;
        let place = |path: &Path| unmerged(&diverted(&self.diversions, name, path));
        let list = text_or_none(&ending(&record.info, "list"))?.unwrap_or_default();
        let mut files: BTreeMap<PathBuf, Option<PackageChecksum>> =
            list.lines().map(|line| (place(Path::new(line)), None)).collect();
        // A package that has only links and directories has no such file.
        let sums = text_or_none(&ending(&record.info, "md5sums"))?.unwrap_or_default();
        for (sum, path) in sums.lines().filter_map(|line| line.split_once("  ")) {
            let path = place(&Path::new("/").join(path));
            files.insert(path, Some(PackageChecksum::Md5(sum.to_owned())));
        }
        Ok(files)
    }
}

impl PackageDatabase for Dpkg {
    fn owners(&self, files: &[PathBuf]) -> Result<BTreeMap<PathBuf, OwnedFile>> {
        Ok(self.state()?.owners(files))
    }

    /// Returns the file's MD5: dpkg has no other checksum.
    fn recorded_checksum(&self, package: &str, file: &Path) -> Result<Option<PackageChecksum>> {
        let state = self.state()?;
        match state.owner(file).filter(|record| record.installed.name == package) {
            Some(record) => Ok(state.contents(record)?.remove(&unmerged(file)).flatten()),
            None => Ok(None),
        }
    }

    fn installed(&self) -> Result<Vec<InstalledPackage>> {
        Ok(self.state()?.packages.iter().map(|record| record.installed.clone()).collect())
    }

    fn contents(&self, packages: &BTreeSet<String>) -> Result<BTreeMap<String, PackageContents>> {
        let state = self.state()?;
        let found = packages.iter().filter_map(|id| Some((id, state.packages.get(*state.by_name.get(id)?)?)));
        found
            .map(|(id, record)| {
                let files = state.contents(record)?;
                Ok((id.clone(), PackageContents { package: record.installed.clone(), files }))
            })
            .collect()
    }

    fn reinstall(&self, package: &str) -> String {
        format!("apt-get install --reinstall {}", package.split(':').next().unwrap_or(package))
    }

    /// Returns the file that Debian policy 12.5 requires.
    fn license(&self, package: &str) -> Result<License> {
        let path = Path::new("/usr/share/doc").join(package).join("copyright");
        Ok(License::Texts(BTreeMap::from([("copyright".into(), path)])))
    }
}

/// The files of this system's database.
struct OfThisSystem;

impl Files for OfThisSystem {
    type Error = Error;

    fn text(&self, path: &Path) -> Result<Option<String>> {
        text_or_none(path)
    }

    fn names(&self, directory: &Path) -> Result<Vec<String>> {
        OfRoot(Path::new("/")).names(directory)
    }
}

/// The files of a root's database. No link leads out of the root.
struct OfRoot<'a>(&'a Path);

impl Files for OfRoot<'_> {
    type Error = Error;

    fn text(&self, path: &Path) -> Result<Option<String>> {
        let Some(mut file) = file_in_root(self.0, path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| with_path(path, error))?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn names(&self, directory: &Path) -> Result<Vec<String>> {
        let Some(directory) = Directory::in_root(self.0, directory, Missing::Keep)? else { return Ok(Vec::new()) };
        let files = directory.walk()?.into_iter().filter(Entry::is_file);
        Ok(files.filter_map(|entry| entry.path.to_str().map(str::to_owned)).collect())
    }
}

/// Returns the text of a file of this system's database.
fn text_or_none(path: &Path) -> Result<Option<String>> {
    match lossy_text(path) {
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// Returns the name of a file below `info`. A package's name may have dots, so the ending is appended.
fn ending(stem: &Path, ending: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Returns the records of the packages whose files are there, or `None` if there is no database.
fn records<F: Files>(files: &F) -> Result<Option<Vec<Record>>, F::Error> {
    let place = Path::new(PLACE);
    let status = files.text(&place.join("status"))?;
    let mut is_there = status.is_some();
    let mut found: Vec<Record> =
        status.unwrap_or_default().split("\n\n").filter_map(|text| record(text, false)).collect();
    let one_by_one = place.join("status.d");
    for name in files.names(&one_by_one)? {
        is_there = true;
        // Each record has a list of checksums beside it.
        if !name.ends_with(".md5sums") {
            let text = files.text(&one_by_one.join(name))?.unwrap_or_default();
            found.extend(text.split("\n\n").filter_map(|text| record(text, true)));
        }
    }
    Ok(is_there.then_some(found))
}

/// Parses a record. `unstated` says whether one without a status counts as installed.
fn record(text: &str, unstated: bool) -> Option<Record> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::trim);
    let status = match field("Status") {
        Some(status) => status.rsplit(' ').next().unwrap_or_default(),
        None if unstated => "installed",
        None => return None,
    };
    // An unpacked package that is not yet configured has its files already.
    if !["installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending"].contains(&status) {
        return None;
    }
    let (name, version) = (field("Package")?.to_owned(), field("Version")?.to_owned());
    // `Source: gcc-12 (12.2.0-14)`, where it differs from the package.
    let (source, source_version) = match field("Source").map(|source| source.split_once(" (")) {
        Some(Some((source, version))) => (source.to_owned(), version.trim_end_matches(')').to_owned()),
        Some(None) => (field("Source")?.to_owned(), version.clone()),
        None => (name.clone(), version.clone()),
    };
    let list = |name: &str| field(name).unwrap_or_default().split(',').filter(|part| !part.trim().is_empty());
    let word = |part: &str| {
        part.split_whitespace().next().unwrap_or_default().split(':').next().unwrap_or_default().to_owned()
    };
    let needs = list("Pre-Depends").chain(list("Depends"));
    Some(Record {
        installed: InstalledPackage {
            architecture: field("Architecture").unwrap_or_default().to_owned(),
            needs: needs.map(|alternatives| alternatives.split('|').map(word).collect()).collect(),
            provides: list("Provides").map(word).collect(),
            name,
            version,
        },
        is_configured: status == "installed",
        source,
        source_version,
        info: PathBuf::new(),
    })
}

/// Parses `diversions`: three lines for each.
fn diversions(text: &str) -> Vec<Diversion> {
    let lines: Vec<&str> = text.lines().collect();
    let diversion = |lines: &[&str]| match lines {
        [from, to, by] => Some(Diversion { from: from.into(), to: to.into(), by: (*by).to_owned() }),
        _ => None,
    };
    lines.chunks(3).filter_map(diversion).collect()
}

/// Returns the path at which a package's file is installed.
fn diverted(diversions: &[Diversion], package: &str, file: &Path) -> PathBuf {
    let name = unmerged(file);
    let found = diversions.iter().find(|diversion| unmerged(&diversion.from) == name && diversion.by != package);
    found.map_or_else(|| file.to_owned(), |diversion| diversion.to.clone())
}

/// Returns the packages that some files of a root belong to; none if the root has no database, or a distroless one.
pub(super) fn owners_in(root: &Path, files: &[PathBuf]) -> Result<BTreeMap<PathBuf, OwnedFile>> {
    Ok(Database::read(&OfRoot(root))?.owners(files))
}

/// Returns the packages that are installed and configured in a root and the names that they provide, or `None` if the
/// root has no dpkg database.
pub(super) fn installed(root: &Path) -> Result<Option<BTreeSet<String>>> {
    Ok(records(&OfRoot(root))?.map(|records| names(&records)))
}

fn names(records: &[Record]) -> BTreeSet<String> {
    let configured = records.iter().filter(|record| record.is_configured).map(|record| &record.installed);
    configured.flat_map(|package| std::iter::once(&package.name).chain(&package.provides)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::distro::{Distro, Family};

    #[test]
    fn dpkg_knows_the_shell() {
        let distro = Distro::read(Path::new("/"));
        if distro.family != Family::Debian {
            return crate::sys::skipped(&format!("{} has no dpkg", distro.name));
        }
        let database = Dpkg::default();
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
        let status = "Package: libssl3t64\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.5.4\n\
                      Source: openssl\nProvides: libssl3 (= 3.5.4-1~deb13u1)\nDescription: Secure Sockets Layer toolkit\n \
                      Package: not-a-field\n\n\
                      Package: libedit2\nStatus: deinstall ok config-files\n\n\
                      Package: zlib1g\nStatus: install ok half-configured\nVersion: 1\n\n\
                      Package: tzdata\nStatus: install ok installed\nVersion: 1\nProvides: tzdata-trixie\n";
        let records: Vec<Record> = status.split("\n\n").filter_map(|text| record(text, false)).collect();
        let expected = ["libssl3", "libssl3t64", "tzdata", "tzdata-trixie"];
        assert_eq!(names(&records).into_iter().collect::<Vec<_>>(), expected);
        // One that is not configured yet has its files.
        assert!(records.iter().any(|record| record.installed.name == "zlib1g"));
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
