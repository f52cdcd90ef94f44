//! Tests that need a C compiler at most.

mod check;
mod cli;
mod completions;
pub mod config;
mod dockerfile;
mod fuzz;
