//! Bundle: copies the shared libraries that the staged files need into `<prefix>/lib`, and the files that these load by
//! name, byte for byte, each with its licence text. A copy keeps the checksum that the package database has for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::BuildContext;
use super::staging::StagedPrefix;
use crate::domain::digest::Digest;
use crate::domain::manifest::{BundledFile, BundledLibrary, LICENSES_PATH, Libraries};
use crate::domain::plan::{BuildPlan, LibraryPolicy, PlannedFile, PlannedLibrary};
use crate::error::{Error, Result};
use crate::sys::distro::{self, License, PackageDatabase};
use crate::sys::elf;
use crate::sys::fs;

/// The file that names the licence of a package that has no licence text.
const NAMED_LICENSE: &str = "LICENSE";

/// A staged prefix with the libraries of its library policy.
#[derive(Debug)]
pub struct BundledPrefix {
    staged: StagedPrefix,
    libraries: Libraries,
}

impl BundledPrefix {
    pub(super) fn root(&self) -> &Path {
        self.staged.root()
    }

    /// The bundled libraries.
    #[must_use]
    pub fn libraries(&self) -> &[BundledLibrary] {
        &self.libraries.bundled
    }

    /// The packages that the runtime image has to install.
    #[must_use]
    pub fn runtime_packages(&self) -> &[String] {
        &self.libraries.runtime_packages
    }

    pub(super) fn into_parts(self) -> (StagedPrefix, Libraries) {
        (self.staged, self.libraries)
    }
}

/// Walks DT_NEEDED of everything staged, and copies the libraries that are not glibc's own and what these load by name,
/// or lists the packages that have them.
///
/// # Errors
/// [`Error::Library`] for a library that is not in the plan, that changed since it was planned, that the package
/// database does not confirm, or that has no licence text; [`Error::Command`] if the package database cannot be
/// read; [`Error::Io`].
pub fn bundle(staged: StagedPrefix, context: &BuildContext<'_>) -> Result<BundledPrefix> {
    let plan = context.plan;
    let needed = needed_libraries(staged.root(), plan)?;
    let loaded: Vec<&PlannedFile> =
        plan.loaded.iter().filter(|file| needed.iter().any(|library| library.soname == file.loaded_by)).collect();
    let mut libraries =
        Libraries { bundled: Vec::new(), loaded: Vec::new(), runtime_packages: runtime_packages(plan, &needed) };
    if plan.request.policies.library_policy == LibraryPolicy::Bundle {
        let database = distro::database(context.runner(), context.distro)?;
        for library in needed {
            libraries.bundled.push(copy_library(library, staged.root(), database.as_ref())?);
        }
        for file in loaded {
            libraries.loaded.push(copy_loaded(file, staged.root(), database.as_ref())?);
        }
    }
    Ok(BundledPrefix { staged, libraries })
}

/// The plan's packages, without those of libraries that no file needs.
fn runtime_packages(plan: &BuildPlan, needed: &[&PlannedLibrary]) -> Vec<String> {
    let is_of = |library: &PlannedLibrary, package: &String| library.package == *package;
    let is_wanted = |package: &&String| {
        needed.iter().any(|library| is_of(library, package))
            || !plan.libraries.iter().any(|library| is_of(library, package))
    };
    plan.runtime_packages.iter().filter(is_wanted).cloned().collect()
}

