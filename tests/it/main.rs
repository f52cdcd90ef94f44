//! The tests of the whole program, one file a subject.
//!
//! They share one store (`PYKEEL_TEST_STORE`, by default in the user's cache directory), in which
//! the real CPython is built once. `docs/testing.md` says what runs where.

mod browser;
mod debian;
mod support;
mod toy;
mod toy_tree;

mod archives;
mod cache;
mod cli;
mod completions;
mod config;
mod faults;
mod files;
mod fuzz;
mod inspect;
mod install;
mod json;
mod launchers;
mod network;
mod policies;
mod processes;
mod profiles;
mod races;
mod rebuild;
mod recipes;
mod regression;
mod reproducible;
mod roots;
mod rpm;
mod series;
mod server;
mod several;
mod sources;
mod system;
mod timings;
mod treemap;
mod trixie;
mod uninstall;
mod variants;
