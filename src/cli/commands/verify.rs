//! `pykeel verify`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::super::args::VerifyArgs;
use super::super::config::Config;
use super::super::settings::OfOneBuild;
use super::super::timings::Recorder;
use super::{by_digest, copies, print};
use crate::audit::compare;
use crate::audit::reproduce::{Reproduction, reproduce};
use crate::domain::artifact::ArtifactName;
use crate::domain::comparison::Change;
use crate::domain::contents::{Contents, Tarball};
use crate::domain::digest::Digest;
use crate::domain::launcher::Launcher;
use crate::domain::manifest::Manifest;
use crate::domain::rebuild::{Difference, explain, topics};
use crate::error::{Error, Result};
use crate::event::{Event, Reporter as _, staged};
use crate::prefix::copies::OtherCopy;
use crate::report::text::shown;
use crate::stages::verify::{self, Check, Distribution, Execution, Report, Status};
use crate::sys::process::System;
use crate::sys::process::confine::Isolation;

/// The result of a verification, for JSON.
#[derive(Serialize)]
struct Verified<'a> {
    checks: &'a [Check],
    /// What Python was kept from while it ran.
    isolation: Option<&'a Isolation>,
    /// The distributions that were installed into the prefix.
    installed: &'a [Distribution],
    /// The libraries of this system that have the names of bundled ones and other bytes.
    other_copies: Vec<OtherCopy>,
}

/// The result of a rebuild, for JSON.
#[derive(Serialize)]
struct Output<'a> {
    name: &'a ArtifactName,
    build_key: Digest,
    tarball: Option<&'a Tarball>,
    /// Whether the bytes are the same.
    same: bool,
    /// The fields of the plan that differ. If there are any, nothing was built.
    plan: Vec<Change<Value>>,
    /// The SHA-256 of the rebuild's `.tar.zst`.
    rebuilt: Option<Digest>,
    differences: Vec<Difference>,
    #[serde(serialize_with = "super::lossy_or_none")]
    diffoscope: Option<PathBuf>,
}

pub(super) fn run(args: &VerifyArgs, config: &Config) -> Result<u8> {
    let path = find(&args.path, config)?;
    if args.rebuild {
        return rebuild(&path, args, config);
    }
    let what = path.display().to_string();
    let reporter = &config.reporter;
    let execution = if args.only_files { Execution::Never } else { Execution::AfterFiles };
    let verify = || verify::verify_path(&path, execution, &System, reporter);
    let (report, manifest) = staged(reporter, "verify", &what, verify, |(report, _)| report.summary())?;
    let root = match &args.root {
        Some(root) => fs_err::canonicalize(root)?,
        None => root_of(&path, &manifest)?,
    };
    let other_copies = copies::found(&manifest, &root, reporter);
    if let Some(note) = copies::note(&other_copies, &root) {
        reporter.report(Event::Note(note));
    }
    let isolation = report.isolation.as_ref();
    let installed = report.installed.as_slice();
    print(config, &Verified { checks: &report.checks, isolation, installed, other_copies }, || text(&report))?;
    report.require(&what)?;
    Ok(0)
}

/// Returns the root that a prefix is in: `/image` for `/image/opt/python`, if `/opt/python` is compiled in.
fn root_of(path: &Path, manifest: &Manifest) -> Result<PathBuf> {
    let below = manifest.plan.request.prefix.as_str().trim_start_matches('/');
    let system = || PathBuf::from("/");
    if !path.is_dir() {
        return Ok(system());
    }
    let prefix = fs_err::canonicalize(path)?;
    let depth = Path::new(below).iter().count();
    Ok(if prefix.ends_with(below) {
        prefix.ancestors().nth(depth).map_or_else(system, Path::to_owned)
    } else {
        system()
    })
}

/// The tarball or prefix that an argument names.
fn find(what: &Path, config: &Config) -> Result<PathBuf> {
    match what.to_str().and_then(|text| text.strip_prefix("sha256:")) {
        Some(digest) => {
            let digest = digest.parse().map_err(|error| Error::Usage(format!("{}: {error}", what.display())))?;
            Ok(by_digest(digest, config)?.tarball())
        }
        None => Ok(what.to_owned()),
    }
}

fn rebuild(path: &Path, args: &VerifyArgs, config: &Config) -> Result<u8> {
    let given = compare::given(path)?;
    let plan = &given.manifest.plan;
    let recorder =
        Recorder::new(config, &args.flags, vec![format!("{}{}", plan.request.release, plan.request.variant)])?;
    let outcome = rebuild_of(path, &given, args, config, &recorder);
    recorder.finish(outcome)
}

fn rebuild_of(
    path: &Path,
    given: &Contents,
    args: &VerifyArgs,
    config: &Config,
    reporter: &Recorder<'_>,
) -> Result<u8> {
    let (catalog, jobs) = (config.catalog()?, config.jobs()?);
    let pipeline = config.pipeline(&catalog, reporter, &jobs);
    let choices = config.choices(config.settings.prefix.value.clone(), OfOneBuild::default(), args.profile.as_ref())?;
    let mut options = config.build_options(&(&args.flags).into(), choices, Vec::new())?;
    // A launcher returns objects of earlier builds, so a rebuild uses one only if `--launcher` is given.
    options.launcher = Some(args.flags.compiling.launcher.unwrap_or(Launcher::None));
    let outcome = reproduce(&pipeline, path, given, options, args.diffoscope_report.as_deref())?;

    let what = path.display().to_string();
    let output = Output {
        name: &given.manifest.name,
        build_key: given.manifest.build_key,
        tarball: given.tarball.as_ref(),
        same: false,
        plan: Vec::new(),
        rebuilt: None,
        differences: Vec::new(),
        diffoscope: None,
    };
    match outcome {
        Reproduction::OtherPlan(changes) => {
            let (differences, topics) = (explain(&changes), topics(&changes));
            print(config, &Output { plan: changes, ..output }, String::new)?;
            Err(Error::OtherPlan { what, differences, topics })
        }
        Reproduction::Rebuilt { digest, differences, .. } if differences.is_empty() => {
            let output = Output { same: true, rebuilt: Some(digest), ..output };
            print(config, &output, || same_text(given))?;
            Ok(0)
        }
        Reproduction::Rebuilt { digest, differences, report } => {
            let lines = differences.iter().map(Difference::to_string).collect();
            let output = Output { rebuilt: Some(digest), differences, diffoscope: report.clone(), ..output };
            print(config, &output, String::new)?;
            Err(Error::NotReproduced { what, differences: lines, report })
        }
    }
}

fn same_text(given: &Contents) -> String {
    let of = given.tarball.as_ref().map(|tarball| format!("sha256:{}  ", tarball.sha256)).unwrap_or_default();
    shown(&format!("{of}{}: the rebuild is identical", given.manifest.name))
}

/// The skipped checks, each with its reason, what was replaced, what Python was not kept from, and the counts. The error
/// shows what failed, and then also why nothing was run.
fn text(report: &Report) -> String {
    let mut text = String::new();
    let in_error = report.not_run().filter(|_| !report.failed().is_empty());
    for check in &report.checks {
        if let Status::Skipped(reason) = &check.status
            && in_error != Some(reason)
        {
            let _ = writeln!(text, "skipped {}: {reason}", check.name);
        }
    }
    for note in report.replaced().into_iter().chain(report.shortcomings()) {
        let _ = writeln!(text, "{note}");
    }
    text.push_str(&report.counts_text());
    text
}
