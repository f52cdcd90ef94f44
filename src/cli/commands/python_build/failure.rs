//! How python-build ends: what it prints of an error, and its exit code.

use std::fmt::Write as _;
use std::path::Path;

use super::lines::said;
use super::version;
use crate::cli::hints::hint;
use crate::domain::configure::ArgumentProblem;
use crate::error::{Error, PrefixError};
use crate::sys::distro::Distro;
use crate::sys::fs::lossy_text;

/// The lines of a log that are shown.
const LAST_LINES: usize = 10;

/// Why there is no Python.
pub(super) enum Failure {
    /// Nobody knows the definition.
    Unknown { name: String, help: Option<String> },
    /// Something is wrong before anything is built.
    Refused(Error),
    /// The build or the installation failed.
    Failed(Error),
    /// The original was found and cannot be used.
    Original(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Failure {
    /// Returns the exit code: 2 if nobody knows the definition, and for that alone.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Unknown { .. } => 2,
            Self::Refused(error @ Error::Interrupted(_)) | Self::Failed(error @ Error::Interrupted(_)) => error.code(),
            Self::Refused(_) | Self::Failed(_) | Self::Original(_) => 1,
        }
    }

    /// Returns what is printed on standard error.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Unknown { name, help } => {
                // These words are read by others.
                let help = help.as_ref().map(|help| format!("\n{}", said(help))).unwrap_or_default();
                format!("{}{help}", said(&format!("definition not found: {name}")))
            }
            Self::Original(reason) => said(reason),
            Self::Refused(error) | Self::Failed(error @ Error::Interrupted(_)) => of_error(error),
            Self::Failed(error) => format!("{}\n\n{}", of_error(error), build_failed(error)),
        }
    }
}

/// Returns an error with its details and its remedy.
fn of_error(error: &Error) -> String {
    let mut text = said(&format!("error: {error}"));
    for line in crate::cli::render::details(error) {
        let _ = write!(text, "\n  {line}");
    }
    if let Some(remedy) = remedy(error).or_else(|| hint(error)) {
        let _ = write!(text, "\n{}", said(&format!("help: {remedy}")));
    }
    text
}

/// Returns the lines by which scripts know a build that failed.
fn build_failed(error: &Error) -> String {
    let mut text = format!("BUILD FAILED ({} using {})\n", Distro::read(Path::new("/")).name, version());
    if let Some(log) = log_of(error) {
        let _ = write!(text, "\nResults logged to {}\n\nLast {LAST_LINES} log lines:\n", log.display());
        // The log is pykeel's own. One that is gone has nothing to say.
        let whole = lossy_text(log).unwrap_or_default();
        let lines: Vec<&str> = whole.lines().collect();
        text.push_str(&lines[lines.len().saturating_sub(LAST_LINES)..].join("\n"));
    }
    text
}

fn log_of(error: &Error) -> Option<&Path> {
    match error {
        Error::Command { log, .. } => log.as_deref(),
        Error::MissingModules { log, .. } | Error::ProfileMismatch { log, .. } => Some(log),
        _ => None,
    }
}

/// Returns what to do about an error in the words of python-build; of others, pykeel's own hint serves.
fn remedy(error: &Error) -> Option<String> {
    Some(match error {
        Error::Prefix(PrefixError::Foreign { .. }) => {
            "name an empty or a new directory, or remove this one first; what `pyenv \
                                        install` made there, `pyenv uninstall` removes"
                .into()
        }
        Error::Prefix(PrefixError::OtherFiles { .. }) => {
            "they would be lost: keep a list (`pip freeze`), remove the directory (`pyenv \
                                     uninstall`), and install again"
                .into()
        }
        Error::ConfigureArgument { problem, .. } => of_argument(*problem).into(),
        Error::Mirror { .. } => {
            "PYTHON_BUILD_MIRROR_URL is the URL of a directory that has archives by their SHA-256".into()
        }
        Error::SourceUnavailable { .. } => {
            "set PYTHON_BUILD_MIRROR_URL, or put the archive into the directory PYTHON_BUILD_CACHE_PATH".into()
        }
        Error::MissingDependencies { install: Some(command), unpackaged: None, .. } => {
            format!("install them with\n    {command}\nor set PYKEEL_INSTALL_DEPS=1")
        }
        Error::Patch { .. } => "the patch has to fit exactly: make it of the source of this release".into(),
        Error::NoExec { .. } => "set TMPDIR to a directory where programs can run".into(),
        Error::UnfitForMake { .. } => "set TMPDIR to a directory with a plain path".into(),
        Error::Io(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            "name a directory that you may write to, or run it as a user who may".into()
        }
        _ => return None,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unknown_definition_is_2() {
        let unknown = Failure::Unknown { name: "3.13.99".into(), help: None };
        assert_eq!((unknown.code(), unknown.text()), (2, "python-build: definition not found: 3.13.99".to_owned()));
        let usage = || Error::Usage("no".into());
        assert_eq!(Failure::Refused(usage()).code(), 1);
        assert_eq!(Failure::Failed(usage()).code(), 1);
        assert_eq!(Failure::Failed(Error::Interrupted(2)).code(), 130);
        assert!(!Failure::Failed(Error::Interrupted(2)).text().contains("BUILD FAILED"));
    }

    #[test]
    fn a_build_that_failed_shows_the_end_of_its_log() {
        let place = tempfile::tempdir().unwrap();
        let log = place.path().join("x.log");
        fs_err::write(&log, (1..=30).map(|number| format!("line {number}\n")).collect::<String>()).unwrap();
        let text = Failure::Failed(Error::Command {
            command: "make all".into(),
            status: "exit status 2".into(),
            output: "a.c:1:1: error: no".into(),
            log: Some(log.clone()),
        })
        .text();
        let logged = format!("\nResults logged to {}\n\nLast 10 log lines:\nline 21\n", log.display());
        assert!(
            text.contains("\nBUILD FAILED (") && text.contains(" using python-build ") && text.contains(&logged),
            "{text}"
        );
        assert!(text.contains("python-build: error: `make all` failed") && text.ends_with("line 30"), "{text}");
    }

    #[test]
    fn no_remedy_names_an_option_that_python_build_has_not() {
        let place = || std::path::PathBuf::from("/x");
        let errors = [
            PrefixError::Foreign { path: place(), reason: "no".into() }.into(),
            PrefixError::OtherFiles { path: place(), other_files: vec!["x".into()] }.into(),
            Error::SourceUnavailable { release: "3.13.5".into(), attempts: vec![] },
            Error::NoExec { path: place() },
            Error::ConfigureArgument { argument: "--with-openssl=/x".into(), problem: ArgumentProblem::Library },
            Error::Patch { name: "x".into(), reason: "no".into() },
        ];
        for error in errors {
            let text = of_error(&error);
            let help = text.split("help: ").nth(1).expect("a remedy");
            let known = ["--with-pydebug", "--disable-gil", "--enable-shared", "--disable-shared"];
            assert!(
                !known.iter().fold(help.to_owned(), |text, known| text.replace(known, "")).contains(" --"),
                "{text}"
            );
        }
    }
}
