//! Errors of `pykeel.lock` and of what it locks.

use std::path::PathBuf;

use super::Mistake;
use crate::domain::digest::Digest;
use crate::domain::rebuild::Topic;

/// Why a lock cannot be used, or why what is here is not what is locked.
#[derive(Debug, thiserror::Error)]
pub enum PykeelLockError {
    /// Exit code 2.
    #[error("there is no lock {}", .path.display())]
    Absent {
        /// The file.
        path: PathBuf,
    },

    /// Exit code 2.
    #[error("{} cannot be a lock: {reason}", .path.display())]
    NotALock {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },

    /// Exit code 2.
    #[error(transparent)]
    Mistake(Mistake),

    /// Exit code 2.
    #[error("the store has no artifact of Python {version} ({flavor}) to lock{}", super::because(why.as_deref()))]
    NothingToLock {
        /// The exact version.
        version: String,
        /// The flavor.
        flavor: String,
        /// Why those that are there do not fit.
        why: Option<String>,
        /// The command line that builds it.
        command: String,
    },

    /// Exit code 4.
    #[error("{} has no {request}", .lock.display())]
    NotLocked {
        /// The lock.
        lock: PathBuf,
        /// What is asked for.
        request: String,
        /// The requests that it has.
        has: Vec<String>,
    },

    /// Exit code 4.
    #[error("{} has {request} with other options", .lock.display())]
    OtherOptions {
        /// The lock.
        lock: PathBuf,
        /// The entry.
        request: String,
        /// Each option, as it is asked for and as it is locked.
        differences: Vec<String>,
    },

    /// Exit code 4.
    #[error("the store does not have the artifact of {request} in {}: sha256:{digest}", .lock.display())]
    NotInStore {
        /// The lock.
        lock: PathBuf,
        /// The entry.
        request: String,
        /// The digest that is locked.
        digest: Digest,
        /// What the store has instead, and how that differs.
        instead: Vec<String>,
    },

    /// Exit code 4.
    #[error("what {} says of {request} is not true of sha256:{digest}", .lock.display())]
    Untrue {
        /// The lock.
        lock: PathBuf,
        /// The entry.
        request: String,
        /// The digest that is locked.
        digest: Digest,
        /// Each fact, as it is and as it is locked.
        differences: Vec<String>,
    },

    /// Exit code 4.
    #[error("{request} of {} cannot be built here: the build plan is different", .lock.display())]
    OtherPlan {
        /// The lock.
        lock: PathBuf,
        /// The entry.
        request: String,
        /// Each fact, as it is here and as it is locked.
        differences: Vec<String>,
        /// What they are about, the most important first.
        topics: Vec<Topic>,
    },

    /// Exit code 4.
    #[error("the build of {request} is not the artifact in {}: it is sha256:{found}, not sha256:{expected}", .lock.display())]
    OtherArtifact {
        /// The lock.
        lock: PathBuf,
        /// The entry.
        request: String,
        /// The digest of what the same plan gave.
        found: Digest,
        /// The digest that is locked.
        expected: Digest,
    },

    /// Exit code 4.
    #[error("{} is out of date", .lock.display())]
    OutOfDate {
        /// The lock.
        lock: PathBuf,
    },

    /// Exit code 5.
    #[error("{} was changed while it was locked anew; nothing was written", .lock.display())]
    Changed {
        /// The lock.
        lock: PathBuf,
    },
}