/// The planned libraries that the ELF files below a directory need, directly or through another.
fn needed_libraries<'a>(root: &Path, plan: &'a BuildPlan) -> Result<Vec<&'a PlannedLibrary>> {
    let planned: BTreeMap<&str, &PlannedLibrary> =
        plan.libraries.iter().map(|library| (library.soname.as_str(), library)).collect();
    let mut queue: Vec<(String, PathBuf)> = Vec::new();
    // A shared libpython, which is the tree's own.
    let mut own = BTreeSet::new();
    for entry in fs::walk(root)?.into_iter().filter(fs::Entry::is_file) {
        let path = root.join(&entry.path);
        if elf::is_elf(&path)? {
            let file = elf::read(&path)?;
            let is_own =
                |soname: &String| !planned.contains_key(soname.as_str()) && entry.path == Path::new("lib").join(soname);
            own.extend(file.soname.filter(is_own));
            queue.extend(file.needed.into_iter().map(|soname| (soname, entry.path.clone())));
        }
    }
    let mut needed = BTreeSet::new();
    while let Some((soname, by)) = queue.pop() {
        if elf::is_glibc(&soname) || own.contains(&soname) || needed.contains(&soname) {
            continue;
        }
        let library = planned.get(soname.as_str()).ok_or_else(|| Error::Library {
            soname: soname.clone(),
            reason: format!("{} needs it, but no library of the recipe provides it", by.display()),
            remedy: "add it to a `[library]` of the recipe, or turn the module off".into(),
        })?;
        queue.extend(library.needs.iter().map(|next| (next.clone(), PathBuf::from(&soname))));
        needed.insert(soname);
    }
    Ok(needed.iter().filter_map(|soname| planned.get(soname.as_str()).copied()).collect())
}

fn copy_library(library: &PlannedLibrary, root: &Path, database: &dyn PackageDatabase) -> Result<BundledLibrary> {
    let target = root.join("lib").join(&library.soname);
    let source =
        Source { name: &library.soname, path: &library.path, sha256: library.sha256, package: &library.package };
    let package_checksum = source.copy(&target, root, database)?;
    Ok(BundledLibrary {
        soname: library.soname.clone(),
        sha256: library.sha256,
        size: fs_err::metadata(&target)?.len(),
        package: library.package.clone(),
        version: library.version.clone(),
        source_package: library.source_package.clone(),
        source_version: library.source_version.clone(),
        package_checksum,
        hardening: elf::read(&target)?.hardening,
    })
}

fn copy_loaded(file: &PlannedFile, root: &Path, database: &dyn PackageDatabase) -> Result<BundledFile> {
    let target = root.join(&file.file);
    let source = Source { name: &file.file, path: &file.path, sha256: file.sha256, package: &file.package };
    let package_checksum = source.copy(&target, root, database)?;
    Ok(BundledFile {
        file: file.file.clone(),
        loaded_by: file.loaded_by.clone(),
        sha256: file.sha256,
        size: fs_err::metadata(&target)?.len(),
        package: file.package.clone(),
        version: file.version.clone(),
        source_package: file.source_package.clone(),
        source_version: file.source_version.clone(),
        package_checksum,
    })
}

/// A file of a package, as it was planned.
struct Source<'p> {
    name: &'p str,
    path: &'p Path,
    sha256: Digest,
    package: &'p str,
}

