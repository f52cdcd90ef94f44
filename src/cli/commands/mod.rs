//! The commands, one file each. A command gives its exit code; its result goes to standard output.

mod build;
mod cache;
mod completions;
mod config;
mod inspect;
mod install;
mod list;
mod man;
mod recipe;
mod uninstall;
mod verify;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args::Command;
use super::config::Config;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter as _};
use crate::store::Store as _;

/// Runs a command.
///
/// # Errors
/// What the command answers.
pub(super) fn run(command: &Command, config: &Config) -> Result<u8> {
    match command {
        Command::Build(args) => build::run(args, config),
        Command::Install(args) => install::run(args, config),
        Command::Uninstall(args) => uninstall::run(args, config),
        Command::List(args) => list::run(args, config),
        Command::Inspect(args) => inspect::run(args, config),
        Command::Verify(args) => verify::run(args, config),
        Command::Recipe(command) => recipe::run(command, config),
        Command::Cache(command) => cache::run(command, config),
        Command::Config => config::run(config),
        Command::Completions(args) => completions::run(args, config),
        Command::Man(args) => man::run(args, config),
    }
}

/// What some versions came to: what the good ones gave, and one error for all others.
///
/// # Errors
/// The error of a single version, for which there is nothing to print; an interrupt.
fn sorted_out<T>(results: impl IntoIterator<Item = (String, Result<T>)>) -> Result<(Vec<T>, Option<Error>)> {
    let (mut good, mut failed) = (Vec::new(), Vec::new());
    for (version, result) in results {
        match result {
            Ok(value) => good.push(value),
            Err(interrupted @ Error::Interrupted(_)) => return Err(interrupted),
            Err(error) => failed.push((version, error)),
        }
    }
    let of = good.len() + failed.len();
    match failed.pop() {
        None => Ok((good, None)),
        Some((_, error)) if of == 1 => Err(error),
        Some(last) => {
            failed.push(last);
            Ok((good, Some(Error::SomeFailed { failed, of })))
        }
    }
}

/// Prints a result: as JSON, or as text.
///
/// # Errors
/// That standard output is closed or full.
fn print(config: &Config, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
    use std::io::Write as _;
    let mut output = if config.json {
        let mut json = serde_json::to_string_pretty(value).map_err(std::io::Error::from)?;
        json.push('\n');
        json
    } else {
        text()
    };
    if !output.is_empty() && !output.ends_with('\n') {
        output.push('\n');
    }
    let written = anstream::stdout().write_all(output.as_bytes());
    match written {
        // The reader has seen enough, as `head` has.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Names the entries of the store that may be looked for in vain.
///
/// # Errors
/// That the store cannot be read.
fn warn_of_unreadable(config: &Config) -> Result<()> {
    for error in config.store.unreadable()? {
        config.reporter.report(Event::Warning(error.to_string()));
    }
    Ok(())
}

/// A path in JSON, which has no other bytes than UTF-8: what is none becomes U+FFFD.
fn lossy<S: serde::Serializer>(path: &Path, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

#[expect(clippy::ref_option, reason = "it is what serde hands over")]
fn lossy_or_none<S: serde::Serializer>(path: &Option<PathBuf>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    match path {
        Some(path) => lossy(path, serializer),
        None => serializer.serialize_none(),
    }
}

/// A number of bytes for people: `29.1 MB`, as `docker images` counts them.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// A size for people, in powers of 1000: `812 B`, `4.2 kB`, `28.8 MB`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn human(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        // What would be rounded to 1000.0 kB is 1.0 MB.
        1_000..999_950 => format!("{:.1} kB", bytes as f64 / 1e3),
        999_950..999_950_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// A share for people: `34.6 %`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "– %".to_owned() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}

/// Text that an artifact brings, without what would move a terminal's cursor or turn its direction.
pub(super) fn shown(text: &str) -> String {
    let moves = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if moves(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        let cases = [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB")];
        for (bytes, text) in cases {
            assert_eq!(human(bytes), text);
        }
        assert_eq!(human(28_802_662), "28.8 MB");
        assert_eq!(human(999_950_000), "1.0 GB");
    }
}
