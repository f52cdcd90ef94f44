//! Prefixes: installing an artifact to its place, and removing it.

pub mod install;
pub mod site;
pub mod uninstall;
