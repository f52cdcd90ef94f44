//! What a user of python-build can do about an error: with its arguments, its variables, and pyenv.

use crate::cli::hints::{hint, is_out_of_memory};
use crate::domain::configure::ArgumentProblem;
use crate::error::{Error, FlagProblem, PrefixError, ProfileRemedy, RemoteError};

/// How a build does without a profile.
const UNOPTIMISED: &str = "PYTHON_CONFIGURE_OPTS=--disable-optimizations";

/// Returns what to do about an error, if there is something to do. The hints of pykeel's other commands name options that
/// python-build does not have.
pub(super) fn remedy(error: &Error) -> Option<String> {
    Some(match error {
        Error::UnknownVersion { .. } => "`python-build --definitions` lists every name".into(),
        Error::EndOfLife { .. } => "set PYKEEL_ALLOW_EOL=1".into(),
        Error::Mirror { .. } => {
            "PYTHON_BUILD_MIRROR_URL is the URL of a directory that has archives by their SHA-256".into()
        }
        Error::SourceUnavailable { .. } => {
            "set PYTHON_BUILD_MIRROR_URL, or put the archive into the directory PYTHON_BUILD_CACHE_PATH".into()
        }
        Error::Profile { remedy, .. } => of_profile(*remedy),
        Error::ProfileMismatch { log, .. } => format!("set {UNOPTIMISED}; the log is {}", log.display()),
        Error::CompilerFlag { problem: FlagProblem::HidesWarnings, .. } => {
            format!("leave it out, or set {UNOPTIMISED}")
        }
        Error::ConfigureArgument { problem, .. } => of_argument(*problem).into(),
        Error::LibpythonArgument { .. } => "leave it out, and write --enable-shared or --disable-shared".into(),
        Error::Patch { .. } => "the patch has to fit exactly: make it of the source of this release".into(),
        Error::UnknownPackageManager { .. } => {
            "unset PYKEEL_INSTALL_DEPS, and install the packages with this distribution's package manager".into()
        }
        Error::MissingDependencies { install: Some(command), unpackaged: None, .. } => {
            format!("install them with\n    {command}\nor set PYKEEL_INSTALL_DEPS=1")
        }
        Error::Command { log: Some(log), output, status, .. } if is_out_of_memory(output, status) => format!(
            "the system kills processes when memory runs out: set MAKE_OPTS=-j1, or give the container more memory; the \
             whole log is {}",
            log.display()
        ),
        Error::Prefix(error) => return of_prefix(error).map(str::to_owned),
        Error::Remote(error) => of_remote(error).into(),
        Error::NoExec { .. } => "name a directory where programs can run with PYTHON_BUILD_BUILD_PATH or TMPDIR".into(),
        Error::UnfitForMake { .. } => {
            "name a directory with a plain path with PYTHON_BUILD_BUILD_PATH or TMPDIR".into()
        }
        Error::Io(error) => return of_io(error.kind()).map(str::to_owned),
        // Of other commands.
        Error::Venv(_)
        | Error::Image(_)
        | Error::Dockerfile(_)
        | Error::PykeelLock(_)
        | Error::ProfileWithoutOptimization
        | Error::NotATarball { .. }
        | Error::OtherPlan { .. }
        | Error::NotReproduced { .. }
        | Error::NoSuchArtifact { .. }
        | Error::NotInStore { .. }
        | Error::AmbiguousArtifact { .. } => return None,
        _ => return hint(error),
    })
}

fn of_profile(remedy: ProfileRemedy) -> String {
    match remedy {
        ProfileRemedy::Another => format!("build without one: set {UNOPTIMISED}"),
        ProfileRemedy::WritePgo => {
            format!("set {UNOPTIMISED}, or add a [pgo] table to the recipe (docs/recipes.md)")
        }
        ProfileRemedy::Gcc => format!("build with gcc, or set {UNOPTIMISED}"),
        ProfileRemedy::Training => {
            "correct `training` in the recipe's [pgo]; the log shows the commands that ran".into()
        }
        ProfileRemedy::PinnedFile => "put the file back, or correct the recipe".into(),
    }
}

/// Says what to use instead of an argument of configure.
const fn of_argument(problem: ArgumentProblem) -> &'static str {
    match problem {
        ArgumentProblem::Prefix => "the prefix is the last argument of python-build",
        ArgumentProblem::Library | ArgumentProblem::Modules => {
            "take it out of PYTHON_CONFIGURE_OPTS, or change the recipe: PYKEEL_RECIPES names a directory of your own \
             (docs/recipes.md)"
        }
        ArgumentProblem::Flags => "use CFLAGS, CPPFLAGS or LDFLAGS, or PYTHON_CFLAGS and so on",
        ArgumentProblem::Unknown => "correct its spelling: configure would only have warned",
        ArgumentProblem::Machine => "build on a machine of that kind",
        ArgumentProblem::Debug | ArgumentProblem::FreeThreaded | ArgumentProblem::Shared => {
            "write --with-pydebug, --disable-gil, --enable-shared or --disable-shared, without a value"
        }
        _ => "take it out of CONFIGURE_OPTS and PYTHON_CONFIGURE_OPTS",
    }
}

const fn of_prefix(error: &PrefixError) -> Option<&'static str> {
    match error {
        PrefixError::Foreign { .. } => Some(
            "name an empty or a new directory, or remove this one first; what `pyenv install` made there, `pyenv \
             uninstall` removes",
        ),
        PrefixError::OtherFiles { .. } => Some(
            "they would be lost: keep a list (`pip freeze`), remove the directory (`pyenv uninstall`), and install again",
        ),
        PrefixError::Invalid { .. } => Some("name another directory"),
        PrefixError::Mounted { .. } => Some("name a directory below it, or unmount it first"),
        // python-build installs one Python and removes none.
        PrefixError::Overlap { .. } | PrefixError::NotRemovable { .. } | PrefixError::NotInstalled { .. } => None,
    }
}

const fn of_remote(error: &RemoteError) -> &'static str {
    match error {
        RemoteError::Address { .. } | RemoteError::ReadOnly { .. } | RemoteError::NoneNamed => {
            "set PYKEEL_REMOTES to addresses such as file:///DIR, https://HOST/PATH, oci://HOST/REPOSITORY or s3://BUCKET, \
             one a line"
        }
        RemoteError::Denied { .. } => "log in with `docker login`, or set a cloud's variables (docs/remotes.md)",
        RemoteError::Wrong { .. } => "do not use this remote before you know why; PYKEEL_REMOTES=none uses none",
        RemoteError::Unavailable { .. } | RemoteError::Absent { .. } => {
            "try again later, or name another remote in PYKEEL_REMOTES"
        }
    }
}

const fn of_io(kind: std::io::ErrorKind) -> Option<&'static str> {
    use std::io::ErrorKind;
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("free some space there, or name another place: PYTHON_BUILD_BUILD_PATH for the build, PYKEEL_STORE")
        }
        ErrorKind::PermissionDenied => Some(
            "name a directory that you may write to, or run it as a user who may; PYKEEL_STORE names another store",
        ),
        ErrorKind::ReadOnlyFilesystem => {
            Some("name a directory of another file system; PYKEEL_STORE names another store")
        }
        _ => None,
    }
}
