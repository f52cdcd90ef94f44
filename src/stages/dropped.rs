//! What a flavor drops: the patterns of the plan, and the caches that the build wrote.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::error::{Error, Result};

/// The plan's patterns, and the caches that the build wrote: time-stamped, at three levels, and
/// different each time. The policy says whether a deterministic set comes back.
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
