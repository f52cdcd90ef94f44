//! The names of definitions: which recipe one means, and which are files for the original python-build.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::original::Original;
use crate::domain::version::{Selector, Variant, VersionRequest};
use crate::error::Error;
use crate::recipe::Catalog;

/// What a name means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A release of a recipe.
    Recipe(VersionRequest),
    /// A definition that is this file of shell, which only the original python-build runs.
    Definition(PathBuf),
    /// Nothing, with the names that are near.
    Unknown(Vec<String>),
}

/// Where names come from.
#[derive(Debug)]
pub(super) struct Definitions {
    /// The user's directories, which come before everything else.
    of_user: Vec<PathBuf>,
    /// The directories of the original python-build.
    of_original: Vec<PathBuf>,
    /// Whether the recipes count. `PYTHON_BUILD_ROOT` replaces all that is built in.
    has_recipes: bool,
}

impl Definitions {
    /// Reads `PYTHON_BUILD_DEFINITIONS` and `PYTHON_BUILD_ROOT`.
    pub(super) fn new(original: Option<&Original>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let said = variable("PYTHON_BUILD_DEFINITIONS").unwrap_or_default();
        let root = variable("PYTHON_BUILD_ROOT").filter(|root| !root.is_empty()).map(PathBuf::from);
        let has_recipes = root.is_none();
        let named = std::env::split_paths(&said).filter(|path| path.is_dir());
        // pyenv names the directories of all its plugins, python-build's own among them.
        let (own, mut of_user): (Vec<_>, Vec<_>) = named.partition(|path| has_recipes && is_of_python_build(path));
        of_user.extend(root.map(|root| root.join("share/python-build")));
        let of_original = original.and_then(Original::definitions).filter(|_| has_recipes).into_iter().chain(own);
        Self { of_user, of_original: of_original.collect(), has_recipes }
    }

    /// Returns what a name means.
    pub(super) fn meaning(&self, name: &OsStr, catalog: &Catalog) -> Meaning {
        let path = Path::new(name);
        // As in a shell, only a path leads to a file of the current directory.
        if name.as_encoded_bytes().contains(&b'/') {
            return if path.is_file() { Meaning::Definition(path.to_owned()) } else { Meaning::Unknown(Vec::new()) };
        }
        if let Some(file) = file_in(&self.of_user, name) {
            return Meaning::Definition(file);
        }
        let text = name.to_str().unwrap_or_default();
        if let Some(request) = self.has_recipes.then(|| request(text, catalog)).flatten() {
            return Meaning::Recipe(request);
        }
        match file_in(&self.of_original, name) {
            Some(file) => Meaning::Definition(file),
            None => Meaning::Unknown(self.nearest(text, catalog)),
        }
    }

    /// Whether the definitions of the original are known. A packager may have put them elsewhere.
    pub(super) fn knows_those_of_original(&self) -> bool {
        !self.has_recipes || self.of_original.iter().any(|directory| directory.is_dir())
    }

    /// Returns all names in the order of python-build, each once.
    pub(super) fn names(&self, catalog: &Catalog) -> Vec<String> {
        let mut names: Vec<String> =
            self.of_user.iter().chain(&self.of_original).flat_map(|place| files(place)).collect();
        if self.has_recipes {
            names.extend(of_recipes(catalog));
        }
        names.sort_by_cached_key(|name| order(name));
        names.dedup();
        names
    }

    /// Returns the names that are near to one: the versions of a recipe, else those that are spelt alike.
    fn nearest(&self, name: &str, catalog: &Catalog) -> Vec<String> {
        if let Ok(request) = name.parse()
            && let Err(Error::UnknownVersion { nearest, .. }) = catalog.find(request)
        {
            return nearest;
        }
        let mut alike: Vec<(usize, String)> = self
            .names(catalog)
            .into_iter()
            .map(|other| (strsim::damerau_levenshtein(name, &other), other))
            .filter(|(distance, other)| *distance <= 1 + other.len() / 6)
            .collect();
        alike.sort_by_key(|(distance, other)| (*distance, order(other)));
        alike.into_iter().take(3).map(|(_, other)| other).collect()
    }
}

/// Whether a directory has the definitions of a python-build beside it.
fn is_of_python_build(directory: &Path) -> bool {
    directory.join("../../bin/python-build").exists()
}

