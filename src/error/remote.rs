//! Errors of remotes: the places outside this machine's store where artifacts are kept for others.

/// What went wrong with a remote. Its address never holds credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// Exit code 2. The address cannot be used.
    #[error("remote {address}: {reason}")]
    Address {
        /// The address, without the credentials that it may hold.
        address: String,
        /// Why it cannot be used.
        reason: String,
    },

    /// Exit code 3. It cannot be reached, or answers with an error.
    #[error("remote {address}: {reason}")]
    Unavailable {
        /// The address.
        address: String,
        /// What happened.
        reason: String,
    },

    /// Exit code 5. It wants other credentials, or does not permit it.
    #[error("remote {address}: {reason}")]
    Denied {
        /// The address.
        address: String,
        /// What it said.
        reason: String,
    },

    /// Exit code 4. What it sent is not what it has to be.
    #[error("remote {address}: {what} is not what it should be: {reason}")]
    Wrong {
        /// The address.
        address: String,
        /// What was sent: `the manifest 1a2b3c4d5e6f`.
        what: String,
        /// How that shows.
        reason: String,
    },

    /// Exit code 2.
    #[error("remote {address} has no {what}")]
    Absent {
        /// The address.
        address: String,
        /// What was asked for.
        what: String,
    },

    /// Exit code 2. Nothing can be written to a remote of this kind.
    #[error("remote {address} can only be read")]
    ReadOnly {
        /// The address.
        address: String,
    },

    /// Exit code 2.
    #[error("no remote is named")]
    NoneNamed,
}
