//! `pykeel install`: installs from the store, or builds first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::args::{InstallArgs, Wanted};
use super::super::config::Config;
use super::super::settings::Origin;
use super::super::timings::Recorder;
use super::locked::{Entry, Flavors, Given, Locked, Purpose, Workshop, entries};
use super::stored::{Missing, Search, What, is_damage, pinned, set_aside};
use super::{copies, full_versions, place_name, print, sorted_out};
use crate::domain::artifact::ArtifactName;
use crate::domain::digest::Digest;
use crate::domain::manifest::Manifest;
use crate::domain::plan::LibraryPolicy;
use crate::domain::prefix::{self, Prefix};
use crate::domain::pykeel_lock::LockedPlan;
use crate::domain::version::{Release, Variant};
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
    let given = Given::of_wanted(config, &args.artifacts);
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
        let Search { config, pipeline, places, .. } = &self.search;
        let workshop = Workshop { config, pipeline: *pipeline, places: places.clone(), may_install: true };
        let given = Given::of_wanted(config, &args.artifacts);
        let purpose = Purpose::Install(self.search.root);
        let locked = Locked { lock: &args.locked.lock, given, workshop, purpose };
        self.refuse_overlaps(entries)?;
        let (mut outputs, mut wanted) = (Vec::new(), entries.iter().collect::<Vec<_>>());
        // That an artifact is damaged may show only when it is unpacked. Then it is set aside, and the next round takes
        // another one or builds it.
        for is_last in [false, true] {
            let mut damaged = Vec::new();
            for (entry, output) in self.locked_once(&locked, &wanted, &mut outputs)? {
                match output {
                    Err(error) if !is_last && is_damage(&error) => damaged.push(entry),
                    output => outputs.push((entry.name(), output)),
                }
            }
            if damaged.is_empty() {
                break;
            }
            wanted = damaged;
        }
        Ok(outputs)
    }

    /// Installs what is found or built, and returns it. What is neither is an error in `outputs`.
    fn locked_once<'e>(
        &self,
        locked: &Locked<'_>,
        wanted: &[&'e Entry],
        outputs: &mut Vec<(String, Result<Output>)>,
    ) -> Result<Vec<(&'e Entry, Result<Output>)>> {
        let (mut found, mut absent) = (Vec::new(), Vec::new());
        for entry in wanted.iter().copied() {
            let result = match (locked.in_store(entry), self.search.missing) {
                (Ok(Some(artifact)), _) => {
                    found.push((entry, artifact));
                    Ok(())
                }
                // A build of minutes is not to end in vain.
                (Ok(None), Missing::Build) => self.check_destination(locked, entry).map(|()| absent.push(entry)),
                (Ok(None), Missing::Refuse) => Err(locked.not_in_store(entry)?),
                (Err(error), _) => Err(error),
            };
            outputs.extend(result.err().map(|error| (entry.name(), Err(error))));
        }
        for (entry, built) in locked.build(&absent)? {
            match built {
                Ok(built) => found.push((entry, built.artifact)),
                Err(error) => outputs.push((entry.name(), Err(error))),
            }
        }
        let (entries, artifacts): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let what = |artifact: StoredArtifact| (artifact.record.name.to_string(), What::Locked(Box::new(artifact)));
        let placed = self.outputs_of(self.items(artifacts.into_iter().map(what).collect())?)?;
        Ok(entries.into_iter().zip(placed.into_iter().map(|(_, output)| output)).collect())
    }

    /// Refuses entries of a lock that would be installed into the prefixes of others.
    fn refuse_overlaps(&self, entries: &[Entry]) -> Result<()> {
        let named = |entry: &Entry| {
            let LockedPlan { release, variant, options, .. } = &entry.artifact.plan;
            let prefix = self.prefix(&options.prefix.prefix(*release, *variant), *release, *variant)?;
            Ok((entry.request.to_string(), prefix))
        };
        let named = entries.iter().map(named).collect::<Result<Vec<_>>>()?;
        PrefixError::of_overlaps(&named).map_or(Ok(()), |error| Err(error.into()))
    }

    /// Looks at the destination of what has to be built.
    fn check_destination(&self, locked: &Locked<'_>, entry: &Entry) -> Result<()> {
        // What no recipe here has cannot be built.
        let Some(request) = locked.request(entry)? else { return Ok(()) };
        let prefix = self.prefix(&request.prefix, request.release, request.variant)?;
        let destination = Destination { root: self.search.root.map(Path::to_owned), prefix };
        install::check_destination(&destination, &request, self.options, self.search.pipeline.reporter)
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
            let request = self.search.request(&what)?;
            let prefix = self.prefix(&request.prefix, request.release, request.variant)?;
            let item = Item { name, what, prefix };
            // The same version under another name.
            let is_same = |other: &Item| {
                (&other.name, &other.prefix, digest(&other.what)) == (&item.name, &item.prefix, digest(&item.what))
            };
            if !items.iter().any(is_same) {
                items.push(item);
            }
        }
        let named: Vec<_> = items.iter().map(|item| (item.name.clone(), item.prefix.clone())).collect();
        PrefixError::of_overlaps(&named).map_or(Ok(items), |error| Err(error.into()))
    }

    /// Returns the prefix of an artifact.
    fn prefix(&self, compiled_in: &Prefix, release: Release, variant: Variant) -> Result<PathBuf> {
        let prefix = match self.place {
            Place::CompiledIn => return Ok(compiled_in.as_path().to_owned()),
            Place::Exact(prefix) => return Ok(prefix.to_owned()),
            Place::Template(prefix) => prefix,
        };
        // The path may have characters that a compiled-in prefix cannot have.
        let prefix = match prefix.to_str() {
            Some(text) => prefix::fill(text, release, variant).into(),
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
            Err(error) if is_damage(&error) => error,
            other => return other,
        };
        // It is not in the store.
        if matches!(item.what, What::Tarball(_)) {
            return Err(error);
        }
        let (config, reporter) = (self.search.config, self.search.pipeline.reporter);
        set_aside(artifact, &error, config, reporter)?;
        // The prefix is unchanged.
        let artifact = match &item.what {
            What::Pinned(_) => pinned(artifact.record.digest, None, config, reporter)?.ok_or(error)?,
            What::Version(request, _) => match (self.search.in_store(&item.what), self.search.missing) {
                (Ok(Some(artifact)), _) => artifact,
                (Ok(None), Missing::Build) => self.search.build(&[*request])?.pop().unwrap_or(Err(error))?,
                (Ok(None) | Err(Error::NotInStore { .. }), _) => return Err(error),
                (Err(other), _) => return Err(other),
            },
            // Whoever has the lock looks for another one.
            What::Tarball(_) | What::Locked(_) => return Err(error),
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

/// The digest of an artifact that nothing can be taken instead of.
fn digest(what: &What) -> Option<Digest> {
    match what {
        What::Pinned(artifact) | What::Locked(artifact) => Some(artifact.record.digest),
        What::Tarball(tarball) => Some(tarball.artifact().record.digest),
        What::Version(..) => None,
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
