//! The distribution: what it is, how it installs packages, and what its package database knows.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use md5::{Digest as _, Md5};

use super::process::{Runner, Spec, Stream};
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};

/// How a distribution manages packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// dpkg and apt: Debian, Ubuntu.
    Debian,
    /// rpm and dnf: Fedora, Red Hat and its kin.
    Fedora,
    /// Something else.
    Other,
}

/// What runs here, from `/etc/os-release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distro {
    /// `Debian GNU/Linux 12 (bookworm)`.
    pub name: String,
    /// How it manages packages.
    pub family: Family,
}

impl Distro {
    /// Reads `/etc/os-release` below a root.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        // A root without the file is a distribution that cannot be told.
        let text = fs_err::read_to_string(root.join("etc/os-release")).unwrap_or_default();
        Self::parse(&text)
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
        Self { name: value("PRETTY_NAME").unwrap_or_else(|| "this distribution".into()), family }
    }

    /// The one line that installs some packages.
    #[must_use]
    pub fn install_line(&self, packages: &[&str]) -> Option<String> {
        let list = packages.join(" ");
        match self.family {
            Family::Debian => Some(format!("apt-get install -y --no-install-recommends {list}")),
            Family::Fedora => Some(format!("dnf install -y {list}")),
            Family::Other => None,
        }
    }
}

/// Installs packages as [`Distro::install_line`] says, after `apt-get update` where that is due.
///
/// # Errors
/// What the package manager answers.
pub fn install_packages(
    runner: &dyn Runner,
    distro: &Distro,
    packages: &[&str],
    reporter: &dyn Reporter,
) -> Result<()> {
    let Some(line) = distro.install_line(packages) else {
        return Err(Error::Usage(format!("--install-deps knows apt-get and dnf, and {} has neither", distro.name)));
    };
    let mut commands = vec![line];
    if distro.family == Family::Debian {
        commands.insert(0, "apt-get update".into());
    }
    for line in commands {
        reporter.report(Event::Detail(line.clone()));
        let mut words = line.split(' ');
        let spec = Spec::new(words.next().unwrap_or_default()).args(words.map(str::to_owned)).environment([
            ("DEBIAN_FRONTEND", "noninteractive".into()),
            ("PATH", std::env::var_os("PATH").unwrap_or_default()),
            ("LC_ALL", "C.UTF-8".into()),
        ]);
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

/// A file and the package it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedFile {
    /// The binary package, without its architecture.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The source package.
    pub source_package: String,
    /// The source package's version.
    pub source_version: String,
}

/// What the package database knows.
pub struct PackageDatabase<'a> {
    runner: &'a dyn Runner,
    family: Family,
}

impl<'a> PackageDatabase<'a> {
    /// The database of a distribution.
    ///
    /// # Errors
    /// [`Error::Usage`] where pykeel cannot read the database.
    pub fn open(runner: &'a dyn Runner, distro: &Distro) -> Result<Self> {
        if distro.family == Family::Debian {
            Ok(Self { runner, family: distro.family })
        } else {
            Err(Error::Usage(format!(
                "pykeel reads the package database of Debian and Ubuntu, and cannot tell which package a library of {} \
                 belongs to",
                distro.name
            )))
        }
    }

    fn query(&self, args: &[&str]) -> Result<String> {
        debug_assert_eq!(self.family, Family::Debian);
        let spec = Spec::new("dpkg-query").args(args.iter().map(ToString::to_string)).timeout(Duration::from_mins(1));
        self.runner.capture(&spec)
    }

