//! `pykeel install`: installs from the store, or builds first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::args::{InstallArgs, Wanted};
use super::super::config::Config;
use super::super::timings::Recorder;
use super::{copies, full_versions, place_name, print, sorted_out, warn_of_unreadable};
use crate::audit::tarball::TarballArtifact;
use crate::domain::artifact::ArtifactName;
use crate::domain::digest::Digest;
use crate::domain::manifest::Manifest;
use crate::domain::plan::{ArtifactRequest, Flavor, LibraryPolicy};
use crate::domain::prefix::{self, PrefixTemplate};
use crate::domain::target::Target;
use crate::domain::version::VersionRequest;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter, staged};
use crate::pipeline::{Built, Pipeline, VersionResult};
use crate::planning::preflight;
use crate::prefix::copies::OtherCopy;
use crate::prefix::install::{self, Durability, InstallOptions, Placed, Placement};
use crate::prefix::site::Destination;
use crate::recipe::{Catalog, ReleaseRecipe};
use crate::store::StoredArtifact;
use crate::sys::distro::Distro;
use crate::sys::process::System;

/// The result of an installation.
#[derive(Debug, Serialize)]
struct Output {
    name: ArtifactName,
    digest: Digest,
    #[serde(serialize_with = "super::lossy")]
    path: PathBuf,
    placement: Placement,
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

enum What {
    Pinned(Box<StoredArtifact>),
    Tarball(Box<TarballArtifact>),
    Version(VersionRequest, Box<ReleaseRecipe>),
}

pub(super) fn run(args: &InstallArgs, config: &Config) -> Result<u8> {
    preflight::refuse_musl()?;
    let catalog = config.catalog()?;
    let recorder = Recorder::new(config, &args.flags, full_versions(args.versions(), &catalog)?)?;
    let outcome = install(args, config, &catalog, &recorder);
    recorder.finish(outcome)
}

fn install(args: &InstallArgs, config: &Config, catalog: &Catalog, reporter: &Recorder<'_>) -> Result<u8> {
    let jobs = config.jobs()?;
    let pipeline = config.pipeline(catalog, reporter, &jobs);
    let installation = Installation { args, config, pipeline };
    let items = installation.items()?;
    let artifacts = installation.artifacts(&items)?;
    let several = items.len() > 1;
    let placed = items.into_iter().zip(artifacts).map(|(item, artifact)| {
        let task = several.then(|| reporter.task(&item.name));
        let reporter = task.as_deref().map_or(reporter as &dyn Reporter, |task| task);
        let installation = Installation { pipeline: Pipeline { reporter, ..pipeline }, ..installation };
        let output = artifact.and_then(|artifact| installation.place_whole(&item, &artifact));
        (item.name, output)
    });
    let (outputs, failure) = sorted_out(placed)?;
    print(config, &outputs, || outputs.iter().map(|output| format!("{}\n", output.path.display())).collect())?;
    failure.map_or(Ok(0), Err)
}

/// A request, and the artifact that is installed for it.
struct Installation<'a> {
    args: &'a InstallArgs,
    config: &'a Config,
    pipeline: Pipeline<'a>,
}

