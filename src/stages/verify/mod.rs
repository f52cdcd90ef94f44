//! Verify: checks that an artifact is what its manifest says, and that its Python works after a move.
//!
//! All checks of one kind run, whatever fails, so that one run shows every finding. `tree` checks the files, `elf`
//! the linked objects, `probe` the Python itself: of a tree that somebody hands over only if the others passed.

mod elf;
mod hardening;
mod probe;
mod report;
mod tree;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

pub use report::{Check, Report, Status};

use super::package::PackedArtifact;
use crate::domain::manifest::Manifest;
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

    /// Returns the checks and their results.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }
}

/// Where a tree comes from, which decides what it may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Just unpacked: it contains the artifact and nothing else.
    Tarball,
    /// Installed: it may have been used.
    Prefix,
}

impl Origin {
    /// Whether a file that is not the artifact's is expected: bytecode caches, and what pip installs.
    fn may_have(self, path: &Path) -> bool {
        let part = |name: &str| path.iter().any(|part| part == name);
        self == Self::Prefix && (part("__pycache__") || part("site-packages") || path.starts_with("bin"))
    }
}

/// When the Python of a tree is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// Always: this process compiled it, and ran it before.
    Always,
    /// If its files passed their checks: whoever changed one decides what it does.
    IfSound,
    /// Never.
    Never,
}

/// The tree that is checked.
struct Subject<'a> {
    prefix: &'a Path,
    manifest: &'a Manifest,
    /// The files of the artifact among those of the tree.
    own: &'a tree::Own,
    origin: Origin,
}

/// The inputs of the checks of a tree.
struct Verifier<'a> {
    /// A directory for what the checks write.
    scratch: &'a Path,
    /// Strings that nothing in the tree may mention.
    forbidden: &'a [String],
    execution: Execution,
    runner: &'a dyn Runner,
    reporter: &'a dyn Reporter,
}

/// Verifies a packed artifact as a step of its build.
///
/// # Errors
/// [`Error::Verification`] with every finding; [`Error::Io`] or [`Error::Damaged`] if the tarball
/// cannot be unpacked; [`Error::Interrupted`] after a signal.
pub fn verify(packed: PackedArtifact, runner: &dyn Runner, reporter: &dyn Reporter) -> Result<VerifiedArtifact> {
    let work = packed.build_directory();
    let directory = fs::temporary_directory_in(work, "verify-")?;
    // Not the work directory itself: the tree is verified in there.
    let traces = ["source", "staging", "pkgconfig", "module-link"].map(|name| work.join(name).display().to_string());
    let verifier =
        Verifier { scratch: directory.path(), forbidden: &traces, execution: Execution::Always, runner, reporter };
    let report = verifier.tarball(packed.tarball())?;
    report.require(&packed.manifest().name.to_string())?;
    Ok(VerifiedArtifact { packed, report })
}

/// Verifies a tarball, or an installed prefix in place. Findings are in the report. Returns the manifest too.
///
/// # Errors
/// [`Error::NoExec`] if programs cannot be run there, [`Error::Io`] or [`Error::Damaged`] if there is no
/// readable artifact at the path, [`Error::PathNotUtf8`] if it is not UTF-8.
pub fn verify_path(
    path: &Path,
    execution: Execution,
    runner: &dyn Runner,
    reporter: &dyn Reporter,
) -> Result<(Report, Manifest)> {
    let scratch = fs::temporary_directory_in(&std::env::temp_dir(), "pykeel-verify-")?;
    utf8(scratch.path())?;
    let verifier = Verifier { scratch: scratch.path(), forbidden: &[], execution, runner, reporter };
    if path.is_dir() {
        let prefix = fs_err::canonicalize(path)?;
        utf8(&prefix)?;
        let interpreter = prefix.join(read_manifest(&prefix)?.plan.interpreter());
        // An interpreter that is missing or not executable is a finding.
        let has_mode = std::fs::metadata(&interpreter).is_ok_and(|metadata| metadata.mode() & 0o111 == 0o111);
        if execution != Execution::Never && has_mode && !fs::may_be_run(&interpreter) {
            return Err(Error::NoExec { path: prefix });
        }
        return Ok((verifier.tree(&prefix, Origin::Prefix)?, read_manifest(&prefix)?));
    }
    if execution != Execution::Never && !fs::runs_programs(scratch.path())? {
        return Err(Error::NoExec { path: scratch.path().to_owned() });
    }
    let report = verifier.tarball(path)?;
    Ok((report, read_manifest(&verifier.unpacked())?))
}

/// Checks the files of an unpacked artifact, and runs nothing of it. Findings are in the report.
///
/// # Errors
/// Those of [`read_manifest`]; [`Error::Io`] if a file cannot be read.
pub fn check_files(unpacked: &Path) -> Result<Report> {
    let manifest = read_manifest(unpacked)?;
    let mut report = Report::default();
    let own = tree::Own::read(unpacked, &manifest);
    let subject = Subject { prefix: unpacked, manifest: &manifest, own: &own, origin: Origin::Tarball };
    tree::check(&subject, &[], &mut report)?;
    elf::check(&subject, &mut report)?;
    Ok(report)
}

/// Fails if a path is not UTF-8: the probe's request is JSON.
fn utf8(path: &Path) -> Result<()> {
    match path.to_str() {
        Some(_) => Ok(()),
        None => Err(Error::PathNotUtf8 { path: path.to_owned() }),
    }
}

impl Verifier<'_> {
    /// The directory that a tarball is unpacked into.
    fn unpacked(&self) -> PathBuf {
        self.scratch.join("moved")
    }

    /// Unpacks a tarball into the scratch directory and verifies it there, and at its prefix if that is possible.
    fn tarball(&self, tarball: &Path) -> Result<Report> {
        let prefix = self.unpacked();
        fs_err::create_dir(&prefix)?;
        let name = tarball.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let format = format_of(tarball)?;
        let reader = archive::decoder(format, fs_err::File::open(tarball)?)?;
        let unpacked = archive::unpack(&name, reader, &prefix)?;
        let mut report = self.tree(&prefix, Origin::Tarball)?;
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

    /// Runs all checks on a tree.
    fn tree(&self, prefix: &Path, origin: Origin) -> Result<Report> {
        let &Self { scratch, forbidden, execution, runner, reporter } = self;
        let manifest = read_manifest(prefix)?;
        let mut report = Report::default();
        let own = tree::Own::read(prefix, &manifest);
        let subject = Subject { prefix, manifest: &manifest, own: &own, origin };
        tree::check(&subject, forbidden, &mut report)?;
        elf::check(&subject, &mut report)?;
        let (_, failed, _) = report.counts();
        let reason = match execution {
            Execution::Never => Some("only the files were to be checked"),
            Execution::IfSound if failed > 0 => Some("nothing of a tree that fails these checks is run"),
            Execution::Always | Execution::IfSound => None,
        };
        if let Some(reason) = reason {
            report.add("what Python does", Status::Skipped(reason.into()));
            return Ok(report);
        }
        let probe = probe::Probe { manifest: &manifest, own: &own, scratch, forbidden, runner, reporter };
        probe::check(&probe, prefix, &mut report)?;
        Ok(report)
    }
}
