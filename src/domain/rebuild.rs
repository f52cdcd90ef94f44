//! The results of building an artifact again, in words: why its plan cannot be built here, and how the
//! rebuild differs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::comparison::Change;

/// A difference between an artifact and its rebuild.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The path relative to the prefix; `.` is the tarball itself.
    pub path: String,
    /// The kind of the difference.
    pub kind: DifferenceKind,
    /// Where they differ: sections, fields, lines.
    pub details: Vec<String>,
}

/// How a file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// Only the artifact has it.
    OnlyGiven,
    /// Only the rebuild has it.
    OnlyRebuilt,
    /// Its content differs.
    Content,
    /// Its entry in the tarball differs: kind, mode, owner, time, or link target.
    Entry,
    /// Only the order of the entries or the compression differs.
    Packing,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.kind {
            DifferenceKind::OnlyGiven => "is in the artifact and not in the rebuild",
            DifferenceKind::OnlyRebuilt => "is in the rebuild and not in the artifact",
            DifferenceKind::Content => "has different content",
            DifferenceKind::Entry => "has different metadata",
            DifferenceKind::Packing => "is packed differently",
        };
        write!(f, "{} {what}", self.path)?;
        let separators = std::iter::once(": ").chain(std::iter::repeat("; "));
        self.details.iter().zip(separators).try_for_each(|(detail, separator)| write!(f, "{separator}{detail}"))
    }
}

/// The subject of a field of a plan, which decides the remedy if it differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The version of pykeel's own contribution to the bytes.
    Format,
    /// The machine.
    Target,
    /// The recipe, or what it says.
    Recipe,
    /// The user's `CC`, `CFLAGS`, `CPPFLAGS` and `LDFLAGS`.
    Variables,
    /// The profile.
    Profile,
    /// The packages of the build host.
    System,
}

impl Topic {
    fn of(field: &str) -> Self {
        match field.split('.').next().unwrap_or_default() {
            "format" => Self::Format,
            "target" => Self::Target,
            "compiler_variables" => Self::Variables,
            "profile" | "named_profile" => Self::Profile,
            "toolchain" | "libraries" | "runtime_packages" => Self::System,
            _ => Self::Recipe,
        }
    }
}

/// Returns the differences between the plan of an artifact and the plan here, one line each.
#[must_use]
pub fn explain(changes: &[Change<Value>]) -> Vec<String> {
    relevant(changes).into_iter().map(line).collect()
}

/// Returns the subjects of the changes for which something can be done now, the most important first.
#[must_use]
pub fn topics(changes: &[Change<Value>]) -> Vec<Topic> {
    let topics: BTreeSet<Topic> = relevant(changes).iter().map(|change| Topic::of(&change.name)).collect();
    // Another format or recipe changes most of the plan. The other differences show once that is fixed.
    let first = topics.iter().copied().find(|topic| matches!(topic, Topic::Format | Topic::Target | Topic::Recipe));
    match first {
        Some(topic) => vec![topic],
        None => topics.into_iter().collect(),
    }
}

/// Returns the changes that no other change implies, by topic.
fn relevant(changes: &[Change<Value>]) -> Vec<&Change<Value>> {
    let names: BTreeSet<&str> = changes.iter().map(|change| change.name.as_str()).collect();
    let mut relevant: Vec<_> = changes.iter().filter(|change| !is_implied(&change.name, &names)).collect();
    relevant.sort_by_key(|change| Topic::of(&change.name));
    relevant
}

/// Whether another changed field implies the change of this one: another version of a library has other
/// bytes, and a variable of the user is in the environment too.
fn is_implied(name: &str, names: &BTreeSet<&str>) -> bool {
    if let Some(variable) = name.strip_prefix("environment.") {
        return names.contains(format!("compiler_variables.{variable}").as_str());
    }
    if let Some((package, "files")) = name.strip_prefix("toolchain.packages.").and_then(|rest| rest.rsplit_once('.')) {
        return names.contains(format!("toolchain.packages.{package}.version").as_str());
    }
    let Some((library, field)) = name.strip_prefix("libraries.").and_then(|rest| rest.rsplit_once('.')) else {
        return false;
    };
    let has = |field: &str| names.contains(format!("libraries.{library}.{field}").as_str());
    match field {
        "sha256" | "source_version" => has("version"),
        "soname" | "version" => false,
        // One side does not have the library at all.
        _ => has("soname"),
    }
}

