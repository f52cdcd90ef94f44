//! `pykeel install`: installs from the store, or builds first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::args::{InstallArgs, Wanted};
use super::super::config::Config;
use super::super::settings::Origin;
use super::super::timings::Recorder;
use super::locked::{Digests, Entry, Flavors, Given, Locked, Workshop, entries};
use super::stored::{Missing, Search, What};
use super::{copies, full_versions, place_name, print, sorted_out};
use crate::domain::artifact::ArtifactName;
use crate::domain::digest::Digest;
use crate::domain::manifest::Manifest;
use crate::domain::plan::{ArtifactRequest, LibraryPolicy};
use crate::domain::prefix;
use crate::error::{Error, PrefixError, Result};
use crate::event::{Event, Reporter, staged};
use crate::planning::preflight;
use crate::prefix::copies::OtherCopy;
use crate::prefix::install::{self, Durability, InstallOptions, Placed, Placement};
use crate::prefix::site::Destination;
use crate::pykeel_lock::LockFile;
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
    let locked = args.locked.locked.then(|| locked_entries(args, config)).transpose()?;
    let versions = match &locked {
        Some(entries) => entries.iter().map(|entry| entry.artifact.version().to_string()).collect(),
        None => full_versions(args.artifacts.versions(), &catalog)?,
    };
    let recorder = Recorder::new(config, &args.artifacts.flags, versions)?;
    let outcome = install(args, locked.as_deref(), config, (&catalog, &recorder));
    recorder.finish(outcome)
}

/// Returns what is locked of what the user names.
fn locked_entries(args: &InstallArgs, config: &Config) -> Result<Vec<Entry>> {
    let versions: Vec<_> = args.artifacts.versions().copied().collect();
    if versions.len() < args.artifacts.what.len() {
        return Err(Error::Usage("`--locked` takes versions: a digest and a tarball are exact already".into()));
    }
    let flavor = &config.settings.flavor;
    let flavors =
        if flavor.origin == Origin::Default { Flavors::One } else { Flavors::Named(vec![flavor.value.installed()]) };
    let given = Given { config, policies: &args.artifacts.policies, debug_files: false };
    entries(&LockFile::read_existing(&args.locked.lock)?, &versions, &flavors, &given)
}

fn install(
    args: &InstallArgs,
    locked: Option<&[Entry]>,
    config: &Config,
    (catalog, reporter): (&Catalog, &Recorder<'_>),
) -> Result<u8> {
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
        place: args.prefix.as_deref().map_or(Place::CompiledIn, Place::Template),
        options: InstallOptions { force: args.force, durability },
        search,
    };
    let results = match locked {
        None => installation.outputs(&args.artifacts.what)?,
        Some(entries) => installation.locked_outputs(args, entries)?,
    };
    let (outputs, failure) = sorted_out(results)?;
    print(config, &outputs, || outputs.iter().map(|output| format!("{}\n", output.path.display())).collect())?;
    failure.map_or(Ok(0), Err)
}

/// The directory that an artifact is installed into.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// The prefix that is compiled in.
    CompiledIn,
    /// A path whose placeholders are replaced.
    Template(&'a Path),
    /// A path as it is.
    Exact(&'a Path),
}

/// Where and how artifacts are installed; [`Search::root`] is the root.
pub(super) struct Installation<'a> {
    pub(super) place: Place<'a>,
    pub(super) options: InstallOptions,
    pub(super) search: Search<'a>,
}

