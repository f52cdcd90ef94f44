//! `pykeel uninstall`.

use std::path::PathBuf;

use serde::Serialize;

use super::super::args::UninstallArgs;
use super::super::config::Config;
use super::places::{Places, is};
use super::print;
use crate::domain::artifact::ArtifactName;
use crate::domain::version::VersionRequest;
use crate::error::{PrefixError, Result};
use crate::prefix::site::Destination;
use crate::prefix::uninstall::{self, Finding, OtherFiles};
use crate::report::text::human;

/// The result for one prefix.
#[derive(Debug, Serialize)]
struct Output {
    path: PathBuf,
    outcome: Outcome,
    /// The artifact that was installed; null if an earlier removal was completed.
    name: Option<ArtifactName>,
    /// In bytes.
    size: u64,
    /// The files that were added or changed.
    other_files: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Removed,
    /// An interrupted run was completed.
    Completed,
    WouldBeRemoved,
}

pub(super) fn run(args: &UninstallArgs, config: &Config) -> Result<u8> {
    let places = Places::new(args.root.as_deref(), args.prefix.as_deref(), config)?;
    let mut targets = Vec::new();
    if args.versions.is_empty() {
        targets.push(Target { destination: places.named()?, request: None });
    }
    for request in &args.versions {
        targets.push(Target { destination: places.version(*request)?, request: Some(*request) });
    }
    // All are checked before the first is removed.
    for target in &targets {
        let found = uninstall::inspect(&target.destination, &config.reporter)?;
        target.refuse(&found, args.force, &places)?;
    }
    let mut outputs = Vec::new();
    for target in &targets {
        outputs.push(target.remove(args, config, &places)?);
    }
    print(config, &outputs, || outputs.iter().map(text).collect())?;
    Ok(0)
}

fn text(output: &Output) -> String {
    let path = output.path.display();
    let size = human(output.size);
    match (output.outcome, &output.name) {
        (Outcome::WouldBeRemoved, Some(name)) => format!("{path} would be removed: {name}, {size}\n"),
        (Outcome::WouldBeRemoved, None) => format!("{path}: an interrupted run would be completed\n"),
        (Outcome::Removed, Some(name)) => format!("{path} was removed: {name}, {size}\n"),
        (Outcome::Removed | Outcome::Completed, _) => format!("{path} was removed\n"),
    }
}

/// A prefix to remove, and the version that must be installed there.
struct Target {
    destination: Destination,
    request: Option<VersionRequest>,
}

impl Target {
    /// Returns the error for a prefix that is not removed.
    fn refuse(&self, found: &Finding, force: bool, places: &Places<'_>) -> Result<()> {
        match found {
            Finding::Nothing => Err(places.not_installed(self.request, Some(&self.destination))?),
            Finding::Python(python) if self.request.is_some_and(|request| !is(request, &python.name)) => {
                Err(places.not_installed(self.request, Some(&self.destination))?)
            }
            Finding::Python(python) if !force && !python.other_files.is_empty() => {
                let other_files = python.other_files.clone();
                Err(PrefixError::OtherFiles { path: self.destination.path(), other_files }.into())
            }
            Finding::Python(_) | Finding::Remains => Ok(()),
        }
    }

    fn remove(&self, args: &UninstallArgs, config: &Config, places: &Places<'_>) -> Result<Output> {
        let other_files = if args.force { OtherFiles::Remove } else { OtherFiles::Keep };
        let found = if args.dry_run {
            uninstall::inspect(&self.destination, &config.reporter)?
        } else {
            uninstall::uninstall(&self.destination, other_files, &config.reporter)?
        };
        let outcome = |done| if args.dry_run { Outcome::WouldBeRemoved } else { done };
        let path = self.destination.path();
        match found {
            Finding::Python(python) => Ok(Output {
                path,
                outcome: outcome(Outcome::Removed),
                name: Some(python.name),
                size: python.size,
                other_files: python.other_files,
            }),
            Finding::Remains => {
                Ok(Output { path, outcome: outcome(Outcome::Completed), name: None, size: 0, other_files: Vec::new() })
            }
            // Another process has removed it.
            Finding::Nothing => Err(places.not_installed(self.request, Some(&self.destination))?),
        }
    }
}
