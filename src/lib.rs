//! pykeel builds CPython for containers: relocatable, verified, the same every time.
//!
//! Data flows in one direction: a request and a recipe are resolved to a plan, the plan is looked up in
//! the store, and what is not there goes through the stages. `docs/architecture.md` draws it.
//!
//! ```text
//! cli -> pipeline -> {planning, stages} -> {recipe, store, sys} -> {domain, event, error, cost}
//! cli -> audit -> pipeline
//! cli -> {prefix, report, venv, export, pykeel_lock}
//! ```

pub mod audit;
pub mod cli;
pub mod cost;
pub mod domain;
pub mod error;
pub mod event;
pub mod export;
#[doc(hidden)]
pub mod fuzz;
pub mod pipeline;
pub mod planning;
pub mod prefix;
pub mod pykeel_lock;
pub mod recipe;
pub mod report;
pub mod stages;
pub mod store;
pub mod sys;
pub mod venv;
