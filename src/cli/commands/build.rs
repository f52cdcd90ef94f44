//! `pykeel build`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::args::BuildArgs;
use super::super::config::Config;
use super::super::timings::Recorder;
use super::{full_versions, print, sorted_out};
use crate::domain::artifact::{ArtifactName, Format};
use crate::domain::digest::Digest;
use crate::domain::plan::{BuildPlan, Hardening, Optimize};
use crate::error::Result;
use crate::event::{Reporter, staged};
use crate::pipeline::{Built, VersionResult};
use crate::recipe::Catalog;
use crate::stages::package;
use crate::store::{StoredArtifact, debug_file, manifest_file};
use crate::sys::fs;

/// The result for one artifact.
#[derive(Debug, Serialize)]
struct Output {
    name: ArtifactName,
    build_key: Digest,
    /// The SHA-256 of the `.tar.zst`.
    digest: Digest,
    cached: bool,
    /// The remote that it came from now.
    remote: Option<String>,
    optimize: Optimize,
    /// The digest of the profile of an optimised build.
    profile: Option<Digest>,
    hardening: Hardening,
    #[serde(serialize_with = "super::lossy")]
    tarball: PathBuf,
    /// The SHA-256 of that file; the same as `digest` unless it is in another format.
    tarball_digest: Digest,
    #[serde(serialize_with = "super::lossy")]
    manifest: PathBuf,
    #[serde(serialize_with = "super::lossy_or_none")]
    debug: Option<PathBuf>,
}

pub(super) fn run(args: &BuildArgs, config: &Config) -> Result<u8> {
    let catalog = config.catalog()?;
    let recorder = Recorder::new(config, &args.flags, full_versions(&args.versions, &catalog)?)?;
    let outcome = build(args, config, &catalog, &recorder);
    recorder.finish(outcome)
}

fn build(args: &BuildArgs, config: &Config, catalog: &Catalog, reporter: &Recorder<'_>) -> Result<u8> {
    let jobs = config.jobs()?;
    let pipeline = config.pipeline(catalog, reporter, &jobs);
    let settings = &config.settings;
    let choices = config.choices(
        settings.prefix.value.clone(),
        args.policies.once(args.debug_files),
        args.policies.profile.as_ref(),
    )?;
    let mut options = config.build_options(&(&args.flags).into(), choices, settings.flavor.value.flavors())?;
    if args.dry_run {
        options.install_deps = false;
        let plans = pipeline.plan(&args.versions, &options)?;
        print(config, &plans, || plans.iter().map(plan_text).collect())?;
        return Ok(0);
    }
    let results = pipeline.build(&args.versions, &options)?;
    let several = results.len() > 1;
    let delivered = results.into_iter().map(|VersionResult { version, built }| {
        let task = several.then(|| reporter.task(&version));
        let reporter = task.as_deref().map_or(reporter as &dyn Reporter, |task| task);
        let outputs = built.and_then(|built| built.iter().map(|built| deliver(built, config, reporter)).collect());
        (version, outputs)
    });
    let (outputs, failure) = sorted_out(delivered)?;
    let outputs: Vec<Output> = outputs.into_iter().flat_map(|outputs: Vec<Output>| outputs).collect();
    print(config, &outputs, || outputs.iter().map(|output| format!("{}\n", output.tarball.display())).collect())?;
    failure.map_or(Ok(0), Err)
}

/// Copies an artifact to the directory that the user named.
fn deliver(built: &Built, config: &Config, reporter: &dyn Reporter) -> Result<Output> {
    let settings = &config.settings;
    let artifact = &built.artifact;
    let name = &artifact.record.name;
    let (tarball, manifest, debug) = match &settings.out.value {
        None => (artifact.tarball(), artifact.manifest(), artifact.debug_tarball()),
        Some(out) => staged(
            reporter,
            "deliver",
            name.to_string(),
            || copies(artifact, out, settings.format.value),
            |(tarball, ..)| tarball.display().to_string(),
        )?,
    };
    Ok(Output {
        name: name.clone(),
        build_key: artifact.record.build_key,
        digest: artifact.record.digest,
        cached: built.cached,
        remote: config.remotes.origin(artifact.record.build_key),
        optimize: built.plan.request.optimize,
        profile: built.plan.profile,
        hardening: built.plan.request.policies.hardening,
        tarball_digest: Digest::of_reader(fs_err::File::open(&tarball)?)?,
        tarball,
        manifest,
        debug,
    })
}

fn copies(artifact: &StoredArtifact, out: &Path, format: Format) -> Result<(PathBuf, PathBuf, Option<PathBuf>)> {
    let name = &artifact.record.name;
    fs_err::create_dir_all(out)?;
    let tarball = out.join(name.file(format));
    written_whole(&tarball, |to| {
        if format == Format::Zst {
            fs_err::copy(artifact.tarball(), to)?;
            Ok(())
        } else {
            package::repack(&artifact.tarball(), format, to)
        }
    })?;
    let manifest = out.join(manifest_file(name));
    written_whole(&manifest, |to| Ok(fs_err::copy(artifact.manifest(), to).map(drop)?))?;
    let debug = match artifact.debug_tarball() {
        None => None,
        Some(stored) => {
            let path = out.join(debug_file(name));
            written_whole(&path, |to| Ok(fs_err::copy(stored, to).map(drop)?))?;
            Some(path)
        }
    };
    Ok((tarball, manifest, debug))
}

/// Writes a file under a temporary name and renames it, so that no reader finds an incomplete file.
fn written_whole(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let temporary = fs::temporary_in(fs::directory_of(path))?;
    write(temporary.path())?;
    fs_err::File::open(temporary.path())?.sync_all()?;
    fs::persist(temporary, path)
}

fn optimisation(plan: &BuildPlan) -> String {
    match (plan.request.optimize, plan.profile) {
        (Optimize::None, _) => plan.request.optimize.to_string(),
        (Optimize::Pgo, Some(profile)) => format!("{} with profile {profile}", plan.request.optimize),
        (Optimize::Pgo, None) => format!("{}; no profile is pinned: one is recorded first", plan.request.optimize),
    }
}

/// Returns a plan as text for people.
fn plan_text(plan: &BuildPlan) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "Python {}{} ({}, {})\n",
        plan.request.release, plan.request.variant, plan.request.flavor, plan.request.target
    );
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<12} {value}");
    };
    if plan.request.optimize == Optimize::Pgo && plan.profile.is_none() {
        row("build key", "unknown until the profile is recorded".to_owned());
    } else {
        row("build key", plan.build_key().to_string());
    }
    row("prefix", plan.request.prefix.to_string());
    row("optimise", optimisation(plan));
    row("bytecode", plan.request.policies.bytecode.to_string());
    row("compiler", format!("{}, glibc {}", plan.toolchain.compiler, plan.toolchain.glibc));
    row("configure", plan.configure.join(" "));
    row("patches", plan.patches.iter().map(|patch| patch.name.clone()).collect::<Vec<_>>().join(" "));
    row("modules", format!("{} (closed list)", plan.modules.len()));
    let libraries: Vec<_> = plan
        .libraries
        .iter()
        .map(|library| format!("{} ({} {})", library.soname, library.package, library.version))
        .collect();
    row("libraries", format!("{}: {}", plan.request.policies.library_policy, libraries.join(", ")));
    row("packages", plan.runtime_packages.join(" "));
    text
}
