//! The distribution: its name, how it installs packages, and its package database.

pub mod dpkg;
mod rpm;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use md5::{Digest as _, Md5};

use super::directory::file_in_root;
use super::process::{Runner, SEARCH_PATH, Spec};
use super::toolchain::find_program;
use crate::domain::digest::Digest;
use crate::domain::release::DistroRelease;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};

/// How a distribution manages packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// dpkg and apt: Debian, Ubuntu.
    Debian,
    /// rpm and dnf: Fedora, Red Hat and its derivatives, Amazon Linux.
    Fedora,
    /// Something else.
    Other,
}

impl Family {
    /// Returns the one of two names of a package that this family uses. An unknown distribution gets Debian's.
    #[must_use]
    pub fn name<'n, T: ?Sized>(self, debian: &'n T, fedora: &'n T) -> &'n T {
        match self {
            Self::Fedora => fedora,
            Self::Debian | Self::Other => debian,
        }
    }
}

/// A distribution, from `/etc/os-release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distro {
    /// `Debian GNU/Linux 12 (bookworm)`.
    pub name: String,
    /// How it manages packages.
    pub family: Family,
    /// Its release, if it is one of Debian or Ubuntu.
    pub release: Option<DistroRelease>,
}

impl Distro {
    /// Reads `/etc/os-release` below a root, or `/usr/lib/os-release` if there is none.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let text = |path| io::read_to_string(file_in_root(root, Path::new(path)).ok()??).ok();
        // A root without either is an unknown distribution.
        Self::parse(&["/etc/os-release", "/usr/lib/os-release"].into_iter().find_map(text).unwrap_or_default())
    }

    /// Reads the text of an os-release file (`man os-release`).
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let value = |key: &str| {
            text.lines()
                .filter_map(|line| line.split_once('='))
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value.trim().trim_matches(['"', '\'']).to_owned())
        };
        let ids = format!("{} {}", value("ID").unwrap_or_default(), value("ID_LIKE").unwrap_or_default());
        let is = |names: &[&str]| ids.split_whitespace().any(|id| names.contains(&id));
        let family = if is(&["debian", "ubuntu"]) {
            Family::Debian
        } else if is(&["fedora", "rhel", "centos", "amzn"]) {
            Family::Fedora
        } else {
            Family::Other
        };
        let [id, version] = ["ID", "VERSION_ID"].map(|key| value(key).unwrap_or_default());
        let release = DistroRelease::of_os_release(&id, &version);
        Self { name: value("PRETTY_NAME").unwrap_or_else(|| "this distribution".into()), family, release }
    }

    /// Returns the commands that install some packages without those that these only recommend, in order, or `None` if
    /// the package manager is not known.
    #[must_use]
    pub fn install_commands(&self, packages: &[&str]) -> Option<Vec<String>> {
        let list = packages.join(" ");
        match self.family {
            // Images are delivered without apt's lists.
            Family::Debian => {
                Some(vec!["apt-get update".into(), format!("apt-get install -y --no-install-recommends {list}")])
            }
            Family::Fedora => {
                // Minimal images of Red Hat have microdnf only.
                let program = if find_program("dnf").is_none() && find_program("microdnf").is_some() {
                    "microdnf"
                } else {
                    "dnf"
                };
                Some(vec![format!("{program} install -y --setopt=install_weak_deps=0 {list}")])
            }
            Family::Other => None,
        }
    }

    /// Returns [`Distro::install_commands`] as one line for a shell, or `None` if there is nothing to install.
    #[must_use]
    pub fn install_line(&self, packages: &[&str]) -> Option<String> {
        if packages.is_empty() {
            return None;
        }
        self.install_commands(packages).map(|commands| commands.join(" && "))
    }
}