impl Installation<'_> {
    /// Installs what is wanted, and returns the name and the result of each.
    ///
    /// # Errors
    /// Those that concern all of it.
    pub(super) fn outputs(&self, wanted: &[Wanted]) -> Result<Vec<(String, Result<Output>)>> {
        let found = wanted.iter().map(|wanted| self.search.find(wanted)).collect::<Result<_>>()?;
        self.outputs_of(self.items(found)?)
    }

    /// Installs exactly what is locked, and returns the name and the result of each.
    ///
    /// # Errors
    /// Those that concern all of it.
    fn locked_outputs(&self, args: &InstallArgs, entries: &[Entry]) -> Result<Vec<(String, Result<Output>)>> {
        let Search { config, pipeline, places, missing, .. } = &self.search;
        let workshop = Workshop { config, pipeline: *pipeline, places: places.clone(), may_install: true };
        let given = Given { config, policies: &args.artifacts.policies, debug_files: false };
        let locked = Locked { lock: &args.locked.lock, given, workshop, root: self.search.root };
        let (mut found, mut failed, mut absent) = (Vec::new(), Vec::new(), Vec::new());
        let what = |artifact: StoredArtifact| (artifact.record.name.to_string(), What::Pinned(Box::new(artifact)));
        for entry in entries {
            match (locked.in_store(entry, Digests::ComparedLater), missing) {
                (Ok(Some(artifact)), _) => found.push(what(artifact)),
                (Ok(None), Missing::Build) => absent.push(entry),
                (Ok(None), Missing::Refuse) => failed.push((entry.name(), Err(locked.not_in_store(entry)?))),
                (Err(error), _) => failed.push((entry.name(), Err(error))),
            }
        }
        for (name, built) in locked.build(&absent)? {
            match built {
                Ok(built) => found.extend(built.into_iter().map(|built| what(built.artifact))),
                Err(error) => failed.push((name, Err(error))),
            }
        }
        let mut outputs = self.outputs_of(self.items(found)?)?;
        outputs.extend(failed);
        Ok(outputs)
    }

    fn outputs_of(&self, items: Vec<Item>) -> Result<Vec<(String, Result<Output>)>> {
        let wanted: Vec<_> = items.iter().map(|item| (item.name.as_str(), &item.what)).collect();
        let mut found = self.search.found(&wanted)?;
        for (item, found) in items.iter().zip(&mut found) {
            // What is in the store is installed at once, and refused as soon.
            if let (What::Version(_, recipe), Ok(None)) = (&item.what, &found) {
                let request = self.search.request_to_build(recipe)?;
                let reporter = self.search.pipeline.reporter;
                if let Err(error) =
                    install::check_destination(&self.destination(item), &request, self.options, reporter)
                {
                    *found = Err(error);
                }
            }
        }
        let artifacts = self.search.built(&wanted, found)?;
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

    /// Returns what is to be installed, or an error if one would be installed into the prefix of another.
    fn items(&self, found: Vec<(String, What)>) -> Result<Vec<Item>> {
        let mut items: Vec<Item> = Vec::new();
        for (name, what) in found {
            let prefix = self.prefix(&self.search.request(&what)?)?;
            let item = Item { name, what, prefix };
            // The same version under another name.
            if items.iter().any(|other| (&other.name, &other.prefix) == (&item.name, &item.prefix)) {
                continue;
            }
            let named = |item: &Item| (item.name.clone(), item.prefix.clone());
            if let Some(error) = items.iter().find_map(|other| PrefixError::of_overlap(named(other), named(&item))) {
                return Err(error.into());
            }
            items.push(item);
        }
        Ok(items)
    }

    /// Returns the prefix of an artifact.
    fn prefix(&self, artifact: &ArtifactRequest) -> Result<PathBuf> {
        let prefix = match self.place {
            Place::CompiledIn => return Ok(artifact.prefix.as_path().to_owned()),
            Place::Exact(prefix) => return Ok(prefix.to_owned()),
            Place::Template(prefix) => prefix,
        };
        // The path may have characters that a compiled-in prefix cannot have.
        let prefix = match prefix.to_str() {
            Some(text) => prefix::fill(text, artifact.release, artifact.variant).into(),
            None => prefix.to_owned(),
        };
        // Below another root a relative path has no meaning.
        if self.search.root.is_some() { Ok(prefix) } else { Ok(std::path::absolute(prefix)?) }
    }

    fn destination(&self, item: &Item) -> Destination {
        Destination { root: self.search.root.map(Path::to_owned), prefix: item.prefix.clone() }
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
        let aside = self.search.config.store.set_aside(artifact)?;
        let text = format!("{error}; it is now in {}", aside.display());
        self.search.pipeline.reporter.report(Event::Warning(text));
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
        let destination = self.destination(item);
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
        let root = self.search.root.unwrap_or(Path::new("/"));
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
