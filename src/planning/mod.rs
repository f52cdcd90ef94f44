//! From a request to a plan: what is here, what the user chose, which profile serves, and the
//! [`BuildPlan`](crate::domain::plan::BuildPlan) that follows. Nothing is built.

pub mod choices;
pub mod inputs;
pub mod preflight;
pub mod profile;
pub mod resolve;
pub mod toolchain;