impl Source<'_> {
    fn error(&self, reason: String, remedy: &str) -> Error {
        Error::Library { soname: self.name.to_owned(), reason, remedy: remedy.to_owned() }
    }

    /// Copies the file, and the licence texts of its package. Returns the checksum that the package database has.
    fn copy(&self, target: &Path, root: &Path, database: &dyn PackageDatabase) -> Result<String> {
        let Self { path, package, .. } = *self;
        let recorded = database.recorded_checksum(package, path)?.ok_or_else(|| {
            let reason = format!("the package database has no checksum of {} in {package}", path.display());
            self.error(reason, "reinstall the package")
        })?;
        let found = recorded.of_file_as(path)?;
        if found != recorded {
            let reason = format!("{} was changed: it has {found}, but {package} has {recorded}", path.display());
            return Err(self.error(reason, "reinstall the package"));
        }
        if let Some(directory) = target.parent() {
            fs_err::create_dir_all(directory)?;
        }
        fs_err::copy(path, target)?;
        if Digest::of_reader(fs_err::File::open(target)?)? != self.sha256 {
            return Err(self.error("it changed while the build ran".into(), "build again"));
        }
        self.copy_license(&root.join(LICENSES_PATH).join(package), database)?;
        Ok(recorded.to_string())
    }

    fn copy_license(&self, place: &Path, database: &dyn PackageDatabase) -> Result<()> {
        let package = self.package;
        fs_err::create_dir_all(place)?;
        match database.license(package)? {
            License::Texts(texts) => {
                for (name, text) in texts {
                    if !text.exists() {
                        let reason = format!("its licence text {} is missing", text.display());
                        let remedy = "reinstall the package without a setting of the package manager that leaves \
                                      documentation out";
                        return Err(self.error(reason, remedy));
                    }
                    fs::copy_into_place(&text, &place.join(name))?;
                }
            }
            License::Named(name) => {
                let text =
                    format!("The package {package} has no licence text. Its licence, as it states it:\n{name}\n");
                fs_err::write(place.join(NAMED_LICENSE), text)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::toy::{Toy, staged};
    use super::*;
    use crate::sys::process::scripted::Answer;

    const MODULE: &str = "lib/python3.13/lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so";

    /// A library and a module that needs it, linked for real.
    struct Linked {
        directory: tempfile::TempDir,
        module: Vec<u8>,
    }

    impl Linked {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let link = |output: &str, args: &[&str]| {
                let mut command = std::process::Command::new("gcc");
                command.current_dir(directory.path()).args(["-shared", "-nostdlib", "-o", output]).args(args);
                assert!(command.status().unwrap().success(), "{args:?}");
            };
            fs_err::write(directory.path().join("toy.c"), "int toy(void) { return 1; }\n").unwrap();
            fs_err::write(directory.path().join("module.c"), "int toy(void); int module(void) { return toy(); }\n")
                .unwrap();
            link("libtoy.so.1", &["toy.c", "-fPIC", "-Wl,-soname,libtoy.so.1"]);
            link("module.so", &["module.c", "-fPIC", "libtoy.so.1"]);
            let module = fs_err::read(directory.path().join("module.so")).unwrap();
            Self { directory, module }
        }

        fn library(&self) -> PathBuf {
            self.directory.path().join("libtoy.so.1")
        }

        fn planned(&self) -> PlannedLibrary {
            PlannedLibrary {
                soname: "libtoy.so.1".into(),
                sha256: Digest::of(fs_err::read(self.library()).unwrap()),
                package: "toy".into(),
                version: "1.0-1".into(),
                source_package: "toy".into(),
                source_version: "1.0-1".into(),
                needs: Vec::new(),
                path: self.library(),
            }
        }

        /// A toy with the module, whose plan has the library.
        fn toy(&self) -> Toy {
            let mut toy = Toy::new(&[(MODULE, &self.module)]);
            toy.plan.libraries = vec![self.planned()];
            toy
        }

        /// The output of `rpm --query --all`: the SHA-256 of the library in its database.
        fn recorded(&self, sha256: &str) -> Answer {
            let path = self.library().display().to_string();
            Answer::new().out(&format!("toy\tx86_64\t1.0-1\ttoy-1.0-1.src.rpm\t8\t{sha256}\t0\t{path}\n"))
        }
    }

    fn bundled(toy: &Toy) -> Result<BundledPrefix> {
        toy.build("work", |context| bundle(staged(context).unwrap(), context))
    }

    #[test]
    fn a_needed_library_is_copied_with_its_licence_and_the_database_is_asked() {
        let linked = Linked::new();
        let sum = linked.planned().sha256;
        let licence = linked.directory.path().join("LICENCE");
        fs_err::write(&licence, "Do as you like.\n").unwrap();
        let toy = linked
            .toy()
            .on("--query --all", linked.recorded(&sum.to_string()))
            .on("--licensefiles toy", Answer::new().out(licence.to_str().unwrap()));
        let bundled = bundled(&toy).unwrap();
        let [library] = bundled.libraries() else { panic!("{:?}", bundled.libraries()) };
        assert_eq!((library.sha256, library.package_checksum.clone()), (sum, format!("sha256:{sum}")));
        let copy = fs_err::read(bundled.root().join("lib/libtoy.so.1")).unwrap();
        assert_eq!(copy, fs_err::read(linked.library()).unwrap());
        let licences = bundled.root().join(LICENSES_PATH).join("toy");
        let [text] = &fs::walk(&licences).unwrap()[..] else { panic!("{}", licences.display()) };
        assert_eq!(fs_err::read_to_string(licences.join(&text.path)).unwrap(), "Do as you like.\n");
    }

    #[test]
    fn what_a_needed_library_loads_is_copied_and_nothing_else_is() {
        let linked = Linked::new();
        let library = linked.planned();
        let licence = linked.directory.path().join("LICENCE");
        fs_err::write(&licence, "Do as you like.\n").unwrap();
        let file = |file: &str, loaded_by: &str| PlannedFile {
            file: file.into(),
            loaded_by: loaded_by.into(),
            sha256: library.sha256,
            package: "toy".into(),
            version: "1.0-1".into(),
            source_package: "toy".into(),
            source_version: "1.0-1".into(),
            path: library.path.clone(),
        };
        let mut toy = linked.toy();
        toy.plan.loaded = vec![file("lib/toys/a.so", "libtoy.so.1"), file("lib/toys/b.so", "libother.so.1")];
        let toy = toy
            .on("--query --all", linked.recorded(&library.sha256.to_string()))
            .on("--licensefiles toy", Answer::new().out(licence.to_str().unwrap()));
        let bundled = bundled(&toy).unwrap();
        let [loaded] = &bundled.libraries.loaded[..] else { panic!("{:?}", bundled.libraries.loaded) };
        assert_eq!((loaded.file.as_str(), loaded.loaded_by.as_str()), ("lib/toys/a.so", "libtoy.so.1"));
        let copy = fs_err::read(bundled.root().join("lib/toys/a.so")).unwrap();
        assert_eq!((Digest::of(&copy), copy.len() as u64), (loaded.sha256, loaded.size));
        assert!(!bundled.root().join("lib/toys/b.so").exists());
    }

    #[test]
    fn a_library_that_the_package_database_does_not_confirm_is_refused() {
        let linked = Linked::new();
        for (answer, reason) in [
            (linked.recorded(&Digest::of("before").to_string()), "was changed: it has"),
            (linked.recorded(""), "has no checksum"),
        ] {
            let error = bundled(&linked.toy().on("--query --all", answer)).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn a_library_that_the_plan_does_not_have_is_an_error() {
        let mut toy = Linked::new().toy();
        toy.plan.libraries.clear();
        match bundled(&toy) {
            Err(Error::Library { soname, reason, .. }) => {
                assert_eq!(soname, "libtoy.so.1");
                assert!(reason.contains(MODULE), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_library_of_the_tree_itself_is_neither_planned_nor_copied() {
        let linked = Linked::new();
        let library = fs_err::read(linked.library()).unwrap();
        let mut toy = Toy::new(&[(MODULE, &linked.module), ("lib/libtoy.so.1", &library)]);
        toy.plan.libraries.clear();
        let toy = toy.on("--query --all", Answer::new());
        assert!(bundled(&toy).unwrap().libraries().is_empty());
    }

    #[test]
    fn libraries_of_the_system_are_listed_by_package_and_not_copied() {
        let linked = Linked::new();
        let mut toy = linked.toy();
        let unneeded = PlannedLibrary { soname: "libz.so.1".into(), package: "zlib1g".into(), ..linked.planned() };
        toy.plan.libraries.push(unneeded);
        toy.plan.runtime_packages = ["ca-certificates", "toy", "zlib1g"].map(str::to_owned).to_vec();
        toy.plan.request.policies.library_policy = LibraryPolicy::System;
        let bundled = bundled(&toy).unwrap();
        assert_eq!(bundled.runtime_packages(), ["ca-certificates", "toy"]);
        assert!(bundled.libraries().is_empty() && !bundled.root().join("lib/libtoy.so.1").exists());
        assert!(!toy.runner.command_lines().iter().any(|line| line.contains("rpm")));
    }
}
