//! What a rule finds, and how bad it is.

use serde::Serialize;

use crate::domain::named_enum;

named_enum! {
    /// How bad a finding is, the mildest first.
    pub enum Severity {
        /// Worth knowing; nothing is wrong.
        Note = "note",
        /// It makes the image larger, slower or less safe.
        Warning = "warning",
        /// Something does not work, or a secret is in the image.
        Error = "error",
    }
}

/// What a rule found, before the rule's own facts are added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file or directory that it is about, absolute in the image; none for the image as a whole.
    pub path: Option<String>,
    /// What is wrong, as a fragment.
    pub message: String,
    /// How bad it is, if that differs from the rule's severity.
    pub severity: Option<Severity>,
}

impl Found {
    /// A finding about a path.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: Some(path.into()), message: message.into(), severity: None }
    }

    /// A finding about the image as a whole.
    pub fn of_image(message: impl Into<String>) -> Self {
        Self { path: None, message: message.into(), severity: None }
    }

    /// The same finding with another severity than the rule's.
    #[must_use]
    pub fn with(self, severity: Severity) -> Self {
        Self { severity: Some(severity), ..self }
    }
}

/// A finding of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's identity: `PK101`.
    pub rule: &'static str,
    /// The rule's name: `missing-library`.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The file or directory, absolute in the image; none for the image as a whole.
    pub path: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: &'static str,
    /// Why it does not count, if the configuration says so.
    pub ignored: Option<String>,
}
