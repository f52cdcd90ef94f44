//! Everything that can go wrong, once: what it is about, why, what to do, and the exit code.

use std::io;
use std::path::PathBuf;

use crate::domain::digest::Digest;
use crate::domain::inputs::InputFinding;
use crate::domain::version::{Series, Variant};

/// The result of work that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The exit codes of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// The build failed.
    Build = 1,
    /// A wrong use or a wrong recipe.
    Usage = 2,
    /// A source could not be had.
    Source = 3,
    /// Verification failed.
    Verification = 4,
    /// Something is locked, full or not permitted.
    Unavailable = 5,
}

/// One reason why a source could not be had from one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceAttempt {
    /// The URL or the directory.
    pub place: String,
    /// Why not from there.
    pub reason: String,
}

/// A mistake in a file that somebody wrote, a recipe or a configuration, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct Mistake {
    /// The file, as the user can open it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl Mistake {
    /// A mistake at a byte offset of a file's text.
    #[must_use]
    pub fn at(file: &str, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.rsplit('\n').next().unwrap_or_default().chars().count() + 1,
            message: message.into(),
        }
    }
}

/// What went wrong. The documentation of each variant says with which code the program exits.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Exit code 2.
    #[error("there is no recipe for Python {request}")]
    UnknownVersion {
        /// What was asked for.
        request: String,
        /// The versions there are that come nearest.
        nearest: Vec<String>,
    },

    /// Exit code 2.
    #[error("the recipe {file} has no variant `{variant}` of Python {series}")]
    NoVariant {
        /// The series.
        series: Series,
        /// The variant asked for.
        variant: Variant,
        /// The recipe.
        file: String,
    },

    /// Exit code 2.
    #[error("Python {series} has been past its end of life since {day}: it gets no security fixes")]
    EndOfLife {
        /// The series.
        series: Series,
        /// When.
        day: String,
    },

    /// Exit code 2.
    #[error(transparent)]
    Mistake(#[from] Mistake),

    /// Exit code 2.
    #[error("profile {what}: {reason}")]
    Profile {
        /// The profile, by its file or digest.
        what: String,
        /// Why it cannot be used.
        reason: String,
        /// What can be done.
        remedy: String,
    },

    /// Exit code 1.
    #[error("the profile {profile} is of no use for this source: {reason}\n{}", .examples.join("\n"))]
    UselessProfile {
        /// Its digest.
        profile: String,
        /// What was counted.
        reason: String,
        /// The first of the compiler's warnings.
        examples: Vec<String>,
        /// The log of the build.
        log: PathBuf,
    },

    /// Exit code 2.
    #[error("patch {name}: {reason}")]
    Patch {
        /// The patch, below `patches/`.
        name: String,
        /// Why it cannot be used.
        reason: String,
    },

    /// Exit code 2.
    #[error("{0}")]
    Usage(String),

    /// Exit code 2.
    #[error("this system has musl as its C library ({evidence}), and pykeel builds for glibc alone")]
    Musl {
        /// How that was found out.
        evidence: String,
    },

    /// Exit code 1.
    #[error("the build needs {}", .missing.join(", "))]
    MissingDependencies {
        /// Programs and headers that are not there.
        missing: Vec<String>,
        /// The command that installs them, where the distribution is known.
        install: Option<String>,
    },

    /// Exit code 1.
    #[error("`{program}` cannot be run: {reason}")]
    Spawn {
        /// The program.
        program: String,
        /// Why.
        reason: String,
    },

    /// Exit code 1.
    #[error("`{command}` failed ({status})")]
    Command {
        /// The command line.
        command: String,
        /// The exit status, in words.
        status: String,
        /// What it printed, or the part of it that matters.
        output: String,
        /// The log with all of it, where there is one.
        log: Option<PathBuf>,
    },

    /// Exit code 1.
    #[error("Python was built without {}", .modules.iter().map(|(name, why)| format!("{name} ({why})")).collect::<Vec<_>>().join(", "))]
    MissingModules {
        /// Each module that the recipe requires, and why it is not there.
        modules: Vec<(String, String)>,
        /// The packages that bring what they need.
        packages: Vec<String>,
        /// The log of the build.
        log: PathBuf,
    },

    /// Exit code 1.
    #[error("the build made extension modules that the recipe does not list: {}", .modules.join(", "))]
    UnlistedModules {
        /// The modules.
        modules: Vec<String>,
        /// The recipe.
        recipe: String,
    },

    /// Exit code 1.
    #[error("{} belongs to no package, so its {unknown} cannot be told", .path.display())]
    Unowned {
        /// A header or library of the build host.
        path: PathBuf,
        /// What a package would say of it.
        unknown: &'static str,
    },

    /// Exit code 4.
    #[error("the build host has files that the build could read and that no package confirms:\n{}", .findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Unconfirmed {
        /// Each file, what is wrong with it and what can be done.
        findings: Vec<InputFinding>,
    },

    /// Exit code 4.
    #[error("the build read files that are neither in the source nor in the plan:\n{}", .findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    UnplannedRead {
        /// Each file, what is wrong with it and what can be done.
        findings: Vec<InputFinding>,
    },

    /// Exit code 1.
    #[error("library {soname}: {reason}")]
    Library {
        /// The library.
        soname: String,
        /// Why it cannot be bundled.
        reason: String,
        /// What to do.
        remedy: String,
    },

    /// Exit code 3.
    #[error("the source of Python {release} could not be had")]
    SourceUnavailable {
        /// The release.
        release: String,
        /// Every place that was tried.
        attempts: Vec<SourceAttempt>,
    },

    /// Exit code 4.
    #[error("{what} has the SHA-256 {found}, and should have {expected}")]
    DigestMismatch {
        /// The file.
        what: String,
        /// The digest it has.
        found: Digest,
        /// The digest it should have.
        expected: Digest,
    },

    /// Exit code 4.
    #[error("{archive}: {reason}")]
    HostileArchive {
        /// The archive.
        archive: String,
        /// What in it is refused.
        reason: String,
    },

    /// Exit code 4.
    #[error("{what} is damaged: {reason}")]
    Damaged {
        /// The file or entry.
        what: String,
        /// How that shows.
        reason: String,
    },

    /// Exit code 4.
    #[error("{what} failed {failed} of {total} checks")]
    Verification {
        /// The artifact.
        what: String,
        /// How many checks failed.
        failed: usize,
        /// How many there were.
        total: usize,
        /// Each failure.
        findings: Vec<String>,
    },

    /// Exit code 4.
    #[error("{what} cannot be built again here: what decides its bytes is different")]
    OtherPlan {
        /// The artifact.
        what: String,
        /// Each thing that is different.
        differences: Vec<String>,
        /// What to do.
        remedy: String,
    },

    /// Exit code 4.
    #[error("{what} came out different when it was built again")]
    NotReproduced {
        /// The artifact.
        what: String,
        /// Each file that differs, and where.
        differences: Vec<String>,
        /// The report of diffoscope, where there is one.
        report: Option<PathBuf>,
    },

    /// Exit code 2.
    #[error("no artifact {digest} is in the store")]
    NoSuchArtifact {
        /// The digest asked for.
        digest: Digest,
    },

    /// Exit code 2.
    #[error("no artifact of Python {request} that can be used is in the store{}", .why.as_deref().map(|why| format!(": {why}")).unwrap_or_default())]
    NotInStore {
        /// What was asked for.
        request: String,
        /// Why those that are there are of no use.
        why: Option<String>,
    },

    /// Exit code 2.
    #[error("Python {request} may mean {} artifacts of the store", .candidates.len())]
    AmbiguousArtifact {
        /// What was asked for.
        request: String,
        /// The digest and the name of each.
        candidates: Vec<String>,
    },

    /// Exit code 5.
    #[error("{path} is not a Python that pykeel installed: {reason}")]
    ForeignPrefix {
        /// The prefix.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },

    /// Exit code 5.
    #[error("{path} cannot be removed: {reason}")]
    NotRemovable {
        /// The prefix.
        path: PathBuf,
        /// Why not.
        reason: String,
    },

    /// Exit code 5.
    #[error("{path} has {} that pykeel did not put there", counted(.strays.len()))]
    Strays {
        /// The prefix.
        path: PathBuf,
        /// Each file, and what became of it.
        strays: Vec<String>,
    },

    /// Exit code 2.
    #[error("Python {request} is not installed{}", .place.as_deref().map(|place| format!(" at {place}")).unwrap_or_default())]
    NotInstalled {
        /// What was asked for.
        request: String,
        /// Where it was looked for.
        place: Option<String>,
        /// What is installed there and beside it.
        there: Vec<String>,
    },

    /// Exit code 2.
    #[error("{path} is no artifact of pykeel: {reason}")]
    NotAnArtifact {
        /// The tree or tarball.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },

    /// Exit code 1, whatever the codes of the failures are.
    #[error("{} of {of} versions failed: {}", .failed.len(), .failed.iter().map(|(version, _)| version.as_str()).collect::<Vec<_>>().join(", "))]
    SomeFailed {
        /// Each version that failed, and why.
        failed: Vec<(String, Error)>,
        /// How many there were.
        of: usize,
    },

    /// Exit code 5.
    #[error("no program can be run in {path}: its file system is mounted with noexec, or keeps no modes")]
    NoExec {
        /// The directory.
        path: PathBuf,
    },

    /// Exit code 1.
    #[error("the clock of this machine says {now}, and {what} was made {made}: make goes by the clock")]
    Clock {
        /// The time it says.
        now: String,
        /// What is from the future.
        what: String,
        /// Its time.
        made: String,
    },

    /// Exit code 5 where the disk is full, the place is read-only or not permitted, else 1.
    #[error("{0}")]
    Io(#[from] io::Error),

    /// Exit code 128 and the signal's number.
    #[error("interrupted by {}", signal_name(*.0))]
    Interrupted(i32),
}

fn counted(files: usize) -> String {
    if files == 1 { "a file".to_owned() } else { format!("{files} files") }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        signal_hook::consts::SIGINT => "SIGINT",
        signal_hook::consts::SIGTERM => "SIGTERM",
        signal_hook::consts::SIGHUP => "SIGHUP",
        _ => "a signal",
    }
}

impl Error {
    /// The exit code of the program.
    #[must_use]
    pub fn code(&self) -> u8 {
        let code = match self {
            Self::Interrupted(signal) => return u8::try_from(128 + signal).unwrap_or(130),
            Self::UnknownVersion { .. }
            | Self::NoVariant { .. }
            | Self::EndOfLife { .. }
            | Self::Mistake(_)
            | Self::Patch { .. }
            | Self::Profile { .. }
            | Self::Usage(_)
            | Self::Musl { .. }
            | Self::NoSuchArtifact { .. }
            | Self::NotInStore { .. }
            | Self::NotInstalled { .. }
            | Self::AmbiguousArtifact { .. }
            | Self::NotAnArtifact { .. } => ExitCode::Usage,
            Self::SourceUnavailable { .. } => ExitCode::Source,
            Self::DigestMismatch { .. }
            | Self::HostileArchive { .. }
            | Self::Damaged { .. }
            | Self::OtherPlan { .. }
            | Self::NotReproduced { .. }
            | Self::Unconfirmed { .. }
            | Self::UnplannedRead { .. }
            | Self::Verification { .. } => ExitCode::Verification,
            Self::ForeignPrefix { .. } | Self::NotRemovable { .. } | Self::Strays { .. } | Self::NoExec { .. } => {
                ExitCode::Unavailable
            }
            Self::Io(error) if is_unavailable(error) => ExitCode::Unavailable,
            Self::Io(_)
            | Self::SomeFailed { .. }
            | Self::Clock { .. }
            | Self::MissingDependencies { .. }
            | Self::Spawn { .. }
            | Self::Command { .. }
            | Self::MissingModules { .. }
            | Self::UnlistedModules { .. }
            | Self::UselessProfile { .. }
            | Self::Unowned { .. }
            | Self::Library { .. } => ExitCode::Build,
        };
        code as u8
    }

    /// A profile that cannot be used, where another can.
    pub fn profile(what: impl std::fmt::Display, reason: impl Into<String>) -> Self {
        let remedy = "name another with `--profile`, record one with `pykeel train`, or build with `--optimize none`";
        Self::Profile { what: what.to_string(), reason: reason.into(), remedy: remedy.to_owned() }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownVersion { nearest, .. } if nearest.is_empty() => {
                Some("`pykeel list --all` shows the versions there are".into())
            }
            Self::UnknownVersion { nearest, .. } => {
                Some(format!("the nearest are {}; `pykeel list --all` shows all", nearest.join(", ")))
            }
            Self::EndOfLife { .. } => Some("`--allow-eol` builds it all the same".into()),
            Self::Patch { .. } => {
                Some("mend the patch or the recipe, and look at it with `pykeel recipe check`".into())
            }
            Self::UselessProfile { log, .. } => Some(format!(
                "record one of this release with `pykeel train`, or build with `--optimize none`; the log is {}",
                log.display()
            )),
            Self::Musl { .. } => {
                Some("build in a glibc-based image such as Debian, Ubuntu, Fedora or a Red Hat UBI".into())
            }
            Self::MissingDependencies { install: Some(command), .. } => {
                Some(format!("install them with\n    {command}\nor let `--install-deps` do that"))
            }
            Self::MissingDependencies { install: None, .. } => {
                Some("install them with the package manager of this distribution".into())
            }
            Self::Command { log: Some(log), output, status, .. } if is_out_of_memory(output, status) => Some(format!(
                "the system kills when memory runs out: try fewer `--jobs`, or give the container more; the whole log is {}",
                log.display()
            )),
            Self::Command { log: Some(log), .. } => Some(format!("the whole log is {}", log.display())),
            Self::MissingModules { packages, log, .. } if packages.is_empty() => {
                Some(format!("the log says more: {}", log.display()))
            }
            Self::MissingModules { packages, log, .. } => {
                Some(format!("they need {}; the log says more: {}", packages.join(", "), log.display()))
            }
            Self::UnlistedModules { recipe, .. } => {
                Some(format!("add them to `modules.required`, `modules.builtin` or `modules.disabled` of {recipe}"))
            }
            Self::Unowned { .. } => Some("remove it, so that the distribution's is found, or package it".into()),
            Self::Library { remedy, .. } | Self::OtherPlan { remedy, .. } | Self::Profile { remedy, .. } => Some(remedy.clone()),
            Self::NotReproduced { report: Some(report), .. } => {
                Some(format!("diffoscope says more in {}", report.display()))
            }
            Self::NotReproduced { report: None, .. } => {
                Some("`--keep-build` leaves both trees where they can be looked at; diffoscope says more where it is installed".into())
            }
            Self::SourceUnavailable { .. } => {
                Some("`--mirror DIR` takes the archive from a directory, `--mirror URL` from a URL with {file}".into())
            }
            Self::NoSuchArtifact { .. } => Some("`pykeel list` shows the digests of what is there".into()),
            Self::NotInStore { request, .. } => Some(format!("`pykeel build {request}` makes one")),
            Self::AmbiguousArtifact { .. } => Some("name one by its digest: `sha256:…`".into()),
            Self::ForeignPrefix { .. } => Some("`--force` replaces it; `--prefix DIR` installs elsewhere".into()),
            Self::Strays { .. } => Some("`--force` removes them with it".into()),
            Self::NotInstalled { there, .. } if there.is_empty() => {
                Some("nothing that pykeel installed is where its prefixes are; `--prefix DIR` looks elsewhere".into())
            }
            Self::NotInstalled { there, .. } => Some(format!("what is there: {}", there.join(", "))),
            Self::NoExec { .. } => Some(
                "set TMPDIR to a directory where programs can be run, or put the store there with `--store DIR`".into(),
            ),
            Self::Clock { .. } => Some("set the clock; a container has that of its host".into()),
            Self::Damaged { .. } | Self::DigestMismatch { .. } => Some("download it or build it again".into()),
            Self::HostileArchive { .. } => Some("do not use it; ask whoever made it".into()),
            Self::Io(error) => io_hint(error),
            _ => None,
        }
    }
}

/// Whether a program, or a compiler that it ran, was killed. gcc says of its own parts
/// `fatal error: Killed signal terminated program cc1`, clang `unable to execute command: Killed`.
fn is_out_of_memory(output: &str, status: &str) -> bool {
    status.contains("signal 9")
        || output.contains("Killed signal terminated program")
        || output.contains("unable to execute command: Killed")
}

fn is_unavailable(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull, WouldBlock};
    matches!(error.kind(), PermissionDenied | StorageFull | ReadOnlyFilesystem | QuotaExceeded | WouldBlock)
}

fn io_hint(error: &io::Error) -> Option<String> {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space there, or put the store elsewhere with `--store DIR`"
        }
        io::ErrorKind::PermissionDenied => {
            "run it as a user who may write there, or choose another place with `--prefix`, `--root` or `--store`"
        }
        io::ErrorKind::ReadOnlyFilesystem => "choose another place with `--prefix`, `--root` or `--store`",
        _ => return None,
    };
    Some(hint.to_owned())
}
