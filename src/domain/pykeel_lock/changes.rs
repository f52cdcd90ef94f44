//! The differences between two locks, and between two artifacts as locks describe them.

use std::collections::BTreeSet;

use serde::Serialize;

use super::plan::{LockedOptions, LockedPlan};
use super::{LockedArtifact, LockedRequest, PykeelLock};
use crate::domain::comparison::Change;
use crate::domain::digest::Digest;
use crate::domain::rebuild::Topic;

/// A fact of an artifact, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is: `CPython`, `OpenSSL`, `compiler`.
    pub name: String,
    /// The value; a digest has all its digits.
    pub value: String,
    /// What has to be done so that another build has the same, if something can be done.
    pub topic: Option<Topic>,
    /// Whether it says what is in the artifact, and not how it was built.
    pub is_content: bool,
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
    pub differences: Vec<Change<String>>,
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
pub fn differences(before: &[Row], after: &[Row]) -> Vec<Change<String>> {
    let value = |rows: &[Row], name: &str| rows.iter().find(|row| row.name == name).map(|row| row.value.clone());
    let gone = before.iter().filter(|row| value(after, &row.name).is_none());
    let all = after.iter().chain(gone).map(|row| &row.name);
    all.map(|name| Change { name: name.clone(), before: value(before, name), after: value(after, name) })
        .filter(|change| change.before != change.after)
        .collect()
}

/// Returns the changes that no other one implies: another version of a library has other files, and everything that
/// differs changes the keys. If nothing else differs, the last digest does.
#[must_use]
pub fn essential(changes: &[Change<String>]) -> Vec<&Change<String>> {
    const OPTIONS: [&str; 8] =
        ["prefix", "optimize", "libraries", "bytecode", "hardening", "shared", "configure arguments", "profile"];
    let all: Vec<&str> = changes.iter().map(|change| change.name.as_str()).collect();
    let is_any = |names: &[&str]| all.iter().any(|name| names.contains(name));
    let is_library = |name: &str| !DERIVED.contains(&name) && !NAMES.contains(&name);
    let is_implied = |name: &str| match name {
        "library files" => all.iter().any(|other| is_library(other)),
        "toolchain" => is_any(&["compiler"]),
        "environment packages" => is_any(&["compiler", "toolchain", "library files"]),
        "source" | "patches" => is_any(&["CPython"]),
        "recipe's instructions" => is_any(&["CPython", "CC", "CFLAGS", "CPPFLAGS", "LDFLAGS"]) || is_any(&OPTIONS),
        _ => false,
    };
    let essential = |wanted: &&Change<String>| !DERIVED.contains(&wanted.name.as_str()) && !is_implied(&wanted.name);
    let found: Vec<_> = changes.iter().filter(essential).collect();
    if found.is_empty() { changes.last().into_iter().collect() } else { found }
}

/// Returns what has to be done about rows of some names, the most important first.
#[must_use]
pub fn topics(rows: &[Row], names: &[&str]) -> Vec<Topic> {
    let found = rows.iter().filter(|row| names.contains(&row.name.as_str()));
    let topics: BTreeSet<Topic> = found.filter_map(|row| row.topic).collect();
    topics.into_iter().collect()
}

/// The rows that follow from all others.
const DERIVED: [&str; 5] = ["request key", "build key", "size", "manifest", "sha256"];

/// The rows that are no versions of libraries, besides the derived ones.
const NAMES: [&str; 26] = [
    "CPython",
    "prefix",
    "optimize",
    "libraries",
    "bytecode",
    "hardening",
    "shared",
    "debug files",
    "named profile",
    "configure arguments",
    "CC",
    "CFLAGS",
    "CPPFLAGS",
    "LDFLAGS",
    "compiler",
    "glibc of the build",
    "toolchain",
    "environment packages",
    "library files",
    "source",
    "patches",
    "recipe's instructions",
    "profile",
    "format",
    "glibc floor",
    "remotes",
];

/// Returns the facts of an artifact: what is in it first.
#[must_use]
pub fn rows(artifact: &LockedArtifact) -> Vec<Row> {
    let LockedArtifact { digest, size, manifest_digest, glibc_floor, plan, compiled_in, remotes } = artifact;
    let content = |name: &str, value: String| Row { name: name.into(), value, topic: None, is_content: true };
    let mut rows = plan.rows();
    // After the libraries, before the options.
    let at = rows.iter().position(|row| !row.is_content).unwrap_or(rows.len());
    let copies = compiled_in.iter().map(|(name, version)| content(&format!("{name}, compiled in"), version.clone()));
    rows.splice(at..at, copies);
    rows.push(content("glibc floor", glibc_floor.to_string()));
    if !remotes.is_empty() {
        rows.push(Row { is_content: false, ..content("remotes", remotes.join(" ")) });
    }
    rows.push(content("size", format!("{size} B")));
    rows.push(Row { is_content: false, ..content("manifest", manifest_digest.to_string()) });
    rows.push(Row { is_content: false, ..content("sha256", digest.to_string()) });
    rows
}

impl LockedPlan {
    /// Returns the facts of a plan: what will be in the artifact first, then what decides it.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let Self { release, variant, build_key, request_key, options, inputs, libraries } = self;
        let row = |name: &str, value: String, topic| Row { name: name.into(), value, topic, is_content: false };
        let mut rows = vec![row("CPython", format!("{release}{variant}"), Some(Topic::Recipe))];
        rows.extend(libraries.iter().map(|(name, version)| row(title(name), version.clone(), Some(Topic::System))));
        for row in &mut rows {
            row.is_content = true;
        }
        rows.extend(options.rows());
        let digest = |name: &str, digest: Digest, topic| row(name, digest.to_string(), Some(topic));
        rows.push(row("compiler", inputs.compiler.clone(), Some(Topic::System)));
        rows.push(row("glibc of the build", inputs.glibc.clone(), Some(Topic::System)));
        rows.push(digest("toolchain", inputs.toolchain, Topic::System));
        rows.push(digest("environment packages", inputs.environment, Topic::System));
        rows.push(digest("library files", inputs.library_files, Topic::System));
        rows.push(digest("source", inputs.source, Topic::Recipe));
        rows.push(digest("patches", inputs.patches, Topic::Recipe));
        rows.push(digest("recipe's instructions", inputs.instructions, Topic::Recipe));
        rows.extend(inputs.profile.map(|profile| digest("profile", profile, Topic::Profile)));
        rows.push(row("format", inputs.format.to_string(), Some(Topic::Format)));
        // Of a recipe that differs in what decides no byte of Python: the manifest has its digest.
        rows.push(row("request key", request_key.to_string(), Some(Topic::Recipe)));
        rows.push(row("build key", build_key.to_string(), None));
        rows
    }
}

impl LockedOptions {
    /// Returns the options by their names.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let Self { prefix, optimize, libraries, bytecode, hardening, shared, debug_files, .. } = self;
        let row = |name: &str, value: String| Row { name: name.into(), value, topic: None, is_content: false };
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
        if !self.configure_arguments.is_empty() {
            rows.push(row("configure arguments", self.configure_arguments.join(" ")));
        }
        let variables = self.compiler_variables.iter();
        rows.extend(variables.map(|(name, value)| Row { topic: Some(Topic::Variables), ..row(name, value.clone()) }));
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
