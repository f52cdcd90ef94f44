//! The differences between two locks, and between two artifacts as locks describe them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::plan::{LockedOptions, LockedPlan};
use super::{LockedArtifact, LockedRequest, PykeelLock};
use crate::domain::digest::Digest;
use crate::domain::rebuild::Topic;

/// What a fact is about. With its key it is unique: a lock may name a library as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The release with its variant.
    Release,
    /// A library, by its source package.
    Library,
    /// A library that CPython has a copy of.
    CompiledIn,
    /// An option of the user.
    Option,
    /// A variable that a compiler reads.
    Variable,
    /// What else went into the build.
    Input,
    /// What the artifact needs of the system that it runs on.
    Requirement,
    /// Where it is to be had.
    Place,
    /// What follows from all others.
    Derived,
}

impl Kind {
    /// Whether it says what is in the artifact, and not how it was built.
    #[must_use]
    pub const fn is_content(self) -> bool {
        matches!(self, Self::Release | Self::Library | Self::CompiledIn | Self::Requirement)
    }
}

/// A fact of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is about.
    pub kind: Kind,
    /// Which one of that kind: `openssl`, `compiler`.
    pub key: String,
    /// The value; a digest has all its digits.
    pub value: String,
    /// What has to be done so that another build has the same, if something can be done.
    pub topic: Option<Topic>,
}

impl Row {
    fn new(kind: Kind, key: &str, value: String, topic: Option<Topic>) -> Self {
        Self { kind, key: key.to_owned(), value, topic }
    }
}

/// A fact that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is about.
    #[serde(skip)]
    pub kind: Kind,
    /// Which one of that kind.
    #[serde(skip)]
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// The first value.
    pub before: Option<String>,
    /// The second value.
    pub after: Option<String>,
    /// What has to be done so that there is no difference, if something can be done.
    #[serde(skip)]
    pub topic: Option<Topic>,
}

/// An entry that differs between two locks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryChange {
    /// What it is for.
    #[serde(flatten)]
    pub request: LockedRequest,
    /// The artifact of the first lock.
    pub before: Option<LockedArtifact>,
    /// The artifact of the second lock.
    pub after: Option<LockedArtifact>,
    /// What differs, if both have the entry.
    pub differences: Vec<Difference>,
}

/// Returns the entries that differ between two locks, in their order.
#[must_use]
pub fn changes(before: &PykeelLock, after: &PykeelLock) -> Vec<EntryChange> {
    let requests: BTreeSet<&LockedRequest> = before.entries.keys().chain(after.entries.keys()).collect();
    let change = |request: &LockedRequest| {
        let (before, after) = (before.entries.get(request).cloned(), after.entries.get(request).cloned());
        let differences = match (&before, &after) {
            (Some(before), Some(after)) => differences(&rows(before), &rows(after)),
            _ => Vec::new(),
        };
        EntryChange { request: *request, before, after, differences }
    };
    requests.into_iter().map(change).filter(|change| change.before != change.after).collect()
}

/// Returns the rows whose values differ, in the order of the second list; then those that only the first has.
#[must_use]
pub fn differences(before: &[Row], after: &[Row]) -> Vec<Difference> {
    let values = |rows: &[Row]| -> BTreeMap<(Kind, String), String> {
        rows.iter().map(|row| ((row.kind, row.key.clone()), row.value.clone())).collect()
    };
    let (mut old, mut new) = (values(before), values(after));
    let gone = before.iter().filter(|row| !new.contains_key(&(row.kind, row.key.clone()))).collect::<Vec<_>>();
    let mut differing = Vec::new();
    for row in after.iter().chain(gone) {
        let id = (row.kind, row.key.clone());
        let (before, after) = (old.remove(&id), new.remove(&id));
        if before != after {
            differing.push((row, before, after));
        }
    }
    let names = names(&differing.iter().map(|(row, ..)| *row).collect::<Vec<_>>());
    let difference = |(name, (row, before, after)): (String, (&Row, _, _))| Difference {
        kind: row.kind,
        key: row.key.clone(),
        name,
        before,
        after,
        topic: row.topic,
    };
    names.into_iter().zip(differing).map(difference).collect()
}

/// Returns the names of rows for people. No two are alike.
#[must_use]
pub fn names(rows: &[&Row]) -> Vec<String> {
    let name = |row: &Row| match row.kind {
        Kind::Library => title(&row.key).to_owned(),
        Kind::CompiledIn => format!("{}, compiled in", row.key),
        _ => row.key.clone(),
    };
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        *count.entry(name(row)).or_default() += 1;
    }
    let unique = |row: &&Row| match (row.kind, name(row)) {
        (_, name) if count[&name] == 1 => name,
        (Kind::Library, _) => format!("{} (library)", row.key),
        (Kind::Variable, name) => format!("{name} (variable)"),
        (_, name) => name,
    };
    rows.iter().map(unique).collect()
}