impl Installation<'_> {
    /// Returns what is to be installed, or an error if two artifacts would have the same prefix.
    fn items(&self) -> Result<Vec<Item>> {
        let mut items: Vec<Item> = Vec::new();
        for wanted in &self.args.what {
            let item = match wanted {
                Wanted::Artifact(digest) => {
                    let artifact = pinned(*digest, self.config)?;
                    let prefix = self.destination(&artifact.read_manifest()?.plan.request)?;
                    Item { name: artifact.record.name.to_string(), what: What::Pinned(Box::new(artifact)), prefix }
                }
                Wanted::Tarball(path) => {
                    let tarball = self.tarball(path)?;
                    let artifact = tarball.artifact();
                    let prefix = self.destination(&artifact.read_manifest()?.plan.request)?;
                    let name = artifact.record.name.to_string();
                    Item { name, what: What::Tarball(Box::new(tarball)), prefix }
                }
                Wanted::Version(request) => {
                    let recipe = self.pipeline.recipe(*request, self.config.settings.allow_eol.value)?;
                    let name = recipe.full_version();
                    let prefix = self.destination(&self.request(&recipe, &self.config.settings.prefix.value)?)?;
                    Item { name, what: What::Version(*request, Box::new(recipe)), prefix }
                }
            };
            match items.iter().find(|other| other.prefix == item.prefix) {
                // The same version under another name.
                Some(other) if other.name == item.name => {}
                Some(other) => {
                    return Err(Error::Usage(format!(
                        "{} and {} would both be installed into {}: use placeholders in `--prefix`, such as {{series}}{{variant}} or \
                         {{version}}, or install them one at a time",
                        other.name,
                        item.name,
                        item.prefix.display()
                    )));
                }
                None => items.push(item),
            }
        }
        Ok(items)
    }

    /// Reads a tarball, and checks that it runs on the system that it is installed into.
    fn tarball(&self, path: &Path) -> Result<TarballArtifact> {
        let tarball = staged(
            self.pipeline.reporter,
            "check",
            path.display().to_string(),
            || TarballArtifact::read(path),
            |tarball| format!("{} is whole", tarball.artifact().record.name),
        )?;
        let artifact = tarball.artifact();
        let (here, target) = (Target::OF_THIS_PROGRAM, artifact.read_manifest()?.plan.request.target);
        let reason = if here == target {
            too_new(artifact, self.args.root.as_deref())
        } else {
            Some(format!("{} is for {target}; this is {here}", path.display()))
        };
        reason.map_or(Ok(tarball), |reason| Err(Error::UnsupportedTarget { reason }))
    }

    /// Returns the destination of an artifact.
    fn destination(&self, artifact: &ArtifactRequest) -> Result<PathBuf> {
        let Some(prefix) = &self.args.prefix else { return Ok(artifact.prefix.as_path().to_owned()) };
        // Placeholders are replaced. The path may have characters that a compiled-in prefix cannot have.
        let prefix = match prefix.to_str() {
            Some(text) => prefix::fill(text, artifact.release, artifact.variant).into(),
            None => prefix.clone(),
        };
        // Below another root a relative path has no meaning.
        if self.args.root.is_some() { Ok(prefix) } else { Ok(std::path::absolute(prefix)?) }
    }

    /// Returns the artifacts of all items: from the store, or built now.
    fn artifacts(&self, items: &[Item]) -> Result<Vec<Result<StoredArtifact>>> {
        let found: Vec<_> = items.iter().map(|item| self.in_store(&item.what)).collect();
        if found.iter().any(|found| !matches!(found, Ok(Some(_)))) {
            warn_of_unreadable(self.config)?;
        }
        let missing: Vec<VersionRequest> = items
            .iter()
            .zip(&found)
            .filter_map(|(item, found)| match (&item.what, found) {
                (What::Version(request, _), Ok(None)) => Some(*request),
                _ => None,
            })
            .collect();
        let mut built = self.build(&missing)?.into_iter();
        let artifact = |(item, found): (&Item, Result<Option<StoredArtifact>>)| match found {
            Ok(Some(artifact)) => Ok(artifact),
            Ok(None) => built.next().unwrap_or_else(|| Err(not_in_store(&item.name, None))),
            Err(error) => Err(error),
        };
        Ok(items.iter().zip(found).map(artifact).collect())
    }

    /// Builds versions that are not in the store; the results are in their order.
    fn build(&self, versions: &[VersionRequest]) -> Result<Vec<Result<StoredArtifact>>> {
        if versions.is_empty() {
            return Ok(Vec::new());
        }
        let prefix = self.wished_prefix().unwrap_or_else(|| self.config.settings.prefix.value.clone());
        let choices =
            self.config.choices(prefix, self.args.policies.once(false), self.args.policies.profile.as_ref())?;
        let options = self.config.build_options(&self.args.flags, choices, vec![self.flavor()])?;
        let results = self.pipeline.build(versions, &options)?.into_iter();
        let artifact = |VersionResult { version, built }| {
            built?.into_iter().next().map(|built: Built| built.artifact).ok_or_else(|| not_in_store(&version, None))
        };
        Ok(results.map(artifact).collect())
    }

    /// Returns the prefix to compile in. A tree can also be moved to a path that cannot be compiled in.
    fn wished_prefix(&self) -> Option<PrefixTemplate> {
        self.args.prefix.as_deref().and_then(Path::to_str).and_then(|path| path.parse().ok())
    }

    fn flavor(&self) -> Flavor {
        self.config.settings.flavor.value.installed()
    }

    fn request(&self, recipe: &ReleaseRecipe, prefix: &PrefixTemplate) -> Result<ArtifactRequest> {
        Ok(self
            .config
            .choices(prefix.clone(), self.args.policies.once(false), self.args.policies.profile.as_ref())?
            .request(recipe, self.flavor(), Target::OF_THIS_PROGRAM))
    }

    /// Returns the artifact in the store, or `None` if it has to be built.
    fn in_store(&self, what: &What) -> Result<Option<StoredArtifact>> {
        let recipe = match what {
            What::Pinned(artifact) => return Ok(Some(StoredArtifact::clone(artifact))),
            What::Tarball(tarball) => return Ok(Some(tarball.artifact().clone())),
            What::Version(_, recipe) => recipe,
        };
        let mut why = None;
        for prefix in self.wished_prefix().iter().chain([&self.config.settings.prefix.value]) {
            match from_store(&self.request(recipe, prefix)?, recipe.digest(), self.args.root.as_deref(), self.config)? {
                InStore::Usable(artifact) => return Ok(Some(*artifact)),
                InStore::TooNew(reason) => why = why.or(Some(reason)),
                InStore::Nothing => {}
            }
        }
        if self.args.no_build {
            return Err(not_in_store(&recipe.full_version(), why.or(others_of_series(recipe, self.config)?)));
        }
        if let Some(why) = why {
            self.config.reporter.report(Event::Note(format!("building it: {why}")));
        }
        Ok(None)
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
        let aside = self.config.store.set_aside(artifact)?;
        self.config.reporter.report(Event::Warning(format!("{error}; it is now in {}", aside.display())));
        // The prefix is unchanged. A pinned artifact cannot be replaced, and with `--no-build` none is built.
        let What::Version(request, _) = &item.what else { return Err(error) };
        if self.args.no_build {
            return Err(error);
        }
        let artifact = match self.in_store(&item.what)? {
            Some(artifact) => artifact,
            None => self.build(&[*request])?.pop().unwrap_or(Err(error))?,
        };
        self.place(item, &artifact)
    }

    fn place(&self, item: &Item, artifact: &StoredArtifact) -> Result<Output> {
        let destination = Destination { root: self.args.root.clone(), prefix: item.prefix.clone() };
        let durability = if self.args.no_sync { Durability::Unsynced } else { Durability::Synced };
        let options = InstallOptions { force: self.args.force, durability };
        // Before the installation, because the report afterwards depends on it.
        let manifest = artifact.read_manifest()?;
        let record = &artifact.record;
        let reporter = self.pipeline.reporter;
        let placed = staged(
            reporter,
            "install",
            record.name.to_string(),
            || install::install(artifact, &destination, options, reporter),
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
        let root = self.args.root.as_deref().unwrap_or(Path::new("/"));
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
        Ok(Output { name, digest, path, placement, missing_packages, other_copies })
    }
}

