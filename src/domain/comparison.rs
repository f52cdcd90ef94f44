//! What differs between two artifacts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::artifact::{ArtifactName, GlibcVersion};
use super::contents::{Contents, File, Part, PartSize, Size, Tarball, path_text};
use super::digest::Digest;
use super::manifest::BundledLibrary;
use super::plan::{BuildPlan, Provenance};
use super::sysconfig;

/// Which artifact one side is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Its name.
    pub name: ArtifactName,
    /// Its build key.
    pub build_key: Digest,
    /// The tarball; none for a prefix.
    pub tarball: Option<Tarball>,
    /// The size of all files.
    pub size: Size,
}

/// Something that has two values, or one of them only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change<T> {
    /// What it is: a field, a variable, a part.
    pub name: String,
    /// The value of the first artifact.
    pub before: Option<T>,
    /// The value of the second.
    pub after: Option<T>,
}

/// What one list has more than the other, in the order of the lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ListChange {
    /// What only the second has.
    pub added: Vec<String>,
    /// What only the first has.
    pub removed: Vec<String>,
}

impl ListChange {
    fn between(before: &[String], after: &[String]) -> Self {
        let lacks = |list: &[String], other: &[String]| -> Vec<String> {
            let other: BTreeSet<&String> = other.iter().collect();
            list.iter().filter(|item| !other.contains(item)).cloned().collect()
        };
        Self { added: lacks(after, before), removed: lacks(before, after) }
    }

    /// Whether both have the same.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// A bundled library on one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LibraryVersion {
    /// The package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Bytes.
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

/// A file that one side has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileSize {
    /// Relative to the prefix.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// A file that both sides have, with other bytes or under the name of another series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// In the first artifact.
    pub before: FileSize,
    /// In the second.
    pub after: FileSize,
}

impl FileChange {
    const fn by(&self) -> u64 {
        self.before.size.abs_diff(self.after.size)
    }
}

/// The files that differ, the largest first; those changed, by how much their size changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FileChanges {
    /// Files that only the second has.
    pub added: Vec<FileSize>,
    /// Files that only the first has.
    pub removed: Vec<FileSize>,
    /// Files with other bytes.
    pub changed: Vec<FileChange>,
}

/// What differs between two artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The first.
    pub before: Side,
    /// The second.
    pub after: Side,
    /// Whether nothing differs but perhaps how it is packed.
    pub same: bool,
    /// The glibc floor, where it differs.
    pub glibc_floor: Option<Change<GlibcVersion>>,
    /// The fields of the plan that differ; modules, libraries and packages have their own lists.
    pub plan: Vec<Change<serde_json::Value>>,
    /// Extension modules.
    pub modules: ListChange,
    /// Modules linked into the interpreter.
    pub builtin_modules: ListChange,
    /// Bundled libraries that are new, gone or of another version.
    pub libraries: Vec<Change<LibraryVersion>>,
    /// What the runtime image should install besides.
    pub runtime_packages: ListChange,
    /// The parts whose size differs, by how much it does.
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
        // The manifest says what came of these, and that is compared by itself.
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
        // Sizes and variables differ only where files do.
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

/// What differs between two maps, in the order of their keys.
fn changes<T: Clone + PartialEq>(before: &BTreeMap<String, T>, after: &BTreeMap<String, T>) -> Vec<Change<T>> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .map(|name| Change { name: name.clone(), before: before.get(name).cloned(), after: after.get(name).cloned() })
        .filter(|change| change.before != change.after)
        .collect()
}

fn libraries(libraries: &[BundledLibrary]) -> BTreeMap<String, LibraryVersion> {
    libraries.iter().map(|library| (library.soname.clone(), library.into())).collect()
}

