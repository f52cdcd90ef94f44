//! The stages of a build, one file or directory each. A stage takes what the stage before it returns, and
//! the [`BuildContext`], and returns a type of its own: an unverified source cannot be unpacked, and an
//! unverified artifact cannot be published. `pipeline` has their order.

pub mod bundle;
pub mod compile;
mod compiled_in;
pub mod configure;
mod context;
mod debug_paths;
mod dropped;
pub mod fetch;
pub mod freeze;
pub mod launch;
mod libpython;
mod modules;
pub mod package;
pub mod patch;
pub mod pip;
pub mod publish;
mod recorder;
pub mod relocate;
pub mod staging;
pub mod strip;
#[cfg(test)]
pub(crate) mod toy;
pub mod train;
pub mod unpack;
pub mod verify;

pub use context::BuildContext;
