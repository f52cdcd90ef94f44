//! Files of this system's packages, each compared with the checksum that the package database has.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::domain::target::Target;
use crate::error::{Error, ImageError, Result};
use crate::sys::distro::{self, Distro, Family, License, OwnedFile, PackageContents, PackageDatabase, unmerged};
use crate::sys::elf;
use crate::sys::process::Runner;

/// The packages of this system.
pub(super) struct Host<'a> {
    target: Target,
    distro: &'a Distro,
    database: Box<dyn PackageDatabase + 'a>,
    contents: RefCell<BTreeMap<String, Rc<PackageContents>>>,
    /// The packages that something was taken from, by their identifiers.
    used: RefCell<BTreeMap<String, OwnedFile>>,
}

impl<'a> Host<'a> {
    /// Opens the package database.
    ///
    /// # Errors
    /// [`Error::UnknownPackageDatabase`].
    pub(super) fn new(runner: &'a dyn Runner, distro: &'a Distro, target: Target) -> Result<Self> {
        let database = distro::database(runner, distro)?;
        Ok(Self { target, distro, database, contents: RefCell::default(), used: RefCell::default() })
    }

    /// The machine whose libraries are taken.
    pub(super) const fn target(&self) -> Target {
        self.target
    }

    /// Whether the packages are dpkg's.
    pub(super) fn is_debian(&self) -> bool {
        self.distro.family == Family::Debian
    }

    /// Returns the packages that something was taken from.
    pub(super) fn used(&self) -> Vec<OwnedFile> {
        self.used.borrow().values().cloned().collect()
    }

    /// Returns the path of a library in the directories of the dynamic loader.
    ///
    /// # Errors
    /// [`ImageError::HostFile`] if there is none for this machine.
    pub(super) fn library(&self, soname: &str, needed_by: &str) -> Result<PathBuf> {
        let (places, machine) = (self.target.library_directories(), self.target.elf_machine());
        let fits = |path: &PathBuf| elf::read(path).is_ok_and(|file| file.machine == machine);
        let mut paths = places.iter().map(|place| place.join(soname));
        paths.find(fits).ok_or_else(|| {
            host_file(
                soname,
                format!("{needed_by} needs it, and no directory of libraries has it"),
                "install the package that has it".into(),
            )
        })
    }

    /// Returns the bytes of a file as its package has it. Links are followed.
    ///
    /// # Errors
    /// [`ImageError::HostFile`] if it belongs to no package or was changed, [`Error::Io`].
    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let shown = path.display().to_string();
        let file = fs_err::canonicalize(path)?;
        let owner = self.database.owners(std::slice::from_ref(&file))?.remove(&file).ok_or_else(|| {
            host_file(&shown, "it belongs to no package".into(), "install it from a package of the distribution".into())
        })?;
        let contents = self.contents_of(&owner.id)?;
        let recorded = contents.files.get(&unmerged(&file)).cloned().flatten();
        let bytes = fs_err::read(&file)?;
        let reinstall = || self.database.reinstall(&owner.package);
        let recorded = recorded.ok_or_else(|| {
            host_file(&shown, format!("the package database has no checksum of it in {}", owner.package), reinstall())
        })?;
        let found = recorded.of_reader_as(&bytes[..])?;
        if found != recorded {
            let reason = format!("it was changed: it has {found}, but {} has {recorded}", owner.package);
            return Err(host_file(&shown, reason, reinstall()));
        }
        self.used.borrow_mut().insert(owner.id.clone(), owner);
        Ok(bytes)
    }

    /// Returns the files of a package below a directory, by their paths on this system.
    ///
    /// # Errors
    /// [`ImageError::HostFile`] if the package is not installed, [`Error::Io`].
    pub(super) fn files_of(&self, package: &str, below: &Path) -> Result<Vec<PathBuf>> {
        let installed = self.database.installed()?;
        let Some(found) = installed.iter().find(|installed| installed.name == package) else {
            let remedy = self.distro.install_line(&[package]).unwrap_or_else(|| format!("install {package}"));
            return Err(host_file(&below.display().to_string(), format!("{package} is not installed"), remedy));
        };
        let contents = self.contents_of(&found.id())?;
        let files = contents.files.keys().filter(|path| path.starts_with(below) && *path != below);
        let files: Vec<PathBuf> = files.cloned().collect();
        if files.is_empty() {
            let reason = format!("{package} has no files there");
            return Err(host_file(&below.display().to_string(), reason, self.database.reinstall(package)));
        }
        Ok(files)
    }

    /// Returns the licence of a package: names and texts. It is empty if the texts are not installed.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Command`].
    pub(super) fn license(&self, package: &str) -> Result<Vec<(PathBuf, Vec<u8>)>> {
        match self.database.license(package)? {
            License::Texts(texts) => {
                let there = texts.into_iter().filter(|(_, path)| path.exists());
                there.map(|(name, path)| Ok((name, fs_err::read(path)?))).collect()
            }
            License::Named(name) => Ok(vec![("LICENSE".into(), format!("{name}\n").into_bytes())]),
        }
    }

    fn contents_of(&self, id: &str) -> Result<Rc<PackageContents>> {
        if !self.contents.borrow().contains_key(id) {
            let found = self.database.contents(&BTreeSet::from([id.to_owned()]))?;
            self.contents.borrow_mut().extend(found.into_iter().map(|(id, contents)| (id, Rc::new(contents))));
        }
        let contents = self.contents.borrow().get(id).map(Rc::clone);
        contents
            .ok_or_else(|| Error::Damaged { what: "the package database".into(), reason: format!("it has no {id}") })
    }
}

/// The error for a file that cannot be taken.
pub(super) fn host_file(file: &str, reason: String, remedy: String) -> Error {
    ImageError::HostFile { file: file.to_owned(), reason, remedy }.into()
}
