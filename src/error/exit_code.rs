//! With which code the program exits after an error.

use std::io;

use super::{Error, ImageError, PrefixError, PykeelLockError, RemoteError, VenvError};

/// The exit codes of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// The build failed.
    Build = 1,
    /// A wrong use or a wrong recipe.
    Usage = 2,
    /// A source cannot be fetched.
    Source = 3,
    /// Verification failed.
    Verification = 4,
    /// Something is locked, full or not permitted.
    Unavailable = 5,
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
            | Self::Dockerfile(_)
            | Self::Unreadable(_)
            | Self::Usage(_)
            | Self::Profile { .. }
            | Self::ProfileWithoutOptimization
            | Self::CompilerFlag { .. }
            | Self::ConfigureArgument { .. }
            | Self::LibpythonArgument { .. }
            | Self::Patch { .. }
            | Self::Pattern { .. }
            | Self::Mirror { .. }
            | Self::Musl { .. }
            | Self::UnsupportedTarget { .. }
            | Self::UnknownCompiler { .. }
            | Self::UnknownPackageManager { .. }
            | Self::UnknownPackageDatabase { .. }
            | Self::NotATarball { .. }
            | Self::NoSuchArtifact { .. }
            | Self::NotInStore { .. }
            | Self::AmbiguousArtifact { .. }
            | Self::NotAnArtifact { .. }
            | Self::PathNotUtf8 { .. }
            | Self::UnfitForMake { .. } => ExitCode::Usage,
            Self::SourceUnavailable { .. } => ExitCode::Source,
            Self::DigestMismatch { .. }
            | Self::HostileArchive { .. }
            | Self::Damaged { .. }
            | Self::OtherPlan { .. }
            | Self::NotReproduced { .. }
            | Self::Unconfirmed { .. }
            | Self::UnplannedRead { .. }
            | Self::Verification { .. } => ExitCode::Verification,
            Self::Distrusted { .. } | Self::NoExec { .. } => ExitCode::Unavailable,
            Self::Image(error) => error.code(),
            Self::Prefix(error) => error.code(),
            Self::PykeelLock(error) => error.code(),
            Self::Remote(error) => error.code(),
            Self::Venv(error) => error.code(),
            Self::Io(error) if is_unavailable(error) => ExitCode::Unavailable,
            Self::Io(_)
            | Self::SomeFailed { .. }
            | Self::Clock { .. }
            | Self::MissingDependencies { .. }
            | Self::OldLibraries { .. }
            | Self::Spawn { .. }
            | Self::Command { .. }
            | Self::MissingModules { .. }
            | Self::UnlistedModules { .. }
            | Self::ProfileMismatch { .. }
            | Self::Library { .. } => ExitCode::Build,
        };
        code as u8
    }
}

impl ImageError {
    const fn code(&self) -> ExitCode {
        match self {
            Self::NotFound { .. }
            | Self::NotAnImage { .. }
            | Self::Several { .. }
            | Self::Unfit { .. }
            | Self::UnknownUser { .. }
            | Self::Tree { .. } => ExitCode::Usage,
            Self::HostFile { .. } => ExitCode::Build,
        }
    }
}

impl PrefixError {
    const fn code(&self) -> ExitCode {
        match self {
            Self::Invalid { .. } | Self::Overlap { .. } | Self::NotInstalled { .. } => ExitCode::Usage,
            Self::Foreign { .. } | Self::Mounted { .. } | Self::NotRemovable { .. } | Self::OtherFiles { .. } => {
                ExitCode::Unavailable
            }
        }
    }
}

impl PykeelLockError {
    const fn code(&self) -> ExitCode {
        match self {
            Self::Absent { .. } | Self::NotALock { .. } | Self::Mistake(_) | Self::NothingToLock { .. } => {
                ExitCode::Usage
            }
            Self::NotLocked { .. }
            | Self::OtherOptions { .. }
            | Self::NotInStore { .. }
            | Self::Untrue { .. }
            | Self::OtherPlan { .. }
            | Self::OtherArtifact { .. }
            | Self::OutOfDate { .. } => ExitCode::Verification,
            Self::Changed { .. } => ExitCode::Unavailable,
        }
    }
}

impl RemoteError {
    const fn code(&self) -> ExitCode {
        match self {
            Self::Address { .. } | Self::Absent { .. } | Self::ReadOnly { .. } | Self::NoneNamed => ExitCode::Usage,
            Self::Unavailable { .. } => ExitCode::Source,
            Self::Denied { .. } => ExitCode::Unavailable,
            Self::Wrong { .. } => ExitCode::Verification,
        }
    }
}

impl VenvError {
    const fn code(&self) -> ExitCode {
        match self {
            Self::NoTools { .. } => ExitCode::Source,
            Self::NotALock { .. }
            | Self::NoHash { .. }
            | Self::NoUv { .. }
            | Self::NotForPip { .. }
            | Self::NotABuilder { .. }
            | Self::NotAbsolute { .. }
            | Self::Exists { .. }
            | Self::Taken { .. } => ExitCode::Usage,
        }
    }
}

fn is_unavailable(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull, WouldBlock};
    matches!(error.kind(), PermissionDenied | StorageFull | ReadOnlyFilesystem | QuotaExceeded | WouldBlock)
}