fn file_in<'a>(directories: impl IntoIterator<Item = &'a PathBuf>, name: &OsStr) -> Option<PathBuf> {
    if name.is_empty() || name == ".." || name == "." {
        return None;
    }
    directories.into_iter().map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// Returns the names in a directory. Those of files that are hidden, and of the directory `patches`, are none.
fn files(directory: &Path) -> Vec<String> {
    // A directory that cannot be read has no definitions for this user.
    let entries = fs_err::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.starts_with('.') && name != "patches").collect()
}

/// Returns every release of every recipe, free-threaded ones too.
fn of_recipes(catalog: &Catalog) -> Vec<String> {
    let of_recipe = |recipe: &crate::recipe::Recipe| {
        let is_free = recipe.variants.contains_key(&Variant::FreeThreaded);
        let variants = [Variant::Default].into_iter().chain(is_free.then_some(Variant::FreeThreaded));
        let names =
            variants.flat_map(|variant| recipe.releases.iter().map(move |row| format!("{}{variant}", row.version)));
        names.collect::<Vec<_>>()
    };
    catalog.recipes().flat_map(of_recipe).collect()
}

/// Returns the release of a recipe that a name means: `3.13.5`, `3.13.5t`, and the newest of `3.13`, `3` and
/// `3.13:latest`.
fn request(name: &str, catalog: &Catalog) -> Option<VersionRequest> {
    let name = name.strip_suffix(":latest").unwrap_or(name);
    let newest = |variant| VersionRequest { selector: Selector::Latest, variant };
    let request = match name {
        "3" => newest(Variant::Default),
        "3t" => newest(Variant::FreeThreaded),
        _ => name.parse().ok().filter(|request: &VersionRequest| request.selector != Selector::Latest)?,
    };
    let (_, recipe) = catalog.find(request).ok()?;
    // A pre-release is built if it is named, as by pyenv.
    let is_named = matches!(request.selector, Selector::Release(_));
    (is_named || !recipe.version.is_pre_release())
        .then_some(VersionRequest { selector: Selector::Release(recipe.version), variant: request.variant })
}

