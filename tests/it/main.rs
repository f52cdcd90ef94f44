//! The tests of the whole program. A test's module says what it needs, and so how to run it alone:
//!
//! - `quick`: a C compiler (`just quick`);
//! - `on_toy`, `recipes`: the headers that CPython needs, and no CPython (`just toy`);
//! - `on_cpython`: CPython 3.13.5, which is built once into a store that outlives the tests;
//! - `builds`: builds of CPython besides.
//!
//! They run in the order of their names, so that what takes longest begins first.
//! `docs/testing.md` says how to run each level and how to add a test.

mod browser;
mod cloud;
mod debian;
mod docker;
mod level;
mod missing;
mod server;
mod support;
mod toy;
mod toy_artifact;
mod toy_tree;

mod builds;
mod on_cpython;
mod on_toy;
mod quick;
mod recipes;
