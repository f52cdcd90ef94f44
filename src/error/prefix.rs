//! Errors of prefixes: where a Python is installed to and removed from.

use std::path::PathBuf;

use super::parts::{at, counted};

/// What is wrong with a prefix, or with what is at its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Exit code 2.
    #[error("`{}` cannot be a prefix: {reason}", .path.display())]
    Invalid {
        /// Where something was to be installed.
        path: PathBuf,
        /// Why not there.
        reason: &'static str,
    },

    /// Exit code 5.
    #[error("{path} was not installed by pykeel: {reason}")]
    Foreign {
        /// The prefix.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },

    /// Exit code 5.
    #[error("a file system is mounted at {path}, so nothing can be put there or removed")]
    Mounted {
        /// The prefix, or a directory in it.
        path: PathBuf,
    },

    /// Exit code 5.
    #[error("{path} cannot be removed: {reason}")]
    NotRemovable {
        /// The prefix.
        path: PathBuf,
        /// Why not.
        reason: String,
    },

    /// Exit code 5.
    #[error("{path} has {} that pykeel did not install", counted(.other_files.len()))]
    OtherFiles {
        /// The prefix.
        path: PathBuf,
        /// Each file, and whether it is new or changed.
        other_files: Vec<String>,
    },

    /// Exit code 2.
    #[error("Python {request} is not installed{}", at(place.as_deref()))]
    NotInstalled {
        /// What was asked for.
        request: String,
        /// Where it was looked for.
        place: Option<String>,
        /// The versions that are installed there and beside it.
        there: Vec<String>,
    },
}
