//! The database of dpkg. It is read from its files: `status`, and below `info` the lists of a package's files and their
//! checksums. Their place is fixed, so no environment variable and no program on the search path can point to another
//! database.

use std::cell::{Cell, OnceCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{InstalledPackage, License, OwnedFile, PackageChecksum, PackageContents, PackageDatabase, unmerged};
use crate::error::{Error, Result};
use crate::sys::directory::{Directory, Missing, file_in_root};
use crate::sys::fs::{Entry, with_path};

/// The directory of the database.
const PLACE: &str = "/var/lib/dpkg";
/// The most bytes that a database may take in memory. One with 130,000 files takes 17 MB.
const LARGEST: u64 = 512 << 20;
/// About the bytes that a line or a part of a list takes in memory besides its text.
const PART: u64 = 64;

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
    diversions: Diversions,
}

/// The diversions by the names below `/usr` of the files that they divert. dpkg lets one package divert a file.
type Diversions = HashMap<PathBuf, Diversion>;

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
    to: PathBuf,
    /// The package whose file keeps its name.
    by: String,
}

impl Dpkg {
    fn state(&self) -> Result<&Database> {
        if let Some(state) = self.state.get() {
            return Ok(state);
        }
        let state = Database::read(&of_this_system())?;
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
        let (mut owners, mut read) = (HashMap::new(), HashSet::new());
        for (index, record) in packages.iter_mut().enumerate() {
            let (name, architecture) = (&record.installed.name, &record.installed.architecture);
            let info = place.join("info");
            // If a package can be installed for several architectures, the names of its files contain the architecture.
            let several = info.join(format!("{name}:{architecture}"));
            // A list is of the first package that claims it, and is read once.
            let mut list = |stem: &Path| {
                if read.insert(stem.to_owned()) { files.text(&ending(stem, "list")) } else { Ok(None) }
            };
            let of_several = list(&several)?;
            record.info = if of_several.is_some() { several } else { info.join(name) };
            let list = match of_several {
                Some(list) => list,
                None => list(&record.info)?.unwrap_or_default(),
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
        let files_of_system = of_this_system();
        let list = files_of_system.text(&ending(&record.info, "list"))?.unwrap_or_default();
        let mut files: BTreeMap<PathBuf, Option<PackageChecksum>> =
            list.lines().map(|line| (place(Path::new(line)), None)).collect();
        // A package that has only links and directories has no such file.
        let sums = files_of_system.text(&ending(&record.info, "md5sums"))?.unwrap_or_default();
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

/// The files of a root's database. No link leads out of the root.
struct OfRoot<'a> {
    root: &'a Path,
    /// The bytes that the texts may yet take in memory.
    left: Cell<u64>,
}

impl<'a> OfRoot<'a> {
    const fn new(root: &'a Path) -> Self {
        Self { root, left: Cell::new(LARGEST) }
    }
}

/// The files of this system's database.
fn of_this_system() -> OfRoot<'static> {
    OfRoot::new(Path::new("/"))
}

/// About the bytes that a text of a database takes in memory when it is cut into lines and lists.
#[must_use]
pub fn size_in_parts(text: &[u8]) -> u64 {
    let parts = memchr::memchr2_iter(b'\n', b',', text).count() as u64;
    text.len() as u64 + PART * parts
}

impl Files for OfRoot<'_> {
    type Error = Error;

    fn text(&self, path: &Path) -> Result<Option<String>> {
        let Some(file) = file_in_root(self.root, path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(self.left.get() + 1).read_to_end(&mut bytes).map_err(|error| with_path(path, error))?;
        let left = self.left.get().checked_sub(size_in_parts(&bytes)).ok_or_else(|| Error::Damaged {
            what: format!("the package database {}", self.root.join(&PLACE[1..]).display()),
            reason: format!("{} makes it larger than that of any system", path.display()),
        })?;
        self.left.set(left);
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn names(&self, directory: &Path) -> Result<Vec<String>> {
        let Some(directory) = Directory::in_root(self.root, directory, Missing::Keep)? else { return Ok(Vec::new()) };
        let files = directory.walk()?.into_iter().filter(Entry::is_file);
        Ok(files.filter_map(|entry| entry.path.to_str().map(str::to_owned)).collect())
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
    let architecture = field("Architecture").unwrap_or_default().to_owned();
    // They are parts of names of files.
    if name.contains('/') || architecture.contains('/') {
        return None;
    }
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
            architecture,
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
fn diversions(text: &str) -> Diversions {
    let (mut lines, mut found) = (text.lines(), Diversions::new());
    while let (Some(from), Some(to), Some(by)) = (lines.next(), lines.next(), lines.next()) {
        let diversion = || Diversion { to: to.into(), by: by.to_owned() };
        found.entry(unmerged(Path::new(from))).or_insert_with(diversion);
    }
    found
}

/// Returns the path at which a package's file is installed.
fn diverted(diversions: &Diversions, package: &str, file: &Path) -> PathBuf {
    let found = diversions.get(&unmerged(file)).filter(|diversion| diversion.by != package);
    found.map_or_else(|| file.to_owned(), |diversion| diversion.to.clone())
}

/// Returns the packages that some files of a root belong to; none if the root has no database, or a distroless one.
pub(super) fn owners_in(root: &Path, files: &[PathBuf]) -> Result<BTreeMap<PathBuf, OwnedFile>> {
    Ok(Database::read(&OfRoot::new(root))?.owners(files))
}

/// Returns the packages that are installed and configured in a root and the names that they provide, or `None` if the
/// root has no dpkg database.
pub(super) fn installed(root: &Path) -> Result<Option<BTreeSet<String>>> {
    Ok(records(&OfRoot::new(root))?.map(|records| names(&records)))
}

fn names(records: &[Record]) -> BTreeSet<String> {
    let configured = records.iter().filter(|record| record.is_configured).map(|record| &record.installed);
    configured.flat_map(|package| std::iter::once(&package.name).chain(&package.provides)).cloned().collect()
}

#[cfg(test)]
mod tests;
