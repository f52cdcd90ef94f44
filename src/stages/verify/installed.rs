//! The distributions that an installer such as pip put into a prefix, and which of the artifact's files they replaced.
//!
//! A distribution lists its files in `site-packages/NAME-VERSION.dist-info/RECORD`. The list is whatever its author wrote,
//! so it explains a difference in `site-packages` only, and the scripts of pip if it is pip's: nothing of the standard
//! library, the interpreter or the libraries.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::own::Differences;
use crate::domain::digest::Digest;
use crate::domain::plan::BuildPlan;
use crate::error::Result;
use crate::sys::fs::{self, Entry};

/// A distribution, with the number of files that it changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// Its name, as the directory has it: `pip`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Files that the artifact does not have.
    pub added: usize,
    /// Files of the artifact that have other bytes now.
    pub changed: usize,
    /// Files of the artifact that are gone.
    pub removed: usize,
}

/// What the distributions explain.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Installed {
    /// The distributions that added, changed or removed files.
    pub distributions: Vec<Distribution>,
    /// The artifact's files and links that they replaced or removed.
    pub replaced: BTreeSet<PathBuf>,
}

/// The places of a prefix that distributions are installed in.
struct Places {
    packages: PathBuf,
    /// The scripts of pip, which the artifact has as its own distribution.
    of_pip: [PathBuf; 3],
}

impl Places {
    fn new(plan: &BuildPlan) -> Self {
        let name = |ending: &str| Path::new("bin").join(format!("pip{ending}"));
        Self {
            packages: Path::new(&plan.stdlib()).join("site-packages"),
            of_pip: [name(""), name("3"), name(&plan.short_version())],
        }
    }
}

/// Reads the distributions of a prefix, and returns which differences they explain.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if a RECORD cannot be read.
pub(super) fn read(prefix: &Path, plan: &BuildPlan, entries: &[Entry], differences: &Differences) -> Result<Installed> {
    let places = Places::new(plan);
    let mut installed = Installed::default();
    for entry in entries.iter().filter(|entry| entry.is_file() && entry.path.ends_with("RECORD")) {
        // Only files that are directly in such a directory count, and no link leads there.
        let Some(directory) = entry.path.parent().filter(|path| path.parent() == Some(&places.packages)) else {
            continue;
        };
        let stem = directory.file_name().and_then(|name| name.to_str()?.strip_suffix(".dist-info"));
        let Some((name, version)) = stem.and_then(|stem| stem.rsplit_once('-')) else { continue };
        let text = fs::lossy_text(&prefix.join(&entry.path))?;
        let mut of_one = Distribution { name: name.to_owned(), version: version.to_owned(), ..Distribution::default() };
        let claims = claims(&text, &places.packages);
        // A distribution without scripts has no such file.
        let entry_points = fs::lossy_text(&prefix.join(directory).join("entry_points.txt")).unwrap_or_default();
        let is_pip = normalised(name) == "pip" && declares_pip(&entry_points);
        let scripts = if is_pip { &places.of_pip[..] } else { &[] };
        let record = Record { places: &places, scripts, name, path: &entry.path, claims: &claims };
        installed.replaced.extend(record.explained(differences, &mut of_one));
        if of_one.added + of_one.changed + of_one.removed > 0 {
            installed.distributions.push(of_one);
        }
    }
    Ok(installed)
}

/// The RECORD of a distribution.
struct Record<'a> {
    places: &'a Places,
    /// The artifact's scripts that it may replace.
    scripts: &'a [PathBuf],
    name: &'a str,
    path: &'a Path,
    /// The files that it lists, and the SHA-256 of each if it has one.
    claims: &'a BTreeMap<PathBuf, Option<Digest>>,
}

