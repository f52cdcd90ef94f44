//! Tests of the pipeline on the toy source: they need what a build of CPython needs, and no CPython.

mod archives;
mod arguments;
mod faults;
mod files;
mod foreign;
mod image;
mod inputs;
mod intermediates;
mod kills;
mod launchers;
mod libpython;
mod network;
mod plans;
mod prefixes;
mod processes;
pub mod profiles;
mod pyenv;
mod python_build;
mod races;
pub mod rebuild;
mod rpm;
mod several;
mod sources;
mod stores;
mod tarballs;
mod timings;
mod untrusted;
