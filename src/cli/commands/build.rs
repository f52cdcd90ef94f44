//! `pykeel build`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::args::BuildArgs;
use super::super::config::Config;
use super::super::settings::Origin;
use super::super::timings::Recorder;
use super::locked::{Entry, Flavors, Given, Locked, Purpose, Workshop, entries};
use super::{full_versions, print, sorted_out};
use crate::domain::artifact::{ArtifactName, Format};
use crate::domain::digest::Digest;
use crate::domain::plan::{BuildPlan, Hardening, Optimize};
use crate::error::Result;
use crate::event::{Event, Reporter, staged};
use crate::pipeline::{Built, VersionResult};
use crate::pykeel_lock::LockFile;
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
    let locked = args.locked.locked.then(|| locked_entries(args, config)).transpose()?;
    let versions = match &locked {
        Some(entries) => entries.iter().map(Entry::name).collect(),
        None => full_versions(&args.versions, &catalog)?,
    };
    let recorder = Recorder::new(config, &args.artifacts.flags, versions)?;
    let outcome = match locked {
        Some(entries) => build_locked(args, &entries, config, (&catalog, &recorder)),
        None => build(args, config, &catalog, &recorder),
    };
    recorder.finish(outcome)
}

/// Returns what is locked of what the user names.
fn locked_entries(args: &BuildArgs, config: &Config) -> Result<Vec<Entry>> {
    let flavor = &config.settings.flavor;
    let flavors = if flavor.origin == Origin::Default { Flavors::All } else { Flavors::Named(flavor.value.flavors()) };
    let given = Given::of_built(config, &args.artifacts);
    entries(&LockFile::read_existing(&args.locked.lock)?, &args.versions, &flavors, &given)
}

/// Takes what is locked from the store, or builds it.
fn build_locked(
    args: &BuildArgs,
    entries: &[Entry],
    config: &Config,
    (catalog, reporter): (&Catalog, &Recorder<'_>),
) -> Result<u8> {
    let jobs = config.jobs()?;
    let workshop = Workshop {
        config,
        pipeline: config.pipeline(catalog, reporter, &jobs),
        places: (&args.artifacts.flags).into(),
        may_install: !args.dry_run,
    };
    let given = Given::of_built(config, &args.artifacts);
    let locked = Locked { lock: &args.locked.lock, given, workshop, purpose: Purpose::Store };
    if args.dry_run {
        let plans = locked.plans(&entries.iter().collect::<Vec<_>>())?.into_iter();
        let (plans, failure) = sorted_out(plans.map(|(entry, plan)| (entry.name(), plan)))?;
        print(config, &plans, || plans.iter().map(plan_text).collect())?;
        return failure.map_or(Ok(0), Err);
    }
    let (mut results, mut absent) = (Vec::new(), Vec::new());
    for entry in entries {
        match locked.in_store(entry) {
            Ok(None) => absent.push(entry),
            Ok(Some(artifact)) => {
                reporter.report(Event::Note(format!("{} is in the store", artifact.record.name)));
                let plan = artifact.read_manifest().map(|manifest| manifest.plan);
                let built = plan.map(|plan| vec![Built { plan, artifact, cached: true }]);
                results.push(VersionResult { version: entry.name(), built });
            }
            Err(error) => results.push(VersionResult { version: entry.name(), built: Err(error) }),
        }
    }
    let built = locked.build(&absent)?.into_iter();
    results.extend(
        built.map(|(entry, built)| VersionResult { version: entry.name(), built: built.map(|built| vec![built]) }),
    );
    delivered(results, config, reporter)
}

fn build(args: &BuildArgs, config: &Config, catalog: &Catalog, reporter: &Recorder<'_>) -> Result<u8> {
    let jobs = config.jobs()?;
    let pipeline = config.pipeline(catalog, reporter, &jobs);
    let settings = &config.settings;
    let choices = config.choices(
        settings.prefix.value.clone(),
        args.artifacts.policies.once(args.artifacts.debug_files),
        args.artifacts.policies.profile.as_ref(),
    )?;
    let mut options =
        config.build_options(&(&args.artifacts.flags).into(), choices, settings.flavor.value.flavors())?;
    if args.dry_run {
        options.install_deps = false;
        let plans = pipeline.plan(&args.versions, &options)?;
        print(config, &plans, || plans.iter().map(plan_text).collect())?;
        return Ok(0);
    }
    delivered(pipeline.build(&args.versions, &options)?, config, reporter)
}

/// Copies what was built to the directory that the user named, and prints it.
fn delivered(results: Vec<VersionResult>, config: &Config, reporter: &Recorder<'_>) -> Result<u8> {
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
    written_whole(&tarball, |to| match format {
        Format::Zst => copy(&artifact.tarball(), to),
        Format::Xz | Format::Gz => package::repack(&artifact.tarball(), format, to),
    })?;
    let manifest = out.join(manifest_file(name));
    written_whole(&manifest, |to| copy(&artifact.manifest(), to))?;
    let debug = match artifact.debug_tarball() {
        None => None,
        Some(stored) => {
            let path = out.join(debug_file(name));
            written_whole(&path, |to| copy(&stored, to))?;
            Some(path)
        }
    };
    Ok((tarball, manifest, debug))
}

fn copy(from: &Path, mut to: fs_err::File) -> Result<()> {
    std::io::copy(&mut fs_err::File::open(from)?, &mut to)?;
    Ok(())
}

/// Writes a file under a temporary name and renames it, so that no reader finds an incomplete file. Others may write to
/// its directory, too.
fn written_whole(path: &Path, write: impl FnOnce(fs_err::File) -> Result<()>) -> Result<()> {
    let temporary = fs::temporary_in(fs::directory_of(path))?;
    write(fs_err::File::from_parts(temporary.as_file().try_clone()?, path))?;
    temporary.as_file().sync_all()?;
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
