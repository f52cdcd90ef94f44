//! `pykeel install`: installs from the store, or builds first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::args::{InstallArgs, Wanted};
use super::super::config::Config;
use super::super::timings::Recorder;
use super::stored::{Missing, Search, What, same_prefix};
use super::{copies, full_versions, place_name, print, sorted_out};
use crate::domain::artifact::ArtifactName;
use crate::domain::digest::Digest;
use crate::domain::manifest::Manifest;
use crate::domain::plan::{ArtifactRequest, LibraryPolicy};
use crate::domain::prefix;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter, staged};
use crate::planning::preflight;
use crate::prefix::copies::OtherCopy;
use crate::prefix::install::{self, Durability, InstallOptions, Placed, Placement};
use crate::prefix::site::Destination;
use crate::recipe::Catalog;
use crate::store::StoredArtifact;
use crate::sys::distro::Distro;
use crate::sys::process::System;

/// The result of an installation.
#[derive(Debug, Serialize)]
pub(super) struct Output {
    name: ArtifactName,
    digest: Digest,
    #[serde(serialize_with = "super::lossy")]
    path: PathBuf,
    placement: Placement,
    /// The remote that it came from now.
    remote: Option<String>,
    /// The runtime packages that the root lacks; `None` if it has no package database.
    missing_packages: Option<Vec<String>>,
    /// The libraries of the root that have the names of bundled ones and other bytes.
    other_copies: Vec<OtherCopy>,
}

/// One artifact to install, and its destination.
struct Item {
    name: String,
    what: What,
    prefix: PathBuf,
}

pub(super) fn run(args: &InstallArgs, config: &Config) -> Result<u8> {
    preflight::refuse_musl()?;
    let catalog = config.catalog()?;
    let recorder = Recorder::new(config, &args.artifacts.flags, full_versions(args.artifacts.versions(), &catalog)?)?;
    let outcome = install(args, config, &catalog, &recorder);
    recorder.finish(outcome)
}

fn install(args: &InstallArgs, config: &Config, catalog: &Catalog, reporter: &Recorder<'_>) -> Result<u8> {
    let jobs = config.jobs()?;
    let search = Search {
        config,
        pipeline: config.pipeline(catalog, reporter, &jobs),
        once: args.artifacts.policies.once(false),
        profile: args.artifacts.policies.profile.as_ref(),
        places: (&args.artifacts.flags).into(),
        // A tree can also be moved to a path that cannot be compiled in.
        prefix: args.prefix.as_deref().and_then(Path::to_str).and_then(|path| path.parse().ok()),
        root: args.root.as_deref(),
        missing: if args.artifacts.no_build { Missing::Refuse } else { Missing::Build },
    };
    let durability = if args.no_sync { Durability::Unsynced } else { Durability::Synced };
    let installation = Installation {
        prefix: args.prefix.as_deref(),
        root: args.root.as_deref(),
        options: InstallOptions { force: args.force, durability },
        search,
    };
    let (outputs, failure) = sorted_out(installation.outputs(&args.artifacts.what)?)?;
    print(config, &outputs, || outputs.iter().map(|output| format!("{}\n", output.path.display())).collect())?;
    failure.map_or(Ok(0), Err)
}

/// Where and how artifacts are installed.
pub(super) struct Installation<'a> {
    /// The directory, if it is not the compiled-in prefix.
    pub(super) prefix: Option<&'a Path>,
    /// Another root file system.
    pub(super) root: Option<&'a Path>,
    pub(super) options: InstallOptions,
    pub(super) search: Search<'a>,
}

