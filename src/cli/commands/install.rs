//! `pykeel install`: the store first, else build.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::args::{InstallArgs, Wanted};
use super::super::config::Config;
use super::{print, warn_of_unreadable};
use crate::domain::artifact::ArtifactName;
use crate::domain::digest::Digest;
use crate::domain::plan::ArtifactRequest;
use crate::domain::prefix::Prefix;
use crate::domain::target::Target;
use crate::domain::version::VersionRequest;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter, staged};
use crate::pipeline::Pipeline;
use crate::recipe::ReleaseRecipe;
use crate::stages::install::{self, Destination, Durability, Placement};
use crate::stages::preflight;
use crate::stages::resolve::Choices;
use crate::store::{Store, StoredArtifact};
use crate::sys::process::System;

/// What an installation came to.
#[derive(Debug, Serialize)]
struct Output {
    name: ArtifactName,
    digest: Digest,
    #[serde(serialize_with = "super::lossy")]
    path: PathBuf,
    placement: Placement,
}

pub(super) fn run(args: &InstallArgs, config: &Config) -> Result<u8> {
    preflight::refuse_musl()?;
    let artifact = match args.what {
        Wanted::Artifact(digest) => pinned(digest, config)?,
        Wanted::Version(request) => find_or_build(request, args, config)?,
    };
    let output = match place(&artifact, args, config) {
        Err(error @ (Error::DigestMismatch { .. } | Error::Damaged { .. } | Error::HostileArchive { .. })) => {
            let place = config.store.set_aside(&artifact)?;
            config.reporter.report(Event::Warning(format!("{error}; it is now in {}", place.display())));
            // The prefix is as it was. What is pinned or may not be built is an error now.
            match args.what {
                Wanted::Version(request) if !args.no_build => place_again(request, args, config)?,
                _ => return Err(error),
            }
        }
        other => other?,
    };
    print(config, &output, || format!("{}\n", output.path.display()))?;
    Ok(0)
}

fn place_again(request: VersionRequest, args: &InstallArgs, config: &Config) -> Result<Output> {
    place(&find_or_build(request, args, config)?, args, config)
}

fn place(artifact: &StoredArtifact, args: &InstallArgs, config: &Config) -> Result<Output> {
    let prefix = match &args.prefix {
        None => compiled_prefix(artifact)?,
        // Below another root there is no current directory to be relative to.
        Some(prefix) if args.root.is_some() => prefix.clone(),
        Some(prefix) => std::path::absolute(prefix)?,
    };
    let destination = Destination {
        root: args.root.clone(),
        prefix,
        force: args.force,
        durability: if args.no_sync { Durability::Unsynced } else { Durability::Synced },
    };
    // Before anything is placed: what is said of it afterwards has to be true.
    artifact.read_manifest()?;
    let record = &artifact.record;
    let placement = staged(
        &config.reporter,
        "install",
        record.name.to_string(),
        || install::install(artifact, &destination, &config.reporter),
        |placement| {
            let how = match placement {
                Placement::AlreadyThere => "was there already",
                Placement::New => "is new",
                Placement::Exchanged => "replaces the one before in one step",
                Placement::Replaced => "replaces the one before",
            };
            format!("{} {how} (sha256:{})", record.name, record.digest)
        },
    )?;
    if placement != Placement::AlreadyThere {
        report_libraries(artifact, &config.reporter)?;
    }
    Ok(Output { name: record.name.clone(), digest: record.digest, path: destination.path(), placement })
}

/// The prefix that is compiled into an artifact.
fn compiled_prefix(artifact: &StoredArtifact) -> Result<PathBuf> {
    Ok(artifact.read_manifest()?.plan.prefix.as_path().to_owned())
}

/// Says which versions of the libraries an artifact carries.
fn report_libraries(artifact: &StoredArtifact, reporter: &dyn Reporter) -> Result<()> {
    let manifest = artifact.read_manifest()?;
    let packages: BTreeSet<String> = manifest
        .libraries
        .iter()
        .map(|library| format!("{} {}", library.source_package, library.source_version))
        .collect();
    if !packages.is_empty() {
        reporter.report(Event::Note(format!("bundled: {}", Vec::from_iter(packages).join(", "))));
    }
    Ok(())
}

/// The artifact with a digest, or nothing.
fn pinned(digest: Digest, config: &Config) -> Result<StoredArtifact> {
    warn_of_unreadable(config)?;
    let artifacts = config.store.list()?;
    artifacts.into_iter().find(|artifact| artifact.record.digest == digest).ok_or(Error::NoSuchArtifact { digest })
}

fn find_or_build(request: VersionRequest, args: &InstallArgs, config: &Config) -> Result<StoredArtifact> {
    let catalog = config.catalog()?;
    let pipeline = Pipeline { catalog: &catalog, store: &config.store, runner: &System, reporter: &config.reporter };
    let recipe = pipeline.recipe(request, args.how.allow_eol)?;
    let target = Target::from_machine(&format!("{}-linux-gnu", std::env::consts::ARCH)).map_err(Error::Usage)?;
    // A path that cannot be compiled in is still one that a tree can be moved to.
    let wished: Option<Prefix> = args.prefix.as_deref().and_then(Path::to_str).and_then(|path| path.parse().ok());
    let mut why = None;
    for prefix in [wished.clone(), None] {
        let choices = Config::choices(&args.choices, prefix, false)?;
        let wanted = choices.request(&recipe, args.flavor, target);
        match from_store(&wanted, args.root.as_deref(), config)? {
            Ok(artifact) => return Ok(artifact),
            Err(reason) => why = why.or(reason),
        }
    }
    warn_of_unreadable(config)?;
    if args.no_build {
        let release = format!("{}{}", recipe.version, recipe.variant);
        return Err(Error::NotInStore { why: why.or(others_of_series(&recipe, config)?), request: release });
    }
    if let Some(why) = why {
        config.reporter.report(Event::Note(format!("building anew: {why}")));
    }
    let choices: Choices = Config::choices(&args.choices, wished, false)?;
    let options = Config::build_options(&args.how, choices, vec![args.flavor])?;
    let built = pipeline.build(request, &options)?;
    built
        .into_iter()
        .next()
        .map(|built| built.artifact)
        .ok_or_else(|| Error::NotInStore { request: request.to_string(), why: None })
}

/// What else of a series the store has, in words.
fn others_of_series(recipe: &ReleaseRecipe, config: &Config) -> Result<Option<String>> {
    let series = format!("cpython-{}.", recipe.version.series());
    let names = config.store.list()?.into_iter().map(|artifact| artifact.record.name.to_string());
    let names: Vec<String> = names.filter(|name| name.starts_with(&series)).collect();
    Ok((!names.is_empty()).then(|| format!("it has {}", names.join(", "))))
}

/// The newest artifact of a request that runs on the glibc there is; else why there is none.
fn from_store(
    wanted: &ArtifactRequest,
    root: Option<&Path>,
    config: &Config,
) -> Result<Result<StoredArtifact, Option<String>>> {
    let artifacts = config.store.find(wanted.key())?;
    let glibc = root.and_then(install::glibc_of).or_else(|| install::glibc_of(Path::new("/")));
    let Some(glibc) = glibc else {
        return Ok(artifacts.into_iter().next().ok_or(None));
    };
    let mut why = None;
    for artifact in artifacts {
        if artifact.record.glibc_floor <= glibc {
            return Ok(Ok(artifact));
        }
        why =
            Some(format!("{} needs glibc {}, and here is {glibc}", artifact.record.name, artifact.record.glibc_floor));
    }
    Ok(Err(why))
}
