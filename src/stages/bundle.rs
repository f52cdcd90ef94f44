//! Bundle: copies the shared libraries that the staged files need into `<prefix>/lib`, byte for
//! byte, each with its licence text. Nothing is edited: a bundled file still has the checksum that
//! the distribution's package database has for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::BuildContext;
use super::staging::StagedPrefix;
use crate::domain::digest::Digest;
use crate::domain::manifest::{BundledLibrary, LICENSES_PATH, Libraries};
use crate::domain::plan::{BuildPlan, LibraryPolicy, PlannedLibrary};
use crate::error::{Error, Result};
use crate::sys::distro::{self, Distro, License, PackageDatabase};
use crate::sys::elf;
use crate::sys::fs;

/// The name of the file that says which licence a package has that has no licence text.
const NAMED_LICENSE: &str = "LICENSE";

/// A staged prefix with all the libraries that its policy gives it.
#[derive(Debug)]
pub struct BundledPrefix {
    staged: StagedPrefix,
    libraries: Libraries,
}

impl BundledPrefix {
    pub(super) fn root(&self) -> &Path {
        self.staged.root()
    }

    /// What was bundled.
    #[must_use]
    pub fn libraries(&self) -> &[BundledLibrary] {
        &self.libraries.bundled
    }

    /// What the runtime image has to install.
    #[must_use]
    pub fn runtime_packages(&self) -> &[String] {
        &self.libraries.runtime_packages
    }

    pub(super) fn into_parts(self) -> (StagedPrefix, Libraries) {
        (self.staged, self.libraries)
    }
}

/// Walks DT_NEEDED of everything staged and copies what is not glibc's own, or lists the packages
/// that have it.
///
/// # Errors
/// [`Error::Library`] for a library that the plan does not have, that changed since, or whose
/// licence text is not there.
pub fn bundle(staged: StagedPrefix, context: &BuildContext<'_>) -> Result<BundledPrefix> {
    let plan = context.plan;
    let needed = needed_libraries(staged.root(), plan)?;
    let runtime_packages = runtime_packages(plan, &needed);
    let mut bundled = Vec::new();
    if plan.request.policies.library_policy == LibraryPolicy::Bundle {
        let database = distro::database(context.runner(), &Distro::read(Path::new("/")))?;
        for library in needed {
            bundled.push(copy(library, staged.root(), database.as_ref())?);
        }
    }
    Ok(BundledPrefix { staged, libraries: Libraries { bundled, runtime_packages } })
}

/// The plan's packages without those that only have libraries which nothing turned out to need.
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
    for entry in fs::walk(root)?.into_iter().filter(fs::Entry::is_file) {
        let path = root.join(&entry.path);
        if elf::is_elf(&path)? {
            queue.extend(elf::read(&path)?.needed.into_iter().map(|soname| (soname, entry.path.clone())));
        }
    }
    let mut needed = BTreeSet::new();
    while let Some((soname, by)) = queue.pop() {
        if elf::is_glibc(&soname) || needed.contains(&soname) {
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

fn copy(library: &PlannedLibrary, root: &Path, database: &dyn PackageDatabase) -> Result<BundledLibrary> {
    let error = |reason: String, remedy: &str| Error::Library {
        soname: library.soname.clone(),
        reason,
        remedy: remedy.to_owned(),
    };
    let package = &library.package;
    let recorded = database.recorded_checksum(package, &library.path)?.ok_or_else(|| {
        error(
            format!("the package database has no checksum of {} in {package}", library.path.display()),
            "reinstall the package",
        )
    })?;
    let found = recorded.of_file_as(&library.path)?;
    if found != recorded {
        return Err(error(
            format!("{} was changed: it has {found}, but {package} has {recorded}", library.path.display()),
            "reinstall the package",
        ));
    }
    let target = root.join("lib").join(&library.soname);
    fs_err::copy(&library.path, &target)?;
    let digest = Digest::of_reader(fs_err::File::open(&target)?)?;
    if digest != library.sha256 {
        return Err(error("it changed while the build ran".into(), "build again"));
    }
    let place = root.join(LICENSES_PATH).join(package);
    fs_err::create_dir_all(&place)?;
    match database.license(package)? {
        License::Texts(texts) => {
            for (name, text) in texts {
                if !text.exists() {
                    return Err(error(
                        format!("its licence text {} is missing", text.display()),
                        "reinstall the package without a setting of the package manager that leaves documentation out",
                    ));
                }
                fs::copy_into_place(&text, &place.join(name))?;
            }
        }
        License::Named(name) => {
            let text = format!("The package {package} has no licence text. Its licence, as it states it:\n{name}\n");
            fs_err::write(place.join(NAMED_LICENSE), text)?;
        }
    }
    Ok(BundledLibrary {
        soname: library.soname.clone(),
        sha256: digest,
        size: fs_err::metadata(&target)?.len(),
        package: package.clone(),
        version: library.version.clone(),
        source_package: library.source_package.clone(),
        source_version: library.source_version.clone(),
        package_checksum: recorded.to_string(),
        hardening: elf::read(&target)?.hardening,
    })
}
