//! Everything that can go wrong, once: what it is about, why, and the exit code.
//!
//! A message names no flag, command or variable of pykeel. `cli::hints` says what to do about an error.

mod dockerfile;
mod exit_code;
mod image;
mod made;
mod mistake;
mod parts;
mod prefix;
mod pykeel_lock;
mod remote;
mod venv;

use std::{io, path::PathBuf};

pub use self::parts::{FlagProblem, ProfileRemedy, SourceAttempt};
use self::parts::{because, each, first, reasons, signal_name, versions};
pub use self::{
    dockerfile::DockerfileError, exit_code::ExitCode, image::ImageError, mistake::Mistake, prefix::PrefixError,
    pykeel_lock::PykeelLockError, remote::RemoteError, venv::VenvError,
};
use crate::domain::version::{Series, Variant};
use crate::domain::{configure::ArgumentProblem, digest::Digest, inputs::InputFinding, rebuild::Topic};

/// The result of work that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. The documentation of each variant says with which code the program exits.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Exit code 2.
    #[error("there is no recipe for Python {request}")]
    UnknownVersion {
        /// What was asked for.
        request: String,
        /// The nearest versions that have a recipe.
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
    #[error("Python {series} is past its end of life ({day}): it gets no security fixes")]
    EndOfLife {
        /// The series.
        series: Series,
        /// When.
        day: String,
    },

    /// Exit code 2.
    #[error(transparent)]
    Mistake(#[from] Mistake),

    /// Exit code 2 or 3, by the kind.
    #[error(transparent)]
    Venv(#[from] VenvError),

    /// Exit code 1 or 2, by the kind.
    #[error(transparent)]
    Image(#[from] ImageError),

    /// Exit code 2 or 5, by the kind.
    #[error(transparent)]
    Prefix(#[from] PrefixError),

    /// Exit code 2.
    #[error(transparent)]
    Dockerfile(#[from] DockerfileError),

    /// Exit code 2, 4 or 5, by the kind.
    #[error(transparent)]
    PykeelLock(#[from] PykeelLockError),

    /// Exit code 2, 3, 4 or 5, by the kind.
    #[error(transparent)]
    Remote(#[from] RemoteError),

    /// Exit code 2. What the user named cannot be read.
    #[error("{0}")]
    Unreadable(io::Error),

    /// Exit code 2. A wrong use of the command line, or a wrong value of a setting. Only `cli` makes it.
    #[error("{0}")]
    Usage(String),

    /// Exit code 2.
    #[error("profile {what}: {reason}")]
    Profile {
        /// The profile, by its file or digest.
        what: String,
        /// Why it cannot be used.
        reason: String,
        /// What can be done.
        remedy: ProfileRemedy,
    },

    /// Exit code 2.
    #[error("a profile is named, but the build is not optimised")]
    ProfileWithoutOptimization,

    /// Exit code 1.
    #[error("profile {profile} does not match this source: {reason}{}", each(examples))]
    ProfileMismatch {
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
    #[error("{variable} has `{flag}`, which {problem}")]
    CompilerFlag {
        /// The variable of the user's: `CFLAGS`.
        variable: String,
        /// The flag.
        flag: String,
        /// Why a build cannot have it.
        problem: FlagProblem,
    },

    /// Exit code 2.
    #[error("configure cannot be given `{argument}`: {problem}")]
    ConfigureArgument {
        /// The argument of the user's.
        argument: String,
        /// Why a build cannot have it.
        problem: ArgumentProblem,
    },

    /// Exit code 2.
    #[error("`{argument}` of configure would change how libpython is linked, which is not decided there")]
    LibpythonArgument {
        /// The argument, of the recipe or of the user.
        argument: String,
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
    #[error("`{pattern}` is not a valid pattern: {reason}")]
    Pattern {
        /// A glob of a recipe or a setting.
        pattern: String,
        /// Why it cannot be read.
        reason: String,
    },

    /// Exit code 2.
    #[error("mirror {mirror} cannot be used: {reason}")]
    Mirror {
        /// The mirror, without the credentials that a URL may hold.
        mirror: String,
        /// Why it cannot be used.
        reason: String,
    },

    /// Exit code 2.
    #[error("the C library of this system is musl ({evidence}); pykeel builds for glibc only")]
    Musl {
        /// The evidence for it.
        evidence: String,
    },

    /// Exit code 2.
    #[error("unsupported target: {reason}")]
    UnsupportedTarget {
        /// What it is.
        reason: String,
    },

    /// Exit code 2.
    #[error("`{command}` is neither GCC nor Clang")]
    UnknownCompiler {
        /// The compiler, as it is started.
        command: String,
    },

    /// Exit code 2.
    #[error("cannot install packages on {distro}: it has neither apt-get nor dnf")]
    UnknownPackageManager {
        /// The distribution.
        distro: String,
    },

    /// Exit code 2.
    #[error(
        "the package database of {distro} is not supported: pykeel reads those of dpkg (Debian, Ubuntu) and rpm \
         (Fedora, Red Hat, Amazon Linux)"
    )]
    UnknownPackageDatabase {
        /// The distribution.
        distro: String,
    },

    /// Exit code 1.
    #[error("Python {release} needs {}, and this system has an older one", .needed.join(", "))]
    OldLibraries {
        /// The release.
        release: String,
        /// The libraries, each with its oldest version and its modules.
        needed: Vec<String>,
    },

    /// Exit code 1.
    #[error("the build needs {}", .missing.join(", "))]
    MissingDependencies {
        /// Programs and headers that are not there.
        missing: Vec<String>,
        /// The command that installs them, where the distribution and the packages are known.
        install: Option<String>,
        /// The compiler, if it is missing and no package is known that brings it.
        unpackaged: Option<String>,
    },

    /// Exit code 1.
    #[error("cannot run `{program}`: {reason}")]
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
    #[error("Python was built without {}", reasons(.modules))]
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

    /// Exit code 4.
    #[error("the build could read files of this host that the package database does not confirm:{}", first(findings))]
    Unconfirmed {
        /// Each file, what is wrong with it and what can be done.
        findings: Vec<InputFinding>,
    },

    /// Exit code 4.
    #[error("the build read files that are neither in the source nor in the plan:{}", first(findings))]
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
        /// What to do on the build host or in the recipe.
        remedy: String,
    },

    /// Exit code 3.
    #[error("cannot fetch the source of Python {release}")]
    SourceUnavailable {
        /// The release.
        release: String,
        /// Every place that was tried.
        attempts: Vec<SourceAttempt>,
    },

    /// Exit code 4.
    #[error("{what} has the SHA-256 {found}, expected {expected}")]
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

    /// Exit code 2.
    #[error("{path} is an installed prefix, and a rebuild is compared with a tarball")]
    NotATarball {
        /// The prefix.
        path: PathBuf,
    },

    /// Exit code 4.
    #[error("{what} cannot be rebuilt here: the build plan is different")]
    OtherPlan {
        /// The artifact.
        what: String,
        /// Each thing that is different.
        differences: Vec<String>,
        /// What they are about, the most important first.
        topics: Vec<Topic>,
    },

    /// Exit code 4.
    #[error("{what}: the rebuild is not identical")]
    NotReproduced {
        /// The artifact.
        what: String,
        /// Each file that differs, and where.
        differences: Vec<String>,
        /// The report of diffoscope, where there is one.
        report: Option<PathBuf>,
    },

    /// Exit code 2.
    #[error("the store has no artifact {digest}")]
    NoSuchArtifact {
        /// The digest asked for.
        digest: Digest,
    },

    /// Exit code 2.
    #[error("the store has no usable artifact of Python {request}{}", because(why.as_deref()))]
    NotInStore {
        /// What was asked for.
        request: String,
        /// Why those that are there do not fit.
        why: Option<String>,
    },

    /// Exit code 2.
    #[error("Python {request} is ambiguous: {} artifacts in the store match", .candidates.len())]
    AmbiguousArtifact {
        /// What was asked for.
        request: String,
        /// The digest and the name of each.
        candidates: Vec<String>,
    },

    /// Exit code 2.
    #[error("{path} is not an artifact of pykeel: {reason}")]
    NotAnArtifact {
        /// The tree or tarball.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },

    /// Exit code 2.
    #[error("{}: the path is not UTF-8", .path.display())]
    PathNotUtf8 {
        /// A path that has to be written into a text.
        path: PathBuf,
    },

    /// Exit code 5.
    #[error("pykeel does not use {path}: {reason}")]
    Distrusted {
        /// A directory of a store, or what lies beside a prefix.
        path: PathBuf,
        /// How somebody else may have written to it.
        reason: String,
    },

    /// Exit code 1, whatever the codes of the failures are.
    #[error("{} of {of} versions failed: {}", .failed.len(), versions(.failed))]
    SomeFailed {
        /// Each version that failed, and why.
        failed: Vec<(String, Error)>,
        /// How many there were.
        of: usize,
    },

    /// Exit code 2.
    #[error("make cannot work in {}: the path has characters other than letters, digits and . _ + -", .path.display())]
    UnfitForMake {
        /// The directory.
        path: PathBuf,
    },

    /// Exit code 5.
    #[error("cannot run programs in {path}: its file system is mounted with noexec, or keeps no file modes")]
    NoExec {
        /// The directory.
        path: PathBuf,
    },

    /// Exit code 1.
    #[error("the system clock says {now}, but {what} was made {made}: make compares file times")]
    Clock {
        /// The time it says.
        now: String,
        /// The file or directory with a later time.
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
