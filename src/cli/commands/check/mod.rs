//! `pykeel check`.

mod storage;
mod text;

use std::path::Path;

use super::super::args::CheckArgs;
use super::super::config::Config;
use super::print;
use crate::audit::check::image::{Image, LayerBudget};
use crate::audit::check::index::Index;
use crate::audit::check::{KnownSeries, Report, Standards, judge, sarif};
use crate::error::{ExitCode, Result};
use crate::event::{Event, Reporter as _, staged};
use crate::sys::fs;
use crate::sys::process::System;
use crate::sys::toolchain::find_local_program;

/// After how many days an index is old.
const OLD_INDEX: i64 = 7;

pub(super) fn run(args: &CheckArgs, config: &Config) -> Result<u8> {
    let name = args.image.to_string_lossy().into_owned();
    let standards = standards(args, config)?;
    let path = Path::new(&args.image);
    // A name that is a path too is the path.
    let saved = if path.exists() { None } else { Some(storage::take(&name, &System, find_local_program)?) };
    let saved_path = saved.as_ref().map(storage::Saved::path);
    let path = saved_path.as_deref().unwrap_or(path);
    let read = || Image::read(path, LayerBudget::USUAL);
    let reporter = &config.reporter;
    let image = staged(reporter, "read", &name, read, |image| format!("{} files and links", image.tree.len()))?;
    let ignores = &config.settings.check.ignore;
    let report = judge(&name, &image, &standards, ignores);
    if let Some(file) = &args.sarif {
        let mut json = serde_json::to_string_pretty(&sarif(&report)).map_err(std::io::Error::from)?;
        json.push('\n');
        fs::write_atomically(file, json.as_bytes())?;
    }
    let age = report.index.as_ref().and_then(|index| index.age_days);
    if let Some(days) = age.filter(|days| *days > OLD_INDEX) {
        reporter
            .report(Event::Warning(format!("the index is {days} days old, so newer security updates are not in it")));
    }
    for unused in &report.unused_ignores {
        reporter.report(Event::Warning(format!("nothing is ignored by `check.ignore` of {unused}")));
    }
    print(config, &report, || text::text(&report, args.top))?;
    Ok(code(args, &report))
}

fn code(args: &CheckArgs, report: &Report) -> u8 {
    if report.worst().is_some_and(|worst| args.fail_on.includes(worst)) { ExitCode::Verification as u8 } else { 0 }
}

/// What the recipes, the clock and the user say.
fn standards(args: &CheckArgs, config: &Config) -> Result<Standards> {
    let now = jiff::Timestamp::now();
    let catalog = config.catalog()?;
    let known = |recipe: &crate::recipe::Recipe| {
        let newest = recipe.newest()?.version;
        Some(KnownSeries { series: recipe.series, newest, end_of_life: recipe.end_of_life.clone() })
    };
    Ok(Standards {
        series: catalog.recipes().filter_map(known).collect(),
        today: now.to_string().chars().take(10).collect(),
        index: args.index.as_ref().map(|directory| Index::read(directory, now.as_second())).transpose()?,
        user: args.user.clone(),
    })
}
