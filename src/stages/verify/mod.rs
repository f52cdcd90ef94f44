//! Verify: checks that an artifact is what its manifest says, and that its Python works after a move.
//!
//! `own` and `installed` say whose the files are, `tree` checks them, `elf` the linked objects, `probe` the Python
//! itself. All checks of files run, whatever fails, so that one run shows every finding. What they find decides whether
//! anything of the tree is run: a changed file may do anything, and pykeel is often root.

mod elf;
mod hardening;
mod installed;
mod own;
mod probe;
mod report;
mod tree;

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

pub use installed::Distribution;
pub use report::{Check, Report, Status};

use self::installed::Installed;
use self::own::{Differences, Own};
use super::package::PackedArtifact;
use crate::domain::manifest::Manifest;
use crate::error::{Error, Result};
use crate::event::Reporter;
use crate::store::artifact::{format_of, read_manifest};
use crate::sys::fs::Entry;
use crate::sys::process::{Runner, confine};
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

/// Whether something of a tree may be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// If its files have passed every check.
    AfterFiles,
    /// In no case.
    Never,
}

/// The tree that is checked.
struct Subject<'a> {
    prefix: &'a Path,
    manifest: &'a Manifest,
    /// The files of the artifact among those of the tree.
    own: Own,
    entries: Vec<Entry>,
    differences: Differences,
    /// What pip and other installers changed.
    installed: Installed,
    origin: Origin,
}

impl<'a> Subject<'a> {
    /// Reads the files of a tree.
    fn read(prefix: &'a Path, manifest: &'a Manifest, origin: Origin) -> Result<Self> {
        let mut own = Own::read(prefix, manifest);
        let entries = fs::walk(prefix)?;
        let differences = own.differences(prefix, &entries)?;
        let installed = match origin {
            Origin::Prefix => installed::read(prefix, &manifest.plan, &entries, &differences)?,
            Origin::Tarball => Installed::default(),
        };
        own.replace(installed.replaced.clone());
        Ok(Self { prefix, manifest, own, entries, differences, installed, origin })
    }

    /// Whether a file that is not the artifact's is expected: bytecode caches, and what pip installs.
    fn may_have(&self, path: &Path) -> bool {
        let packages = Path::new(&self.manifest.plan.stdlib()).join("site-packages");
        let is_cache = path.parent().is_some_and(|parent| parent.ends_with("__pycache__"));
        let is_script = path.parent() == Some(Path::new("bin"));
        let is_installed = path.starts_with(&packages) && path != packages;
        self.origin == Origin::Prefix && (is_cache || is_script || is_installed)
    }

    /// Whether every file and link is the artifact's: not even a bytecode cache was added.
    fn is_pure(&self) -> bool {
        let is_own = |entry: &Entry| self.manifest.links.contains_key(&entry.path.display().to_string());
        let mut links = self.entries.iter().filter(|entry| matches!(entry.kind, fs::Kind::Symlink(_)));
        self.differences == Differences::default() && links.all(is_own)
    }
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
    let directory = scratch_in(&place_of(work, runner)?, "verify-")?;
    // Not the work directory itself: the tree is verified in there.
    let traces = ["source", "staging", "pkgconfig", "module-link"].map(|name| work.join(name).display().to_string());
    let verifier =
        Verifier { scratch: directory.path(), forbidden: &traces, execution: Execution::AfterFiles, runner, reporter };
    let (report, _) = verifier.tarball(packed.tarball())?;
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
    let scratch = scratch_in(&std::env::temp_dir(), "pykeel-verify-")?;
    utf8(scratch.path())?;
    let verifier = Verifier { scratch: scratch.path(), forbidden: &[], execution, runner, reporter };
    let runs = execution == Execution::AfterFiles;
    if path.is_dir() {
        let prefix = fs_err::canonicalize(path)?;
        utf8(&prefix)?;
        let interpreter = prefix.join(read_manifest(&prefix)?.plan.interpreter());
        // An interpreter that is missing or not executable is a finding.
        let has_mode = std::fs::metadata(&interpreter).is_ok_and(|metadata| metadata.mode() & 0o111 == 0o111);
        if runs && has_mode && !fs::may_be_run(&interpreter) {
            return Err(Error::NoExec { path: prefix });
        }
        return verifier.prefix(&prefix);
    }
    if runs && !fs::runs_programs(scratch.path())? {
        return Err(Error::NoExec { path: scratch.path().to_owned() });
    }
    verifier.tarball(path)
}

/// Checks the files of an unpacked artifact, and runs nothing of it. Findings are in the report.
///
/// # Errors
/// Those of [`read_manifest`]; [`Error::Io`] if a file cannot be read.
pub fn check_files(unpacked: &Path) -> Result<Report> {
    let manifest = read_manifest(unpacked)?;
    let mut report = Report::default();
    let subject = Subject::read(unpacked, &manifest, Origin::Tarball)?;
    tree::check(&subject, &[], &mut report)?;
    elf::check(&subject, &mut report)?;
    Ok(report)
}