    /// The packages that some files belong to. A file that belongs to none is left out.
    ///
    /// # Errors
    /// What the package manager answers.
    pub fn owners(&self, files: &[PathBuf]) -> Result<BTreeMap<PathBuf, OwnedFile>> {
        let spellings: Vec<String> = files.iter().flat_map(|file| spellings(file)).collect();
        if spellings.is_empty() {
            return Ok(BTreeMap::new());
        }
        // It fails when one is not found, which of two spellings one never is; its answer counts.
        let mut found = BTreeMap::new();
        let spec = Spec::new("dpkg-query").arg("--search").args(spellings).timeout(Duration::from_mins(1));
        self.runner.run(&spec, &mut |stream, line| {
            // What is not found it says on standard error.
            if let Some((packages, path)) = line.split_once(": ").filter(|_| stream == Stream::Out) {
                let package = packages.split(',').next().unwrap_or(packages);
                found.insert(unmerged(Path::new(path)), package.to_owned());
            }
        })?;
        let names: std::collections::BTreeSet<_> = found.values().cloned().collect();
        let packages = self.packages(&names.into_iter().collect::<Vec<_>>())?;
        Ok(files
            .iter()
            .filter_map(|file| {
                let package = packages.get(found.get(&unmerged(file))?)?;
                Some((file.clone(), package.clone()))
            })
            .collect())
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

    /// The checksum that the database has for a file, in hexadecimal: the file's MD5.
    ///
    /// # Errors
    /// What the package manager answers.
    pub fn recorded_checksum(&self, package: &str, file: &Path) -> Result<Option<String>> {
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
            .map(|(sum, _)| sum.to_owned()))
    }

    /// Where the licence text of a package lies (Debian policy 12.5).
    #[must_use]
    pub fn license(&self, package: &str) -> PathBuf {
        Path::new("/usr/share/doc").join(package).join("copyright")
    }
}

/// A file of a merged `/usr` has two names, and the database knows it by one of them.
fn spellings(file: &Path) -> Vec<String> {
    let merged = unmerged(file);
    let short = merged.strip_prefix("/usr").map(|rest| Path::new("/").join(rest));
    std::iter::once(merged.clone()).chain(short).map(|path| path.display().to_string()).collect()
}

/// The name below `/usr` of a file that may be named without it.
fn unmerged(file: &Path) -> PathBuf {
    if file.starts_with("/lib") || file.starts_with("/lib64") || file.starts_with("/bin") || file.starts_with("/sbin") {
        Path::new("/usr").join(file.strip_prefix("/").unwrap_or(file))
    } else {
        file.to_owned()
    }
}

/// The MD5 of a file in hexadecimal: not for safety, but because dpkg's database has no other.
///
/// # Errors
/// That it cannot be read.
pub fn md5_of(path: &Path) -> Result<String> {
    let mut hasher = Md5::new();
    let mut file = fs_err::File::open(path)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::System;

    #[test]
    fn distributions_are_told_by_what_they_are_like() {
        let debian = Distro::parse("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n");
        assert_eq!(debian.family, Family::Debian);
        assert_eq!(
            debian.install_line(&["gcc", "make"]).unwrap(),
            "apt-get install -y --no-install-recommends gcc make"
        );
        let rocky = Distro::parse("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n");
        assert_eq!(rocky.family, Family::Fedora);
        assert_eq!(rocky.install_line(&["gcc"]).unwrap(), "dnf install -y gcc");
        assert_eq!(Distro::parse("ID=arch").install_line(&["gcc"]), None);
        assert_eq!(Distro::parse("").family, Family::Other);
    }

    #[test]
    fn a_merged_usr_has_two_names_for_a_file() {
        assert_eq!(spellings(Path::new("/lib/x/libz.so.1")), ["/usr/lib/x/libz.so.1", "/lib/x/libz.so.1"]);
        assert_eq!(spellings(Path::new("/opt/x")), ["/opt/x"]);
    }

    #[test]
    fn dpkg_knows_libc() {
        let distro = Distro::read(Path::new("/"));
        if distro.family != Family::Debian {
            eprintln!("skipped: {} has no dpkg", distro.name);
            return;
        }
        let database = PackageDatabase::open(&System, &distro).unwrap();
        let file = fs_err::canonicalize("/bin/sh").unwrap();
        let nobody = PathBuf::from("/usr/lib/no-such-file");
        let owners = database.owners(&[file.clone(), nobody]).unwrap();
        assert_eq!(owners.len(), 1);
        let owner = &owners[&file];
        assert!(!owner.version.is_empty() && !owner.source_package.is_empty(), "{owner:?}");
        assert_eq!(database.recorded_checksum(&owner.package, &file).unwrap().unwrap(), md5_of(&file).unwrap());
    }
}
