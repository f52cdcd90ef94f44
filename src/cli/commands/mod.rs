//! The commands, one file each. A command returns its exit code, and prints its result on standard output.

mod build;
mod cache;
mod check;
mod completions;
mod config;
mod copies;
mod default;
mod dockerfile;
mod image;
mod index;
mod inspect;
mod install;
mod list;
mod lock;
mod locked;
mod man;
mod matrix;
mod places;
mod prune;
mod pull;
mod push;
mod python_build;
mod recipe;
mod stored;
mod train;
mod uninstall;
mod venv;
mod verify;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args::{Args, Command};
use super::config::Config;
use crate::domain::digest::Digest;
use crate::domain::version::VersionRequest;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::recipe::Catalog;
use crate::store::StoredArtifact;

/// Runs a command.
///
/// # Errors
/// The error of the command.
pub(super) fn run(args: &Args) -> Result<u8> {
    let config = || Config::new(args);
    match &args.command {
        Command::Build(args) => build::run(args, &config()?),
        Command::Train(args) => train::run(args, &config()?),
        Command::Install(args) => install::run(args, &config()?),
        Command::Lock(args) => lock::run(args, &config()?),
        Command::Dockerfile(args) => dockerfile::run(args, &config()?),
        Command::Image(args) => image::run(args, &config()?),
        Command::Uninstall(args) => uninstall::run(args, &config()?),
        Command::List(args) => list::run(args, &config()?),
        Command::Push(args) => push::run(args, &config()?),
        Command::Matrix(args) => matrix::run(args, &config()?),
        Command::Pull(args) => pull::run(args, &config()?),
        Command::Prune(args) => prune::run(args, &config()?),
        Command::Index(args) => index::run(args, &config()?),
        Command::Inspect(args) => inspect::run(args, &config()?),
        Command::Verify(args) => verify::run(args, &config()?),
        Command::Venv(args) => venv::run(args, &config()?),
        Command::Check(args) => check::run(args, &config()?),
        // It has words, lines and exit codes of its own.
        Command::PythonBuild(words) => Ok(python_build::run(words, &args.global)),
        Command::Recipe(command) => recipe::run(command, &config()?),
        Command::Cache(command) => cache::run(command, &config()?),
        Command::Config => config::run(&config()?),
        Command::Completions(args) => completions::run(args, &config()?),
        Command::Man(args) => man::run(args, &config()?),
    }
}

/// The releases that some requests mean, each with its variant.
///
/// # Errors
/// [`Error::UnknownVersion`] for the first without a recipe.
fn full_versions<'a>(requests: impl IntoIterator<Item = &'a VersionRequest>, catalog: &Catalog) -> Result<Vec<String>> {
    requests.into_iter().map(|request| Ok(catalog.find(*request)?.1.full_version())).collect()
}

/// Returns the results of the versions that succeeded, and one error for all others.
///
/// # Errors
/// The error of a single version, because there is nothing to print; [`Error::Interrupted`].
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
/// [`Error::Io`] if standard output is closed or full.
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
        // The reader has closed the pipe, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// The artifact with a digest in the store.
///
/// # Errors
/// [`Error::NoSuchArtifact`], or that the store cannot be read.
fn by_digest(digest: Digest, config: &Config) -> Result<StoredArtifact> {
    let mut artifacts = config.store.list()?.into_iter();
    artifacts.find(|artifact| artifact.record.digest == digest).ok_or(Error::NoSuchArtifact { digest })
}

/// The name of a root for people.
fn place_name(root: &Path) -> String {
    if root == Path::new("/") { "this system".to_owned() } else { root.display().to_string() }
}

/// Warns of the entries of the store that cannot be read, because the user may look for one of them.
///
/// # Errors
/// [`Error::Io`] if the store cannot be read.
fn warn_of_unreadable(config: &Config, reporter: &dyn Reporter) -> Result<()> {
    for error in config.store.unreadable()? {
        reporter.report(Event::Warning(error.to_string()));
    }
    Ok(())
}

/// Serialises a path. JSON is UTF-8, so U+FFFD replaces invalid bytes.
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
