//! The results of a verification.

use std::fmt::Write as _;

use serde::Serialize;

use super::installed::Distribution;
use crate::error::{Error, Result};
use crate::sys::process::confine::Isolation;

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "status", content = "detail")]
pub enum Status {
    /// It passed.
    Passed,
    /// It failed, and why.
    Failed(String),
    /// It was not run, and why: this system lacks something, or nothing of the tree is to be run.
    Skipped(String),
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The name of the check: `import:_ssl`.
    pub name: String,
    /// Its result.
    #[serde(rename = "result")]
    pub status: Status,
}

/// The name of the check that stands for all that run Python where none of them ran.
pub(super) const RUNNING: &str = "running Python";

/// All checks of one verification, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
    /// What Python was kept from while it ran; `None` if it did not run.
    pub isolation: Option<Isolation>,
    /// The distributions that were installed into the prefix.
    pub installed: Vec<Distribution>,
}

impl Report {
    /// Adds a check.
    pub(super) fn add(&mut self, name: impl Into<String>, status: Status) {
        self.checks.push(Check { name: name.into(), status });
    }

    /// A report of one check.
    pub(super) fn of(name: &str, status: Status) -> Self {
        let mut report = Self::default();
        report.add(name, status);
        report
    }

    /// Adds what another report has.
    pub(super) fn append(&mut self, other: Self) {
        let Self { checks, isolation, installed } = other;
        self.checks.extend(checks);
        self.installed.extend(installed);
        if let Some(isolation) = isolation {
            self.ran_with(isolation);
        }
    }

    /// Adds a check that failed with these findings, or passed if there are none. Shows ten of them.
    pub(super) fn add_findings(&mut self, name: impl Into<String>, findings: &[String]) {
        const MOST: usize = 10;
        let status = if findings.is_empty() {
            Status::Passed
        } else {
            let more = findings.len().saturating_sub(MOST);
            let mut text = findings[..findings.len() - more].join("; ");
            if more > 0 {
                let _ = write!(text, "; and {more} more");
            }
            Status::Failed(text)
        };
        self.add(name, status);
    }

    /// Notes what Python was kept from in one run.
    pub(super) fn ran_with(&mut self, isolation: Isolation) {
        match &mut self.isolation {
            Some(all) => all.and(&isolation),
            None => self.isolation = Some(isolation),
        }
    }

    /// Returns what Python was not kept from while it ran, as a text; `None` if there is nothing to say.
    #[must_use]
    pub fn shortcomings(&self) -> Option<String> {
        let text = self.isolation.as_ref()?.shortcomings();
        (!text.is_empty()).then(|| format!("Python ran {text}"))
    }

    /// Returns the distributions that replaced files of the artifact, a text for each: `pip 26.0 changed 120 files and
    /// removed 15, as its RECORD says`.
    #[must_use]
    pub fn replaced(&self) -> Vec<String> {
        let replacing = self.installed.iter().filter(|one| one.changed + one.removed > 0);
        let text = |one: &Distribution| {
            let Distribution { name, version, changed, removed, .. } = one;
            format!(
                "{name} {version} changed {changed} of the artifact's files and removed {removed}, as its RECORD says"
            )
        };
        replacing.map(text).collect()
    }

    /// Returns the names of the checks that failed.
    #[must_use]
    pub fn failed(&self) -> Vec<&str> {
        let failed = self.checks.iter().filter(|check| matches!(check.status, Status::Failed(_)));
        failed.map(|check| check.name.as_str()).collect()
    }

    /// Returns why nothing of the tree was run, if nothing was.
    #[must_use]
    pub fn not_run(&self) -> Option<&str> {
        let check = self.checks.iter().find(|check| check.name == RUNNING)?;
        match &check.status {
            Status::Skipped(reason) => Some(reason),
            _ => None,
        }
    }

    /// Returns how many checks passed, failed and were skipped.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        self.checks.iter().fold((0, 0, 0), |(passed, failed, skipped), check| match check.status {
            Status::Passed => (passed + 1, failed, skipped),
            Status::Failed(_) => (passed, failed + 1, skipped),
            Status::Skipped(_) => (passed, failed, skipped + 1),
        })
    }

    /// Returns the counts as text, with the checks that were skipped and the reasons, what was installed into the
    /// prefix, and what Python was not kept from.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut by_reason: Vec<(&str, Vec<&str>)> = Vec::new();
        for check in &self.checks {
            let Status::Skipped(reason) = &check.status else { continue };
            match by_reason.iter_mut().find(|(other, _)| other == reason) {
                Some((_, names)) => names.push(&check.name),
                None => by_reason.push((reason, vec![&check.name])),
            }
        }
        let skipped: Vec<String> =
            by_reason.into_iter().map(|(reason, names)| format!("{}: {reason}", names.join(", "))).collect();
        let notes: Vec<String> = skipped.into_iter().chain(self.replaced()).chain(self.shortcomings()).collect();
        if notes.is_empty() { self.counts_text() } else { format!("{} ({})", self.counts_text(), notes.join("; ")) }
    }

    /// Returns the counts as text.
    #[must_use]
    pub fn counts_text(&self) -> String {
        let (passed, failed, skipped) = self.counts();
        let more = |count: usize, what: &str| if count == 0 { String::new() } else { format!(", {count} {what}") };
        format!("{passed} checks passed{}{}", more(failed, "failed"), more(skipped, "skipped"))
    }

    /// Fails if a check of the artifact `what` failed.
    ///
    /// # Errors
    /// [`Error::Verification`] with every failed check, and with the reason if nothing was run.
    pub fn require(&self, what: &str) -> Result<()> {
        let mut findings: Vec<String> = self
            .checks
            .iter()
            .filter_map(|check| match &check.status {
                Status::Failed(detail) => Some(format!("{}: {detail}", check.name)),
                _ => None,
            })
            .collect();
        if findings.is_empty() {
            return Ok(());
        }
        let failed = findings.len();
        findings.extend(self.not_run().map(|reason| format!("{RUNNING}: {reason}")));
        Err(Error::Verification { what: what.to_owned(), failed, total: self.checks.len(), findings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_what_was_skipped_and_why() {
        let mut report = Report::default();
        report.add("modes", Status::Passed);
        assert_eq!(report.summary(), "1 checks passed");
        report.add("at its prefix", Status::Skipped("this system allows no mount namespace".into()));
        report.add("moved: time zones", Status::Skipped("there is no tzdata".into()));
        report.add("moved: zoneinfo", Status::Skipped("there is no tzdata".into()));
        assert_eq!(
            report.summary(),
            "1 checks passed, 3 skipped (at its prefix: this system allows no mount namespace; moved: time zones, \
             moved: zoneinfo: there is no tzdata)"
        );
        assert_eq!(report.counts_text(), "1 checks passed, 3 skipped");
    }

    #[test]
    fn what_was_not_run_is_said_with_what_failed_and_is_no_failure() {
        let mut report = Report::default();
        report.add("modes", Status::Failed("bin/x is world-writable".into()));
        assert_eq!((report.failed(), report.not_run()), (vec!["modes"], None));
        report.add(RUNNING, Status::Skipped("not run".into()));
        assert_eq!(report.not_run(), Some("not run"));
        let Error::Verification { failed, total, findings, .. } = report.require("x").unwrap_err() else { panic!() };
        assert_eq!((failed, total), (1, 2));
        assert_eq!(findings, ["modes: bin/x is world-writable", "running Python: not run"]);
    }
}