impl Record<'_> {
    /// Returns the differences that it explains, and counts them.
    fn explained(&self, differences: &Differences, counts: &mut Distribution) -> Vec<PathBuf> {
        let mut explained = Vec::new();
        for (path, digest) in &differences.changed {
            if self.may_have(path) && self.has_bytes(path, *digest) {
                counts.changed += 1;
                explained.push(path.clone());
            }
        }
        for path in &differences.missing {
            if self.has_removed(path) {
                counts.removed += 1;
                explained.push(path.clone());
            }
        }
        let in_bin = |path: &PathBuf| path.parent() == Some(Path::new("bin"));
        let may_add = |path: &PathBuf| path.starts_with(&self.places.packages) || in_bin(path);
        let added = differences.added.iter().filter(|path| may_add(path) && self.claims.contains_key(*path));
        for path in added {
            counts.added += 1;
            // A link of the artifact may have been here.
            explained.extend(self.may_have(path).then(|| path.clone()));
        }
        explained
    }

    /// Whether it may have a file of the artifact's at this place.
    fn may_have(&self, path: &Path) -> bool {
        path.starts_with(&self.places.packages) || self.scripts.iter().any(|script| script == path)
    }

    /// Whether it lists a file with these bytes. The list itself and bytecode have no sum in it.
    fn has_bytes(&self, path: &Path, sha256: Digest) -> bool {
        match self.claims.get(path) {
            Some(Some(sum)) => *sum == sha256,
            Some(None) => path == self.path || path.parent().is_some_and(|parent| parent.ends_with("__pycache__")),
            None => false,
        }
    }

    /// Whether a file is gone because another version of this distribution took its place: it is in one of the
    /// distribution's own directories, and not on its list.
    fn has_removed(&self, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(&self.places.packages) else { return false };
        let Some(first) = below.iter().next().and_then(|first| first.to_str()) else { return false };
        let is_older = first
            .strip_suffix(".dist-info")
            .and_then(|stem| stem.rsplit_once('-'))
            .is_some_and(|(name, _)| normalised(name) == normalised(self.name));
        let top = self.places.packages.join(first);
        let is_own = || below.iter().count() > 1 && self.claims.keys().any(|claim| claim.starts_with(&top));
        !self.claims.contains_key(path) && (is_older || is_own())
    }
}

/// Parses a RECORD: the files by their paths in the prefix, with the SHA-256 of those that have one. A file elsewhere is
/// left out.
fn claims(text: &str, packages: &Path) -> BTreeMap<PathBuf, Option<Digest>> {
    let mut claims = BTreeMap::new();
    for line in text.lines() {
        let fields = fields(line);
        let Some(path) = fields.first().and_then(|path| fs::link_target(&packages.join("RECORD"), Path::new(path)))
        else {
            continue;
        };
        let sum = fields.get(1).and_then(|sum| sum.strip_prefix("sha256="));
        claims.insert(path, sum.and_then(digest));
    }
    claims
}

/// The digest that a RECORD has in base 64, if it is one.
fn digest(sum: &str) -> Option<Digest> {
    let bytes = URL_SAFE_NO_PAD.decode(sum.trim_end_matches('=')).ok()?;
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().parse().ok()
}

/// Whether a distribution's entry points have the script `pip`.
fn declares_pip(entry_points: &str) -> bool {
    let scripts = entry_points.lines().skip_while(|line| line.trim() != "[console_scripts]").skip(1);
    let mut scripts = scripts.take_while(|line| !line.starts_with('['));
    scripts.any(|line| line.split_once('=').is_some_and(|(name, _)| name.trim() == "pip"))
}

/// The fields of a line of CSV. One with a comma is in quotes, and a quote in it is written twice.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let last = fields.len() - 1;
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                fields[last].push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            _ => fields[last].push(character),
        }
    }
    fields
}

