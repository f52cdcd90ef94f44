//! `pykeel image`: makes a container image of artifacts.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::args::ImageArgs;
use super::super::config::Config;
use super::super::timings::Recorder;
use super::default::{self, Names};
use super::stored::{Missing, Search, What};
use super::{full_versions, print};
use crate::domain::digest::Digest;
use crate::domain::target::Target;
use crate::error::{Error, ImageError, PrefixError, Result};
use crate::event::{Event, Reporter};
use crate::export::image::{self, AddedLayer, App, Authorities, Options, Python, Written};
use crate::planning::preflight;
use crate::recipe::Catalog;
use crate::report::text::human;
use crate::store::StoredArtifact;
use crate::sys::oci::ImageSource;
use crate::sys::process::System;

/// An image that was written.
#[derive(Debug, Serialize)]
struct Output {
    #[serde(serialize_with = "super::lossy")]
    path: PathBuf,
    reference: String,
    digest: Digest,
    config: Digest,
    user: String,
    size: u64,
    unpacked: u64,
    layers: Vec<Layer>,
}

/// A layer of it.
#[derive(Debug, Serialize)]
struct Layer {
    what: String,
    of_base: bool,
    digest: Digest,
    diff_id: Digest,
    size: u64,
    unpacked: u64,
}

impl From<&AddedLayer> for Layer {
    fn from(layer: &AddedLayer) -> Self {
        Self {
            what: layer.what.clone(),
            of_base: layer.of_base,
            digest: layer.blob.digest,
            diff_id: layer.facts.diff_id,
            size: layer.blob.size,
            unpacked: layer.facts.unpacked,
        }
    }
}

pub(super) fn run(args: &ImageArgs, config: &Config) -> Result<u8> {
    preflight::refuse_musl()?;
    if let Some(directory) = &args.rootfs {
        return rootfs(args, directory, config);
    }
    let catalog = config.catalog()?;
    let recorder = Recorder::new(config, &args.artifacts.flags, full_versions(args.artifacts.versions(), &catalog)?)?;
    let outcome = image(args, config, &catalog, &recorder);
    recorder.finish(outcome)
}

/// The files below an image from scratch.
#[derive(Debug, Serialize)]
struct RootOutput {
    #[serde(serialize_with = "super::lossy")]
    path: PathBuf,
    files: u64,
    size: u64,
}

/// Writes the files below an image from scratch, which a Dockerfile copies.
fn rootfs(args: &ImageArgs, directory: &Path, config: &Config) -> Result<u8> {
    let authorities = Authorities::read(&args.ca)?;
    let system = image::System { distro: &config.distro, runner: &System };
    let (trees, packages) = (&args.trees[..], &args.packages[..]);
    let root = image::Rootfs { trees, packages, libc: args.libc, authorities: &authorities };
    let (files, size) = image::write_root(&root, system, directory, &config.reporter)?;
    let output = RootOutput { path: directory.to_owned(), files, size };
    print(config, &output, || format!("{}: {files} files, {}\n", output.path.display(), human(size)))?;
    Ok(0)
}

fn image(args: &ImageArgs, config: &Config, catalog: &Catalog, reporter: &Recorder<'_>) -> Result<u8> {
    // A mistake in what is named shows before a build of minutes.
    let (authorities, apps) = (Authorities::read(&args.ca)?, apps(args)?);
    args.base.as_deref().map(ImageSource::open).transpose()?;
    let jobs = config.jobs()?;
    let search = Search {
        config,
        pipeline: config.pipeline(catalog, reporter, &jobs),
        once: args.artifacts.policies.once(false),
        profile: args.artifacts.policies.profile.as_ref(),
        places: (&args.artifacts.flags).into(),
        prefix: None,
        root: None,
        missing: if args.artifacts.no_build { Missing::Refuse } else { Missing::Build },
    };
    let wanted = wanted(args, &search)?;
    let names: Vec<_> = wanted.iter().map(|(name, what)| (name.as_str(), what)).collect();
    let artifacts = search.artifacts(&names)?.into_iter().collect::<Result<Vec<_>>>()?;
    let python = |artifact: StoredArtifact| Ok(Python { manifest: artifact.read_manifest()?, artifact });
    let pythons = artifacts.into_iter().map(python).collect::<Result<Vec<_>>>()?;
    let names: Vec<Names> = pythons.iter().map(names_of).collect();
    let versions = names.iter().map(|names| names.version.clone()).collect::<Vec<_>>().join("-");
    let options = Options {
        base: args.base.clone(),
        apps,
        libc: args.libc,
        compression: args.compression,
        authorities,
        user: args.user.clone(),
        labels: args.label.iter().map(|label| (label.key.clone(), label.value.clone())).collect(),
        reference: args.tag.clone().unwrap_or_else(|| format!("localhost/python:{versions}")),
        default: default::position(args.default.as_ref(), &names, catalog)?,
    };
    let path = args.output.clone().unwrap_or_else(|| {
        let directory = config.settings.out.value.clone().unwrap_or_else(|| "dist".into());
        directory.join(format!("python-{versions}-{}.tar", Target::OF_THIS_PROGRAM.oci_architecture()))
    });
    let system = image::System { distro: &config.distro, runner: &System };
    let written = image::write(&pythons, &options, system, &path, reporter);
    let written = written.map_err(|error| set_aside(error, &pythons, &wanted, config))?;
    report(config, reporter, &options, path, &written)
}

