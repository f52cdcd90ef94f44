//! The files of a tree: that they are all there, unchanged, and fit to be copied anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::report::Report;
use crate::domain::digest::Digest;
use crate::domain::manifest::{LICENSES_PATH, MANIFEST_PATH, Manifest, SUMS_PATH};
use crate::error::Result;
use crate::sys::fs::{self, Entry, Kind};

/// Checks the files of a tree.
///
/// # Errors
/// That the tree cannot be read; what is wrong with it is in the report.
pub(super) fn check(prefix: &Path, manifest: &Manifest, forbidden: &[String], report: &mut Report) -> Result<()> {
    let entries = fs::walk(prefix)?;
    report.add_findings("sums of all files", &sums(prefix, manifest, &entries)?);
    report.add_findings("links lead to files of the tree", &links(prefix, &entries));
    report.add_findings("modes", &modes(&entries));
    report.add_findings("no trace of the build", &traces(prefix, &entries, forbidden)?);
    report.add_findings("scripts find their interpreter", &shebangs(prefix, &entries)?);
    report.add_findings("licence texts", &licenses(prefix, manifest));
    report.add_findings("the manifest's keys", &keys(manifest));
    Ok(())
}

/// Every file has the sum that the artifact has for it, and there is no other.
fn sums(prefix: &Path, manifest: &Manifest, entries: &[Entry]) -> Result<Vec<String>> {
    let text = fs_err::read_to_string(prefix.join(SUMS_PATH)).unwrap_or_default();
    if Digest::of(&text) != manifest.sums {
        return Ok(vec![format!("{SUMS_PATH} is missing or not the one that the manifest names")]);
    }
    let mut expected: BTreeMap<PathBuf, Digest> = BTreeMap::new();
    for line in text.lines() {
        if let Some((digest, path)) = line.split_once("  ")
            && let Ok(digest) = digest.parse()
        {
            expected.insert(path.into(), digest);
        }
    }
    let own = [Path::new(SUMS_PATH), Path::new(MANIFEST_PATH)];
    let mut findings = Vec::new();
    for entry in entries.iter().filter(|entry| entry.is_file() && !own.contains(&entry.path.as_path())) {
        let found = Digest::of_reader(fs_err::File::open(prefix.join(&entry.path))?)?;
        match expected.remove(&entry.path) {
            Some(digest) if digest == found => {}
            Some(_) => findings.push(format!("{} was changed", entry.path.display())),
            None if is_added_by_use(&entry.path) => {}
            None => findings.push(format!("{} is not of the artifact", entry.path.display())),
        }
    }
    findings.extend(expected.into_keys().map(|path| format!("{} is missing", path.display())));
    Ok(findings)
}

/// What an installed Python may have that its artifact had not: caches, and installed packages.
fn is_added_by_use(path: &Path) -> bool {
    let parts: BTreeSet<_> = path.iter().filter_map(|part| part.to_str()).collect();
    parts.contains("__pycache__") || parts.contains("site-packages") || path.starts_with("bin")
}

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
            _ if entry.mode & 0o002 != 0 => findings.push(format!("{path} is writable by all")),
            _ if entry.mode & 0o004 == 0 => findings.push(format!("{path} is not readable by all")),
            _ => {}
        }
    }
    findings
}

fn traces(prefix: &Path, entries: &[Entry], forbidden: &[String]) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for entry in entries.iter().filter(|entry| entry.is_file()) {
        let bytes = fs_err::read(prefix.join(&entry.path))?;
        let traces = forbidden.iter().filter(|text| memchr::memmem::find(&bytes, text.as_bytes()).is_some());
        findings.extend(traces.map(|text| format!("{} mentions {text}", entry.path.display())));
        if memchr::memmem::find(&bytes, b"-ffile-prefix-map").is_some()
            && !crate::sys::elf::is_elf(&prefix.join(&entry.path))?
        {
            findings.push(format!("{} mentions a prefix-map flag", entry.path.display()));
        }
    }
    Ok(findings)
}

/// No script in `bin` names an interpreter by a path that a move would break.
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

fn licenses(prefix: &Path, manifest: &Manifest) -> Vec<String> {
    let packages: BTreeSet<&str> = manifest.libraries.iter().map(|library| library.package.as_str()).collect();
    let text = |package: &str| prefix.join(LICENSES_PATH).join(package).join("copyright");
    packages
        .into_iter()
        .filter(|package| !text(package).is_file())
        .map(|package| format!("there is none for {package}"))
        .collect()
}

fn keys(manifest: &Manifest) -> Vec<String> {
    let mut findings = Vec::new();
    if manifest.build_key != manifest.plan.build_key() {
        findings.push("the build key is not the plan's".to_owned());
    }
    if manifest.request_key != manifest.plan.request().key() {
        findings.push("the request key is not the plan's".to_owned());
    }
    findings
}
