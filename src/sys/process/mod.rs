//! Running programs: a [`Spec`] says what to run, a [`Runner`] runs it, and a test can bring its own.
//!
//! | file | subject |
//! | --- | --- |
//! | `spec` | program, arguments, directory, environment, limits |
//! | `runner` | the trait, the streams, how a program ended |
//! | `system` | the runner that starts real processes |
//! | `supervisor` | the process between pykeel and a program, which outlives pykeel |
//! | `confine` | runs a program that is not trusted |
//! | `scripted` | the runner of unit tests, which starts nothing |

pub mod confine;
mod runner;
#[cfg(test)]
pub(crate) mod scripted;
mod spec;
mod supervisor;
mod system;

pub use runner::{Outcome, Runner, Stream};
pub use spec::{SEARCH_PATH, Spec, of_user};
pub use supervisor::supervise_if_asked;
pub use system::{System, replace_process};