impl Installation<'_> {
    /// Installs what is wanted, and returns the name and the result of each.
    ///
    /// # Errors
    /// Those that concern all of it.
    pub(super) fn outputs(&self, wanted: &[Wanted]) -> Result<Vec<(String, Result<Output>)>> {
        let items = self.items(wanted)?;
        let wanted: Vec<_> = items.iter().map(|item| (item.name.as_str(), &item.what)).collect();
        let artifacts = self.search.artifacts(&wanted)?;
        let several = items.len() > 1;
        let placed = items.into_iter().zip(artifacts).map(|(item, artifact)| {
            let reporter = self.search.pipeline.reporter;
            let task = several.then(|| reporter.task(&item.name));
            let reporter = task.as_deref().map_or(reporter, |task| task);
            let one = Installation { search: self.search.reporting_to(reporter), ..*self };
            let output = artifact.and_then(|artifact| one.place_whole(&item, &artifact));
            (item.name, output)
        });
        Ok(placed.collect())
    }

    /// Returns what is to be installed, or an error if two artifacts would have the same prefix.
    fn items(&self, wanted: &[Wanted]) -> Result<Vec<Item>> {
        let mut items: Vec<Item> = Vec::new();
        for wanted in wanted {
            let (name, what) = self.search.find(wanted)?;
            let prefix = self.destination(&self.search.request(&what)?)?;
            let item = Item { name, what, prefix };
            match items.iter().find(|other| other.prefix == item.prefix) {
                // The same version under another name.
                Some(other) if other.name == item.name => {}
                Some(other) => return Err(same_prefix(&other.name, &item.name, &item.prefix)),
                None => items.push(item),
            }
        }
        Ok(items)
    }

    /// Returns the destination of an artifact.
    fn destination(&self, artifact: &ArtifactRequest) -> Result<PathBuf> {
        let Some(prefix) = self.prefix else { return Ok(artifact.prefix.as_path().to_owned()) };
        // Placeholders are replaced. The path may have characters that a compiled-in prefix cannot have.
        let prefix = match prefix.to_str() {
            Some(text) => prefix::fill(text, artifact.release, artifact.variant).into(),
            None => prefix.to_owned(),
        };
        // Below another root a relative path has no meaning.
        if self.root.is_some() { Ok(prefix) } else { Ok(std::path::absolute(prefix)?) }
    }

    /// Installs an artifact. A damaged one is set aside, and another one is found or built.
    fn place_whole(&self, item: &Item, artifact: &StoredArtifact) -> Result<Output> {
        let error = match self.place(item, artifact) {
            Err(error @ (Error::DigestMismatch { .. } | Error::Damaged { .. } | Error::HostileArchive { .. })) => error,
            other => return other,
        };
        // It is not in the store.
        if matches!(item.what, What::Tarball(_)) {
            return Err(error);
        }
        let config = self.search.config;
        let aside = config.store.set_aside(artifact)?;
        config.reporter.report(Event::Warning(format!("{error}; it is now in {}", aside.display())));
        // The prefix is unchanged. A pinned artifact cannot be replaced, and with `--no-build` none is built.
        let What::Version(request, _) = &item.what else { return Err(error) };
        if self.search.missing == Missing::Refuse {
            return Err(error);
        }
        let artifact = match self.search.in_store(&item.what)? {
            Some(artifact) => artifact,
            None => self.search.build(&[*request])?.pop().unwrap_or(Err(error))?,
        };
        self.place(item, &artifact)
    }

    fn place(&self, item: &Item, artifact: &StoredArtifact) -> Result<Output> {
        let destination = Destination { root: self.root.map(Path::to_owned), prefix: item.prefix.clone() };
        // Before the installation, because the report afterwards depends on it.
        let manifest = artifact.read_manifest()?;
        let record = &artifact.record;
        let reporter = self.search.pipeline.reporter;
        let placed = staged(
            reporter,
            "install",
            record.name.to_string(),
            || install::install(artifact, &destination, self.options, reporter),
            |placed| {
                let how = match placed.placement {
                    Placement::AlreadyThere => "is already installed",
                    Placement::New => "is new",
                    Placement::Exchanged => "replaces what was there atomically",
                    Placement::Replaced => "replaces what was there",
                };
                format!("{} {how} (sha256:{})", record.name, record.digest)
            },
        )?;
        let root = self.root.unwrap_or(Path::new("/"));
        let missing_packages = match install::missing_packages(&manifest, root, &System) {
            Ok(missing) => missing,
            // The Python is installed; only its runtime packages are unknown.
            Err(error) => {
                reporter.report(Event::Warning(format!("cannot list the packages of {}: {error}", root.display())));
                None
            }
        };
        let other_copies = copies::found(&manifest, root, reporter);
        let Placed { placement, path } = placed;
        if placement != Placement::AlreadyThere {
            report_libraries(&manifest, reporter);
            if let Some(note) = copies::note(&other_copies, root) {
                reporter.report(Event::Note(note));
            }
            report_packages(&manifest, missing_packages.as_deref(), root, reporter);
        }
        let (name, digest) = (record.name.clone(), record.digest);
        let remote = self.search.config.remotes.origin(record.build_key);
        Ok(Output { name, digest, path, placement, remote, missing_packages, other_copies })
    }
}

/// Reports the versions of an artifact's bundled libraries.
fn report_libraries(manifest: &Manifest, reporter: &dyn Reporter) {
    let packages: BTreeSet<String> = manifest
        .libraries
        .iter()
        .map(|library| format!("{} {}", library.source_package, library.source_version))
        .collect();
    if !packages.is_empty() {
        reporter.report(Event::Note(format!("bundled: {}", Vec::from_iter(packages).join(", "))));
    }
}

/// Reports the packages that have to be installed in the root.
fn report_packages(manifest: &Manifest, missing: Option<&[String]>, root: &Path, reporter: &dyn Reporter) {
    let place = place_name(root);
    let names = |packages: &[String]| packages.join(" ");
    match missing {
        Some([]) => {}
        Some(missing) => {
            let words: Vec<&str> = missing.iter().map(String::as_str).collect();
            let line = Distro::read(root).install_line(&words);
            let how = line.map_or_else(String::new, |line| format!("; install them there with\n    {line}"));
            reporter.report(Event::Note(format!("{place} lacks the packages {}{how}", names(missing))));
        }
        // The directory becomes a layer of an image whose other layers are unknown.
        None if manifest.plan.request.policies.library_policy == LibraryPolicy::System => reporter.report(Event::Note(
            format!("the system that it runs on needs the packages {}", names(&manifest.runtime_packages)),
        )),
        None => {}
    }
}