/// Returns the environment of package managers and their helpers: the system's search path, and the user's proxy
/// variables.
#[must_use]
pub fn manager_environment() -> BTreeMap<String, OsString> {
    let proxies = ["http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"];
    let names = proxies.into_iter().flat_map(|name| [name.to_owned(), name.to_uppercase()]);
    let mut variables: BTreeMap<String, OsString> =
        names.filter_map(|name| Some((name.clone(), std::env::var_os(name)?))).collect();
    let fixed = [("DEBIAN_FRONTEND", "noninteractive"), ("PATH", SEARCH_PATH), ("LC_ALL", "C.UTF-8")];
    variables.extend(fixed.map(|(name, value)| (name.to_owned(), value.into())));
    variables
}

/// Installs packages with [`Distro::install_commands`].
///
/// # Errors
/// [`Error::UnknownPackageManager`]; [`Error::Command`] or [`Error::Spawn`] if the package manager fails.
pub fn install_packages(
    runner: &dyn Runner,
    distro: &Distro,
    packages: &[&str],
    reporter: &dyn Reporter,
) -> Result<()> {
    let Some(commands) = distro.install_commands(packages) else {
        return Err(Error::UnknownPackageManager { distro: distro.name.clone() });
    };
    for line in commands {
        reporter.report(Event::Detail(line.clone()));
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let program = find_program(name).unwrap_or_else(|| name.into());
        let spec = Spec::new(program).args(words.map(str::to_owned)).environment(manager_environment());
        let mut tail = Vec::new();
        let outcome = runner.run(&spec, &mut |_, text| {
            reporter.report(Event::Output(text.to_owned()));
            tail.push(text.to_owned());
        })?;
        if !outcome.success() {
            let last = tail.split_off(tail.len().saturating_sub(20));
            return Err(Error::Command {
                command: line,
                status: outcome.to_string(),
                output: last.join("\n"),
                log: None,
            });
        }
    }
    Ok(())
}

/// The package that a file belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedFile {
    /// The package as [`InstalledPackage::id`] names it.
    pub id: String,
    /// The binary package, without its architecture.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The source package.
    pub source_package: String,
    /// The source package's version.
    pub source_version: String,
}

/// The checksum that a package database has for a file, in hexadecimal. It prints as
/// `md5:…` or `sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageChecksum {
    /// dpkg's, and rpm's before 2009. It detects accidents, not attacks.
    Md5(String),
    /// rpm's.
    Sha256(String),
}

impl PackageChecksum {
    /// Returns the checksum of a file by the same algorithm.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read.
    pub fn of_file_as(&self, file: &Path) -> Result<Self> {
        self.of_reader_as(fs_err::File::open(file)?)
    }

    /// Returns the checksum of all bytes of a reader by the same algorithm.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read.
    pub fn of_reader_as(&self, reader: impl Read) -> Result<Self> {
        Ok(match self {
            Self::Md5(_) => Self::Md5(md5_of(reader)?),
            Self::Sha256(_) => Self::Sha256(Digest::of_reader(reader)?.to_string()),
        })
    }

    /// Parses the printed form, or returns `None` for other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("md5", sum) => Some(Self::Md5(sum.to_owned())),
            ("sha256", sum) => Some(Self::Sha256(sum.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for PackageChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Md5(sum) => write!(f, "md5:{sum}"),
            Self::Sha256(sum) => write!(f, "sha256:{sum}"),
        }
    }
}

/// The licence of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum License {
    /// Its texts: the name of each in an artifact, and its path on this system.
    Texts(BTreeMap<PathBuf, PathBuf>),
    /// No text is packaged; the database names the licence.
    Named(String),
}

/// A package that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledPackage {
    /// Its name.
    pub name: String,
    /// Its architecture, as the distribution names it: `amd64`, `all`, `x86_64`, `noarch`.
    pub architecture: String,
    /// Its version.
    pub version: String,
    /// Its dependencies: for each the names of packages, any of which satisfies it.
    pub needs: Vec<Vec<String>>,
    /// The other names that it provides.
    pub provides: Vec<String>,
}

