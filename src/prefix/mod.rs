//! Installs artifacts into prefixes, and removes them.

mod contents;
pub mod copies;
pub mod install;
pub mod site;
pub mod uninstall;
