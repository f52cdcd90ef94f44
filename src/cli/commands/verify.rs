//! `pykeel verify`.

use std::fmt::Write as _;

use super::super::args::PathArgs;
use super::super::config::Config;
use super::print;
use crate::error::Result;
use crate::event::staged;
use crate::stages::verify::{self, Report, Status};
use crate::sys::process::System;

pub(super) fn run(args: &PathArgs, config: &Config) -> Result<u8> {
    let what = args.path.display().to_string();
    let reporter = &config.reporter;
    let report =
        staged(reporter, "verify", &what, || verify::verify_path(&args.path, &System, reporter), Report::summary)?;
    print(config, &report, || text(&report))?;
    report.require(&what)?;
    Ok(0)
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
