//! The differences between two artifacts.

mod change;
mod files;
mod plans;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use self::change::changes;
pub use self::change::{Change, ListChange};
use self::files::file_changes;
pub use self::files::{FileChange, FileChanges, FileSize};
pub use self::plans::{plan_changes, value_changes};
use super::artifact::{ArtifactName, GlibcVersion};
use super::contents::{Contents, Part, PartSize, Size, Tarball};
use super::digest::Digest;
use super::manifest::BundledLibrary;
use super::sysconfig;

/// One of the two artifacts of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The name of the artifact.
    pub name: ArtifactName,
    /// The build key.
    pub build_key: Digest,
    /// The tarball; `None` for a prefix.
    pub tarball: Option<Tarball>,
    /// The size of all files.
    pub size: Size,
}

/// A bundled library on one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LibraryVersion {
    /// The package that owns it.
    pub package: String,
    /// The version of the package.
    pub version: String,
    /// The size in bytes.
    pub size: u64,
    /// The SHA-256 of the file.
    pub sha256: Digest,
}

impl From<&BundledLibrary> for LibraryVersion {
    fn from(library: &BundledLibrary) -> Self {
        let BundledLibrary { package, version, size, sha256, .. } = library;
        Self { package: package.clone(), version: version.clone(), size: *size, sha256: *sha256 }
    }
}

/// The differences between two artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The first artifact.
    pub before: Side,
    /// The second artifact.
    pub after: Side,
    /// Whether nothing differs, except perhaps the compression.
    pub same: bool,
    /// The glibc floor, if it differs.
    pub glibc_floor: Option<Change<GlibcVersion>>,
    /// The fields of the plan that differ; modules, libraries and packages have their own lists.
    pub plan: Vec<Change<serde_json::Value>>,
    /// Extension modules.
    pub modules: ListChange,
    /// Modules linked into the interpreter.
    pub builtin_modules: ListChange,
    /// Bundled libraries that were added, removed or have other bytes.
    pub libraries: Vec<Change<LibraryVersion>>,
    /// Packages that the runtime image should install.
    pub runtime_packages: ListChange,
    /// The parts whose size differs, in the order of the difference.
    pub parts: Vec<Change<Size>>,
    /// The files that differ.
    pub files: FileChanges,
    /// The variables of `sysconfig` that differ.
    pub sysconfig: Vec<Change<sysconfig::Value>>,
}

/// The variables of one side's `_sysconfigdata*.py`.
pub type Variables = BTreeMap<String, sysconfig::Value>;

/// Compares two artifacts and their `sysconfig` variables.
#[must_use]
pub fn compare(before: (&Contents, &Variables), after: (&Contents, &Variables)) -> Comparison {
    let ((before, variables_before), (after, variables_after)) = (before, after);
    let (old, new) = (&before.manifest, &after.manifest);
    let mut comparison = Comparison {
        before: side(before),
        after: side(after),
        same: false,
        glibc_floor: (old.glibc_floor != new.glibc_floor).then(|| Change {
            name: "glibc_floor".into(),
            before: Some(old.glibc_floor),
            after: Some(new.glibc_floor),
        }),
        // The manifest's lists of these are compared separately.
        plan: plan_changes(&old.plan, &new.plan)
            .into_iter()
            .filter(|change| !["modules", "libraries", "runtime_packages"].contains(&field(&change.name)))
            .collect(),
        modules: ListChange::between(&old.modules, &new.modules),
        builtin_modules: ListChange::between(&old.builtin_modules, &new.builtin_modules),
        libraries: changes(&libraries(&old.libraries), &libraries(&new.libraries)),
        runtime_packages: ListChange::between(&old.runtime_packages, &new.runtime_packages),
        parts: part_changes(&before.parts(), &after.parts()),
        files: file_changes(before, after),
        sysconfig: changes(variables_before, variables_after),
    };
    comparison.same = comparison.is_empty();
    comparison
}

impl Comparison {
    fn is_empty(&self) -> bool {
        let Self { glibc_floor, plan, modules, builtin_modules, libraries, runtime_packages, .. } = self;
        let FileChanges { added, removed, changed } = &self.files;
        let lists = [modules, builtin_modules, runtime_packages];
        let files = added.is_empty() && removed.is_empty() && changed.is_empty();
        // Sizes and variables differ only if files do.
        files && glibc_floor.is_none() && plan.is_empty() && libraries.is_empty() && lists.iter().all(|l| l.is_empty())
    }
}

fn side(contents: &Contents) -> Side {
    Side {
        name: contents.manifest.name.clone(),
        build_key: contents.manifest.build_key,
        tarball: contents.tarball.clone(),
        size: contents.total(),
    }
}

fn libraries(libraries: &[BundledLibrary]) -> BTreeMap<String, LibraryVersion> {
    libraries.iter().map(|library| (library.soname.clone(), library.into())).collect()
}

/// Returns the first part of a path: the field of the plan.
fn field(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

fn part_changes(before: &[PartSize], after: &[PartSize]) -> Vec<Change<Size>> {
    let sizes = |parts: &[PartSize]| -> BTreeMap<String, Size> {
        let size = |part: &PartSize| Size { files: part.files, bytes: part.bytes };
        parts.iter().map(|part| (part.part.name().to_owned(), size(part))).collect()
    };
    let mut changes = changes(&sizes(before), &sizes(after));
    let bytes = |size: Option<Size>| size.unwrap_or_default().bytes;
    changes.sort_by_key(|change| Reverse(bytes(change.before).abs_diff(bytes(change.after))));
    changes
}

/// Returns the title of a part from its name in a [`Comparison`].
#[must_use]
pub fn part_title(name: &str) -> &str {
    name.parse::<Part>().map_or(name, |part| part.title())
}

/// Whether a path is `_sysconfigdata*.py` of the standard library, which has the `sysconfig` variables.
/// A file of that name in another directory is not.
#[must_use]
pub fn is_sysconfig(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let directory = path.parent().and_then(Path::to_str).unwrap_or_default();
    let in_stdlib = directory.strip_prefix("lib/python").is_some_and(|rest| !rest.contains('/'));
    in_stdlib && name.starts_with("_sysconfigdata") && name.ends_with(".py")
}