fn report(config: &Config, reporter: &dyn Reporter, options: &Options, path: PathBuf, written: &Written) -> Result<u8> {
    let output = Output {
        path,
        reference: options.reference.clone(),
        digest: written.manifest.digest,
        config: written.config.digest,
        user: written.user.clone(),
        size: written.size,
        unpacked: written.layers.iter().map(|layer| layer.facts.unpacked).sum(),
        layers: written.layers.iter().map(Layer::from).collect(),
    };
    reporter.report(Event::Note(format!(
        "{} is sha256:{}; `docker load --input {}` loads it",
        output.reference,
        output.digest,
        output.path.display()
    )));
    print(config, &output, || format!("{}\n", output.path.display()))?;
    Ok(0)
}

/// Returns what is wanted, or an error if one Python would be in the prefix of another.
fn wanted(args: &ImageArgs, search: &Search<'_>) -> Result<Vec<(String, What)>> {
    let mut wanted: Vec<(String, What)> = Vec::new();
    let mut places: Vec<(String, PathBuf)> = Vec::new();
    for argument in &args.artifacts.what {
        let (name, what) = search.find(argument)?;
        let prefix = search.request(&what)?.prefix.as_path().to_owned();
        let place = (name.clone(), prefix);
        // The same version under another name.
        if !places.contains(&place) {
            places.push(place);
            wanted.push((name, what));
        }
    }
    PrefixError::of_overlaps(&places).map_or(Ok(wanted), |error| Err(error.into()))
}

/// The names of a Python that a user may give: `3.13.5t`, `3.13t`.
fn names_of(python: &Python) -> Names {
    let request = &python.manifest.plan.request;
    let (release, variant) = (request.release, request.variant);
    Names { version: format!("{release}{variant}"), series: format!("{}{variant}", release.series()) }
}

/// Returns the parts of the application, each with its path in the image.
fn apps(args: &ImageArgs) -> Result<Vec<App>> {
    let mut apps: Vec<App> = Vec::new();
    for (tree, at) in &args.app {
        let app = app(tree, at.as_deref())?;
        if apps.iter().any(|other| other.at == app.at) {
            return Err(Error::Usage(format!("two trees of `--app` would both be at {}", app.at.display())));
        }
        apps.push(app);
    }
    Ok(apps)
}

fn app(tree: &Path, at: Option<&Path>) -> Result<App> {
    let place = fs_err::canonicalize(tree).map_err(Error::Unreadable)?;
    let unfit = |reason: &str| ImageError::Tree { path: tree.display().to_string(), reason: reason.to_owned() };
    if !place.is_dir() {
        return Err(unfit("it is not a directory").into());
    }
    let at = match at {
        Some(at) => at.to_owned(),
        None => std::path::absolute(tree)?,
    };
    if place == Path::new("/") || at == Path::new("/") {
        return Err(unfit("it is the root of a file system").into());
    }
    if at.to_str().is_none_or(|at| at.contains(':')) {
        return Err(unfit("its path in the image is not UTF-8 without `:`, and has to be in PATH").into());
    }
    Ok(App { tree: place, at })
}

/// Sets a damaged artifact aside, so that the next run builds it again, and returns the error.
fn set_aside(error: Error, pythons: &[Python], wanted: &[(String, What)], config: &Config) -> Error {
    let (Error::DigestMismatch { what, .. }
    | Error::Damaged { what, .. }
    | Error::HostileArchive { archive: what, .. }) = &error
    else {
        return error;
    };
    let is_it = |artifact: &StoredArtifact| {
        let tarball = artifact.tarball();
        *what == tarball.display().to_string() || tarball.file_name().is_some_and(|name| name == what.as_str())
    };
    let damaged = pythons.iter().zip(wanted).find(|(python, _)| is_it(&python.artifact));
    if let Some((python, (_, What::Version(..) | What::Pinned(_)))) = damaged {
        let message = match config.store.set_aside(&python.artifact) {
            Ok(aside) => format!("the damaged artifact is now in {}", aside.display()),
            Err(error) => format!("the damaged artifact cannot be set aside: {error}"),
        };
        config.reporter.report(Event::Warning(message));
    }
    error
}
