//! Checks of the files: that they are complete, unchanged, and can be copied anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::report::Report;
use super::{Origin, Subject};
use crate::domain::manifest::{LICENSES_PATH, Manifest, SUMS_PATH};
use crate::error::Result;
use crate::sys::fs::{self, Entry, Kind};

/// Checks the files of a tree. Findings are in the report.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if a file cannot be read.
pub(super) fn check(subject: &Subject<'_>, forbidden: &[String], report: &mut Report) -> Result<()> {
    let Subject { prefix, manifest, entries, .. } = subject;
    report.add_findings("sums of all files", &sums(subject));
    report.add_findings("links are the artifact's", &recorded_links(subject));
    // Files that a user added to an installed prefix are not checked further.
    let is_checked = |entry: &&Entry| match &entry.kind {
        Kind::File { .. } => subject.own.has(&entry.path) || subject.origin == Origin::Tarball,
        Kind::Symlink(_) => {
            manifest.links.contains_key(&entry.path.display().to_string()) || subject.origin == Origin::Tarball
        }
        Kind::Directory | Kind::Other => true,
    };
    let entries: Vec<Entry> = entries.iter().filter(is_checked).cloned().collect();
    report.add_findings("links lead to files of the tree", &links(prefix, &entries));
    report.add_findings("modes", &modes(&entries));
    report.add_findings("no trace of the build", &traces(prefix, &entries, forbidden)?);
    report.add_findings("scripts find their interpreter", &shebangs(prefix, &entries)?);
    report.add_findings("licence texts", &licenses(prefix, manifest)?);
    report.add_findings("the manifest's keys", &keys(manifest));
    Ok(())
}

/// Returns files that are missing, changed or not the artifact's, unless a distribution explains it.
fn sums(subject: &Subject<'_>) -> Vec<String> {
    let Subject { own, differences, installed, .. } = subject;
    if own.is_empty() {
        return vec![format!("{SUMS_PATH} is missing or differs from the one that the manifest names")];
    }
    let unexplained = |path: &&PathBuf| !installed.replaced.contains(*path);
    let changed = differences.changed.keys().filter(unexplained).map(|path| (path, "was changed"));
    let added = differences.added.iter().filter(|path| !subject.may_have(path));
    let added = added.map(|path| (path, "is not part of the artifact"));
    let missing = differences.missing.iter().filter(unexplained).map(|path| (path, "is missing"));
    let mut findings: Vec<_> = changed.chain(added).collect();
    findings.sort();
    findings.extend(missing);
    findings.into_iter().map(|(path, what)| format!("{} {what}", path.display())).collect()
}

/// Returns links that are missing, changed or not the artifact's.
fn recorded_links(subject: &Subject<'_>) -> Vec<String> {
    let Subject { manifest, entries, installed, .. } = subject;
    let mut found = BTreeMap::new();
    for entry in entries {
        if let Kind::Symlink(target) = &entry.kind {
            found.insert(entry.path.display().to_string(), target.display().to_string());
        }
    }
    let mut findings = Vec::new();
    for (link, target) in &manifest.links {
        match found.remove(link) {
            Some(is) if is == *target => {}
            Some(is) => findings.push(format!("{link} says {is}, not {target}")),
            None if installed.replaced.contains(Path::new(link)) => {}
            None => findings.push(format!("{link} is missing")),
        }
    }
    let strange = found.into_keys().filter(|link| !subject.may_have(Path::new(link)));
    findings.extend(strange.map(|link| format!("{link} is not part of the artifact")));
    findings
}

/// Returns links that are absolute, lead out of the tree, or dangle.
fn links(prefix: &Path, entries: &[Entry]) -> Vec<String> {
    let mut findings = Vec::new();
    for entry in entries {
        let Kind::Symlink(target) = &entry.kind else { continue };
        match fs::link_target(&entry.path, target) {
            _ if target.is_absolute() => {
                findings.push(format!("{} is absolute: {}", entry.path.display(), target.display()));
            }
            None => findings.push(format!("{} leads out of the tree: {}", entry.path.display(), target.display())),
            Some(target) if !prefix.join(&target).exists() => {
                findings.push(format!("{} dangles", entry.path.display()));
            }
            Some(_) => {}
        }
    }
    findings
}

/// Returns files with modes that do not fit a shared, read-only tree.
fn modes(entries: &[Entry]) -> Vec<String> {
    let mut findings = Vec::new();
    for entry in entries {
        let path = entry.path.display();
        if entry.mode & 0o6000 != 0 {
            findings.push(format!("{path} is set-uid or set-gid"));
        }
        match entry.kind {
            Kind::Symlink(_) => {}
            Kind::Other => findings.push(format!("{path} is neither file, directory nor link")),
            _ if entry.mode & 0o002 != 0 => findings.push(format!("{path} is world-writable")),
            _ if entry.mode & 0o004 == 0 => findings.push(format!("{path} is not world-readable")),
            _ => {}
        }
    }
    findings
}

/// Returns files that mention a directory of the build.
fn traces(prefix: &Path, entries: &[Entry], forbidden: &[String]) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for entry in entries.iter().filter(|entry| entry.is_file()) {
        let bytes = fs_err::read(prefix.join(&entry.path))?;
        let traces = forbidden.iter().filter(|text| memchr::memmem::find(&bytes, text.as_bytes()).is_some());
        findings.extend(traces.map(|text| format!("{} mentions {text}", entry.path.display())));
        let flags = [&b"-ffile-prefix-map"[..], b"debug-paths.rsp"];
        if flags.iter().any(|flag| memchr::memmem::find(&bytes, flag).is_some())
            && !crate::sys::elf::is_elf(&prefix.join(&entry.path))?
        {
            findings.push(format!("{} mentions a prefix-map flag", entry.path.display()));
        }
    }
    Ok(findings)
}

/// Returns scripts in `bin` with an interpreter that a move would break.
fn shebangs(prefix: &Path, entries: &[Entry]) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for entry in entries.iter().filter(|entry| entry.is_file() && entry.path.starts_with("bin")) {
        let bytes = fs_err::read(prefix.join(&entry.path))?;
        let Some(line) = bytes.strip_prefix(b"#!").and_then(|rest| rest.split(|&byte| byte == b'\n').next()) else {
            continue;
        };
        let line = String::from_utf8_lossy(line);
        if line.trim() != "/bin/sh" {
            findings.push(format!("{} is run by {}", entry.path.display(), line.trim()));
        }
    }
    Ok(findings)
}

/// Returns packages of bundled libraries without a licence text.
fn licenses(prefix: &Path, manifest: &Manifest) -> Result<Vec<String>> {
    let packages: BTreeSet<&str> = manifest.copied().map(|file| file.package).collect();
    let mut findings = Vec::new();
    for package in packages {
        let place = prefix.join(LICENSES_PATH).join(package);
        if !place.is_dir() || !fs::walk(&place)?.iter().any(Entry::is_file) {
            findings.push(format!("{package} has no licence text"));
        }
    }
    Ok(findings)
}

/// Returns keys in the manifest that are not those of its plan.
fn keys(manifest: &Manifest) -> Vec<String> {
    let mut findings = Vec::new();
    if manifest.build_key != manifest.plan.build_key() {
        findings.push("the build key is not the plan's".to_owned());
    }
    if manifest.request_key != manifest.plan.request_key() {
        findings.push("the request key is not the plan's".to_owned());
    }
    findings
}