fn line(change: &Change<Value>) -> String {
    let (there, here) = (change.before.as_ref(), change.after.as_ref());
    let name = &change.name;
    let what = match name.split('.').collect::<Vec<_>>()[..] {
        ["format"] => "the format".to_owned(),
        ["recipe"] => "the recipe of the release".to_owned(),
        ["toolchain", "compiler"] => "the compiler".to_owned(),
        ["toolchain", "glibc"] => "the C library".to_owned(),
        ["toolchain", "programs", ..] => format!("the program `{}`", &name["toolchain.programs.".len()..]),
        ["toolchain", "packages", .., field] => {
            let package = name["toolchain.packages.".len()..].trim_end_matches(field).trim_end_matches('.');
            format!("the {field} of the package {package}")
        }
        ["toolchain", "trees", ..] => format!("the content of {}", &name["toolchain.trees.".len()..]),
        ["libraries", .., field] => {
            let library = name["libraries.".len()..].trim_end_matches(field).trim_end_matches('.');
            format!("the {} of {library}", field.replace('_', " "))
        }
        ["profile"] => "the profile".to_owned(),
        ["compiler_variables", ..] => format!("the variable {}", &name["compiler_variables.".len()..]),
        _ => format!("`{name}`"),
    };
    if let (Some(Value::Array(there)), Some(Value::Array(here))) = (there, here) {
        let lacks = |list: &[Value], other: &[Value]| {
            let missing: Vec<String> = list.iter().filter(|item| !other.contains(item)).map(plain).collect();
            missing.join(" ")
        };
        return match (lacks(here, there), lacks(there, here)) {
            (more, less) if more.is_empty() && less.is_empty() => format!("{what} is in another order"),
            (more, less) if less.is_empty() => format!("{what} here adds: {more}"),
            (more, less) if more.is_empty() => format!("{what} here lacks: {less}"),
            (more, less) => format!("{what} has {more} here; the artifact has {less}"),
        };
    }
    match (there, here) {
        (Some(there), Some(here)) => {
            format!("{what} is {} here; the artifact was built with {}", plain(here), plain(there))
        }
        (Some(there), None) if Topic::of(name) == Topic::Variables => {
            format!("{what} is not set here; the artifact was built with {}", plain(there))
        }
        (Some(there), None) => format!("{what} is not available here; the artifact was built with {}", plain(there)),
        (None, here) => {
            format!("{what} is {} here; the artifact was built without", here.map(plain).unwrap_or_default())
        }
    }
}

/// Returns a value without the quotes of JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Describes the first line that differs between two texts, or returns `None` if they are equal.
#[must_use]
pub fn first_line(given: &str, rebuilt: &str) -> Option<String> {
    const MOST: usize = 100;
    let (mut a, mut b) = (given.split('\n'), rebuilt.split('\n'));
    let mut number = 0;
    let short = |line: Option<&str>| match line {
        None => "(there is none)".to_owned(),
        Some(line) if line.chars().count() > MOST => format!("`{}…`", line.chars().take(MOST).collect::<String>()),
        Some(line) => format!("`{line}`"),
    };
    loop {
        number += 1;
        match (a.next(), b.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            // The difference is beyond the part that is shown: show the text around it.
            (Some(a), Some(b)) if a.chars().take(MOST).eq(b.chars().take(MOST)) => {
                let column = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
                let tail = |line: &str| line.chars().skip(column).collect::<String>();
                let (a, b) = (tail(a), tail(b));
                return Some(format!(
                    "line {number}, column {}: {} in the artifact, {} in the rebuild",
                    column + 1,
                    short(Some(&a)),
                    short(Some(&b))
                ));
            }
            (a, b) => return Some(format!("line {number}: {} in the artifact, {} in the rebuild", short(a), short(b))),
        }
    }
}

/// The header of one entry of a tarball.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryFacts {
    /// The path below the top directory; `.` for the top directory itself.
    pub path: String,
    /// The fields of the header by name: `mode`, `mtime`, `link`.
    pub facts: BTreeMap<&'static str, String>,
}

