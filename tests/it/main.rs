//! The tests of the whole program, one file a subject.
//!
//! They share one store (`PYKEEL_TEST_STORE`, by default in the user's cache directory), in which
//! the real CPython is built once. `docs/testing.md` says what runs where.

mod server;
mod support;
mod toy;

mod archives;
mod cli;
mod faults;
mod files;
mod fuzz;
mod install;
mod network;
mod policies;
mod regression;
mod roots;
mod sources;
