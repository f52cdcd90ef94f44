//! The files that a flavor drops: those that match the plan's patterns, and the caches that the build wrote.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::error::{Error, Result};

/// Returns the plan's patterns, with those of the caches that the build wrote. These caches have time stamps and
/// differ each time. The bytecode policy decides whether a deterministic set replaces them.
pub(super) fn patterns(globs: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for glob in globs.iter().map(String::as_str).chain(["**/__pycache__", "**/*.pyc"]) {
        // `*` does not match across directories, as in a shell.
        let glob = GlobBuilder::new(glob).literal_separator(true).build();
        set.add(glob.map_err(|error| invalid(&error))?);
    }
    set.build().map_err(|error| invalid(&error))
}

/// What is wrong with a pattern.
pub(super) fn invalid(error: &globset::Error) -> Error {
    Error::Pattern { pattern: error.glob().unwrap_or_default().to_owned(), reason: error.kind().to_string() }
}