/// Returns the differences that no other one implies: another version of a library has other files, and everything that
/// differs changes the keys. If nothing else differs, the last digest does.
#[must_use]
pub fn essential(all: &[Difference]) -> Vec<&Difference> {
    let is_kind = |kinds: &[Kind]| all.iter().any(|other| kinds.contains(&other.kind));
    let is_input =
        |keys: &[&str]| all.iter().any(|other| other.kind == Kind::Input && keys.contains(&other.key.as_str()));
    let is_implied = |difference: &Difference| match (difference.kind, difference.key.as_str()) {
        (Kind::Derived, _) => true,
        (Kind::Input, "library files") => is_kind(&[Kind::Library]),
        (Kind::Input, "toolchain") => is_input(&["compiler"]),
        (Kind::Input, "environment packages") => is_input(&["compiler", "toolchain", "library files"]),
        (Kind::Input, "source" | "patches") => is_kind(&[Kind::Release]),
        (Kind::Input, "recipe's instructions") => {
            is_kind(&[Kind::Release, Kind::Option, Kind::Variable]) || is_input(&["profile"])
        }
        _ => false,
    };
    let found: Vec<_> = all.iter().filter(|difference| !is_implied(difference)).collect();
    if found.is_empty() { all.last().into_iter().collect() } else { found }
}

/// Returns what has to be done about differences, the most important first.
#[must_use]
pub fn topics(differences: &[&Difference]) -> Vec<Topic> {
    let topics: BTreeSet<Topic> = differences.iter().filter_map(|difference| difference.topic).collect();
    topics.into_iter().collect()
}

/// Returns the facts of an artifact: what is in it first.
#[must_use]
pub fn rows(artifact: &LockedArtifact) -> Vec<Row> {
    let LockedArtifact { digest, size, manifest_digest, glibc_floor, remotes, plan, compiled_in } = artifact;
    let mut rows = plan.rows();
    // After the libraries, before the options.
    let at = rows.iter().position(|row| !row.kind.is_content()).unwrap_or(rows.len());
    let copies = compiled_in.iter().map(|(name, version)| Row::new(Kind::CompiledIn, name, version.clone(), None));
    rows.splice(at..at, copies);
    rows.push(Row::new(Kind::Requirement, "glibc floor", glibc_floor.to_string(), None));
    if !remotes.is_empty() {
        let addresses: Vec<&str> = remotes.iter().map(String::as_str).collect();
        rows.push(Row::new(Kind::Place, "remotes", addresses.join(" "), None));
    }
    rows.push(Row::new(Kind::Derived, "size", format!("{size} B"), None));
    rows.push(Row::new(Kind::Derived, "manifest", manifest_digest.to_string(), None));
    rows.push(Row::new(Kind::Derived, "sha256", digest.to_string(), None));
    rows
}

impl LockedPlan {
    /// Returns the facts of a plan: what will be in the artifact first, then what decides it.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let Self { release, variant, build_key, request_key, options, inputs, libraries } = self;
        let system = Some(Topic::System);
        let mut rows = vec![Row::new(Kind::Release, "CPython", format!("{release}{variant}"), Some(Topic::Recipe))];
        rows.extend(libraries.iter().map(|(name, version)| Row::new(Kind::Library, name, version.clone(), system)));
        rows.extend(options.rows());
        let input = |key: &str, value: String, topic| Row::new(Kind::Input, key, value, Some(topic));
        let digest = |key: &str, digest: Digest, topic| input(key, digest.to_string(), topic);
        rows.push(input("compiler", inputs.compiler.clone(), Topic::System));
        rows.push(input("glibc of the build", inputs.glibc.clone(), Topic::System));
        rows.push(digest("toolchain", inputs.toolchain, Topic::System));
        rows.push(digest("environment packages", inputs.environment, Topic::System));
        rows.push(digest("library files", inputs.library_files, Topic::System));
        rows.push(digest("source", inputs.source, Topic::Recipe));
        rows.push(digest("patches", inputs.patches, Topic::Recipe));
        rows.push(digest("recipe's instructions", inputs.instructions, Topic::Recipe));
        rows.extend(inputs.profile.map(|profile| digest("profile", profile, Topic::Profile)));
        rows.push(input("format", inputs.format.to_string(), Topic::Format));
        // Of a recipe that differs in what decides no byte of Python: the manifest has its digest.
        rows.push(Row::new(Kind::Derived, "request key", request_key.to_string(), Some(Topic::Recipe)));
        rows.push(Row::new(Kind::Derived, "build key", build_key.to_string(), None));
        rows
    }
}

impl LockedOptions {
    /// Returns the options by their names.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let Self { prefix, optimize, libraries, bytecode, hardening, shared, debug_files, .. } = self;
        let row = |key: &str, value: String| Row::new(Kind::Option, key, value, None);
        let mut rows = vec![
            row("prefix", prefix.to_string()),
            row("optimize", optimize.to_string()),
            row("libraries", libraries.to_string()),
            row("bytecode", bytecode.to_string()),
            row("hardening", hardening.to_string()),
            row("shared", shared.to_string()),
            row("debug files", debug_files.to_string()),
        ];
        rows.extend(self.profile.map(|profile| row("named profile", profile.to_string())));
        let arguments = &self.configure_arguments;
        if !arguments.is_empty() {
            // One argument with a space in it is not two. A shell has no word for what has a NUL.
            let words = shlex::try_join(arguments.iter().map(String::as_str));
            rows.push(row("configure arguments", words.unwrap_or_else(|_| format!("{arguments:?}"))));
        }
        let variables = self.compiler_variables.iter();
        let topic = Some(Topic::Variables);
        rows.extend(variables.map(|(name, value)| Row::new(Kind::Variable, name, value.clone(), topic)));
        rows
    }
}

/// The name of a library for people, from that of its source package.
fn title(package: &str) -> &str {
    match package {
        "openssl" => "OpenSSL",
        "sqlite" | "sqlite3" => "SQLite",
        "expat" => "Expat",
        "xz" | "xz-utils" => "XZ",
        "libzstd" | "zstd" => "Zstandard",
        other => other,
    }
}
