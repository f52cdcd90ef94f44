//! Errors that several places make alike.

use super::{Error, ProfileRemedy};

impl Error {
    /// A profile that cannot be used, where another can.
    pub fn profile(what: impl std::fmt::Display, reason: impl Into<String>) -> Self {
        Self::Profile { what: what.to_string(), reason: reason.into(), remedy: ProfileRemedy::Another }
    }
}