/// What differs between two plans, with fields as `toolchain.compiler`, `environment.CC`,
/// `patches.3.13/name.patch`; so that a new field is compared from the day it is there. Fields of the request
/// have no prefix. What decides no byte is not compared.
#[must_use]
pub fn plan_changes(before: &BuildPlan, after: &BuildPlan) -> Vec<Change<serde_json::Value>> {
    // A plan always serialises; `build_key` relies on it as well.
    let value = |plan: &BuildPlan| {
        let plan = BuildPlan { provenance: Provenance::default(), ..plan.clone() };
        serde_json::to_value(plan).unwrap_or_default()
    };
    let mut changes = value_changes(value(before), value(after));
    for change in &mut changes {
        for nested in ["request.", "policies."] {
            if let Some(name) = change.name.strip_prefix(nested) {
                change.name = name.to_owned();
            }
        }
    }
    changes.sort_by(|a, b| a.name.cmp(&b.name));
    changes
}

/// What differs between two values of JSON, by the paths of their fields.
#[must_use]
pub fn value_changes(before: serde_json::Value, after: serde_json::Value) -> Vec<Change<serde_json::Value>> {
    let fields = |value: serde_json::Value| {
        let mut fields = BTreeMap::new();
        flatten(String::new(), value, &mut fields);
        fields
    };
    changes(&fields(before), &fields(after))
}

/// The field of a plan that a change is in.
fn field(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

fn flatten(name: String, value: serde_json::Value, fields: &mut BTreeMap<String, serde_json::Value>) {
    use serde_json::Value;
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                flatten(below(&name, &key), value, fields);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, item) in items.into_iter().enumerate() {
                let key = item.get("name").or_else(|| item.get("soname")).and_then(Value::as_str);
                flatten(below(&name, &key.map_or_else(|| index.to_string(), str::to_owned)), item, fields);
            }
        }
        // Nothing at all and an empty list are the same to a reader.
        Value::Null => {}
        Value::Array(items) if items.is_empty() => {}
        value => drop(fields.insert(name, value)),
    }
}

