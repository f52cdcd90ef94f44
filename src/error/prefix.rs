//! Errors of prefixes: where a Python is installed to and removed from.

use std::path::{Path, PathBuf};

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

    /// Two Pythons at one place, or one inside the other. Exit code 2.
    #[error("{first} and {second} would both be installed into {prefix}{}", inside(inner.as_deref()))]
    Overlap {
        /// A Python.
        first: String,
        /// Another one.
        second: String,
        /// The prefix of both, or the outer one.
        prefix: PathBuf,
        /// The prefix inside the other.
        inner: Option<PathBuf>,
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

impl PrefixError {
    /// Returns the error for the first of some Pythons, each with its name and its prefix, that would be installed into the
    /// prefix of one before it, or around it.
    #[must_use]
    pub fn of_overlaps(pythons: &[(String, PathBuf)]) -> Option<Self> {
        pythons.iter().enumerate().find_map(|(number, one)| {
            pythons[..number].iter().find_map(|other| Self::of_overlap(other.clone(), one.clone()))
        })
    }

    fn of_overlap(first: (String, PathBuf), second: (String, PathBuf)) -> Option<Self> {
        let ((first, one), (second, other)) = (first, second);
        let (prefix, inner) = if one == other {
            (one, None)
        } else if other.starts_with(&one) {
            (one, Some(other))
        } else if one.starts_with(&other) {
            (other, Some(one))
        } else {
            return None;
        };
        Some(Self::Overlap { first, second, prefix, inner })
    }
}

fn inside(inner: Option<&Path>) -> String {
    inner.map_or_else(String::new, |inner| format!(", one of them into {}", inner.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_overlap_if_one_is_the_other_or_inside_it() {
        let of = |one: &str, other: &str| {
            let overlap = PrefixError::of_overlap(("3.13.5".into(), one.into()), ("3.14.6".into(), other.into()));
            overlap.map(|error| error.to_string())
        };
        let both = "3.13.5 and 3.14.6 would both be installed into /opt/a";
        assert_eq!(of("/opt/a", "/opt/a").as_deref(), Some(both));
        let nested = format!("{both}, one of them into /opt/a/b");
        assert_eq!((of("/opt/a", "/opt/a/b"), of("/opt/a/b", "/opt/a")), (Some(nested.clone()), Some(nested)));
        assert_eq!((of("/opt/a", "/opt/ab"), of("/opt/a/b", "/opt/a/c")), (None, None));
    }
}