/// The name of a distribution as it is compared: `typing-extensions` for `typing_extensions`.
fn normalised(name: &str) -> String {
    name.to_lowercase().replace(['_', '.'], "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::tests::plan;
    use crate::sys::fs::write_in_place;

    const PACKAGES: &str = "lib/python3.13/site-packages";

    /// A prefix with the files of a test, and the artifact's files that differ in it.
    struct Prefix {
        directory: tempfile::TempDir,
        differences: Differences,
    }

    impl Prefix {
        fn new() -> Self {
            Self { directory: tempfile::tempdir().unwrap(), differences: Differences::default() }
        }

        fn with(self, path: &str, text: &str) -> Self {
            write_in_place(&self.directory.path().join(path), text).unwrap();
            self
        }

        fn changed(mut self, path: &str, text: &str) -> Self {
            self.differences.changed.insert(path.into(), Digest::of(text));
            self.with(path, text)
        }

        fn missing(mut self, path: &str) -> Self {
            self.differences.missing.insert(path.into());
            self
        }

        fn read(&self) -> Installed {
            let entries = fs::walk(self.directory.path()).unwrap();
            read(self.directory.path(), &plan(), &entries, &self.differences).unwrap()
        }
    }

    const ENTRY_POINTS: &str = "[console_scripts]\npip = pip._internal.cli.main:main\npip3 = x\n[other]\nx = y\n";

    fn line(path: &str, text: &str) -> String {
        use sha2::Digest as _;
        format!("{path},sha256={},1\n", URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(text)))
    }

    #[test]
    fn another_version_of_pip_replaces_its_own_files() {
        let cache = format!("{PACKAGES}/pip/__pycache__/x.pyc");
        let record = [
            line("pip/__init__.py", "new"),
            line("../../../bin/pip3.13", "script"),
            "pip/__pycache__/x.pyc,,\npip-26.0.dist-info/RECORD,,\n".into(),
        ];
        let prefix = Prefix::new()
            .changed(&format!("{PACKAGES}/pip/__init__.py"), "new")
            .changed("bin/pip3.13", "script")
            .changed(&cache, "bytecode")
            .missing(&format!("{PACKAGES}/pip-25.1.dist-info/METADATA"))
            .missing(&format!("{PACKAGES}/pip/old.py"))
            .with(&format!("{PACKAGES}/pip-26.0.dist-info/RECORD"), &record.concat());
        // Without entry points, the script is not its own.
        assert_eq!(prefix.read().replaced.len(), 4);
        let prefix = prefix.with(&format!("{PACKAGES}/pip-26.0.dist-info/entry_points.txt"), ENTRY_POINTS);
        let found = prefix.read();
        let one = Distribution { name: "pip".into(), version: "26.0".into(), added: 0, changed: 3, removed: 2 };
        assert_eq!((found.distributions, found.replaced.len()), (vec![one], 5));
    }

    #[test]
    fn nothing_outside_of_site_packages_is_explained() {
        let places = [
            "lib/python3.13/json/__init__.py",
            "lib/python3.13/lib-dynload/_ssl.so",
            "lib/python3.13/__pycache__/os.pyc",
            "lib/libz.so.1",
            "bin/python3.13",
            "bin/pydoc3.13",
            "share/pykeel/SHA256SUMS",
        ];
        // `pip` may have its scripts, and no other distribution.
        for (name, places) in [("pip", &places[..]), ("evil", &[&places[..], &["bin/pip3.13"]].concat())] {
            let mut prefix = Prefix::new();
            let mut record = String::new();
            for place in places {
                prefix = prefix.changed(place, "evil").missing(&format!("{place}.gone"));
                record += &line(&format!("../../../{place}"), "evil");
                record += &line(&prefix.directory.path().join(place).display().to_string(), "evil");
                record += &line(&format!("x/../../../../{place}"), "evil");
            }
            let entry_points =
                ENTRY_POINTS.to_owned() + "[console_scripts]\npydoc3.13 = x\npython3.13 = x\npip3.13 = x\n";
            let directory = format!("{PACKAGES}/{name}-1.0.dist-info");
            let prefix = prefix
                .with(&format!("{directory}/RECORD"), &record)
                .with(&format!("{directory}/entry_points.txt"), &entry_points);
            assert_eq!(prefix.read(), Installed::default(), "{name}");
        }
    }

    #[test]
    fn what_differs_from_the_list_too_is_not_explained() {
        let record = |text: &str| line("pip/__init__.py", text) + "pip/main.py,,\npip/gone.py,,\n";
        let prefix = Prefix::new()
            .changed(&format!("{PACKAGES}/pip/__init__.py"), "other")
            .changed(&format!("{PACKAGES}/pip/main.py"), "without a sum")
            .changed(&format!("{PACKAGES}/other/a.py"), "of no list")
            .missing(&format!("{PACKAGES}/pip/gone.py"))
            .missing(&format!("{PACKAGES}/other/b.py"))
            .missing(&format!("{PACKAGES}/other-1.0.dist-info/RECORD"))
            .with(&format!("{PACKAGES}/pip-26.0.dist-info/RECORD"), &record("new"));
        assert_eq!(prefix.read(), Installed::default());
        // A list elsewhere is none.
        let prefix = Prefix::new()
            .changed(&format!("{PACKAGES}/pip/__init__.py"), "new")
            .with("lib/python3.13/pip-26.0.dist-info/RECORD", &record("new"))
            .with(&format!("{PACKAGES}/x/pip-26.0.dist-info/RECORD"), &record("new"))
            .with(&format!("{PACKAGES}/pip-26.0/RECORD"), &record("new"));
        assert_eq!(prefix.read(), Installed::default());
    }

    #[test]
    fn entry_points_are_those_of_the_console() {
        assert!(declares_pip(ENTRY_POINTS));
        assert!(!declares_pip("[console_scripts]\npip3 = x\n[other]\npip = y\n"));
        assert!(!declares_pip("pip = x\n"));
    }

    #[test]
    fn a_field_with_a_comma_is_in_quotes() {
        assert_eq!(fields(r#""a,""b"".py",sha256=x,3"#), [r#"a,"b".py"#, "sha256=x", "3"]);
        assert_eq!(fields(""), [""]);
    }
}