fn below(name: &str, key: &str) -> String {
    if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") }
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

/// A path without series and variant, and how many files before it have the same.
type Key = (PathBuf, usize);

/// The files by a name that does not depend on the series: `lib/python3.13/ssl.py` and
/// `lib/python3.14/ssl.py` are the same file of two releases.
fn by_key(contents: &Contents) -> BTreeMap<Key, &File> {
    let plan = &contents.manifest.plan;
    let (series, short) = (plan.request.release.series().to_string(), plan.short_version());
    // The longer ones first: `python3.13t` is not `python3.13` and a `t`.
    let names = [
        (format!("python{short}"), "pythonX.Y"),
        (format!("python{series}"), "pythonX.Y"),
        (format!("python-{short}"), "python-X.Y"),
        (format!("cpython-{}", short.replace('.', "")), "cpython-XY"),
        (format!("cpython-{}", series.replace('.', "")), "cpython-XY"),
    ];
    let mut files = BTreeMap::new();
    for file in &contents.files {
        let path = file.path.to_str().map_or_else(
            || file.path.clone(),
            |path| names.iter().fold(path.to_owned(), |path, (from, to)| path.replace(from.as_str(), to)).into(),
        );
        let twins = files.range((path.clone(), 0)..=(path.clone(), usize::MAX)).count();
        files.insert((path, twins), file);
    }
    files
}

/// The files by their paths.
fn by_path(contents: &Contents) -> BTreeMap<Key, &File> {
    contents.files.iter().map(|file| ((file.path.clone(), 0), file)).collect()
}

fn file_changes(before: &Contents, after: &Contents) -> FileChanges {
    let series =
        |contents: &Contents| (contents.manifest.plan.request.release.series(), contents.manifest.plan.request.variant);
    let key = if series(before) == series(after) { by_path } else { by_key };
    let (old, new) = (key(before), key(after));
    let size = |file: &File| FileSize { path: path_text(&file.path), size: file.size };
    let lacks = |files: &BTreeMap<Key, &File>, others: &BTreeMap<Key, &File>| -> Vec<FileSize> {
        let mut files: Vec<FileSize> =
            files.iter().filter(|(key, _)| !others.contains_key(*key)).map(|(_, file)| size(file)).collect();
        files.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
        files
    };
    let mut changed: Vec<FileChange> = old
        .iter()
        .filter_map(|(key, file)| Some((*file, *new.get(key)?)))
        .filter(|(before, after)| before.sha256 != after.sha256)
        .map(|(before, after)| FileChange { before: size(before), after: size(after) })
        .collect();
    changed.sort_by(|a, b| (b.by().cmp(&a.by())).then_with(|| a.after.path.cmp(&b.after.path)));
    FileChanges { added: lacks(&new, &old), removed: lacks(&old, &new), changed }
}

/// The title of a part by its name in a [`Comparison`].
#[must_use]
pub fn part_title(name: &str) -> &str {
    name.parse::<Part>().map_or(name, |part| part.title())
}

/// Which file of an artifact holds its `sysconfig` variables: the standard library's own, and no
/// other that somebody put elsewhere.
#[must_use]
pub fn is_sysconfig(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let directory = path.parent().and_then(Path::to_str).unwrap_or_default();
    let in_stdlib = directory.strip_prefix("lib/python").is_some_and(|rest| !rest.contains('/'));
    in_stdlib && name.starts_with("_sysconfigdata") && name.ends_with(".py")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::contents::tests::contents;
    use crate::domain::plan::{Bytecode, PlannedPatch};
    use crate::domain::version::Variant;

    fn compared(before: &Contents, after: &Contents) -> Comparison {
        compare((before, &Variables::new()), (after, &Variables::new()))
    }

    #[test]
    fn an_artifact_is_the_same_as_itself() {
        let contents = contents(&[("bin/python3.13", 500), ("lib/python3.13/ssl.py", 10)]);
        let comparison = compared(&contents, &contents);
        assert!(comparison.same && comparison.parts.is_empty() && comparison.sysconfig.is_empty());
    }

    #[test]
    fn what_changed_is_named() {
        let before = contents(&[("bin/python3.13", 500), ("lib/python3.13/ssl.py", 10), ("lib/libz.so.1", 7)]);
        let mut after = contents(&[("bin/python3.13", 450), ("lib/python3.13/ssl.py", 10), ("include/a.h", 3)]);
        let manifest = &mut after.manifest;
        manifest.plan.request.policies.bytecode = Bytecode::UncheckedHash;
        manifest.plan.toolchain.compiler = "gcc 14".into();
        manifest.plan.environment.insert("CFLAGS".into(), "-g".into());
        manifest.plan.patches = vec![PlannedPatch { name: "3.13/a.patch".into(), sha256: Digest::of("a") }];
        manifest.glibc_floor = "2.36".parse().unwrap();
        manifest.modules = vec!["_bz2".into()];
        manifest.libraries[0].version = "3.0.2".into();
        let variables = |value| Variables::from([("CC".to_owned(), value), ("X".into(), sysconfig::Value::Number(1))]);
        let comparison = compare(
            (&before, &variables(sysconfig::Value::Text("gcc".into()))),
            (&after, &variables(sysconfig::Value::Text("gcc-14".into()))),
        );
        assert!(!comparison.same);
        let fields: Vec<_> = comparison.plan.iter().map(|change| change.name.as_str()).collect();
        let expected = [
            "bytecode",
            "environment.CFLAGS",
            "patches.3.13/a.patch.name",
            "patches.3.13/a.patch.sha256",
            "toolchain.compiler",
        ];
        assert_eq!(fields, expected);
        assert_eq!(comparison.glibc_floor.unwrap().after.unwrap().to_string(), "2.36");
        assert_eq!(comparison.modules, ListChange { added: vec!["_bz2".into()], removed: vec!["_ssl".into()] });
        let library = &comparison.libraries[0];
        let versions = [&library.before, &library.after].map(|side| side.as_ref().unwrap().version.as_str());
        assert_eq!((library.name.as_str(), versions), ("libssl.so.3", ["3.0.1", "3.0.2"]));
        let parts: Vec<_> = comparison.parts.iter().map(|change| change.name.as_str()).collect();
        assert_eq!(parts, ["interpreter", "libraries", "headers"]);
        assert_eq!(comparison.files.added, [FileSize { path: "include/a.h".into(), size: 3 }]);
        assert_eq!(comparison.files.removed, [FileSize { path: "lib/libz.so.1".into(), size: 7 }]);
        assert_eq!(comparison.files.changed.len(), 1);
        assert_eq!(comparison.files.changed[0].by(), 50);
        assert_eq!(comparison.sysconfig.len(), 1);
        assert_eq!(comparison.sysconfig[0].name, "CC");
    }

    #[test]
    fn a_file_is_the_same_file_in_another_series_and_variant() {
        let before = contents(&[
            ("bin/python3.13", 1),
            ("lib/python3.13/ssl.py", 10),
            ("lib/python3.13/lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so", 20),
            ("include/python3.13/Python.h", 2),
        ]);
        let mut after = contents(&[
            ("bin/python3.14t", 1),
            ("lib/python3.14t/ssl.py", 11),
            ("lib/python3.14t/lib-dynload/_ssl.cpython-314t-x86_64-linux-gnu.so", 20),
            ("include/python3.14t/Python.h", 2),
        ]);
        after.manifest.plan.request.release = "3.14.0".parse().unwrap();
        after.manifest.plan.request.variant = Variant::FreeThreaded;
        let files = compared(&before, &after).files;
        assert!(files.added.is_empty() && files.removed.is_empty(), "{files:?}");
        let [FileChange { before, after }] = &files.changed[..] else { panic!("{files:?}") };
        assert_eq!((before.path.as_str(), after.path.as_str()), ("lib/python3.13/ssl.py", "lib/python3.14t/ssl.py"));
    }

    #[test]
    fn the_variables_are_the_standard_librarys() {
        let name = "_sysconfigdata__linux_x86_64-linux-gnu.py";
        assert!(is_sysconfig(Path::new(&format!("lib/python3.13/{name}"))));
        assert!(!is_sysconfig(Path::new(&format!("lib/python3.13/site-packages/{name}"))));
        assert!(!is_sysconfig(Path::new("lib/python3.13/__pycache__/_sysconfigdata.cpython-313.pyc")));
        assert!(!is_sysconfig(Path::new(&format!("share/{name}"))));
    }

    fn trees() -> impl Strategy<Value = Contents> {
        let files =
            prop::collection::vec(("lib/(python3\\.13|cpython-313|pythonX\\.Y)/[ab]{1,2}(\\.pyc)?", 0u64..4), 0..12);
        (files, any::<bool>()).prop_map(|(files, newer)| {
            let files: BTreeMap<&str, u64> = files.iter().map(|(path, size)| (path.as_str(), *size)).collect();
            let mut contents = contents(&files.into_iter().collect::<Vec<_>>());
            if newer {
                contents.manifest.plan.request.variant = Variant::FreeThreaded;
            }
            contents
        })
    }

    fn turned<T>(change: Change<T>) -> Change<T> {
        Change { name: change.name, before: change.after, after: change.before }
    }

    proptest! {
        #[test]
        fn nothing_differs_from_itself(a in trees()) {
            prop_assert!(compared(&a, &a).same);
        }

        #[test]
        fn the_way_back_is_the_way_there_turned_round(a in trees(), b in trees()) {
            let (there, back) = (compared(&a, &b), compared(&b, &a));
            prop_assert_eq!(there.same, back.same);
            prop_assert!(!there.same || a.files == b.files);
            prop_assert_eq!(&there.files.added, &back.files.removed);
            prop_assert_eq!(&there.files.removed, &back.files.added);
            let mut changed: Vec<FileChange> = back.files.changed.into_iter()
                .map(|change| FileChange { before: change.after, after: change.before }).collect();
            changed.sort_by(|a, b| (b.by().cmp(&a.by())).then_with(|| a.after.path.cmp(&b.after.path)));
            prop_assert_eq!(&there.files.changed, &changed);
            prop_assert_eq!(there.parts, back.parts.into_iter().map(turned).collect::<Vec<_>>());
            prop_assert_eq!(there.plan, back.plan.into_iter().map(turned).collect::<Vec<_>>());
        }

        #[test]
        fn no_file_is_lost(a in trees(), b in trees()) {
            let files = compared(&a, &b).files;
            // What is there besides additions and changes is the same on both sides.
            prop_assert_eq!(a.files.len() - files.removed.len(), b.files.len() - files.added.len());
            prop_assert!(files.changed.len() <= b.files.len() - files.added.len());
        }
    }
}