/// Returns the differences between the headers of two tarballs and between the orders of their entries.
#[must_use]
pub fn entry_differences(given: &[EntryFacts], rebuilt: &[EntryFacts]) -> Vec<Difference> {
    let by_path = |entries: &[EntryFacts]| -> BTreeMap<String, BTreeMap<&'static str, String>> {
        entries.iter().map(|entry| (entry.path.clone(), entry.facts.clone())).collect()
    };
    let (a, b) = (by_path(given), by_path(rebuilt));
    let mut differences = Vec::new();
    let paths: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for path in paths {
        let difference = |kind, details| Difference { path: path.clone(), kind, details };
        match (a.get(path), b.get(path)) {
            (Some(a), Some(b)) => {
                let names: BTreeSet<&&str> = a.keys().chain(b.keys()).collect();
                let value = |facts: &BTreeMap<&str, String>, name: &str| facts.get(name).cloned().unwrap_or_default();
                let details: Vec<String> = names
                    .into_iter()
                    .filter(|name| a.get(*name) != b.get(*name))
                    .map(|name| {
                        format!("{name} is {} in the artifact, {} in the rebuild", value(a, name), value(b, name))
                    })
                    .collect();
                if !details.is_empty() {
                    differences.push(difference(DifferenceKind::Entry, details));
                }
            }
            (Some(_), None) => differences.push(difference(DifferenceKind::OnlyGiven, Vec::new())),
            (None, _) => differences.push(difference(DifferenceKind::OnlyRebuilt, Vec::new())),
        }
    }
    let order = |entries: &[EntryFacts], others: &BTreeMap<String, _>| -> Vec<String> {
        entries.iter().map(|entry| entry.path.clone()).filter(|path| others.contains_key(path)).collect()
    };
    let (in_given, in_rebuilt) = (order(given, &b), order(rebuilt, &a));
    if let Some((a, b)) = in_given.iter().zip(&in_rebuilt).find(|(a, b)| a != b) {
        let details = vec![format!("where the artifact has {a} the rebuild has {b}")];
        differences.push(Difference { path: ".".into(), kind: DifferenceKind::Packing, details });
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::comparison::plan_changes;
    use crate::domain::digest::Digest;
    use crate::domain::plan::tests::plan;
    use crate::domain::plan::{PlannedLibrary, PlannedPackage};

    fn library(version: &str) -> PlannedLibrary {
        PlannedLibrary {
            soname: "libssl.so.3".into(),
            sha256: Digest::of(version),
            package: "libssl3".into(),
            version: version.into(),
            source_package: "openssl".into(),
            source_version: version.into(),
            needs: vec!["libcrypto.so.3".into()],
            path: "/usr/lib/libssl.so.3".into(),
        }
    }

    #[test]
    fn another_system_is_explained_field_by_field() {
        let (mut there, mut here) = (plan(), plan());
        there.toolchain.compiler = "gcc (Debian 12.2.0-14) 12.2.0".into();
        here.toolchain.compiler = "gcc (Debian 14.2.0-19) 14.2.0".into();
        let package = PlannedPackage { version: "3.0.17".into(), files: Digest::of("sums") };
        there.toolchain.packages.insert("libssl-dev:amd64".into(), package);
        there.libraries = vec![library("3.0.17")];
        here.libraries = vec![library("3.5.0")];
        there.request.policies.compiler_variables.insert("CFLAGS".into(), "-O2".into());
        there.environment.insert("CFLAGS".into(), "-O2".into());
        there.profile = Some(Digest::of("profile"));
        let changes = plan_changes(&there, &here);
        insta::assert_snapshot!(format!("{}\n{:?}", explain(&changes).join("\n"), topics(&changes)));
    }

    #[test]
    fn another_recipe_is_named_first_and_alone() {
        let (there, mut here) = (plan(), plan());
        here.configure.push("--enable-shared".into());
        here.disabled = vec!["_dbm".into()];
        here.toolchain.compiler = "gcc 14".into();
        let changes = plan_changes(&there, &here);
        let lines = explain(&changes);
        assert!(lines.contains(&"`configure` here adds: --enable-shared".to_owned()), "{lines:?}");
        assert_eq!(topics(&changes), [Topic::Recipe]);
        here = there.clone();
        here.request.format += 1;
        assert_eq!(topics(&plan_changes(&there, &here)), [Topic::Format]);
    }

    #[test]
    fn every_field_of_a_plan_is_compared() {
        let there = plan();
        assert!(plan_changes(&there, &there).is_empty());
        let mut here = there.clone();
        here.libraries = vec![library("1")];
        here.runtime_packages = vec!["tzdata".into()];
        here.modules.push("_new".into());
        let fields = plan_changes(&there, &here);
        for name in ["libraries.libssl.so.3.version", "modules", "runtime_packages"] {
            assert!(fields.iter().any(|change| change.name == name), "{name}: {fields:?}");
        }
    }

    #[test]
    fn the_first_line_that_differs_is_shown() {
        assert_eq!(first_line("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_line("a\nb\n", "a\nc\n").unwrap(), "line 2: `b` in the artifact, `c` in the rebuild");
        assert_eq!(first_line("a", "a\nx").unwrap(), "line 2: (there is none) in the artifact, `x` in the rebuild");
        let long = "x".repeat(150);
        let text = first_line(&format!("{long}1"), &format!("{long}2")).unwrap();
        assert_eq!(text, "line 1, column 151: `1` in the artifact, `2` in the rebuild");
        assert!(first_line(&long, "y").unwrap().contains('…'));
    }

    fn entry(path: &str, mode: &str) -> EntryFacts {
        EntryFacts { path: path.into(), facts: BTreeMap::from([("mode", mode.to_owned())]) }
    }

    #[test]
    fn entries_differ_in_what_they_say_and_in_their_order() {
        let given = [entry("a", "644"), entry("b", "644"), entry("gone", "644")];
        let rebuilt = [entry("b", "755"), entry("a", "644"), entry("new", "644")];
        let text: Vec<String> = entry_differences(&given, &rebuilt).iter().map(Difference::to_string).collect();
        let expected = [
            "b has different metadata: mode is 644 in the artifact, 755 in the rebuild",
            "gone is in the artifact and not in the rebuild",
            "new is in the rebuild and not in the artifact",
            ". is packed differently: where the artifact has a the rebuild has b",
        ];
        assert_eq!(text, expected);
        assert!(entry_differences(&given, &given).is_empty());
    }
}
