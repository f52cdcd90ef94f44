//! Reproduce: builds an artifact again by its own plan, and compares the two.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::compare::{self, Compared};
use crate::domain::comparison::Change;
use crate::domain::contents::Contents;
use crate::domain::digest::Digest;
use crate::domain::launcher::Launcher;
use crate::domain::plan::{BuildPlan, Policies};
use crate::domain::rebuild::Difference;
use crate::error::{Error, Result};
use crate::event::{Event, staged};
use crate::pipeline::{BuildOptions, Pipeline, Replanned};
use crate::planning::choices::Choices;

/// The result of a rebuild.
#[derive(Debug)]
pub enum Reproduction {
    /// Nothing was built, because the plan is different here: each field, the artifact's value first.
    OtherPlan(Vec<Change<Value>>),
    /// It was built and compared.
    Rebuilt {
        /// The SHA-256 of the rebuild's `.tar.zst`.
        digest: Digest,
        /// The differences; empty if the bytes are the same.
        differences: Vec<Difference>,
        /// diffoscope's report, where there is something to report and diffoscope is installed.
        report: Option<PathBuf>,
    },
}

/// Rebuilds the artifact at a path, whose contents were read, and compares. Of `options.choices` only the compiler's
/// variables and the profile count: no program that the artifact names is run. The rest is the artifact's own.
/// diffoscope's report is written to `report`, or to the store's logs.
///
/// # Errors
/// [`Error::Damaged`] for an artifact whose prefix no build can have; errors of the plan, the stages and the
/// comparison.
pub fn reproduce(
    pipeline: &Pipeline<'_>,
    path: &Path,
    given: &Contents,
    mut options: BuildOptions,
    report: Option<&Path>,
) -> Result<Reproduction> {
    let (manifest, reporter) = (&given.manifest, pipeline.reporter);
    let plan = &manifest.plan;
    options.choices = choices_of(plan, options.choices, path)?;
    options.flavors = vec![plan.request.flavor];
    if let Some(launcher) = options.launcher.filter(|launcher| *launcher != Launcher::None) {
        reporter
            .report(Event::Note(format!("objects that {launcher} has cached are not compiled, and so not compared")));
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
    let again = match replanned {
        Replanned::Same(again) => again,
        Replanned::Other(changes) => return Ok(Reproduction::OtherPlan(changes)),
    };
    let rebuilt = pipeline.rebuild(&again, &options)?;
    let compared = staged(
        reporter,
        "compare",
        "",
        || compare::compare_with(path, given, &rebuilt.packed, rebuilt.work.path()),
        |compared| format!("{} differences", compared.differences.len()),
    )?;
    let report = if compared.differences.is_empty() { None } else { write_report(pipeline, given, &compared, report)? };
    Ok(Reproduction::Rebuilt { digest: compared.digest, differences: compared.differences, report })
}

/// Returns the choices that give an artifact's plan, with the compiler's variables and the profile of `here`. Arguments
/// of configure that name programs are refused.
fn choices_of(plan: &BuildPlan, here: Choices, path: &Path) -> Result<Choices> {
    let prefix = plan.request.prefix.to_string().parse().map_err(|error| Error::Damaged {
        what: path.display().to_string(),
        reason: format!("no build can have the prefix of its plan: {error}"),
    })?;
    // The compiler's variables are those of the user who rebuilds: they name programs to run.
    let policies = Policies { compiler_variables: here.policies.compiler_variables, ..plan.request.policies.clone() };
    let choices = Choices { prefix, policies, ..here };
    choices
        .check_arguments()
        .map_err(|error| Error::Damaged { what: path.display().to_string(), reason: format!("its plan: {error}") })?;
    Ok(choices)
}

/// Has diffoscope write its report. Where it fails the comparison still counts.
fn write_report(
    pipeline: &Pipeline<'_>,
    given: &Contents,
    compared: &Compared,
    place: Option<&Path>,
) -> Result<Option<PathBuf>> {
    let plan = &given.manifest.plan;
    let place = if let Some(path) = place {
        path.to_owned()
    } else {
        let key = given.manifest.build_key.short();
        pipeline.store.log(&format!("diffoscope-cpython-{}{}-{key}", plan.request.release, plan.request.variant))?
    };
    let write = || compare::diffoscope(compared, &place, pipeline.runner);
    match staged(pipeline.reporter, "diffoscope", "", write, |_| String::new()) {
        Err(interrupted @ Error::Interrupted(_)) => Err(interrupted),
        Err(error) => {
            pipeline.reporter.report(Event::Warning(format!("diffoscope wrote no report: {error}")));
            Ok(None)
        }
        Ok(report) => Ok(report),
    }
}