impl InstalledPackage {
    /// Returns the name with the architecture: `gcc-12:amd64`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.name, self.architecture)
    }
}

/// The files of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageContents {
    /// The package.
    pub package: InstalledPackage,
    /// Each file by its name below `/usr` ([`unmerged`]), with its recorded checksum. Links, directories and
    /// configuration files have none.
    pub files: BTreeMap<PathBuf, Option<PackageChecksum>>,
}

impl PackageContents {
    /// Returns the SHA-256 of the names and checksums.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let sums = self.files.iter().filter_map(|(path, sum)| Some(format!("{}  {}\n", sum.as_ref()?, path.display())));
        Digest::of(sums.collect::<String>())
    }
}

/// A package database.
pub trait PackageDatabase {
    /// Returns the packages that some files belong to. A file that belongs to none is left out.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Command`] if the database cannot be read.
    fn owners(&self, files: &[PathBuf]) -> Result<BTreeMap<PathBuf, OwnedFile>>;

    /// Returns the checksum that the database has for a file of a package.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Command`] if the database cannot be read.
    fn recorded_checksum(&self, package: &str, file: &Path) -> Result<Option<PackageChecksum>>;

    /// Returns all installed packages.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Command`] if the database cannot be read.
    fn installed(&self) -> Result<Vec<InstalledPackage>>;

    /// Returns the files of some packages by their [`InstalledPackage::id`]. A package that is not installed is left
    /// out.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Command`] if the database cannot be read.
    fn contents(&self, packages: &BTreeSet<String>) -> Result<BTreeMap<String, PackageContents>>;

    /// Returns the command that reinstalls a package.
    fn reinstall(&self, package: &str) -> String;

    /// Returns the licence of a package.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Command`] if the database cannot be read.
    fn license(&self, package: &str) -> Result<License>;
}

/// Opens the package database of this system.
///
/// # Errors
/// [`Error::UnknownPackageDatabase`] if pykeel does not support the database.
pub fn database<'a>(runner: &'a dyn Runner, distro: &Distro) -> Result<Box<dyn PackageDatabase + 'a>> {
    match distro.family {
        Family::Debian => Ok(Box::new(dpkg::Dpkg::default())),
        Family::Fedora => Ok(Box::new(rpm::Rpm::new(runner))),
        Family::Other => Err(Error::UnknownPackageDatabase { distro: distro.name.clone() }),
    }
}

/// Returns the names of all packages that are installed in a root, and the names that these provide, or `None` if the
/// root has no package database that can be read here.
///
/// # Errors
/// [`Error::Io`] or [`Error::Command`] if the database of the root cannot be read.
pub fn installed_packages(root: &Path, runner: &dyn Runner) -> Result<Option<BTreeSet<String>>> {
    // A system of one family may have the other's tools installed, with an empty database.
    match Distro::read(root).family {
        Family::Debian => dpkg::installed(root),
        Family::Fedora => rpm::installed(root, runner),
        Family::Other => match dpkg::installed(root)? {
            Some(names) => Ok(Some(names)),
            None => rpm::installed(root, runner),
        },
    }
}

/// Returns the packages that some files of a root belong to, each file by its path in the root. It is empty for a root
/// without a dpkg database.
///
/// # Errors
/// [`Error::Io`] if the database of the root cannot be read.
pub fn owners_in(root: &Path, files: &[PathBuf]) -> Result<BTreeMap<PathBuf, OwnedFile>> {
    dpkg::owners_in(root, files)
}

/// Returns the name below `/usr` of a file: with a merged `/usr` a file in `/lib` has two names.
#[must_use]
pub fn unmerged(file: &Path) -> PathBuf {
    if ["/lib", "/lib64", "/bin", "/sbin"].iter().any(|top| file.starts_with(top)) {
        Path::new("/usr").join(file.strip_prefix("/").unwrap_or(file))
    } else {
        file.to_owned()
    }
}

