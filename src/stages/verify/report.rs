//! The results of a verification.

use std::fmt::Write as _;

use serde::Serialize;

use crate::error::{Error, Result};

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

/// All checks of one verification, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Report {
    /// Adds a check.
    pub(super) fn add(&mut self, name: impl Into<String>, status: Status) {
        self.checks.push(Check { name: name.into(), status });
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

    /// Returns how many checks passed, failed and were skipped.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        self.checks.iter().fold((0, 0, 0), |(passed, failed, skipped), check| match check.status {
            Status::Passed => (passed + 1, failed, skipped),
            Status::Failed(_) => (passed, failed + 1, skipped),
            Status::Skipped(_) => (passed, failed, skipped + 1),
        })
    }

    /// Returns the counts as text, with the checks that were skipped and the reasons.
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
        if skipped.is_empty() { self.counts_text() } else { format!("{} ({})", self.counts_text(), skipped.join("; ")) }
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
    /// [`Error::Verification`] with every failed check.
    pub fn require(&self, what: &str) -> Result<()> {
        let findings: Vec<String> = self
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
        Err(Error::Verification { what: what.to_owned(), failed: findings.len(), total: self.checks.len(), findings })
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
}
