//! The one place where errors are printed.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::args::{Color, Global, Progress};
use super::hints::hint;
use crate::error::{Error, ImageError, PrefixError, PykeelLockError, VenvError};
use crate::report::text::shown;

const RED: Style = AnsiColor::Red.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default().bold();

/// The most files that an error names.
const OTHER_FILES: usize = 10;

/// Prints an error of clap and returns the exit code. Help and version count as success.
pub(super) fn usage(error: &clap::Error) -> u8 {
    // If standard error is closed, nothing can be printed.
    let _closed = error.print();
    u8::try_from(error.exit_code()).unwrap_or(2)
}

/// Prints an error: what it is about, why, and what to do.
pub(super) fn error(error: &Error, global: &Global) {
    if global.progress == Progress::Json {
        // Then every line on standard error is JSON.
        let (details, hint) = (details(error), hint(error));
        let line = serde_json::json!({
            "event": "error", "text": error.to_string(), "details": details, "help": hint, "code": error.code(),
        });
        eprintln!("{line}");
        return;
    }
    apply(global.color);
    anstream::eprint!("{}", text(error));
}

/// Chooses colours for everything that is printed.
pub(super) fn apply(color: Color) {
    match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}

fn text(error: &Error) -> String {
    let mut text = format!("{RED}error{RED:#}: {}\n", harmless(&error.to_string()));
    for line in details(error) {
        let _ = writeln!(text, "  {}", harmless(&line));
    }
    if let Some(hint) = hint(error) {
        let _ = writeln!(text, "{CYAN}help{CYAN:#}: {}", harmless(&hint));
    }
    text
}

/// [`shown`] for a text of several lines. An error may quote an image, or what a program printed.
fn harmless(text: &str) -> String {
    let line = |line: &str| line.split('\t').map(shown).collect::<Vec<_>>().join("\t");
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The details of an error besides its message.
pub(super) fn details(error: &Error) -> Vec<String> {
    match error {
        Error::Command { output, .. } | Error::Venv(VenvError::NoTools { output, .. }) => {
            output.lines().map(str::to_owned).collect()
        }
        Error::SourceUnavailable { attempts, .. } if attempts.is_empty() => {
            vec!["nothing to try: it is not in the store, and with `--offline` only directories named by `--mirror` are read".into()]
        }
        Error::SourceUnavailable { attempts, .. } => {
            attempts.iter().map(|attempt| format!("{}: {}", attempt.place, attempt.reason)).collect()
        }
        Error::Verification { findings, .. } => findings.clone(),
        Error::Image(ImageError::NotFound { asked, .. }) => {
            asked.iter().map(|(program, reason)| format!("{program}: {reason}")).collect()
        }
        Error::OtherPlan { differences, .. } | Error::NotReproduced { differences, .. } => differences.clone(),
        Error::PykeelLock(error) => of_lock(error).to_vec(),
        Error::SomeFailed { failed, .. } => {
            failed.iter().flat_map(|(version, error)| of_version(version, error)).collect()
        }
        Error::Prefix(PrefixError::OtherFiles { other_files, .. }) => {
            let more = other_files.len().checked_sub(OTHER_FILES).filter(|more| *more > 0);
            let shown = other_files.iter().take(OTHER_FILES).cloned();
            shown.chain(more.map(|more| format!("and {more} more"))).collect()
        }
        Error::AmbiguousArtifact { candidates, .. } => candidates.clone(),
        _ => Vec::new(),
    }
}

/// What differs from a lock, or what it has.
fn of_lock(error: &PykeelLockError) -> &[String] {
    match error {
        PykeelLockError::NotLocked { has, .. } => has,
        PykeelLockError::NotInStore { instead, .. } => instead,
        PykeelLockError::OtherOptions { differences, .. }
        | PykeelLockError::Untrue { differences, .. }
        | PykeelLockError::OtherPlan { differences, .. } => differences,
        _ => &[],
    }
}

/// Returns the error of one of several versions, as it is shown for a single version.
fn of_version(version: &str, error: &Error) -> Vec<String> {
    let help = hint(error).map(|hint| format!("help: {hint}"));
    let more = details(error).into_iter().chain(help);
    let more = more.flat_map(|text| text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>());
    std::iter::once(format!("{version}: {error}")).chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::SourceAttempt;

    fn plain(error: &Error) -> String {
        anstream::adapter::strip_str(&text(error)).to_string()
    }

    #[test]
    fn what_an_error_quotes_does_not_reach_the_terminal_as_it_is() {
        let evil = "\u{1b}[2Ja\rb".to_owned();
        for error in [
            Error::Damaged { what: "x.tar".into(), reason: evil.clone() },
            Error::Command { command: "pip".into(), status: "exit status 1".into(), output: evil, log: None },
        ] {
            let text = text(&error);
            assert!(text.contains("\\u{1b}[2Ja\\rb") && !text.contains('\r'), "{text:?}");
        }
        assert_eq!(harmless("a:\n\tb"), "a:\n\tb");
    }

    #[test]
    fn an_error_names_the_thing_the_reason_and_the_remedy() {
        let errors = [
            Error::UnknownVersion { request: "3.13.99".into(), nearest: vec!["3.13.15".into(), "3.13.18".into()] },
            Error::MissingDependencies {
                missing: vec!["make".into(), "openssl/ssl.h (for _ssl, _hashlib)".into()],
                install: Some("apt-get update && apt-get install -y --no-install-recommends libssl-dev make".into()),
                unpackaged: None,
            },
            Error::SourceUnavailable {
                release: "3.13.5".into(),
                attempts: vec![
                    SourceAttempt { place: "/srv".into(), reason: "no such file".into() },
                    SourceAttempt {
                        place: "https://mirror.test/x".into(),
                        reason: "the server answered 404 Not Found".into(),
                    },
                ],
            },
            Error::Command {
                command: "make all".into(),
                status: "exit status 2".into(),
                output: "a.c:1:1: error: unknown type".into(),
                log: Some("/store/logs/x.log".into()),
            },
        ];
        insta::assert_snapshot!(errors.map(|error| format!("{}[exit {}]\n", plain(&error), error.code())).join("\n"));
    }
}
