//! `pykeel uninstall`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::args::UninstallArgs;
use super::super::config::Config;
use super::print;
use crate::domain::artifact::ArtifactName;
use crate::domain::prefix::PrefixTemplate;
use crate::domain::version::{Release, Selector, VersionRequest};
use crate::error::{Error, Result};
use crate::prefix::site::Destination;
use crate::prefix::uninstall::{self, Finding, Installed, OtherFiles};
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
    let search = Search::new(args, config)?;
    let mut targets = Vec::new();
    if args.versions.is_empty() {
        targets.push(search.there()?);
    }
    for request in &args.versions {
        targets.push(search.version(*request)?);
    }
    // All are checked before the first is removed.
    for target in &targets {
        let found = uninstall::inspect(&target.destination, &config.reporter)?;
        target.refuse(&found, args.force, &search)?;
    }
    let mut outputs = Vec::new();
    for target in &targets {
        outputs.push(target.remove(args, config, &search)?);
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
    fn refuse(&self, found: &Finding, force: bool, search: &Search<'_>) -> Result<()> {
        match found {
            Finding::Nothing => Err(search.not_installed(self.request, Some(&self.destination))?),
            Finding::Python(python) if self.request.is_some_and(|request| !is(request, &python.name)) => {
                Err(search.not_installed(self.request, Some(&self.destination))?)
            }
            Finding::Python(python) if !force && !python.other_files.is_empty() => {
                Err(Error::OtherFiles { path: self.destination.path(), other_files: python.other_files.clone() })
            }
            Finding::Python(_) | Finding::Remains => Ok(()),
        }
    }

    fn remove(&self, args: &UninstallArgs, config: &Config, search: &Search<'_>) -> Result<Output> {
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
            Finding::Nothing => Err(search.not_installed(self.request, Some(&self.destination))?),
        }
    }
}

/// The places of prefixes.
struct Search<'a> {
    root: Option<&'a Path>,
    /// The directory that was named; otherwise the template decides.
    fixed: Option<PathBuf>,
    template: PrefixTemplate,
}

impl<'a> Search<'a> {
    fn new(args: &'a UninstallArgs, config: &Config) -> Result<Self> {
        let mut search =
            Self { root: args.root.as_deref(), fixed: None, template: config.settings.prefix.value.clone() };
        match &args.prefix {
            Some(prefix) if prefix.to_string_lossy().contains('{') => {
                search.template =
                    prefix.to_string_lossy().parse().map_err(|error| Error::Usage(format!("--prefix: {error}")))?;
            }
            Some(prefix) if args.root.is_some() => search.fixed = Some(prefix.clone()),
            Some(prefix) => search.fixed = Some(std::path::absolute(prefix)?),
            None => {}
        }
        Ok(search)
    }

    fn target(&self, prefix: PathBuf, request: Option<VersionRequest>) -> Target {
        Target { destination: Destination { root: self.root.map(Path::to_owned), prefix }, request }
    }

    /// Returns the prefix at the directory that was named.
    fn there(&self) -> Result<Target> {
        let fixed =
            self.fixed.clone().ok_or_else(|| Error::Usage("`--prefix` with placeholders needs a VERSION".into()))?;
        Ok(self.target(fixed, None))
    }

    /// Returns the prefix of a version.
    fn version(&self, request: VersionRequest) -> Result<Target> {
        let release: Option<Release> = match request.selector {
            Selector::Latest => {
                let reason = "`latest` changes with the recipes: name the version to remove";
                return Err(Error::Usage(reason.into()));
            }
            Selector::Release(release) => Some(release),
            // All releases of the series have the same prefix, so any of them gives it.
            Selector::Series(series) if !self.template.is_of_release() => format!("{series}.0").parse().ok(),
            Selector::Series(_) => None,
        };
        if let Some(fixed) = &self.fixed {
            return Ok(self.target(fixed.clone(), Some(request)));
        }
        if let Some(release) = release {
            let prefix = self.template.prefix(release, request.variant);
            return Ok(self.target(prefix.as_path().to_owned(), Some(request)));
        }
        let mut found = self.installed()?;
        found.retain(|installed| is(request, &installed.name));
        match &found[..] {
            [] => Err(self.not_installed(Some(request), None)?),
            [one] => Ok(self.target(one.prefix.clone(), Some(request))),
            several => {
                let prefixes: Vec<_> = several.iter().map(shown).collect();
                Err(Error::Usage(format!("Python {request} is ambiguous: {}; name the release", prefixes.join(", "))))
            }
        }
    }

    fn installed(&self) -> Result<Vec<Installed>> {
        uninstall::installed(&self.template, self.root.unwrap_or(Path::new("/")))
    }

    fn not_installed(&self, request: Option<VersionRequest>, place: Option<&Destination>) -> Result<Error> {
        let mut there = self.installed()?;
        if let Some(destination) = place
            && let Some(directory) = destination.open()?
            && let Ok(identity) = crate::prefix::site::Identity::read(&directory)
            && !there.iter().any(|installed| installed.prefix == destination.prefix)
        {
            there.push(Installed { prefix: destination.prefix.clone(), name: identity.name });
        }
        Ok(Error::NotInstalled {
            request: request.map(|request| request.to_string()).unwrap_or_default(),
            place: place.map(|destination| destination.path().display().to_string()),
            there: there.iter().map(shown).collect(),
        })
    }
}

fn shown(installed: &Installed) -> String {
    let Installed { prefix, name } = installed;
    format!("{}{} at {}", name.release(), name.variant(), prefix.display())
}

/// Whether an artifact is of the version that a request names.
fn is(request: VersionRequest, name: &ArtifactName) -> bool {
    let release = match request.selector {
        Selector::Latest => false,
        Selector::Series(series) => name.release().series() == series,
        Selector::Release(release) => name.release() == release,
    };
    release && name.variant() == request.variant
}
