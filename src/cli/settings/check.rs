//! The section `[check]` of configuration files.

use serde::Deserialize;

use crate::audit::check::ignore::Ignore;

/// The section `[check]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::cli) struct CheckSection {
    /// Findings that do not count.
    pub ignore: Vec<Ignore>,
}

impl CheckSection {
    /// The sections of all files: what each ignores is ignored.
    pub(super) fn joined(sections: impl Iterator<Item = Self>) -> Self {
        Self { ignore: sections.flat_map(|section| section.ignore).collect() }
    }
}
