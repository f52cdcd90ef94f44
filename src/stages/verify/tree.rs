//! Checks of the files: that they are complete, unchanged, and can be copied anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::report::Report;
use super::{Origin, Subject};
use crate::domain::digest::Digest;
use crate::domain::manifest::{LICENSES_PATH, MANIFEST_PATH, Manifest, SUMS_PATH};
use crate::error::Result;
use crate::sys::fs::{self, Entry, Kind};

/// The files of an artifact, with the digest of each.
pub(super) struct Own {
    files: BTreeMap<PathBuf, Digest>,
}

impl Own {
    /// Reads the sums of a tree. The result is empty if the manifest has another digest for them.
    pub(super) fn read(prefix: &Path, manifest: &Manifest) -> Self {
        // A file that cannot be read counts as empty, and its digest does not match.
        let text = fs_err::read_to_string(prefix.join(SUMS_PATH)).unwrap_or_default();
        let lines = if Digest::of(&text) == manifest.sums { text.as_str() } else { "" };
        let files = lines
            .lines()
            .filter_map(|line| line.split_once("  "))
            .filter_map(|(digest, path)| Some((PathBuf::from(path), digest.parse().ok()?)));
        Self { files: files.collect() }
    }

    /// Returns the names of the artifact's files in a directory.
    pub(super) fn names_in(&self, directory: &str) -> Vec<String> {
        let inside = self.files.keys().filter(|path| path.parent() == Some(Path::new(directory)));
        inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
    }

    /// Whether a file is the artifact's, and not added later.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.files.contains_key(path) || path == Path::new(SUMS_PATH) || path == Path::new(MANIFEST_PATH)
    }
}

/// Checks the files of a tree. Findings are in the report.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if a file cannot be read.
pub(super) fn check(subject: &Subject<'_>, forbidden: &[String], report: &mut Report) -> Result<()> {
    let &Subject { prefix, manifest, own, origin } = subject;
    let entries = fs::walk(prefix)?;
    report.add_findings("sums of all files", &sums(prefix, own, origin, &entries)?);
    report.add_findings("links are the artifact's", &recorded_links(manifest, origin, &entries));
    // Files that a user added to an installed prefix are not checked further.
    let entries: Vec<Entry> = entries
        .into_iter()
        .filter(|entry| match &entry.kind {
            Kind::File { .. } => own.has(&entry.path) || origin == Origin::Tarball,
            Kind::Symlink(_) => {
                manifest.links.contains_key(&entry.path.display().to_string()) || origin == Origin::Tarball
            }
            Kind::Directory | Kind::Other => true,
        })
        .collect();
    report.add_findings("links lead to files of the tree", &links(prefix, &entries));
    report.add_findings("modes", &modes(&entries));
    report.add_findings("no trace of the build", &traces(prefix, &entries, forbidden)?);
    report.add_findings("scripts find their interpreter", &shebangs(prefix, &entries)?);
    report.add_findings("licence texts", &licenses(prefix, manifest)?);
    report.add_findings("the manifest's keys", &keys(manifest));
    Ok(())
}

/// Returns files that are missing, changed or not the artifact's.
fn sums(prefix: &Path, own: &Own, origin: Origin, entries: &[Entry]) -> Result<Vec<String>> {
    if own.files.is_empty() {
        return Ok(vec![format!("{SUMS_PATH} is missing or differs from the one that the manifest names")]);
    }
    let mut missing: BTreeSet<&Path> = own.files.keys().map(PathBuf::as_path).collect();
    let mut findings = Vec::new();
    for entry in entries.iter().filter(|entry| entry.is_file()) {
        missing.remove(entry.path.as_path());
        match own.files.get(&entry.path) {
            Some(digest) if Digest::of_reader(fs_err::File::open(prefix.join(&entry.path))?)? == *digest => {}
            Some(_) => findings.push(format!("{} was changed", entry.path.display())),
            None if own.has(&entry.path) || origin.may_have(&entry.path) => {}
            None => findings.push(format!("{} is not part of the artifact", entry.path.display())),
        }
    }
    findings.extend(missing.into_iter().map(|path| format!("{} is missing", path.display())));
    Ok(findings)
}

/// Returns links that are missing, changed or not the artifact's.
fn recorded_links(manifest: &Manifest, origin: Origin, entries: &[Entry]) -> Vec<String> {
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
            None => findings.push(format!("{link} is missing")),
        }
    }
    let strange = found.into_keys().filter(|link| !origin.may_have(Path::new(link)));
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
