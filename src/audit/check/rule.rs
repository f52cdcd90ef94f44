//! A rule: its identity, what it looks for, why, and what to do about a finding.

use super::finding::{Found, Severity};
use super::subject::Subject;

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// Its identity, which never changes: `PK101`.
    pub id: &'static str,
    /// Its name: `missing-library`.
    pub name: &'static str,
    /// How bad its findings are, unless one says otherwise.
    pub severity: Severity,
    /// What it finds, as a sentence.
    pub what: &'static str,
    /// Why that is bad.
    pub why: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// Judges an image.
    pub judge: Judge,
}

/// How a rule judges an image: it returns everything that it finds.
#[derive(Debug, Clone, Copy)]
pub enum Judge {
    /// It can judge every image.
    Always(fn(&Subject<'_>) -> Vec<Found>),
    /// It returns the reason if it cannot judge an image.
    Sometimes(fn(&Subject<'_>) -> Result<Vec<Found>, String>),
}

impl Judge {
    /// Judges an image.
    ///
    /// # Errors
    /// The reason why the rule cannot judge it.
    pub fn run(self, subject: &Subject<'_>) -> Result<Vec<Found>, String> {
        match self {
            Self::Always(judge) => Ok(judge(subject)),
            Self::Sometimes(judge) => judge(subject),
        }
    }
}
