//! How python-build ends: what it prints of an error, and its exit code.

use std::fmt::Write as _;
use std::path::Path;

use super::lines::said;
use super::remedy::remedy;
use super::version;
use crate::error::Error;
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
    for line in details(error) {
        let _ = write!(text, "\n  {line}");
    }
    if let Some(remedy) = remedy(error) {
        let _ = write!(text, "\n{}", said(&format!("help: {remedy}")));
    }
    text
}

/// Returns the details of an error.
fn details(error: &Error) -> Vec<String> {
    match error {
        Error::SourceUnavailable { attempts, .. } if attempts.is_empty() => {
            vec!["nothing to try: it is not in the store, and PYKEEL_OFFLINE is set: only directories are read".into()]
        }
        _ => crate::cli::render::details(error),
    }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cli::hints::tests::{examples, own_words};

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
    fn no_error_names_an_option_of_pykeels_own_command_line() {
        let own: Vec<String> = own_words().into_iter().filter(|word| word.starts_with("--")).collect();
        // Arguments of configure, which the variables take.
        let known =
            ["--with-pydebug", "--disable-gil", "--enable-shared", "--disable-shared", "--disable-optimizations"];
        for error in examples() {
            // There is one version.
            if matches!(error, Error::SomeFailed { .. }) {
                continue;
            }
            let text = of_error(&error);
            // The error itself names what the user wrote.
            let help = text.split_once("help: ").map_or("", |(_, help)| help);
            let told = known
                .iter()
                .fold(help.replace("python-build --definitions", ""), |help, known| help.replace(known, ""));
            let details = details(&error).join("\n");
            for named in own.iter().map(String::as_str).chain([" --", "`--", "`pykeel "]) {
                assert!(!told.contains(named) && !details.contains(named), "{named}: {text}");
            }
        }
    }

    #[test]
    fn every_hint_of_pykeel_has_its_like_here() {
        let without: Vec<String> = examples()
            .into_iter()
            .filter(|error| crate::cli::hints::hint(error).is_some() && remedy(error).is_none())
            .map(|error| format!("{error:?}").chars().take_while(char::is_ascii_alphanumeric).collect())
            .collect();
        // Those of other commands.
        let others = [
            "AmbiguousArtifact",
            "Dockerfile",
            "Image",
            "PykeelLock",
            "NoSuchArtifact",
            "NotATarball",
            "NotInStore",
            "NotReproduced",
        ];
        let others = others.iter().chain(&["OtherPlan", "Prefix", "ProfileWithoutOptimization", "Venv"]);
        assert_eq!(without.into_iter().collect::<BTreeSet<_>>(), others.map(|&name| name.to_owned()).collect());
    }
}
