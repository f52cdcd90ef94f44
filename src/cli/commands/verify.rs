//! `pykeel verify`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::super::args::VerifyArgs;
use super::super::config::Config;
use super::super::timings::Recorder;
use super::{by_digest, print};
use crate::audit::compare;
use crate::domain::artifact::ArtifactName;
use crate::domain::comparison::Change;
use crate::domain::contents::{Contents, Tarball};
use crate::domain::digest::Digest;
use crate::domain::launcher::Launcher;
use crate::domain::rebuild::{Difference, explain, topics};
use crate::error::{Error, Result};
use crate::event::{Event, Reporter as _, staged};
use crate::pipeline::{Again, Pipeline, Replanned};
use crate::report::text::shown;
use crate::stages::verify::{self, Report, Status};
use crate::store::Store as _;
use crate::sys::process::System;

/// What a rebuild came to, as JSON has it.
#[derive(Serialize)]
struct Output<'a> {
    name: &'a ArtifactName,
    build_key: Digest,
    tarball: Option<&'a Tarball>,
    /// Whether the bytes are the same.
    same: bool,
    /// The fields of the plan that differ; where there is one nothing was built.
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
    let report = staged(reporter, "verify", &what, || verify::verify_path(&path, &System, reporter), Report::summary)?;
    print(config, &report, || text(&report))?;
    report.require(&what)?;
    Ok(0)
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
    let recorder = Recorder::new(config, &args.flags, vec![format!("{}{}", plan.release, plan.variant)])?;
    let outcome = rebuild_of(path, &given, args, config, &recorder);
    recorder.tell(outcome)
}

fn rebuild_of(
    path: &Path,
    given: &Contents,
    args: &VerifyArgs,
    config: &Config,
    reporter: &Recorder<'_>,
) -> Result<u8> {
    let what = path.display().to_string();
    let manifest = &given.manifest;
    let plan = &manifest.plan;
    let output = Output {
        name: &manifest.name,
        build_key: manifest.build_key,
        tarball: given.tarball.as_ref(),
        same: false,
        plan: Vec::new(),
        rebuilt: None,
        differences: Vec::new(),
        diffoscope: None,
    };

    let catalog = config.catalog()?;
    let jobs = config.jobs()?;
    let pipeline = Pipeline { catalog: &catalog, store: &config.store, runner: &System, reporter, jobs: &jobs };
    let prefix = plan.prefix.to_string().parse().map_err(|error| Error::Damaged {
        what: what.clone(),
        reason: format!("the prefix of its plan cannot be built for: {error}"),
    })?;
    // What programs run is never taken from a file that somebody sent: the compiler's variables are
    // the user's, and have to be those of the artifact.
    let mut choices = config.choices(prefix, plan.debug_files, args.profile.as_ref())?;
    choices.bytecode = plan.bytecode;
    choices.library_policy = plan.library_policy;
    let mut options = config.build_options(&args.flags, choices, vec![plan.flavor])?;
    // What a launcher has is what earlier builds kept. Only who asks for one here gets it.
    let launcher = args.flags.launcher.unwrap_or(Launcher::None);
    options.launcher = Some(launcher);
    if launcher != Launcher::None {
        reporter.report(Event::Note(format!("what {launcher} has is not compiled again, and so not compared")));
    }
    let replanned = staged(
        reporter,
        "plan",
        manifest.name.to_string(),
        || pipeline.replan(plan, &options),
        |replanned| match replanned {
            Replanned::Same(_) => manifest.build_key.short(),
            Replanned::Other(changes) => format!("{} differences", changes.len()),
        },
    )?;
    let again: Box<Again> = match replanned {
        Replanned::Same(again) => again,
        Replanned::Other(changes) => {
            let (differences, topics) = (explain(&changes), topics(&changes));
            print(config, &Output { plan: changes, ..output }, String::new)?;
            return Err(Error::OtherPlan { what, differences, topics });
        }
    };
    let rebuilt = pipeline.rebuild(&again, &options)?;
    let compared = staged(
        reporter,
        "compare",
        "",
        || compare::compare_with(path, given, &rebuilt.packed, rebuilt.work.path()),
        |compared| format!("{} differences", compared.differences.len()),
    )?;
    let report = report(args, given, &compared, config, reporter)?;
    let same = compared.differences.is_empty();
    let output = Output {
        same,
        rebuilt: Some(compared.digest),
        differences: compared.differences,
        diffoscope: report.clone(),
        ..output
    };
    print(config, &output, || if same { same_text(given) } else { String::new() })?;
    if same {
        return Ok(0);
    }
    let differences = output.differences.iter().map(Difference::to_string).collect();
    Err(Error::NotReproduced { what, differences, report })
}

/// The report of diffoscope, which is worth having and not what was asked for.
fn report(
    args: &VerifyArgs,
    given: &Contents,
    compared: &compare::Compared,
    config: &Config,
    reporter: &Recorder<'_>,
) -> Result<Option<PathBuf>> {
    if compared.differences.is_empty() {
        return Ok(None);
    }
    let plan = &given.manifest.plan;
    let place = if let Some(path) = &args.diffoscope_report {
        path.clone()
    } else {
        let key = given.manifest.build_key.short();
        config.store.log(&format!("diffoscope-cpython-{}{}-{key}", plan.release, plan.variant))?
    };
    let written =
        staged(reporter, "diffoscope", "", || compare::diffoscope(compared, &place, &System), |_| String::new());
    match written {
        Err(interrupted @ Error::Interrupted(_)) => Err(interrupted),
        Err(error) => {
            reporter.report(Event::Warning(format!("there is no report of diffoscope: {error}")));
            Ok(None)
        }
        Ok(report) => Ok(report),
    }
}

fn same_text(given: &Contents) -> String {
    let of = given.tarball.as_ref().map(|tarball| format!("sha256:{}  ", tarball.sha256)).unwrap_or_default();
    shown(&format!("{of}{} is the same when it is built again", given.manifest.name))
}

/// The skipped checks, each with its reason, and the counts. The error shows what failed.
fn text(report: &Report) -> String {
    let mut text = String::new();
    for check in &report.checks {
        if let Status::Skipped(reason) = &check.status {
            let _ = writeln!(text, "skipped {}: {reason}", check.name);
        }
    }
    text.push_str(&report.summary());
    text
}