/// Returns the directory in which the artifact of a build is verified: the work directory, or one for temporary files if
/// the user nobody may not enter the work directory and the system has no way to show it to them.
fn place_of(work: &Path, runner: &dyn Runner) -> Result<PathBuf> {
    if !confine::becomes_nobody() || confine::closed_to_nobody(work).is_none() {
        return Ok(work.to_owned());
    }
    // What is closed itself, as a FUSE file system of root's is to everybody else, no mount can show.
    let is_shown = !confine::is_closed(work) && confine::refused_mounts(runner)?.is_none();
    let open = if is_shown { None } else { confine::open_directory() };
    Ok(open.unwrap_or_else(|| work.to_owned()))
}

/// Makes a directory that everybody may enter, since what is unpacked in it may run as another user.
fn scratch_in(place: &Path, prefix: &str) -> Result<tempfile::TempDir> {
    let directory = fs::temporary_directory_in(place, prefix)?;
    if confine::becomes_nobody() {
        fs_err::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
    }
    Ok(directory)
}

/// Makes a directory that everybody may enter, whatever umask pykeel runs with.
fn create_open_directory(path: &Path) -> Result<()> {
    fs_err::create_dir(path)?;
    Ok(fs_err::set_permissions(path, Permissions::from_mode(0o755))?)
}

/// Fails if a path is not UTF-8: the probe's request is JSON.
fn utf8(path: &Path) -> Result<()> {
    match path.to_str() {
        Some(_) => Ok(()),
        None => Err(Error::PathNotUtf8 { path: path.to_owned() }),
    }
}

impl Verifier<'_> {
    /// Unpacks a tarball into the scratch directory and verifies it there, and at its prefix if that is possible.
    fn tarball(&self, tarball: &Path) -> Result<(Report, Manifest)> {
        let prefix = self.scratch.join("moved");
        create_open_directory(&prefix)?;
        let name = tarball.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let format = format_of(tarball)?;
        let reader = archive::decoder(format, fs_err::File::open(tarball)?)?;
        let unpacked = archive::unpack(&name, reader, &prefix)?;
        let manifest = read_manifest(&prefix)?;
        let subject = Subject::read(&prefix, &manifest, Origin::Tarball)?;
        let mut report = self.files(&subject)?;
        let expected = manifest.plan.request.prefix.name();
        let wrong = (unpacked.top != expected).then(|| format!("it is {}, not {expected}", unpacked.top));
        report.add_findings("top directory", wrong.as_slice());
        let stem = name.strip_suffix(&format!(".tar.{format}")).unwrap_or(&name);
        if stem.starts_with("cpython-") {
            let wrong = (stem != manifest.name.to_string()).then(|| format!("the manifest says {}", manifest.name));
            report.add_findings("file name", wrong.as_slice());
        }
        self.run(&subject, &mut report)?;
        Ok((report, manifest))
    }

    /// Verifies an installed prefix.
    fn prefix(&self, prefix: &Path) -> Result<(Report, Manifest)> {
        let manifest = read_manifest(prefix)?;
        let subject = Subject::read(prefix, &manifest, Origin::Prefix)?;
        let mut report = self.files(&subject)?;
        report.installed.clone_from(&subject.installed.distributions);
        self.run(&subject, &mut report)?;
        Ok((report, manifest))
    }

    /// Checks the files of a tree. Runs nothing of it.
    fn files(&self, subject: &Subject<'_>) -> Result<Report> {
        let mut report = Report::default();
        tree::check(subject, self.forbidden, &mut report)?;
        elf::check(subject, &mut report)?;
        Ok(report)
    }

    /// Checks what Python does, if the files have passed every check.
    fn run(&self, subject: &Subject<'_>, report: &mut Report) -> Result<()> {
        let &Self { scratch, forbidden, execution, runner, reporter } = self;
        let failed = report.failed().join(", ");
        let reason = match execution {
            Execution::Never => "not run, as asked for: only the files were checked".to_owned(),
            Execution::AfterFiles if failed.is_empty() => {
                let Subject { prefix, manifest, own, .. } = subject;
                let probe = probe::Probe {
                    manifest,
                    own,
                    only_as_nobody: !subject.is_pure(),
                    scratch,
                    forbidden,
                    runner,
                    reporter,
                };
                return probe::check(&probe, prefix, report);
            }
            Execution::AfterFiles => format!(
                "nothing of this tree was run, because a file that is not the artifact's may do anything; its files \
                 failed these checks: {failed}"
            ),
        };
        report.add(report::RUNNING, Status::Skipped(reason));
        Ok(())
    }
}
