//! Verify: whether an artifact is what it says, unpacked somewhere else than its prefix.
//!
//! Every check reports, so that one run shows every finding: `tree` looks at files, `elf` at
//! what was linked, `probe` at what the Python does.

mod elf;
mod probe;
mod report;
mod tree;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

pub use report::{Check, Report, Status};

use super::package::PackedArtifact;
use crate::error::{Error, Result};
use crate::event::Reporter;
use crate::store::artifact::{format_of, read_manifest};
use crate::sys::process::Runner;
use crate::sys::{archive, fs};

/// An artifact that passed every check.
#[derive(Debug)]
pub struct VerifiedArtifact {
    packed: PackedArtifact,
    report: Report,
}

impl VerifiedArtifact {
    pub(super) const fn packed(&self) -> &PackedArtifact {
        &self.packed
    }

    /// What was checked.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }
}

/// Where a tree comes from, and so what may be in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Just unpacked: it holds the artifact and nothing else.
    Tarball,
    /// Installed, and perhaps used since.
    Prefix,
}

impl Origin {
    /// Whether a file may be there that the artifact does not have: caches, and what pip installs.
    fn may_have(self, path: &Path) -> bool {
        let part = |name: &str| path.iter().any(|part| part == name);
        self == Self::Prefix && (part("__pycache__") || part("site-packages") || path.starts_with("bin"))
    }
}

/// Verifies a packed artifact as a step of its build.
///
/// # Errors
/// [`Error::Verification`] with every finding.
pub fn verify(packed: PackedArtifact, runner: &dyn Runner, reporter: &dyn Reporter) -> Result<VerifiedArtifact> {
    let work = packed.build_directory();
    let directory = fs::temporary_directory_in(work, "verify-")?;
    // Each by its own name: the tree is verified in the same work directory.
    let traces = ["source", "staging", "pkgconfig", "module-link"].map(|name| work.join(name).display().to_string());
    let report = verify_tarball_in(packed.tarball(), directory.path(), &traces, runner, reporter)?;
    report.require(&packed.manifest().name.to_string())?;
    Ok(VerifiedArtifact { packed, report })
}

/// Verifies a tarball, or a prefix where it is installed.
///
/// # Errors
/// That there is nothing to verify at the path; findings are in the report.
pub fn verify_path(path: &Path, runner: &dyn Runner, reporter: &dyn Reporter) -> Result<Report> {
    let scratch = fs::temporary_directory_in(&std::env::temp_dir(), "pykeel-verify-")?;
    utf8(scratch.path())?;
    if path.is_dir() {
        let prefix = fs_err::canonicalize(path)?;
        utf8(&prefix)?;
        let interpreter = prefix.join(read_manifest(&prefix)?.plan.interpreter());
        // One that is not there, or may not be run by its mode, is a finding.
        let has_mode = std::fs::metadata(&interpreter).is_ok_and(|metadata| metadata.mode() & 0o111 == 0o111);
        if has_mode && !fs::may_be_run(&interpreter) {
            return Err(Error::NoExec { path: prefix });
        }
        return verify_tree(&prefix, Origin::Prefix, scratch.path(), &[], runner, reporter);
    }
    if !fs::runs_programs(scratch.path())? {
        return Err(Error::NoExec { path: scratch.path().to_owned() });
    }
    verify_tarball_in(path, scratch.path(), &[], runner, reporter)
}

/// The probe is told paths in JSON.
fn utf8(path: &Path) -> Result<()> {
    match path.to_str() {
        Some(_) => Ok(()),
        None => Err(Error::PathNotUtf8 { path: path.to_owned() }),
    }
}

/// Unpacks a tarball into `scratch` and verifies it there, and at its prefix where that can be.
fn verify_tarball_in(
    tarball: &Path,
    scratch: &Path,
    forbidden: &[String],
    runner: &dyn Runner,
    reporter: &dyn Reporter,
) -> Result<Report> {
    let prefix = scratch.join("moved");
    fs_err::create_dir(&prefix)?;
    let name = tarball.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let format = format_of(tarball)?;
    let reader = archive::decoder(format, fs_err::File::open(tarball)?)?;
    let unpacked = archive::unpack(&name, reader, &prefix)?;
    let mut report = verify_tree(&prefix, Origin::Tarball, scratch, forbidden, runner, reporter)?;
    let manifest = read_manifest(&prefix)?;
    report.add(
        "top directory",
        if unpacked.top == manifest.plan.request.prefix.name() {
            Status::Passed
        } else {
            Status::Failed(format!("it is {}, not {}", unpacked.top, manifest.plan.request.prefix.name()))
        },
    );
    let stem = name.strip_suffix(&format!(".tar.{format}")).unwrap_or(&name);
    if stem.starts_with("cpython-") {
        report.add(
            "file name",
            if stem == manifest.name.to_string() {
                Status::Passed
            } else {
                Status::Failed(format!("the manifest says {}", manifest.name))
            },
        );
    }
    Ok(report)
}

/// Verifies a tree with all checks.
fn verify_tree(
    prefix: &Path,
    origin: Origin,
    scratch: &Path,
    forbidden: &[String],
    runner: &dyn Runner,
    reporter: &dyn Reporter,
) -> Result<Report> {
    let manifest = read_manifest(prefix)?;
    let mut report = Report::default();
    let own = tree::Own::read(prefix, &manifest);
    tree::check(prefix, &manifest, &own, origin, forbidden, &mut report)?;
    elf::check(prefix, &manifest, &own, &mut report)?;
    let probe = probe::Probe { manifest: &manifest, own: &own, scratch, forbidden, runner, reporter };
    probe::check(&probe, prefix, &mut report)?;
    Ok(report)
}
