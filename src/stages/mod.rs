//! The stages of a build, one room each. Each takes what the stage before it returns and succeeds
//! by returning a type of its own, so that nothing unverified can be unpacked or published.
//! `pipeline` puts them in order.

pub mod bundle;
pub mod compile;
pub mod configure;
mod dropped;
pub mod fetch;
pub mod freeze;
pub mod launch;
pub mod package;
pub mod patch;
pub mod pip;
pub mod publish;
pub mod relocate;
pub mod staging;
pub mod strip;
pub mod train;
pub mod unpack;
pub mod verify;

use std::path::Path;

use crate::store::Store;
use crate::sys::jobserver::JobServer;

/// Where a build works, and with what. None of it decides a byte of the output.
#[derive(Clone, Copy)]
pub struct BuildContext<'a> {
    /// Sources, profiles, and what earlier builds kept.
    pub store: &'a Store,
    /// The processors.
    pub jobs: &'a JobServer,
    /// The directory of the build.
    pub work: &'a Path,
}