/// Returns an MD5 in hexadecimal. It is not secure, but dpkg's database has no other checksum.
fn md5_of(mut reader: impl Read) -> Result<String> {
    let mut hasher = Md5::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Silent;
    use crate::sys::process::scripted::{Answer, Scripted};

    #[test]
    fn distributions_are_recognised_by_their_family() {
        let family = |text: &str| Distro::parse(text).family;
        assert_eq!(family("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n"), Family::Debian);
        assert_eq!(family("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), Family::Debian);
        // As the files of these distributions have it.
        assert_eq!(family("NAME=\"Fedora Linux\"\nID=fedora\nVERSION_ID=42\n"), Family::Fedora);
        assert_eq!(family("ID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"9.4\"\n"), Family::Fedora);
        assert_eq!(family("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"), Family::Fedora);
        assert_eq!(family("ID=\"amzn\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"2023\"\n"), Family::Fedora);
        assert_eq!(family("ID=arch"), Family::Other);
        assert_eq!(family("ID=alpine\n"), Family::Other);
        assert_eq!(family(""), Family::Other);
    }

    #[test]
    fn the_install_line_works_in_a_fresh_image() {
        let line = |text: &str| Distro::parse(text).install_line(&["gcc", "make"]);
        assert_eq!(line("ID=debian").unwrap(), "apt-get update && apt-get install -y --no-install-recommends gcc make");
        assert_eq!(line("ID=fedora").unwrap(), "dnf install -y --setopt=install_weak_deps=0 gcc make");
        assert_eq!(line("ID=arch"), None);
        assert_eq!(Distro::parse("ID=debian").install_line(&[]), None);
    }

    #[test]
    fn a_package_manager_runs_with_the_systems_programs_and_nothing_of_the_users_but_proxies() {
        let runner = Scripted::new().on("apt-get", Answer::new());
        install_packages(&runner, &Distro::parse("ID=debian"), &["zlib1g-dev"], &Silent).unwrap();
        let [update, install] = &runner.specs()[..] else { panic!("{:?}", runner.command_lines()) };
        assert_eq!(update.args, ["update"]);
        assert_eq!(install.args, ["install", "-y", "--no-install-recommends", "zlib1g-dev"]);
        for spec in [update, install] {
            let environment = &spec.environment;
            assert_eq!(environment["PATH"], SEARCH_PATH);
            assert_eq!(environment["LC_ALL"], "C.UTF-8");
            let others = environment.keys().filter(|name| !name.to_lowercase().ends_with("_proxy"));
            assert_eq!(others.collect::<Vec<_>>(), ["DEBIAN_FRONTEND", "LC_ALL", "PATH"]);
        }
    }

    #[test]
    fn a_database_that_is_not_known_is_refused_by_name() {
        let distro = Distro::parse("ID=arch\nPRETTY_NAME=\"Arch Linux\"\n");
        let Err(error) = database(&crate::sys::process::System, &distro) else { panic!("it was opened") };
        assert!(error.to_string().contains("Arch Linux"), "{error}");
    }

    #[test]
    fn a_checksum_survives_printing_and_says_its_algorithm() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), "abc").unwrap();
        for text in [
            "md5:900150983cd24fb0d6963f7d28e17f72",
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ] {
            let sum = PackageChecksum::parse(text).unwrap();
            assert_eq!(sum.to_string(), text);
            assert_eq!(sum.of_file_as(file.path()).unwrap(), sum);
        }
        assert_eq!(PackageChecksum::parse("crc:1"), None);
        assert_eq!(PackageChecksum::parse("900150983cd24fb0d6963f7d28e17f72"), None);
    }

    #[test]
    fn the_name_below_usr() {
        assert_eq!(unmerged(Path::new("/lib64/libz.so.1")), Path::new("/usr/lib64/libz.so.1"));
        assert_eq!(unmerged(Path::new("/library/x")), Path::new("/library/x"));
    }
}