fn not_in_store(request: &str, why: Option<String>) -> Error {
    Error::NotInStore { request: request.to_owned(), why }
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

/// Returns the artifact with a digest.
fn pinned(digest: Digest, config: &Config) -> Result<StoredArtifact> {
    warn_of_unreadable(config)?;
    let artifacts = config.store.list()?;
    let found = artifacts.iter().find(|artifact| artifact.record.digest == digest);
    let held = found.map(|artifact| config.store.hold(artifact, &config.reporter)).transpose()?;
    held.flatten().ok_or(Error::NoSuchArtifact { digest })
}

/// Describes what else of a series the store has.
fn others_of_series(recipe: &ReleaseRecipe, config: &Config) -> Result<Option<String>> {
    let series = format!("cpython-{}.", recipe.version.series());
    let names = config.store.list()?.into_iter().map(|artifact| artifact.record.name.to_string());
    let names: Vec<String> = names.filter(|name| name.starts_with(&series)).collect();
    Ok((!names.is_empty()).then(|| format!("it has {}", names.join(", "))))
}

/// Returns why an artifact does not run with the glibc of a root, or of this system if the root has none.
fn too_new(artifact: &StoredArtifact, root: Option<&Path>) -> Option<String> {
    let glibc_of = |root| install::glibc_of(root, Target::OF_THIS_PROGRAM);
    let glibc = root.and_then(glibc_of).or_else(|| glibc_of(Path::new("/")))?;
    let floor = artifact.record.glibc_floor;
    (floor > glibc).then(|| format!("{} needs glibc {floor}, and this system has {glibc}", artifact.record.name))
}

/// The result of looking a request up in the store.
enum InStore {
    /// The newest artifact that runs on this system.
    Usable(Box<StoredArtifact>),
    /// All need a newer glibc; the reason.
    TooNew(String),
    /// None.
    Nothing,
}

/// Returns the newest artifact of a request that runs on this system's glibc.
fn from_store(wanted: &ArtifactRequest, recipe: Digest, root: Option<&Path>, config: &Config) -> Result<InStore> {
    let artifacts = config.store.find(wanted.key(recipe))?;
    let mut why = None;
    for artifact in artifacts {
        // The store says that the request leads to it; its plan says what it was built for.
        if artifact.read_manifest().is_ok_and(|manifest| manifest.plan.request != *wanted) {
            continue;
        }
        match too_new(&artifact, root) {
            Some(reason) => why = Some(reason),
            // It may have been pruned since the store was listed.
            None => {
                if let Some(artifact) = config.store.hold(&artifact, &config.reporter)? {
                    return Ok(InStore::Usable(Box::new(artifact)));
                }
            }
        }
    }
    Ok(why.map_or(InStore::Nothing, InStore::TooNew))
}
