//! The files that a flavor drops: those of the plan's patterns, and the bytecode caches that the build wrote.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::error::{Error, Result};

/// The plan's patterns and those of the bytecode caches that the build wrote, which have time stamps and differ
/// in every build. `strip` writes a deterministic set if the policy asks for one.
pub(super) fn patterns(globs: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for glob in globs.iter().map(String::as_str).chain(["**/__pycache__", "**/*.pyc"]) {
        // `*` stays within a directory, as in a shell.
        let glob = GlobBuilder::new(glob).literal_separator(true).build();
        set.add(glob.map_err(|error| invalid(&error))?);
    }
    set.build().map_err(|error| invalid(&error))
}

/// What is wrong with a pattern.
pub(super) fn invalid(error: &globset::Error) -> Error {
    Error::Pattern { pattern: error.glob().unwrap_or_default().to_owned(), reason: error.kind().to_string() }
}