/// The order of python-build's `sort_versions`: `sort -t. -k 1,1 -k 2,2n -k 3,3n -k 4,4n -k 5,5n` of a line that has the
/// name with `.` for `-` and `+`, and after it the name.
fn order(name: &str) -> (String, [u64; 4], String) {
    let mut line = name.replace(['+', '-'], ".");
    // `s/.p\([[:digit:]]\)/.z.\1/`
    let bytes = line.as_bytes();
    let patch = (1..bytes.len().saturating_sub(1)).find(|&at| bytes[at] == b'p' && bytes[at + 1].is_ascii_digit());
    if let Some(at) = patch.filter(|at| line.is_char_boundary(at - 1)) {
        line.replace_range(at - 1..=at, ".z.");
    }
    line.push_str(".z ");
    line.push_str(name);
    let mut fields = line.split('.');
    let first = fields.next().unwrap_or_default().to_owned();
    let number = |field: &str| {
        let end = field.find(|c: char| !c.is_ascii_digit()).unwrap_or(field.len());
        if end == 0 { 0 } else { field[..end].parse().unwrap_or(u64::MAX) }
    };
    let numbers = std::array::from_fn(|_| fields.next().map_or(0, number));
    (first, numbers, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definitions(variables: &[(&str, &Path)]) -> Definitions {
        Definitions::new(None, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_os_str().to_owned())
        })
    }

    fn place(files: &[&str]) -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        for file in files {
            let path = place.path().join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "exit 1\n").unwrap();
        }
        place
    }

    fn meaning(definitions: &Definitions, name: &str) -> String {
        let catalog = Catalog::load(None).unwrap();
        match definitions.meaning(OsStr::new(name), &catalog) {
            Meaning::Recipe(request) => request.to_string(),
            Meaning::Definition(file) => format!("file {}", file.display()),
            Meaning::Unknown(near) => format!("unknown: {}", near.join(" ")),
        }
    }

    #[test]
    fn a_name_is_that_of_a_release_or_of_the_newest() {
        let all = definitions(&[]);
        let catalog = Catalog::load(None).unwrap();
        let newest = |series: &str| catalog.get(series.parse().unwrap()).unwrap().newest().unwrap().version.to_string();
        for (name, expected) in [
            ("3.13.5", "3.13.5".to_owned()),
            ("3.13.5t", "3.13.5t".to_owned()),
            ("3.13", newest("3.13")),
            ("3.13:latest", newest("3.13")),
            ("3.13t", format!("{}t", newest("3.13"))),
            ("3.9", newest("3.9")),
        ] {
            assert_eq!(meaning(&all, name), expected, "{name}");
        }
        assert!(meaning(&all, "3").starts_with("3.1") && meaning(&all, "3t").ends_with('t'));
        assert!(meaning(&all, "3.12.4t").starts_with("unknown: 3.12.4"));
        for name in ["latest", "", ".", "..", "2", "nonexistent"] {
            assert_eq!(meaning(&all, name), "unknown: ", "{name}");
        }
    }

    #[test]
    fn the_nearest_of_an_unknown_name_are_named() {
        let root = place(&["d/my-python"]);
        let all = definitions(&[("PYTHON_BUILD_DEFINITIONS", &root.path().join("d"))]);
        let nearest = meaning(&all, "3.13.99");
        assert!(nearest.starts_with("unknown: 3.13.") && nearest.split(' ').count() == 4, "{nearest}");
        assert_eq!(meaning(&all, "my-pyhton"), "unknown: my-python");
        assert!(meaning(&all, "3.13.5x").contains(" 3.13.5"));
    }

    #[test]
    fn the_files_of_the_user_come_first_and_those_of_python_build_last() {
        let root = place(&[
            "own/3.13.5",
            "own/.hidden",
            "own/patches/x",
            "pb/share/python-build/3.13.5",
            "pb/bin/python-build",
        ]);
        fs_err::write(root.path().join("pb/share/python-build/pypy-7"), "").unwrap();
        let (own, built_in) = (root.path().join("own"), root.path().join("pb/share/python-build"));
        let both = std::env::join_paths([Path::new(""), &built_in, &own]).unwrap();
        let all = definitions(&[("PYTHON_BUILD_DEFINITIONS", Path::new(&both))]);
        assert_eq!(meaning(&all, "3.13.5"), format!("file {}", own.join("3.13.5").display()));
        assert_eq!(meaning(&all, "pypy-7"), format!("file {}", built_in.join("pypy-7").display()));
        let without = definitions(&[("PYTHON_BUILD_DEFINITIONS", &built_in)]);
        assert_eq!(meaning(&without, "3.13.5"), "3.13.5");
        let names = all.names(&Catalog::load(None).unwrap());
        assert_eq!(names.iter().filter(|name| *name == "3.13.5").count(), 1);
        assert!(names.contains(&"pypy-7".to_owned()) && names.contains(&"3.13.5t".to_owned()), "{names:?}");
        assert!(!names.iter().any(|name| name.contains("patches") || name.contains("hidden")), "{names:?}");
        // A path is a file, and never a recipe.
        let path = built_in.join("3.13.5").display().to_string();
        assert_eq!(meaning(&without, &path), format!("file {path}"));
        assert_eq!(meaning(&without, "./3.13.5"), "unknown: ");
    }

    #[test]
    fn a_root_of_definitions_replaces_all_that_is_built_in() {
        let root = place(&["share/python-build/2.7.8-test"]);
        let all = definitions(&[("PYTHON_BUILD_ROOT", root.path())]);
        assert_eq!(all.names(&Catalog::load(None).unwrap()), ["2.7.8-test"]);
        assert_eq!(meaning(&all, "3.13.5"), "unknown: ");
    }

    #[test]
    fn names_are_in_the_order_of_python_build() {
        let expected = [
            "2.7-dev",
            "2.7",
            "2.7.1",
            "2.7.2",
            "3.4.0",
            "3.4-dev",
            "3.4.1",
            "3.13.5",
            "3.13.5t",
            "3.13.10",
            "jython-dev",
            "jython-2.5.0",
            "jython-2.5-dev",
            "jython-2.5.1",
            "jython-2.5.4-rc1",
            "jython-2.7-beta1",
        ];
        let mut names = expected;
        names.reverse();
        names.sort_by_cached_key(|name| order(name));
        assert_eq!(names, expected);
        assert!(order("99999999999999999999999.1") > order("3.1"));
    }

    proptest::proptest! {
        #[test]
        fn no_name_is_too_strange(name: String) {
            let _ = order(&name);
        }

        #[test]
        fn nor_one_with_letters_of_a_patch(name in "[épq1.-]{0,6}") {
            let _ = order(&name);
        }
    }
}
